//! `fieldpress compare`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use fieldpress::array::{Buffer, DType, Grid, Region, Source};
use fieldpress::files::Glob;
use fieldpress::io::OpenOptions;
use fieldpress::metrics::{Comparison, ErrorHistogram, Spectrum, METRICS};
use fieldpress::sphere::Likeness;
use fieldpress::{Archive, Error, Limits, Result, Shape};
use serde_json::{json, Map, Value};

use crate::args::{positive, OpenArgs};
use crate::emulate;
use crate::files::{input, shown};
use crate::flow::Flow;
use crate::maps::How;
use crate::numbers::short;
use crate::screen::say;
use crate::table::Table;

/// Compare the arrays of two files: every metric of the second against the first.
///
/// Arrays are matched by name, or alone with alone. Both may be archives, whose arrays are decoded.
#[derive(Args)]
pub(crate) struct Compare {
    /// The original.
    a: PathBuf,
    /// What stands for it.
    b: PathBuf,
    /// Arrays to compare.
    #[arg(long, value_name = "PATTERN,...", value_delimiter = ',')]
    arrays: Vec<Glob>,
    /// A fill value: points that hold it do not count.
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    fill: Option<f64>,
    /// Power spectra of both and of the error, by wavenumber.
    #[arg(long)]
    spectrum: bool,
    /// The distribution of the error in so many bins.
    #[arg(long, value_name = "BINS", num_args = 0..=1, default_missing_value = "21", value_parser = positive)]
    histogram: Option<usize>,
    /// What becomes of the flow on spectral elements: vorticity, Q and dissipation of ux uy uz, and jumps between elements. The coordinates are
    /// those of FILE, or of A.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    mesh: Option<Option<PathBuf>>,
    /// Arrays are maps on the sphere: power by bands of degrees, distribution of values, Minkowski functionals. mw, mwss, dh, gl or healpix, or what
    /// the shape tells.
    #[arg(long, value_name = "SAMPLING", num_args = 0..=1, require_equals = true)]
    sphere: Option<Option<String>>,
    #[command(flatten)]
    open: OpenArgs,
    /// Show identical arrays in full too.
    #[arg(short, long)]
    verbose: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// An array of either file.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) source: Box<dyn Source + Send>,
    /// Whether the file says that it is a HEALPix map in nested order.
    pub(crate) nested: bool,
    /// How it is cut, where it has to be decoded, and the bit pattern of its fill value.
    stored: Option<(Grid, u64, Option<u64>)>,
}

/// An array of an archive.
struct Decoded {
    archive: Arc<Archive>,
    name: String,
    dtype: DType,
    shape: Shape,
}

impl Source for Decoded {
    fn dtype(&self) -> DType {
        self.dtype
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn read(&self, region: &Region) -> Result<Buffer> {
        Ok(self.archive.read_region(&self.name, region)?.into_buffer())
    }
}

/// What was found for one pair of arrays.
struct Found {
    name: String,
    metrics: Comparison,
    histogram: Option<ErrorHistogram>,
    spectrum: Option<Spectrum>,
    likeness: Option<Likeness>,
}

impl Compare {
    pub(crate) fn run(&self) -> Result<()> {
        let (mut a, mut b) = (self.load(&self.a)?, self.load(&self.b)?);
        if let ([x], [y]) = (a.as_mut_slice(), b.as_mut_slice()) {
            y.name.clone_from(&x.name);
        }
        let mut found = Vec::new();
        for x in &a {
            let Some(y) = b.iter().find(|y| y.name == x.name) else { continue };
            found.push(self.pair(x, y, a.len() == 1).map_err(|e| e.at(format!("{}: {}", shown(&self.b), x.name)))?);
        }
        let missing = |from: &[Named], of: &[Named]| -> Vec<String> {
            from.iter().filter(|x| !of.iter().any(|y| y.name == x.name)).map(|x| x.name.clone()).collect()
        };
        let only = [missing(&a, &b), missing(&b, &a)];
        if found.is_empty() {
            return Err(Error::invalid("expected arrays of the same name, found none").at(shown(&self.b)));
        }
        let flow = match &self.mesh {
            Some(file) => Some(Flow::new(&self.mesh_arrays(file.as_deref().unwrap_or(&self.a))?, &a, &b)?),
            None => None,
        };
        if self.json {
            let mut all = self.to_json(&found, &only)?;
            if let (Some(flow), Some(o)) = (&flow, all.as_object_mut()) {
                o.insert("flow".into(), flow.to_json());
            }
            return say(all.to_string());
        }
        say(self.to_text(&found, &only)? + &flow.map_or(String::new(), |f| f.to_text()))
    }
    /// All arrays of the file with the coordinates, whichever are compared.
    fn mesh_arrays(&self, path: &Path) -> Result<Vec<Named>> {
        self.load_of(path, &[])
    }
    /// The arrays of a file or an archive.
    fn load(&self, path: &Path) -> Result<Vec<Named>> {
        self.load_of(path, &self.arrays)
    }
    fn load_of(&self, path: &Path, patterns: &[Glob]) -> Result<Vec<Named>> {
        let wanted = |name: &str| patterns.is_empty() || patterns.iter().any(|g| g.matches(name));
        let mut arrays = arrays_of(path, &self.open.options()).map_err(|e| e.at(shown(path)))?;
        arrays.retain(|a| wanted(&a.name));
        Ok(arrays)
    }
    fn pair(&self, x: &Named, y: &Named, alone: bool) -> Result<Found> {
        let (a, b) = (x.source.as_ref(), y.source.as_ref());
        let fill = self.fill.map(|v| a.dtype().nearest_bits(v));
        let fill = fill.or(y.stored.as_ref().and_then(|s| s.2)).or(x.stored.as_ref().and_then(|s| s.2));
        let mut metrics = match y.stored.as_ref().or(x.stored.as_ref()).filter(|_| a.shape() == b.shape()) {
            Some((grid, ..)) => Comparison::over_blocks(a, b, fill, grid)?,
            None => Comparison::new(a, b, fill)?,
        };
        metrics = metrics.with_ssim(a, b)?;
        if let Some((_, bytes, _)) = y.stored {
            metrics = metrics.with_size(bytes);
        }
        let histogram = self.histogram.map(|bins| ErrorHistogram::new(a, b, &metrics, bins)).transpose()?;
        let spectrum = self.spectrum.then(|| Spectrum::new(a, b, &metrics)).transpose()?;
        let likeness = match &self.sphere {
            Some(sampling) => {
                let how = How { sampling: sampling.as_deref(), ..How::default() };
                // Other arrays of the files need not be maps.
                match (how.analysis(x), how.analysis(y)) {
                    (Ok(x), Ok(y)) => Some(Likeness::of(&x.0, &y.0)?),
                    (Err(e), _) | (_, Err(e)) if self.arrays.len() == 1 || alone => return Err(e),
                    _ => None,
                }
            }
            None => None,
        };
        Ok(Found { name: x.name.clone(), metrics, histogram, spectrum, likeness })
    }
    fn to_json(&self, found: &[Found], only: &[Vec<String>; 2]) -> Result<Value> {
        let one = |f: &Found| -> Result<Value> {
            let mut all = Map::new();
            all.insert("name".into(), f.name.as_str().into());
            all.extend(values(f)?);
            for (key, value) in
                [("histogram", f.histogram.as_ref().map(to_value)), ("spectrum", f.spectrum.as_ref().map(to_value))]
            {
                if let Some(v) = value {
                    all.insert(key.into(), v?);
                }
            }
            if let Some(l) = &f.likeness {
                all.insert("sphere".into(), emulate::report(l));
            }
            Ok(Value::Object(all))
        };
        Ok(json!({
            "a": self.a.display().to_string(),
            "b": self.b.display().to_string(),
            "arrays": found.iter().map(one).collect::<Result<Vec<_>>>()?,
            "only_a": only[0],
            "only_b": only[1],
        }))
    }
    fn to_text(&self, found: &[Found], only: &[Vec<String>; 2]) -> Result<String> {
        let (same, shown): (Vec<_>, Vec<_>) =
            found.iter().partition(|f| f.metrics.is_lossless() && !self.verbose && found.len() > 1);
        let mut text = String::new();
        for group in shown.chunks(6) {
            let head: Vec<&str> = std::iter::once("metric").chain(group.iter().map(|f| f.name.as_str())).collect();
            let mut table = Table::new(&head, 1);
            let columns = group.iter().map(|f| values(f)).collect::<Result<Vec<_>>>()?;
            for (name, _) in METRICS {
                let cells = columns.iter().map(|c| cell(c.get(name)));
                table.push(std::iter::once(name.to_string()).chain(cells).collect());
            }
            text += &format!("{}\n\n", table.text());
        }
        for f in &shown {
            text +=
                &f.histogram.as_ref().map(|h| format!("{}: errors\n{}\n\n", f.name, histogram(h))).unwrap_or_default();
            text += &f.spectrum.as_ref().map(|s| format!("{}: power\n{}\n\n", f.name, spectrum(s))).unwrap_or_default();
        }
        for (f, l) in found.iter().filter_map(|f| Some((f, f.likeness.as_ref()?))) {
            text += &format!("{}: on the sphere\n{}\n\n", f.name, emulate::text(l));
        }
        if !same.is_empty() {
            text += &format!("{} arrays are the same to the bit\n", same.len());
        }
        for (names, path) in only.iter().zip([&self.a, &self.b]).filter(|(n, _)| !n.is_empty()) {
            text += &format!("only in {}: {}\n", path.display(), names.join(" "));
        }
        Ok(text)
    }
}

/// The arrays of a file or an archive.
pub(crate) fn arrays_of(path: &Path, options: &OpenOptions) -> Result<Vec<Named>> {
    let file = input(path)?;
    if Archive::matches(&file.bytes) {
        return Archive::open(file.bytes, Limits::default()).and_then(from_archive);
    }
    let named = |a: fieldpress::io::FileArray| Named {
        nested: nested(&a.attributes),
        name: a.name,
        source: a.source,
        stored: None,
    };
    Ok(fieldpress::io::open(&file.name, file.bytes, options)?.arrays.into_iter().map(named).collect())
}

fn nested(attributes: &Map<String, Value>) -> bool {
    attributes.get("healpix").and_then(|h| h.get("ordering")).is_some_and(|o| o == "nested")
}

fn from_archive(archive: Archive) -> Result<Vec<Named>> {
    let archive = Arc::new(archive);
    let one = |h: &fieldpress::container::ArrayHeader| {
        let grid = h.grid()?;
        let source = Decoded { archive: archive.clone(), name: h.name.clone(), dtype: h.dtype, shape: grid.shape() };
        // Alone in its archive, an array answers for all bytes of it.
        let bytes = match archive.directory().arrays.len() {
            1 => archive.size(),
            _ => archive.stored_bytes(&h.name)?,
        };
        let stored = Some((grid, bytes, h.fill_bits()?));
        Ok(Named { name: h.name.clone(), source: Box::new(source), nested: nested(&h.attributes), stored })
    };
    archive.directory().arrays.iter().map(one).collect()
}

fn to_value(v: impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(v).map_err(|e| Error::invalid(format!("expected numbers that can be written: {e}")))
}

/// Every metric by name.
fn values(f: &Found) -> Result<Map<String, Value>> {
    match to_value(&f.metrics)? {
        Value::Object(o) => Ok(o),
        _ => Ok(Map::new()),
    }
}

fn cell(v: Option<&Value>) -> String {
    match v {
        Some(Value::Number(n)) if n.is_f64() => short(n.as_f64().unwrap_or(f64::NAN)),
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::String(s)) => s.replace("Infinity", "inf"),
        _ => "-".into(),
    }
}

fn histogram(h: &ErrorHistogram) -> String {
    let mut table = Table::new(&["from", "to", "values", ""], 0);
    let (bins, most) = (h.counts.len(), h.counts.iter().copied().max().unwrap_or(0).max(1));
    let edge = |i: usize| short(-h.limit + 2.0 * h.limit * i as f64 / bins as f64);
    for (i, &n) in h.counts.iter().enumerate() {
        let bar = format!("{:<30}", "#".repeat((n * 30).div_ceil(most) as usize));
        table.push(vec![edge(i), edge(i + 1), n.to_string(), bar]);
    }
    let q = &h.quantiles;
    let quantiles = [q.p50, q.p90, q.p99, q.p99_9].map(short);
    let [p50, p90, p99, p99_9] = quantiles;
    format!("{}\n|error| at 50 %: {p50}, 90 %: {p90}, 99 %: {p99}, 99.9 %: {p99_9}", table.text())
}

fn spectrum(s: &Spectrum) -> String {
    let mut table = Table::new(&["wavenumber", "modes", "original", "decoded", "error", "error/original"], 0);
    let at = |v: &[f64], k: usize| short(v.get(k).copied().unwrap_or(f64::NAN));
    for (k, modes) in s.modes.iter().enumerate() {
        let row = [&s.original, &s.decoded, &s.error, &s.ratio].map(|v| at(v, k));
        table.push([k.to_string(), modes.to_string()].into_iter().chain(row).collect());
    }
    table.text()
}
