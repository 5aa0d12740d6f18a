//! What `fieldpress info` tells of a file of data.

use clap::Args;
use fieldpress::container::Plan;
use fieldpress::files::{Glob, Input};
use fieldpress::io::FileArray;
use fieldpress::select::{look, try_chains, Findings, Tried};
use fieldpress::{Bound, Error, Result, Tier};
use serde_json::{json, Value};

use crate::args::{BoundArgs, OpenArgs};
use crate::numbers::{json as number, short};
use crate::screen::say;
use crate::table::Table;

/// What to look at, and for which bound.
#[derive(Args)]
pub(crate) struct Look {
    /// Arrays of a file of data to look at [default: the floating-point fields].
    #[arg(long, value_name = "PATTERN,...", value_delimiter = ',')]
    arrays: Vec<Glob>,
    /// The effort with which methods are tried: fast, balanced or best.
    #[arg(long, default_value = "balanced")]
    tier: Tier,
    #[command(flatten)]
    bound: BoundArgs,
    #[command(flatten)]
    open: OpenArgs,
}

/// An array and what was found.
struct Seen {
    array: FileArray,
    plan: Plan,
    findings: Findings,
    tried: Vec<Tried>,
}

impl Look {
    /// Errors: `InvalidArgument` when there is a bound: an archive has its own.
    pub(crate) fn refuse(&self) -> Result<()> {
        match self.bound.bound_if_any()? {
            Some(bound) => Err(Error::invalid(format!("expected a file of data for {bound}, found an archive"))),
            None => Ok(()),
        }
    }
    pub(crate) fn run(&self, input: Input, shown: &str, as_json: bool) -> Result<()> {
        let bound = self.bound.bound_if_any()?;
        let place = |e: Error| e.at(shown);
        let dataset = fieldpress::io::open(&input.name, input.bytes, &self.open.options()).map_err(place)?;
        let format = dataset.format;
        let wanted = |a: &FileArray| match self.arrays.as_slice() {
            [] => a.role == fieldpress::io::Role::Field && a.source.dtype().is_float(),
            globs => globs.iter().any(|g| g.matches(&a.name)),
        };
        let arrays = dataset.arrays.into_iter().filter(wanted);
        let seen = arrays.map(|a| self.see(a, bound.as_ref())).collect::<Result<Vec<_>>>().map_err(place)?;
        if as_json {
            let arrays: Vec<Value> = seen.iter().map(Seen::json).collect();
            return say(json!({ "file": shown, "format": format, "arrays": arrays }).to_string());
        }
        let mut text = format!("{shown}: {format}, {} arrays to look at\n\n{}\n", seen.len(), findings(&seen).text());
        if bound.is_some() {
            text += &format!("\n{}\n", chains(&seen, self.tier).text());
        }
        say(text)
    }
    fn see(&self, array: FileArray, bound: Option<&Bound>) -> Result<Seen> {
        let place = |e: Error| e.at(array.name.clone());
        let plan = Plan::new(&*array.source, bound.unwrap_or(&Bound::Lossless), None, true).map_err(place)?;
        let findings = look(&*array.source, &plan).map_err(place)?;
        let tried = match bound {
            Some(_) => try_chains(&*array.source, &plan, self.tier, false).map_err(place)?,
            None => Vec::new(),
        };
        Ok(Seen { array, plan, findings, tried })
    }
}

impl Seen {
    fn fill(&self) -> Option<f64> {
        let dtype = self.array.source.dtype();
        self.plan.stats.fill.map(|bits| dtype.value_of(bits))
    }
    fn json(&self) -> Value {
        let (f, s) = (&self.findings, &self.plan.stats);
        let axis = |a: &fieldpress::select::Axis| json!({ "change": a.change.map(number), "rank": a.rank });
        let chain = |t: &Tried| json!({ "chain": t.chain.to_json(), "ratio": t.ratio.map(number), "all_samples": t.finished, "kept": t.kept });
        json!({
            "name": self.array.name,
            "dtype": self.array.source.dtype(),
            "shape": self.array.source.shape().dims(),
            "valid": s.count,
            "fill": self.fill().map(number),
            "min": number(s.min),
            "max": number(s.max),
            "spacing": f.spacing.map(|s| json!({ "offset": number(s.offset), "step": number(s.step) })),
            "noise": f.noise.map(number),
            "axes": f.axes.iter().map(axis).collect::<Vec<_>>(),
            "tried": self.tried.iter().map(chain).collect::<Vec<_>>(),
        })
    }
}

/// A line an array.
fn findings(seen: &[Seen]) -> Table {
    let names = ["array", "type", "shape", "valid", "fill", "min", "max", "spacing", "noise", "change", "rank"];
    let mut table = Table::new(&names, 3);
    for s in seen {
        let (source, stats) = (&s.array.source, &s.plan.stats);
        let part = 100.0 * stats.count as f64 / source.shape().len().max(1) as f64;
        let dash = || "-".to_string();
        let axes = |f: &dyn Fn(&fieldpress::select::Axis) -> Option<String>| {
            let each: Vec<String> = s.findings.axes.iter().map(|a| f(a).unwrap_or_else(dash)).collect();
            each.join(" ")
        };
        let range = |v: f64| if stats.count > 0 { short(v) } else { dash() };
        table.push(vec![
            s.array.name.clone(),
            source.dtype().to_string(),
            source.shape().to_string(),
            if stats.count == source.shape().len() as u64 { "all".into() } else { format!("{part:.2} %") },
            s.fill().map_or_else(dash, short),
            range(stats.min),
            range(stats.max),
            s.findings.spacing.map_or_else(dash, |s| short(s.step)),
            s.findings.noise.map_or_else(dash, short),
            axes(&|a| a.change.map(|c| format!("{c:.2}"))),
            axes(&|a| a.rank.map(|(r, n)| format!("{r}/{n}"))),
        ]);
    }
    table
}

/// A line a chain.
fn chains(seen: &[Seen], tier: Tier) -> Table {
    let mut table = Table::new(&["array", "chain", "ratio", "verdict"], 2);
    for s in seen {
        for t in &s.tried {
            let verdict = match (t.kept, t.ratio, t.finished) {
                (true, None, _) => "the only one",
                (true, ..) if tier == Tier::Best => "tried on every block",
                (true, ..) => "taken",
                (_, None, _) => "does not suit",
                (_, _, false) => "left behind",
                _ => "larger",
            };
            let ratio = t.ratio.map_or_else(|| "-".into(), short);
            table.push(vec![s.array.name.clone(), t.chain.name(), ratio, verdict.into()]);
        }
    }
    table
}
