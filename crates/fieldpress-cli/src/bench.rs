//! `fieldpress bench`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use fieldpress::array::{Array, ReadAt, Region};
use fieldpress::bound::{psnr, Stats};
use fieldpress::container::ArrayHeader;
use fieldpress::files::{compare_values, Glob};
use fieldpress::io::Role;
use fieldpress::{compress, Archive, Bound, Chain, Choice, Error, Limits, Options, Result, Tier};
use serde_json::{json, Map, Value};

use crate::args::{positive, split_chains, OpenArgs, TableArgs};
use crate::files::{input, shown};
use crate::numbers::{json as number, short, tolerance};
use crate::screen::say;
use crate::table::Table;

/// Measure ratio, error and speed of codecs on files.
///
/// Every array is read into memory first and compressed alone; bytes are those of its whole archive. Times are the best of
/// --repeat and leave out reading and measuring; MB are 1e6 bytes of input. Errors are measured on what was decoded, and a bound
/// that does not hold is an error.
#[derive(Args)]
pub(crate) struct Bench {
    /// Files in any format of `fieldpress list`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Chains to compare, separated by commas; auto, fast, balanced and best let the data decide.
    #[arg(long, value_name = "CHAIN,...", default_value = "auto")]
    codec: Vec<String>,
    /// Bound(s): |error| <= X times the range of the valid values.
    #[arg(long, value_name = "X,...", value_delimiter = ',')]
    rel: Vec<f64>,
    /// Bound(s): |error| <= X.
    #[arg(long, value_name = "X,...", value_delimiter = ',')]
    abs: Vec<f64>,
    /// Bound(s): |error| <= X times |value|.
    #[arg(long, value_name = "X,...", value_delimiter = ',')]
    pw_rel: Vec<f64>,
    /// Bound(s) on the relative L2 norm of the error.
    #[arg(long, value_name = "X,...", value_delimiter = ',')]
    l2: Vec<f64>,
    /// Bound(s): peak signal-to-noise ratio in decibels.
    #[arg(long, value_name = "DB,...", value_delimiter = ',')]
    psnr: Vec<f64>,
    /// Every bit kept.
    #[arg(long)]
    lossless: bool,
    /// Arrays to measure [default: the floating-point fields].
    #[arg(long, value_name = "PATTERN,...", value_delimiter = ',')]
    arrays: Vec<Glob>,
    /// Extents of inner blocks.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    block: Vec<usize>,
    /// A fill value: kept exactly, not counted in the range.
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    fill: Option<f64>,
    /// Take the best time of this many runs.
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive)]
    repeat: usize,
    #[command(flatten)]
    open: OpenArgs,
    #[command(flatten)]
    table: TableArgs,
}

/// The columns, and the keys in JSON.
const COLUMNS: [&str; 13] = [
    "file",
    "array",
    "codec",
    "bound",
    "input_bytes",
    "bytes",
    "ratio",
    "max_error",
    "tolerance",
    "psnr",
    "encode_mb_s",
    "decode_mb_s",
    "threads",
];

/// One measurement.
struct Row {
    file: String,
    array: String,
    codec: String,
    bound: Bound,
    input_bytes: u64,
    bytes: u64,
    max_error: f64,
    tolerance: f64,
    psnr: f64,
    encode_mb_s: f64,
    decode_mb_s: f64,
}

impl Bench {
    pub(crate) fn run(&self, quiet: bool) -> Result<()> {
        let (bounds, codecs) = (self.bounds()?, self.codecs()?);
        let mut table = Table::new(&COLUMNS, 4);
        let dots = !quiet && self.table.is_text() && std::io::stderr().is_terminal();
        for path in &self.files {
            for (name, array) in self.load(path).map_err(|e| e.at(shown(path)))? {
                for bound in &bounds {
                    for (codec, choice) in &codecs {
                        let row = self.measure(path, &name, &array, codec, choice, bound);
                        let row = row.map_err(|e| e.at(format!("{}: {name}: {codec}", shown(path))))?;
                        if self.table.json {
                            say(row.json().to_string())?;
                        } else {
                            if dots {
                                eprint!(".");
                            }
                            table.push(row.cells(self.table.is_csv()));
                        }
                    }
                }
            }
        }
        if dots {
            eprintln!();
        }
        self.table.say(&table)
    }
    fn bounds(&self) -> Result<Vec<Bound>> {
        let mut all: Vec<Bound> = self.lossless.then_some(Bound::Lossless).into_iter().collect();
        all.extend(self.rel.iter().copied().map(Bound::Rel));
        all.extend(self.abs.iter().copied().map(Bound::Abs));
        all.extend(self.pw_rel.iter().copied().map(Bound::PwRel));
        all.extend(self.l2.iter().copied().map(Bound::L2));
        all.extend(self.psnr.iter().copied().map(Bound::Psnr));
        all.iter().try_for_each(Bound::validate)?;
        if all.is_empty() {
            return Err(Error::invalid(
                "expected at least one bound (--rel --abs --pw-rel --l2 --psnr --lossless), found none",
            ));
        }
        Ok(all)
    }
    fn codecs(&self) -> Result<Vec<(String, Choice)>> {
        let one = |name: String| {
            let choice = match name.as_str() {
                "auto" => Choice::Auto,
                "fast" | "balanced" | "best" => Choice::Tier(name.parse::<Tier>()?),
                chain => Choice::Chains(vec![Chain::parse(chain)?]),
            };
            Ok((name, choice))
        };
        self.codec.iter().flat_map(|c| split_chains(c)).map(one).collect()
    }
    /// The arrays to measure, in memory.
    fn load(&self, path: &Path) -> Result<Vec<(String, Array)>> {
        let file = input(path)?;
        let dataset = fieldpress::io::open(&file.name, file.bytes, &self.open.options())?;
        let wanted = dataset.arrays.iter().filter(|a| match self.arrays.as_slice() {
            [] => a.role == Role::Field && a.source.dtype().is_float(),
            globs => globs.iter().any(|g| g.matches(&a.name)),
        });
        let read = |a: &fieldpress::io::FileArray| {
            let shape = a.source.shape();
            Ok((a.name.clone(), Array::new(shape, a.source.read(&Region::all(shape))?)?))
        };
        let arrays = wanted.map(read).collect::<Result<Vec<_>>>()?;
        if arrays.is_empty() {
            let names: Vec<_> = dataset.arrays.iter().take(12).map(|a| a.name.as_str()).collect();
            return Err(Error::invalid(format!(
                "expected floating-point fields, found none; name arrays with --arrays ({})",
                names.join(" ")
            )));
        }
        Ok(arrays)
    }
    fn measure(
        &self,
        path: &Path,
        name: &str,
        array: &Array,
        codec: &str,
        choice: &Choice,
        bound: &Bound,
    ) -> Result<Row> {
        let options = Options {
            choice: choice.clone(),
            block: (!self.block.is_empty()).then(|| self.block.clone()),
            fill: self.fill,
            ..Options::new(bound.clone())
        };
        let (mut encoding, mut decoding) = (f64::INFINITY, f64::INFINITY);
        let mut archive = Vec::new();
        for _ in 0..self.repeat {
            let options = options.clone();
            let started = Instant::now();
            (archive, _) = compress(&array.view(), options)?;
            encoding = encoding.min(started.elapsed().as_secs_f64());
        }
        let bytes = archive.len() as u64;
        let archive: Arc<dyn ReadAt> = Arc::new(archive);
        let mut decoded = None;
        let mut header = None;
        for _ in 0..self.repeat {
            drop(decoded.take());
            let started = Instant::now();
            let open = Archive::open(archive.clone(), Limits::default())?;
            let one = open.directory().arrays.first().cloned();
            let one = one.ok_or_else(|| Error::corrupt("expected one array, found none"))?;
            decoded = Some(open.read(&one.name)?);
            decoding = decoding.min(started.elapsed().as_secs_f64());
            header = Some(one);
        }
        let (Some(decoded), Some(header)) = (decoded, header) else {
            return Err(Error::invalid("expected at least one run"));
        };
        let input_bytes = header.raw_bytes();
        let speed = |seconds: f64| input_bytes as f64 / 1e6 / seconds.max(1e-9);
        let (max_error, psnr) = check(array, &decoded, &header)?;
        Ok(Row {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            array: name.into(),
            codec: codec.into(),
            bound: bound.clone(),
            input_bytes,
            bytes,
            max_error,
            tolerance: tolerance(&header.criterion),
            psnr,
            encode_mb_s: speed(encoding),
            decode_mb_s: speed(decoding),
        })
    }
}

/// The largest error and the PSNR. Errors: `InvalidArgument` when the bound does not hold.
fn check(x: &Array, y: &Array, header: &ArrayHeader) -> Result<(f64, f64)> {
    let fill = header.fill_bits()?;
    let stats = Stats::of(x.data(), fill);
    let criterion = header.bound.resolve(&stats);
    let t = compare_values(x.data(), y.data(), &criterion, fill)?;
    if t.violations > 0 || criterion.square_sum.is_some_and(|s| !t.square_within(s * (1.0 + 1e-12))) {
        let (n, bound) = (t.violations, &header.bound);
        return Err(Error::invalid(format!(
            "expected {bound} to hold, found {n} values outside it and a largest error of {:e}",
            t.max_error
        )));
    }
    Ok((t.max_error, psnr(stats.range_down(), t.square_error, t.valid)))
}

impl Row {
    fn values(&self) -> [Value; 13] {
        [
            self.file.as_str().into(),
            self.array.as_str().into(),
            self.codec.as_str().into(),
            self.bound.to_string().into(),
            self.input_bytes.into(),
            self.bytes.into(),
            json!(self.input_bytes as f64 / self.bytes.max(1) as f64),
            number(self.max_error),
            number(self.tolerance),
            number(self.psnr),
            number(self.encode_mb_s),
            number(self.decode_mb_s),
            rayon::current_num_threads().into(),
        ]
    }
    fn json(&self) -> Value {
        Value::Object(COLUMNS.iter().map(|c| c.to_string()).zip(self.values()).collect::<Map<_, _>>())
    }
    /// As text: numbers in full for programs, short for people.
    fn cells(&self, full: bool) -> Vec<String> {
        let cell = |v: Value| match v {
            Value::String(s) => s,
            Value::Number(n) if !full && n.is_f64() => short(n.as_f64().unwrap_or(f64::NAN)),
            Value::Null => "-".into(),
            v => v.to_string(),
        };
        self.values().into_iter().map(cell).collect()
    }
}
