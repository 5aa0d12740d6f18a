//! `sphere`: maps on the sphere by their spherical harmonic coefficients.
//!
//! Sources: J. D. McEwen, Y. Wiaux, "A novel sampling theorem on the sphere", 2011: a map with degrees below `L` is `L^2` numbers, where samplings have about `2 L^2` points; K. M. Gorski
//! et al., "HEALPix", 2005. Coefficients are quantised with one step, which gives each degree the rate its power asks for, and coded in contexts. What a map has beyond its
//! band-limit is left to the correction.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 1 | the sampling: 0 Gauss-Legendre, 1 MW, 2 MWSS, 3 Driscoll-Healy, 4 HEALPix in the order of rings, 5 HEALPix in nested order, `nside` a power of 2 |
//! | varint | the band-limit `L`, at least 8: that of the shape; on HEALPix at most `4 nside`; at most 4096 |
//! | rest | the coefficients, see [`Quantised`], an array of `n x L x L` for `n` maps, in two bands: an empty one, and all of it at level 0 |
//!
//! Nothing is stored of an array without values. Maps are the last two axes, rings and points on them; on HEALPix the last axis. In the square of a map `[l][m]`, `m <= l`, is the real part of `f_lm`, `[m - 1][l]`,
//! `1 <= m <= l`, its imaginary part, for orthonormal harmonics with the phase of Condon and Shortley; the map is their synthesis, see [`Transform`].
//! Nested pixel `k` is at `(x, y)` of face `k / nside^2`, the bits of the rest being those of `x` and `y` in turn, the lowest that of `x`: Gorski et al., section 4.1.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Shape;
use crate::bits::{put_varint, ByteReader};
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Model, ModelCodec};
use crate::error::{Error, Result};
use crate::sphere::{map_to_nested, map_to_ring, Grid, Harmonics, Sampling, Transform};
use crate::transform::{trial, Band, Coder, Quantised};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "sphere",
    doc: "Spherical harmonics of maps on the sphere: [rings, points] of MW, MWSS, DH or GL, or HEALPix rings.",
    params: &[
        ("sampling", "mw, mwss, dh, gl, healpix, or nested: HEALPix in nested order (default: what the shape tells, mw before gl)"),
        ("band", "the band-limit L (default: that of the sampling; of HEALPix 2 nside)"),
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
        ("precision", "the step of coefficients over the largest one, where no bound is asked (default 1e-4)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(ModelCodec(parse_config::<Sphere>("sphere", v)?)))),
    idempotent: false,
    unbounded: true,
};

/// Where the points of a map are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Points {
    /// As the shape tells.
    #[default]
    Auto,
    /// McEwen and Wiaux.
    Mw,
    /// The same, symmetric.
    Mwss,
    /// Driscoll and Healy.
    Dh,
    /// Gauss-Legendre.
    Gl,
    /// HEALPix in the order of rings.
    Healpix,
    /// HEALPix in nested order.
    Nested,
}

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sphere {
    /// Where the points are.
    pub sampling: Points,
    /// The band-limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<usize>,
    /// How coefficients are coded.
    pub coder: Coder,
    /// The step of coefficients over the largest one, where no bound is asked.
    pub precision: f64,
}

impl Default for Sphere {
    fn default() -> Sphere {
        Sphere { sampling: Points::Auto, band: None, coder: Coder::Mixed, precision: 1e-4 }
    }
}

/// Smallest band-limit: of smaller maps there would be too many in an array.
const LEAST: usize = 8;
/// Largest band-limit of a stream: tables grow with its square.
const MOST: usize = 4096;
/// Iterations of the analysis on HEALPix.
const ITERATIONS: usize = 3;

/// A sampling, a band-limit, and how many maps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Maps {
    sampling: Sampling,
    /// HEALPix in nested order.
    nested: bool,
    band: usize,
    count: usize,
}

impl Points {
    fn name(self) -> Option<&'static str> {
        match self {
            Points::Auto => None,
            Points::Mw => Some("mw"),
            Points::Mwss => Some("mwss"),
            Points::Dh => Some("dh"),
            Points::Gl => Some("gl"),
            Points::Healpix | Points::Nested => Some("healpix"),
        }
    }
}

impl Sphere {
    fn maps(&self, shape: &Shape) -> Result<Maps> {
        let dims = shape.dims();
        let tail = |n: usize| &dims[dims.len().saturating_sub(n)..];
        let found = match self.sampling {
            Points::Healpix | Points::Nested => Sampling::of(Some("healpix"), tail(1)),
            Points::Auto if dims.len() < 2 => Sampling::of(Some("healpix"), tail(1)),
            points => Sampling::of(points.name(), tail(2)),
        };
        let (sampling, full) = found.map_err(|e| Error::invalid(format!("sphere: {}", e.message())))?;
        let healpix = if let Sampling::Healpix(n) = sampling { Some(n) } else { None };
        let most = healpix.map_or(full, |n| 4 * n).min(MOST);
        let band = self.band.unwrap_or(if healpix.is_some() { full.min(most) } else { full });
        if band < LEAST || band > most || (band != full && healpix.is_none()) {
            let allowed = match healpix {
                Some(_) => format!("from {LEAST} to {most}"),
                None => format!("of the shape, from {LEAST} to {MOST}"),
            };
            return Err(Error::invalid(format!("sphere: expected a band-limit {allowed}, found {band}")));
        }
        let nested = self.sampling == Points::Nested;
        if nested && !healpix.is_some_and(usize::is_power_of_two) {
            return Err(Error::invalid(format!(
                "sphere: expected a power of 2 as nside of a nested map, found {healpix:?}"
            )));
        }
        let points: usize = tail(if healpix.is_some() { 1 } else { 2 }).iter().product();
        Ok(Maps { sampling, nested, band, count: shape.len() / points.max(1) })
    }
}

/// A map's coefficients as a square.
fn square(h: &Harmonics) -> Vec<f64> {
    let n = h.band();
    let mut out = vec![0.0; n * n];
    for m in 0..n {
        for (i, v) in h.order(m).iter().enumerate() {
            let l = m + i;
            out[l * n + m] = v.re;
            if m > 0 {
                out[(m - 1) * n + l] = v.im;
            }
        }
    }
    out
}

fn from_square(values: &[f64], band: usize) -> Result<Harmonics> {
    let mut h = Harmonics::zeros(band)?;
    for m in 0..band {
        for (i, v) in h.order_mut(m).iter_mut().enumerate() {
            let l = m + i;
            v.re = values.get(l * band + m).copied().unwrap_or_default();
            v.im = if m > 0 { values.get((m - 1) * band + l).copied().unwrap_or_default() } else { 0.0 };
        }
    }
    Ok(h)
}

impl Maps {
    fn transform(&self) -> Result<Transform> {
        Transform::new(Grid::new(self.sampling, self.band)?)
    }
    /// `nside` of nested maps.
    fn nside(&self) -> Option<usize> {
        if let (true, Sampling::Healpix(nside)) = (self.nested, self.sampling) {
            Some(nside)
        } else {
            None
        }
    }
    /// From the order of rings.
    fn outward(&self, map: Vec<f64>) -> Result<Vec<f64>> {
        match self.nside() {
            Some(n) => map_to_nested(n, &map),
            None => Ok(map),
        }
    }
    fn inward(&self, map: &[f64]) -> Result<Vec<f64>> {
        self.nside().map_or(Ok(map.to_vec()), |n| map_to_ring(n, map))
    }
    fn squares(&self) -> [usize; 3] {
        [self.count, self.band, self.band]
    }
    /// All maps, from the squares of their coefficients.
    fn synthesis(&self, transform: &Transform, squares: &[f64], out: &mut [f64]) -> Result<()> {
        let n = transform.grid().len();
        for (square, out) in squares.chunks_exact(self.band * self.band).zip(out.chunks_exact_mut(n)) {
            out.copy_from_slice(&self.outward(transform.synthesis(&from_square(square, self.band)?)?)?);
        }
        Ok(())
    }
}

impl Model for Sphere {
    const ID: &'static str = "sphere";
    const WHOLE: bool = true;

    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>> {
        if !(f64::MIN_POSITIVE..=1.0).contains(&self.precision) {
            return Err(Error::invalid(format!("expected a precision above 0, at most 1, found {}", self.precision)));
        }
        if x.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let maps = self.maps(&block.shape)?;
        // Weights are for the analysis alone.
        let transform = Transform::new(Grid::new(maps.sampling, maps.band)?.with_ring_weights())?;
        // Sums over a map of values near the largest number would overflow.
        let largest = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        if largest > 1e290 {
            return Err(Error::invalid(format!("expected values of at most 1e290, found {largest:e}")));
        }
        let iterations = if matches!(maps.sampling, Sampling::Healpix(_)) { ITERATIONS } else { 0 };
        let mut coefficients = Vec::with_capacity(maps.count * maps.band * maps.band);
        for map in x.chunks_exact(transform.grid().len()) {
            coefficients.extend(square(&transform.iterated(&maps.inward(map)?, iterations)?));
        }
        let (shape, bands) = (maps.squares(), Band::core(&maps.squares()));
        let mut values = vec![0.0; coefficients.len()];
        let mut y = vec![0.0; x.len()];
        let step = if tolerance == f64::MAX {
            self.precision * coefficients.iter().fold(0.0, |m: f64, c| m.max(c.abs()))
        } else {
            // Errors of all coefficients add up to this much less at a point.
            let scale = (4.0 * std::f64::consts::PI).sqrt() / maps.band as f64;
            let step = trial::downhill(tolerance, |step| {
                let quantised = Quantised::new(&coefficients, step * scale);
                quantised.values(&mut values);
                maps.synthesis(&transform, &values, &mut y)?;
                Ok(quantised.size(&shape, &bands)? as f64 + trial::correction_bytes(x, &y, tolerance))
            })?;
            step * scale
        };
        let quantised = Quantised::new(&coefficients, step);
        quantised.values(&mut values);
        out.push(match maps.sampling {
            Sampling::GaussLegendre => 0,
            Sampling::Mw => 1,
            Sampling::Mwss => 2,
            Sampling::DriscollHealy => 3,
            Sampling::Healpix(_) if maps.nested => 5,
            Sampling::Healpix(_) => 4,
        });
        put_varint(out, maps.band as u64);
        quantised.encode(&shape, &bands, self.coder, out)?;
        maps.synthesis(&transform, &values, &mut y)?;
        Ok(Some(y))
    }

    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        if out.is_empty() {
            return r.end();
        }
        let sampling = match r.u8()? {
            0 => Points::Gl,
            1 => Points::Mw,
            2 => Points::Mwss,
            3 => Points::Dh,
            4 => Points::Healpix,
            5 => Points::Nested,
            s => return Err(Error::corrupt(format!("expected a sampling from 0 to 5, found {s}"))),
        };
        let band = Some(r.count(MOST)?);
        let maps = Sphere { sampling, band, ..*self }.maps(shape).map_err(|e| Error::corrupt(e.message()))?;
        let transform = maps.transform()?;
        let shape = maps.squares();
        let quantised = Quantised::decode(r.rest(), &shape, &Band::core(&shape))?;
        let mut values = vec![0.0; shape.iter().product()];
        quantised.values(&mut values);
        maps.synthesis(&transform, &values, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::View;
    use crate::codec::testing::{bounds_hold, survives_damage};
    use crate::sphere::testing::noise;

    /// With power falling off with the degree.
    fn map(sampling: Sampling, band: usize) -> Vec<f64> {
        let h = noise(band, |l| 1.0 / ((l + 1) * (l + 1)) as f64);
        Transform::new(Grid::new(sampling, band).unwrap()).unwrap().synthesis(&h).unwrap()
    }

    const CASES: [(Sampling, &str, &[usize]); 5] = [
        (Sampling::Mw, "sphere", &[24, 47]),
        (Sampling::GaussLegendre, "sphere:sampling=gl", &[24, 47]),
        (Sampling::Mwss, "sphere:coder=classes", &[25, 48]),
        (Sampling::DriscollHealy, "sphere", &[48, 47]),
        (Sampling::Healpix(12), "sphere", &[1728]),
    ];

    #[test]
    fn every_sampling_within_every_bound() {
        for (sampling, chain, shape) in CASES {
            bounds_hold(&[chain], &map(sampling, 24), shape);
        }
        let nested = map_to_nested(16, &map(Sampling::Healpix(16), 24)).unwrap();
        bounds_hold(&["sphere:sampling=nested"], &nested, &[3072]);
        let two: Vec<f64> = [map(Sampling::Mw, 24), map(Sampling::Mw, 24)].concat();
        bounds_hold(&["sphere"], &two, &[2, 24, 47]);
    }

    #[test]
    fn maps_with_a_band_limit_cost_half_of_their_points_and_hardly_need_corrections() {
        let nested = map_to_nested(32, &map(Sampling::Healpix(32), 64)).unwrap();
        let cases: [(&str, Vec<f64>, &[usize]); 6] = [
            ("mw", map(Sampling::Mw, 64), &[64, 127]),
            ("gl", map(Sampling::GaussLegendre, 64), &[64, 127]),
            ("mwss", map(Sampling::Mwss, 64), &[65, 128]),
            ("dh", map(Sampling::DriscollHealy, 64), &[128, 127]),
            ("healpix", map(Sampling::Healpix(32), 64), &[12288]),
            ("nested", nested, &[12288]),
        ];
        for (sampling, x, shape) in cases {
            let codec: Sphere = parse_config("sphere", &serde_json::json!({ "sampling": sampling })).unwrap();
            let view = View::new(shape, &x).unwrap();
            let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
            let mut bytes = Vec::new();
            let y = codec.fit(&x, &block, 1e-6, &mut bytes).unwrap().unwrap();
            let worst = x.iter().zip(&y).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1e-5 && bytes.len() < 64 * 64 * 2, "{sampling}: {worst} {}", bytes.len());
            let mut back = vec![0.0; x.len()];
            Sphere::default().reconstruct(&bytes, &view.shape(), &mut back).unwrap();
            assert!(back.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()), "{sampling}");
        }
    }

    #[test]
    fn other_shapes_and_band_limits_are_refused() {
        let shape = |d: &[usize]| Shape::new(d).unwrap();
        for bad in [&[][..], &[5], &[3, 7], &[0, 12], &[13, 12]] {
            assert!(Sphere::default().maps(&shape(bad)).is_err(), "{bad:?}");
        }
        let of = |band| Sphere { band: Some(band), ..Sphere::default() };
        assert!(of(7).maps(&shape(&[8, 15])).is_err() && of(8).maps(&shape(&[8, 15])).is_ok());
        assert!(of(17).maps(&shape(&[192])).is_err() && of(12).maps(&shape(&[192])).is_ok());
        assert!(Sphere::default().maps(&shape(&[100, 7, 13])).is_err(), "too small");
        assert_eq!(Sphere::default().maps(&shape(&[12 << 24])).unwrap().band, MOST);
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let x = map(Sampling::Mw, 12);
        let view = View::new(&[12, 23], &x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let mut bytes = Vec::new();
        Sphere::default().fit(&x, &block, 1e-3, &mut bytes).unwrap();
        survives_damage(&Sphere::default(), &bytes, &[12, 23]);
        let x = map_to_nested(4, &map(Sampling::Healpix(4), 16)).unwrap();
        let view = View::new(&[192], &x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Default::default() };
        let nested = Sphere { sampling: Points::Nested, band: Some(16), ..Sphere::default() };
        let mut bytes = Vec::new();
        nested.fit(&x, &block, 1e-2, &mut bytes).unwrap();
        survives_damage(&nested, &bytes, &[192]);
    }
}
