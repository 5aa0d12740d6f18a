//! What the payload of a block begins with, and how many bytes of it each stage took; for the format see [`bounded`](super::bounded).

use super::levels;
use crate::array::{DType, ReadAt};
use crate::bits::ByteReader;
use crate::error::{Error, Result};

pub(super) const PLAIN: u8 = 0;
pub(super) const PACKED: u8 = 1;
pub(super) const CONSTANT: u8 = 2;
pub(super) const CHAIN: u8 = 3;
pub(super) const SPECIALS: u8 = 4;
pub(super) const CORRECTION: u8 = 8;
pub(super) const LEVELS: u8 = 16;
pub(super) const CLAMP: u8 = 32;
pub(super) const REPAIR: u8 = 64;

/// Bytes of a payload by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageBytes {
    /// Map and values of special points.
    pub specials: u64,
    /// The chain's encoding, or the constant, or the plain or packed values.
    pub values: u64,
    /// The correction and the repair.
    pub correction: u64,
    /// Flags and lengths.
    pub framing: u64,
}

impl StageBytes {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.specials + self.values + self.correction + self.framing
    }
    /// Adds those of another payload.
    pub fn add(&mut self, o: &StageBytes) {
        self.specials += o.specials;
        self.values += o.values;
        self.correction += o.correction;
        self.framing += o.framing;
    }
}

/// How a block was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The values themselves.
    Plain,
    /// The values, shuffled and packed.
    Packed,
    /// One value for all points that are not special.
    Constant,
    /// By the chain with this index.
    Chain(usize),
}

/// How the rest is stored, from flags that were checked. Errors: `Corrupt`.
pub(super) fn kind(flags: u8) -> Result<u8> {
    let how = flags & 3;
    let allowed = match how {
        CHAIN if flags & LEVELS == 0 => SPECIALS | CORRECTION | CLAMP | REPAIR,
        CHAIN => SPECIALS | CORRECTION | LEVELS,
        CONSTANT => SPECIALS,
        _ => 0,
    };
    if flags & !(3 | allowed) != 0 {
        return Err(Error::corrupt(format!("expected the flags of a block, found {flags:#04x}")));
    }
    Ok(how)
}

/// How a block was stored and the bytes of its stages, from the flags and lengths of its payload alone: nothing is decoded
/// and hardly anything read. Errors: `Corrupt`, `Truncated`, those of `payload`.
pub fn inspect_payload(payload: &dyn ReadAt, dtype: DType) -> Result<(Outcome, StageBytes)> {
    // With levels the payload is that without, behind a table and among checksums.
    let table = levels::read_table(payload)?;
    let (begin, sums) = table.map_or((1, 0), |t| t.framing());
    let total = payload.size()?.saturating_sub(sums as u64);
    // The longest varint takes ten bytes.
    let mut head = [0; 10];
    let mut varint = |at: u64| -> Result<(u64, u64)> {
        let n = total.saturating_sub(at).min(head.len() as u64) as usize;
        let part = head.get_mut(..n).unwrap_or_default();
        payload.read_at(at, part)?;
        let mut r = ByteReader::new(part);
        let value = r.varint()?;
        Ok((value, at + (n - r.remaining()) as u64))
    };
    let rest = |at: u64| {
        total.checked_sub(at).ok_or_else(|| Error::truncated(format!("expected {at} bytes of payload, found {total}")))
    };
    let past = |at: u64, n: u64| at.checked_add(n).ok_or_else(|| Error::corrupt("expected lengths below 2^64"));
    let mut flags = [0];
    payload.read_at(0, &mut flags)?;
    let [flags] = flags;
    let how = kind(flags)?;
    let mut stages = StageBytes { framing: (begin + sums) as u64, ..StageBytes::default() };
    if how == PLAIN || how == PACKED {
        stages.values = rest(1)?;
        return Ok((if how == PLAIN { Outcome::Plain } else { Outcome::Packed }, stages));
    }
    let mut at = begin as u64;
    if flags & SPECIALS != 0 {
        let (n, start) = varint(at)?;
        let end = past(start, n)?;
        stages.specials = end - at;
        at = end;
    }
    if how == CONSTANT {
        stages.values = dtype.size() as u64;
        if rest(at)? != stages.values {
            return Err(Error::corrupt(format!("expected one value of type {dtype}, found {} bytes", rest(at)?)));
        }
        return Ok((Outcome::Constant, stages));
    }
    let (index, mut start) = varint(at)?;
    let parts = 1 + (flags & (CORRECTION | REPAIR)).count_ones();
    let (mut lengths, mut prefixes) = ([0; 3], start - at);
    for (k, length) in lengths.iter_mut().enumerate().take(parts as usize) {
        if k + 1 == parts as usize {
            *length = rest(start)?;
        } else {
            let begin = start;
            (*length, start) = varint(start)?;
            prefixes += start - begin;
            start = past(start, *length)?;
        }
    }
    stages.values = lengths[0];
    stages.correction = lengths[1] + lengths[2];
    stages.framing += prefixes;
    let index =
        usize::try_from(index).map_err(|_| Error::corrupt(format!("expected a chain, found number {index}")))?;
    Ok((Outcome::Chain(index), stages))
}
