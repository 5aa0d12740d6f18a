//! Statistics of a map on the sphere as an archive, from which look-alikes are drawn.
//!
//! The arrays of the archive, all lossless: `mean` (with sign), `variance`, `spectrum` (`C_l` for each degree), `s1` and `p00` (`[scales, directions]`), `c01`, and of `c11` the numbers that
//! do not follow from others. Each has the attribute `scattering`: band-limit, directions `N`, smallest scale, reach, and the sampling the map had. The map itself cannot be had back.

use std::io::Write;

use serde_json::{json, Map, Value};

use crate::array::Array;
use crate::bound::Bound;
use crate::container::{Archive, ArchiveWriter, ArrayOptions, Plan, Role};
use crate::error::{Error, Result};
use crate::facade::Choice;
use crate::sphere::scattering::{Coefficients, Portrait, Settings};

/// The attribute that tells such an archive from others.
const ATTRIBUTE: &str = "scattering";

/// Where the coefficients of a map came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOrigin {
    /// The name of the sampling, see [`Sampling::of`](crate::sphere::Sampling::of).
    pub sampling: String,
    /// Whether a HEALPix map was in nested order.
    pub nested: bool,
    /// Iterations of the analysis of a HEALPix map.
    pub iterations: usize,
}

/// Writes a portrait. Errors: `Io`.
pub fn write_portrait<W: Write>(portrait: &Portrait, origin: &MapOrigin, out: W) -> Result<W> {
    let c = &portrait.coefficients;
    let Settings { directions, first_scale, reach } = c.settings();
    let about = json!({
        "band": c.band(), "N": directions, "j_min": first_scale, "reach": reach,
        "sampling": origin.sampling, "nested": origin.nested, "iterations": origin.iterations,
        "note": "statistics: look-alikes can be drawn from them, the map cannot be had back",
    });
    let attributes = Map::from_iter([(ATTRIBUTE.to_string(), about)]);
    let distinct: Vec<f64> = c.distinct().iter().map(|i| c.c11[*i]).collect();
    let scales = [c.scales().len(), 2 * directions - 1];
    let arrays: [(&str, Vec<usize>, Vec<f64>); 7] = [
        ("mean", vec![], vec![portrait.mean]),
        ("variance", vec![], vec![c.variance]),
        ("spectrum", vec![portrait.spectrum.len()], portrait.spectrum.clone()),
        ("s1", scales.to_vec(), c.s1.clone()),
        ("p00", scales.to_vec(), c.p00.clone()),
        ("c01", vec![c.c01.len()], c.c01.clone()),
        ("c11", vec![distinct.len()], distinct),
    ];
    let mut writer = ArchiveWriter::new(out)?;
    for (name, shape, values) in arrays {
        let array = Array::from_vec(&shape, values)?;
        let plan = Plan::new(&array, &Bound::Lossless, None, false)?;
        let options = ArrayOptions {
            plan: &plan,
            chains: Choice::Auto.chains(&array, &plan, false)?,
            velocities: None,
            block: None,
            measure: false,
            elements: None,
            progressive: false,
            role: Role::Field,
            attributes: attributes.clone(),
            companions: Vec::new(),
            keep: false,
            progress: None,
        };
        writer.put_array(name, &array, options)?;
    }
    writer.finish()
}

/// The portrait in an archive, and where its map came from; `None` where the archive is of another kind. Errors: `Corrupt` where numbers are missing or not finite, as
/// [`Archive::read`].
pub fn read_portrait(archive: &Archive) -> Result<Option<(Portrait, MapOrigin)>> {
    let Some(about) = archive
        .directory()
        .arrays
        .first()
        .and_then(|a| a.attributes.get(ATTRIBUTE))
        .filter(|a| a.get("band").is_some())
    else {
        return Ok(None);
    };
    let number = |key: &str| about.get(key).and_then(Value::as_u64).and_then(|v| usize::try_from(v).ok());
    let wrong = |what: &str| Error::corrupt(format!("expected {what} of scattering covariances, found none"));
    let settings = Settings {
        directions: number("N").ok_or_else(|| wrong("the directions"))?,
        first_scale: number("j_min").ok_or_else(|| wrong("the smallest scale"))?,
        reach: number("reach"),
    };
    let band = number("band").ok_or_else(|| wrong("the band-limit"))?;
    let origin = MapOrigin {
        sampling: about.get("sampling").and_then(Value::as_str).unwrap_or("mw").to_string(),
        nested: about.get("nested").and_then(Value::as_bool).unwrap_or_default(),
        iterations: number("iterations").unwrap_or_default(),
    };
    let read = |name: &str| -> Result<Vec<f64>> { Ok(archive.read(name)?.data().to_f64()) };
    let (mean, spectrum) = (read("mean")?.first().copied().ok_or_else(|| wrong("a mean"))?, read("spectrum")?);
    let mut values = vec![mean.abs()];
    let mut counts = Vec::new();
    for name in ["variance", "s1", "p00", "c01", "c11"] {
        let part = read(name)?;
        counts.push(part.len());
        values.extend(part);
    }
    if !values.iter().chain(&spectrum).all(|v| v.is_finite()) {
        return Err(Error::corrupt("expected finite statistics, found NaN or infinity"));
    }
    let corrupt = |e: Error| Error::corrupt(e.message());
    let coefficients = Coefficients::expand(band, settings, &values).map_err(corrupt)?;
    let c = &coefficients;
    let expected = [1, c.s1.len(), c.p00.len(), c.c01.len(), c.distinct().len()];
    if counts != expected {
        return Err(Error::corrupt(format!("expected {expected:?} statistics, found {counts:?}")));
    }
    if spectrum.len() != band {
        return Err(Error::corrupt(format!("expected a spectrum of {band} degrees, found {}", spectrum.len())));
    }
    Ok(Some((Portrait { coefficients, spectrum, mean }, origin)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::Limits;
    use crate::sphere::scattering::{noise, Scattering};

    #[test]
    fn portraits_come_back_to_the_bit() {
        let origin = MapOrigin { sampling: "healpix".into(), nested: true, iterations: 3 };
        for settings in [Settings::default(), Settings { directions: 2, first_scale: 0, reach: Some(1) }] {
            let spectrum: Vec<f64> = (0..16).map(|l| 1.0 / (1 + l) as f64).collect();
            let plan = Scattering::new(16, settings).unwrap();
            let portrait = plan.portrait(&noise(&spectrum, -0.3, 5).unwrap()).unwrap();
            let bytes = write_portrait(&portrait, &origin, Vec::new()).unwrap();
            let archive = Archive::open(Arc::new(bytes), Limits::default()).unwrap();
            let (back, found) = read_portrait(&archive).unwrap().unwrap();
            // What follows from other numbers follows from them anew.
            let same = |p: &Portrait| (p.coefficients.compact(), p.spectrum.clone(), p.mean, p.coefficients.settings());
            assert!(same(&back) == same(&portrait) && found == origin);
        }
        // Numbers that are none are no statistics.
        let plan = Scattering::new(16, Settings::default()).unwrap();
        let mut portrait = plan.portrait(&noise(&[1.0; 16], 0.0, 5).unwrap()).unwrap();
        portrait.coefficients.c01[3] = f64::NAN;
        let bytes = write_portrait(&portrait, &origin, Vec::new()).unwrap();
        let archive = Archive::open(Arc::new(bytes), Limits::default()).unwrap();
        assert!(read_portrait(&archive).unwrap_err().message().contains("finite"));
        let array = Array::from_vec(&[3], vec![1.0f32, 2.0, 3.0]).unwrap();
        let (bytes, _) = crate::compress(&array, crate::Options::new(Bound::Lossless)).unwrap();
        let archive = Archive::open(Arc::new(bytes), Limits::default()).unwrap();
        assert_eq!(read_portrait(&archive).unwrap(), None);
    }
}
