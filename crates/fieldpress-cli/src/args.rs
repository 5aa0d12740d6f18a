//! Arguments that several commands share.

use std::path::{Path, PathBuf};

use clap::Args;
use fieldpress::array::Endian;
use fieldpress::bound::MomentLimits;
use fieldpress::files::{FileOptions, Glob};
use fieldpress::io::OpenOptions;
use fieldpress::{Bound, Chain, Choice, DType, Error, Options, Result, Shape, Tier};

use crate::screen::say;
use crate::table::Table;

/// The error bound: exactly one, or several with --all.
#[derive(Args)]
#[command(next_help_heading = "Bound (exactly one, or several with --all)")]
pub(crate) struct BoundArgs {
    /// Keep every bit.
    #[arg(long)]
    lossless: bool,
    /// |error| <= X, in the units of the data.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    abs: Option<f64>,
    /// |error| <= X times the range of the valid values of the array.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    rel: Option<f64>,
    /// |error| <= X times |value|.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pw_rel: Option<f64>,
    /// |error| <= max(ABS, REL |value|): for data over many decades.
    #[arg(long, value_name = "ABS,REL", value_parser = pair)]
    abs_or_rel: Option<(f64, f64)>,
    /// L2 norm of the error <= X times the L2 norm of the array; of fields on spectral elements over the domain, by the mass matrix.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    l2: Option<f64>,
    /// L2 norm of the error's gradient <= X times that of the field's, over the domain: for fields on spectral elements.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    h1: Option<f64>,
    /// Peak signal-to-noise ratio of at least DB decibels.
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    psnr: Option<f64>,
    /// Errors of the moments of every velocity distribution (axes [..., vz, vy, vx], or the blocks of a VLSV file): density, bulk velocity over the
    /// thermal speed, pressure tensor, heat flux over n v_th^3; each relative. May stand beside another bound without --all.
    #[arg(long, value_name = "n=X,u=X,p=X,q=X", value_parser = moments)]
    moments: Option<MomentLimits>,
    /// Keep density, momentum and energy of every velocity distribution, but for rounding. May stand beside another bound.
    #[arg(long)]
    conserve: bool,
    /// No value becomes negative that was not. May stand beside another bound.
    #[arg(long)]
    positive: bool,
    /// A bound by name: lossless, or none: nothing is asked of the error, and the method's parameters alone say how good it is.
    #[arg(long, value_name = "NAME")]
    bound: Option<NamedBound>,
    /// Several bounds, all of which are to hold.
    #[arg(long)]
    all: bool,
}

/// Bounds without a number.
#[derive(Clone, Copy, clap::ValueEnum)]
enum NamedBound {
    Lossless,
    None,
}

impl BoundArgs {
    /// Errors: `InvalidArgument` unless there is one bound, or several under `--all`.
    pub(crate) fn bound(&self) -> Result<Bound> {
        self.bound_if_any()?.ok_or_else(|| {
            Error::invalid(
                "expected a bound (--lossless --abs --rel --pw-rel --abs-or-rel --l2 --psnr --h1), found none",
            )
        })
    }
    /// Errors: `InvalidArgument` for several bounds without `--all`.
    pub(crate) fn bound_if_any(&self) -> Result<Option<Bound>> {
        let mut given = Vec::new();
        given.extend(self.lossless.then_some(Bound::Lossless));
        given.extend(self.bound.map(|b| match b {
            NamedBound::Lossless => Bound::Lossless,
            NamedBound::None => Bound::None,
        }));
        given.extend(self.abs.map(Bound::Abs));
        given.extend(self.rel.map(Bound::Rel));
        given.extend(self.pw_rel.map(Bound::PwRel));
        given.extend(self.abs_or_rel.map(|(abs, rel)| Bound::AbsOrRel { abs, rel }));
        given.extend(self.l2.map(Bound::L2));
        given.extend(self.psnr.map(Bound::Psnr));
        given.extend(self.h1.map(Bound::H1));
        let besides = self.moments.map(Bound::Moments).into_iter();
        let besides = besides.chain(self.conserve.then_some(Bound::Conserve));
        let besides: Vec<Bound> = besides.chain(self.positive.then_some(Bound::Positive)).collect();
        if given.len() > 1 && !self.all {
            return Err(Error::invalid(format!("expected one bound, or --all, found {} bounds", given.len())));
        }
        given.extend(besides);
        let bound = match given.len() {
            0 => return Ok(None),
            1 => given.remove(0),
            _ => Bound::All(given),
        };
        bound.validate()?;
        Ok(Some(bound))
    }
}

/// Named so that the argument parser takes it as one value.
type Extents = Vec<usize>;

/// How arrays are encoded.
#[derive(Args)]
#[command(next_help_heading = "Method")]
pub(crate) struct MethodArgs {
    /// A chain: steps joined by +, each with parameters as in name:key=value,key=value. Of several chains, separated by
    /// commas, each block takes the smallest. See `fieldpress list`.
    #[arg(long, value_name = "CHAIN", conflicts_with_all = ["chain", "tier"])]
    codec: Option<String>,
    /// A chain as JSON: a list of names or objects with an "id" and parameters.
    #[arg(long, value_name = "FILE", conflicts_with = "tier")]
    chain: Option<PathBuf>,
    /// Let the data decide, with this much effort: fast, balanced or best [default: balanced].
    #[arg(long)]
    tier: Option<Tier>,
    /// Extents of inner blocks, for arrays of this rank.
    #[arg(long, value_name = "N,N,...", value_parser = extents)]
    block: Option<Extents>,
    /// A fill value: kept exactly, not counted in the range.
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    fill: Option<f64>,
    /// Do not look for a fill value (a constant far outside all other values).
    #[arg(long)]
    no_detect_fill: bool,
}

impl MethodArgs {
    /// The options for one array under `bound`. Errors: `InvalidArgument`, `Unsupported`, `Io`.
    pub(crate) fn options(&self, bound: Bound) -> Result<Options> {
        let choice = match (&self.codec, &self.chain, self.tier) {
            (Some(text), _, _) => {
                Choice::Chains(split_chains(text).iter().map(|c| Chain::parse(c)).collect::<Result<_>>()?)
            }
            (_, Some(path), _) => Choice::Chains(vec![chain_file(path).map_err(|e| e.at(path.display()))?]),
            (_, _, Some(tier)) => Choice::Tier(tier),
            _ => Choice::Auto,
        };
        Ok(Options {
            choice,
            block: self.block.clone(),
            fill: self.fill,
            detect_fill: !self.no_detect_fill,
            ..Options::new(bound)
        })
    }
}

fn chain_file(path: &Path) -> Result<Chain> {
    let text = std::fs::read_to_string(path)?;
    let value = serde_json::from_str(&text).map_err(|e| Error::invalid(format!("expected a chain in JSON: {e}")))?;
    Chain::from_json(&value)
}

/// How a table is printed.
#[derive(Args)]
pub(crate) struct TableArgs {
    /// Print one JSON object per line.
    #[arg(long, conflicts_with_all = ["csv", "markdown"])]
    pub(crate) json: bool,
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "markdown")]
    csv: bool,
    /// Print a Markdown table.
    #[arg(long)]
    markdown: bool,
}

impl TableArgs {
    /// Whether people read it at a terminal.
    pub(crate) fn is_text(&self) -> bool {
        !self.json && !self.csv && !self.markdown
    }
    /// Whether a program reads it, which wants all digits.
    pub(crate) fn is_csv(&self) -> bool {
        self.csv
    }
    /// The table; under `--json` rows were printed one by one.
    pub(crate) fn say(&self, table: &Table) -> Result<()> {
        match (self.json, self.csv, self.markdown) {
            (true, _, _) => Ok(()),
            (_, true, _) => say(table.csv()),
            (_, _, true) => say(table.markdown()),
            _ => say(table.text()),
        }
    }
}

/// Which arrays of a file are meant, and what is known of files that do not describe themselves.
#[derive(Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct OpenArgs {
    /// Shape of raw binary data.
    #[arg(long, value_name = "N,N,...", value_parser = shape)]
    shape: Option<Shape>,
    /// Element type of raw binary data: f32 f64 i8 i16 i32 i64 u8 u16 u32 u64.
    #[arg(long, value_parser = DType::parse)]
    dtype: Option<DType>,
    /// Byte order of raw binary data: little or big.
    #[arg(long, value_name = "ORDER", value_parser = endian, default_value = "little")]
    endian: Endian,
    /// Bytes before the values of raw binary data.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
}

impl OpenArgs {
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions { shape: self.shape, dtype: self.dtype, endian: self.endian, offset: self.offset }
    }
}

/// Options for whole files.
pub(crate) fn file_options(lossy: Options, arrays: &[Glob], open: &OpenArgs) -> FileOptions {
    FileOptions { lossy, arrays: arrays.to_vec(), open: open.options(), mesh: None }
}

/// The chains of a list separated by commas, in which parameters are separated by commas too: a piece with `=` before any
/// `:` or `+` belongs to the chain before it.
pub(crate) fn split_chains(text: &str) -> Vec<String> {
    let mut chains: Vec<String> = Vec::new();
    for piece in fieldpress::codec::split(text, ',') {
        let parameter = piece.find('=').is_some_and(|e| !piece.get(..e).unwrap_or_default().contains([':', '+']));
        match chains.last_mut() {
            Some(last) if parameter => {
                last.push(',');
                last.push_str(piece);
            }
            _ => chains.push(piece.to_string()),
        }
    }
    chains
}

/// A number of at least 1.
pub(crate) fn positive(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a number of at least 1".into()),
    }
}

fn moments(text: &str) -> std::result::Result<MomentLimits, String> {
    text.parse().map_err(|e: Error| e.message().into())
}

fn pair(text: &str) -> std::result::Result<(f64, f64), String> {
    let parts = text.split_once(',').map(|(a, b)| (a.trim().parse(), b.trim().parse()));
    match parts {
        Some((Ok(a), Ok(b))) => Ok((a, b)),
        _ => Err("expected two numbers separated by a comma".into()),
    }
}

fn extents(text: &str) -> std::result::Result<Vec<usize>, String> {
    let numbers = text.split([',', 'x']).map(|p| p.trim().parse());
    numbers.collect::<std::result::Result<_, _>>().map_err(|_| "expected numbers separated by commas".into())
}

fn shape(text: &str) -> std::result::Result<Shape, String> {
    let dims = if text.trim().is_empty() { Vec::new() } else { extents(text)? };
    Shape::new(&dims).map_err(|e| e.message().into())
}

fn endian(text: &str) -> std::result::Result<Endian, String> {
    match text {
        "little" | "<" => Ok(Endian::Little),
        "big" | ">" => Ok(Endian::Big),
        _ => Err("expected little or big".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_chains_and_their_parameters() {
        let s = |t: &str| split_chains(t).join(" ; ");
        assert_eq!(s("dct,interp,zstd"), "dct ; interp ; zstd");
        assert_eq!(s("dwt:levels=3,wavelet=cdf97,interp"), "dwt:levels=3,wavelet=cdf97 ; interp");
        assert_eq!(
            s("log:scale=1e-3+interp,shuffle+zstd:level=3,window=2"),
            "log:scale=1e-3+interp ; shuffle+zstd:level=3,window=2"
        );
    }

    #[test]
    fn numbers_and_names_are_parsed() {
        assert_eq!(pair("1e-15,1e-3"), Ok((1e-15, 1e-3)));
        assert!(pair("1").is_err() && extents("64,,64").is_err() && positive("0").is_err());
        assert_eq!(extents("64,32"), Ok(vec![64, 32]));
        assert_eq!(shape("").map(|s| s.rank()), Ok(0));
    }
}
