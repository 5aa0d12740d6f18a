//! What the conformance tests share: data of every awkward kind, and a judge that trusts nothing.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::manual_is_multiple_of)]

use fieldpress::array::{Array, Buffer, Element, Shape};
use fieldpress::{dispatch, dispatch_dtype, Bound, DType};
use num_rational::BigRational;

/// Shapes of every rank up to 5, with edges of 0, 1 and primes.
pub const SHAPES: &[&[usize]] =
    &[&[], &[0], &[1], &[2, 0, 3], &[2], &[67], &[1, 31], &[13, 29], &[5, 7, 11], &[3, 4, 5, 7], &[2, 1, 3, 1, 5]];

/// A small deterministic generator (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Kinds of data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Smooth,
    Noisy,
    RandomBits,
    Specials,
    Constant,
    HugeRange,
    Filled,
    Extremes,
}

pub const KINDS: &[Kind] = &[
    Kind::Smooth,
    Kind::Noisy,
    Kind::RandomBits,
    Kind::Specials,
    Kind::Constant,
    Kind::HugeRange,
    Kind::Filled,
    Kind::Extremes,
];

/// An array of one kind.
pub fn data(kind: Kind, dtype: DType, shape: &[usize]) -> Array {
    fn make<T: Element>(kind: Kind, n: usize, r: &mut Random) -> Buffer {
        let amplitude = if T::BITS == 8 { 60.0 } else { 1000.0 };
        let smooth = |i: usize| {
            let t = i as f64;
            60.0 + amplitude * (libm::sin(t * 0.05) + 0.3 * libm::cos(t * 0.31)) * 0.5
        };
        let value = |i: usize, r: &mut Random| -> T {
            match kind {
                Kind::Smooth => T::from_f64(smooth(i)),
                Kind::Noisy => T::from_f64(smooth(i) + r.unit() * 10.0),
                Kind::RandomBits => T::from_bits64(r.next() >> (64 - T::BITS)),
                Kind::Constant => T::from_f64(37.25),
                Kind::HugeRange => {
                    let e = (r.unit() - 0.5) * if T::BITS == 32 { 70.0 } else { 600.0 };
                    T::from_f64(libm::exp10(e) * if r.next() % 2 == 0 { 1.0 } else { -1.0 })
                }
                Kind::Filled if T::DTYPE.is_float() && i % 7 < 3 => T::from_f64(1e20),
                Kind::Filled => T::from_f64(smooth(i)),
                Kind::Specials => match r.next() % 12 {
                    0 => T::from_f64(f64::NAN),
                    1 => T::from_f64(f64::INFINITY),
                    2 => T::from_f64(f64::NEG_INFINITY),
                    3 => T::from_f64(-0.0),
                    4 => T::from_bits64(1 + r.next() % 1000),
                    5 => T::from_f64(0.0),
                    _ => T::from_f64(smooth(i)),
                },
                Kind::Extremes => {
                    let steps = r.next() % 3;
                    let (lo, hi) = if T::DTYPE.is_float() {
                        (T::from_f64(f64::MIN).ordered(), T::from_f64(f64::MAX).ordered())
                    } else {
                        (0, u64::MAX >> (64 - T::BITS))
                    };
                    // For f32 the extreme doubles are infinite: two steps inward is the largest finite value.
                    let inward = if T::BITS == 32 && T::DTYPE.is_float() { 1 + steps } else { steps };
                    T::from_ordered(if r.next() % 2 == 0 { lo + inward } else { hi - inward })
                }
            }
        };
        T::into_buffer((0..n).map(|i| value(i, r)).collect())
    }
    let shape = Shape::new(shape).unwrap();
    let mut r = Random(kind as u64 * 1000 + dtype as u64);
    let buffer = dispatch_dtype!(dtype, T => make::<T>(kind, shape.len(), &mut r));
    Array::new(shape, buffer).unwrap()
}

/// Bounds of every sort, scaled to data of magnitude `scale`.
pub fn bounds() -> Vec<Bound> {
    vec![
        Bound::Lossless,
        Bound::Abs(0.7),
        Bound::Abs(1e-3),
        Bound::Abs(25.0),
        Bound::Abs(0.0),
        Bound::Rel(1e-2),
        Bound::Rel(1e-5),
        Bound::PwRel(1e-2),
        Bound::AbsOrRel { abs: 1e-2, rel: 1e-3 },
        Bound::L2(1e-3),
        Bound::Psnr(50.0),
        Bound::All(vec![Bound::Abs(3.0), Bound::Psnr(40.0)]),
        Bound::All(vec![Bound::Rel(1e-2), Bound::PwRel(0.1)]),
    ]
}

/// `|x - y| <= t`, in rational arithmetic where ordinary arithmetic is not clear enough.
fn at_most(x: f64, y: f64, t: f64) -> bool {
    let d = (x - y).abs();
    if d < t * (1.0 - 1e-12) {
        return true;
    }
    let exact = |v: f64| BigRational::from_float(v);
    match (exact(x), exact(y), exact(t)) {
        (Some(x), Some(y), Some(t)) => {
            let d = x - y;
            d <= t && -d.clone() <= t
        }
        _ => false,
    }
}

fn at_most_relative(x: f64, y: f64, rel: f64) -> bool {
    match (BigRational::from_float(x), BigRational::from_float(y), BigRational::from_float(rel)) {
        (Some(x), Some(y), Some(r)) => {
            let d = &x - &y;
            let zero = BigRational::from_integer(0.into());
            let limit = r * if x < zero { -x } else { x };
            d <= limit && -d.clone() <= limit
        }
        _ => false,
    }
}

/// Whether `y` may stand for `x` under `bound`, values outside `fill` and specials; `Err` says why not. Returns the number of
/// values it looked at. Written without the library's own decision procedures.
pub fn judge(x: &Array, y: &Array, bound: &Bound, fill: Option<u64>) -> Result<u64, String> {
    fn run<T: Element>(x: &[T], y: &Array, bound: &Bound, fill: Option<u64>) -> Result<u64, String> {
        let y = y.as_typed::<T>().ok_or("another element type")?;
        if x.len() != y.len() {
            return Err("another length".into());
        }
        let special = |v: T| !v.is_finite() || fill == Some(v.to_bits64());
        let mut valid: Vec<(T, T)> = Vec::new();
        for (i, (&a, &b)) in x.iter().zip(y).enumerate() {
            if (special(a) || a.is_negative_zero()) && a.to_bits64() != b.to_bits64() {
                return Err(format!("special value {a:?} at {i} became {b:?}"));
            }
            if !special(a) {
                valid.push((a, b));
            }
        }
        holds(&valid, bound)?;
        Ok(x.len() as u64)
    }
    fn difference<T: Element>(a: T, b: T) -> f64 {
        if T::DTYPE.is_float() {
            (a.to_f64() - b.to_f64()).abs()
        } else {
            a.ordered().abs_diff(b.ordered()) as f64
        }
    }
    fn holds<T: Element>(v: &[(T, T)], bound: &Bound) -> Result<(), String> {
        let wide = T::BITS == 64 && !T::DTYPE.is_float();
        let pointwise = |what: &str, ok: &dyn Fn(T, T) -> bool| match v
            .iter()
            .find(|(a, b)| a.to_bits64() != b.to_bits64() && !ok(*a, *b))
        {
            Some((a, b)) => Err(format!("{what}: {a:?} became {b:?}")),
            None => Ok(()),
        };
        let abs = |a: T, b: T, t: f64| {
            if wide {
                a.ordered().abs_diff(b.ordered()) as f64 <= t
            } else {
                at_most(a.to_f64(), b.to_f64(), t)
            }
        };
        let min = v.iter().map(|p| p.0.to_f64()).fold(f64::INFINITY, f64::min);
        let max = v.iter().map(|p| p.0.to_f64()).fold(f64::NEG_INFINITY, f64::max);
        let range = if v.is_empty() { 0.0 } else { (max - min).min(f64::MAX) };
        let squares = || v.iter().map(|(a, b)| difference(*a, *b)).map(|d| d * d).sum::<f64>();
        match bound {
            Bound::Lossless => pointwise("lossless", &|_, _| false),
            Bound::None => pointwise("none", &|_, b| b.is_finite()),
            Bound::Abs(t) => pointwise("abs", &|a, b| abs(a, b, *t)),
            Bound::Rel(r) => pointwise("rel", &|a, b| abs(a, b, r * range)),
            Bound::PwRel(r) => pointwise("pw_rel", &|a, b| wide || at_most_relative(a.to_f64(), b.to_f64(), *r)),
            Bound::AbsOrRel { abs: t, rel } => {
                pointwise("abs_or_rel", &|a, b| wide || abs(a, b, *t) || at_most_relative(a.to_f64(), b.to_f64(), *rel))
            }
            Bound::L2(l) => {
                let norm = v.iter().map(|p| p.0.to_f64() * p.0.to_f64()).sum::<f64>();
                let ok = squares().sqrt() <= l * norm.sqrt() * (1.0 + 1e-9) || squares() == 0.0;
                if ok {
                    Ok(())
                } else {
                    Err(format!("l2: {} against {}", squares().sqrt(), norm.sqrt()))
                }
            }
            Bound::H1(_) => Err("no gradient without elements".into()),
            Bound::Psnr(p) => {
                let rmse = (squares() / v.len().max(1) as f64).sqrt();
                let psnr = 20.0 * libm::log10(range / rmse);
                if rmse == 0.0 || psnr >= p - 1e-9 {
                    Ok(())
                } else {
                    Err(format!("psnr: {psnr}"))
                }
            }
            Bound::Positive => pointwise("positive", &|a, b| b.to_f64() >= 0.0 || a.to_f64() < 0.0),
            Bound::Moments(_) | Bound::Conserve => Err("nothing that single values tell".into()),
            Bound::All(list) => list.iter().try_for_each(|b| holds(v, b)),
        }
    }
    dispatch!(Slice, x.data(), v => run(v, y, bound, fill))
}
