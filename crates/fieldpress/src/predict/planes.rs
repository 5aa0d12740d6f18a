//! The last planes of a field with room around them, so that neighbours beyond its edges can be read like others.

use super::least_squares::EIGHT;
use crate::error::{Error, Result};

/// Room right of a row, above a plane and below it.
const RIGHT: usize = EIGHT + 4;
const ABOVE: usize = 4;
const BELOW: usize = 2;
/// Values with the room around them that are kept whatever their shape.
const MOST_ROOM: usize = 1 << 26;

/// This plane, the one before, and so on. What lies around a plane is as [`super::local`] says.
#[derive(Debug)]
pub(super) struct Planes<T> {
    planes: Vec<Vec<T>>,
    rows: usize,
    length: usize,
    left: usize,
    stride: usize,
}

impl<T: Copy + Default> Planes<T> {
    /// Room for the last `count` planes of so many `rows` of a `length`, and for so many values to the `left` of a row.
    fn new(count: usize, rows: usize, length: usize, left: usize) -> Self {
        let stride = left + length + RIGHT;
        let plane = vec![T::default(); (ABOVE + rows + BELOW) * stride];
        Planes { planes: vec![plane; count], rows, length, left, stride }
    }
    /// The same, where that is not many times the values themselves, of which there are so many `planes`. Errors: `LimitExceeded`.
    pub(super) fn checked(count: usize, rows: usize, length: usize, left: usize, planes: usize) -> Result<Self> {
        let room = Planes::<T>::room(count, rows, length, left);
        if room > MOST_ROOM && room / 2 > planes * rows * length {
            return Err(Error::limit(format!(
                "expected longer rows, or at most {MOST_ROOM} values with the room around them, found {room}"
            )));
        }
        Ok(Planes::new(count, rows, length, left))
    }
    /// How many values that takes.
    fn room(count: usize, rows: usize, length: usize, left: usize) -> usize {
        let stride = left.saturating_add(length).saturating_add(RIGHT);
        rows.saturating_add(ABOVE + BELOW).saturating_mul(stride).saturating_mul(count)
    }
    /// Values from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }
    /// Where row `y` begins.
    pub(super) fn row(&self, y: usize) -> usize {
        (ABOVE + y) * self.stride + self.left
    }
    /// The plane so many planes `back`.
    #[inline(always)]
    pub(super) fn back(&self, back: usize) -> &[T] {
        &self.planes[back]
    }
    /// Sets a value of this plane.
    #[inline(always)]
    pub(super) fn set(&mut self, at: usize, v: T) {
        self.planes[0][at] = v;
    }
    /// Row `y` of this plane.
    pub(super) fn row_mut(&mut self, y: usize) -> &mut [T] {
        let at = self.row(y);
        &mut self.planes[0][at..at + self.length]
    }
    /// Goes on to plane `number` of a slab.
    pub(super) fn next_plane(&mut self, number: usize) {
        self.planes.rotate_right(1);
        let (first, stride) = (ABOVE * self.stride, self.stride);
        if let Some((now, before)) = self.planes.split_first_mut() {
            for row in now[..first].chunks_exact_mut(stride) {
                match before.first() {
                    Some(b) if number > 0 => row.copy_from_slice(&b[first..first + stride]),
                    _ => row.fill(T::default()),
                }
            }
            if let (1, [one, two, ..]) = (number, before) {
                two.copy_from_slice(one);
            }
        }
    }
    /// Puts the first row of this plane above it.
    pub(super) fn repeat_first(&mut self) {
        let (first, stride) = (ABOVE * self.stride, self.stride);
        (0..ABOVE).for_each(|k| self.planes[0].copy_within(first..first + stride, k * stride));
    }
    /// Before the first value of row `y` of this plane.
    pub(super) fn begin_row(&mut self, y: usize) {
        let (row, left) = (self.row(y), self.left);
        let now = &mut self.planes[0];
        let v = now[row - self.stride];
        now[row - left..row].fill(v);
    }
    /// After the last value of row `y` of this plane.
    pub(super) fn end_row(&mut self, y: usize) {
        let (first, stride, end) = (self.row(y) - self.left, self.stride, self.row(y) + self.length);
        let now = &mut self.planes[0];
        let v = now[end - 1];
        now[end..end + RIGHT].fill(v);
        if y + 1 == self.rows {
            for k in 1..=BELOW {
                now.copy_within(first..first + stride, first + k * stride);
            }
        }
    }
}

/// Eight values from `at` of a plane, which has room for them.
#[inline(always)]
pub(super) fn eight_of<T: Copy>(plane: &[T], at: usize) -> [T; EIGHT] {
    let part = &plane[at..at + EIGHT];
    std::array::from_fn(|k| part[k])
}
