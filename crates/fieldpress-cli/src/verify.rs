//! `fieldpress verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use fieldpress::files::{read_portrait, verify_file, ArrayVerdict, FileVerdict, MapOrigin};
use fieldpress::sphere::scattering::{Portrait, Scattering};
use fieldpress::{Archive, Error, Result};
use serde_json::{json, Value};

use crate::files::{archive, input_of, is_stream, shown};
use crate::maps::MapArgs;
use crate::numbers::{criterion, json as number, short, tolerance};
use crate::progress::Progress;
use crate::screen::{closed, say};
use crate::table::Table;
use crate::Answer;

/// Statistics of a map are the same when they differ by less than this part of the largest of their block.
const STATISTICS: f64 = 1e-10;

/// Read originals again and decide whether an archive keeps their bounds.
///
/// Every bound is worked out anew from the original and decided exactly; NaN, infinities, -0.0, fill values, lossless arrays and
/// all bytes outside arrays must be the same bits. Of what `fieldpress scatter` keeps, the statistics are worked out again and compared.
#[derive(Args)]
pub(crate) struct Verify {
    /// The original file; several for an archive of several.
    #[arg(required = true, value_name = "ORIGINAL")]
    originals: Vec<PathBuf>,
    /// The archive.
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,
    /// The spatial cells that `compress --cells` was given.
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    cells: Vec<u64>,
    #[command(flatten)]
    map: MapArgs,
    /// Show every array, not only the lossy and the violated.
    #[arg(short, long)]
    verbose: bool,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(&self, quiet: bool) -> Result<Answer> {
        let archive = archive(&self.archive)?;
        if let Some((portrait, origin)) = read_portrait(&archive).map_err(|e| e.at(shown(&self.archive)))? {
            return self.statistics(&portrait, &origin);
        }
        let total = archive.directory().arrays.iter().map(|a| a.raw_bytes()).sum();
        let progress = Progress::new(total, quiet);
        let mut verdicts = Vec::new();
        for path in &self.originals {
            let original = input_of(path, &self.cells)?;
            let file = find(&archive, path, self.originals.len()).map_err(|e| e.at(shown(&self.archive)))?;
            let verdict = verify_file(&original, &archive, file, Some(&|e| progress.event(e)));
            verdicts.push(verdict.map_err(|e| e.at(shown(path)))?);
        }
        progress.finish();
        let holds = verdicts.iter().all(FileVerdict::holds);
        let told = if self.json {
            say(json!({ "holds": holds, "files": verdicts.iter().map(file_json).collect::<Vec<_>>() }).to_string())
        } else {
            verdicts.iter().try_for_each(|v| say(self.text(v)))
        };
        // The verdict stands whether or not somebody reads all of it.
        told.or_else(|e| if closed() { Ok(()) } else { Err(e) })?;
        Ok(if holds { Answer::Yes } else { Answer::No })
    }
    /// Whether these are the statistics of the map.
    fn statistics(&self, kept: &Portrait, origin: &MapOrigin) -> Result<Answer> {
        let [original] = self.originals.as_slice() else {
            return Err(Error::invalid(format!("expected one map for its statistics, found {}", self.originals.len())));
        };
        let c = &kept.coefficients;
        let map = self.map.load_as(original, origin, c.band())?;
        let found = Scattering::new(c.band(), c.settings())
            .and_then(|p| p.portrait(&map))
            .map_err(|e| e.at(shown(original)))?;
        let blocks = |p: &Portrait| {
            let c = &p.coefficients;
            let [s1, p00, c01, c11] = c.blocks().map(<[f64]>::to_vec);
            [
                ("mean", vec![p.mean]),
                ("variance", vec![c.variance]),
                ("spectrum", p.spectrum.clone()),
                ("S1", s1),
                ("P00", p00),
                ("C01", c01),
                ("C11", c11),
            ]
        };
        let mut table = Table::new(&["block", "verdict", "numbers", "max error", "largest"], 0);
        let (mut holds, mut list) = (true, Vec::new());
        let deviation = c.variance.max(0.0).sqrt();
        for ((name, a), (_, b)) in blocks(&found).iter().zip(&blocks(kept)) {
            let error = a.iter().zip(b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
            let largest = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            // A mean of 0 has digits of the map's size.
            // What is not a number is not the same.
            let numbers = a.len() == b.len() && a.iter().chain(b).all(|v| v.is_finite());
            let good = numbers && error <= STATISTICS * largest.max(if *name == "mean" { deviation } else { 0.0 });
            holds &= good;
            let word = if good { "holds" } else { "VIOLATED" };
            table.push(vec![name.to_string(), word.into(), b.len().to_string(), short(error), short(largest)]);
            list.push(json!({ "block": name, "holds": good, "numbers": b.len(), "max_error": number(error), "largest": number(largest) }));
        }
        say(match self.json {
            true => json!({ "holds": holds, "statistics": list }).to_string(),
            false => {
                format!("{}\n{}: {}", table.text(), shown(&self.archive), if holds { "holds" } else { "VIOLATED" })
            }
        })?;
        Ok(if holds { Answer::Yes } else { Answer::No })
    }
    fn text(&self, v: &FileVerdict) -> String {
        let mut table =
            Table::new(&["array", "bound", "verdict", "violations", "first at", "max error", "tolerance", "PSNR"], 3);
        let mut quiet = 0;
        for a in &v.arrays {
            if a.holds() && a.bound.is_lossless() && !self.verbose && v.arrays.len() > 1 {
                quiet += 1;
                continue;
            }
            table.push(vec![
                a.name.clone(),
                a.bound.to_string(),
                word(a).into(),
                a.tally.violations.to_string(),
                a.first.as_ref().map_or("-".into(), |i| format!("{i:?}").replace(' ', "")),
                short(a.tally.max_error),
                if a.relative.is_some() { "-".into() } else { criterion(&a.criterion, a.tally.valid) },
                short(a.psnr()),
            ]);
        }
        let mut text = if table.is_empty() { String::new() } else { table.text() + "\n" };
        if quiet > 0 {
            text += &format!("{quiet} other arrays are the same to the bit\n");
        }
        for (a, (l2, h1)) in v.arrays.iter().filter_map(|a| Some((a, a.relative?))) {
            text += &format!("{}: relative L2 error {}", a.name, short(l2));
            text += &a.criterion.gradient_sum.map_or("\n".into(), |_| format!(", of the gradient {}\n", short(h1)));
        }
        for (a, m) in v.arrays.iter().filter_map(|a| Some((a, a.moments?))) {
            let [n, u, p, q] = m.worst.map(short);
            text += &format!(
                "{}: moments of {} of {} distributions hold; at most n {n}, u {u}, p {p}, q {q}\n",
                a.name,
                m.distributions - m.violations,
                m.distributions
            );
        }
        v.problems.iter().for_each(|p| text += &format!("{p}\n"));
        match v.identical {
            Some(true) => text += "the restored file is the same to the byte\n",
            Some(false) => text += "the restored file has the same arrays but is not the same to the byte\n",
            None => {}
        }
        text + &format!("{}: {}", v.name, if v.holds() { "holds" } else { "VIOLATED" })
    }
}

fn word(a: &ArrayVerdict) -> &'static str {
    if a.holds() {
        "holds"
    } else {
        "VIOLATED"
    }
}

/// Which file of the archive `path` is the original of.
fn find(archive: &Archive, path: &Path, originals: usize) -> Result<usize> {
    let files = &archive.directory().files;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match files.iter().position(|f| f.name == name && !is_stream(path)) {
        Some(i) => Ok(i),
        None if files.len() == 1 && originals == 1 => Ok(0),
        None => {
            let names: Vec<_> = files.iter().map(|f| f.name.as_str()).collect();
            Err(Error::invalid(format!("expected one of the files {}, found {name}", names.join(" "))))
        }
    }
}

fn file_json(v: &FileVerdict) -> Value {
    let array = |a: &ArrayVerdict| {
        json!({
            "name": a.name,
            "holds": a.holds(),
            "bound": a.bound,
            "criterion": a.criterion,
            "tolerance": number(tolerance(&a.criterion)),
            "values": a.tally.values,
            "valid": a.tally.valid,
            "violations": a.tally.violations,
            "first": a.first,
            "max_error": number(a.tally.max_error),
            "psnr": number(a.psnr()),
            "relative_l2": a.relative.map(|r| number(r.0)),
            "relative_h1": a.relative.filter(|_| a.criterion.gradient_sum.is_some()).map(|r| number(r.1)),
            "moments": a.moments.map(|m| json!({
                "distributions": m.distributions,
                "violations": m.violations,
                "worst": { "n": m.worst[0], "u": m.worst[1], "p": m.worst[2], "q": m.worst[3] },
            })),
        })
    };
    json!({
        "name": v.name,
        "holds": v.holds(),
        "problems": v.problems,
        "identical": v.identical,
        "arrays": v.arrays.iter().map(array).collect::<Vec<_>>(),
    })
}
