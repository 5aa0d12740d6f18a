//! One block: block floating point, transform, order, bit planes.

use super::lift::{accumulate, difference, forward, inverse, order, Int};
use super::params::Params;
use super::planes::{self, join, split};
use super::stream::{Reader, Writer};
use crate::array::Element;

/// The element types of ZFP.
pub trait Scalar: Element {
    /// Integers of as many bits.
    type Int: Int;
    /// Bits of the exponent of a block; none for integers.
    const EXPONENT: u32;
    /// Whether a lossy mode can have such an integer: its magnitude is below a quarter of what the type has. True for floats.
    fn is_small(self) -> bool;
    /// The exponent common to the values plus the bias of their type, 0 when all are zero. For floats alone.
    fn exponent<const N: usize>(x: &[Self; N]) -> u32;
    /// Integers of two bits less than there are, for the biased exponent `e`; truncated.
    fn to_fixed<const N: usize>(x: &[Self; N], e: u32) -> [Self::Int; N];
    /// The inverse of [`Scalar::to_fixed`], in the arithmetic of the type.
    fn from_fixed<const N: usize>(q: &[Self::Int; N], e: u32) -> [Self; N];
    /// Whether [`Scalar::to_fixed`] and back gives the same bits. Tiny values, which the original cannot scale, are said not to.
    fn is_fixed<const N: usize>(x: &[Self; N], q: &[Self::Int; N], e: u32) -> bool;
    /// The bits as integers in the order of the values.
    fn to_signed<const N: usize>(x: &[Self; N]) -> [Self::Int; N];
    /// The inverse of [`Scalar::to_signed`].
    fn from_signed<const N: usize>(q: &[Self::Int; N]) -> [Self; N];
}

macro_rules! float {
    ($t:ident, $i:ident, $u:ident, $exponent:literal, $mantissa:literal) => {
        const _: () = {
            const BIAS: i32 = (1 << ($exponent - 1)) - 1;

            /// `2^e`, rounded where it is tiny; `e` is at most the bias.
            #[inline(always)]
            fn power_of_two(e: i32) -> $t {
                $t::from_bits(if e > -BIAS {
                    ((e + BIAS) as $u) << $mantissa
                } else if e >= 1 - BIAS - $mantissa {
                    1 << (e + BIAS - 1 + $mantissa)
                } else {
                    0
                })
            }

        impl Scalar for $t {
            type Int = $i;
            const EXPONENT: u32 = $exponent;
            #[inline(always)]
            fn is_small(self) -> bool {
                true
            }
            #[inline(always)]
            fn exponent<const N: usize>(x: &[Self; N]) -> u32 {
                let largest = x.iter().fold(0, |m, v| (v.abs().to_bits() as $i).max(m));
                // What is not finite has no exponent of its own.
                ((largest >> $mantissa) as u32 + u32::from(largest > 0)).min((1 << $exponent) - 1)
            }
            #[inline(always)]
            fn to_fixed<const N: usize>(x: &[Self; N], e: u32) -> [$i; N] {
                // By shifts: no power of two is large enough to scale tiny values, and casts that saturate are slow.
                const ROOM: u32 = $u::BITS - 2 - $mantissa;
                let mut q = [0; N];
                for (q, x) in q.iter_mut().zip(x) {
                    let bits = x.abs().to_bits();
                    let field = bits >> $mantissa;
                    let mantissa = bits & ((1 << $mantissa) - 1) | field.min(1) << $mantissa;
                    let down = (e as $u).wrapping_sub(field.max(1)).min($u::BITS as $u - 1);
                    let magnitude = (mantissa << ROOM >> down) as $i;
                    let sign = x.to_bits() as $i >> ($i::BITS - 1);
                    *q = (magnitude ^ sign) - sign;
                }
                q
            }
            #[inline(always)]
            fn from_fixed<const N: usize>(q: &[$i; N], e: u32) -> [$t; N] {
                let scale = power_of_two(e as i32 - BIAS - ($i::BITS as i32 - 2));
                let mut x = [0.0; N];
                x.iter_mut().zip(q).for_each(|(x, &q)| *x = q as $t * scale);
                x
            }
            #[inline(always)]
            fn is_fixed<const N: usize>(x: &[Self; N], q: &[$i; N], e: u32) -> bool {
                let back = Self::from_fixed(q, e);
                e >= $i::BITS - 2 && x.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            #[inline(always)]
            fn to_signed<const N: usize>(x: &[Self; N]) -> [$i; N] {
                x.map(|x| x.to_bits() as $i ^ ((x.to_bits() as $i >> ($i::BITS - 1)) & $i::MAX))
            }
            #[inline(always)]
            fn from_signed<const N: usize>(q: &[$i; N]) -> [Self; N] {
                q.map(|q| $t::from_bits((q ^ ((q >> ($i::BITS - 1)) & $i::MAX)) as $u))
            }
        }
        };
    };
}

float!(f32, i32, u32, 8, 23);
float!(f64, i64, u64, 11, 52);

macro_rules! integer {
    ($t:ident) => {
        impl Scalar for $t {
            type Int = $t;
            const EXPONENT: u32 = 0;
            #[inline(always)]
            fn is_small(self) -> bool {
                self.unsigned_abs() < 1 << ($t::BITS - 2)
            }
            #[inline(always)]
            fn exponent<const N: usize>(_: &[Self; N]) -> u32 {
                0
            }
            #[inline(always)]
            fn to_fixed<const N: usize>(x: &[Self; N], _: u32) -> [$t; N] {
                *x
            }
            #[inline(always)]
            fn from_fixed<const N: usize>(q: &[$t; N], _: u32) -> [$t; N] {
                *q
            }
            #[inline(always)]
            fn is_fixed<const N: usize>(_: &[Self; N], _: &[$t; N], _: u32) -> bool {
                true
            }
            #[inline(always)]
            fn to_signed<const N: usize>(x: &[Self; N]) -> [$t; N] {
                *x
            }
            #[inline(always)]
            fn from_signed<const N: usize>(q: &[$t; N]) -> [$t; N] {
                *q
            }
        }
    };
}

integer!(i32);
integer!(i64);

/// Bit planes of a block of floats with the biased exponent `e`.
#[inline(always)]
fn precision<T: Scalar, const N: usize>(p: &Params, e: u32) -> u32 {
    if T::EXPONENT == 0 {
        return p.max_precision;
    }
    let bias = (1 << (T::EXPONENT - 1)) - 1;
    let rank = N.ilog2() as i32 / 2;
    let wanted = e as i32 - bias - p.min_exponent + 2 * (rank + 1);
    p.max_precision.min(wanted.max(0) as u32)
}

/// Bits that say how many planes a block of the reversible mode has.
const fn precision_bits<I: Int>() -> u32 {
    I::BITS.ilog2()
}

/// Codes one block of `N = 4^d` values, and appends it; `W` words are a bit plane.
#[inline(always)]
pub(super) fn encode<T: Scalar, const N: usize, const R: usize, const W: usize>(
    x: &[T; N],
    p: &Params,
    w: &mut Writer<'_>,
) {
    let start = w.bits();
    if p.is_reversible() {
        encode_reversible::<T, N, R, W>(x, p, w);
    } else {
        encode_lossy::<T, N, R, W>(x, p, w);
    }
    let used = (w.bits() - start) as u32;
    w.pad(p.min_bits.saturating_sub(used));
}

#[inline(always)]
fn encode_lossy<T: Scalar, const N: usize, const R: usize, const W: usize>(x: &[T; N], p: &Params, w: &mut Writer<'_>) {
    let e = T::exponent(x);
    let precision = precision::<T, N>(p, e).min(T::Int::BITS);
    let mut used = 0;
    if T::EXPONENT > 0 {
        if e == 0 || precision == 0 {
            return w.put(0, 1);
        }
        used = 1 + T::EXPONENT;
        w.put(u64::from(2 * e + 1), used);
    }
    let mut q = T::to_fixed(x, e);
    forward(&mut q);
    put_planes::<T::Int, N, R, W>(&q, precision, p.max_bits - used, w);
}

#[inline(always)]
fn encode_reversible<T: Scalar, const N: usize, const R: usize, const W: usize>(
    x: &[T; N],
    p: &Params,
    w: &mut Writer<'_>,
) {
    let mut used = 0;
    let mut q = T::to_signed(x);
    if T::EXPONENT > 0 {
        let e = T::exponent(x);
        let fixed = T::to_fixed(x, e);
        let zero = q.iter().all(|q| *q == T::Int::default());
        if zero {
            return w.put(0, 1);
        }
        if e > 0 && T::is_fixed(x, &fixed, e) {
            used = 2 + T::EXPONENT;
            w.put(u64::from(4 * e + 1), used);
            q = fixed;
        } else {
            used = 2;
            w.put(3, used);
        }
    }
    difference(&mut q);
    let any = q.iter().fold(0, |any, q| any | q.negabinary());
    let precision = T::Int::BITS.saturating_sub(any.trailing_zeros()).min(p.max_precision).max(1);
    w.put(u64::from(precision - 1), precision_bits::<T::Int>());
    used += precision_bits::<T::Int>();
    put_planes::<T::Int, N, R, W>(&q, precision, p.max_bits - used, w);
}

#[inline(always)]
fn put_planes<I: Int, const N: usize, const R: usize, const W: usize>(
    q: &[I; N],
    precision: u32,
    most: u32,
    w: &mut Writer<'_>,
) {
    let mut u = [I::default(); N];
    for (u, &at) in u.iter_mut().zip(order::<N>()) {
        *u = q[usize::from(at) % N];
    }
    planes::encode::<R, W>(&split(&u), I::BITS, precision, most, w);
}

/// Reads one block. Total on all bits.
#[inline(always)]
pub(super) fn decode<T: Scalar, const N: usize, const R: usize, const W: usize>(
    p: &Params,
    r: &mut Reader<'_>,
) -> [T; N] {
    let start = r.bits();
    let x = if p.is_reversible() { decode_reversible::<T, N, R, W>(p, r) } else { decode_lossy::<T, N, R, W>(p, r) };
    if p.min_bits > 1 {
        let used = (r.bits() - start) as u32;
        r.skip(p.min_bits.saturating_sub(used));
    }
    x
}

#[inline(always)]
fn decode_lossy<T: Scalar, const N: usize, const R: usize, const W: usize>(p: &Params, r: &mut Reader<'_>) -> [T; N] {
    let (mut used, mut e) = (0, 0);
    if T::EXPONENT > 0 {
        if r.get(1) == 0 {
            return [T::default(); N];
        }
        e = r.get(T::EXPONENT) as u32;
        used = 1 + T::EXPONENT;
    }
    let precision = precision::<T, N>(p, e).min(T::Int::BITS);
    let mut q = get_planes::<T::Int, N, R, W>(precision, p.max_bits - used, r);
    inverse(&mut q);
    T::from_fixed(&q, e)
}

#[inline(always)]
fn decode_reversible<T: Scalar, const N: usize, const R: usize, const W: usize>(
    p: &Params,
    r: &mut Reader<'_>,
) -> [T; N] {
    let (mut used, mut e) = (0, None);
    if T::EXPONENT > 0 {
        if r.get(1) == 0 {
            return [T::default(); N];
        }
        used = 2;
        if r.get(1) == 0 {
            e = Some(r.get(T::EXPONENT) as u32);
            used += T::EXPONENT;
        }
    }
    let precision = r.get(precision_bits::<T::Int>()) as u32 + 1;
    used += precision_bits::<T::Int>();
    let mut q = get_planes::<T::Int, N, R, W>(precision, p.max_bits - used, r);
    accumulate(&mut q);
    match e {
        Some(e) => T::from_fixed(&q, e),
        None => T::from_signed(&q),
    }
}

#[inline(always)]
fn get_planes<I: Int, const N: usize, const R: usize, const W: usize>(
    precision: u32,
    most: u32,
    r: &mut Reader<'_>,
) -> [I; N] {
    let mut bits = [[0; R]; W];
    planes::decode::<R, W>(&mut bits, I::BITS, precision, most, r);
    let mut u = [I::default(); N];
    join(bits, &mut u);
    let mut q = [I::default(); N];
    for (u, &at) in u.iter().zip(order::<N>()) {
        q[usize::from(at) % N] = *u;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_integers_by_truncation() {
        let tiny = |b: u32| f32::from_bits(b);
        let x =
            [0.0, -0.0, tiny(1), -tiny(0x7f_ffff), tiny(0x80_0000), 3.0e-38, -1.7e-30, 5.0e-28, 0.3, -1.0, 7.9, -1e9];
        for n in 1..=x.len() {
            // The last value is the largest.
            let block: [f32; 16] = std::array::from_fn(|i| x[i % n]);
            let e = f32::exponent(&block);
            let (mut power, half) = (1.0, e < 157);
            (0..e.abs_diff(157)).for_each(|_| power *= if half { 2.0 } else { 0.5 });
            let exact = block.map(|x| (f64::from(x) * power) as i32);
            assert_eq!(f32::to_fixed(&block, e), exact, "{n}");
            assert!(n < 3 || exact.iter().any(|q| q.abs() >= 1 << 29) || e == 1, "{n} {e}");
        }
        let block = [1.5, -f64::from_bits(1), f64::MIN_POSITIVE, -0.75];
        let e = f64::exponent(&block);
        assert_eq!((e, f64::to_fixed(&block, e)), (1024, [3 << 60, 0, 0, -3 << 59]));
        let e = f64::exponent(&[0.0, f64::from_bits(1), 0.0, 0.0]);
        assert_eq!(
            (e, f64::to_fixed(&[0.0, -f64::from_bits(5), f64::MIN_POSITIVE / 2.0, 0.0], e)),
            (1, [0, -5 << 10, 1 << 61, 0])
        );
    }

    #[test]
    fn what_is_not_finite_is_not_lost_in_reversible_blocks() {
        let x = [f32::NAN, f32::NEG_INFINITY, 1.0, -0.0];
        for params in [Params::REVERSIBLE, Params::ALL] {
            let mut bytes = Vec::new();
            let mut w = Writer::new(&mut bytes);
            encode::<f32, 4, 4, 1>(&x, &params, &mut w);
            w.finish();
            let y: [f32; 4] = decode::<f32, 4, 4, 1>(&params, &mut Reader::new(&bytes));
            assert!(!params.is_reversible() || x.map(f32::to_bits) == y.map(f32::to_bits));
        }
    }
}
