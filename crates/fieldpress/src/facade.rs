//! The library in two calls: arrays to bytes and back.

use std::sync::Arc;

use serde_json::Map;

use crate::array::{Array, Source};
use crate::bound::Bound;
use crate::codec::{Chain, Limits};
use crate::container::{Archive, ArchiveWriter, ArrayOptions, ArrayReport, Plan, Role};
use crate::error::{Error, Result};
use crate::select::{self, Tier};
use crate::vdf::Velocities;

/// Which chains may encode an array.
#[derive(Clone, Debug, Default)]
pub enum Choice {
    /// Chosen from the data, with this much effort.
    #[default]
    Auto,
    /// As [`Choice::Auto`], with the effort named.
    Tier(Tier),
    /// These, and no others; each block takes the smallest.
    Chains(Vec<Chain>),
}

impl Choice {
    /// The chains for one array whose bound is resolved; with `levels` such that coarser levels can be decoded, if there is a choice.
    /// Errors: those of the source.
    pub fn chains(&self, source: &dyn Source, plan: &Plan, levels: bool) -> Result<Vec<Chain>> {
        match self {
            Choice::Auto => select::chains(source, plan, Tier::Balanced, levels),
            Choice::Tier(t) => select::chains(source, plan, *t, levels),
            Choice::Chains(c) => Ok(c.clone()),
        }
    }
}

/// How an array is compressed.
#[derive(Clone, Debug)]
pub struct Options {
    /// What must hold.
    pub bound: Bound,
    /// Which chains may be used.
    pub choice: Choice,
    /// The extents of inner blocks; `None` for the default.
    pub block: Option<Vec<usize>>,
    /// A fill value to keep apart from the rest; it is restored exactly and does not count in the range.
    pub fill: Option<f64>,
    /// Look for a fill value where none is given.
    pub detect_fill: bool,
    /// Decode every block and report errors exactly, even where a codec proves its bound as it goes.
    pub measure: bool,
    /// How the values are velocity distributions, for bounds on their moments; `None`: where such are asked, the last three axes are
    /// `[vz, vy, vx]`.
    pub velocities: Option<Velocities>,
    /// Store blocks in the order of levels, so that a coarser array can be decoded from a part of the bytes, see
    /// [`Archive::read_level`]; methods that can do that are preferred. Archives with levels need a reader that knows them.
    pub progressive: bool,
}

impl Options {
    /// The default options for `bound`.
    pub fn new(bound: Bound) -> Options {
        Options {
            bound,
            choice: Choice::Auto,
            block: None,
            fill: None,
            detect_fill: true,
            measure: false,
            progressive: false,
            velocities: None,
        }
    }
    /// How the values of an array are velocity distributions, where that matters.
    pub(crate) fn velocities(&self, plan: &Plan) -> Option<Velocities> {
        self.velocities.clone().or((!plan.criterion.quantities.is_empty()).then_some(Velocities::Dense))
    }
    /// Uses these chains only, as [`Chain::parse`] reads them. Errors: `InvalidArgument`, `Unsupported`.
    pub fn with_chain(mut self, chain: &str) -> Result<Options> {
        self.choice = Choice::Chains(vec![Chain::parse(chain)?]);
        Ok(self)
    }
}

/// Compresses one array into a self-describing archive in memory, in the current rayon pool.
///
/// ```
/// use fieldpress::{compress, decompress, Bound, Options, View};
/// let data: Vec<f32> = (0..4096).map(|i| (i % 64) as f32 * (i / 64) as f32).collect();
/// let (bytes, report) = compress(&View::new(&[64, 64], &data)?, Options::new(Bound::Abs(0.5)))?;
/// assert!(bytes.len() < 4096);
/// let back = decompress(&bytes)?;
/// let back = back.as_typed::<f32>().unwrap();
/// assert!(data.iter().zip(back).all(|(x, y)| (x - y).abs() <= 0.5));
/// # Ok::<(), fieldpress::Error>(())
/// ```
///
/// Errors: `InvalidArgument` for a bound or block that means nothing; `LimitExceeded` when memory is short.
pub fn compress(source: &dyn Source, options: Options) -> Result<(Vec<u8>, ArrayReport)> {
    let plan = Plan::new(source, &options.bound, options.fill, options.detect_fill)?;
    let chains = options.choice.chains(source, &plan, options.progressive)?;
    let mut writer = ArchiveWriter::new(Vec::new())?;
    let settings = ArrayOptions {
        plan: &plan,
        chains,
        velocities: options.velocities(&plan),
        block: options.block,
        measure: options.measure,
        elements: None,
        progressive: options.progressive,
        role: Role::Field,
        attributes: Map::new(),
        companions: Vec::new(),
        keep: false,
        progress: None,
    };
    let report = writer.put_array("data", source, settings)?;
    Ok((writer.finish()?, report))
}

/// The one array of an archive made by [`compress`]; of an archive with several, use [`Archive`].
/// Errors: `Corrupt`, `Truncated`, `Unsupported`, `LimitExceeded`; `InvalidArgument` unless there is exactly one array.
pub fn decompress(bytes: &[u8]) -> Result<Array> {
    decompress_with(bytes, Limits::default())
}

/// [`decompress`] under limits of the caller's.
pub fn decompress_with(bytes: &[u8], limits: Limits) -> Result<Array> {
    let archive = Archive::open(Arc::new(bytes.to_vec()), limits)?;
    match archive.directory().arrays.as_slice() {
        [one] => archive.read(&one.name.clone()),
        many => Err(Error::invalid(format!("expected an archive of one array, found {}", many.len()))),
    }
}
