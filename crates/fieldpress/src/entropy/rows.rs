//! The residuals of a field, row by row: static rANS in classes of the magnitudes already known around each.
//!
//! Four strips of a plane are coded side by side, so that a decoder has four values in flight, each of which waits for the one before it
//! in its own row only.
//!
//! # Format
//!
//! One stream of [`super::rans`] with [`CLASSES`] classes. Rows and planes are those of `Shape::to_3d`. With `n` a quarter of a plane's
//! rows, rounded down, the plane has four strips of `n` rows, and up to three rows after them. First come, for each row of a strip,
//! the first value of that row of each of the four strips, then their second values, and so on; then the rows after them, one by one.
//!
//! The class of a value is that of `6 a + 2 a' + 5 b + 2 d + d' + 4 c + e + f`, with magnitudes at most 255: of the values one (a) and two
//! (a') before in its row; of the row above in its strip, at the place (b), after (d) and before it (d'); of the row in the plane
//! before, at the place (c) and after it (e), and of the row below that one, at the place (f). For the first row of a strip the row in
//! the plane before stands for the row above, too; the rows after the strips go on from the last strip. What does not exist counts 0.

use super::magnitude::{magnitude, CLASSES, CLASS_TABLE};
use super::rans::{encode_classes, RansDecoder};
use crate::array::Shape;
use crate::bits::{widest, Work};
use crate::error::Result;

/// Strips coded side by side.
const STRIPS: usize = 4;

/// Appends `values`, in C order, to `out`.
pub fn encode_rows(values: &[i32], shape: &Shape, out: &mut Vec<u8>) {
    if shape.is_empty() {
        return;
    }
    let mut field = Field::new(shape);
    let plane = field.rows * field.length;
    let (mut symbols, mut classes) = (Vec::with_capacity(values.len()), vec![0; values.len()]);
    let mut coded = classes.as_mut_slice();
    for values in values.chunks_exact(plane) {
        for (y, row) in values.chunks_exact(field.length).enumerate() {
            let marks = field.row_mut(y);
            marks.iter_mut().zip(row).for_each(|(m, &v)| *m = magnitude(v));
        }
        let n = field.rows / STRIPS;
        let (strips, rest) = values.split_at(n * STRIPS * field.length);
        let (in_strips, after) = std::mem::take(&mut coded).split_at_mut(strips.len());
        let (after, later) = after.split_at_mut(rest.len());
        coded = later;
        for (k, group) in in_strips.chunks_exact_mut(STRIPS * field.length).enumerate() {
            for s in 0..STRIPS {
                field.classes(s * n + k, k == 0, group.iter_mut().skip(s).step_by(STRIPS));
            }
            let rows: [&[i32]; STRIPS] = std::array::from_fn(|s| {
                let at = (s * n + k) * field.length;
                strips.get(at..at + field.length).unwrap_or_default()
            });
            let [r0, r1, r2, r3] = rows;
            for (((a, b), c), d) in r0.iter().zip(r1).zip(r2).zip(r3) {
                symbols.extend_from_slice(&[*a, *b, *c, *d]);
            }
        }
        for (k, row) in after.chunks_exact_mut(field.length).enumerate() {
            let y = STRIPS * n + k;
            field.classes(y, y == 0, row.iter_mut());
        }
        symbols.extend_from_slice(rest);
        field.next_plane();
    }
    encode_classes(&symbols, &classes, CLASSES, out);
}

/// The inverse of [`encode_rows`]; all of `bytes` is read. Total on hostile bytes. Errors: those of [`RansDecoder`].
pub fn decode_rows(bytes: &[u8], shape: &Shape, values: &mut [i32]) -> Result<()> {
    let mut decoder = RansDecoder::new(bytes, CLASSES)?;
    if shape.is_empty() {
        return decoder.finish();
    }
    let mut field = Field::new(shape);
    let plane = field.rows * field.length;
    let mut sums = vec![[0; STRIPS]; field.length];
    for values in values.chunks_exact_mut(plane) {
        let n = field.rows / STRIPS;
        let (strips, rest) = values.split_at_mut(n * STRIPS * field.length);
        let mut strips = strips.chunks_exact_mut((n * field.length).max(1));
        if let [Some(s0), Some(s1), Some(s2), Some(s3)] = std::array::from_fn(|_| strips.next()) {
            let rows = s0.chunks_exact_mut(field.length).zip(s1.chunks_exact_mut(field.length));
            let rows = rows.zip(s2.chunks_exact_mut(field.length)).zip(s3.chunks_exact_mut(field.length));
            for (k, (((r0, r1), r2), r3)) in rows.enumerate() {
                for s in 0..STRIPS {
                    field.sums(s * n + k, k == 0, sums.iter_mut().map(|v| &mut v[s]));
                }
                four(&mut decoder, &sums, [&mut *r0, &mut *r1, &mut *r2, &mut *r3]);
                for (s, row) in [r0, r1, r2, r3].into_iter().enumerate() {
                    field.row_mut(s * n + k).iter_mut().zip(row.iter()).for_each(|(m, &v)| *m = magnitude(v));
                }
            }
        }
        for (k, row) in rest.chunks_exact_mut(field.length).enumerate() {
            let y = STRIPS * n + k;
            field.sums(y, y == 0, sums.iter_mut().map(|v| &mut v[0]));
            let mut before = Before::default();
            for (v, sum) in row.iter_mut().zip(&sums) {
                *v = decoder.next(before.class(sum[0]));
                before.push(magnitude(*v));
            }
            field.row_mut(y).iter_mut().zip(row.iter()).for_each(|(m, &v)| *m = magnitude(v));
        }
        field.next_plane();
    }
    decoder.finish()
}

/// Decodes a row of each strip.
fn four(decoder: &mut RansDecoder<'_>, sums: &[[u16; STRIPS]], rows: [&mut [i32]; STRIPS]) {
    let [r0, r1, r2, r3] = rows;
    let mut before = [Before::default(); STRIPS];
    let mut decoder = decoder.four();
    for ((((sum, v0), v1), v2), v3) in sums.iter().zip(r0).zip(r1).zip(r2).zip(r3) {
        let values = decoder.next(std::array::from_fn(|s| before[s].class(sum[s])));
        before.iter_mut().zip(values).for_each(|(b, v)| b.push(magnitude(v)));
        [*v0, *v1, *v2, *v3] = values;
    }
    decoder.done();
}

/// The magnitudes one and two before.
#[derive(Clone, Copy, Default)]
struct Before(usize, usize);

impl Before {
    #[inline(always)]
    fn class(&self, sum: u16) -> u8 {
        CLASS_TABLE.class(usize::from(sum) + 6 * self.0 + 2 * self.1)
    }
    #[inline(always)]
    fn push(&mut self, m: u8) {
        *self = Before(usize::from(m), self.0);
    }
}

/// The magnitudes of this plane and the one before.
struct Field {
    rows: usize,
    length: usize,
    /// Rows with one zero before and after, and one row of zeros after the last.
    now: Vec<u8>,
    before: Vec<u8>,
}

impl Field {
    fn new(shape: &Shape) -> Field {
        let [_, rows, length] = shape.to_3d();
        let room = vec![0; (rows + 1) * (length + 2)];
        Field { rows, length, now: room.clone(), before: room }
    }
    fn next_plane(&mut self) {
        std::mem::swap(&mut self.now, &mut self.before);
    }
    fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let at = y * (self.length + 2) + 1;
        self.now.get_mut(at..at + self.length).unwrap_or_default()
    }
    /// The sums for row `y` of this plane but for what lies in the row itself; `first`: nothing is known above it.
    fn sums<'a>(&self, y: usize, first: bool, sums: impl Iterator<Item = &'a mut u16>) {
        let width = self.length + 2;
        let at = y * width;
        let above = if first { self.before.get(at..) } else { self.now.get(at - width..) };
        let above = above.unwrap_or_default();
        let behind = self.before.get(at..).unwrap_or_default();
        let below = behind.get(width..).unwrap_or_default();
        widest(Sum { sums, above, behind, below });
    }
    /// The classes of the values of row `y`.
    fn classes<'a>(&self, y: usize, first: bool, classes: impl Iterator<Item = &'a mut u8>) {
        let mut sums = vec![0; self.length];
        self.sums(y, first, sums.iter_mut());
        let at = y * (self.length + 2) + 1;
        let mut before = Before::default();
        for ((c, &sum), &m) in classes.zip(&sums).zip(self.now.get(at..).unwrap_or_default()) {
            *c = before.class(sum);
            before.push(m);
        }
    }
}

/// Weighted sums of three rows, each of which begins one before the place.
struct Sum<'a, I> {
    sums: I,
    above: &'a [u8],
    behind: &'a [u8],
    below: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a mut u16>> Work for Sum<'_, I> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let rows = self.above.windows(3).zip(self.behind.windows(3)).zip(self.below.windows(3));
        for (s, ((a, c), f)) in self.sums.zip(rows) {
            let [d, b, d1] = [a[0], a[1], a[2]].map(u16::from);
            *s = 5 * b + 2 * d1 + d + 4 * u16::from(c[1]) + u16::from(c[2]) + u16::from(f[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn noise(n: usize) -> Vec<i32> {
        let mut s = 3u64;
        let mut next = || {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (s >> 33) as i32
        };
        (0..n).map(|i| next() % (1 + (i as i32 / 64) % 9) - next() % 2).collect()
    }

    #[test]
    fn round_trips_for_any_shape() {
        for dims in [
            &[][..],
            &[0],
            &[1],
            &[50],
            &[1, 7],
            &[13, 22],
            &[4, 0, 2],
            &[1 << 59, 0],
            &[9, 8, 17],
            &[30, 3, 20],
            &[3, 2, 9, 11],
        ] {
            let shape = Shape::new(dims).unwrap();
            let mut values = noise(shape.len());
            if let Some(v) = values.last_mut() {
                *v = i32::MIN;
            }
            let mut bytes = Vec::new();
            encode_rows(&values, &shape, &mut bytes);
            let mut got = vec![7; values.len()];
            decode_rows(&bytes, &shape, &mut got).unwrap();
            assert_eq!(got, values, "{dims:?}");
            for cut in 0..bytes.len() {
                let e = decode_rows(&bytes[..cut], &shape, &mut got).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Truncated, "{dims:?} {cut} of {}", bytes.len());
            }
        }
    }

    #[test]
    fn neighbours_pay() {
        // Some columns are loud: the values above tell, those before do not.
        let shape = Shape::new(&[8, 30, 100]).unwrap();
        let columns = noise(1000);
        let value = |i: usize| if columns[900 + i % 100] > 3 { (i * 7919 % 101) as i32 - 50 } else { 0 };
        let values: Vec<i32> = (0..24_000).map(value).collect();
        let mut bytes = [Vec::new(), Vec::new()];
        encode_rows(&values, &shape, &mut bytes[0]);
        encode_rows(&values, &Shape::new(&[24_000]).unwrap(), &mut bytes[1]);
        assert!(bytes[0].len() * 100 < bytes[1].len() * 95, "{} {}", bytes[0].len(), bytes[1].len());
    }
}
