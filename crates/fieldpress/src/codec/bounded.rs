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
//! | 1 | bits 0-1, how the rest is stored: 0 plain, 1 packed, 2 constant, 3 chain; bit 2: special values follow; with a chain also bit 3: a correction follows; bit 4: the bytes are in the order of levels, see `levels`; bit 5: negative values of the chain's decoding are replaced by 0; bit 6: a repair follows; bit 4 not with 5 or 6, other bits 0 |
//! | n * size | plain: the values, little-endian, C order |
//! | rest | packed: the plain bytes shuffled (byte 0 of every value, then byte 1, ...) as one Zstandard frame |
//! | section | with bit 2: special values, see `specials` |
//! | size | constant: the value of every other point, little-endian |
//! | varint | chain: which of the array's chains |
//! | section | chain with bit 3 or 6: the chain's encoding; else it is the rest |
//! | section | chain with bits 3 and 6: the correction, see `correction`; with bit 3 alone it is the rest |
//! | rest | chain with bit 6: the repair, see `repair` |

use std::borrow::Cow;

use super::chain::BoundChain;
use super::contract::{Block, Claim, Companions, Site};
use super::moments::{self, Pair};
use super::payload::{kind, Outcome, StageBytes, CHAIN, CLAMP, CONSTANT, CORRECTION, PACKED, PLAIN, REPAIR, SPECIALS};
use super::repair::Repair;
use super::{correction, holes, levels, specials};
use crate::array::{Element, Mask, Region, Shape, Slice, SliceMut};
use crate::bits::{put_section, put_varint, ByteReader, Sum};
use crate::bound::{Criterion, Term};
use crate::dispatch;
use crate::error::{Error, ErrorKind, Result};
use crate::sem::Norm;
use crate::vdf::{Distributions, Place};

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
    /// The norm in which limits on the whole array are meant; `None` for the plain sum over values. Blocks hold whole elements then.
    pub norm: Option<&'a Norm>,
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
    /// Which values are which velocity distribution, where that is known.
    pub distributions: Option<&'a Distributions>,
}

impl Task<'_> {
    /// The distributions of the array, and which values of a block of `shape` they are. Errors: `InvalidArgument` where there are none, or
    /// some lie in the block partly.
    fn places(&self, shape: &Shape) -> Result<(&Distributions, Vec<Place>)> {
        let all =
            self.distributions.ok_or_else(|| Error::invalid("expected velocity distributions, found another array"))?;
        Ok((all, all.within(&Region::new(&all.shape(), self.origin, shape)?)?))
    }
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
    /// The same in the norm of the task, if it has one; else the sum again.
    pub square: f64,
    /// The integral of the square of the error's gradient; 0 without a norm, or where nothing is asked of it.
    pub gradient: f64,
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
        square: 0.0,
        gradient: 0.0,
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
    let site = Site {
        mask: mask.as_ref(),
        origin: task.origin,
        companions: task.companions,
        mean_square: task.criterion.is_mean_square(),
    };
    let block = Block { shape: *shape, values: T::wrap(&filled), site };
    // Where the quantities of interest cannot be had with the tolerance, smaller ones are tried.
    let once = task.criterion.quantities.is_empty() || task.hint.is_free();
    let scales: &[f64] = if once { &[1.0] } else { &[1.0, 0.3, 0.03, 1e-3] };
    let mut best: Option<BlockReport> = None;
    for c in candidates {
        let at = out.len();
        for scale in scales {
            match with_chain(x, &block, c, task, *scale, flag, &head, &base, out) {
                Ok(r) if best.as_ref().is_none_or(|b| r.stages.total() < b.stages.total()) => {
                    out.drain(start..at);
                    best = Some(r);
                    break;
                }
                Ok(_) => {
                    out.truncate(at);
                    break;
                }
                Err(e) if e.kind() == ErrorKind::InvalidArgument => out.truncate(at),
                Err(e) => return Err(e),
            }
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

/// One chain's payload, with its tolerance scaled.
#[allow(clippy::too_many_arguments)]
fn with_chain<T: Element>(
    x: &[T],
    block: &Block<'_>,
    candidate: &Candidate<'_>,
    task: &Task<'_>,
    scale: f64,
    mut flag: u8,
    head: &[u8],
    base: &BlockReport,
    out: &mut Vec<u8>,
) -> Result<BlockReport> {
    let mut bytes = Vec::new();
    let hint = if scale == 1.0 { task.hint } else { Term { abs: task.hint.abs * scale, rel: task.hint.rel * scale } };
    let claim = candidate.chain.encode(block, &hint, &mut bytes)?;
    let mut report = BlockReport { outcome: Outcome::Chain(candidate.index), ..*base };
    let (mut fix, mut repair) = (Vec::new(), Vec::new());
    // The claim is about the hint; it settles the bound only where the hint implies every term of it.
    let implied = task.criterion.terms.iter().all(|t| t.abs >= task.hint.abs && t.rel >= task.hint.rel);
    let settled = implied && task.criterion.is_pointwise() && !task.hint.is_free();
    if claim == Claim::Bounded && settled && !task.measure {
        report.measured = false;
        report.max_error = task.hint.abs;
    } else {
        let decoded = match claim {
            Claim::Decoded(values) => T::from_buffer(values).filter(|y| y.len() == x.len()),
            _ => None,
        };
        let mut y = match decoded {
            Some(y) => y,
            None => {
                let mut y = vec![T::default(); x.len()];
                candidate.chain.decode(&bytes, &block.site, T::wrap_mut(&mut y))?;
                y
            }
        };
        let mask = block.site.mask;
        let masked = |i: usize| mask.is_some_and(|m| m.is_masked(i));
        let free;
        let criterion = match task.criterion.terms.is_empty() {
            true => {
                free = Criterion { terms: vec![Term::FREE], ..task.criterion.clone() };
                &free
            }
            false => task.criterion,
        };
        if criterion.positive && clamping_pays(x, &y, mask, criterion) {
            clamp(&mut y);
            flag |= CLAMP;
        }
        let pairs = || x.iter().zip(&y).enumerate().filter(|(i, _)| !masked(*i)).map(|(_, p)| p);
        report.corrected = pairs().filter(|(&x, &y)| !criterion.allows(x, y)).count() as u64;
        if report.corrected > 0 {
            correction::encode(x, &mut y, &block.shape, mask, criterion, &task.hint, &mut fix);
        }
        if !criterion.quantities.is_empty() {
            let (all, places) = task.places(&block.shape)?;
            let pair = Pair { x, y: &mut y, mask, criterion, hint: task.hint };
            if let Some(r) = moments::repair(pair, all, &places)? {
                repair = r.to_bytes();
            }
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
        report.square = report.square_error;
        if let Some(norm) = task.norm {
            let error = |(i, (x, y)): (usize, (&T, &T))| if masked(i) { 0.0 } else { x.to_f64() - y.to_f64() };
            let errors: Vec<f64> = x.iter().zip(&y).enumerate().map(error).collect();
            let first = task.origin.first().copied().unwrap_or(0);
            report.square = norm.square(first, &errors);
            report.gradient = if criterion.gradient_sum.is_some() { norm.gradient(first, &errors) } else { 0.0 };
        }
    }
    let start = out.len();
    let present = |part: &[u8], bit| if part.is_empty() { 0 } else { bit };
    out.push(CHAIN | flag | present(&fix, CORRECTION) | present(&repair, REPAIR));
    out.extend_from_slice(head);
    put_varint(out, candidate.index as u64);
    let parts = [&bytes, &fix, &repair];
    let last = parts.iter().rposition(|p| !p.is_empty()).unwrap_or(0);
    for (k, part) in parts.into_iter().enumerate() {
        match k == last {
            true => out.extend_from_slice(part),
            false if k < last && (k == 0 || !part.is_empty()) => put_section(out, part),
            false => {}
        }
    }
    report.stages.values = bytes.len() as u64;
    report.stages.correction = (fix.len() + repair.len()) as u64;
    let rest = bytes.len() + fix.len() + repair.len();
    report.stages.framing = (out.len() - start - head.len() - rest) as u64;
    Ok(report)
}

/// Whether more values became negative than would be lost if none did.
fn clamping_pays<T: Element>(x: &[T], y: &[T], mask: Option<&Mask>, criterion: &Criterion) -> bool {
    let valid = |(i, pair): (usize, (T, T))| (!mask.is_some_and(|m| m.is_masked(i))).then_some(pair);
    let pairs = x.iter().copied().zip(y.iter().copied()).enumerate().filter_map(valid);
    let gain = |(x, _): (T, T)| if x.to_f64() < 0.0 { -i64::from(!criterion.allows(x, T::default())) } else { 1 };
    pairs.filter(|(_, y)| y.to_f64() < 0.0).map(gain).sum::<i64>() > 0
}

/// Replaces what is below 0 by 0.
fn clamp<T: Element>(y: &mut [T]) {
    y.iter_mut().filter(|v| v.to_f64() < 0.0).for_each(|v| *v = T::default());
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
        let site = Site {
            mask: special.as_ref().map(|s| &s.mask),
            origin: task.origin,
            companions: task.companions,
            mean_square: task.criterion.is_mean_square(),
        };
        let mut part = |is_last: bool| if is_last { Ok(r.rest()) } else { r.section() };
        let follows = flags & (CORRECTION | REPAIR);
        let encoding = part(follows == 0)?;
        chain.decode(encoding, &site, T::wrap_mut(out))?;
        if flags & CLAMP != 0 {
            clamp(out);
        }
        if flags & CORRECTION != 0 {
            correction::decode(part(flags & REPAIR == 0)?, out, shape, &task.hint)?;
        }
        if flags & REPAIR != 0 {
            let (all, places) = task.places(shape).map_err(|e| Error::corrupt(e.message()))?;
            Repair::from_bytes(part(true)?, out.len(), places.len())?.apply(out, all, &places);
        }
    }
    if let Some(s) = special {
        s.restore(out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::payload::inspect_payload;
    use super::*;
    use crate::array::{DType, View};
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
                    distributions: None,
                    norm: None,
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
