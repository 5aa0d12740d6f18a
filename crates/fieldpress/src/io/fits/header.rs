//! The header of an HDU: cards of 80 bytes with a keyword and a value each.

use std::collections::HashMap;

use serde_json::Value;

use crate::array::ReadAt;
use crate::error::{Error, Result};

/// Headers and data fill whole blocks of so many bytes.
pub(super) const BLOCK: u64 = 2880;
const CARD: usize = 80;
/// The longest header read, in bytes: 200,000 cards.
const MAX_HEADER: u64 = 16 << 20;

/// The values of a header by keyword; of several under one keyword the first.
pub(super) struct Header {
    values: HashMap<String, Entry>,
    /// The keyword of the first card.
    pub(super) first: String,
    /// Bytes, with padding.
    pub(super) length: u64,
}

enum Entry {
    Text(String),
    /// A number or logical, as written.
    Plain(String),
}

impl Header {
    /// The header that begins at `at`. Errors: `Truncated`, when the file ends before `END`; `LimitExceeded`; `Io`.
    pub(super) fn read(bytes: &dyn ReadAt, at: u64) -> Result<Header> {
        let mut header = Header { values: HashMap::new(), first: String::new(), length: 0 };
        let mut block = [0; BLOCK as usize];
        let mut open: Option<String> = None;
        loop {
            if header.length >= MAX_HEADER {
                return Err(Error::limit(format!(
                    "expected END within {MAX_HEADER} bytes of a header, found none from byte {at}"
                )));
            }
            bytes.read_at(at.saturating_add(header.length), &mut block).map_err(|e| e.at("header"))?;
            let opens = header.length == 0;
            header.length += BLOCK;
            for (i, card) in block.chunks_exact(CARD).enumerate() {
                let (keyword, rest) = card.split_at(8);
                let keyword = String::from_utf8_lossy(keyword.trim_ascii_end());
                if keyword == "END" && rest.trim_ascii().is_empty() {
                    return Ok(header);
                }
                if opens && i == 0 {
                    header.first = keyword.to_string();
                }
                if let Some(value) = rest.strip_prefix(b"= ") {
                    open = (!header.values.contains_key(&*keyword)).then(|| keyword.clone().into_owned());
                    header.values.entry(keyword.into_owned()).or_insert_with(|| Entry::read(value));
                } else if let Some(Entry::Text(text)) = open.as_ref().and_then(|k| header.values.get_mut(k)) {
                    // A text that ends with & goes on in the next card, if that says so.
                    match Entry::read(rest) {
                        Entry::Text(more) if keyword == "CONTINUE" && text.trim_end().ends_with('&') => {
                            text.truncate(text.trim_end().len() - 1);
                            text.push_str(&more);
                        }
                        _ => open = None,
                    }
                }
            }
        }
    }
    /// A text value without the spaces around it; `None` when there is none, or an empty one.
    pub(super) fn text(&self, keyword: &str) -> Option<&str> {
        match self.values.get(keyword) {
            Some(Entry::Text(t)) => Some(t.trim()).filter(|t| !t.is_empty()),
            _ => None,
        }
    }
    /// Whether a logical value is true.
    pub(super) fn is_true(&self, keyword: &str) -> bool {
        matches!(self.values.get(keyword), Some(Entry::Plain(t)) if t == "T")
    }
    /// An integer. Errors: `Corrupt` when it is missing or something else.
    pub(super) fn integer(&self, keyword: &str) -> Result<i64> {
        let found = match self.values.get(keyword) {
            Some(Entry::Plain(t)) => match t.parse() {
                Ok(n) => return Ok(n),
                Err(_) => format!("{t:?}"),
            },
            Some(Entry::Text(t)) => format!("the text {t:?}"),
            None => "none".into(),
        };
        Err(Error::corrupt(format!("expected an integer as {keyword}, found {found}")))
    }
    /// A length or count. Errors: `Corrupt` when it is missing, negative or something else.
    pub(super) fn count(&self, keyword: &str) -> Result<u64> {
        let n = self.integer(keyword)?;
        u64::try_from(n).map_err(|_| Error::corrupt(format!("expected no negative {keyword}, found {n}")))
    }
    /// The same, or `default` where it is missing.
    pub(super) fn count_or(&self, keyword: &str, default: u64) -> Result<u64> {
        if self.values.contains_key(keyword) {
            return self.count(keyword);
        }
        Ok(default)
    }
    /// A finite number: an integer where it is written as one.
    pub(super) fn number(&self, keyword: &str) -> Option<Value> {
        let Entry::Plain(t) = self.values.get(keyword)? else { return None };
        let whole = t.parse::<i64>().map(Value::from).or_else(|_| t.parse::<u64>().map(Value::from));
        whole.ok().or_else(|| {
            // Fortran writes exponents of double precision with D.
            let v = t.replace(['D', 'd'], "E").parse::<f64>().ok()?;
            serde_json::Number::from_f64(v).map(Value::Number)
        })
    }
}

impl Entry {
    /// What follows the value indicator of a card.
    fn read(bytes: &[u8]) -> Entry {
        let text = String::from_utf8_lossy(bytes.trim_ascii());
        let Some(rest) = text.strip_prefix('\'') else {
            let value = text.split('/').next().unwrap_or_default();
            return Entry::Plain(value.trim().to_string());
        };
        let mut value = String::new();
        let mut chars = rest.chars().peekable();
        while let Some(c) = chars.next() {
            // A quote within a text is written twice.
            if c == '\'' && chars.next_if_eq(&'\'').is_none() {
                break;
            }
            value.push(c);
        }
        Entry::Text(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn header(cards: &[&str]) -> Result<Header> {
        let mut text: String = cards.iter().map(|c| format!("{c:<80}")).collect();
        text.push_str(&" ".repeat((BLOCK as usize - text.len() % BLOCK as usize) % BLOCK as usize));
        Header::read(&text.into_bytes(), 0)
    }

    #[test]
    fn values_are_read_as_the_standard_writes_them() {
        let h = header(&[
            "SIMPLE  =                    T / a comment",
            "NAXIS   = 2/no space",
            "NAXIS   = 7",
            "OBJECT  = 'O''Hara / it  '  / a comment",
            "EMPTY   = ''",
            "BZERO   =  9223372036854775808",
            "BSCALE  = 1.5D-3",
            "HUGE    = 1E999",
            "COMMENT = not a value indicator: it is one all the same",
            "LONG    = 'one &'  / goes on",
            "CONTINUE  'two&'",
            "CONTINUE  ' three'",
            "CONTINUE  ', but no more'",
            "AMP     = 'one &'",
            "HISTORY  between",
            "CONTINUE  'not this'",
            "NOVALUE =not followed by a space",
            "END",
        ])
        .unwrap();
        assert_eq!((h.first.as_str(), h.length, h.is_true("SIMPLE")), ("SIMPLE", BLOCK, true));
        assert_eq!((h.integer("NAXIS"), h.text("OBJECT"), h.text("EMPTY")), (Ok(2), Some("O'Hara / it"), None));
        assert_eq!((h.text("LONG"), h.text("AMP")), (Some("one two three"), Some("one &")));
        assert_eq!(h.number("BZERO"), Some(Value::from(1u64 << 63)));
        assert_eq!(h.number("BSCALE"), Some(Value::from(1.5e-3)));
        assert_eq!((h.number("HUGE"), h.number("OBJECT"), h.number("NOVALUE")), (None, None, None));
        for keyword in ["SIMPLE", "OBJECT", "NONE", "BZERO"] {
            assert_eq!(h.count(keyword).unwrap_err().kind(), ErrorKind::Corrupt, "{keyword}");
        }
        assert_eq!((h.count_or("NONE", 3), h.count_or("NAXIS", 3)), (Ok(3), Ok(2)));
    }

    #[test]
    fn headers_without_an_end_are_errors() {
        let kind = |r: Result<Header>| r.map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(header(&["SIMPLE  = T", "END  more"])), ErrorKind::Truncated);
        assert_eq!(kind(Header::read(&vec![b' '; MAX_HEADER as usize + 2880], 0)), ErrorKind::LimitExceeded);
        assert_eq!(kind(Header::read(&vec![b' '; 9], u64::MAX)), ErrorKind::Truncated);
    }
}
