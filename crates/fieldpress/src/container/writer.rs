//! Writes archives, in one pass over the output.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::directory::{ArrayHeader, BlobHeader, Directory, FileHeader, Role};
use super::format;
use super::plan::Plan;
use crate::array::{Array, DType, Grid, Region, Shape, Sink, Source};
use crate::bits::{crc32c, put_varint};
use crate::bound::{psnr, psnr_of_mean, Criterion, Term};
use crate::codec::{
    encode_block, has_levels, order_by_level, BlockReport, BoundChain, Candidate, Chain, Limits, Outcome, Spec,
    StageBytes, Task,
};
use crate::error::{Error, Result};
use crate::sem::{Integrals, OnElements};
use crate::vdf::{Distributions, Velocities};

/// How an array is to be stored.
pub struct ArrayOptions<'a> {
    /// The bound, resolved.
    pub plan: &'a Plan,
    /// The chains each block may choose from; the smallest payload wins. Empty: blocks are stored losslessly.
    pub chains: Vec<Chain>,
    /// The extents of inner blocks; `None` for the default.
    pub block: Option<Vec<usize>>,
    /// Decode every block and report errors exactly, even where a codec claims its bound.
    pub measure: bool,
    /// Put the bytes of blocks in the order of levels where their chain offers any, so that a coarser array can be read from a part of
    /// them. No reader of before knows such an archive.
    pub progressive: bool,
    /// What the array is to its file.
    pub role: Role,
    /// Kept in the directory.
    pub attributes: Map<String, Value>,
    /// How its values are velocity distributions, if they are: then something can be asked of their moments, and blocks hold whole ones.
    pub velocities: Option<Velocities>,
    /// How its values lie on spectral elements, if the plan was made for that; blocks hold whole elements then.
    pub elements: Option<OnElements>,
    /// Names of companions as the chains, `velocities` and `elements` use them, paired with their names in this archive.
    pub companions: Vec<(String, String)>,
    /// Keep the decoded array for arrays that name it as a companion.
    pub keep: bool,
    /// Called with the bytes of input that were dealt with.
    pub progress: Option<&'a (dyn Fn(u64) + Sync)>,
}

/// What became of an array.
#[derive(Clone, Debug)]
pub struct ArrayReport {
    /// The header as stored.
    pub header: ArrayHeader,
    /// Bytes before.
    pub raw_bytes: u64,
    /// Bytes of its parts with their checksums, and of its index.
    pub bytes: u64,
    /// Bytes by stage.
    pub stages: StageBytes,
    /// Bytes shared by all blocks of a chain.
    pub shared_bytes: u64,
    /// How many blocks were stored in which way, by name.
    pub outcomes: Vec<(String, usize)>,
    /// Points that are neither special nor fill.
    pub valid: u64,
    /// Largest error over the valid points.
    pub max_error: f64,
    /// Sum of squared errors over the valid points.
    pub square_error: f64,
    /// Integrals of the errors over the domain of a field on spectral elements, where something is asked of these.
    pub domain: Option<Integrals>,
    /// Range of the valid values.
    pub value_range: f64,
    /// Points that chains left outside the bound.
    pub corrected: u64,
    /// Whether errors were measured on decoded values.
    pub measured: bool,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl ArrayReport {
    /// Bytes before over bytes after.
    pub fn ratio(&self) -> f64 {
        self.raw_bytes as f64 / self.bytes.max(1) as f64
    }
    /// Peak signal-to-noise ratio in decibels against the value range; infinite without error.
    pub fn psnr(&self) -> f64 {
        match self.domain {
            Some(d) => psnr_of_mean(self.value_range, d.square / d.volume),
            None => psnr(self.value_range, self.square_error, self.valid),
        }
    }
}

/// Writes an archive part by part; [`ArchiveWriter::finish`] completes it.
pub struct ArchiveWriter<W: Write> {
    out: W,
    at: u64,
    directory: Directory,
    index: Vec<u8>,
    kept: Vec<(String, Arc<Array>)>,
}

/// One pass over all blocks.
pub(super) struct Pass {
    pub(super) payloads: Vec<Vec<u8>>,
    pub(super) reports: Vec<BlockReport>,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive. Errors: `Io`.
    pub fn new(mut out: W) -> Result<Self> {
        let header = format::header();
        out.write_all(&header)?;
        let generator = concat!("fieldpress ", env!("CARGO_PKG_VERSION")).to_string();
        let directory = Directory { generator, ..Directory::default() };
        Ok(ArchiveWriter { out, at: header.len() as u64, directory, index: Vec::new(), kept: Vec::new() })
    }
    fn part(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.out.write_all(&crc32c(bytes).to_le_bytes())?;
        self.at += (bytes.len() + format::CRC_BYTES) as u64;
        Ok(())
    }
    /// Adds verbatim bytes and returns their number in the directory. Errors: `Io`.
    pub fn put_blob(&mut self, name: &str, bytes: &[u8]) -> Result<usize> {
        if bytes.len() > Limits::DEFAULT.blob_bytes {
            return Err(Error::invalid(format!(
                "expected at most {} bytes outside arrays, found {}",
                Limits::DEFAULT.blob_bytes,
                bytes.len()
            )));
        }
        let packed = zstd::bulk::compress(bytes, 12)?;
        let smaller = packed.len() < bytes.len();
        let stored = if smaller { packed.as_slice() } else { bytes };
        let header = BlobHeader {
            name: name.into(),
            bytes: bytes.len() as u64,
            packed: smaller,
            at: self.at,
            stored: stored.len() as u64,
        };
        self.part(stored)?;
        self.directory.blobs.push(header);
        Ok(self.directory.blobs.len() - 1)
    }
    /// Adds a file that can be put together from arrays and a blob already added or to be added.
    pub fn put_file(&mut self, file: FileHeader) {
        self.directory.files.push(file);
    }
    /// Adds an array. Errors: `InvalidArgument` for a name that is taken, a block that does not fit, a companion that was not
    /// kept, a chain that cannot handle the array; those of the source; `Io`.
    pub fn put_array(&mut self, name: &str, source: &dyn Source, options: ArrayOptions<'_>) -> Result<ArrayReport> {
        let started = Instant::now();
        let begun = self.at;
        if self.directory.arrays.iter().any(|a| a.name == name) {
            return Err(Error::invalid(format!("expected a new array name, found {name:?} again")));
        }
        let (dtype, shape) = (source.dtype(), source.shape());
        let companions = self.companions(&options.companions)?;
        let plan = options.plan;
        let wanted = !plan.criterion.quantities.is_empty();
        let distributions = distributions(&options, dtype, &shape, &companions)?;
        let (grid, cuts) = cut(&options, &shape, distributions.as_ref())?;
        let block = grid.block();
        // What no reader would take is not written.
        let batch = Limits::DEFAULT.blocks(block.len()).map_err(|e| Error::invalid(e.message()))?;
        if let Some(id) = options.chains.iter().find_map(Chain::needs_bound).filter(|_| plan.is_free()) {
            return Err(Error::invalid(format!(
                "expected a bound for {id}, found none: only its error says how good it is"
            )));
        }
        let shared = options.chains.iter().map(|c| c.prepare(source, &plan.hint)).collect::<Result<Vec<_>>>()?;
        let kinds = Kinds::new(&options.chains, &shared, &grid, dtype)?;
        let at = self.at;
        for s in shared.iter().filter(|s| !s.is_empty()) {
            self.part(s)?;
        }
        let mut lengths: Vec<u64> = shared.iter().map(|s| s.len() as u64).collect();

        let distributions = distributions.as_ref().filter(|_| wanted);
        let elements = options.elements.as_ref().filter(|_| plan.norm.is_some());
        let run =
            Run { source, grid: &grid, kinds: &kinds, companions: &companions, distributions, plan, options: &options };
        let mut totals = Totals::default();
        let mut kept = if options.keep { Some(Array::zeros(dtype, shape)?) } else { None };
        let hint = if plan.criterion.has_limit() && !plan.criterion.is_exact() {
            let (hint, mut pass) = run.search(options.chains.len())?;
            run.order(0..grid.len(), &hint, &mut pass)?;
            for (payload, report) in pass.payloads.iter().zip(&pass.reports) {
                totals.add(report);
                totals.levels |= has_levels(payload);
                lengths.push(payload.len() as u64);
                self.part(payload)?;
            }
            if let Some(k) = &mut kept {
                run.keep(0..grid.len(), &pass.payloads, &hint, k)?;
            }
            hint
        } else {
            for start in (0..grid.len()).step_by(batch) {
                let range = start..grid.len().min(start + batch);
                let mut pass = run.pass(range.clone(), &plan.hint, &plan.criterion, options.measure, None)?;
                run.order(range.clone(), &plan.hint, &mut pass)?;
                if let Some(k) = &mut kept {
                    run.keep(range, &pass.payloads, &plan.hint, k)?;
                }
                for (payload, report) in pass.payloads.iter().zip(&pass.reports) {
                    totals.add(report);
                    totals.levels |= has_levels(payload);
                    lengths.push(payload.len() as u64);
                    self.part(payload)?;
                }
            }
            plan.hint
        };

        let velocities = options.velocities.clone().filter(|_| wanted);
        let companions = used_companions(&options, &totals, velocities.as_ref());
        let header = ArrayHeader {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            block: block.to_vec(),
            cuts,
            velocities: velocities.clone(),
            elements: elements.cloned(),
            chains: options.chains.iter().map(Chain::to_json).collect(),
            bound: plan.bound.clone(),
            criterion: plan.criterion.clone(),
            hint,
            fill: plan.stats.fill.map(|f| format!("{f:#x}")),
            role: options.role,
            attributes: options.attributes,
            companions,
            at,
        };
        let index_start = self.index.len();
        self.require(totals.levels, format::LEVELS);
        self.require(!header.cuts.is_empty(), format::CUTS);
        self.require(wanted || plan.criterion.positive, format::REPAIRS);
        lengths.iter().for_each(|&n| put_varint(&mut self.index, n));
        if let Some(k) = kept {
            self.kept.push((name.into(), Arc::new(k)));
        }
        self.directory.arrays.push(header.clone());
        let outcome = |(o, n): (Outcome, usize)| {
            let name = match o {
                Outcome::Plain => "plain".to_string(),
                Outcome::Packed => "packed".to_string(),
                Outcome::Constant => "constant".to_string(),
                Outcome::Chain(i) => options.chains.get(i).map(Chain::name).unwrap_or_default(),
            };
            (name, n)
        };
        Ok(ArrayReport {
            raw_bytes: header.raw_bytes(),
            header,
            bytes: self.at - begun + (self.index.len() - index_start) as u64,
            stages: totals.stages,
            shared_bytes: shared.iter().map(|s| s.len() as u64).sum(),
            outcomes: totals.outcomes.into_iter().map(outcome).collect(),
            valid: totals.valid,
            max_error: totals.max_error,
            square_error: totals.square_error,
            domain: plan.stats.integrals.map(|i| Integrals { volume: i.volume, ..totals.domain }),
            value_range: plan.stats.range_down(),
            corrected: totals.corrected,
            measured: totals.measured,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
    /// Lets go of the decoded array `name`, which no other will name as a companion.
    pub fn forget(&mut self, name: &str) {
        self.kept.retain(|(n, _)| n != name);
    }
    /// Marks the archive as one that only readers who know `feature` can read.
    fn require(&mut self, needed: bool, feature: &str) {
        if needed && !self.directory.requires.iter().any(|r| r == feature) {
            self.directory.requires.push(feature.into());
        }
    }
    fn companions(&self, names: &[(String, String)]) -> Result<Vec<(String, Arc<Array>)>> {
        let find = |(used, stored): &(String, String)| {
            let found = self.kept.iter().find(|(n, _)| n == stored);
            found.map(|(_, a)| (used.clone(), a.clone())).ok_or_else(|| {
                Error::invalid(format!(
                    "expected companion {stored:?} to be stored and kept before, found no such array"
                ))
            })
        };
        names.iter().map(find).collect()
    }
    /// Completes the archive and returns the output. Errors: `Io`.
    pub fn finish(mut self) -> Result<W> {
        let text = serde_json::to_string(&self.directory)
            .map_err(|e| Error::invalid(format!("expected a directory that can be written: {e}")))?;
        if text.len().saturating_add(self.index.len() + 10) > Limits::DEFAULT.directory_bytes {
            return Err(Error::invalid(format!(
                "expected a directory and index of at most {} bytes, found {} and {}; larger blocks have a smaller index",
                Limits::DEFAULT.directory_bytes,
                text.len(),
                self.index.len()
            )));
        }
        self.out.write_all(&format::tail(&text, &self.index)?)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The companions that a decoder needs: those of the chains that were used, and of distributions.
fn used_companions(
    options: &ArrayOptions<'_>,
    totals: &Totals,
    velocities: Option<&Velocities>,
) -> Vec<(String, String)> {
    let chains = options
        .chains
        .iter()
        .enumerate()
        .filter(|(i, _)| totals.outcomes.iter().any(|(o, _)| *o == Outcome::Chain(*i)));
    let mut used: Vec<String> = chains.flat_map(|(_, c)| c.companions()).collect();
    used.extend(velocities.into_iter().flat_map(Velocities::companions).map(String::from));
    options.companions.iter().filter(|(name, _)| used.contains(name)).cloned().collect()
}

/// Arrays of up to so many values are one block where a chain wants that.
pub const MOST_WHOLE: usize = 1 << 26;
/// Blocks of sparse velocity distributions hold whole ones, of together at least so many values where there are enough.
const WHOLE: usize = 1 << 19;

/// The distributions of an array that is said to hold any. Errors: `InvalidArgument` where something is asked of distributions and there are none.
fn distributions(
    options: &ArrayOptions<'_>,
    dtype: DType,
    shape: &Shape,
    companions: &[(String, Arc<Array>)],
) -> Result<Option<Distributions>> {
    let wanted = !options.plan.criterion.quantities.is_empty();
    match &options.velocities {
        Some(v) if wanted && dtype.is_float() => v.of(shape, companions).map(Some),
        // Without anything to ask, one block is as good as another.
        Some(v) if !wanted => Ok(v.of(shape, companions).ok()),
        _ if wanted => Err(Error::invalid(format!(
            "expected velocity distributions to keep the moments of, [..., vz, vy, vx] of type f32 or f64, found {dtype} {shape}"
        ))),
        _ => Ok(None),
    }
}

/// The blocks of an array, and their extents along the first axis where these are irregular. Errors: `InvalidArgument`.
fn cut(options: &ArrayOptions<'_>, shape: &Shape, distributions: Option<&Distributions>) -> Result<(Grid, Vec<usize>)> {
    let mut block = match &options.block {
        Some(b) => Shape::new(b)?.to_vec(),
        None => Grid::default_block(shape).to_vec(),
    };
    let inner: usize = shape.iter().skip(1).product();
    let least = options.block.as_ref().and_then(|b| b.first()).map_or(WHOLE, |b| b.saturating_mul(inner));
    if let Some(lengths) = distributions.and_then(|d| d.cuts(least)).filter(|l| l.len() > 1) {
        block.iter_mut().zip(shape.iter()).for_each(|(b, d)| *b = *d);
        return Ok((Grid::with_cuts(*shape, &block, &lengths)?, lengths));
    }
    let wanted = options.block.is_none() && options.chains.iter().any(Chain::wants_whole);
    let whole = wanted && shape.len() <= MOST_WHOLE;
    if options.plan.norm.is_some() || whole {
        // Whole elements, or all of them.
        let inner = block.iter_mut().zip(shape.iter()).skip(usize::from(!whole));
        inner.for_each(|(b, d)| *b = (*d).max(1));
    }
    if distributions.is_some() && !options.plan.criterion.quantities.is_empty() {
        // Whole distributions, or all of them.
        let from = if distributions.is_some_and(|d| d.cuts(1).is_some()) { 0 } else { shape.rank().saturating_sub(3) };
        if options.block.is_some() && block.get(from..) != shape.get(from..) {
            return Err(Error::invalid(format!(
                "expected blocks of whole velocity distributions of {shape}, found {block:?}"
            )));
        }
        block.iter_mut().zip(shape.iter()).skip(from).for_each(|(b, d)| *b = (*d).max(1));
        let mut room = (1usize << 21) / block.iter().skip(from).product::<usize>().max(1);
        for b in block.iter_mut().take(from).rev().filter(|_| options.block.is_none()) {
            *b = (*b).min(room.max(1));
            room /= *b;
        }
    }
    Ok((Grid::new(*shape, &block)?, Vec::new()))
}

/// The chains, bound to each block shape that occurs.
pub(super) struct Kinds<'a>(HashMap<Shape, Vec<BoundChain<'a>>>);

impl<'a> Kinds<'a> {
    pub(super) fn new(chains: &'a [Chain], shared: &[Vec<u8>], grid: &Grid, dtype: DType) -> Result<Kinds<'a>> {
        let kind = |shape| Ok((shape, Kinds::one(chains, shared, &shape, dtype)?));
        Ok(Kinds(grid.block_shapes().into_iter().map(kind).collect::<Result<_>>()?))
    }
    /// The chains, bound to one block shape.
    pub(super) fn one(
        chains: &'a [Chain],
        shared: &[Vec<u8>],
        shape: &Shape,
        dtype: DType,
    ) -> Result<Vec<BoundChain<'a>>> {
        let spec = Spec { dtype, shape: *shape };
        let shared = |i: usize| shared.get(i).map_or(&[][..], Vec::as_slice);
        chains.iter().enumerate().map(|(i, c)| c.bind(shared(i), &spec)).collect()
    }
    pub(super) fn of(&self, shape: &Shape) -> &[BoundChain<'a>] {
        self.0.get(shape).map_or(&[], Vec::as_slice)
    }
}

#[derive(Default)]
struct Totals {
    stages: StageBytes,
    outcomes: Vec<(Outcome, usize)>,
    valid: u64,
    max_error: f64,
    square_error: f64,
    domain: Integrals,
    corrected: u64,
    measured: bool,
    any: bool,
    /// Whether the payload of any block is in the order of levels.
    levels: bool,
}

impl Totals {
    fn add(&mut self, r: &BlockReport) {
        self.stages.add(&r.stages);
        match self.outcomes.iter_mut().find(|(o, _)| *o == r.outcome) {
            Some((_, n)) => *n += 1,
            None => self.outcomes.push((r.outcome, 1)),
        }
        self.valid += r.valid;
        self.max_error = self.max_error.max(r.max_error);
        self.square_error += r.square_error;
        self.domain.square += r.square;
        self.domain.gradient += r.gradient;
        self.corrected += r.corrected;
        self.measured = r.measured && (self.measured || !self.any);
        self.any = true;
    }
}

/// Everything a pass over blocks needs.
pub(super) struct Run<'a> {
    source: &'a dyn Source,
    pub(super) grid: &'a Grid,
    kinds: &'a Kinds<'a>,
    companions: &'a [(String, Arc<Array>)],
    distributions: Option<&'a Distributions>,
    pub(super) plan: &'a Plan,
    options: &'a ArrayOptions<'a>,
}

impl Run<'_> {
    fn task<'b>(&'b self, region: &'b Region, hint: &Term, criterion: &'b Criterion, measure: bool) -> Task<'b> {
        Task {
            criterion,
            hint: *hint,
            fill: self.plan.stats.fill,
            measure,
            origin: region.origin(),
            companions: self.companions,
            distributions: self.distributions,
            norm: self.plan.norm.as_deref(),
        }
    }
    pub(super) fn pass(
        &self,
        range: std::ops::Range<usize>,
        hint: &Term,
        criterion: &Criterion,
        measure: bool,
        only: Option<usize>,
    ) -> Result<Pass> {
        let one = |i: usize| -> Result<(Vec<u8>, BlockReport)> {
            let region = self.grid.region(i);
            let read;
            let values = match self.source.lent(&region) {
                Some(values) => values,
                None => {
                    read = self.source.read(&region)?;
                    read.as_slice()
                }
            };
            let chains = self.kinds.of(&region.shape());
            let candidates = chains.iter().enumerate().map(|(index, chain)| Candidate { index, chain });
            let candidates: Vec<Candidate<'_>> = candidates.filter(|c| only.is_none_or(|o| o == c.index)).collect();
            let mut payload = Vec::new();
            let task = self.task(&region, hint, criterion, measure);
            let report = encode_block(values, &region.shape(), &candidates, &task, &mut payload)?;
            if let Some(p) = self.options.progress {
                p((values.len() * values.dtype().size()) as u64);
            }
            Ok((payload, report))
        };
        let done: Vec<_> = range.into_par_iter().map(one).collect::<Result<_>>()?;
        let (payloads, reports) = done.into_iter().unzip();
        Ok(Pass { payloads, reports })
    }
    /// Puts the bytes of each block in the order of levels, if that was asked for and its chain offers any.
    fn order(&self, range: std::ops::Range<usize>, hint: &Term, pass: &mut Pass) -> Result<()> {
        if !self.options.progressive {
            return Ok(());
        }
        let blocks: Vec<_> = range.zip(pass.payloads.iter_mut().zip(&mut pass.reports)).collect();
        blocks.into_par_iter().try_for_each(|(i, (payload, report))| {
            let region = self.grid.region(i);
            let (shape, task) = (region.shape(), self.task(&region, hint, &self.plan.criterion, false));
            if let Some(ordered) = order_by_level(payload, self.source.dtype(), &shape, self.kinds.of(&shape), &task)? {
                report.stages.framing += (ordered.len() - payload.len()) as u64;
                *payload = ordered;
            }
            Ok(())
        })
    }
    fn keep(&self, range: std::ops::Range<usize>, payloads: &[Vec<u8>], hint: &Term, out: &mut Array) -> Result<()> {
        for (i, payload) in range.zip(payloads) {
            let region = self.grid.region(i);
            let shape = region.shape();
            let mut values = crate::array::Buffer::zeros(out.dtype(), shape.len())?;
            let task = self.task(&region, hint, &self.plan.criterion, false);
            crate::codec::decode_block(payload, &shape, self.kinds.of(&shape), &task, values.as_mut())?;
            out.write(&region, values.as_slice())?;
        }
        Ok(())
    }
}
