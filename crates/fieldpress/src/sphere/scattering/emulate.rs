//! Maps that look like another one, drawn from its coefficients: microcanonical maximum-entropy models.
//!
//! Source: L. Mousset, E. Allys, M. A. Price, J. Aumont, J.-M. Delouis, L. Montier, J. D. McEwen, "Generative models of astrophysical fields with scattering transforms on
//! the sphere", 2024. Here the search starts with the spectrum of the map, runs in coefficients divided by its square root, and holds the spectrum as well.

use std::f64::consts::PI;

use rustfft::num_complex::Complex;

use super::{Coefficients, Scattering};
use crate::error::{Error, Result};
use crate::linalg::Lbfgs;
use crate::sphere::Harmonics;

type C = Complex<f64>;

/// What look-alikes are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Portrait {
    /// The coefficients of the map.
    pub coefficients: Coefficients,
    /// Its power spectrum, `C_l` for each degree.
    pub spectrum: Vec<f64>,
    /// Its mean, with sign.
    pub mean: f64,
}

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// Of the noise it starts in: each seed gives another map.
    pub seed: u64,
    /// Most evaluations of the gradient.
    pub evaluations: usize,
    /// Stops once the loss is this part of what it was in the beginning.
    pub enough: f64,
}

impl Default for Drawing {
    fn default() -> Drawing {
        Drawing { seed: 0, evaluations: 4000, enough: 5e-5 }
    }
}

/// A look-alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Its harmonic coefficients.
    pub map: Harmonics,
    /// The loss of the noise it began as.
    pub first_loss: f64,
    /// Its own.
    pub loss: f64,
    /// How often the gradient was taken.
    pub evaluations: usize,
}

/// Numbers from a seed: the counter-based generator of G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Two independent normal numbers (Box and Muller).
    fn normal(&mut self) -> C {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        let angle = 2.0 * PI * self.uniform();
        C::new(radius * libm::cos(angle), radius * libm::sin(angle))
    }
}

/// Normal noise with exactly this power at each degree, and this mean. Errors: as [`Harmonics::zeros`].
pub fn noise(spectrum: &[f64], mean: f64, seed: u64) -> Result<Harmonics> {
    let band = spectrum.len();
    let mut out = Harmonics::zeros(band)?;
    let mut noise = Noise(seed);
    for m in 0..band {
        for v in out.order_mut(m) {
            let z = noise.normal();
            *v = if m == 0 { C::new(z.re, 0.0) } else { z * 0.5f64.sqrt() };
        }
    }
    let found = out.spectrum();
    for m in 0..band {
        for (v, (to, from)) in out.order_mut(m).iter_mut().zip(spectrum.iter().zip(&found).skip(m)) {
            *v *= if *from > 0.0 { (to.max(0.0) / from).sqrt() } else { 0.0 };
        }
    }
    if let Some(first) = out.order_mut(0).first_mut() {
        *first = C::new(mean * 2.0 * PI.sqrt(), 0.0);
    }
    Ok(out)
}

impl Scattering {
    /// What is kept of a map to draw look-alikes of it. Errors: as [`Scattering::coefficients`].
    pub fn portrait(&self, map: &Harmonics) -> Result<Portrait> {
        let mean = map.at(0, 0).re / (2.0 * PI.sqrt());
        Ok(Portrait { coefficients: self.coefficients(map)?, spectrum: map.spectrum(), mean })
    }
    /// Draws a look-alike: noise with the spectrum of the map is changed until its coefficients, normalised by the power of the map, are those of the map. `step` is told after each
    /// evaluation how many there were and the loss, relative to the first. The same map for the same seed on every machine. Errors: `InvalidArgument` for a portrait of another band-limit or of
    /// other settings.
    pub fn draw(&self, portrait: &Portrait, drawing: Drawing, mut step: impl FnMut(usize, f64)) -> Result<Drawn> {
        let target = &portrait.coefficients;
        if (target.band(), target.settings(), portrait.spectrum.len()) != (self.band, self.settings, self.band) {
            return Err(Error::invalid("expected a portrait of this band-limit and these settings"));
        }
        let start = noise(&portrait.spectrum, portrait.mean, drawing.seed)?;
        let variables =
            Variables { mean: start.at(0, 0), roots: portrait.spectrum.iter().map(|c| c.max(0.0).sqrt()).collect() };
        let (first, _) = self.unlikeness(&start, portrait)?;
        let mut evaluations = 0;
        let search = |x: &[f64]| -> Result<(f64, Vec<f64>)> {
            let (loss, slopes) = self.unlikeness(&variables.unpack(x)?, portrait)?;
            evaluations += 1;
            step(evaluations, loss / first);
            Ok((loss, variables.slopes(&slopes)))
        };
        let lbfgs = Lbfgs { memory: 20, evaluations: drawing.evaluations.max(1), enough: drawing.enough * first };
        let found = lbfgs.minimise(variables.pack(&start), search)?;
        Ok(Drawn {
            map: variables.unpack(&found.x)?,
            first_loss: first,
            loss: found.value,
            evaluations: found.evaluations,
        })
    }
    /// The loss of a map against a portrait, and its gradient.
    fn unlikeness(&self, map: &Harmonics, portrait: &Portrait) -> Result<(f64, Harmonics)> {
        let target = &portrait.coefficients;
        let mut loss = 0.0;
        let (_, mut slopes) = self.gradient(map, |own| {
            let (value, slopes) = own.loss(target, Some(target))?;
            loss = value;
            Ok(slopes)
        })?;
        loss += spectrum_loss(map, &portrait.spectrum, &mut slopes);
        Ok((loss, slopes))
    }
}

/// The variables of the search: coefficients over the root of the power expected of them; the mean is held.
struct Variables {
    mean: C,
    roots: Vec<f64>,
}

impl Variables {
    fn unpack(&self, x: &[f64]) -> Result<Harmonics> {
        let mut map = Harmonics::zeros(self.roots.len())?;
        let mut x = x.chunks_exact(2);
        for m in 0..map.band() {
            for (v, (s, x)) in map.order_mut(m).iter_mut().zip(self.roots.iter().skip(m).zip(&mut x)) {
                *v = C::new(x[0] * s, if m == 0 { 0.0 } else { x[1] * s });
            }
        }
        if let Some(first) = map.order_mut(0).first_mut() {
            *first = self.mean;
        }
        Ok(map)
    }
    fn each(&self, map: &Harmonics, factor: impl Fn(f64) -> f64) -> Vec<f64> {
        let order = |m: usize| map.order(m).iter().zip(self.roots.iter().skip(m)).map(move |(v, s)| (m, v, s));
        let pair = |(m, v, s): (usize, &C, &f64)| [v.re * factor(*s), if m == 0 { 0.0 } else { v.im * factor(*s) }];
        (0..map.band()).flat_map(order).flat_map(pair).collect()
    }
    fn pack(&self, map: &Harmonics) -> Vec<f64> {
        self.each(map, |s| if s > 0.0 { 1.0 / s } else { 0.0 })
    }
    fn slopes(&self, gradient: &Harmonics) -> Vec<f64> {
        let mut all = self.each(gradient, |s| s);
        all.iter_mut().take(2).for_each(|v| *v = 0.0);
        all
    }
}

/// The mean over degrees of the squares of what the power is off by, relatively; its slopes are added.
fn spectrum_loss(map: &Harmonics, spectrum: &[f64], slopes: &mut Harmonics) -> f64 {
    let found = map.spectrum();
    let count = spectrum.len().max(2) as f64 - 1.0;
    let off: Vec<f64> = found.iter().zip(spectrum).map(|(f, s)| if *s > 0.0 { f / s - 1.0 } else { 0.0 }).collect();
    for m in 0..map.band() {
        let factor = if m > 0 { 2.0 } else { 1.0 };
        for (i, (g, v)) in slopes.order_mut(m).iter_mut().zip(map.order(m)).enumerate() {
            let l = m + i;
            if l > 0 && spectrum[l] > 0.0 {
                *g += v * (2.0 * off[l] * 2.0 * factor / ((2 * l + 1) as f64 * spectrum[l] * count));
            }
        }
    }
    off.iter().skip(1).fold(0.0, |s, o| s + o * o) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_the_spectrum_are_its_own_and_noise_has_the_power_asked_for() {
        let spectrum: Vec<f64> = (0..12).map(|l| 1.0 / (1 + l * l) as f64).collect();
        let start = noise(&spectrum, 0.4, 3).unwrap();
        let found = start.spectrum();
        assert!(found.iter().zip(&spectrum).skip(1).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?}");
        assert!((start.at(0, 0).re - 0.8 * PI.sqrt()).abs() < 1e-14);
        let other: Vec<f64> = spectrum.iter().map(|c| 0.7 * c).collect();
        let loss = |map: &Harmonics| spectrum_loss(map, &other, &mut Harmonics::zeros(12).unwrap());
        let mut slopes = Harmonics::zeros(12).unwrap();
        spectrum_loss(&start, &other, &mut slopes);
        for (l, m) in [(1, 0), (5, 3), (11, 11)] {
            let moved = |by: f64| {
                let mut x = start.clone();
                x.order_mut(m)[l - m].re += by;
                loss(&x)
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slopes.at(l, m).re - expected).abs() < 1e-6 * expected.abs(), "{l} {m}: {expected}");
        }
    }
}
