//! What is prepared once for maps of a band-limit.

use std::f64::consts::PI;

use super::super::harmonics::check_band;
use super::super::recursion::{Lanes, LANES};
use super::super::rings::Rings;
use super::super::{Grid, Harmonics, Sampling};
use super::wavelets::{last_scale, scale_bands, wavelet, wavelet_spectra};
use super::Coefficients;
use crate::error::{Error, Result};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `N`: wavelets have `2N - 1` directions; 1 to 5.
    pub directions: usize,
    /// `J_min`: the smallest scale `j`; degrees up to `2^(j-1)` are left out.
    pub first_scale: usize,
    /// At most so many scales between the two layers (`delta_j`); all without it.
    pub reach: Option<usize>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { directions: 3, first_scale: 2, reach: None }
    }
}

/// A scale: its wavelets, and the rings of the Gauss-Legendre grid its fields are on.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) j: usize,
    /// Degrees are below.
    pub(super) band: usize,
    pub(super) rings: Rings,
    /// For each `n` of [`Scattering::spins`] the wavelet.
    pub(super) wavelets: Vec<Vec<f64>>,
    /// `sqrt((2l + 1) / 4 pi)`.
    pub(super) norms: Vec<f64>,
    /// For each group of rings the weights of a point on the northern and on the southern ones; 0 where there is none.
    pub(super) weights: Vec<[Lanes; 2]>,
}

/// Scattering covariances, made ready for maps with degrees below a band-limit.
///
/// Maps go in as [`Harmonics`], from whatever sampling they came. All fields are on Gauss-Legendre grids of the band-limit of their scale.
#[derive(Clone, Debug)]
pub struct Scattering {
    pub(super) band: usize,
    pub(super) settings: Settings,
    pub(super) scales: Vec<Scale>,
    /// The `n >= 0` of the wavelets: of the parity of `N - 1`.
    pub(super) spins: Vec<usize>,
    /// A field in direction `g` is the sum over the real basis fields `x` of `turns[g][x]` times them: `F_0`, and the real and imaginary parts of `F_n`.
    pub(super) turns: Vec<Vec<f64>>,
}

/// The scales of maps with degrees below `band`. Errors: as [`Scattering::new`].
pub(super) fn scales(band: usize, settings: Settings) -> Result<Vec<usize>> {
    let Settings { directions, first_scale, reach } = settings;
    if !(1..=5).contains(&directions) {
        return Err(Error::invalid(format!("expected 1 to 5 directions (N), found {directions}")));
    }
    check_band(band)?;
    let last = last_scale(band);
    if first_scale >= last {
        return Err(Error::invalid(format!(
            "expected a smallest scale below the largest of a band-limit of {band}, {last}, found {first_scale}"
        )));
    }
    if reach == Some(0) {
        return Err(Error::invalid("expected a reach of at least 1 scale, found 0"));
    }
    Ok((first_scale..=last).collect())
}

impl Scattering {
    /// For maps with degrees below `band`. Errors: `InvalidArgument` for directions outside 1 to 5, for a smallest scale that is not below the largest one,
    /// `ceil(log2 L)`, for a reach of 0; `LimitExceeded` for a band-limit beyond 8192.
    pub fn new(band: usize, settings: Settings) -> Result<Scattering> {
        scales(band, settings)?;
        let Settings { directions, first_scale, .. } = settings;
        let spins: Vec<usize> = (0..directions).filter(|n| !(n + directions).is_multiple_of(2)).collect();
        let spectra = wavelet_spectra(band);
        let mut scales: Vec<Scale> = Vec::new();
        for (j, spectrum) in spectra.iter().enumerate().skip(first_scale) {
            let (from, to) = scale_bands(j, band);
            let wavelets = spins.iter().map(|n| wavelet(spectrum, (from, to), directions, *n)).collect();
            if let Some(same) = scales.last().filter(|s| s.band == to) {
                let same = Scale { j, wavelets, ..same.clone() };
                scales.push(same);
                continue;
            }
            let grid = Grid::new(Sampling::GaussLegendre, to)?;
            let rings = Rings::new(&grid);
            let half = to.div_ceil(2);
            let north: Vec<f64> = grid.rings().iter().take(half).map(|r| r.weight).collect();
            let weights = (0..rings.len())
                .map(|g| {
                    let there = |count: usize| {
                        let first = g * LANES;
                        let mut all = [0.0; LANES];
                        let part = north.get(first..count.max(first)).unwrap_or_default();
                        all.iter_mut().zip(part).for_each(|(a, w)| *a = *w);
                        all
                    };
                    [there(half), there(to / 2)]
                })
                .collect();
            let norms = (0..to).map(|l| ((2 * l + 1) as f64 / (4.0 * PI)).sqrt()).collect();
            scales.push(Scale { j, band: to, rings, wavelets, norms, weights });
        }
        let delay = if directions.is_multiple_of(2) { PI / 2.0 } else { 0.0 };
        let count = 2 * directions - 1;
        let turn = |g: usize| {
            let mut row = Vec::new();
            for n in &spins {
                if *n == 0 {
                    row.push(1.0);
                    continue;
                }
                let angle = 2.0 * PI * (g * n % count) as f64 / count as f64 - delay;
                row.extend([2.0 * libm::cos(angle), -2.0 * libm::sin(angle)]);
            }
            row
        };
        let turns = (0..count).map(turn).collect();
        Ok(Scattering { band, settings, scales, spins, turns })
    }
    /// The band-limit of the maps.
    pub fn band(&self) -> usize {
        self.band
    }
    /// What was asked for.
    pub fn settings(&self) -> Settings {
        self.settings
    }
    /// Directions of a field: `2N - 1`.
    pub fn directions(&self) -> usize {
        self.turns.len()
    }
    /// The scales `j`, from the largest features to the smallest.
    pub fn scales(&self) -> Vec<usize> {
        self.scales.iter().map(|s| s.j).collect()
    }
    /// Whether the second layer takes the modulus of scale `later` (by its place) apart at scale `place`.
    pub(super) fn reaches(&self, place: usize, later: usize) -> bool {
        later > place && self.settings.reach.is_none_or(|r| later - place <= r)
    }
    /// The places of the scales whose moduli are taken apart at that of `place`.
    pub(super) fn later(&self, place: usize) -> Vec<usize> {
        (0..self.scales.len()).filter(|l| self.reaches(place, *l)).collect()
    }
    pub(super) fn fits(&self, map: &Harmonics) -> Result<()> {
        if map.band() != self.band {
            return Err(Error::invalid(format!("expected a band-limit of {}, found {}", self.band, map.band())));
        }
        Ok(())
    }
    /// The coefficients of a map. Errors: `InvalidArgument` for another band-limit.
    pub fn coefficients(&self, map: &Harmonics) -> Result<Coefficients> {
        Ok(self.forward(map, false)?.0)
    }
    /// The gradient of a function of the coefficients, whose derivatives by each of them are what `weights` gives for the coefficients of the map, with respect to the
    /// harmonic coefficients `f_lm` with `m >= 0`: the derivative by the real part, plus `i` times that by the imaginary part (also where `m = 0`, as if maps could be complex). With the
    /// coefficients. Errors: as [`Scattering::coefficients`], and those of `weights`.
    pub fn gradient(
        &self,
        map: &Harmonics,
        weights: impl FnOnce(&Coefficients) -> Result<Coefficients>,
    ) -> Result<(Coefficients, Harmonics)> {
        let (found, kept) = self.forward(map, true)?;
        let weights = weights(&found)?;
        if !weights.alike(&found) {
            return Err(Error::invalid("expected as many derivatives as there are coefficients"));
        }
        let gradient = self.backward(map, &kept, &weights)?;
        Ok((found, gradient))
    }
    fn forward(&self, map: &Harmonics, keep: bool) -> Result<(Coefficients, Vec<super::first::Layer>)> {
        self.fits(map)?;
        let mut out = Coefficients::zeros(self);
        out.mean = map.at(0, 0).norm_sqr().sqrt() / (2.0 * PI.sqrt());
        let power = |m: usize| map.order(m).iter().fold(0.0, |s, v| s + v.norm_sqr()) * if m > 0 { 2.0 } else { 1.0 };
        let all = (0..self.band).fold(0.0, |s, m| s + power(m));
        out.variance = (all - map.at(0, 0).norm_sqr()) / (4.0 * PI);
        let mut layers = Vec::new();
        for place in 0..self.scales.len() {
            let layer = self.first_layer(place, map, keep, None)?;
            let at = place * self.directions();
            out.s1[at..at + self.directions()].copy_from_slice(&layer.s1);
            out.p00[at..at + self.directions()].copy_from_slice(&layer.p00);
            layers.push(layer);
        }
        let moduli: Vec<&[Harmonics]> = layers.iter().map(|l| l.moduli.as_slice()).collect();
        for place in 0..self.scales.len() - 1 {
            self.second_layer(place, map, &moduli, &mut out);
        }
        Ok((out, layers))
    }
    fn backward(&self, map: &Harmonics, layers: &[super::first::Layer], weights: &Coefficients) -> Result<Harmonics> {
        let mut gradient = Harmonics::zeros(self.band)?;
        let size = map.at(0, 0).norm_sqr().sqrt();
        for m in 0..self.band {
            let factor = weights.variance * if m > 0 { 4.0 } else { 2.0 } / (4.0 * PI);
            gradient.order_mut(m).iter_mut().zip(map.order(m)).for_each(|(g, f)| *g = f * factor);
        }
        if let Some(first) = gradient.order_mut(0).first_mut() {
            *first =
                if size > 0.0 { map.at(0, 0) * (weights.mean / (size * 2.0 * PI.sqrt())) } else { Default::default() };
        }
        let mut moduli = Vec::new();
        for layer in layers {
            moduli.push(layer.moduli.iter().map(|m| Harmonics::zeros(m.band())).collect::<Result<Vec<_>>>()?);
        }
        let found: Vec<&[Harmonics]> = layers.iter().map(|l| l.moduli.as_slice()).collect();
        for place in 0..self.scales.len() - 1 {
            self.second_layer_back(place, map, &found, weights, &mut gradient, &mut moduli)?;
        }
        for (place, (layer, moduli)) in layers.iter().zip(&moduli).enumerate() {
            self.first_layer_back(place, layer, moduli, weights, &mut gradient);
        }
        Ok(gradient)
    }
}
