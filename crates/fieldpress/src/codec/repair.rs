//! Moves values of velocity distributions a little, so that their moments are those of the original.
//!
//! Every distribution gets a polynomial in the velocity, whose values are added to its own: to the small ones, where errors of compression
//! leave room, or to all in proportion. Where a value would leave its bound that way, it stays as it is. Last, single values are set.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | bit 0: small values are moved, else all in proportion; bit 1: coefficients are f64, else f32; bit 2: what is not negative stays so; other bits 0 |
//! | 8, 8 | `reach` and `limit`, f64, positive |
//! | section | values that stay as they are: the gaps between them, see below |
//! | section | values that are set: for each a gap, then the value, little-endian |
//! | 1 and more, for each distribution | the number of its coefficients, 0, 1, 4, 5, 10 or 13, plus 128 where `reach` is 32 times as large; these, little-endian |
//!
//! Places count over all values of the block in C order; a gap is a varint, the number of values since the last place or the beginning.
//!
//! With bit 0 a value `y` with `|y| < reach` becomes `y + d`, in f64, rounded to the element type; without, every value becomes `y + |y| d`. Here
//! `d` is `p`, or `-limit` below that and `limit` above. With bit 2 what would become negative becomes 0, if `y` was not negative. With cells counted from 0 along vx, vy, vz, the middle `m` between the first and the last of a distribution's cells on
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
const FLOOR: u8 = 4;
const WIDE: u8 = 128;
/// How much further a wide room reaches.
const WIDER: f64 = 32.0;

/// Which values of a block may be moved, and how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    /// Only small values may, all alike; else all in proportion.
    pub(super) small: bool,
    /// Whether what is not negative stays so.
    pub(super) floor: bool,
    /// What is small.
    pub(super) reach: f64,
    /// How far.
    pub(super) limit: f64,
}

impl Room {
    /// The same, but more counts as small.
    pub(super) fn wide(self) -> Room {
        Room { reach: self.reach * WIDER, ..self }
    }
    /// By what a polynomial is multiplied before it is added to the value `y`.
    #[inline(always)]
    pub(super) fn weight(&self, y: f64) -> f64 {
        match self.small {
            true => f64::from(y.abs() < self.reach),
            false => y.abs(),
        }
    }
    /// What becomes of `y` where the polynomial is `p`.
    #[inline(always)]
    pub(super) fn moved(&self, y: f64, p: f64) -> f64 {
        let to = y + self.weight(y) * p.clamp(-self.limit, self.limit);
        match self.floor && y >= 0.0 && to < 0.0 {
            true => 0.0,
            false => to,
        }
    }
    /// Whether a little more of `p` is a little more of the value.
    #[inline(always)]
    pub(super) fn is_free(&self, y: f64, p: f64) -> bool {
        self.weight(y) != 0.0 && p.abs() < self.limit && !(self.floor && y >= 0.0 && y + self.weight(y) * p < 0.0)
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
    /// Calls `visit` with the place of every value of a distribution among its values, and what the polynomial is there.
    pub(super) fn for_each<T>(&self, view: &DistributionView<'_, T>, frame: &Frame, mut visit: impl FnMut(usize, f64)) {
        let (length, starts) = view.runs();
        let mut at = 0;
        for start in starts {
            let [a0, a1, a2, a3] = self.along(frame.at(1, start[1]), frame.at(2, start[2]));
            for i in 0..length {
                let x = frame.at(0, start[0] + i);
                visit(at + i, ((a3 * x + a2) * x + a1) * x + a0);
            }
            at += length;
        }
    }
    /// Moves the values of a distribution, `y`, but for those at places where `stays` is true.
    pub(super) fn apply<T: Element>(
        &self,
        y: &mut [T],
        view: &DistributionView<'_, T>,
        frame: &Frame,
        room: Room,
        mut stays: impl FnMut(usize) -> bool,
    ) {
        if self.coefficients.is_empty() {
            return;
        }
        self.for_each(view, frame, |i, p| {
            if let Some(y) = y.get_mut(i).filter(|y| room.weight(y.to_f64()) != 0.0) {
                if !stays(i) {
                    *y = T::from_f64(room.moved(y.to_f64(), p));
                }
            }
        });
    }
}

/// What is done to the values of a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repair<T> {
    pub(super) room: Room,
    /// Whether coefficients are stored as f64.
    pub(super) double: bool,
    /// Places of values that stay as they are, in order.
    pub(super) stay: Vec<usize>,
    /// Places and values that are set, in order.
    pub(super) set: Vec<(usize, T)>,
    /// One for each distribution, and whether its room is wide.
    pub(super) polynomials: Vec<(Polynomial, bool)>,
}

impl<T: Element> Repair<T> {
    /// Its bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let flag = |set, bit| if set { bit } else { 0 };
        let mut out = vec![flag(self.room.small, SMALL) | flag(self.double, DOUBLE) | flag(self.room.floor, FLOOR)];
        out.extend_from_slice(&self.room.reach.to_le_bytes());
        out.extend_from_slice(&self.room.limit.to_le_bytes());
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
        for (p, wide) in &self.polynomials {
            out.push(p.coefficients.len() as u8 | flag(*wide, WIDE));
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
        let (reach, limit) = (r.f64()?, r.f64()?);
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if flags & !(SMALL | DOUBLE | FLOOR) != 0 || !positive(reach) || !positive(limit) {
            return Err(Error::corrupt(format!(
                "expected flags, a reach and a limit above 0, found {flags:#04x}, {reach} and {limit}"
            )));
        }
        let room = Room { small: flags & SMALL != 0, floor: flags & FLOOR != 0, reach, limit };
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
            let count = r.u8()?;
            let n = usize::from(count & !WIDE);
            let one = |r: &mut ByteReader<'_>| if double { r.f64() } else { Ok(f64::from(f32::from_bits(r.u32()?))) };
            let c = (0..n).map(|_| one(&mut r)).collect::<Result<Vec<_>>>()?;
            polynomials.push((Polynomial::new(c)?, count & WIDE != 0));
        }
        r.end()?;
        Ok(Repair { room, double, stay, set, polynomials })
    }
    /// Does it to the values of a block, in which the distributions lie at `places`.
    pub(super) fn apply(&self, y: &mut [T], all: &Distributions, places: &[Place]) {
        for (place, (polynomial, wide)) in places.iter().zip(&self.polynomials) {
            let before = self.stay.partition_point(|&s| s < place.values.start);
            let mut stay =
                self.stay.get(before..).unwrap_or_default().iter().map(|s| s - place.values.start).peekable();
            let shape = all.view::<T>(place, &[]);
            if let Some(values) = y.get_mut(place.values.clone()) {
                let frame = Frame::of(&shape, all.mesh().width());
                let room = if *wide { self.room.wide() } else { self.room };
                polynomial.apply(values, &shape, &frame, room, |i| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Region, Shape};
    use crate::error::ErrorKind;
    use crate::vdf::Velocities;

    fn example() -> Repair<f32> {
        let polynomial =
            |n: usize| Polynomial::new((0..n).map(|i| f64::from(i as u32) * 0.25 - 1.0).collect()).unwrap();
        Repair {
            room: Room { small: true, floor: true, reach: 0.5, limit: 0.25 },
            double: false,
            stay: vec![3, 4, 90],
            set: vec![(0, 2.5), (100, -1.0)],
            polynomials: vec![(polynomial(13), false), (polynomial(0), false), (polynomial(5), true)],
        }
    }

    #[test]
    fn bytes_give_it_back_and_damage_is_noticed() {
        let repair = example();
        for double in [false, true] {
            let repair = Repair { double, ..repair.clone() };
            let bytes = repair.to_bytes();
            assert_eq!(Repair::from_bytes(&bytes, 180, 3).unwrap(), repair);
            for cut in 0..bytes.len() {
                assert_eq!(Repair::<f32>::from_bytes(&bytes[..cut], 180, 3).unwrap_err().kind(), ErrorKind::Truncated);
            }
            assert!(
                Repair::<f32>::from_bytes(&bytes, 100, 3).is_err()
                    && Repair::<f32>::from_bytes(&bytes, 180, 2).is_err()
            );
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at] ^= 1 << bit;
                    let _ = Repair::<f32>::from_bytes(&bad, 180, 3);
                }
            }
        }
    }

    #[test]
    fn small_values_are_moved_within_limits_and_others_stay() {
        let shape = Shape::new(&[3, 3, 4, 5]).unwrap();
        let all = Velocities::Dense.of(&shape, &[]).unwrap();
        let places = all.within(&Region::all(shape)).unwrap();
        let before: Vec<f32> = (0..180).map(|i| i as f32 * 0.01 - 0.3).collect();
        let mut y = before.clone();
        example().apply(&mut y, &all, &places);
        assert_eq!((y[0], y[100]), (2.5, -1.0));
        let moved = |i: &usize| y[*i] != before[*i] && ![0, 100].contains(i);
        let moved: Vec<usize> = (0..180).filter(moved).collect();
        assert!(moved.len() > 60 && !moved.contains(&3) && !moved.contains(&90));
        for i in moved {
            assert!((y[i] - before[i]).abs() <= 0.250_001 && !(before[i] >= 0.0 && y[i] < 0.0), "{i}");
            // The second distribution has no polynomial, the first moves what is small, the third has more room.
            assert!(if i < 60 { before[i].abs() < 0.5 } else { i >= 120 }, "{i}");
        }
    }
}
