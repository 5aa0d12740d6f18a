//! What is added to an approximation so that the bound holds.
//!
//! Two fields of integers, one per point, mostly zero. The first holds multiples of a step near twice the tolerance:
//! `y + q * step`. Where that does not suffice (the bound is exact, or rounding in the element type gets in the way) the
//! second holds the difference of the [ordered](crate::array::Element::ordered) integers, which restores `x` itself.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | section | the field of multiples |
//! | rest | the field of ordered differences |
//!
//! A field is one byte for the mode, then, with contexts as in [`IntModel`]:
//! - 0: every integer is zero; nothing follows.
//! - 1, sparse: varint count; then range coded for each non-zero integer the number of zeros since the last one
//!   (context 0), and the integer (context 1).
//! - 2, dense: every integer range coded in C order, its context the bit length (at most 15) of
//!   `2 |a| + 2 |b| + |c|`, saturating, where `a` is the point before, `b` the one a row before, `c` the one a plane
//!   before; rows and planes as [`Shape::to_3d`] joins the axes, integers outside counting zero.

use crate::array::{Element, Mask, Shape};
use crate::bits::{put_section, put_varint, ByteReader};
use crate::bound::{Criterion, Term};
use crate::entropy::{BinaryDecoder, BinaryEncoder, IntModel};
use crate::error::{Error, Result};

const ZERO: u8 = 0;
const SPARSE: u8 = 1;
const DENSE: u8 = 2;
const CONTEXTS: usize = 16;

/// The step at a point whose approximation is `y`, for a tolerance `term`; 0 where multiples are of no use.
#[inline(always)]
fn step_at<T: Element>(y: T, term: &Term) -> f64 {
    let t = term.at(y.to_f64());
    if T::DTYPE.is_float() {
        2.0 * t
    } else {
        2.0 * t.floor() + 1.0
    }
}

#[inline(always)]
fn moved<T: Element>(y: T, q: i64, term: &Term) -> T {
    T::from_f64(y.to_f64() + q as f64 * step_at(y, term))
}

#[inline(always)]
fn ordered_difference<T: Element>(x: T, y: T) -> i64 {
    let shift = 64 - T::BITS;
    ((x.ordered().wrapping_sub(y.ordered()) << shift) as i64) >> shift
}

#[inline(always)]
fn ordered_sum<T: Element>(y: T, d: i64) -> T {
    T::from_ordered(y.ordered().wrapping_add(d as u64))
}

/// Appends the correction that makes `criterion` hold at every unmasked point, and applies it to `y`.
pub(super) fn encode<T: Element>(
    x: &[T],
    y: &mut [T],
    shape: &Shape,
    mask: Option<&Mask>,
    criterion: &Criterion,
    term: &Term,
    out: &mut Vec<u8>,
) {
    let mut multiples = vec![0i64; x.len()];
    let mut exact = vec![0i64; x.len()];
    for (i, (&x, y)) in x.iter().zip(y.iter_mut()).enumerate() {
        if mask.is_some_and(|m| m.is_masked(i)) || criterion.allows(x, *y) {
            continue;
        }
        if !term.is_exact() {
            let q = ((x.to_f64() - y.to_f64()) / step_at(*y, term)).round();
            let fits = q.abs() < (1u64 << 40) as f64;
            let candidate = moved(*y, if fits { q as i64 } else { 0 }, term);
            if fits && q != 0.0 && criterion.allows(x, candidate) {
                multiples[i] = q as i64;
                *y = candidate;
                continue;
            }
        }
        exact[i] = ordered_difference(x, *y);
        *y = x;
    }
    put_section(out, &encode_field(&multiples, shape));
    out.extend_from_slice(&encode_field(&exact, shape));
}

/// Applies a correction to the approximation `y`. Total on hostile bytes.
pub(super) fn decode<T: Element>(bytes: &[u8], y: &mut [T], shape: &Shape, term: &Term) -> Result<()> {
    let mut r = ByteReader::new(bytes);
    decode_field(r.section()?, shape, |i, q| {
        if let Some(y) = y.get_mut(i) {
            *y = moved(*y, q, term);
        }
    })?;
    decode_field(r.rest(), shape, |i, d| {
        if let Some(y) = y.get_mut(i) {
            *y = ordered_sum(*y, d);
        }
    })
}

fn encode_field(v: &[i64], shape: &Shape) -> Vec<u8> {
    let count = v.iter().filter(|&&q| q != 0).count();
    if count == 0 {
        return vec![ZERO];
    }
    let sparse = (count < v.len() / 8).then(|| {
        let mut out = vec![SPARSE];
        put_varint(&mut out, count as u64);
        let (mut enc, mut model) = (BinaryEncoder::new(), IntModel::new(2));
        let mut gap = 0;
        for &q in v {
            if q == 0 {
                gap += 1;
            } else {
                model.encode(&mut enc, gap, 0);
                model.encode(&mut enc, q, 1);
                gap = 0;
            }
        }
        out.extend_from_slice(&enc.finish());
        out
    });
    // Contexts only pay where corrections are close to each other.
    let dense = (sparse.is_none() || count > v.len() / 64).then(|| {
        let mut out = vec![DENSE];
        let (mut enc, mut model) = (BinaryEncoder::new(), IntModel::new(CONTEXTS));
        let reach = Reach::new(shape);
        for (i, &q) in v.iter().enumerate() {
            model.encode(&mut enc, q, reach.context(v, i));
        }
        out.extend_from_slice(&enc.finish());
        out
    });
    match (sparse, dense) {
        (Some(s), Some(d)) => {
            if s.len() <= d.len() {
                s
            } else {
                d
            }
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => vec![ZERO],
    }
}

fn decode_field(bytes: &[u8], shape: &Shape, mut apply: impl FnMut(usize, i64)) -> Result<()> {
    let n = shape.len();
    let mut r = ByteReader::new(bytes);
    match r.u8()? {
        ZERO => r.end(),
        SPARSE => {
            let count = r.count(n)?;
            let (mut dec, mut model) = (BinaryDecoder::new(r.rest()), IntModel::new(2));
            let mut at = 0usize;
            for _ in 0..count {
                let gap = usize::try_from(model.decode(&mut dec, 0)).ok();
                at = gap.and_then(|g| at.checked_add(g)).filter(|&i| i < n).ok_or_else(|| {
                    Error::corrupt(format!("expected corrections inside {n} points, found one outside"))
                })?;
                apply(at, model.decode(&mut dec, 1));
                at += 1;
            }
            dec.finish()
        }
        DENSE => {
            let (mut dec, mut model) = (BinaryDecoder::new(r.rest()), IntModel::new(CONTEXTS));
            let reach = Reach::new(shape);
            let mut v = vec![0i64; n];
            for i in 0..n {
                let q = model.decode(&mut dec, reach.context(&v, i));
                v[i] = q;
                if q != 0 {
                    apply(i, q);
                }
            }
            dec.finish()
        }
        mode => Err(Error::corrupt(format!("expected a correction of mode 0 to 2, found {mode}"))),
    }
}

/// How far back the neighbours of the dense contexts are.
struct Reach {
    row: usize,
    plane: usize,
}

impl Reach {
    fn new(shape: &Shape) -> Reach {
        let [_, ny, nx] = shape.to_3d();
        Reach { row: nx, plane: nx * ny }
    }
    #[inline(always)]
    fn context(&self, v: &[i64], i: usize) -> usize {
        let back = |n: usize| i.checked_sub(n).and_then(|j| v.get(j)).map_or(0, |q| q.unsigned_abs());
        let near = back(1).saturating_add(back(self.row));
        let sum = near.saturating_add(near).saturating_add(back(self.plane));
        (64 - sum.leading_zeros() as usize).min(CONTEXTS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Element>(x: &[T], y: &[T], term: Term) -> usize {
        let shape = Shape::new(&[x.len()]).unwrap();
        let criterion = Criterion { terms: vec![term], ..Criterion::FREE };
        let (mut corrected, mut bytes) = (y.to_vec(), Vec::new());
        encode(x, &mut corrected, &shape, None, &criterion, &term, &mut bytes);
        let mut decoded = y.to_vec();
        decode(&bytes, &mut decoded, &shape, &term).unwrap();
        for ((x, c), d) in x.iter().zip(&corrected).zip(&decoded) {
            assert!(criterion.allows(*x, *d), "{x:?} {d:?}");
            assert_eq!(c.to_bits64(), d.to_bits64());
        }
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], &mut y.to_vec(), &shape, &term).is_err(), "prefix {cut} of {}", bytes.len());
        }
        bytes.len()
    }

    #[test]
    fn the_bound_holds_after_correction() {
        let wave = |i: usize| libm::sin(i as f64 * 0.37) * 100.0;
        let x: Vec<f32> = (0..2000).map(|i| wave(i) as f32).collect();
        let mut y = x.clone();
        assert!(check(&x, &y, Term { abs: 0.1, rel: 0.0 }) < 4);
        y.iter_mut().step_by(100).for_each(|v| *v += 5.0);
        assert!(check(&x, &y, Term { abs: 0.1, rel: 0.0 }) < 80);
        check(&x, &vec![0.0; 2000], Term { abs: 0.1, rel: 0.0 });
        check(&x, &y, Term::EXACT);
        check(&x, &vec![1e30; 2000], Term { abs: 1e-3, rel: 1e-4 });
        check(&x, &vec![f32::NAN; 2000], Term { abs: 1e-3, rel: 0.0 });
        let x: Vec<i64> = (0..500).map(|i| i64::MAX - i * i).collect();
        check(&x, &vec![i64::MIN; 500], Term { abs: 3.5, rel: 0.0 });
        let x: Vec<u8> = (0..=255).collect();
        check(&x, &[0; 256], Term { abs: 2.0, rel: 0.1 });
    }
}
