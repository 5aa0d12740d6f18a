//! `fieldpress scatter`.

use std::path::PathBuf;

use clap::Args;
use fieldpress::files::write_portrait;
use fieldpress::sphere::scattering::{Coefficients, Scattering, Settings};
use fieldpress::{Error, Result};
use serde_json::{json, Value};

use crate::args::positive;
use crate::files::{is_stream, same_file, shown, write_to};
use crate::maps::MapArgs;
use crate::numbers::{json as number, short};
use crate::screen::say;
use crate::table::Table;

/// Scattering covariances of a map on the sphere: statistics from which look-alikes can be drawn.
///
/// Wavelets of dyadic scales j and 2N - 1 directions take the map apart; kept are means and second moments of the parts and of the parts of their
/// moduli: S1, P00 (S2), C01 (S3) and C11 (S4), numbers, order and normalisation as in the package s2scat. The map cannot be had back.
#[derive(Args)]
pub(crate) struct Scatter {
    /// The map: [rings, points] of MW, MWSS, DH or GL, or HEALPix.
    map: PathBuf,
    /// Where to keep the statistics, for `fieldpress emulate` and `fieldpress verify`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing file.
    #[arg(short, long)]
    force: bool,
    /// N: wavelets have 2N - 1 directions; 1 to 5.
    #[arg(short = 'N', long = "N", value_name = "N", default_value_t = 3)]
    directions: usize,
    /// The smallest scale j: degrees up to 2^(j-1) are left out.
    #[arg(long, value_name = "J", default_value_t = 2)]
    j_min: usize,
    /// At most so many scales between the two layers [default: all].
    #[arg(long, value_name = "N", value_parser = positive)]
    delta_j: Option<usize>,
    /// Weights from 0 to 1 of the points of a map on any sampling: only what they show counts. Points of the map without values become the mean of
    /// the others.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    mask: Option<PathBuf>,
    /// Divide by the power of the map: S1 by roots of P00, P00 by itself, C01 and C11 by two roots.
    #[arg(long)]
    normalised: bool,
    /// With --json, C01 and C11 summed over directions.
    #[arg(long, requires = "json")]
    isotropic: bool,
    /// With --isotropic, means over directions instead of sums.
    #[arg(long, requires = "isotropic")]
    mean: bool,
    /// Print every number with what it belongs to, as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: MapArgs,
}

impl Scatter {
    pub(crate) fn run(&self) -> Result<()> {
        if let Some(o) = self.output.as_ref().filter(|o| same_file(&self.map, o)) {
            return Err(Error::invalid("expected an output that is not the input").at(o.display()));
        }
        if self.output.as_deref().is_some_and(is_stream) {
            return Err(Error::invalid(
                "expected a file for the statistics, found standard output, which takes the report",
            ));
        }
        let settings = Settings { directions: self.directions, first_scale: self.j_min, reach: self.delta_j };
        let plan = |band: usize| Scattering::new(band, settings).map_err(|e| e.at(shown(&self.map)));
        if let Some(mask) = &self.mask {
            let map = self.open.load_filled(&self.map)?;
            let (grid, weights) = self.open.load_mask(mask)?;
            let plan = plan(map.band())?;
            let found = plan.masked(&map, &grid, &weights).map_err(|e| e.at(shown(mask)))?;
            return self.tell(&found);
        }
        let (map, origin) = self.open.load(&self.map)?;
        let plan = plan(map.band())?;
        let portrait = plan.portrait(&map)?;
        if let Some(output) = &self.output {
            write_to(output, self.force, |out| write_portrait(&portrait, &origin, out).map(|_| ()))?;
        }
        self.tell(&portrait.coefficients)
    }
    fn tell(&self, found: &Coefficients) -> Result<()> {
        let shown = if self.normalised { found.normalised(found)? } else { found.clone() };
        say(if self.json { self.to_json(&shown)?.to_string() } else { self.to_text(&shown) })
    }
    fn to_json(&self, c: &Coefficients) -> Result<Value> {
        let settings = c.settings();
        let mut all = json!({
            "map": self.map.display().to_string(),
            "band": c.band(), "N": settings.directions, "j_min": settings.first_scale, "delta_j": settings.reach,
            "scales": c.scales(), "normalised": self.normalised,
            "mean": number(c.mean), "variance": number(c.variance),
        });
        let numbers = |v: &[f64]| Value::from(v.iter().map(|v| number(*v)).collect::<Vec<_>>());
        let names = ["s1", "p00", "c01", "c11"];
        if self.isotropic {
            let (c01, c11) = c.isotropic(self.mean);
            for (name, values) in names.into_iter().zip([&c.s1, &c.p00, &c01, &c11]) {
                all[name] = numbers(values);
            }
            return Ok(all);
        }
        let mut index = c.index().into_iter();
        for (name, values) in names.into_iter().zip(c.blocks()) {
            let entry = |v: &f64| {
                let e = index.next();
                json!({
                    "value": number(*v),
                    "j1": e.as_ref().map(|e| e.scale),
                    "j2": e.as_ref().map(|e| e.moduli.clone()),
                    "modulus_directions": e.as_ref().map(|e| e.turned.clone()),
                    "direction": e.as_ref().and_then(|e| e.direction),
                })
            };
            all[name] = Value::from(values.iter().map(entry).collect::<Vec<_>>());
        }
        Ok(all)
    }
    fn to_text(&self, c: &Coefficients) -> String {
        let settings = c.settings();
        let g = 2 * settings.directions - 1;
        let mut text = format!(
            "L = {}, N = {}, scales {} to {}, {g} directions: mean {}, variance {}\n\n",
            c.band(),
            settings.directions,
            settings.first_scale,
            c.scales().last().copied().unwrap_or_default(),
            short(c.mean),
            short(c.variance)
        );
        let mut table = Table::new(&["scale", "degrees", "S1", "P00"], 0);
        let mean = |v: &[f64], k: usize| v[k * g..(k + 1) * g].iter().sum::<f64>() / g as f64;
        for (k, j) in c.scales().iter().enumerate() {
            let (from, to) = fieldpress::sphere::scattering::scale_bands(*j, c.band());
            let degrees = format!("{from} to {}", to - 1);
            table.push(vec![j.to_string(), degrees, short(mean(&c.s1, k)), short(mean(&c.p00, k))]);
        }
        text += &format!("{}\n(means over directions)\n\n", table.text());
        let (c01, c11) = c.isotropic(self.mean);
        text += &format!(
            "{} numbers: S1 {}, P00 {}, C01 {} ({} isotropic), C11 {} ({} distinct, {} isotropic)\n",
            2 + c.blocks().iter().map(|b| b.len()).sum::<usize>(),
            c.s1.len(),
            c.p00.len(),
            c.c01.len(),
            c01.len(),
            c.c11.len(),
            c.distinct().len(),
            c11.len()
        );
        if let Some(o) = &self.output {
            let bytes = std::fs::metadata(o).map_or(0, |m| m.len());
            text += &format!("{}: {bytes} bytes\n", o.display());
        }
        text
    }
}
