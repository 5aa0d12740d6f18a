//! Maps on the sphere as inputs of commands.

use std::path::Path;

use clap::Args;
use fieldpress::array::Region;
use fieldpress::files::{Glob, MapOrigin};
use fieldpress::sphere::{Grid, Harmonics, Sampling, Transform};
use fieldpress::{Error, Result};

use crate::args::{positive, OpenArgs};
use crate::compare::{arrays_of, Named};
use crate::files::shown;

/// How an array is a map.
#[derive(Args)]
#[command(next_help_heading = "Maps on the sphere")]
pub(crate) struct MapArgs {
    /// The array that is the map, of a file with several.
    #[arg(long, value_name = "PATTERN")]
    array: Option<Glob>,
    /// mw, mwss, dh or gl: [rings, points]; healpix [default: what the shape tells, mw before gl].
    #[arg(long, value_name = "NAME")]
    sampling: Option<String>,
    /// A HEALPix map is in nested order; files that say so need not be told.
    #[arg(long)]
    nested: bool,
    /// Degrees of HEALPix maps are below L [default: 2 nside].
    #[arg(long, value_name = "L", value_parser = positive)]
    band: Option<usize>,
    /// Iterations of the analysis of HEALPix maps, with ring weights.
    #[arg(long, value_name = "N", default_value_t = ITERATIONS)]
    iterations: usize,
    #[command(flatten)]
    open: OpenArgs,
}

/// The one array that is meant. Errors: `InvalidArgument`, with the names there are.
pub(crate) fn chosen<'a>(arrays: &'a [Named], pattern: Option<&Glob>) -> Result<&'a Named> {
    let mut meant = arrays.iter().filter(|a| pattern.is_none_or(|g| g.matches(&a.name)));
    if let (Some(one), None) = (meant.next(), meant.next()) {
        return Ok(one);
    }
    let names: Vec<&str> = arrays.iter().map(|a| a.name.as_str()).collect();
    Err(Error::invalid(match pattern {
        Some(p) => format!("expected one array that fits {p}, found {}", names.join(" ")),
        None => format!("expected one array, found {}; choose one with --array", names.join(" ")),
    }))
}

/// The sampling of this name, of those with as many points on every ring.
pub(crate) fn of_rings(name: &str) -> Option<Sampling> {
    [Sampling::Mw, Sampling::Mwss, Sampling::DriscollHealy, Sampling::GaussLegendre]
        .into_iter()
        .find(|s| s.name() == name)
}

/// As many as healpy's default.
const ITERATIONS: usize = 3;
/// The fill value of HEALPix.
pub(crate) const UNSEEN: f64 = -1.6375e30;

/// Whether there is nothing at a point of a map. In 32 bits the fill value is another number.
pub(crate) fn is_missing(value: f64) -> bool {
    value.is_nan() || (value / UNSEEN - 1.0).abs() < 1e-5
}

impl MapArgs {
    /// The map in a file or archive: its coefficients, and its sampling.
    pub(crate) fn load(&self, path: &Path) -> Result<(Harmonics, MapOrigin)> {
        self.read(path, false).map_err(|e| e.at(shown(path)))
    }
    /// The same of a map with holes, which become the mean of the other points.
    pub(crate) fn load_filled(&self, path: &Path) -> Result<Harmonics> {
        Ok(self.read(path, true).map_err(|e| e.at(shown(path)))?.0)
    }
    /// Weights of a mask: where its points are, in the order of rings, and their values.
    pub(crate) fn load_mask(&self, path: &Path) -> Result<(Grid, Vec<f64>)> {
        let read = || -> Result<(Grid, Vec<f64>)> {
            let all = arrays_of(path, &self.open.options())?;
            let one = chosen(&all, None)?;
            let shape = one.source.shape();
            // A mask in rings and points is on the sampling that was named, if it was.
            let named = self.sampling.as_deref().filter(|_| shape.rank() == 2);
            let (sampling, band) = Sampling::of(named, shape.dims())?;
            let mut values = one.source.read(&Region::all(shape))?.as_slice().to_f64();
            if let (Sampling::Healpix(nside), true) = (sampling, self.nested || one.nested) {
                values = fieldpress::sphere::map_to_ring(nside, &values)?;
            }
            Ok((Grid::new(sampling, band)?, values))
        };
        read().map_err(|e| e.at(shown(path)))
    }
    fn read(&self, path: &Path, filled: bool) -> Result<(Harmonics, MapOrigin)> {
        let all = arrays_of(path, &self.open.options())?;
        let one = chosen(&all, self.array.as_ref())?;
        let how = How {
            sampling: self.sampling.as_deref(),
            nested: self.nested,
            band: self.band,
            iterations: self.iterations,
            filled,
        };
        let (map, sampling) = how.analysis(one)?;
        let (nested, iterations) = (self.nested || one.nested, self.iterations);
        Ok((map, MapOrigin { sampling: sampling.name().into(), nested, iterations }))
    }
    /// The coefficients of the same array of another file, that came from such a map: whatever is said of it here holds, what is not as it was there.
    pub(crate) fn load_as(&self, path: &Path, origin: &MapOrigin, band: usize) -> Result<Harmonics> {
        let read = || -> Result<Harmonics> {
            let all = arrays_of(path, &self.open.options())?;
            let healpix = origin.sampling == "healpix";
            let how = How {
                sampling: self.sampling.as_deref().or(Some(&origin.sampling)),
                nested: self.nested || origin.nested,
                band: self.band.or(healpix.then_some(band)),
                iterations: origin.iterations,
                filled: false,
            };
            Ok(how.analysis(chosen(&all, self.array.as_ref())?)?.0)
        };
        read().map_err(|e| e.at(shown(path)))
    }
}

/// How an array is a map, and how HEALPix maps are analysed.
pub(crate) struct How<'a> {
    pub(crate) sampling: Option<&'a str>,
    pub(crate) nested: bool,
    pub(crate) band: Option<usize>,
    pub(crate) iterations: usize,
    /// Whether points without values become the mean of the others.
    pub(crate) filled: bool,
}

impl Default for How<'_> {
    fn default() -> Self {
        How { sampling: None, nested: false, band: None, iterations: ITERATIONS, filled: false }
    }
}

impl How<'_> {
    /// The coefficients of a map, and its sampling.
    pub(crate) fn analysis(&self, map: &Named) -> Result<(Harmonics, Sampling)> {
        let shape = map.source.shape();
        let (sampling, full) = Sampling::of(self.sampling, shape.dims())?;
        let healpix = if let Sampling::Healpix(nside) = sampling { Some(nside) } else { None };
        let band = match (self.band, healpix) {
            (Some(band), None) if band != full => {
                return Err(Error::invalid(format!("expected the band-limit of the sampling, {full}, found {band}")));
            }
            (band, _) => band.unwrap_or(full),
        };
        let mut values = map.source.read(&Region::all(shape))?.as_slice().to_f64();
        if self.nested || map.nested {
            let Some(nside) = healpix else { return Err(Error::invalid("expected a HEALPix map with --nested")) };
            values = fieldpress::sphere::map_to_ring(nside, &values)?;
        }
        let missing = values.iter().filter(|v| v.is_infinite() || is_missing(**v)).count();
        if missing > 0 && self.filled {
            let there = values.iter().filter(|v| v.is_finite() && !is_missing(**v));
            let mean = there.sum::<f64>() / (values.len() - missing).max(1) as f64;
            values.iter_mut().filter(|v| v.is_infinite() || is_missing(**v)).for_each(|v| *v = mean);
        } else if missing > 0 {
            return Err(Error::invalid(format!(
                "expected a map without holes, found {missing} points that are NaN, infinite or UNSEEN"
            )));
        }
        let transform = Transform::new(Grid::new(sampling, band)?.with_ring_weights())?;
        let iterations = if healpix.is_some() { self.iterations } else { 0 };
        Ok((transform.iterated(&values, iterations)?, sampling))
    }
}

/// A map as `.npy` at a path.
pub(crate) fn write_npy(path: &Path, force: bool, shape: &[usize], values: Vec<f64>) -> Result<()> {
    use fieldpress::array::Sink;
    let array = fieldpress::Array::from_vec(shape, values)?;
    let mut outputs = crate::files::Outputs::default();
    outputs.fill(path, force, |out| {
        let mut sink = fieldpress::io::npy::create(array.dtype(), array.shape(), out)?;
        sink.write(&Region::all(array.shape()), array.data())
    })?;
    outputs.commit()
}
