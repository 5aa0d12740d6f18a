//! `fieldpress sht`.

use std::path::PathBuf;

use clap::Args;
use fieldpress::array::Region;
use fieldpress::sphere::{Grid, Harmonics, Sampling, Transform};
use fieldpress::{Error, Result};
use serde_json::json;

use crate::compare::arrays_of;
use crate::files::{same_file, shown};
use crate::maps::{of_rings, write_npy, MapArgs};
use crate::numbers::{json as number, short};
use crate::screen::say;
use crate::table::Table;

/// Spherical harmonic coefficients of a map, or the map of coefficients.
///
/// Coefficients are an array [L, L, 2] of f64: real and imaginary part of f_lm with 0 <= m <= l, for orthonormal harmonics with the phase of Condon
/// and Shortley (as healpy's and s2fft's); in NumPy, `np.load(FILE).view(complex)[..., 0]`.
#[derive(Args)]
pub(crate) struct Sht {
    /// The map; with --inverse, the coefficients.
    input: PathBuf,
    /// Where the coefficients, or with --inverse the map, go, as .npy; without it the power spectrum is printed.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing file.
    #[arg(short, long)]
    force: bool,
    /// From coefficients to a map on this sampling: mw, mwss, dh, gl, or healpix:NSIDE.
    #[arg(long, value_name = "SAMPLING")]
    inverse: Option<String>,
    /// Print the power spectrum as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: MapArgs,
}

impl Sht {
    pub(crate) fn run(&self) -> Result<()> {
        if let Some(o) = self.output.as_ref().filter(|o| same_file(&self.input, o)) {
            return Err(Error::invalid("expected an output that is not the input").at(o.display()));
        }
        if let Some(name) = &self.inverse {
            let output =
                self.output.as_ref().ok_or_else(|| Error::invalid("expected -o with --inverse, found none"))?;
            let map = self.coefficients().map_err(|e| e.at(shown(&self.input)))?;
            let transform = Transform::new(Grid::new(sampling(name)?, map.band())?)?;
            return write_npy(output, self.force, &transform.grid().shape(), transform.synthesis(&map)?);
        }
        let (map, _) = self.open.load(&self.input)?;
        if let Some(output) = &self.output {
            let band = map.band();
            let mut values = vec![0.0; 2 * band * band];
            for m in 0..band {
                for (i, v) in map.order(m).iter().enumerate() {
                    let at = 2 * ((m + i) * band + m);
                    (values[at], values[at + 1]) = (v.re, v.im);
                }
            }
            return write_npy(output, self.force, &[band, band, 2], values);
        }
        let spectrum = map.spectrum();
        if self.json {
            return say(
                json!({ "band": map.band(), "spectrum": spectrum.iter().map(|v| number(*v)).collect::<Vec<_>>() })
                    .to_string(),
            );
        }
        let mut table = Table::new(&["degree", "C_l", "l (l + 1) C_l / 2 pi"], 0);
        for (l, c) in spectrum.iter().enumerate() {
            let scaled = (l * (l + 1)) as f64 * c / (2.0 * std::f64::consts::PI);
            table.push(vec![l.to_string(), short(*c), short(scaled)]);
        }
        say(table.text())
    }
    fn coefficients(&self) -> Result<Harmonics> {
        let all = arrays_of(&self.input, &Default::default())?;
        let [one] = all.as_slice() else {
            return Err(Error::invalid(format!("expected one array of coefficients, found {}", all.len())));
        };
        let shape = one.source.shape();
        let &[band, other, 2] = shape.dims() else {
            return Err(Error::invalid(format!("expected coefficients [L, L, 2], found the shape {shape}")));
        };
        if band != other {
            return Err(Error::invalid(format!("expected coefficients [L, L, 2], found the shape {shape}")));
        }
        let values = one.source.read(&Region::all(shape))?.as_slice().to_f64();
        let mut map = Harmonics::zeros(band)?;
        for m in 0..band {
            for (i, v) in map.order_mut(m).iter_mut().enumerate() {
                let at = 2 * ((m + i) * band + m);
                (v.re, v.im) = (values[at], if m > 0 { values[at + 1] } else { 0.0 });
            }
        }
        Ok(map)
    }
}

fn sampling(name: &str) -> Result<Sampling> {
    let nside = |n: &str| n.parse().ok().filter(|n| *n > 0).map(Sampling::Healpix);
    let found = name.strip_prefix("healpix:").map_or_else(|| of_rings(name), nside);
    found.ok_or_else(|| Error::invalid(format!("expected a sampling (mw mwss dh gl healpix:NSIDE), found {name:?}")))
}
