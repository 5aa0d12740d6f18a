//! Beginnings of encodings that are two streams, one behind the other, both read from front to back.

/// The first bytes of both streams. Where there is one stream, it is the leading one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// Of the leading stream.
    pub lead: &'a [u8],
    /// Of the trailing stream.
    pub trail: &'a [u8],
}

impl<'a> Head<'a> {
    /// An encoding cut in two where its trailing stream begins.
    pub fn new(bytes: &'a [u8], split: usize) -> Head<'a> {
        let (lead, trail) = bytes.split_at(split.min(bytes.len()));
        Head { lead, trail }
    }
    /// Without the first `n` bytes of the leading stream.
    pub fn skip(self, n: usize) -> Head<'a> {
        Head { lead: self.lead.get(n..).unwrap_or_default(), ..self }
    }
}

/// How many bytes of each stream were needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the leading stream.
    pub lead: usize,
    /// Of the trailing stream.
    pub trail: usize,
}

impl Reach {
    /// The same where `n` bytes lie before the leading stream.
    pub fn after(self, n: usize) -> Reach {
        Reach { lead: self.lead.saturating_add(n), ..self }
    }
}
