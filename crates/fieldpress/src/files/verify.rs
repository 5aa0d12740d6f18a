//! Whether an archive keeps its promises about an original.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use super::distributions::MomentTally;
use super::elements::MESH;
use super::input::{Event, Input, Watch};
use super::restore::{file_header, restore_file};
use super::tally::{compare_values, Tally};
use crate::array::{Array, Element, ReadAt, Region, Sink, Slice, Source};
use crate::bound::{psnr, psnr_of_mean, Bound, Criterion, Stats};
use crate::container::{integrals, Archive, ArrayHeader, FileHeader};
use crate::dispatch;
use crate::error::{Error, Result};
use crate::io::{self, Layout, OpenOptions, Output};
use crate::sem::{Integrals, Norm, OnElements};
use crate::vdf::{Distributions, Velocities};

/// The encoder resolves bounds on sums of squares with this much room, so that the order of summation decides nothing.
const SQUARE_ROOM: f64 = 1e-12;

/// What was found for one array.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayVerdict {
    /// Its name in the archive.
    pub name: String,
    /// What was asked.
    pub bound: Bound,
    /// What that comes to for the original, computed anew.
    pub criterion: Criterion,
    /// The errors.
    pub tally: Tally,
    /// The range of the valid values of the original.
    pub value_range: f64,
    /// Whether the limit on the sum of squared errors holds, where there is one.
    pub squares_hold: bool,
    /// The moments of velocity distributions, where something is asked of these.
    pub moments: Option<MomentTally>,
    /// Over the domain of a field on spectral elements, where something is asked of integrals: the relative L2 error, and that of the gradient, which is 0
    /// where nothing is asked of it.
    pub relative: Option<(f64, f64)>,
    /// The mean over the domain of the squared errors, where something is asked of integrals.
    pub mean_square: Option<f64>,
    /// The index of the first value that violates a pointwise condition.
    pub first: Option<Vec<usize>>,
}

impl ArrayVerdict {
    /// Whether all that was asked holds.
    pub fn holds(&self) -> bool {
        self.tally.violations == 0 && self.squares_hold && self.moments.is_none_or(|m| m.violations == 0)
    }
    /// Peak signal-to-noise ratio in decibels against the value range; infinite without error.
    pub fn psnr(&self) -> f64 {
        match self.mean_square {
            Some(mean) => psnr_of_mean(self.value_range, mean),
            None => psnr(self.value_range, self.tally.square_error, self.tally.valid),
        }
    }
}

/// What was found for a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileVerdict {
    /// Its name in the archive.
    pub name: String,
    /// Every array, in the order of the file.
    pub arrays: Vec<ArrayVerdict>,
    /// What is wrong besides the values of arrays: arrays that are missing or of another shape, other verbatim bytes.
    pub problems: Vec<String>,
    /// Whether the restored file is the original to the byte; only asked where every array is lossless.
    pub identical: Option<bool>,
}

impl FileVerdict {
    /// Whether all that was asked holds.
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.arrays.iter().all(ArrayVerdict::holds)
    }
}

/// Reads an original again and compares file number `file` of the archive with it, block by block: every bound is resolved anew
/// from the original and decided exactly, special values and lossless arrays must be the same bits, and so must the bytes that
/// belong to no array. Where every array is lossless, the file is put together again and compared to the byte.
/// Errors: `InvalidArgument` when there is no such file; what reading either of them gives.
pub fn verify_file(original: &Input, archive: &Archive, file: usize, watch: Option<Watch<'_>>) -> Result<FileVerdict> {
    let header = file_header(archive, file)?;
    let options = open_options(archive, header)?;
    let dataset = io::format(&header.format)?.open(&original.name, original.bytes.clone(), &options)?;
    let mut verdict =
        FileVerdict { name: header.name.clone(), arrays: Vec::new(), problems: Vec::new(), identical: None };
    let mut lossless = true;
    let mut found = Vec::new();
    for array in &dataset.arrays {
        let name = format!("{}{}", header.prefix, array.name);
        let Ok(stored) = archive.array(&name) else {
            verdict.problems.push(format!("expected array {name:?} in the archive, found none"));
            continue;
        };
        found.push(name);
        lossless &= stored.bound.is_lossless();
        match verify_array(array.source.as_ref(), archive, stored, watch)? {
            Ok(v) => verdict.arrays.push(v),
            Err(problem) => verdict.problems.push(problem),
        }
    }
    let directory = archive.directory();
    let of_mesh = |a: &ArrayHeader| a.name.starts_with(MESH) && header.prefix != MESH;
    let owned = |a: &&ArrayHeader| (directory.files.len() == 1 || a.name.starts_with(&header.prefix)) && !of_mesh(a);
    for a in directory.arrays.iter().filter(owned).filter(|a| !found.contains(&a.name)) {
        verdict.problems.push(format!("expected array {:?} in the original, found none", a.name));
    }
    let verbatim = header.verbatim.map_or(Ok(Vec::new()), |i| archive.blob(i))?;
    if verbatim != dataset.verbatim {
        verdict
            .problems
            .push(format!("expected the {} bytes outside arrays to be the same, found others", dataset.verbatim.len()));
    } else if header.template != dataset.template {
        verdict.problems.push("expected the same places of all arrays in the file, found others".into());
    }
    if lossless && verdict.holds() {
        let size = original.bytes.size()?;
        let mut out = Against::new(original.bytes.clone(), size);
        restore_file(archive, file, &mut out, watch)?;
        verdict.identical = Some(out.identical());
    }
    Ok(verdict)
}

/// Compares one array; the inner error says why it cannot be.
fn verify_array(
    source: &dyn Source,
    archive: &Archive,
    header: &ArrayHeader,
    watch: Option<Watch<'_>>,
) -> Result<std::result::Result<ArrayVerdict, String>> {
    let shape = source.shape();
    if source.dtype() != header.dtype || *shape != *header.shape {
        return Ok(Err(format!(
            "expected array {:?} of type {} and shape {shape}, found {} and {:?}",
            header.name,
            source.dtype(),
            header.dtype,
            header.shape
        )));
    }
    if let Some(w) = watch {
        w(Event::Array { name: &header.name, bytes: header.raw_bytes() });
    }
    let fill = header.fill_bits()?;
    let mut stats = Stats::scan(source, fill)?;
    let norm = match &header.elements {
        Some(on) => Some(on.norm(&shape, &coordinates(archive, on)?, header.bound.is_of_gradients())?),
        None => None,
    };
    if let Some(norm) = &norm {
        stats.integrals = Some(integrals(source, norm, fill)?);
    }
    let criterion = header.bound.resolve(&stats);
    let distributions = match &header.velocities {
        Some(v) => Some(v.of(&shape, &told(archive, header, v)?)?),
        None => None,
    };
    if distributions.is_none() && !criterion.quantities.is_empty() && !criterion.is_exact() {
        return Ok(Err(format!("expected velocity distributions in array {:?}, found none", header.name)));
    }
    let moments = distributions.as_ref().map(|_| MomentTally::default());
    let mut check = Check {
        source,
        criterion: &criterion,
        fill,
        tally: Tally::default(),
        first: None,
        distributions: distributions.as_ref(),
        moments,
        norm: norm.as_ref(),
        of_domain: Integrals::default(),
    };
    let progress = |n: u64| {
        if let Some(w) = watch {
            w(Event::Bytes(n));
        }
    };
    archive.read_into(&header.name, &Region::all(shape), &mut check, Some(&progress))?;
    let (tally, first, moments, of_domain) = (check.tally, check.first, check.moments, check.of_domain);
    let squares_hold = match &norm {
        Some(_) => criterion.used(of_domain.square, of_domain.gradient) <= 1.0 + SQUARE_ROOM,
        None => criterion.square_sum.is_none_or(|limit| tally.square_within(limit * (1.0 + SQUARE_ROOM))),
    };
    // Relative errors over the domain: of values, and of their gradient.
    let relative = stats.integrals.map(|i| {
        let part = |e: f64, all: f64| if e == 0.0 { 0.0 } else { (e / all).sqrt() };
        (part(of_domain.square, i.square), part(of_domain.gradient, i.gradient))
    });
    Ok(Ok(ArrayVerdict {
        name: header.name.clone(),
        bound: header.bound.clone(),
        value_range: stats.range_down(),
        squares_hold,
        criterion,
        tally,
        moments,
        relative,
        mean_square: stats.integrals.map(|i| of_domain.square / i.volume),
        first,
    }))
}

/// The coordinates of the elements of an array.
fn coordinates(archive: &Archive, on: &OnElements) -> Result<Vec<(String, Arc<Array>)>> {
    on.coordinates.iter().map(|name| Ok((name.clone(), Arc::new(archive.read(name)?)))).collect()
}

/// Errors of values; 0 where there is nothing to measure.
fn errors(x: Slice<'_>, y: Slice<'_>, fill: Option<u64>) -> Vec<f64> {
    fn of<T: Element>(x: &[T], y: &[T], fill: Option<u64>) -> Vec<f64> {
        let one = |(x, y): (&T, &T)| match x.is_finite() && Some(x.to_bits64()) != fill {
            true => x.to_f64() - y.to_f64(),
            false => 0.0,
        };
        x.iter().zip(y).map(one).collect()
    }
    dispatch!(Slice, x, v => of(v, Element::of(y).unwrap_or_default(), fill))
}

/// The arrays that tell what the distributions of another are, by the names used there.
fn told(archive: &Archive, header: &ArrayHeader, velocities: &Velocities) -> Result<Vec<(String, Arc<Array>)>> {
    let needed = velocities.companions();
    let named = header.companions.iter().filter(|(used, _)| needed.contains(&used.as_str()));
    named.map(|(used, stored)| Ok((used.clone(), Arc::new(archive.read(stored)?)))).collect()
}

/// Compares decoded blocks with the same blocks of the original.
struct Check<'a> {
    source: &'a dyn Source,
    criterion: &'a Criterion,
    fill: Option<u64>,
    tally: Tally,
    first: Option<Vec<usize>>,
    distributions: Option<&'a Distributions>,
    moments: Option<MomentTally>,
    /// The norm in which limits on the whole array are meant, and what errors come to in it.
    norm: Option<&'a Norm>,
    of_domain: Integrals,
}

impl Sink for Check<'_> {
    fn write(&mut self, region: &Region, values: Slice<'_>) -> Result<()> {
        let original = self.source.read(region)?;
        if let (Some(all), Some(moments)) = (self.distributions, &mut self.moments) {
            moments.add(all, region, (original.as_slice(), values), &self.criterion.quantities, self.fill)?;
        }
        if let Some(norm) = self.norm {
            let errors = errors(original.as_slice(), values, self.fill);
            let first = region.origin().first().copied().unwrap_or(0);
            self.of_domain.square += norm.square(first, &errors);
            self.of_domain.gradient += self.criterion.gradient_sum.map_or(0.0, |_| norm.gradient(first, &errors));
        }
        let found = compare_values(original.as_slice(), values, self.criterion, self.fill)?;
        if let (None, Some(mut at)) = (&self.first, found.first) {
            // The index of the first violation in the whole array.
            let mut index = region.origin().to_vec();
            for (i, &d) in index.iter_mut().zip(region.shape().iter()).rev() {
                *i += (at % d.max(1) as u64) as usize;
                at /= d.max(1) as u64;
            }
            self.first = Some(index);
        }
        self.tally.add(&found);
        Ok(())
    }
}

/// What the archive knows of a file that does not describe itself.
fn open_options(archive: &Archive, header: &FileHeader) -> Result<OpenOptions> {
    if header.format != "raw" {
        return Ok(OpenOptions::default());
    }
    let layout = Layout::from_template(&header.template)?;
    let mut all = archive.directory().arrays.iter().filter_map(|a| layout.find(a.name.strip_prefix(&header.prefix)?));
    let (dtype, shape, at) =
        all.next().ok_or_else(|| Error::corrupt("expected an array for raw binary, found none"))?;
    Ok(OpenOptions { shape: Some(shape?), dtype: Some(dtype), endian: at.endian, offset: at.offset })
}

/// Takes a restored file, keeps nothing of it, and remembers whether it is the original.
struct Against {
    original: Arc<dyn ReadAt>,
    size: u64,
    end: AtomicU64,
    written: AtomicU64,
    same: AtomicBool,
}

impl Against {
    fn new(original: Arc<dyn ReadAt>, size: u64) -> Against {
        Against { original, size, end: 0.into(), written: 0.into(), same: true.into() }
    }
    fn identical(&self) -> bool {
        let (end, written) = (self.end.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed));
        self.same.load(Ordering::Relaxed) && end == self.size && written >= self.size
    }
}

impl ReadAt for Against {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        // What was written is the original, or there is nothing left to find out.
        self.original.read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.end.load(Ordering::Relaxed))
    }
}

impl Output for Against {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        self.end.fetch_max(end, Ordering::Relaxed);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut there = vec![0; bytes.len()];
        if end > self.size || self.original.read_at(offset, &mut there).is_err() || there != bytes {
            self.same.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}
