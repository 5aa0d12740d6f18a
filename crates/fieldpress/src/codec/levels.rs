//! Payloads in the order of levels: a coarser level of a block from the first bytes of its payload.
//!
//! A codec that works from coarse to fine writes two streams, one behind the other (see [`Head`]), of which each level needs the
//! beginnings. Here both are cut at these places and the pieces laid out from coarse to fine, so that what a level needs comes
//! first, under checksums of its own. Put together again they are the payload as it was.
//!
//! # Format
//! The payload of a block with bit 4 of its flags set. What follows the flags of the same payload without bit 4 falls into two
//! streams, cut in two where the trailing stream of the chain's encoding begins.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the flags |
//! | varint L | how many levels there are, 1 to 16 |
//! | 2 varints | for each level from L down to 1: bytes of the leading and of the trailing stream that it adds to the level before |
//! | varint | bytes of the leading stream that are left |
//! | 4 | CRC32C of all before it |
//! | ... | for each level from L down to 1: its piece of the leading stream, its piece of the trailing stream, CRC32C of both (4 bytes) |
//! | rest | what is left of the leading stream, then what is left of the trailing one |

use std::borrow::Cow;

use super::bounded::Task;
use super::chain::BoundChain;
use super::contract::Site;
use super::payload::{kind, CHAIN, CLAMP, CORRECTION, LEVELS, REPAIR, SPECIALS};
use super::specials::Specials;
use crate::array::{Buffer, DType, Element, ReadAt, Shape, SliceMut};
use crate::bits::{crc32c, put_varint, ByteReader};
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};
use crate::{dispatch, dispatch_dtype};

/// Most levels of a payload.
const MAX_LEVELS: usize = 16;
/// Flags and table take at most so many bytes.
pub const TABLE_BYTES: usize = 1 + 1 + 20 * MAX_LEVELS + 10 + CRC;
/// Bytes of a checksum.
const CRC: usize = 4;
/// The coarsest levels of which each takes hardly fewer bytes than the next are not worth their entries: all are decoded from the bytes
/// of the finest of them.
const WORTH: usize = 64;

/// Where the levels of a payload lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    flags: u8,
    /// What each level adds, from the coarsest.
    pieces: Vec<Reach>,
    /// What is left of the leading stream.
    rest: usize,
    /// Where the first piece begins.
    start: usize,
}

impl Table {
    /// From the first [`TABLE_BYTES`] of a payload, or all of it; `None` when it has no levels.
    /// Errors: `Corrupt`, `Truncated`.
    pub fn read(payload: &[u8]) -> Result<Option<Table>> {
        let mut r = ByteReader::new(payload);
        let flags = r.u8()?;
        kind(flags)?;
        if flags & LEVELS == 0 {
            return Ok(None);
        }
        let count = r.count(MAX_LEVELS)?;
        let mut next = || r.count(usize::MAX >> 2);
        let pieces = (0..count).map(|_| Ok(Reach { lead: next()?, trail: next()? })).collect::<Result<Vec<_>>>()?;
        let rest = next()?;
        let covered = payload.len() - r.remaining();
        let crc = r.u32()?;
        if count == 0 || crc != crc32c(payload.get(..covered).unwrap_or_default()) {
            return Err(Error::corrupt("expected a table of levels with a matching checksum"));
        }
        Ok(Some(Table { flags, pieces, rest, start: covered + CRC }))
    }
    /// How many levels there are. Coarser ones are decoded from the bytes of the coarsest.
    pub fn levels(&self) -> u32 {
        self.pieces.len() as u32
    }
    /// From how many bytes of the payload level `level` >= 1 can be decoded.
    pub fn prefix(&self, level: u32) -> u64 {
        let pieces = self.pieces.iter().take(self.count(level));
        pieces.fold(self.start as u64, |n, p| n.saturating_add((p.lead + p.trail + CRC) as u64))
    }
    /// Bytes of flags and table, and of the checksums of levels.
    pub(super) fn framing(&self) -> (usize, usize) {
        (self.start, self.pieces.len() * CRC)
    }
    /// How many pieces level `level` needs.
    fn count(&self, level: u32) -> usize {
        self.pieces.len().saturating_sub((level.max(1) - 1) as usize).max(1)
    }
    /// The beginnings of both streams that level `level` needs. Errors: `Truncated`, `Corrupt`.
    fn head(&self, payload: &[u8], level: u32) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut r = ByteReader::new(payload.get(self.start..).unwrap_or_default());
        let (mut lead, mut trail) = (Vec::new(), Vec::new());
        for p in self.pieces.iter().take(self.count(level)) {
            let piece = r.take(p.lead.saturating_add(p.trail))?;
            if r.u32()? != crc32c(piece) {
                return Err(Error::corrupt("expected a level with a matching checksum"));
            }
            let (a, b) = piece.split_at(p.lead);
            lead.extend_from_slice(a);
            trail.extend_from_slice(b);
        }
        Ok((lead, trail))
    }
}

/// The payload without levels. Checksums of levels are not looked at: the payload as a whole has one.
/// Errors: `Truncated`, `Corrupt`.
pub(super) fn plain(payload: &[u8]) -> Result<Cow<'_, [u8]>> {
    let Some(table) = Table::read(payload)? else { return Ok(payload.into()) };
    let mut r = ByteReader::new(payload.get(table.start..).unwrap_or_default());
    let (mut lead, mut trail) = (vec![table.flags & !LEVELS], Vec::new());
    for p in &table.pieces {
        lead.extend_from_slice(r.take(p.lead)?);
        trail.extend_from_slice(r.take(p.trail)?);
        r.take(CRC)?;
    }
    lead.extend_from_slice(r.take(table.rest)?);
    lead.extend_from_slice(&trail);
    lead.extend_from_slice(r.rest());
    Ok(lead.into())
}

/// The parts of a payload by a chain, or of the beginning of its leading stream.
struct Parts<'a, 'c> {
    special: Option<Specials>,
    chain: &'a BoundChain<'c>,
    /// Where the chain's encoding begins, counted from behind the flags.
    before: usize,
    /// The bytes of the encoding, where a correction follows.
    length: Option<usize>,
}

impl<'a, 'c> Parts<'a, 'c> {
    /// Reads what stands before the encoding; `bytes` begin behind the flags.
    fn read<T: Element>(
        flags: u8,
        bytes: &[u8],
        shape: &Shape,
        chains: &'a [BoundChain<'c>],
        task: &Task<'_>,
    ) -> Result<Parts<'a, 'c>> {
        let mut r = ByteReader::new(bytes);
        let special = match flags & SPECIALS != 0 {
            true => Some(Specials::decode::<T>(r.section()?, shape, task.fill)?),
            false => None,
        };
        let index = r.count(chains.len().saturating_sub(1))?;
        let chain = chains.get(index).ok_or_else(|| Error::corrupt(format!("expected chain {index} of the array")))?;
        let length = if flags & CORRECTION != 0 { Some(r.count(usize::MAX)?) } else { None };
        Ok(Parts { special, chain, before: bytes.len() - r.remaining(), length })
    }
    fn site<'s>(&'s self, task: &Task<'s>) -> Site<'s> {
        Site {
            mask: self.special.as_ref().map(|s| &s.mask),
            origin: task.origin,
            companions: task.companions,
            mean_square: task.criterion.is_mean_square(),
        }
    }
}

/// The payload in the order of levels, if it is by a chain that offers any and stays smaller than the plain values. Where levels would
/// not be what the full decoding gives because of a correction, though the codec keeps its bound alone, there are none.
/// Errors: as [`decode_block`](super::decode_block); none for what was just encoded.
pub fn order_by_level(
    payload: &[u8],
    dtype: DType,
    shape: &Shape,
    chains: &[BoundChain<'_>],
    task: &Task<'_>,
) -> Result<Option<Vec<u8>>> {
    dispatch_dtype!(dtype, T => order_typed::<T>(payload, shape, chains, task))
}

fn order_typed<T: Element>(
    payload: &[u8],
    shape: &Shape,
    chains: &[BoundChain<'_>],
    task: &Task<'_>,
) -> Result<Option<Vec<u8>>> {
    let (&flags, body) = payload.split_first().ok_or_else(|| Error::truncated("expected a payload, found no bytes"))?;
    if kind(flags)? != CHAIN || flags & (LEVELS | CLAMP | REPAIR) != 0 {
        return Ok(None);
    }
    let parts = Parts::read::<T>(flags, body, shape, chains, task)?;
    let (_, inner) = body.split_at(parts.before.min(body.len()));
    let inner = inner.get(..parts.length.unwrap_or(inner.len())).unwrap_or_default();
    let Some(levels) = parts.chain.levels(inner)?.filter(|l| !(l.exact && parts.length.is_some())) else {
        return Ok(None);
    };
    let (head, site) = (Head::new(inner, levels.split), parts.site(task));
    // How far each level reaches into both streams, the finest first.
    let mut reaches: Vec<Reach> = Vec::new();
    for level in (1..=MAX_LEVELS as u32).take_while(|&l| shape.coarse(l) != shape.coarse(l - 1)) {
        let mut values = Buffer::zeros(T::DTYPE, shape.coarse(level).len())?;
        reaches.push(parts.chain.decode_level(head, level, &site, values.as_mut())?.after(parts.before));
    }
    let bytes = |r: Option<&Reach>| r.map_or(body.len(), |r| r.lead + r.trail);
    while let Some((last, finer)) = reaches.split_last() {
        if bytes(Some(last)) + WORTH <= bytes(finer.last()) {
            break;
        }
        reaches.pop();
    }
    let split = Head::new(body, parts.before.saturating_add(levels.split));
    Ok(Some(lay_out(flags, split, &reaches)).filter(|p| !p.is_empty() && p.len() <= shape.len() * T::DTYPE.size()))
}

/// The streams in the order of levels; nothing where there are none.
fn lay_out(flags: u8, streams: Head<'_>, reaches: &[Reach]) -> Vec<u8> {
    if reaches.is_empty() {
        return Vec::new();
    }
    let mut out = vec![flags | LEVELS];
    put_varint(&mut out, reaches.len() as u64);
    let mut pieces = Vec::new();
    let mut streams = streams;
    let mut done = Reach::default();
    for r in reaches.iter().rev() {
        // A finer level needs what a coarser one does.
        let next = Reach { lead: r.lead.max(done.lead), trail: r.trail.max(done.trail) };
        let (lead, rest) = streams.lead.split_at((next.lead - done.lead).min(streams.lead.len()));
        let (trail, end) = streams.trail.split_at((next.trail - done.trail).min(streams.trail.len()));
        put_varint(&mut out, lead.len() as u64);
        put_varint(&mut out, trail.len() as u64);
        let piece = [lead, trail].concat();
        pieces.extend_from_slice(&piece);
        pieces.extend_from_slice(&crc32c(&piece).to_le_bytes());
        (streams, done) = (Head { lead: rest, trail: end }, next);
    }
    put_varint(&mut out, streams.lead.len() as u64);
    out.extend_from_slice(&crc32c(&out).to_le_bytes());
    [&out[..], &pieces, streams.lead, streams.trail].concat()
}

/// Fills `out`, of the shape of level `level` >= 1 of a block of `shape`, from the first bytes of its payload, as many as
/// [`Table::prefix`] says, or more; special values among its points are restored. No correction is applied. `chains` and `task` as for
/// [`decode_block`](super::decode_block). Total on hostile bytes. Errors: `Corrupt` where the payload has no levels; `Truncated`; those of the chain.
pub fn decode_level(
    prefix: &[u8],
    level: u32,
    shape: &Shape,
    chains: &[BoundChain<'_>],
    task: &Task<'_>,
    out: SliceMut<'_>,
) -> Result<()> {
    dispatch!(SliceMut, out, o => decode_typed(prefix, level, shape, chains, task, o))
}

fn decode_typed<T: Element>(
    prefix: &[u8],
    level: u32,
    shape: &Shape,
    chains: &[BoundChain<'_>],
    task: &Task<'_>,
    out: &mut [T],
) -> Result<()> {
    let table =
        Table::read(prefix)?.ok_or_else(|| Error::corrupt("expected a payload with levels, found one without"))?;
    let (lead, trail) = table.head(prefix, level)?;
    let parts = Parts::read::<T>(table.flags, &lead, shape, chains, task)?;
    let head = Head { lead: &lead, trail: &trail }.skip(parts.before);
    parts.chain.decode_level(head, level, &parts.site(task), T::wrap_mut(out))?;
    if let Some(s) = &parts.special {
        s.coarse(shape, level).restore(out);
    }
    Ok(())
}

/// Whether a payload is in the order of levels.
pub fn has_levels(payload: &[u8]) -> bool {
    payload.first().is_some_and(|flags| flags & LEVELS != 0)
}

/// How many bytes of a payload each of its levels needs, from level 1; nothing where it has none. Hardly anything is read.
/// Errors: `Corrupt`, `Truncated`, those of `payload`.
pub fn inspect_levels(payload: &dyn ReadAt) -> Result<Vec<u64>> {
    let table = read_table(payload)?;
    Ok(table.map_or(Vec::new(), |t| (1..=t.levels()).map(|l| t.prefix(l)).collect()))
}

/// [`Table::read`] from the first bytes of a payload.
pub(super) fn read_table(payload: &dyn ReadAt) -> Result<Option<Table>> {
    let mut head = vec![0; payload.size()?.min(TABLE_BYTES as u64) as usize];
    payload.read_at(0, &mut head)?;
    Table::read(&head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{every, Slice};
    use crate::bound::{Criterion, Term};
    use crate::codec::{decode_block, encode_block, inspect_payload, Candidate, Chain, Spec};
    use crate::error::ErrorKind;

    const CRITERION: &Criterion = &Criterion::FREE;

    fn task(criterion: &Criterion) -> Task<'_> {
        let hint = Term { abs: 0.02, rel: 0.0 };
        Task {
            criterion,
            hint,
            fill: None,
            measure: false,
            origin: &[0, 0],
            companions: &[],
            distributions: None,
            norm: None,
        }
    }

    #[test]
    fn order_and_corrections_and_special_values_come_back() {
        let shape = Shape::new(&[60, 47]).unwrap();
        let mut x: Vec<f32> = (0..shape.len()).map(|i| libm::sinf(i as f32 * 0.013) * 30.0 + (i % 47) as f32).collect();
        x[94] = f32::NAN;
        x[96..120].fill(f32::INFINITY);
        x[1500] = 1e4;
        let spec = Spec { dtype: DType::F32, shape };
        for text in ["interp", "dwt", "dwt:coder=classes", "log+interp"] {
            let chain = Chain::parse(text).unwrap();
            let chains = [chain.bind(&[], &spec).unwrap()];
            let criterion = Criterion { terms: vec![task(CRITERION).hint], ..Criterion::FREE };
            let task = task(&criterion);
            let mut payload = Vec::new();
            let candidates = [Candidate { index: 0, chain: &chains[0] }];
            encode_block(Slice::F32(&x), &shape, &candidates, &task, &mut payload).unwrap();
            assert!(payload[0] & SPECIALS != 0 && (payload[0] & CORRECTION != 0) == text.starts_with("dwt"), "{text}");
            let ordered = order_by_level(&payload, DType::F32, &shape, &chains, &task).unwrap().unwrap();
            assert_eq!(plain(&ordered).unwrap(), payload, "{text}");
            // Ordered as it is, it stays.
            assert_eq!(order_by_level(&ordered, DType::F32, &shape, &chains, &task), Ok(None));
            let (outcome, stages) = inspect_payload(&payload, DType::F32).unwrap();
            let (same, more) = inspect_payload(&ordered, DType::F32).unwrap();
            assert_eq!(
                (outcome, stages.specials, stages.values, stages.correction),
                (same, more.specials, more.values, more.correction)
            );
            assert_eq!((more.total(), stages.total()), (ordered.len() as u64, payload.len() as u64));
            let mut whole = vec![0f32; shape.len()];
            decode_block(&ordered, &shape, &chains, &task, SliceMut::F32(&mut whole)).unwrap();
            let prefixes = inspect_levels(&ordered).unwrap();
            assert!(prefixes.len() > 1, "{text}: {prefixes:?}");
            for level in 1..8 {
                let prefix = prefixes[prefixes.len().min(level as usize) - 1] as usize;
                let mut y = vec![0f32; shape.coarse(level).len()];
                decode_level(&ordered[..prefix], level, &shape, &chains, &task, SliceMut::F32(&mut y)).unwrap();
                let points = every(Slice::F32(&x), &shape, &[0, 0], &[level; 2]).unwrap();
                for (a, b) in f32::of(points.as_slice()).unwrap().iter().zip(&y) {
                    let interp = text.ends_with("interp") && (a - b).abs() <= 0.02;
                    assert!(if a.is_finite() {
                        b.is_finite() && (interp || text.starts_with("dwt"))
                    } else {
                        a.to_bits() == b.to_bits()
                    });
                }
                let e = decode_level(&ordered[..prefix - 1], level, &shape, &chains, &task, SliceMut::F32(&mut y))
                    .unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Truncated);
            }
        }
    }

    #[test]
    fn tables_that_lie_are_refused() {
        let table = |numbers: &[u64], rest: &[u8]| {
            let mut p = vec![CHAIN | LEVELS];
            numbers.iter().for_each(|&n| put_varint(&mut p, n));
            p.extend_from_slice(&crc32c(&p).to_le_bytes());
            [&p[..], rest].concat()
        };
        let piece = |bytes: &[u8]| [bytes, &crc32c(bytes).to_le_bytes()].concat();
        let good = table(&[1, 2, 1, 1], &[&piece(&[0, 7, 9])[..], &[8, 10]].concat());
        assert_eq!(plain(&good).unwrap().as_ref(), [CHAIN, 0, 7, 8, 9, 10]);
        let shape = Shape::new(&[9]).unwrap();
        let chain = Chain::parse("interp").unwrap();
        let chains = [chain.bind(&[], &Spec { dtype: DType::F64, shape }).unwrap()];
        let errs = |payload: &[u8]| {
            let mut y = vec![0f64; 9];
            let level = decode_level(payload, 1, &shape, &chains, &task(CRITERION), SliceMut::F64(&mut y[..5]));
            let whole = decode_block(payload, &shape, &chains, &task(CRITERION), SliceMut::F64(&mut y));
            level.is_err() && whole.is_err()
        };
        let huge = u64::MAX >> 8;
        for numbers in
            [&[0, 3][..], &[17; 36], &[1, huge, huge, huge], &[1, u64::MAX, 1, 1], &[2, 1, 1, 1, 1, 9], &[1, 2]]
        {
            assert!(errs(&table(numbers, &piece(&[0, 7, 9]))), "{numbers:?}");
        }
        for cut in 0..good.len() {
            assert!(errs(&good[..cut]));
        }
        // Only chains have levels.
        for how in [0, 1, 2] {
            assert!(errs(&[&[LEVELS | how][..], &good[1..]].concat()));
        }
    }
}
