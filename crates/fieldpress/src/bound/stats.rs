//! What must be known of the whole array before a bound means something: its range, its norm, its fill value.

use rayon::prelude::*;

use crate::array::{Element, Grid, Slice, Source};
use crate::bits::{widest, Sum, Work};
use crate::dispatch;
use crate::error::Result;
use crate::sem::Integrals;

/// Statistics over the valid values: finite, and not equal to the fill value.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// How many valid values.
    pub count: u64,
    /// The smallest and the largest valid value, where `f64` does not hold them the next number inward; `(inf, -inf)` when
    /// there are none.
    pub min: f64,
    /// See `min`.
    pub max: f64,
    /// The sum of the squares of the valid values.
    pub square_sum: f64,
    /// The smallest magnitude of a valid value that is not zero; infinite when all are zero.
    pub min_nonzero: f64,
    /// The bit pattern of the fill value these statistics left out.
    pub fill: Option<u64>,
    /// How many values were left out because they are the fill value.
    pub filled: u64,
    /// Integrals over the domain, of fields on spectral elements.
    pub integrals: Option<Integrals>,
    low: Extreme,
    high: Extreme,
}

/// The largest value, how often it occurs, and the next smaller one. The smallest value is tracked negated.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extreme {
    value: f64,
    count: u64,
    next: f64,
}

/// What HEALPix maps of `f64` hold where nothing was seen: the number itself, or the nearest `f32` where the map was one of `f32` once. No
/// data come near it, so that it is known where it occurs once.
const UNSEEN: [f64; 2] = [-1.6375e30, -1.6375e30f32 as f64];

/// Values counted at a time.
const PIECE: usize = 512;
const LANES: usize = 8;

/// Of every eighth value the largest, the largest negated, the smallest magnitude but 0, and the sum of squares; and whether a value is
/// not finite or has the bits `fill`. Loops that keep one lane per vector element need no order among values.
struct Summary<'a, T> {
    x: &'a [T],
    fill: Option<u64>,
}

impl<T: Element> Work for Summary<'_, T> {
    type Output = ([[f64; LANES]; 4], bool);
    #[inline(always)]
    fn run(self) -> ([[f64; LANES]; 4], bool) {
        let (mut high, mut low) = ([f64::NEG_INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let (mut small, mut square) = ([f64::INFINITY; LANES], [0.0; LANES]);
        let mut odd = false;
        for eight in self.x.chunks(LANES) {
            for ((((&x, h), l), m), s) in eight.iter().zip(&mut high).zip(&mut low).zip(&mut small).zip(&mut square) {
                let v = x.to_f64();
                odd |= !x.is_finite();
                *s += v * v;
                *h = if v > *h { v } else { *h };
                *l = if -v > *l { -v } else { *l };
                let a = if v == 0.0 { f64::INFINITY } else { v.abs() };
                *m = if a < *m { a } else { *m };
            }
        }
        if let Some(fill) = self.fill {
            odd |= self.x.iter().fold(false, |any, x| any | (x.to_bits64() == fill));
        }
        ([high, low, small, square], odd)
    }
}

impl Extreme {
    const NONE: Extreme = Extreme { value: f64::NEG_INFINITY, count: 0, next: f64::NEG_INFINITY };
    #[inline(always)]
    fn add(&mut self, v: f64, n: u64) {
        if v > self.value {
            *self = Extreme { value: v, count: n, next: self.value };
        } else if v == self.value {
            self.count += n;
        } else if v > self.next {
            self.next = v;
        }
    }
    fn merge(&mut self, o: &Extreme) {
        if o.count > 0 {
            self.add(o.value, o.count);
            if o.next > f64::NEG_INFINITY {
                self.add(o.next, 0);
            }
        }
    }
}

impl Stats {
    const NONE: Stats = Stats {
        count: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        square_sum: 0.0,
        min_nonzero: f64::INFINITY,
        fill: None,
        filled: 0,
        integrals: None,
        low: Extreme::NONE,
        high: Extreme::NONE,
    };
    /// Reads all of `source`, in pieces and in parallel, and leaves out non-finite values and those whose bits are
    /// `fill`. The result does not depend on the number of threads.
    pub fn scan(source: &dyn Source, fill: Option<u64>) -> Result<Stats> {
        let shape = source.shape();
        let grid = Grid::new(shape, &Grid::default_block(&shape))?;
        let parts: Vec<Result<Stats>> = (0..grid.len())
            .into_par_iter()
            .map(|i| match source.lent(&grid.region(i)) {
                Some(values) => Ok(Stats::of(values, fill)),
                None => source.read(&grid.region(i)).map(|b| Stats::of(b.as_slice(), fill)),
            })
            .collect();
        let mut all = Stats { fill, ..Stats::NONE };
        let mut squares = Sum::default();
        for p in parts {
            let p = p?;
            squares.add(p.square_sum);
            all.merge(&p);
        }
        all.square_sum = squares.value();
        Ok(all)
    }
    /// The statistics of a slice.
    pub fn of(values: Slice<'_>, fill: Option<u64>) -> Stats {
        fn of<T: Element>(v: &[T], fill: Option<u64>) -> Stats {
            let mut s = Stats { fill, ..Stats::NONE };
            let mut squares = Sum::default();
            let mut valid = [0.0; PIECE];
            for piece in v.chunks(PIECE) {
                let (lanes, odd) = widest(Summary { x: piece, fill });
                if !odd {
                    s.add(piece, lanes, &mut squares);
                    continue;
                }
                let mut n = 0;
                for &x in piece {
                    if fill == Some(x.to_bits64()) {
                        s.filled += 1;
                    } else if x.is_finite() {
                        valid[n] = x.to_f64();
                        n += 1;
                    }
                }
                let valid = &valid[..n];
                s.add(valid, widest(Summary { x: valid, fill: None }).0, &mut squares);
            }
            s.square_sum = squares.value();
            s.max = s.high.value;
            s.min = -s.low.value;
            let valid = v.iter().filter(|x| fill != Some(x.to_bits64())).map(|x| x.ordered());
            if let (false, Some((low, high))) = (T::DTYPE.is_float() || T::BITS < 64, ends(valid)) {
                let exceeds = |f: f64, x: T| f as i128 > integer(x);
                s.max = if exceeds(s.max, T::from_ordered(high)) { s.max.next_down() } else { s.max };
                s.min = if -(s.min as i128) > -integer(T::from_ordered(low)) { s.min.next_up() } else { s.min };
            }
            s
        }
        fn ends(mut values: impl Iterator<Item = u64>) -> Option<(u64, u64)> {
            let first = values.next()?;
            Some(values.fold((first, first), |(l, h), v| (l.min(v), h.max(v))))
        }
        fn integer<T: Element>(x: T) -> i128 {
            let distance = i128::from(x.ordered().abs_diff(T::default().ordered()));
            if x.ordered() < T::default().ordered() {
                -distance
            } else {
                distance
            }
        }
        dispatch!(Slice, values, v => of(v, fill))
    }
    /// Counts valid values in, whose summary is `lanes`; all but the sum of squares, which is left to `squares`, and the ends.
    #[inline(always)]
    fn add<T: Element>(&mut self, values: &[T], lanes: [[f64; LANES]; 4], squares: &mut Sum) {
        let [high, low, small, square] = lanes;
        self.count += values.len() as u64;
        // A lane sums up few enough that nothing is lost.
        square.iter().for_each(|&s| squares.add(s));
        self.min_nonzero = small.iter().fold(self.min_nonzero, |m, &v| m.min(v));
        let largest = |lanes: &[f64]| lanes.iter().fold(f64::NEG_INFINITY, |m: f64, &v| m.max(v));
        // Most pieces have nothing above the two largest values so far.
        if largest(&high) > self.high.next {
            values.iter().for_each(|v| self.high.add(v.to_f64(), 1));
        }
        if largest(&low) > self.low.next {
            values.iter().for_each(|v| self.low.add(-v.to_f64(), 1));
        }
    }
    fn merge(&mut self, o: &Stats) {
        self.count += o.count;
        self.filled += o.filled;
        self.min_nonzero = self.min_nonzero.min(o.min_nonzero);
        self.high.merge(&o.high);
        self.low.merge(&o.low);
        self.max = self.max.max(o.max);
        self.min = self.min.min(o.min);
    }
    /// `max - min`, rounded down; 0 when there are no valid values.
    pub fn range_down(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let r = self.max - self.min;
        if !r.is_finite() {
            return f64::MAX;
        }
        let b = r - self.max;
        let e = (self.max - (r - b)) + (-self.min - b);
        if e < 0.0 {
            r.next_down()
        } else {
            r
        }
    }
    /// A fill value the array seems to use, as a bit pattern of its floating-point type: HEALPix's for unseen pixels as the smallest
    /// value, or an extreme value that occurs more than once and lies farther from the rest than 100 times the range of the rest, such
    /// as 1e20 or 9.96921e36. Mistaking data for fill is harmless: it is kept exactly, and the range only shrinks.
    pub fn detect_fill<T: Element>(&self) -> Option<u64> {
        let found = |value: f64, count: u64, gap: f64, rest: f64| {
            (count > 1 && rest > 0.0 && rest.is_finite() && gap > 100.0 * rest).then(|| T::from_f64(value).to_bits64())
        };
        let (h, l) = (&self.high, &self.low);
        if T::DTYPE.is_float() && UNSEEN.contains(&-l.value) {
            return Some(T::from_f64(-l.value).to_bits64());
        }
        if !T::DTYPE.is_float() || self.count < 4 {
            return None;
        }
        found(h.value, h.count, h.value - h.next, h.next - self.min)
            .or_else(|| found(-l.value, l.count, l.value - l.next, self.max + l.next))
    }
}

/// Peak signal-to-noise ratio in decibels: the value range over the root of the mean of `count` squared errors. Infinite without
/// error.
pub fn psnr(value_range: f64, square_error: f64, count: u64) -> f64 {
    psnr_of_mean(value_range, square_error / count.max(1) as f64)
}

/// The same from the mean of the squared errors.
pub fn psnr_of_mean(value_range: f64, mse: f64) -> f64 {
    if mse > 0.0 {
        20.0 * libm::log10(value_range / mse.sqrt())
    } else {
        f64::INFINITY
    }
}

/// The statistics of an array, with the fill value that was given, or found where none was given that occurs.
pub(crate) fn survey(source: &dyn Source, fill: Option<f64>, detect: bool) -> Result<Stats> {
    fn run<T: Element>(source: &dyn Source, fill: Option<f64>, detect: bool) -> Result<Stats> {
        // An integer type has no fill value but those it holds.
        let held = |v: &f64| T::DTYPE.is_float() || T::from_f64(*v).to_f64() == *v;
        let given = fill.filter(held).map(|v| T::from_f64(v).to_bits64());
        let stats = Stats::scan(source, given)?;
        // A fill value that does not occur may be one digit short; it must not hide the one that does.
        match (stats.filled == 0).then(|| stats.detect_fill::<T>()).flatten().filter(|_| detect) {
            Some(found) => Stats::scan(source, Some(found)),
            None => Ok(stats),
        }
    }
    crate::dispatch_dtype!(source.dtype(), T => run::<T>(source, fill, detect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;

    #[test]
    fn fill_values_far_outside_are_found() {
        let mut v: Vec<f32> = (0..100).map(|i| 270.0 + i as f32 * 0.3).collect();
        let scan = |v: &[f32]| survey(&View::new(&[v.len()], v).unwrap(), None, true).unwrap();
        assert_eq!(scan(&v).fill, None);
        v[3] = 1e20;
        assert_eq!(scan(&v).fill, None, "one spike is data");
        v[50] = 1e20;
        let s = scan(&v);
        assert_eq!(s.fill, Some(u64::from(1e20f32.to_bits())));
        assert!(s.max < 300.0 && s.count == 98);
        for x in &mut v {
            *x = if *x == 1e20 { -9.96921e36 } else { *x };
        }
        assert_eq!(scan(&v).fill, Some(u64::from((-9.96921e36f32).to_bits())));
        let given = survey(&View::new(&[v.len()], &v).unwrap(), Some(f64::from(v[0])), true).unwrap();
        assert_eq!((given.fill, given.filled), (Some(u64::from(v[0].to_bits())), 1));
        // One that does not occur does not keep the other from being found.
        let mistyped = survey(&View::new(&[v.len()], &v).unwrap(), Some(-9.97e36), true).unwrap();
        assert_eq!(mistyped.fill, scan(&v).fill);
        let none = survey(&View::new(&[2], &[0u8, 5]).unwrap(), Some(f64::NAN), true).unwrap();
        assert_eq!((none.fill, none.count), (None, 2));
    }

    #[test]
    fn unseen_pixels_are_found_even_alone() {
        let mut narrow = vec![0.25f32; 20];
        narrow[7] = -1.6375e30;
        let s = survey(&View::new(&[20], &narrow).unwrap(), None, true).unwrap();
        assert_eq!((s.fill, s.count, s.max), (Some(u64::from(narrow[7].to_bits())), 19, 0.25));
        for unseen in UNSEEN {
            let wide = [unseen, 3.0, unseen];
            let s = survey(&View::new(&[3], &wide).unwrap(), None, true).unwrap();
            assert_eq!((s.fill, s.filled, s.min, s.max), (Some(unseen.to_bits()), 2, 3.0, 3.0));
            assert_eq!(survey(&View::new(&[3], &wide).unwrap(), None, false).unwrap().fill, None);
        }
        let all = survey(&View::new(&[2], &[-1.6375e30f32; 2]).unwrap(), None, true).unwrap();
        assert_eq!((all.filled, all.count, all.range_down()), (2, 0, 0.0));
    }

    #[test]
    fn extremes_of_wide_integers_are_rounded_inward() {
        let odd = (1u64 << 53) + 3;
        let s = Stats::of(Slice::U64(&[0, odd]), None);
        assert_eq!(s.max, (odd - 1) as f64);
        let s = Stats::of(Slice::I64(&[-(odd as i64), i64::MAX]), None);
        assert_eq!((s.min, s.max), (-((odd - 1) as f64), (i64::MAX as f64).next_down()));
        assert_eq!(Stats::of(Slice::I64(&[i64::MIN, 7]), None).min, i64::MIN as f64);
    }

    #[test]
    fn statistics_leave_out_what_is_not_valid() {
        let v = [f64::NAN, -2.0, 0.0, 3.0, f64::INFINITY, 1e-3];
        let s = Stats::of(Slice::F64(&v), Some(3f64.to_bits()));
        assert_eq!((s.count, s.min, s.max, s.min_nonzero), (3, -2.0, 1e-3, 1e-3));
        let none = Stats::of(Slice::F64(&v[..1]), None);
        assert_eq!((none.count, none.range_down()), (0, 0.0));
    }
    #[test]
    fn small_squares_are_not_lost_beside_a_large_one() {
        // Added one by one, the ones would all vanish; only those in a piece with the large value may.
        let mut v = vec![1.0; 100 * PIECE + 1];
        v[0] = 1e8;
        let source = View::new(&[v.len()], &v).unwrap();
        let lost = 1e16 + (100 * PIECE) as f64 - Stats::scan(&source, None).unwrap().square_sum;
        assert!((0.0..=PIECE as f64).contains(&lost), "{lost}");
    }
}
