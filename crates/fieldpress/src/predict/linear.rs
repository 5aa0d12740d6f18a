//! Linear prediction of integers from the neighbours already known, with one set of weights for a whole field.
//!
//! Weights are found by least squares on a part of the field (reweighted towards least absolute errors) and rounded to fractions of a
//! power of two. Everything a decoder does is then arithmetic of integers, sums over other rows being formed in `f64`, where they are
//! exact and vectorise.
//!
//! # Format
//!
//! Axes of extent 1 are left out; the last three of the others are planes, rows and values, and what is before them is joined to
//! slabs. The first plane of a slab is *flat*: it knows its own values alone. The others are *deep*: they know the two planes
//! before them. Neighbours and what lies around a plane are those of [`super::local`], a list of 24 beside the value before, but that
//! above a flat plane lies its own first row. That row itself, where a plane has several, knows the value before alone: with all weights 0.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | s, at most 20 |
//! | varints | zigzag of the 24 weights of flat planes, but for those that are 0 at the end; before them their number |
//! | varints | the same for deep planes; absent where there is one plane |
//!
//! With `x` the value before a point, `n_t` its neighbours and `w_t` the weights, the prediction is
//! `floor((x (2^s - sum(w_t)) + sum(w_t n_t) + floor(2^s / 2)) / 2^s)`; a value is that plus its residual, modulo 2^32. Encoders keep
//! the sum of all `|w_t|` below `2^s 64` and values below 2^28, so that nothing exceeds 2^53. Should a decoder meet more: sums over
//! other rows are in `f64`, from 0, in the order of the list, each operation rounded; 1.5 2^52 is added, and the distance of the result
//! as a bit pattern from that constant is the integer, modulo 2^64, as is all that follows.

use super::least_squares::{gather, solve, Lanes, EIGHT, SUMS, TAPS};
use super::planes::Planes;
use super::taps::{Extents, Tap};
use crate::array::Shape;
use crate::bits::{put_varint, unzigzag64, widest, zigzag64, ByteReader, Work};
use crate::error::{Error, Result};

/// Largest number of fraction bits of the weights.
const MOST_BITS: u32 = 20;
/// Fraction bits of the weights that encoders use.
const BITS: u32 = 14;
/// Sums of the weights' magnitudes stay below this.
const MOST_WEIGHT: f64 = 64.0;
/// Values at once.
const WIDE: usize = 64;
/// 1.5 2^52: a sum with it has an integer of less than 51 bits in its low bits.
const INTEGER: f64 = 6_755_399_441_055_744.0;

/// The weights of neighbours, in parts of `2^bits`.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    bits: u32,
    /// For flat planes, and for deep ones.
    of: [[i64; TAPS]; 2],
}

impl Weights {
    /// Those with which the prediction is the sum of the nearest corners with alternating signs, after Lorenzo.
    fn lorenzo(extents: &Extents) -> [[f64; TAPS]; 2] {
        let mut of = [[0.0; TAPS]; 2];
        for (deep, weights) in of.iter_mut().enumerate() {
            for ((plane, y, x), w) in extents.taps(deep == 1).iter().zip(weights) {
                if *plane < 2 && (-1..=0).contains(y) && (-1..=0).contains(x) {
                    // Corners back along an odd number of axes count 1, the others -1.
                    *w = if (*plane as isize - y - x) % 2 == 1 { 1.0 } else { -1.0 };
                }
            }
        }
        of
    }
    /// Rounded, or those of Lorenzo where they are too large.
    fn round(fitted: [[f64; TAPS]; 2], extents: &Extents) -> Weights {
        let one = f64::from(1u32 << BITS);
        let mut of = [[0; TAPS]; 2];
        for ((of, fitted), plain) in of.iter_mut().zip(fitted).zip(Weights::lorenzo(extents)) {
            let size: f64 = fitted.iter().map(|w| w.abs()).sum();
            // Not so when it is not a number.
            let fitted = if size < MOST_WEIGHT / 2.0 { fitted } else { plain };
            *of = fitted.map(|w| (w * one).round() as i64);
        }
        Weights { bits: BITS, of }
    }
    fn write(&self, deep: bool, out: &mut Vec<u8>) {
        out.push(self.bits as u8);
        for weights in self.of.iter().take(1 + usize::from(deep)) {
            let n = weights.iter().rposition(|&w| w != 0).map_or(0, |k| k + 1);
            put_varint(out, n as u64);
            weights.iter().take(n).for_each(|&w| put_varint(out, zigzag64(w)));
        }
    }
    /// Reads what [`encode`] wrote for a field of `shape`. Errors: `Truncated`, `Corrupt`.
    pub fn read(r: &mut ByteReader<'_>, shape: &Shape) -> Result<Weights> {
        let deep = Extents::new(shape).planes > 1;
        let bits = u32::from(r.u8()?);
        if bits > MOST_BITS {
            return Err(Error::corrupt(format!("expected weights of at most {MOST_BITS} bits, found {bits}")));
        }
        let mut of = [[0; TAPS]; 2];
        for weights in of.iter_mut().take(1 + usize::from(deep)) {
            let n = r.count(TAPS)?;
            for w in weights.iter_mut().take(n) {
                *w = unzigzag64(r.varint()?);
            }
        }
        Ok(Weights { bits, of })
    }
    /// Undoes [`encode`]: residuals become values. Total. Errors: `LimitExceeded`, as that of [`encode`].
    pub fn restore(&self, shape: &Shape, values: &mut [i32]) -> Result<()> {
        let extents = Extents::new(shape);
        let mut rows = values.chunks_exact_mut(extents.length);
        let mut sums = vec![0.0; extents.length];
        visit(&extents, self, |planes, y, rule| {
            let values = rows.next().unwrap_or_default();
            let at = planes.row(y);
            widest(Others { planes, rule, at, sums: &mut sums });
            restore(planes, at, rule, &sums, values);
            planes.row_mut(y).iter_mut().zip(values.iter()).for_each(|(p, &v)| *p = f64::from(v));
        })
    }
}

/// What a row of a plane is predicted with.
struct Rule {
    /// Neighbours in other rows, as planes back and the distance in memory, and their weights.
    others: Vec<(usize, isize, f64)>,
    /// Weights of the value before, and of those before that.
    own: Vec<i64>,
    bits: u32,
}

impl Rule {
    fn new(weights: &[i64; TAPS], bits: u32, taps: &[Tap; TAPS], stride: usize) -> Rule {
        let total = weights.iter().fold(0i64, |s, &w| s.wrapping_add(w));
        let mut rule = Rule { others: Vec::new(), own: vec![(1i64 << bits).wrapping_sub(total)], bits };
        for (&(plane, y, x), &w) in taps.iter().zip(weights) {
            if plane == 0 && y == 0 {
                rule.own.push(w);
            } else if w != 0 {
                rule.others.push((plane, y * stride as isize + x, w as f64));
            }
        }
        while rule.own.len() > 1 && rule.own.last() == Some(&0) {
            rule.own.pop();
        }
        rule
    }
    /// The first row of a flat plane knows nothing but the value before.
    fn first(bits: u32) -> Rule {
        Rule { others: Vec::new(), own: vec![1 << bits], bits }
    }
    fn half(&self) -> i64 {
        (1 << self.bits) >> 1
    }
}

/// Visits the rows of a field: makes the planes around ready, and hands `row` the rule of each.
fn visit(extents: &Extents, weights: &Weights, mut row: impl FnMut(&mut Planes<f64>, usize, &Rule)) -> Result<()> {
    let mut planes: Planes<f64> = extents.room(3)?;
    let stride = planes.stride();
    let rule = |deep: bool| Rule::new(&weights.of[usize::from(deep)], weights.bits, extents.taps(deep), stride);
    let (flat, deep, first) = (rule(false), rule(true), Rule::first(weights.bits));
    for plane in 0..extents.slabs * extents.planes {
        let number = plane % extents.planes;
        planes.next_plane(number);
        for y in 0..extents.rows {
            planes.begin_row(y);
            match (number, y) {
                (0, 0) if extents.rows > 1 => row(&mut planes, y, &first),
                (0, _) => row(&mut planes, y, &flat),
                _ => row(&mut planes, y, &deep),
            }
            planes.end_row(y);
            if (number, y) == (0, 0) {
                planes.repeat_first();
            }
        }
    }
    Ok(())
}

/// Sums of neighbours in other rows.
struct Others<'a> {
    planes: &'a Planes<f64>,
    rule: &'a Rule,
    at: usize,
    sums: &'a mut [f64],
}

impl Others<'_> {
    #[inline(always)]
    fn some<const N: usize>(&mut self, from: usize) {
        let mut sum = [0.0; N];
        for &(plane, distance, w) in &self.rule.others {
            let at = (self.at + from).wrapping_add_signed(distance);
            let v = &self.planes.back(plane)[at..at + N];
            sum.iter_mut().zip(v).for_each(|(s, v)| *s += w * v);
        }
        let out = &mut self.sums[from..];
        let n = out.len().min(N);
        out[..n].copy_from_slice(&sum[..n]);
    }
}

impl Work for Others<'_> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let (n, mut from) = (self.sums.len(), 0);
        // Loops of their own, since those of iterators are not always compiled with what is around them.
        while from + WIDE <= n {
            self.some::<WIDE>(from);
            from += WIDE;
        }
        // There is room for eight beyond the end of a row.
        while from < n {
            self.some::<EIGHT>(from);
            from += EIGHT;
        }
    }
}

/// Residuals of a row whose values are known.
struct Residuals<'a> {
    planes: &'a Planes<f64>,
    rule: &'a Rule,
    at: usize,
    sums: &'a mut [f64],
    values: &'a mut [i32],
}

impl Work for Residuals<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let now = self.planes.back(0);
        Others { planes: self.planes, rule: self.rule, at: self.at, sums: &mut *self.sums }.run();
        for (d, &w) in self.rule.own.iter().enumerate() {
            let v = &now[self.at - 1 - d..];
            self.sums.iter_mut().zip(v).for_each(|(s, v)| *s += w as f64 * v);
        }
        let (half, scale) = (self.rule.half() as f64, 1.0 / (1i64 << self.rule.bits) as f64);
        for (v, s) in self.values.iter_mut().zip(self.sums) {
            // Exact: an integer of less than 53 bits, divided by a power of two.
            let p = ((*s + half) * scale).floor();
            *v = v.wrapping_sub((p + INTEGER).to_bits() as i32);
        }
    }
}

/// Appends what a decoder needs to `out`, and replaces `values`, integers below 2^28 in C order, by their residuals.
/// Errors: `LimitExceeded` for large arrays of very short rows.
pub fn encode(values: &mut [i32], shape: &Shape, out: &mut Vec<u8>) -> Result<()> {
    let extents = Extents::new(shape);
    let weights = Weights::round(fit(values, &extents), &extents);
    weights.write(extents.planes > 1, out);
    let mut rows = values.chunks_exact_mut(extents.length);
    let mut sums = vec![0.0; extents.length];
    visit(&extents, &weights, |planes, y, rule| {
        let values = rows.next().unwrap_or_default();
        planes.row_mut(y).iter_mut().zip(values.iter()).for_each(|(p, &v)| *p = f64::from(v));
        let at = planes.row(y);
        widest(Residuals { planes, rule, at, sums: &mut sums, values });
    })
}

/// Adds the predictions of a row to its residuals, one after the other.
fn restore(planes: &Planes<f64>, at: usize, rule: &Rule, sums: &[f64], values: &mut [i32]) {
    let whole =
        |s: f64| ((s + INTEGER).to_bits() as i64).wrapping_sub(INTEGER.to_bits() as i64).wrapping_add(rule.half());
    let before = |d: usize| planes.back(0)[at - 1 - d] as i64;
    // Alone: there is nothing to wait for but one product and one sum.
    if let [w] = *rule.own.as_slice() {
        let mut a = before(0);
        for (v, &s) in values.iter_mut().zip(sums) {
            *v = v.wrapping_add((whole(s).wrapping_add(w.wrapping_mul(a)) >> rule.bits) as i32);
            a = i64::from(*v);
        }
    } else if rule.own.len() <= 4 {
        let [w0, w1, w2, w3] = std::array::from_fn(|k| rule.own.get(k).copied().unwrap_or(0));
        let [mut a, mut b, mut c, mut d] = std::array::from_fn(before);
        for (v, &s) in values.iter_mut().zip(sums) {
            let late = whole(s).wrapping_add(w1.wrapping_mul(b)).wrapping_add(w2.wrapping_mul(c));
            let late = late.wrapping_add(w3.wrapping_mul(d));
            *v = v.wrapping_add((late.wrapping_add(w0.wrapping_mul(a)) >> rule.bits) as i32);
            (a, b, c, d) = (i64::from(*v), a, b, c);
        }
    } else {
        let mut last: Vec<i64> = (0..rule.own.len()).map(before).collect();
        for (v, &s) in values.iter_mut().zip(sums) {
            let sum = rule.own.iter().zip(&last).fold(whole(s), |s, (w, n)| s.wrapping_add(w.wrapping_mul(*n)));
            *v = v.wrapping_add((sum >> rule.bits) as i32);
            last.rotate_right(1);
            last[0] = i64::from(*v);
        }
    }
}

/// Points that weights are fitted to, in eights: at most one in so many of the field, within these bounds.
const FEW: usize = 1024;
const GROUPS: std::ops::RangeInclusive<usize> = 64..=768;
/// How often the fit is repeated, with more weight where errors are small.
const ROUNDS: usize = 3;

/// The weights that predict a part of the field best, flat planes and deep ones.
fn fit(values: &[i32], extents: &Extents) -> [[f64; TAPS]; 2] {
    let mut weights = Weights::lorenzo(extents);
    let kinds = if extents.planes > 1 { 2 } else { 1 };
    for (kind, weights) in weights.iter_mut().enumerate().take(kinds) {
        let taps = extents.taps(kind == 1);
        let places = places(extents, taps, kind == 1, values.len());
        if !places.is_empty() {
            *weights = widest(Fit { values, places: &places, distances: distances(extents, taps), weights: *weights });
        }
    }
    weights
}

/// How far neighbours lie behind a point, in C order.
fn distances(extents: &Extents, taps: &[Tap; TAPS]) -> [usize; TAPS] {
    taps.map(|(plane, y, x)| {
        let ahead = y * extents.length as isize + x;
        (plane * extents.rows * extents.length).wrapping_add_signed(-ahead)
    })
}

/// Where eights of points begin all of whose neighbours are inside the field, spread over it.
fn places(extents: &Extents, taps: &[Tap; TAPS], deep: bool, n: usize) -> Vec<usize> {
    let reach = |f: &dyn Fn(&Tap) -> isize| taps.iter().map(f).max().unwrap_or(0).max(0) as usize;
    let (left, right) = (reach(&|t| -t.2), reach(&|t| t.2));
    let (above, below) = (reach(&|t| -t.1), reach(&|t| t.1));
    let across = extents.length.saturating_sub(left + right) / EIGHT;
    let rows = extents.rows.saturating_sub(above + below);
    let planes = match deep {
        true => extents.planes.saturating_sub(2),
        false => 1,
    };
    let total = across * rows * planes * extents.slabs;
    let wanted = (n / FEW).clamp(*GROUPS.start(), *GROUPS.end()).min(total);
    let place = |k: usize| {
        let group = k * total / wanted;
        let (slab, group) = (group / (across * rows * planes), group % (across * rows * planes));
        let (plane, group) = (group / (across * rows), group % (across * rows));
        let plane = slab * extents.planes + plane + if deep { 2 } else { 0 };
        // Rows are not all begun at the same place.
        let (y, x) = (above + group / across, left + group % across * EIGHT);
        (plane * extents.rows + y) * extents.length + x
    };
    (0..wanted).map(place).collect()
}

struct Fit<'a> {
    values: &'a [i32],
    places: &'a [usize],
    distances: [usize; TAPS],
    weights: [f64; TAPS],
}

impl Work for Fit<'_> {
    type Output = [f64; TAPS];
    #[inline(always)]
    fn run(self) -> [f64; TAPS] {
        let mut weights: [Lanes; TAPS] = self.weights.map(|w| [w; EIGHT]);
        let mut costs = [0.0; ROUNDS + 1];
        for (round, cost) in costs.iter_mut().enumerate() {
            let mut sums = [0.0; SUMS];
            for &at in self.places {
                let mut known = [[0.0; TAPS]; EIGHT];
                let (mut target, mut count, mut product) = ([0.0; EIGHT], [0.0; EIGHT], 1.0);
                for k in 0..EIGHT {
                    let at = at + k;
                    let x = f64::from(self.values[at - 1]);
                    let mut error = f64::from(self.values[at]) - x;
                    target[k] = error;
                    for ((n, d), w) in known[k].iter_mut().zip(self.distances).zip(&weights) {
                        *n = f64::from(self.values[at - d]) - x;
                        error -= w[0] * *n;
                    }
                    let size = error.abs() + 0.5;
                    product *= size;
                    count[k] = if round == 0 { 1.0 } else { 1.0 / size };
                }
                *cost += libm::log2(product);
                if round < ROUNDS {
                    gather(&mut sums, &known, &target, &count);
                }
            }
            if round < ROUNDS {
                solve(&mut sums.map(|s| [s; EIGHT]), &mut weights);
            }
        }
        // Integers that come from integers may be predicted best by integers.
        if costs[ROUNDS] < costs[0] {
            weights.map(|w| w[0])
        } else {
            self.weights
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const SHAPES: [&[usize]; 10] =
        [&[], &[1], &[40], &[900], &[1, 30, 1], &[13, 22], &[9, 8, 17], &[2, 3, 30, 40], &[20, 30, 40], &[300, 3]];

    /// Waves, far from 0, with noise.
    fn field(shape: &Shape) -> Vec<i32> {
        let mut strides = shape.strides();
        strides.reverse();
        let wave = |i: usize, s: usize, d: usize| libm::sin((i / s % d) as f64 * 0.2 + s as f64);
        (0..shape.len())
            .map(|i| {
                let waves: f64 = (0..shape.rank()).map(|k| wave(i, shape.strides()[k], shape[k])).sum();
                (waves * 300.0) as i32 + 5000 + (i * 7919 % 101 / 50) as i32
            })
            .collect()
    }

    #[test]
    fn residuals_become_values_again() {
        for dims in SHAPES {
            let shape = Shape::new(dims).unwrap();
            for extreme in [None, Some((1 << 27) - 1)] {
                let mut values = field(&shape);
                if let Some(v) = extreme {
                    values.iter_mut().enumerate().for_each(|(i, x)| *x = if i % 3 == 0 { v } else { -v });
                }
                let (mut residuals, mut bytes) = (values.clone(), Vec::new());
                encode(&mut residuals, &shape, &mut bytes).unwrap();
                for cut in 0..bytes.len() {
                    let e = Weights::read(&mut ByteReader::new(&bytes[..cut]), &shape).unwrap_err();
                    assert_eq!(e.kind(), ErrorKind::Truncated);
                }
                let mut r = ByteReader::new(&bytes);
                let weights = Weights::read(&mut r, &shape).unwrap();
                r.end().unwrap();
                weights.restore(&shape, &mut residuals).unwrap();
                assert_eq!(residuals, values, "{dims:?} {extreme:?}");
            }
        }
    }

    #[test]
    fn waves_are_predicted() {
        // Sums of waves along the axes obey a linear recursion; what is left is rounding and noise.
        for (dims, most) in [(&[60usize, 70][..], 1.2), (&[20, 30, 40], 1.2), (&[3000], 1.2)] {
            let shape = Shape::new(dims).unwrap();
            let mut values = field(&shape);
            encode(&mut values, &shape, &mut Vec::new()).unwrap();
            values.sort_by_key(|v| v.abs());
            let trimmed = &values[..values.len() * 9 / 10];
            let mean = trimmed.iter().map(|v| f64::from(v.abs())).sum::<f64>() / trimmed.len() as f64;
            assert!(mean < most, "{dims:?}: {mean}");
        }
    }

    #[test]
    fn a_field_without_an_inside_takes_the_corners() {
        // The sum of a function of the row and one of the column.
        let shape = Shape::new(&[5, 6]).unwrap();
        let mut values: Vec<i32> = (0..30).map(|i| (i / 6) * (i / 6) * 7 + (i % 6) * (i % 6) * 11).collect();
        encode(&mut values, &shape, &mut Vec::new()).unwrap();
        assert!((0..30).all(|i| i / 6 == 0 || i % 6 == 0 || values[i] == 0), "{values:?}");
    }

    #[test]
    fn hostile_weights_never_panic() {
        for dims in SHAPES {
            let shape = Shape::new(dims).unwrap();
            for bits in [0, 14, 20] {
                for w in [i64::MAX, i64::MIN, 1 << 40, -1] {
                    let weights = Weights { bits, of: [[w; TAPS]; 2] };
                    let mut values = vec![i32::MIN; shape.len()];
                    weights.restore(&shape, &mut values).unwrap();
                }
            }
        }
        assert!(Weights::read(&mut ByteReader::new(&[21; 60]), &Shape::new(&[9]).unwrap()).is_err());
        assert!(Weights::read(&mut ByteReader::new(&[14, 25]), &Shape::new(&[9]).unwrap()).is_err());
    }
}
