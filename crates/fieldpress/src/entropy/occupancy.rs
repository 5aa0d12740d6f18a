//! Sets of places in a box, one after the other: which velocity blocks have content, cell by cell.
//!
//! Source: context modelling of binary images as in JBIG (ITU-T T.82), in three dimensions and with the set before as a further
//! image, as in the coding of occupancy in octrees of points (MPEG G-PCC, ISO/IEC 23090-9).
//!
//! # Format
//!
//! For each place, the first axis fastest, one decision of [`crate::entropy::range`]: whether it is in the set. Where the size of
//! the set is known, decisions end with its last place. The model is chosen by eleven bits, bit 0 first, with `x`, `y`, `z` the
//! indices along the three axes; a place outside the box is in no set:
//!
//! | set | places |
//! |---|---|
//! | this | `x-1`; `y-1`; `z-1`; `x+1, y-1`; `x+1, z-1`; `y+1, z-1` |
//! | the one before, empty at first | the place itself; `x-1`; `x+1`; `y+1`; `z+1` |

use super::mixing::Decisions;
use super::range::Bit;
use crate::error::{Error, Result};

const MODELS: usize = 1 << 11;

/// Codes one set after the other.
#[derive(Clone, Debug)]
pub struct Occupancy {
    extents: [usize; 3],
    /// This set and the one before, with one place more on each side of the box.
    now: Vec<bool>,
    before: Vec<bool>,
    models: Vec<Bit>,
}

impl Occupancy {
    /// For sets in a box of such extents. Errors: `LimitExceeded` when the memory cannot be had.
    pub fn new(extents: [usize; 3]) -> Result<Occupancy> {
        let wide = extents.map(|n| n.saturating_add(2));
        let n = wide.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
        let room = || -> Result<Vec<bool>> {
            let mut v = Vec::new();
            let n = n.filter(|n| v.try_reserve_exact(*n).is_ok());
            let n =
                n.ok_or_else(|| Error::limit(format!("expected memory for a box of {extents:?}, found too little")))?;
            v.resize(n, false);
            Ok(v)
        };
        Ok(Occupancy { extents, now: room()?, before: room()?, models: vec![Bit::new(); MODELS] })
    }
    /// Codes a set (a decoder ignores it): its places, indices along the three axes, in the order of the format. Returns what was coded. With `size`, no more than so
    /// many places, and fewer only out of bytes that no encoder wrote.
    pub fn code<D: Decisions>(&mut self, io: &mut D, set: &[[usize; 3]], size: Option<usize>) -> Vec<[usize; 3]> {
        let Occupancy { extents: [nx, ny, nz], now, before, models } = self;
        std::mem::swap(now, before);
        now.fill(false);
        let (row, plane) = (*nx + 2, (*nx + 2) * (*ny + 2));
        let (mut next, mut coded) = (set.iter().peekable(), Vec::new());
        for z in 0..*nz {
            for y in 0..*ny {
                for x in 0..*nx {
                    if size.is_some_and(|n| coded.len() >= n) {
                        return coded;
                    }
                    let at = (z + 1) * plane + (y + 1) * row + x + 1;
                    let of_now = [at - 1, at - row, at - plane, at - row + 1, at - plane + 1, at - plane + row];
                    let of_before = [at, at - 1, at + 1, at + row, at + plane];
                    let bits = of_now.iter().map(|i| now[*i]).chain(of_before.iter().map(|i| before[*i]));
                    let context = bits.enumerate().fold(0, |c, (k, b)| c | usize::from(b) << k);
                    let here = next.next_if_eq(&&[x, y, z]).is_some();
                    if io.learn(&mut models[context % MODELS], here) {
                        now[at] = true;
                        coded.push([x, y, z]);
                    }
                }
            }
        }
        coded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{BinaryDecoder, BinaryEncoder};
    use crate::error::ErrorKind;

    /// A ball that moves along the last axis.
    fn ball(extents: [usize; 3], step: usize) -> Vec<[usize; 3]> {
        let [nx, ny, nz] = extents;
        let all = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
        let far = |a: usize, b: usize| a.abs_diff(b).pow(2);
        all.filter(|p| far(p[0], nx / 2) + far(p[1], ny / 2) + far(p[2], nz / 3 + step) < 12).collect()
    }

    #[test]
    fn sets_come_back_and_those_alike_cost_little() {
        let extents = [9, 8, 11];
        let sets: Vec<Vec<[usize; 3]>> =
            vec![ball(extents, 0), Vec::new(), ball(extents, 1), ball(extents, 1), ball(extents, 2)];
        for sized in [false, true] {
            let size = |s: &Vec<[usize; 3]>| sized.then_some(s.len());
            let (mut io, mut sets_of) = (BinaryEncoder::new(), Occupancy::new(extents).unwrap());
            for s in &sets {
                assert_eq!(&sets_of.code(&mut io, s, size(s)), s);
            }
            let bytes = io.finish();
            assert!(bytes.len() * 8 < 3 * sets.iter().map(Vec::len).sum::<usize>(), "{}", bytes.len());
            let decode = |bytes: &[u8]| {
                let (mut io, mut sets_of) = (BinaryDecoder::new(bytes), Occupancy::new(extents).unwrap());
                let back: Vec<Vec<[usize; 3]>> = sets.iter().map(|s| sets_of.code(&mut io, &[], size(s))).collect();
                (back, io.finish())
            };
            assert_eq!(decode(&bytes), (sets.clone(), Ok(())));
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]).1.unwrap_err().kind(), ErrorKind::Truncated);
            }
            for b in 0..=255 {
                let (back, _) = decode(&[b; 40]);
                assert!(!sized || back.iter().zip(&sets).all(|(b, s)| b.len() <= s.len()));
            }
        }
    }

    #[test]
    fn boxes_without_places_and_beyond_memory() {
        let mut none = Occupancy::new([0, 3, 4]).unwrap();
        assert_eq!(none.code(&mut BinaryEncoder::new(), &[], None), Vec::<[usize; 3]>::new());
        assert_eq!(Occupancy::new([usize::MAX, 2, 2]).unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(Occupancy::new([1 << 21, 1 << 21, 1 << 19]).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
