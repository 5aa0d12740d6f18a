//! Pixels of a map: HEALPix in nested and ring order, and the pixel at a direction.
//!
//! Source: K. M. Gorski et al., "HEALPix: a framework for high-resolution discretization and fast analysis of data distributed on the sphere", 2005, section 4.1,
//! equations 4 to 9 for the rings and 10 to 22 for the faces.

use std::f64::consts::PI;

use super::Grid;
use crate::error::{Error, Result};

/// Largest `nside`.
const MOST: usize = 8192;

/// The number in nested order of the pixel with this number in ring order. Errors: `InvalidArgument` for an `nside` that is no power of two up to 8192, or a pixel
/// beyond `12 nside^2`.
pub fn ring_to_nested(nside: usize, pixel: usize) -> Result<usize> {
    check(nside, pixel)?;
    Ok(nested_of(nside, pixel))
}

/// The number in ring order of the pixel with this number in nested order. Errors: as [`ring_to_nested`].
pub fn nested_to_ring(nside: usize, pixel: usize) -> Result<usize> {
    check(nside, pixel)?;
    Ok(ring_of(nside, pixel))
}

/// A map in ring order, in nested order. Errors: `InvalidArgument` for an `nside` that is no power of two up to 8192, or a map of another length than `12 nside^2`.
pub fn map_to_nested<T: Copy>(nside: usize, ring: &[T]) -> Result<Vec<T>> {
    reordered(nside, ring, ring_of)
}

/// A map in nested order, in ring order. Errors: as [`map_to_nested`].
pub fn map_to_ring<T: Copy>(nside: usize, nested: &[T]) -> Result<Vec<T>> {
    reordered(nside, nested, nested_of)
}

impl Grid {
    /// The place in a map of the point next to a direction: on the ring nearest in colatitude the point nearest in longitude, both in radians. Between two as near, the
    /// northern ring.
    pub fn nearest(&self, theta: f64, phi: f64) -> usize {
        let rings = self.rings();
        let south = rings.partition_point(|r| r.theta < theta).min(rings.len().saturating_sub(1));
        let north = south.saturating_sub(1);
        let (Some(a), Some(b)) = (rings.get(north), rings.get(south)) else { return 0 };
        let ring = if (theta - a.theta).abs() <= (b.theta - theta).abs() { a } else { b };
        let points = ring.points as f64;
        let point = ((phi - ring.phi) * points / (2.0 * PI)).round().rem_euclid(points);
        ring.first + point as usize
    }
}

fn check_nside(nside: usize) -> Result<()> {
    if !nside.is_power_of_two() || nside > MOST {
        return Err(Error::invalid(format!(
            "expected an nside that is a power of two up to {MOST} for pixels in nested order, found {nside}"
        )));
    }
    Ok(())
}

fn check(nside: usize, pixel: usize) -> Result<()> {
    check_nside(nside)?;
    let pixels = 12 * nside * nside;
    if pixel >= pixels {
        return Err(Error::invalid(format!("expected a pixel below {pixels} for nside {nside}, found {pixel}")));
    }
    Ok(())
}

/// The map whose pixel `p` is that with the number `from(p)`.
fn reordered<T: Copy>(nside: usize, map: &[T], from: fn(usize, usize) -> usize) -> Result<Vec<T>> {
    check_nside(nside)?;
    let pixels = 12 * nside * nside;
    if map.len() != pixels {
        return Err(Error::invalid(format!(
            "expected 12 nside^2 = {pixels} pixels for nside {nside}, found {}",
            map.len()
        )));
    }
    Ok((0..pixels).filter_map(|p| map.get(from(nside, p)).copied()).collect())
}

/// Rings are numbered from 1 at the north pole. On a ring with `4 k` pixels, longitudes are counted in `pi / 4k`: pixel `j`, from 0, is at `2 j + shift`.
struct Place {
    ring: usize,
    k: usize,
    /// 0 where the ring begins at longitude 0, else 1.
    shift: usize,
}

impl Place {
    fn new(nside: usize, ring: usize) -> Place {
        let k = ring.min(4 * nside - ring).min(nside);
        let shift = if k < nside { 1 } else { (ring + 1 - nside) % 2 };
        Place { ring, k, shift }
    }
    /// The number of its first pixel.
    fn first(&self, nside: usize) -> usize {
        let cap = 2 * nside * (nside - 1);
        match self.ring {
            i if i < nside => 2 * i * (i - 1),
            i if i <= 3 * nside => cap + (i - nside) * 4 * nside,
            i => 12 * nside * nside - 2 * (4 * nside - i) * (4 * nside - i + 1),
        }
    }
}

/// The ring of a pixel in ring order.
fn ring_number(nside: usize, pixel: usize) -> usize {
    let (cap, all) = (2 * nside * (nside - 1), 12 * nside * nside);
    // Before ring i of a cap there are 2 i (i - 1) pixels.
    let in_cap = |p: usize| (1 + 2 * p).isqrt().div_ceil(2);
    if pixel < cap {
        in_cap(pixel)
    } else if pixel < all - cap {
        nside + (pixel - cap) / (4 * nside)
    } else {
        4 * nside - in_cap(all - 1 - pixel)
    }
}

/// Of the rows of four faces: where the first of them has its middle, in `pi / 4`.
const MIDDLE: [usize; 3] = [1, 0, 1];

fn ring_of(nside: usize, nested: usize) -> usize {
    let face = nested / (nside * nside);
    let (row, column) = (face / 4, face % 4);
    let (x, y) = (even_bits(nested % (nside * nside)), even_bits((nested % (nside * nside)) >> 1));
    // x and y go up from the southern corner of the face, to the east and to the west.
    let place = Place::new(nside, (row + 2) * nside - x - y - 1);
    let all = 4 * place.k;
    // Of the first face of the equator one half is west of longitude 0.
    let eighths = (2 * column + MIDDLE[row]) * place.k + 2 * all + x - y;
    place.first(nside) + (eighths - place.shift) / 2 % all
}

fn nested_of(nside: usize, pixel: usize) -> usize {
    let place = Place::new(nside, ring_number(nside, pixel));
    let (k, all) = (place.k, 8 * place.k);
    let eighths = 2 * (pixel - place.first(nside)) + place.shift;
    // Of the faces at this longitude, one of each row, it is the one whose corners are around the pixel.
    let face = (0..3).find_map(|row| {
        let from_west = (eighths + all + k - MIDDLE[row] * k) % all;
        let (column, east) = (from_west / (2 * k), from_west % (2 * k));
        let up = ((row + 2) * nside).checked_sub(place.ring + 1)?;
        let (x, y) = ((up + east).checked_sub(k)? / 2, (up + k).checked_sub(east)? / 2);
        (x < nside && y < nside).then_some((4 * row + column, x, y))
    });
    let (face, x, y) = face.unwrap_or_default();
    face * nside * nside + spread(x) + 2 * spread(y)
}

/// The bits with even numbers, side by side.
fn even_bits(v: usize) -> usize {
    let mut v = v as u64 & 0x5555_5555_5555_5555;
    v = (v | v >> 1) & 0x3333_3333_3333_3333;
    v = (v | v >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    v = (v | v >> 4) & 0x00ff_00ff_00ff_00ff;
    v = (v | v >> 8) & 0x0000_ffff_0000_ffff;
    ((v | v >> 16) & 0xffff_ffff) as usize
}

/// The bits at places with even numbers: the inverse of [`even_bits`].
fn spread(v: usize) -> usize {
    let mut v = v as u64 & 0xffff_ffff;
    v = (v | v << 16) & 0x0000_ffff_0000_ffff;
    v = (v | v << 8) & 0x00ff_00ff_00ff_00ff;
    v = (v | v << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    v = (v | v << 2) & 0x3333_3333_3333_3333;
    ((v | v << 1) & 0x5555_5555_5555_5555) as usize
}

#[cfg(test)]
mod tests {
    use super::super::Sampling;
    use super::*;

    /// The point of each pixel of a grid.
    fn directions(grid: &Grid) -> Vec<(f64, f64)> {
        let point = |r: &super::super::Ring, p: usize| (r.theta, r.phi + 2.0 * PI * p as f64 / r.points as f64);
        grid.rings().iter().flat_map(|r| (0..r.points).map(move |p| point(r, p))).collect()
    }

    /// The angle between two directions.
    fn apart(a: (f64, f64), b: (f64, f64)) -> f64 {
        let cos = libm::cos(a.0) * libm::cos(b.0) + libm::sin(a.0) * libm::sin(b.0) * libm::cos(a.1 - b.1);
        libm::acos(cos.clamp(-1.0, 1.0))
    }

    #[test]
    fn orders_are_bijections_and_inverse() {
        for nside in [1, 2, 4, 8, 16] {
            let pixels = 12 * nside * nside;
            let mut seen = vec![false; pixels];
            for p in 0..pixels {
                let n = ring_to_nested(nside, p).unwrap();
                assert_eq!(nested_to_ring(nside, n).unwrap(), p, "{nside}");
                assert!(!std::mem::replace(&mut seen[n], true), "{nside} {p}");
                assert!(nside > 1 || n == p, "{p} {n}");
            }
            let numbers: Vec<u32> = (0..pixels as u32).collect();
            let nested = map_to_nested(nside, &numbers).unwrap();
            assert_eq!(nested[pixels / 3], nested_to_ring(nside, pixels / 3).unwrap() as u32);
            assert_eq!(map_to_ring(nside, &nested).unwrap(), numbers);
        }
        let nside = 8192;
        for p in [0, 1, 12 * nside * nside - 1, 2 * nside * (nside - 1), 6 * nside * nside + 77, 700_000_001] {
            assert_eq!(nested_to_ring(nside, ring_to_nested(nside, p).unwrap()).unwrap(), p);
        }
    }

    #[test]
    fn centres_are_those_of_faces() {
        // The plane of the projection: faces are squares on their corners; in the caps they narrow with the distance from the pole.
        for nside in [1usize, 2, 4, 8, 16] {
            let grid = Grid::new(Sampling::Healpix(nside), 2 * nside).unwrap();
            let points = directions(&grid);
            for face in 0..12 {
                for (x, y) in (0..nside).flat_map(|x| (0..nside).map(move |y| (x, y))) {
                    let bits = (0..16).fold(0, |n, b| n | (x >> b & 1) << (2 * b) | (y >> b & 1) << (2 * b + 1));
                    let n = nside as f64;
                    let (u, v) = ((x as f64 + 0.5) / n, (y as f64 + 0.5) / n);
                    let height = [0.0, -1.0, -2.0][face / 4] + u + v;
                    let middle = (2 * (face % 4)) as f64 + [1.0, 0.0, 1.0][face / 4];
                    let narrow = (2.0 - height.abs()).min(1.0);
                    let z = if height.abs() <= 1.0 {
                        2.0 / 3.0 * height
                    } else {
                        height.signum() * (1.0 - narrow * narrow / 3.0)
                    };
                    let phi = PI / 4.0 * (middle + (u - v) / narrow);
                    let ring = nested_to_ring(nside, face * nside * nside + bits).unwrap();
                    let off = apart(points[ring], (libm::acos(z), phi));
                    assert!(off < 1e-7, "{nside} {face} {x} {y}: {off}");
                }
            }
        }
    }

    #[test]
    fn children_lie_in_their_parent() {
        for nside in [1, 2, 4, 8] {
            let of = |n| directions(&Grid::new(Sampling::Healpix(n), 2).unwrap());
            let (coarse, fine) = (of(nside), of(2 * nside));
            for p in 0..12 * nside * nside {
                let parent = coarse[nested_to_ring(nside, p).unwrap()];
                for child in 4 * p..4 * p + 4 {
                    let off = apart(parent, fine[nested_to_ring(2 * nside, child).unwrap()]);
                    assert!(off < 0.6 / nside as f64, "{nside} {p} {child}: {off}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for nside in [0, 3, 12, 16384] {
            assert!(ring_to_nested(nside, 0).unwrap_err().message().contains("power of two"));
            assert!(map_to_ring(nside, &[0u8; 4]).is_err());
        }
        assert!(nested_to_ring(2, 48).unwrap_err().message().contains("below 48"));
        assert!(map_to_nested(2, &[0.0; 47]).unwrap_err().message().contains("found 47"));
    }

    #[test]
    fn the_nearest_point_of_a_point_is_itself() {
        let samplings = [Sampling::GaussLegendre, Sampling::Mw, Sampling::Mwss, Sampling::DriscollHealy];
        for sampling in samplings.into_iter().chain([1, 2, 3, 8].map(Sampling::Healpix)) {
            let grid = Grid::new(sampling, 9).unwrap();
            for (p, (theta, phi)) in directions(&grid).into_iter().enumerate() {
                for turn in [0.0, 2.0 * PI, -4.0 * PI] {
                    assert_eq!(grid.nearest(theta, phi + turn), p, "{sampling:?}");
                }
                let a_little = 0.2 / (grid.rings().len() + 40) as f64;
                assert_eq!(grid.nearest(theta + a_little, phi - a_little), p, "{sampling:?}");
            }
            // Beyond the poles and between points there is always one.
            for (theta, phi) in [(-1.0, 0.3), (9.0, 1e9), (f64::NAN, f64::NAN), (1.0, f64::INFINITY)] {
                assert!(grid.nearest(theta, phi) < grid.len());
            }
            let last = grid.rings().last().unwrap();
            assert_eq!(grid.nearest(PI, last.phi), last.first);
        }
    }
}
