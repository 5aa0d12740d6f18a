//! `fieldpress compress`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use fieldpress::container::ArrayReport;
use fieldpress::files::{compress_files, FilesReport, Glob, Input};
use fieldpress::io::{Series, NEK_SERIES};
use fieldpress::{Error, Result};
use serde_json::{json, Value};

use crate::args::{file_options, BoundArgs, MethodArgs, OpenArgs};
use crate::files::{input_of, is_stream, same_file, shown, with_ending, write_to};
use crate::numbers::{criterion, json as number, ratio, seconds, short, tolerance};
use crate::progress::Progress;
use crate::screen::tell;
use crate::table::Table;

/// Compress files into an archive.
///
/// In a file of several arrays only floating-point fields are lossy; coordinates, ids, parameters and integers keep every bit
/// unless --arrays names them.
#[derive(Args)]
pub(crate) struct Compress {
    /// Files in any format of `fieldpress list`; - for standard input.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The archive; - for standard output [default: INPUT.fpz].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing file.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    bound: BoundArgs,
    #[command(flatten)]
    method: MethodArgs,
    /// The arrays the bound is for; * and ? stand for any characters and for one. All others are stored losslessly.
    #[arg(long, value_name = "PATTERN,...", value_delimiter = ',')]
    arrays: Vec<Glob>,
    /// Of a VLSV file keep the velocity distributions of these spatial cells alone, by their ids. Verify with the same cells.
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    cells: Vec<u64>,
    /// A file with the coordinates of the spectral elements of files that have none, as all but the first of a run: norms are then integrals over
    /// the domain, and the coordinates are stored with the fields.
    #[arg(long, value_name = "FILE")]
    mesh: Option<PathBuf>,
    /// Store blocks from coarse to fine, so that `decompress --level` reads a coarser array from a part of the bytes. Chooses among the
    /// codecs that can do that: interp, whose levels are the values of the whole at fewer points, and dwt, whose levels are smoothed.
    #[arg(long)]
    progressive: bool,
    #[command(flatten)]
    open: OpenArgs,
    /// Show every array, lossless ones too.
    #[arg(short, long)]
    verbose: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl Compress {
    pub(crate) fn run(&self, quiet: bool) -> Result<()> {
        let mut lossy = self.method.options(self.bound.bound()?)?;
        lossy.measure = true;
        lossy.progressive = self.progressive;
        let mut options = file_options(lossy, &self.arrays, &self.open);
        options.mesh = self.mesh.as_deref().map(Input::open).transpose()?;
        let output = self.output()?;
        let mut paths = Vec::new();
        for path in &self.inputs {
            paths.extend(run_of(path)?);
        }
        let inputs: Vec<Input> = paths.iter().map(|p| input_of(p, &self.cells)).collect::<Result<_>>()?;
        let total = inputs.iter().chain(&options.mesh).map(|i| i.bytes.size().unwrap_or(0)).sum();
        let place = |e: Error| match self.inputs.as_slice() {
            [one] => e.at(shown(one)),
            _ => e,
        };
        let started = Instant::now();
        let progress = Progress::new(total, quiet);
        let report = write_to(&output, self.force, |out| {
            compress_files(&inputs, out, &options, Some(&|e| progress.event(e))).map_err(place)
        })?;
        progress.finish();
        let seconds = started.elapsed().as_secs_f64();
        let text = match self.json {
            true => self.to_json(&output, &report, seconds).to_string(),
            false => self.to_text(&output, &report, seconds),
        };
        tell(text, is_stream(&output))
    }
    fn output(&self) -> Result<PathBuf> {
        let output = match (&self.output, self.inputs.as_slice()) {
            (Some(o), _) => o.clone(),
            (None, [one]) if is_stream(one) => one.clone(),
            (None, [one]) => with_ending(one),
            (None, many) => return Err(Error::invalid(format!("expected -o with {} inputs, found none", many.len()))),
        };
        match self.inputs.iter().chain(&self.mesh).find(|p| same_file(p, &output)) {
            Some(p) => Err(Error::invalid("expected an output that is not the input").at(p.display())),
            None => Ok(output),
        }
    }
    fn to_text(&self, output: &Path, report: &FilesReport, elapsed: f64) -> String {
        let (shown, folded): (Vec<_>, Vec<_>) = report
            .arrays
            .iter()
            .partition(|a| self.verbose || !a.header.bound.is_lossless() || report.arrays.len() == 1);
        let head =
            ["array", "type", "shape", "codec", "bound", "bytes", "ratio", "max error", "tolerance", "PSNR", "s"];
        let mut table = Table::new(&head, 5);
        shown.iter().for_each(|a| table.push(row(a)));
        let mut text = if table.is_empty() { String::new() } else { table.text() + "\n" };
        if !folded.is_empty() {
            let (raw, bytes) = folded.iter().fold((0, 0), |(r, b), a| (r + a.raw_bytes, b + a.bytes));
            text += &format!(
                "{} other arrays, lossless: {raw} -> {bytes} bytes, ratio {}\n",
                folded.len(),
                ratio(raw, bytes)
            );
        }
        text += &norms(report);
        let (input, bytes) = (report.input_bytes, report.bytes);
        let to = if is_stream(output) { "standard output".into() } else { output.display().to_string() };
        let speed = input as f64 / 1e6 / elapsed.max(1e-9);
        text + &format!(
            "{to}: {input} -> {bytes} bytes, ratio {}, {} s, {} MB/s",
            ratio(input, bytes),
            seconds(elapsed),
            short(speed)
        )
    }
    fn to_json(&self, output: &Path, report: &FilesReport, elapsed: f64) -> Value {
        json!({
            "inputs": self.inputs.iter().map(|p| p.display().to_string()).collect::<Vec<_>>(),
            "output": output.display().to_string(),
            "input_bytes": report.input_bytes,
            "bytes": report.bytes,
            "ratio": report.input_bytes as f64 / report.bytes.max(1) as f64,
            "seconds": elapsed,
            "arrays": report.arrays.iter().map(array_json).collect::<Vec<_>>(),
        })
    }
}

/// In which norms limits on whole arrays were meant, where they are on spectral elements.
fn norms(report: &FilesReport) -> String {
    let on = |known: bool| {
        let all = report
            .arrays
            .iter()
            .filter(|a| a.header.elements.as_ref().is_some_and(|e| e.coordinates.is_empty() != known));
        all.map(|a| a.header.name.as_str()).collect::<Vec<_>>()
    };
    let (domain, reference) = (on(true), on(false));
    let mut text = String::new();
    if !domain.is_empty() {
        text += &format!("norms over the domain, by the mass matrix: {}\n", domain.join(" "));
    }
    if !reference.is_empty() {
        text += &format!("norms over reference elements, since there are no coordinates: {}\n", reference.join(" "));
    }
    text
}

/// The file, and where it names the field files of a run, as `.nek5000` does, these too.
fn run_of(path: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec![path.to_path_buf()];
    if is_stream(path) || !NEK_SERIES.matches(&path.to_string_lossy(), &[]) {
        return Ok(all);
    }
    let text = std::fs::read(path).map_err(|e| Error::from(e).at(path.display()))?;
    let series = Series::parse(&text).map_err(|e| e.at(path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for step in series.first..series.first.saturating_add(series.steps) {
        let first = folder.join(series.name(0, step));
        if !first.exists() {
            return Err(Error::invalid(format!(
                "expected the file {}, which {} names",
                first.display(),
                path.display()
            )));
        }
        all.push(first);
        let more = (1..).map(|file| folder.join(series.name(file, step)));
        all.extend(more.take_while(|p| series.is_of_sets() && p.exists()));
    }
    Ok(all)
}

/// How the blocks of an array were stored: the most frequent way first.
fn codecs(a: &ArrayReport) -> String {
    let mut outcomes: Vec<_> = a.outcomes.iter().collect();
    outcomes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let names: Vec<&str> = outcomes.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        "-".into()
    } else {
        names.join(" ")
    }
}

fn row(a: &ArrayReport) -> Vec<String> {
    let h = &a.header;
    let shape: Vec<String> = h.shape.iter().map(usize::to_string).collect();
    vec![
        h.name.clone(),
        h.dtype.to_string(),
        if shape.is_empty() { "scalar".into() } else { shape.join("x") },
        codecs(a),
        h.bound.to_string(),
        a.bytes.to_string(),
        ratio(a.raw_bytes, a.bytes),
        short(a.max_error),
        if a.domain.is_some() { "-".into() } else { criterion(&h.criterion, a.valid) },
        short(a.psnr()),
        seconds(a.seconds),
    ]
}

fn array_json(a: &ArrayReport) -> Value {
    let h = &a.header;
    let stages = &a.stages;
    json!({
        "name": h.name,
        "dtype": h.dtype,
        "shape": h.shape,
        "block": h.block,
        "role": h.role,
        "chains": h.chains,
        "outcomes": a.outcomes.iter().map(|(n, k)| (n.clone(), json!(k))).collect::<serde_json::Map<_, _>>(),
        "bound": h.bound,
        "criterion": h.criterion,
        "tolerance": number(tolerance(&h.criterion)),
        "input_bytes": a.raw_bytes,
        "bytes": a.bytes,
        "ratio": a.ratio(),
        "max_error": number(a.max_error),
        "psnr": number(a.psnr()),
        "elements": h.elements,
        "value_range": number(a.value_range),
        "valid": a.valid,
        "corrected": a.corrected,
        "measured": a.measured,
        "stages": {
            "shared": a.shared_bytes,
            "specials": stages.specials,
            "values": stages.values,
            "correction": stages.correction,
            "framing": stages.framing,
        },
        "seconds": a.seconds,
    })
}
