//! Complex maps: a real one each for the real and the imaginary parts.

use rustfft::num_complex::Complex;

use super::{Harmonics, Transform};
use crate::error::{Error, Result};

type C = Complex<f64>;

/// The coefficients `f_lm` of a complex map for `|m| <= l < L`: `f = g + i h` with the real maps `g` and `h`, and `g_(l,-m) = (-1)^m conj(g_lm)`.
#[derive(Clone, Debug, PartialEq)]
pub struct ComplexHarmonics {
    real: Harmonics,
    imaginary: Harmonics,
}

/// `(-1)^m`.
fn sign(m: usize) -> f64 {
    if m.is_multiple_of(2) {
        1.0
    } else {
        -1.0
    }
}

impl ComplexHarmonics {
    /// From the coefficients of the real and of the imaginary part. Errors: `InvalidArgument` where their band-limits differ.
    pub fn new(real: Harmonics, imaginary: Harmonics) -> Result<ComplexHarmonics> {
        if real.band() != imaginary.band() {
            let (a, b) = (real.band(), imaginary.band());
            return Err(Error::invalid(format!("expected parts with one band-limit, found {a} and {b}")));
        }
        Ok(ComplexHarmonics { real, imaginary })
    }
    /// With `f_lm = of(l, m)`, for degrees below `band`. Errors: as [`Harmonics::zeros`].
    pub fn from_fn(band: usize, of: impl Fn(usize, i64) -> C) -> Result<ComplexHarmonics> {
        let (mut real, mut imaginary) = (Harmonics::zeros(band)?, Harmonics::zeros(band)?);
        for m in 0..band {
            let parts = real.order_mut(m).iter_mut().zip(imaginary.order_mut(m));
            for (l, (g, h)) in (m..band).zip(parts) {
                let (f, back) = (of(l, m as i64), of(l, -(m as i64)).conj() * sign(m));
                *g = 0.5 * (f + back);
                *h = C::new(0.0, -0.5) * (f - back);
            }
        }
        Ok(ComplexHarmonics { real, imaginary })
    }
    /// `L`: degrees are below.
    pub fn band(&self) -> usize {
        self.real.band()
    }
    /// The coefficient of degree `l` and order `m`; 0 outside.
    pub fn at(&self, l: usize, m: i64) -> C {
        let order = m.unsigned_abs() as usize;
        let (g, h) = (self.real.at(l, order), self.imaginary.at(l, order));
        let i = C::new(0.0, 1.0);
        if m >= 0 {
            g + i * h
        } else {
            (g.conj() + i * h.conj()) * sign(order)
        }
    }
    /// The coefficients of the real part.
    pub fn real(&self) -> &Harmonics {
        &self.real
    }
    /// Those of the imaginary part.
    pub fn imaginary(&self) -> &Harmonics {
        &self.imaginary
    }
}

fn together(parts: [Vec<f64>; 2]) -> Vec<C> {
    let [re, im] = parts;
    re.into_iter().zip(im).map(|(re, im)| C::new(re, im)).collect()
}

fn apart(map: &[C]) -> [Vec<f64>; 2] {
    [map.iter().map(|v| v.re).collect(), map.iter().map(|v| v.im).collect()]
}

impl Transform {
    /// The complex map with these coefficients. Errors: as [`Transform::synthesis`].
    pub fn synthesis_complex(&self, harmonics: &ComplexHarmonics) -> Result<Vec<C>> {
        let mut maps = self.synthesis_many(&[&harmonics.real, &harmonics.imaginary])?.into_iter();
        let mut next = || maps.next().unwrap_or_default();
        Ok(together([next(), next()]))
    }
    /// The adjoint of [`Transform::synthesis_complex`]: `sum f(theta, phi) conj(Y_lm)` over all points. Errors: as [`Transform::adjoint`].
    pub fn adjoint_complex(&self, map: &[C]) -> Result<ComplexHarmonics> {
        let [re, im] = apart(map);
        ComplexHarmonics::new(self.adjoint(&re)?, self.adjoint(&im)?)
    }
    /// The coefficients of a complex map by quadrature. Errors: as [`Transform::analysis`].
    pub fn analysis_complex(&self, map: &[C]) -> Result<ComplexHarmonics> {
        let [re, im] = apart(map);
        let mut found = self.analysis_many(&[&re, &im])?.into_iter();
        let mut next = || found.next().map_or_else(|| Harmonics::zeros(self.grid().band()), Ok);
        ComplexHarmonics::new(next()?, next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grid, Sampling};
    use super::*;

    fn some(l: usize, m: i64) -> C {
        let (l, m) = (l as f64, m as f64);
        C::new(libm::sin(3.0 * l + 1.7 * m), libm::cos(l * l - 0.9 * m)) / (1.0 + l)
    }

    #[test]
    fn coefficients_of_both_signs_come_back() {
        for sampling in [Sampling::Mw, Sampling::GaussLegendre, Sampling::DriscollHealy] {
            let band = 12;
            let t = Transform::new(Grid::new(sampling, band).unwrap()).unwrap();
            let h = ComplexHarmonics::from_fn(band, some).unwrap();
            let back = t.analysis_complex(&t.synthesis_complex(&h).unwrap()).unwrap();
            for l in 0..band {
                for m in -(l as i64)..=l as i64 {
                    assert!((h.at(l, m) - some(l, m)).norm() < 1e-15, "{l} {m}");
                    assert!((back.at(l, m) - some(l, m)).norm() < 1e-13, "{sampling:?} {l} {m}");
                }
            }
        }
    }

    #[test]
    fn an_order_turns_its_own_way_around() {
        // Y_(1,-1) = sqrt(3 / 8 pi) sin(theta) e^(-i phi).
        let h = ComplexHarmonics::from_fn(3, |l, m| C::new(f64::from((l, m) == (1, -1)), 0.0)).unwrap();
        let t = Transform::new(Grid::new(Sampling::Mw, 3).unwrap()).unwrap();
        let map = t.synthesis_complex(&h).unwrap();
        for ring in t.grid().rings() {
            for p in 0..ring.points {
                let phi = 2.0 * std::f64::consts::PI * p as f64 / ring.points as f64;
                let size = (0.375 / std::f64::consts::PI).sqrt() * ring.sin;
                let expected = C::new(size * libm::cos(phi), -size * libm::sin(phi));
                assert!((map[ring.first + p] - expected).norm() < 1e-14);
            }
        }
        // <map, synthesis> = <adjoint, coefficients>.
        let (x, h) = (ComplexHarmonics::from_fn(3, some).unwrap(), t.adjoint_complex(&map).unwrap());
        let product = |a: C, b: C| a * b.conj();
        let left =
            t.synthesis_complex(&x).unwrap().iter().zip(&map).fold(C::default(), |s, (a, b)| s + product(*a, *b));
        let pairs = (0..3).flat_map(|l| (-(l as i64)..=l as i64).map(move |m| (l, m)));
        let right = pairs.fold(C::default(), |s, (l, m)| s + product(x.at(l, m), h.at(l, m)));
        assert!((left - right).norm() < 1e-13, "{left} {right}");
        assert!(ComplexHarmonics::new(Harmonics::zeros(2).unwrap(), Harmonics::zeros(3).unwrap()).is_err());
    }
}
