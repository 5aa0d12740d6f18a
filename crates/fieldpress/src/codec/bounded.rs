//! The bounded stage: makes any chain honest.
//!
//! It keeps special values apart, lets a chain approximate the rest, decodes what the reader will decode, compares in
//! the output type, and adds the smallest correction that makes the bound hold. Where a chain does not pay, the block is
//! stored plainly: a payload is never larger than the block and one byte.
//!
//! # Format
//! The payload of a block:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | bits 0-1, how the rest is stored: 0 plain, 1 packed, 2 constant, 3 chain; bit 2: special values follow; bit 3: a correction follows; bit 4, with a chain: the bytes are in the order of levels, see `levels`; other bits 0 |
//! | n * size | plain: the values, little-endian, C order |
//! | rest | packed: the plain bytes shuffled (byte 0 of every value, then byte 1, ...) as one Zstandard frame |
//! | section | with bit 2: special values, see `specials` |
//! | size | constant: the value of every other point, little-endian |
//! | varint | chain: which of the array's chains |
//! | section | chain with bit 3: the chain's encoding |
//! | rest | chain with bit 3: the correction, see `correction`; chain without bit 3: the chain's encoding |

use std::borrow::Cow;

use super::chain::BoundChain;
use super::contract::{Block, Claim, Companions, Site};
use super::{correction, holes, levels, specials};
use crate::array::{DType, Element, Mask, ReadAt, Shape, Slice, SliceMut};
use crate::bits::{put_section, put_varint, ByteReader, Sum};
use crate::bound::{Criterion, Term};
use crate::dispatch;
use crate::error::{Error, ErrorKind, Result};

const PLAIN: u8 = 0;
const PACKED: u8 = 1;
const CONSTANT: u8 = 2;
pub(super) const CHAIN: u8 = 3;
pub(super) const SPECIALS: u8 = 4;
pub(super) const CORRECTION: u8 = 8;
pub(super) const LEVELS: u8 = 16;
const PACK_LEVEL: i32 = 1;

/// A chain that may encode a block, by its place in the array's list.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// Its place in the array's list of chains.
    pub index: usize,
    /// The chain, bound to blocks of this type and shape.
    pub chain: &'a BoundChain<'a>,
}

/// What the bounded stage has to do for a block.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// What must hold at every point; the limit on the sum of squares is the caller's business.
    pub criterion: &'a Criterion,
    /// The tolerance handed to the chain. Sufficient for the criterion, if it has pointwise terms.
    pub hint: Term,
    /// The bit pattern of the fill value.
    pub fill: Option<u64>,
    /// Decode and compare even where the chain claims that the bound holds, so that the report is exact.
    pub measure: bool,
    /// The index of the block's first value in the array.
    pub origin: &'a [usize],
    /// Arrays the chains asked for.
    pub companions: Companions<'a>,
}

/// Bytes of a payload by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageBytes {
    /// Map and values of special points.
    pub specials: u64,
    /// The chain's encoding, or the constant, or the plain or packed values.
    pub values: u64,
    /// The correction.
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

/// What became of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockReport {
    /// How it was stored.
    pub outcome: Outcome,
    /// Bytes by stage.
    pub stages: StageBytes,
    /// Points that are not special.
    pub valid: u64,
    /// The largest error over the valid points. Exact when measured; else the hint's tolerance is known to hold.
    pub max_error: f64,
    /// The sum of the squared errors over the valid points, when measured.
    pub square_error: f64,
    /// Points that the chain left outside the bound and the correction moved, when measured.
    pub corrected: u64,
    /// Whether errors were measured on decoded values.
    pub measured: bool,
}

/// Appends the payload of a block to `out`: the smallest that `candidates` give.
/// Errors: those of the chains, but for `InvalidArgument` ("cannot handle such a block"), which rules a chain out.
pub fn encode_block(
    x: Slice<'_>,
    shape: &Shape,
    candidates: &[Candidate<'_>],
    task: &Task<'_>,
    out: &mut Vec<u8>,
) -> Result<BlockReport> {
    dispatch!(Slice, x, v => encode_typed(v, shape, candidates, task, true, out))
}

/// What [`encode_block`] would report, were there no way but `candidates`. Errors: `InvalidArgument` when none can, and as those.
pub fn try_block(x: Slice<'_>, shape: &Shape, candidates: &[Candidate<'_>], task: &Task<'_>) -> Result<BlockReport> {
    dispatch!(Slice, x, v => encode_typed(v, shape, candidates, task, false, &mut Vec::new()))
}

fn encode_typed<T: Element>(
    x: &[T],
    shape: &Shape,
    candidates: &[Candidate<'_>],
    task: &Task<'_>,
    plain: bool,
    out: &mut Vec<u8>,
) -> Result<BlockReport> {
    let has_specials = specials::any(x, task.fill);
    let mask = has_specials.then(|| Mask::new(x.iter().map(|&v| specials::is_special(v, task.fill)).collect()));
    let mut head = Vec::new();
    if let Some(m) = &mask {
        let mut bytes = Vec::new();
        specials::encode(x, m, shape, task.fill, &mut bytes);
        put_section(&mut head, &bytes);
    }
    let flag = if mask.is_some() { SPECIALS } else { 0 };
    let valid = (x.len() - mask.as_ref().map_or(0, Mask::count)) as u64;
    let base = BlockReport {
        outcome: Outcome::Constant,
        stages: StageBytes { specials: head.len() as u64, values: 0, correction: 0, framing: 1 },
        valid,
        max_error: 0.0,
        square_error: 0.0,
        corrected: 0,
        measured: true,
    };

    let first = x.iter().enumerate().find(|(i, _)| !mask.as_ref().is_some_and(|m| m.is_masked(*i))).map(|(_, &v)| v);
    let start = out.len();
    let constant = first.is_none_or(|c| {
        let same =
            |(i, v): (usize, &T)| v.to_bits64() == c.to_bits64() || mask.as_ref().is_some_and(|m| m.is_masked(i));
        x.iter().enumerate().all(same)
    });
    if constant {
        out.push(CONSTANT | flag);
        out.extend_from_slice(&head);
        first.unwrap_or_default().put_le(out);
        if out.len() - start > 1 + x.len() * T::DTYPE.size() {
            out.truncate(start);
            return plainly(x, base, out);
        }
        let stages = StageBytes { values: T::DTYPE.size() as u64, ..base.stages };
        return Ok(BlockReport { stages, ..base });
    }

    let filled: Cow<'_, [T]> = match &mask {
        None => x.into(),
        Some(m) => {
            let mut v = x.to_vec();
            holes::fill(&mut v, shape, m);
            v.into()
        }
    };
    let site = Site { mask: mask.as_ref(), origin: task.origin, companions: task.companions };
    let block = Block { shape: *shape, values: T::wrap(&filled), site };
    let mut best: Option<BlockReport> = None;
    for c in candidates {
        let at = out.len();
        match with_chain(x, &block, c, task, flag, &head, &base, out) {
            Ok(r) if best.as_ref().is_none_or(|b| r.stages.total() < b.stages.total()) => {
                out.drain(start..at);
                best = Some(r);
            }
            Ok(_) => out.truncate(at),
            Err(e) if e.kind() == ErrorKind::InvalidArgument => out.truncate(at),
            Err(e) => return Err(e),
        }
    }

    let raw = x.len() * T::DTYPE.size();
    let size = out.len() - start;
    if plain && (best.is_none() || size > raw / 2) {
        let (outcome, bytes) = stored(x)?;
        if best.is_none() || bytes.len() < size {
            out.truncate(start);
            return Ok(plain_report(outcome, &bytes, base, out));
        }
    }
    best.ok_or_else(|| Error::invalid("expected a chain that can encode the block, found none"))
}

/// One chain's payload.
#[allow(clippy::too_many_arguments)]
fn with_chain<T: Element>(
    x: &[T],
    block: &Block<'_>,
    candidate: &Candidate<'_>,
    task: &Task<'_>,
    flag: u8,
    head: &[u8],
    base: &BlockReport,
    out: &mut Vec<u8>,
) -> Result<BlockReport> {
    let mut bytes = Vec::new();
    let claim = candidate.chain.encode(block, &task.hint, &mut bytes)?;
    let mut report = BlockReport { outcome: Outcome::Chain(candidate.index), ..*base };
    let mut fix = Vec::new();
    // The claim is about the hint; it settles the bound only where the hint implies every term of it.
    let implied = task.criterion.terms.iter().all(|t| t.abs >= task.hint.abs && t.rel >= task.hint.rel);
    if claim == Claim::Bounded && implied && !task.measure && !task.hint.is_free() {
        report.measured = false;
        report.max_error = task.hint.abs;
    } else {
        let mut y = match &claim {
            Claim::Decoded(values) if values.dtype() == T::DTYPE && values.len() == x.len() => {
                T::of(values.as_slice()).unwrap_or_default().to_vec()
            }
            _ => {
                let mut y = vec![T::default(); x.len()];
                candidate.chain.decode(&bytes, &block.site, T::wrap_mut(&mut y))?;
                y
            }
        };
        let mask = block.site.mask;
        let masked = |i: usize| mask.is_some_and(|m| m.is_masked(i));
        let pairs = || x.iter().zip(&y).enumerate().filter(|(i, _)| !masked(*i)).map(|(_, p)| p);
        report.corrected = if task.criterion.terms.is_empty() {
            pairs().filter(|(_, y)| !y.is_finite()).count() as u64
        } else {
            pairs().filter(|(&x, &y)| !task.criterion.allows(x, y)).count() as u64
        };
        if report.corrected > 0 {
            let free = Criterion { terms: vec![Term::FREE], square_sum: None };
            let criterion = if task.criterion.terms.is_empty() { &free } else { task.criterion };
            correction::encode(x, &mut y, &block.shape, mask, criterion, &task.hint, &mut fix);
        }
        let mut squares = Sum::default();
        for (i, (&x, &y)) in x.iter().zip(&y).enumerate() {
            if !masked(i) {
                let e = difference(x, y);
                report.max_error = report.max_error.max(e);
                squares.add(e * e);
            }
        }
        report.square_error = squares.value();
    }
    let start = out.len();
    out.push(CHAIN | flag | if fix.is_empty() { 0 } else { CORRECTION });
    out.extend_from_slice(head);
    put_varint(out, candidate.index as u64);
    if fix.is_empty() {
        out.extend_from_slice(&bytes);
    } else {
        put_section(out, &bytes);
        out.extend_from_slice(&fix);
    }
    report.stages.values = bytes.len() as u64;
    report.stages.correction = fix.len() as u64;
    report.stages.framing = (out.len() - start - head.len() - bytes.len() - fix.len()) as u64;
    Ok(report)
}

/// `|x - y|`; integers as integers.
#[inline(always)]
pub(crate) fn difference<T: Element>(x: T, y: T) -> f64 {
    if T::DTYPE.is_float() {
        (x.to_f64() - y.to_f64()).abs()
    } else {
        x.ordered().abs_diff(y.ordered()) as f64
    }
}

/// Appends the block as [`stored`].
fn plainly<T: Element>(x: &[T], base: BlockReport, out: &mut Vec<u8>) -> Result<BlockReport> {
    let (outcome, bytes) = stored(x)?;
    Ok(plain_report(outcome, &bytes, base, out))
}

fn plain_report(outcome: Outcome, bytes: &[u8], base: BlockReport, out: &mut Vec<u8>) -> BlockReport {
    out.extend_from_slice(bytes);
    let stages = StageBytes { values: bytes.len() as u64 - 1, framing: 1, ..StageBytes::default() };
    BlockReport { outcome, stages, ..base }
}

/// The whole block without a chain, packed where that is smaller.
fn stored<T: Element>(x: &[T]) -> Result<(Outcome, Vec<u8>)> {
    let size = T::DTYPE.size();
    let mut plain = vec![PLAIN];
    T::wrap(x).put_le_bytes(&mut plain);
    let values = plain.get(1..).unwrap_or_default();
    let shuffled: Vec<u8> = (0..size).flat_map(|b| values.iter().skip(b).step_by(size).copied()).collect();
    let frame = zstd::bulk::compress(&shuffled, PACK_LEVEL)?;
    if frame.len() < values.len() {
        let mut packed = vec![PACKED];
        packed.extend_from_slice(&frame);
        return Ok((Outcome::Packed, packed));
    }
    Ok((Outcome::Plain, plain))
}

/// How the rest is stored, from flags that were checked. Errors: `Corrupt`.
pub(super) fn kind(flags: u8) -> Result<u8> {
    let how = flags & 3;
    let allowed = match how {
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
    if flags & CORRECTION == 0 {
        stages.values = rest(start)?;
    } else {
        (stages.values, start) = varint(start)?;
        stages.correction = rest(past(start, stages.values)?)?;
    }
    stages.framing += start - at;
    let index =
        usize::try_from(index).map_err(|_| Error::corrupt(format!("expected a chain, found number {index}")))?;
    Ok((Outcome::Chain(index), stages))
}

/// Fills `out` from a payload. `chains` are the array's, bound to blocks of this type and shape; `hint` is the
/// tolerance that was in force. Total on hostile bytes.
pub fn decode_block(
    payload: &[u8],
    shape: &Shape,
    chains: &[BoundChain<'_>],
    task: &Task<'_>,
    out: SliceMut<'_>,
) -> Result<()> {
    dispatch!(SliceMut, out, o => decode_typed(payload, shape, chains, task, o))
}

fn decode_typed<T: Element>(
    payload: &[u8],
    shape: &Shape,
    chains: &[BoundChain<'_>],
    task: &Task<'_>,
    out: &mut [T],
) -> Result<()> {
    let size = T::DTYPE.size();
    let raw = out.len() * size;
    let payload = levels::plain(payload)?;
    let mut r = ByteReader::new(&payload);
    let flags = r.u8()?;
    let how = kind(flags)?;
    match how {
        PLAIN => {
            T::wrap_mut(out).copy_from_le_bytes(r.take(raw)?);
            return r.end();
        }
        PACKED => {
            let shuffled = zstd::bulk::decompress(r.rest(), raw)
                .map_err(|e| Error::corrupt(format!("expected a Zstandard frame of at most {raw} bytes: {e}")))?;
            if shuffled.len() != raw {
                return Err(Error::corrupt(format!("expected {raw} unpacked bytes, found {}", shuffled.len())));
            }
            let n = out.len();
            let mut value = [0u8; 8];
            for (i, o) in out.iter_mut().enumerate() {
                for (b, v) in value.iter_mut().take(size).enumerate() {
                    *v = shuffled.get(b * n + i).copied().unwrap_or(0);
                }
                *o = T::get_le(&value);
            }
            return Ok(());
        }
        _ => {}
    }
    let special = match flags & SPECIALS != 0 {
        true => Some(specials::Specials::decode::<T>(r.section()?, shape, task.fill)?),
        false => None,
    };
    if how == CONSTANT {
        out.fill(T::get_le(r.take(size)?));
        r.end()?;
    } else {
        let index = r.count(chains.len().saturating_sub(1))?;
        let chain = chains.get(index).ok_or_else(|| Error::corrupt(format!("expected chain {index} of the array")))?;
        let site = Site { mask: special.as_ref().map(|s| &s.mask), origin: task.origin, companions: task.companions };
        if flags & CORRECTION == 0 {
            chain.decode(r.rest(), &site, T::wrap_mut(out))?;
        } else {
            chain.decode(r.section()?, &site, T::wrap_mut(out))?;
            correction::decode(r.rest(), out, shape, &task.hint)?;
        }
    }
    if let Some(s) = special {
        s.restore(out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::bound::Bound;
    use crate::codec::{Chain, Spec};
    use crate::container::Plan;

    #[test]
    fn payloads_tell_their_stages_without_being_decoded() {
        let smooth: Vec<f32> = (0..4096).map(|i| libm::sinf((i % 64) as f32 * 0.11) * 40.0 + (i / 64) as f32).collect();
        let noise: Vec<f32> = (0..4096u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761) >> 3)).collect();
        let mut holes = smooth.clone();
        holes[70..900].fill(f32::NAN);
        let (constant, mut few) = (vec![2.5; 4096], vec![2.5; 4096]);
        few[9] = f32::INFINITY;
        let shape = Shape::new(&[64, 64]).unwrap();
        let chains = ["raw", "lorenzo", "interp"].map(|n| Chain::parse(n).unwrap());
        let spec = Spec { dtype: DType::F32, shape };
        let bound_chains: Vec<_> = chains.iter().map(|c| c.bind(&[], &spec).unwrap()).collect();
        let candidates: Vec<_> =
            bound_chains.iter().enumerate().map(|(index, chain)| Candidate { index, chain }).collect();
        let mut seen = Vec::new();
        let mut bits = 1u64;
        let wild = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            f32::from_bits((bits >> 32) as u32)
        });
        let wild: Vec<f32> = wild.take(4096).collect();
        for x in [&smooth, &noise, &holes, &constant, &few, &wild] {
            for bound in [Bound::Lossless, Bound::Abs(0.01), Bound::PwRel(1e-3)] {
                let plan = Plan::new(&View::new(&[64, 64], x).unwrap(), &bound, None, false).unwrap();
                let origin = [0, 0];
                let task = Task {
                    criterion: &plan.criterion,
                    hint: plan.hint,
                    fill: None,
                    measure: true,
                    origin: &origin,
                    companions: &[],
                };
                for c in [&candidates[..], &[]] {
                    let mut payload = Vec::new();
                    let r = encode_block(Slice::F32(x), &shape, c, &task, &mut payload).unwrap();
                    assert_eq!(inspect_payload(&payload, DType::F32), Ok((r.outcome, r.stages)));
                    assert_eq!(r.stages.total(), payload.len() as u64);
                    seen.push((payload[0] & 3, payload[0] & SPECIALS != 0, payload[0] & CORRECTION != 0));
                    for cut in 0..payload.len().min(40) {
                        let _ = inspect_payload(&payload[..cut].to_vec(), DType::F32);
                    }
                }
            }
        }
        for how in [PLAIN, PACKED, CONSTANT, CHAIN] {
            assert!(seen.iter().any(|s| s.0 == how), "{how}");
        }
        assert!(seen.iter().any(|s| s.1) && seen.iter().any(|s| s.2));
        assert!(
            inspect_payload(&vec![0xf0, 0], DType::F32).is_err() && inspect_payload(&Vec::new(), DType::F32).is_err()
        );
        let long = [vec![CHAIN | SPECIALS], vec![0xff; 9], vec![1, 0]].concat();
        assert!(inspect_payload(&long, DType::F32).is_err());
    }
}
