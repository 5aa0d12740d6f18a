//! `fieldpress survey`.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use fieldpress::io::vlsv::Vlsv;
use fieldpress::survey::{published, settings, survey, Row, Setting, Subject};
use fieldpress::{Error, Result};
use serde_json::{json, Value};

use crate::args::{split_chains, BoundArgs, TableArgs};
use crate::files::{input, shown};
use crate::numbers::{json as number, short};
use crate::screen::say;
use crate::table::Table;

/// Try every method on velocity distributions and compare what is left of them.
///
/// Bytes are all that decoding needs: an archive with the distributions alone. Ratios are against the boxes around the distributions and against
/// their blocks of 4^3 cells with an id of 4 bytes each, both as stored in the file's own type. Errors are those of the moments of what was decoded,
/// relative, in percent: density n, bulk velocity u over the thermal speed, pressure tensor P, its anisotropy, heat flux q over n v_th^3; then of the
/// values: L1, L2 and the largest over those of the original, the root mean square of log10 above the threshold, cells lost and gained about the
/// threshold, negative values. Of several distributions: the largest errors, the sums of counts.
#[derive(Args)]
pub(crate) struct Survey {
    /// A VLSV file with velocity distributions, or an array [..., vz, vy, vx] in .npy.
    file: PathBuf,
    /// The population of a VLSV file [default: the first].
    #[arg(long)]
    population: Option<String>,
    /// Spatial cells of a VLSV file, by their ids [default: all that keep a distribution].
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    cells: Option<Vec<u64>>,
    /// The sparsity threshold, in the units of the values.
    #[arg(long, value_name = "F", default_value = "1e-15")]
    threshold: f64,
    /// These chains alone, separated by commas, under the bound that is given.
    #[arg(long, value_name = "CHAIN,...")]
    codec: Option<String>,
    #[command(flatten)]
    bound: BoundArgs,
    /// Show too what the ASTERIX notebook of 2024 printed of its methods, computed as it did: percentages of the mean of both, velocities from the
    /// corner of the box, L2 over the decoded, ratios as counted there. For one distribution on a cube of cells.
    #[arg(long)]
    as_published: bool,
    #[command(flatten)]
    table: TableArgs,
}

const COLUMNS: [&str; 20] = [
    "method",
    "bound",
    "bytes",
    "x dense",
    "x sparse",
    "n %",
    "u %",
    "P %",
    "aniso %",
    "q %",
    "L1",
    "L2",
    "max",
    "log10",
    "lost",
    "ghost",
    "neg",
    "neg before",
    "enc s",
    "dec s",
];

impl Survey {
    pub(crate) fn run(&self, quiet: bool) -> Result<()> {
        let subject = self.subject().map_err(|e| e.at(shown(&self.file)))?;
        let all = self.settings(&subject)?;
        let dots = !quiet && self.table.is_text() && std::io::stderr().is_terminal();
        let mut table = Table::new(&COLUMNS, 2);
        let mut refused = Vec::new();
        for setting in &all {
            match survey(&subject, setting, self.threshold) {
                Ok(row) if self.table.json => say(json_of(&subject, &row, self.threshold).to_string())?,
                Ok(row) => table.push(cells(&subject, &row, self.threshold)),
                Err(e) => refused.push(format!("{}: {}", setting.chain, e.message())),
            }
            if dots {
                eprint!(".");
            }
        }
        if dots {
            eprintln!();
        }
        if self.table.is_text() {
            say(format!(
                "{}: {} distributions, {} bytes dense, {} bytes sparse, threshold {}",
                subject.name,
                subject.len(),
                subject.dense_bytes(),
                subject.sparse_bytes(self.threshold),
                short(self.threshold)
            ))?;
        }
        self.table.say(&table)?;
        if self.as_published {
            self.published(&subject)?;
        }
        refused.iter().for_each(|line| eprintln!("fieldpress: left out: {line}"));
        match table.is_empty() && !self.table.json {
            true => Err(Error::invalid("expected a method that can do what is asked, found none")),
            false => Ok(()),
        }
    }
    fn published(&self, subject: &Subject) -> Result<()> {
        let one = subject.single().ok_or_else(|| {
            Error::invalid(format!("expected one distribution with --as-published, found {}", subject.len()))
        })?;
        let mut table = Table::new(&["as published", "ratio", "n %", "V %", "P_diag %", "P_frob %", "L1", "L2"], 1);
        for p in published(one)? {
            let s = p.statistics;
            let numbers = [s.density, s.velocity, s.pressure.diagonal, s.pressure.frobenius, s.l1, s.l2];
            if self.table.json {
                let [n, v, diagonal, frobenius, l1, l2] = numbers.map(number);
                let row = json!({
                    "published": p.method,
                    "ratio": p.ratio,
                    "density_percent": n,
                    "velocity_percent": v,
                    "pressure_diagonal_percent": diagonal,
                    "pressure_frobenius_percent": frobenius,
                    "l1": l1,
                    "l2": l2,
                });
                say(row.to_string())?;
                continue;
            }
            let mut cells = vec![p.method.to_string(), p.ratio.map_or("-".into(), short)];
            cells.extend(numbers.map(|v| format!("{v:.3}")));
            table.push(cells);
        }
        if !self.table.is_csv() && !self.table.json {
            say("")?;
        }
        self.table.say(&table)
    }
    fn subject(&self) -> Result<Subject> {
        let file = input(&self.file)?;
        if fieldpress::io::format("vlsv")?.matches(&file.name, &[]) {
            let vlsv = Vlsv::open(file.bytes)?;
            let found: Vec<String> = vlsv.populations().into_iter().map(String::from).collect();
            let population = self.population.as_ref().or(found.first()).filter(|p| found.contains(p));
            let population = population.ok_or_else(|| {
                Error::invalid(format!("expected a population with velocity distributions, found {}", found.join(" ")))
            })?;
            return Subject::of_vlsv(&vlsv, population, self.cells.as_deref());
        }
        let dataset = fieldpress::io::open(&file.name, file.bytes, &Default::default())?;
        let [array] = dataset.arrays.as_slice() else {
            return Err(Error::invalid(format!("expected one array, found {}", dataset.arrays.len())));
        };
        let all = fieldpress::array::Region::all(array.source.shape());
        let values = fieldpress::Array::new(array.source.shape(), array.source.read(&all)?)?;
        Subject::of_array(&file.name, &values)
    }
    fn settings(&self, subject: &Subject) -> Result<Vec<Setting>> {
        match (&self.codec, self.bound.bound_if_any()?) {
            (Some(text), Some(bound)) => {
                Ok(split_chains(text).into_iter().map(|chain| Setting { chain, bound: bound.clone() }).collect())
            }
            (None, None) => Ok(settings(subject, self.threshold)),
            _ => Err(Error::invalid("expected --codec and a bound, or neither, found one of them")),
        }
    }
}

/// What the table and the JSON show, in percent where the columns say so.
fn numbers(row: &Row) -> [f64; 9] {
    let (m, v) = (row.errors.moments, row.errors.values);
    [
        100.0 * m.density,
        100.0 * m.velocity,
        100.0 * m.pressure,
        100.0 * m.anisotropy,
        100.0 * m.heat_flux,
        v.l1,
        v.l2,
        v.max,
        v.rms_log10,
    ]
}

fn ratios(subject: &Subject, row: &Row, threshold: f64) -> [f64; 2] {
    [subject.dense_bytes(), subject.sparse_bytes(threshold)].map(|b| b as f64 / row.bytes.max(1) as f64)
}

fn cells(subject: &Subject, row: &Row, threshold: f64) -> Vec<String> {
    let v = row.errors.values;
    let mut cells = vec![row.setting.chain.clone(), row.setting.bound.to_string(), row.bytes.to_string()];
    cells.extend(ratios(subject, row, threshold).map(|r| format!("{r:.2}")));
    cells.extend(numbers(row).map(short));
    cells.extend([v.lost, v.ghost, v.negative_after, v.negative_before].map(|n| n.to_string()));
    cells.extend([row.compress_seconds, row.decompress_seconds].map(|s| format!("{s:.3}")));
    cells
}

fn json_of(subject: &Subject, row: &Row, threshold: f64) -> Value {
    let (m, v) = (row.errors.moments, row.errors.values);
    let [dense, sparse] = ratios(subject, row, threshold);
    json!({
        "method": row.setting.chain,
        "bound": row.setting.bound,
        "distributions": subject.len(),
        "bytes": row.bytes,
        "ratio_dense": number(dense),
        "ratio_sparse": number(sparse),
        "density": number(m.density),
        "velocity": number(m.velocity),
        "pressure": number(m.pressure),
        "anisotropy": number(m.anisotropy),
        "heat_flux": number(m.heat_flux),
        "l1": number(v.l1),
        "l2": number(v.l2),
        "max": number(v.max),
        "rms_log10": number(v.rms_log10),
        "above": v.above,
        "lost": v.lost,
        "ghost": v.ghost,
        "negative_before": v.negative_before,
        "negative_after": v.negative_after,
        "compress_seconds": row.compress_seconds,
        "decompress_seconds": row.decompress_seconds,
    })
}
