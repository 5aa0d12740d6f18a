//! `fieldpress emulate`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use fieldpress::files::{read_portrait, MapOrigin};
use fieldpress::io::PendingFile;
use fieldpress::sphere::scattering::{Drawing, Drawn, Portrait, Scattering};
use fieldpress::sphere::{Grid, Harmonics, Likeness, Sampling, Transform};
use fieldpress::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{json, Value};

use crate::args::positive;
use crate::files::{archive, is_stream, same_file, shown};
use crate::maps::{of_rings, write_npy, MapArgs};
use crate::numbers::{json as number, seconds, short};
use crate::screen::tell;
use crate::table::Table;

/// Draw a map that looks like another one, from its scattering covariances.
///
/// Noise with the spectrum of the map is changed until its statistics are those of the map. Each seed gives another map, the same on every machine.
#[derive(Args)]
pub(crate) struct Emulate {
    /// What `fieldpress scatter -o` wrote.
    statistics: PathBuf,
    /// The look-alike, as .npy.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing file.
    #[arg(short, long)]
    force: bool,
    /// Of the noise it begins as.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Most evaluations of the gradient.
    #[arg(long, value_name = "N", default_value_t = Drawing::default().evaluations, value_parser = positive)]
    evaluations: usize,
    /// Enough once the loss is this part of that of the noise.
    #[arg(long, value_name = "X", default_value_t = Drawing::default().enough)]
    enough: f64,
    /// The sampling of the look-alike: mw, mwss, dh, gl [default: that of the map; mw for a HEALPix map].
    #[arg(long, value_name = "NAME")]
    onto: Option<String>,
    /// The map itself: tells how alike the look-alike is. --array, --sampling, --nested, --band, --iterations and what raw data need are for it.
    #[arg(long, value_name = "MAP")]
    against: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: MapArgs,
}

impl Emulate {
    pub(crate) fn run(&self, quiet: bool) -> Result<()> {
        for input in [Some(&self.statistics), self.against.as_ref()].into_iter().flatten() {
            if same_file(input, &self.output) {
                return Err(Error::invalid("expected an output that is not an input").at(input.display()));
            }
        }
        let found = read_portrait(&archive(&self.statistics)?).map_err(|e| e.at(shown(&self.statistics)))?;
        let (portrait, origin) = found.ok_or_else(|| {
            Error::invalid("expected what `fieldpress scatter -o` writes, found another archive")
                .at(shown(&self.statistics))
        })?;
        // What can fail fails before the long work.
        let sampling = match self.onto.as_deref() {
            Some(name) => named(name)?,
            None => of(&origin)?,
        };
        let streamed = is_stream(&self.output);
        if !streamed {
            drop(PendingFile::create(&self.output, self.force)?);
        }
        let original = self.against.as_ref().map(|p| self.original(p, &portrait)).transpose()?;
        let started = Instant::now();
        let drawn = draw(&portrait, self.drawing(), quiet)?;
        let elapsed = started.elapsed().as_secs_f64();
        let (shape, values) = onto(&drawn, sampling)?;
        write_npy(&self.output, self.force, &shape, values)?;
        let likeness = original.map(|o| Likeness::of(&o, &drawn.map)).transpose()?;
        let head = format!(
            "{}: loss {} of that of the noise, {} evaluations, {} s",
            self.output.display(),
            short(drawn.loss / drawn.first_loss),
            drawn.evaluations,
            seconds(elapsed)
        );
        let text = match self.json {
            true => self.to_json(&drawn, likeness.as_ref(), elapsed).to_string(),
            false => likeness.map_or(head.clone(), |l| format!("{}\n\n{head}", text(&l))),
        };
        tell(text, streamed)
    }
    fn drawing(&self) -> Drawing {
        Drawing { seed: self.seed, evaluations: self.evaluations, enough: self.enough }
    }
    fn original(&self, path: &Path, portrait: &Portrait) -> Result<Harmonics> {
        let (map, _) = self.open.load(path)?;
        let band = portrait.coefficients.band();
        if map.band() != band {
            return Err(
                Error::invalid(format!("expected a band-limit of {band}, found {}", map.band())).at(shown(path))
            );
        }
        Ok(map)
    }
    fn to_json(&self, drawn: &Drawn, likeness: Option<&Likeness>, elapsed: f64) -> Value {
        json!({
            "output": self.output.display().to_string(),
            "seed": self.seed,
            "loss": number(drawn.loss),
            "first_loss": number(drawn.first_loss),
            "evaluations": drawn.evaluations,
            "seconds": elapsed,
            "likeness": likeness.map(report),
        })
    }
}

/// A sampling with as many points on every ring.
fn named(name: &str) -> Result<Sampling> {
    of_rings(name).ok_or_else(|| Error::invalid(format!("expected a sampling (mw mwss dh gl), found {name:?}")))
}

/// The sampling for look-alikes of a map.
fn of(origin: &MapOrigin) -> Result<Sampling> {
    named(if origin.sampling == "healpix" { "mw" } else { &origin.sampling })
}

/// The points of a look-alike on a sampling, and their shape.
fn onto(drawn: &Drawn, sampling: Sampling) -> Result<(Vec<usize>, Vec<f64>)> {
    let transform = Transform::new(Grid::new(sampling, drawn.map.band())?)?;
    Ok((transform.grid().shape(), transform.synthesis(&drawn.map)?))
}

/// A look-alike on the sampling of the map, and its shape.
pub(crate) fn look_alike(portrait: &Portrait, origin: &MapOrigin, quiet: bool) -> Result<(Vec<usize>, Vec<f64>)> {
    let sampling = of(origin)?;
    onto(&draw(portrait, Drawing::default(), quiet)?, sampling)
}

/// A look-alike, with progress on a terminal.
fn draw(portrait: &Portrait, drawing: Drawing, quiet: bool) -> Result<Drawn> {
    let plan = Scattering::new(portrait.coefficients.band(), portrait.coefficients.settings())?;
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(5) };
    let bar = ProgressBar::with_draw_target(Some(drawing.evaluations as u64), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let drawn = plan.draw(portrait, drawing, |count, loss| {
        bar.set_position(count as u64);
        bar.set_message(format!("loss {}", short(loss)));
    });
    bar.finish_and_clear();
    drawn
}

/// How alike two maps are.
pub(crate) fn report(l: &Likeness) -> Value {
    let bands: Vec<Value> = l
        .bands
        .iter()
        .map(|b| json!({ "from": b.from, "to": b.to, "power": number(b.power), "ratio": number(b.ratio) }))
        .collect();
    let lists = |all: &[Vec<f64>; 3]| json!({ "area": all[0], "length": all[1], "curvature": all[2] });
    json!({
        "spectrum": number(l.spectrum()),
        "distribution": number(l.distribution),
        "minkowski": l.minkowski().map(number).to_vec(),
        "bands": bands,
        "thresholds": l.thresholds,
        "functionals": l.functionals.iter().map(lists).collect::<Vec<_>>(),
    })
}

/// The same for people.
pub(crate) fn text(l: &Likeness) -> String {
    let mut bands = Table::new(&["degrees", "power", "ratio"], 0);
    for b in &l.bands {
        let degrees = if b.to == b.from + 1 { b.from.to_string() } else { format!("{} to {}", b.from, b.to - 1) };
        bands.push(vec![degrees, short(b.power), short(b.ratio)]);
    }
    let mut functionals = Table::new(&["threshold", "area", "", "length", "", "curvature", ""], 0);
    for (k, nu) in l.thresholds.iter().enumerate() {
        let cells = (0..3).flat_map(|f| l.functionals.iter().map(move |v| short(v[f][k])));
        functionals.push(std::iter::once(short(*nu)).chain(cells).collect());
    }
    let [area, length, curvature] = l.minkowski().map(|v| short(100.0 * v));
    format!(
        "{}\n\n{}\n(Minkowski functionals of both maps; thresholds in deviations from the mean)\n\n\
         power of a band differs by at most {} %, distributions of values by {},\n\
         Minkowski functionals by at most {area} %, {length} %, {curvature} % of their largest values",
        bands.text(),
        functionals.text(),
        short(100.0 * l.spectrum()),
        short(l.distribution)
    )
}
