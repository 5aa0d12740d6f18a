//! The sphere in the projection of Mollweide, which keeps areas.
//!
//! Source: J. P. Snyder, "Map projections: a working manual", 1987, section 31.

use std::f64::consts::PI;

use fieldpress::sphere::Grid;
use rayon::prelude::*;

use super::colours::{Colours, Rgb, WHITE};

/// Samples along each side of a pixel of the picture.
const SAMPLES: usize = 3;

/// Colatitude and longitude at a place of the ellipse, which reaches from -1 to 1 in `x` and `y`: longitude 0 in the middle, rising to the left. None outside.
fn direction(x: f64, y: f64) -> Option<(f64, f64)> {
    if x * x + y * y >= 1.0 {
        return None;
    }
    let across = (1.0 - y * y).sqrt();
    let turn = libm::asin(y);
    let sine = (2.0 * turn + 2.0 * y * across) / PI;
    Some((libm::acos(sine.clamp(-1.0, 1.0)), -PI * x / across))
}

/// A map of `width` by `height` pixels, white outside the ellipse.
pub(super) fn draw(grid: &Grid, values: &[f64], colours: &Colours, [width, height]: [usize; 2]) -> Vec<Rgb> {
    let place = |pixel: usize, sample: usize, of: usize| {
        let middle = (pixel * SAMPLES + sample) as f64 + 0.5;
        2.0 * middle / (of * SAMPLES) as f64 - 1.0
    };
    let mut picture = vec![WHITE; width * height];
    picture.par_chunks_mut(width).enumerate().for_each(|(row, pixels)| {
        for (column, pixel) in pixels.iter_mut().enumerate() {
            let mut sum = [0u32; 3];
            for s in 0..SAMPLES * SAMPLES {
                let (x, y) = (place(column, s % SAMPLES, width), -place(row, s / SAMPLES, height));
                let value = direction(x, y).map(|(theta, phi)| values.get(grid.nearest(theta, phi)));
                let colour = value.map_or(WHITE, |v| colours.of(v.copied().unwrap_or(f64::NAN)));
                sum.iter_mut().zip(colour).for_each(|(s, c)| *s += u32::from(c));
            }
            let count = (SAMPLES * SAMPLES) as u32;
            *pixel = sum.map(|s| ((s + count / 2) / count) as u8);
        }
    });
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_kept_and_the_middle_is_the_middle() {
        let (theta, phi) = direction(0.0, 0.0).unwrap();
        assert!((theta - PI / 2.0).abs() < 1e-15 && phi.abs() < 1e-15);
        assert!(direction(0.99, 0.2).is_none());
        assert!(direction(0.5, 0.0).unwrap().1 < 0.0, "east is left");
        // Of evenly spread places of the ellipse as many are in each part of the sphere as it has area.
        let (mut all, mut north, mut near) = (0, 0, 0);
        for i in 0..400 * 400 {
            let at = |i: usize| (i as f64 + 0.5) / 200.0 - 1.0;
            if let Some((theta, phi)) = direction(at(i % 400), at(i / 400)) {
                all += 1;
                north += usize::from(libm::cos(theta) > 0.5);
                near += usize::from(phi.abs() < PI / 3.0);
            }
        }
        let share = |n: usize| n as f64 / f64::from(all);
        assert!((share(north) - 0.25).abs() < 0.003 && (share(near) - 1.0 / 3.0).abs() < 0.003);
    }
}
