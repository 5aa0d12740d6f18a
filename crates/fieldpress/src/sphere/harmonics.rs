//! Coefficients of a real map.

use rustfft::num_complex::Complex;

use crate::error::{Error, Result};

/// Largest band-limit.
const MOST: usize = 8192;

/// The coefficients `f_lm` of a real map for `0 <= m <= l < L`, those of one `m` side by side with rising `l`: healpy's order, `f_lm` at `m (2L - 1 - m) / 2 + l`.
#[derive(Clone, Debug, PartialEq)]
pub struct Harmonics {
    band: usize,
    values: Vec<Complex<f64>>,
}

/// Errors: as [`Harmonics::zeros`].
pub(super) fn check_band(band: usize) -> Result<()> {
    if band == 0 {
        return Err(Error::invalid("expected a band-limit of at least 1, found 0"));
    }
    if band > MOST {
        return Err(Error::limit(format!("expected a band-limit of at most {MOST}, found {band}")));
    }
    Ok(())
}

impl Harmonics {
    /// All 0, for `l` below `band`. Errors: `LimitExceeded` beyond 8192, `InvalidArgument` for 0.
    pub fn zeros(band: usize) -> Result<Harmonics> {
        check_band(band)?;
        Ok(Harmonics { band, values: vec![Complex::default(); band * (band + 1) / 2] })
    }
    /// `L`: degrees are below.
    pub fn band(&self) -> usize {
        self.band
    }
    /// The coefficient of degree `l` and order `m`; 0 outside.
    pub fn at(&self, l: usize, m: usize) -> Complex<f64> {
        let inside = m <= l && l < self.band;
        self.values.get(self.first(m) + l.saturating_sub(m)).copied().filter(|_| inside).unwrap_or_default()
    }
    /// Those of order `m`, from degree `m` on.
    pub fn order(&self, m: usize) -> &[Complex<f64>] {
        let first = self.first(m);
        self.values.get(first..first + self.band.saturating_sub(m)).unwrap_or_default()
    }
    /// The same, to be changed.
    pub fn order_mut(&mut self, m: usize) -> &mut [Complex<f64>] {
        let first = self.first(m);
        let len = self.band.saturating_sub(m);
        self.values.get_mut(first..first + len).unwrap_or_default()
    }
    /// All of them.
    pub fn values(&self) -> &[Complex<f64>] {
        &self.values
    }
    /// The power spectrum: the mean of the squares of the coefficients of each degree, over all `2l + 1` orders.
    pub fn spectrum(&self) -> Vec<f64> {
        let power = |l: usize| {
            let twice: f64 = (1..=l).fold(0.0, |s, m| s + self.at(l, m).norm_sqr());
            (self.at(l, 0).norm_sqr() + 2.0 * twice) / (2 * l + 1) as f64
        };
        (0..self.band).map(power).collect()
    }
    /// Adds those of another, degree by degree as far as both go.
    pub fn add(&mut self, other: &Harmonics) {
        for m in 0..self.band {
            self.order_mut(m).iter_mut().zip(other.order(m)).for_each(|(a, b)| *a += b);
        }
    }
    fn first(&self, m: usize) -> usize {
        m.min(self.band) * (2 * self.band + 1 - m.min(self.band)) / 2
    }
}
