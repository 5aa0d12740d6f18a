//! Moves values of velocity distributions a little, so that their moments are those of the original.
//!
//! Every distribution gets a polynomial in the velocity, whose values are added to its own: to the small ones, where errors of compression
//! leave room, or to all in proportion. Where a value would leave its bound that way, it stays as it is. Last, single values are set.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | bit 0: the weights are those of small values, else in proportion; bit 1: coefficients are f64, else f32; other bits 0 |
//! | 8 | `reach`, f64, positive |
//! | section | values that stay as they are: the gaps between them, see below |
//! | section | values that are set: for each a gap, then the value, little-endian |
//! | 1 and more, for each distribution | the number of its coefficients, 0, 1, 4, 5, 10 or 13; these, little-endian |
//!
//! Places count over all values of the block in C order; a gap is a varint, the number of values since the last place or the beginning.
//!
//! A value `y` becomes `y + g p`, in f64, rounded to the element type. The weight `g` is 1 where `|y| < reach` and 0 elsewhere, or
//! `min(|y|, reach)`. With cells counted from 0 along vx, vy, vz, the middle `m` between the first and the last of a distribution's cells on
//! each axis, and `s` the largest of `(h - m + 1/2) w` over the axes, where `h` is the last cell and `w` the width of one, the coordinates of cell `i` are
//! `(i - m) (w / s)`. Of the coefficients `c`, 4 are those of 1, x, y, z; of 5 the last is that of `x^2 + y^2 + z^2`; 10 are those of 1, x, y,
//! z, xx, yy, zz, yz, xz, xy; 13 are these and those of `x r`, `y r`, `z r` with `r = x^2 + y^2 + z^2`. Then, in this order,
//! `p = ((a3 x + a2) x + a1) x + a0` with `r = yy + zz`, `a0 = c0 + c2 y + c3 z + c5 yy + c6 zz + c7 yz + (c11 y + c12 z) r`,
//! `a1 = c1 + c8 z + c9 y + c10 r`, `a2 = c4 + c11 y + c12 z`, `a3 = c10`. What is left out is 0.

use crate::array::Element;
use crate::bits::{put_section, put_varint, ByteReader};
use crate::error::{Error, Result};
use crate::vdf::{DistributionView, Distributions, Place};

/// Coefficients at most.
pub(super) const MOST: usize = 13;
const SMALL: u8 = 1;
const DOUBLE: u8 = 2;

/// What values of a block may be moved, and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weights {
    /// Only small values are, all alike; else all in proportion.
    pub(super) small: bool,
    /// What is small, or where proportion ends.
    pub(super) reach: f64,
}

impl Weights {
    #[inline(always)]
    pub(super) fn of(&self, y: f64) -> f64 {
        match self.small {
            true => f64::from(y.abs() < self.reach),
            false => y.abs().min(self.reach),
        }
    }
}

/// The coordinates of the cells of a distribution, about from -1 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    middle: [f64; 3],
    scale: [f64; 3],
}

impl Frame {
    /// That of a distribution with cells.
    pub(super) fn of<T>(view: &DistributionView<'_, T>, width: [f64; 3]) -> Frame {
        let (length, starts) = view.runs();
        let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
        for start in starts {
            for a in 0..3 {
                low[a] = low[a].min(start[a]);
                high[a] = high[a].max(start[a] + if a == 0 { length.max(1) - 1 } else { 0 });
            }
        }
        let middle: [f64; 3] = std::array::from_fn(|a| (low[a].min(high[a]) as f64 + high[a] as f64) * 0.5);
        let s = (0..3).map(|a| (high[a] as f64 - middle[a] + 0.5) * width[a]).fold(0.0, f64::max);
        Frame { middle, scale: width.map(|w| w / s) }
    }
    /// The coordinate of a cell along an axis.
    #[inline(always)]
    pub(super) fn at(&self, axis: usize, cell: usize) -> f64 {
        (cell as f64 - self.middle[axis]) * self.scale[axis]
    }
}

/// A polynomial, as in the format.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Polynomial {
    /// None, or as many as a form has.
    coefficients: Vec<f64>,
    all: [f64; MOST],
}

impl Polynomial {
    /// From 0, 1, 4, 5, 10 or 13 coefficients. Errors: `Corrupt`.
    pub(super) fn new(coefficients: Vec<f64>) -> Result<Polynomial> {
        let mut all = [0.0; MOST];
        match *coefficients.as_slice() {
            [a, b, c, d, square] => all[..7].copy_from_slice(&[a, b, c, d, square, square, square]),
            ref other if matches!(other.len(), 0 | 1 | 4 | 10 | 13) => all[..other.len()].copy_from_slice(other),
            ref other => {
                return Err(Error::corrupt(format!(
                    "expected 0, 1, 4, 5, 10 or 13 coefficients, found {}",
                    other.len()
                )))
            }
        }
        Ok(Polynomial { coefficients, all })
    }
    /// Its coefficients in x where y and z are given, from the constant on.
    #[inline(always)]
    fn along(&self, y: f64, z: f64) -> [f64; 4] {
        let c = &self.all;
        let r = y * y + z * z;
        [
            c[0] + c[2] * y + c[3] * z + c[5] * y * y + c[6] * z * z + c[7] * y * z + (c[11] * y + c[12] * z) * r,
            c[1] + c[8] * z + c[9] * y + c[10] * r,
            c[4] + c[11] * y + c[12] * z,
            c[10],
        ]
    }
    /// Moves the values of a distribution, `y`, but for those at places where `stays` is true.
    pub(super) fn apply<T: Element>(
        &self,
        y: &mut [T],
        view: &DistributionView<'_, T>,
        width: [f64; 3],
        weights: Weights,
        mut stays: impl FnMut(usize) -> bool,
    ) {
        if self.coefficients.is_empty() {
            return;
        }
        let frame = Frame::of(view, width);
        let (length, starts) = view.runs();
        let mut at = 0;
        for (start, run) in starts.zip(y.chunks_exact_mut(length.max(1))) {
            let [a0, a1, a2, a3] = self.along(frame.at(1, start[1]), frame.at(2, start[2]));
            for (i, value) in run.iter_mut().enumerate() {
                let old = value.to_f64();
                let g = weights.of(old);
                if g != 0.0 && !stays(at + i) {
                    let x = frame.at(0, start[0] + i);
                    *value = T::from_f64(old + g * (((a3 * x + a2) * x + a1) * x + a0));
                }
            }
            at += run.len();
        }
    }
}

/// What is done to the values of a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repair<T> {
    pub(super) weights: Weights,
    /// Whether coefficients are stored as f64.
    pub(super) double: bool,
    /// Places of values that stay as they are, in order.
    pub(super) stay: Vec<usize>,
    /// Places and values that are set, in order.
    pub(super) set: Vec<(usize, T)>,
    /// One for each distribution.
    pub(super) polynomials: Vec<Polynomial>,
}

impl<T: Element> Repair<T> {
    /// Its bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![if self.weights.small { SMALL } else { 0 } | if self.double { DOUBLE } else { 0 }];
        out.extend_from_slice(&self.weights.reach.to_le_bytes());
        let gaps = |places: &mut dyn Iterator<Item = usize>| {
            let mut next = 0;
            places.map(|p| (p - std::mem::replace(&mut next, p + 1)) as u64).collect::<Vec<u64>>()
        };
        let mut stay = Vec::new();
        gaps(&mut self.stay.iter().copied()).into_iter().for_each(|g| put_varint(&mut stay, g));
        put_section(&mut out, &stay);
        let mut set = Vec::new();
        for (gap, (_, value)) in gaps(&mut self.set.iter().map(|(p, _)| *p)).into_iter().zip(&self.set) {
            put_varint(&mut set, gap);
            value.put_le(&mut set);
        }
        put_section(&mut out, &set);
        for p in &self.polynomials {
            out.push(p.coefficients.len() as u8);
            for c in &p.coefficients {
                match self.double {
                    true => out.extend_from_slice(&c.to_le_bytes()),
                    false => out.extend_from_slice(&(*c as f32).to_le_bytes()),
                }
            }
        }
        out
    }
    /// The inverse, for a block of `values` values with so many `distributions`. Errors: `Corrupt`, `Truncated`.
    pub(super) fn from_bytes(bytes: &[u8], values: usize, distributions: usize) -> Result<Repair<T>> {
        let mut r = ByteReader::new(bytes);
        let flags = r.u8()?;
        let reach = r.f64()?;
        if flags & !(SMALL | DOUBLE) != 0 || !(reach.is_finite() && reach > 0.0) {
            return Err(Error::corrupt(format!(
                "expected weights, found the flags {flags:#04x} and a reach of {reach}"
            )));
        }
        let (mut stay, mut set) = (Vec::new(), Vec::new());
        let (mut some, mut next) = (ByteReader::new(r.section()?), 0);
        while some.remaining() > 0 {
            stay.push(place(&mut some, &mut next, values)?);
        }
        (some, next) = (ByteReader::new(r.section()?), 0);
        while some.remaining() > 0 {
            let at = place(&mut some, &mut next, values)?;
            set.push((at, T::get_le(some.take(T::DTYPE.size())?)));
        }
        let double = flags & DOUBLE != 0;
        let mut polynomials = Vec::new();
        for _ in 0..distributions {
            let n = usize::from(r.u8()?);
            let one = |r: &mut ByteReader<'_>| if double { r.f64() } else { Ok(f64::from(f32::from_bits(r.u32()?))) };
            let c = (0..n).map(|_| one(&mut r)).collect::<Result<Vec<_>>>()?;
            polynomials.push(Polynomial::new(c)?);
        }
        r.end()?;
        Ok(Repair { weights: Weights { small: flags & SMALL != 0, reach }, double, stay, set, polynomials })
    }
    /// Does it to the values of a block, in which the distributions lie at `places`.
    pub(super) fn apply(&self, y: &mut [T], all: &Distributions, places: &[Place]) {
        for (place, polynomial) in places.iter().zip(&self.polynomials) {
            let before = self.stay.partition_point(|&s| s < place.values.start);
            let mut stay =
                self.stay.get(before..).unwrap_or_default().iter().map(|s| s - place.values.start).peekable();
            let shape = all.view::<T>(place, &[]);
            if let Some(values) = y.get_mut(place.values.clone()) {
                polynomial.apply(values, &shape, all.mesh().width(), self.weights, |i| {
                    while stay.next_if(|&s| s < i).is_some() {}
                    stay.peek() == Some(&i)
                });
            }
        }
        for (at, value) in &self.set {
            if let Some(v) = y.get_mut(*at) {
                *v = *value;
            }
        }
    }
}

/// The next place below `values`, which is a gap behind `next`. Errors: `Corrupt`, `Truncated`.
fn place(r: &mut ByteReader<'_>, next: &mut usize, values: usize) -> Result<usize> {
    let at = r.count(values)?.saturating_add(*next);
    *next = at + 1;
    match at < values {
        true => Ok(at),
        false => Err(Error::corrupt(format!("expected a place below {values}, found {at}"))),
    }
}
