//! What must be known of the whole array before a bound means something: its range, its norm, its fill value.

use rayon::prelude::*;

use crate::array::{Element, Grid, Slice, Source};
use crate::dispatch;
use crate::error::Result;

/// Statistics over the valid values: finite, and not equal to the fill value.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// How many valid values.
    pub count: u64,
    /// The smallest and the largest valid value, exact in the element type; `(inf, -inf)` when there are none.
    pub min: f64,
    /// See `min`.
    pub max: f64,
    /// The sum of the squares of the valid values.
    pub square_sum: f64,
    /// The smallest magnitude of a valid value that is not zero; infinite when all are zero.
    pub min_nonzero: f64,
    /// The bit pattern of the fill value these statistics left out.
    pub fill: Option<u64>,
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
            .map(|i| source.read(&grid.region(i)).map(|b| Stats::of(b.as_slice(), fill)))
            .collect();
        let mut all = Stats { fill, ..Stats::NONE };
        for p in parts {
            all.merge(&p?);
        }
        Ok(all)
    }
    /// The statistics of a slice.
    pub fn of(values: Slice<'_>, fill: Option<u64>) -> Stats {
        fn of<T: Element>(v: &[T], fill: Option<u64>) -> Stats {
            let mut s = Stats { fill, ..Stats::NONE };
            for &x in v {
                if !x.is_finite() || fill == Some(x.to_bits64()) {
                    continue;
                }
                let f = x.to_f64();
                s.count += 1;
                s.square_sum += f * f;
                s.high.add(f, 1);
                s.low.add(-f, 1);
                let m = f.abs();
                if m > 0.0 && m < s.min_nonzero {
                    s.min_nonzero = m;
                }
            }
            s.max = s.high.value;
            s.min = -s.low.value;
            s
        }
        dispatch!(Slice, values, v => of(v, fill))
    }
    fn merge(&mut self, o: &Stats) {
        self.count += o.count;
        self.square_sum += o.square_sum;
        self.min_nonzero = self.min_nonzero.min(o.min_nonzero);
        self.high.merge(&o.high);
        self.low.merge(&o.low);
        self.max = self.high.value;
        self.min = -self.low.value;
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
    /// A fill value the array seems to use, as a bit pattern of its floating-point type: an extreme value that occurs more than
    /// once and lies farther from the rest than 100 times the range of the rest, such as 1e20 or 9.96921e36. Mistaking
    /// data for fill is harmless: it is kept exactly, and the range only shrinks.
    pub fn detect_fill<T: Element>(&self) -> Option<u64> {
        let found = |value: f64, count: u64, gap: f64, rest: f64| {
            (count > 1 && rest > 0.0 && rest.is_finite() && gap > 100.0 * rest).then(|| T::from_f64(value).to_bits64())
        };
        if !T::DTYPE.is_float() || self.count < 4 {
            return None;
        }
        let (h, l) = (&self.high, &self.low);
        found(h.value, h.count, h.value - h.next, h.next - self.min)
            .or_else(|| found(-l.value, l.count, l.value - l.next, self.max + l.next))
    }
}

/// The statistics of an array, with the fill value that was given or found.
pub(crate) fn survey(source: &dyn Source, fill: Option<f64>, detect: bool) -> Result<Stats> {
    fn run<T: Element>(source: &dyn Source, fill: Option<f64>, detect: bool) -> Result<Stats> {
        let given = fill.map(|v| T::from_f64(v).to_bits64());
        let stats = Stats::scan(source, given)?;
        match given.is_none().then(|| stats.detect_fill::<T>()).flatten().filter(|_| detect) {
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
        assert_eq!(given.fill, Some(u64::from(v[0].to_bits())));
    }

    #[test]
    fn statistics_leave_out_what_is_not_valid() {
        let v = [f64::NAN, -2.0, 0.0, 3.0, f64::INFINITY, 1e-3];
        let s = Stats::of(Slice::F64(&v), Some(3f64.to_bits()));
        assert_eq!((s.count, s.min, s.max, s.min_nonzero), (3, -2.0, 1e-3, 1e-3));
        let none = Stats::of(Slice::F64(&v[..1]), None);
        assert_eq!((none.count, none.range_down()), (0, 0.0));
    }
}
