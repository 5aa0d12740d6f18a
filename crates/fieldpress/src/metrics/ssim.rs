//! Mean structural similarity: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
//! structural similarity", IEEE Transactions on Image Processing 13(4), 2004.
//!
//! For every window the means `mx md`, variances `vx vd` and covariance `c` (all over the number of points in the
//! window) of original and decoded give
//!
//! ```text
//! ssim = (2 mx md + C1) (2 c + C2) / ((mx^2 + md^2 + C1) (vx + vd + C2)),   C1 = (0.01 L)^2,  C2 = (0.03 L)^2
//! ```
//!
//! where L is the value range of the whole original. The result is the mean over all windows that lie inside the array
//! and touch no special point. Windows are uniform boxes, 7 wide, at every position (step 1), over the last three axes
//! longer than 1 (fewer if the array has fewer; slices along other axes do not mix); an axis shorter than 7 is covered
//! whole. Other tools differ in window (Gaussian), step (2 in some), normalisation (n - 1) or range (per window), so
//! compare numbers of one tool only.

use super::comparison::Comparison;
use super::difference::{counts, Unit};
use super::pairs;
use crate::array::{Element, Grid, Region, Shape, Source, MAX_RANK};
use crate::bits::Sum;
use crate::dispatch;
use crate::error::{Error, Result};

const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;
/// How many windows are worked on at once, about: what is worked on stays in the second-level cache.
const PART: usize = 1 << 15;
/// How many sums are formed at once.
const PIECE: usize = 1024;
/// Decoded values further out than this many ranges are taken as this far: their squares must stay finite.
const FAR: f64 = 1e100;

/// How structural similarity is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssim {
    window: usize,
    axes: usize,
}

/// Windows 7 wide over the last three axes longer than 1.
impl Default for Ssim {
    fn default() -> Ssim {
        Ssim { window: 7, axes: 3 }
    }
}

impl Ssim {
    /// Windows `window` wide over the last `axes` axes longer than 1: 2 takes a volume slice by slice.
    /// Errors: `InvalidArgument` when either is 0.
    pub fn new(window: usize, axes: usize) -> Result<Ssim> {
        if window == 0 || axes == 0 {
            return Err(Error::invalid(format!("expected a window and axes of at least 1, found {window} and {axes}")));
        }
        Ok(Ssim { window, axes })
    }

    /// The mean structural similarity, at most 1; 1 for identical arrays. `comparison` is the first pass over the same
    /// arrays and says what the value range and the fill value are.
    ///
    /// NaN where there is no window without special points, or a counted value was decoded to NaN or infinity. An
    /// original whose counted values are all equal has no range: 1 if they were restored exactly, 0 if not.
    /// Reads both arrays in parts, on all threads: memory stays bounded.
    /// Errors: `InvalidArgument` unless type and shape agree; whatever reading returns.
    pub fn mean(&self, original: &dyn Source, decoded: &dyn Source, comparison: &Comparison) -> Result<f64> {
        pairs::check(original, decoded, None)?;
        let shape = original.shape();
        if comparison.n == 0 || comparison.non_finite > 0 || shape.is_empty() {
            return Ok(f64::NAN);
        }
        if comparison.range.is_zero() {
            return Ok(if comparison.max_error == 0.0 { 1.0 } else { 0.0 });
        }
        let (window, grid) = self.plan(&shape)?;
        let (unit, fill) = (Unit::new(comparison.range), comparison.fill);
        let (mut total, mut windows) = (Sum::default(), 0u64);
        pairs::for_each_block(
            &grid,
            |origins| {
                let mut dims = [0; MAX_RANK];
                for (k, d) in dims.iter_mut().enumerate().take(shape.rank()) {
                    *d = origins.shape()[k] + window[k] - 1;
                }
                let region = Region::new(&shape, origins.origin(), &dims[..shape.rank()])?;
                let (x, d) = pairs::read(original, decoded, &region)?;
                Ok(dispatch!(Buffer, &x, x => {
                    let d = Element::of(d.as_slice()).unwrap_or_default();
                    of_block(x, d, &region.shape(), &window, fill, unit)
                }))
            },
            |(sum, n): (Sum, u64)| {
                total.add_sum(sum);
                windows += n;
                Ok(())
            },
        )?;
        Ok(total.value() / windows as f64)
    }

    /// The extents of a window, and the positions of windows cut into parts.
    fn plan(&self, shape: &Shape) -> Result<([usize; MAX_RANK], Grid)> {
        let rank = shape.rank();
        let (mut window, mut counts, mut part) = ([1; MAX_RANK], [1; MAX_RANK], [1; MAX_RANK]);
        let long: Vec<usize> = (0..rank).rev().filter(|&k| shape[k] > 1).take(self.axes).collect();
        for &k in &long {
            window[k] = self.window.min(shape[k]);
        }
        for k in 0..rank {
            counts[k] = shape[k] - window[k] + 1;
        }
        // Parts are cubes along the axes of the window, so that little is read twice, and then grow along the others.
        let edge = (libm::round(libm::pow(PART as f64, 1.0 / long.len().max(1) as f64)) as usize).max(1);
        let mut left = PART;
        for &k in &long {
            part[k] = counts[k].min(edge);
            left = (left / part[k]).max(1);
        }
        for k in (0..rank).rev().filter(|k| !long.contains(k)) {
            part[k] = counts[k].min(left);
            left = (left / part[k]).max(1);
        }
        Ok((window, Grid::new(Shape::new(&counts[..rank])?, &part[..rank])?))
    }
}

/// The sum over the windows of one block that touch no special point, and how many they are.
fn of_block<T: Element>(
    xs: &[T],
    ds: &[T],
    shape: &Shape,
    window: &[usize; MAX_RANK],
    fill: Option<u64>,
    unit: Unit,
) -> (Sum, u64) {
    let Some(&pivot) = xs.iter().find(|&&x| counts(x, fill)) else { return (Sum::default(), 0) };
    // Values in units of the range, about a pivot: moments then cannot cancel. NaN marks every window it falls into.
    let about = |keep: T, v: T| if counts(keep, fill) { unit.difference(v, pivot).clamp(-FAR, FAR) } else { f64::NAN };
    let u: Vec<f64> = xs.iter().map(|&x| about(x, x)).collect();
    let v: Vec<f64> = xs.iter().zip(ds).map(|(&x, &d)| about(x, d)).collect();
    let slide = |mut field: Vec<f64>| {
        let mut dims = *shape;
        for k in (0..shape.rank()).filter(|&k| window[k] > 1) {
            (field, dims) = sums_along(&field, &dims, k, window[k]);
        }
        field
    };
    // Only the sum of the two variances is needed, so four sums do.
    let squares = slide(u.iter().zip(&v).map(|(u, v)| u * u + v * v).collect());
    let products = slide(u.iter().zip(&v).map(|(u, v)| u * v).collect());
    let (su, sv) = (slide(u), slide(v));
    let inverse = 1.0 / window[..shape.rank()].iter().product::<usize>() as f64;
    let base = unit.difference(pivot, T::from_f64(0.0));
    let (mut total, mut n) = (Sum::default(), 0);
    for i in 0..su.len() {
        let (mu, mv) = (su[i] * inverse, sv[i] * inverse);
        let variances = (squares[i] * inverse - (mu * mu + mv * mv)).max(0.0);
        let c = products[i] * inverse - mu * mv;
        // 1 - (means' distance)^2 / ...: the same as the formula, without its cancellation.
        let (mx, md) = (mu + base, mv + base);
        let luminance = 1.0 - (mu - mv) * (mu - mv) / (mx * mx + md * md + C1);
        let s = luminance * (2.0 * c + C2) / (variances + C2);
        if mu.is_finite() {
            total.add(s);
            n += 1;
        }
    }
    (total, n)
}

/// Sums of `w` neighbours along axis `k`, and the shape they have.
fn sums_along(v: &[f64], shape: &Shape, k: usize, w: usize) -> (Vec<f64>, Shape) {
    let inner: usize = shape[k + 1..].iter().product();
    let mut dims = [0; MAX_RANK];
    dims[..shape.rank()].copy_from_slice(shape);
    dims[k] = shape[k] + 1 - w;
    let mut out = Vec::with_capacity(v.len());
    for row in v.chunks_exact(shape[k] * inner) {
        // Added afresh for each window: a running sum would carry one huge value along the whole row. In pieces that
        // stay in the first-level cache, three neighbours at a time.
        let len = dims[k] * inner;
        for first in (0..len).step_by(PIECE) {
            let n = PIECE.min(len - first);
            let shifted = |j: usize| &row[first + j * inner..][..n];
            let start = out.len();
            out.extend_from_slice(shifted(0));
            let sums = &mut out[start..];
            for j in (1..w).step_by(3) {
                if j + 2 < w {
                    let (a, b, c) = (shifted(j), shifted(j + 1), shifted(j + 2));
                    for (((s, a), b), c) in sums.iter_mut().zip(a).zip(b).zip(c) {
                        *s += a + b + c;
                    }
                } else {
                    for j in j..w {
                        sums.iter_mut().zip(shifted(j)).for_each(|(s, a)| *s += a);
                    }
                }
            }
        }
    }
    (out, Shape::new(&dims[..shape.rank()]).unwrap_or(*shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;

    fn wave(dims: &[usize], noise: f64) -> Array {
        let n: usize = dims.iter().product();
        let mut state = 9u64;
        let f = |i: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            libm::sin(i as f64 * 0.11)
                + libm::cos(i as f64 * 0.017)
                + noise * ((state >> 40) as f64 / 16_777_216.0 - 0.5)
        };
        Array::from_vec(dims, (0..n).map(f).collect::<Vec<f64>>()).unwrap()
    }

    fn mean(x: &Array, d: &Array, fill: Option<u64>, ssim: Ssim) -> f64 {
        ssim.mean(x, d, &Comparison::new(x, d, fill).unwrap()).unwrap()
    }

    /// The definition, window by window, over [a, b, c] with windows [wa, wb, wc].
    fn naive(x: &Array, d: &Array, dims: [usize; 3], w: [usize; 3], skip: impl Fn(f64) -> bool) -> f64 {
        let (x, d) = (x.data().to_f64(), d.data().to_f64());
        let kept = || x.iter().copied().filter(|&v| !skip(v));
        let range = kept().fold(f64::MIN, f64::max) - kept().fold(f64::MAX, f64::min);
        let (c1, c2) = ((0.01 * range) * (0.01 * range), (0.03 * range) * (0.03 * range));
        let (mut total, mut n) = (0.0, 0);
        for a in 0..=dims[0] - w[0] {
            for b in 0..=dims[1] - w[1] {
                for c in 0..=dims[2] - w[2] {
                    let mut at = Vec::new();
                    for i in 0..w[0] {
                        for j in 0..w[1] {
                            at.extend((0..w[2]).map(|k| ((a + i) * dims[1] + b + j) * dims[2] + c + k));
                        }
                    }
                    if at.iter().any(|&i| skip(x[i])) {
                        continue;
                    }
                    let m = at.len() as f64;
                    let mean = |f: &dyn Fn(usize) -> f64| at.iter().map(|&i| f(i)).sum::<f64>() / m;
                    let (mx, md) = (mean(&|i| x[i]), mean(&|i| d[i]));
                    let vx = mean(&|i| (x[i] - mx) * (x[i] - mx));
                    let vd = mean(&|i| (d[i] - md) * (d[i] - md));
                    let cov = mean(&|i| (x[i] - mx) * (d[i] - md));
                    total += (2.0 * mx * md + c1) * (2.0 * cov + c2) / ((mx * mx + md * md + c1) * (vx + vd + c2));
                    n += 1;
                }
            }
        }
        total / n as f64
    }

    #[test]
    fn agrees_with_the_definition() {
        let s = Ssim::default();
        for (dims, full, w) in [
            (vec![200], [1, 1, 200], [1, 1, 7]),
            (vec![30, 41], [1, 30, 41], [1, 7, 7]),
            (vec![9, 1, 13, 11], [9, 13, 11], [7, 7, 7]),
            (vec![5, 13, 3], [5, 13, 3], [5, 7, 3]),
        ] {
            let (x, d) = (wave(&dims, 0.0), wave(&dims, 0.8));
            let (got, want) = (mean(&x, &d, None, s), naive(&x, &d, full, w, |_| false));
            assert!((got - want).abs() < 1e-12 && want < 0.99, "{dims:?}: {got} {want}");
        }
        // Slice by slice, and axes beyond the third.
        let (x, d) = (wave(&[6, 20, 21], 0.0), wave(&[6, 20, 21], 0.8));
        let got = mean(&x, &d, None, Ssim::new(7, 2).unwrap());
        assert!((got - naive(&x, &d, [6, 20, 21], [1, 7, 7], |_| false)).abs() < 1e-12);
        let four = |a: &Array| Array::new(Shape::new(&[6, 5, 2, 42]).unwrap(), a.clone().into_buffer()).unwrap();
        let (x, d) = (four(&x), four(&d));
        let slice =
            |a: &Array, i: usize| Array::from_vec(&[5, 2, 42], a.data().to_f64()[i * 420..][..420].to_vec()).unwrap();
        let got = mean(&x, &d, None, s);
        let range = Comparison::new(&x, &d, None).unwrap();
        let parts = (0..6).map(|i| s.mean(&slice(&x, i), &slice(&d, i), &range).unwrap());
        assert!((got - parts.sum::<f64>() / 6.0).abs() < 1e-12);
    }

    #[test]
    fn parts_join_without_a_seam() {
        let (x, d) = (wave(&[700, 600], 0.0), wave(&[700, 600], 0.3));
        let (_, grid) = Ssim::default().plan(&x.shape()).unwrap();
        assert!(grid.len() > 1);
        let got = mean(&x, &d, None, Ssim::default());
        assert!((got - naive(&x, &d, [1, 700, 600], [1, 7, 7], |_| false)).abs() < 1e-12);
    }

    #[test]
    fn a_shift_has_a_closed_form() {
        // x alternates between m - 1 and m + 1 along windows of even width: mean m, any shift keeps structure.
        let (m, shift) = (3.0, 0.5);
        let x: Vec<f32> = (0..64).map(|i| if i % 2 == 0 { 2.0 } else { 4.0 }).collect();
        let d: Vec<f32> = x.iter().map(|v| v + shift as f32).collect();
        let (x, d) = (Array::from_vec(&[64], x).unwrap(), Array::from_vec(&[64], d).unwrap());
        let c1 = 0.02 * 0.02;
        let want = (2.0 * m * (m + shift) + c1) / (m * m + (m + shift) * (m + shift) + c1);
        let got = mean(&x, &d, None, Ssim::new(4, 1).unwrap());
        assert!((got - want).abs() < 1e-14, "{got} {want}");
    }

    #[test]
    fn identical_is_one_and_constants_are_decided() {
        let s = Ssim::default();
        let x = wave(&[12, 12, 12], 1.0);
        assert_eq!(mean(&x, &x, None, s), 1.0);
        let one = |v: f64| Array::from_vec(&[10], vec![v; 10]).unwrap();
        assert_eq!((mean(&one(1.0), &one(1.0), None, s), mean(&one(1.0), &one(1.5), None, s)), (1.0, 0.0));
        let empty = Array::from_vec::<f32>(&[0, 4], vec![]).unwrap();
        assert!(mean(&empty, &empty, None, s).is_nan() && mean(&one(f64::NAN), &one(f64::NAN), None, s).is_nan());
        let scalar = Array::from_vec(&[], vec![4u16]).unwrap();
        assert_eq!(mean(&scalar, &scalar, None, s), 1.0);
        assert!(Ssim::new(0, 1).is_err() && Ssim::new(7, 0).is_err());
    }

    #[test]
    fn windows_with_special_points_are_left_out() {
        let fill = 1e20;
        let punch = |a: &Array, v: f64| {
            let mut b = a.data().to_f64();
            (b[3 * 40 + 5], b[20 * 40 + 33]) = (v, f64::NAN);
            Array::from_vec(&[30, 40], b).unwrap()
        };
        let (x, d) = (punch(&wave(&[30, 40], 0.0), fill), punch(&wave(&[30, 40], 0.8), -7.0));
        let got = mean(&x, &d, Some(fill.to_bits()), Ssim::default());
        let want = naive(&x, &d, [1, 30, 40], [1, 7, 7], |v| v.is_nan() || v == fill);
        assert!((got - want).abs() < 1e-12, "{got} {want}");
        let mut lost = wave(&[30, 40], 0.0).data().to_f64();
        lost[0] = f64::NAN;
        assert!(mean(&wave(&[30, 40], 0.0), &Array::from_vec(&[30, 40], lost).unwrap(), None, Ssim::default()).is_nan());
    }

    #[test]
    fn far_and_huge_values_stay_finite() {
        let x = wave(&[20, 20], 0.0);
        let mut d = x.data().to_f64();
        d[0] = 1e300;
        let got = mean(&x, &Array::from_vec(&[20, 20], d).unwrap(), None, Ssim::default());
        assert!((got - 195.0 / 196.0).abs() < 1e-9, "{got}");
        let scaled = |a: &Array, s: f64| {
            Array::from_vec(&[20, 20], a.data().to_f64().iter().map(|v| v * s).collect::<Vec<_>>()).unwrap()
        };
        let y = wave(&[20, 20], 0.8);
        let want = mean(&x, &y, None, Ssim::default());
        for s in [libm::scalbn(1.0, 1022), libm::scalbn(1.0, -1000)] {
            let got = mean(&scaled(&x, s), &scaled(&y, s), None, Ssim::default());
            assert!((got - want).abs() < 1e-9, "{s} {got} {want}");
        }
        // Integers far from 0 with a small range.
        let far = |a: &Array| {
            Array::from_vec(
                &[20, 20],
                a.data().to_f64().iter().map(|v| i64::MAX - 5000 + (v * 1000.0) as i64).collect::<Vec<i64>>(),
            )
            .unwrap()
        };
        let near = mean(&far(&x), &far(&y), None, Ssim::default());
        assert!((near - want).abs() < 0.05 && near < 1.0, "{near} {want}");
    }
}
