//! Fields on spectral elements: where their coordinates are, in which norm they count, and which chains suit them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{json, Value};

use super::compress::Job;
use crate::array::{Array, Grid, Region, Shape, Source};
use crate::codec::Chain;
use crate::container::{Plan, MOST_WHOLE};
use crate::error::{ErrorKind, Result};
use crate::facade::{Choice, Options};
use crate::select::Tier;
use crate::sem::{extents, ElementBox, Norm, OnElements, Vertices};

/// The array that says which element of the mesh each one is.
const MAP: &str = "element_map";
/// What comes before the names of arrays of a mesh that is none of the files.
pub(super) const MESH: &str = "mesh:";

/// Finds the coordinates of every field on elements: in its own file, or in another of as many elements in the same order, since often only the first file of a
/// run has them. Errors: those of reading the maps of elements.
pub(super) fn locate(jobs: &mut [Job]) -> Result<()> {
    let mut found: Vec<Option<OnElements>> = Vec::with_capacity(jobs.len());
    for job in jobs.iter() {
        found.push(match &job.array.elements {
            None => None,
            Some(on) => Some(coordinates(jobs, job, on)?),
        });
    }
    jobs.iter_mut().zip(found).for_each(|(job, on)| job.elements = on);
    series(jobs);
    Ok(())
}

/// Sets `previous` of every field on elements to the same field of the file before; every [`SERIES`]-th file has none.
fn series(jobs: &mut [Job]) {
    let mut files: Vec<String> = jobs.iter().map(|j| j.prefix.clone()).collect();
    files.dedup();
    let fields: HashMap<String, Shape> = jobs
        .iter()
        .filter(|j| j.lossy && j.elements.is_some())
        .map(|j| (j.name.clone(), j.array.source.shape()))
        .collect();
    for job in jobs.iter_mut().filter(|j| fields.contains_key(&j.name)) {
        let number = files.iter().position(|f| *f == job.prefix).unwrap_or(0);
        let before = number.checked_sub(1).filter(|_| number % SERIES != 0).and_then(|n| files.get(n));
        let name = before.map(|f| format!("{f}{}", job.array.name));
        job.previous = name.filter(|n| fields.get(n) == Some(&job.array.source.shape()));
    }
}

/// Whether the difference of a field to the one of the file before is so much smaller than the field that it is worth a chain.
fn is_close(source: &dyn Source, previous: &str, jobs: &[Job]) -> Result<bool> {
    let Some(other) = jobs.iter().find(|j| j.name == previous) else { return Ok(false) };
    // A part at a time, counted from the first value.
    let (mut first, mut n) = (None, 0.0);
    let [mut sum, mut squares, mut apart] = [0.0; 3];
    let grid = Grid::new(source.shape(), &Grid::default_block(&source.shape()))?;
    for region in (0..grid.len()).map(|i| grid.region(i)) {
        let (x, y) = (source.read(&region)?.as_slice().to_f64(), other.array.source.read(&region)?.as_slice().to_f64());
        for (x, y) in x.iter().zip(&y) {
            let from_first = x - *first.get_or_insert(*x);
            n += 1.0;
            sum += from_first;
            squares += from_first * from_first;
            apart += (x - y) * (x - y);
        }
    }
    Ok(apart < CLOSE * (squares - sum * (sum / f64::max(n, 1.0))))
}

fn coordinates(jobs: &[Job], job: &Job, on: &OnElements) -> Result<OnElements> {
    let shape = job.array.source.shape();
    let has = |prefix: &str, names: &[String]| {
        let one = |c: &String| jobs.iter().any(|j| j.name == format!("{prefix}{c}") && j.array.source.shape() == shape);
        !names.is_empty() && names.iter().all(one)
    };
    let named = |prefix: &str, names: &[String]| OnElements {
        coordinates: names.iter().map(|c| format!("{prefix}{c}")).collect(),
    };
    if has(&job.prefix, &on.coordinates) {
        return Ok(named(&job.prefix, &on.coordinates));
    }
    let dimensions = extents(&shape)?.2;
    let names: Vec<String> = ["x", "y", "z"].iter().take(dimensions).map(|c| c.to_string()).collect();
    let map = |prefix: &str| -> Result<Option<Array>> {
        let Some(j) = jobs.iter().find(|j| j.name == format!("{prefix}{MAP}")) else { return Ok(None) };
        let shape = j.array.source.shape();
        Array::new(shape, j.array.source.read(&Region::all(shape))?).map(Some)
    };
    for other in jobs.iter().filter(|j| j.prefix != job.prefix && j.array.name == "x") {
        if has(&other.prefix, &names) && map(&other.prefix)? == map(&job.prefix)? {
            return Ok(named(&other.prefix, &names));
        }
    }
    Ok(OnElements::default())
}

/// Values times elements along all axes of a box up to which `tucker`, whose work is in proportion, is tried by default.
const MOST_WORK: usize = 1 << 28;

/// Files of a series, the first of which needs no other: no array needs more than so many to be decoded.
const SERIES: usize = 8;
/// The part of its variance below which the difference to the file before is coded.
const CLOSE: f64 = 0.1;

/// What is known of the meshes, each looked at once.
#[derive(Default)]
pub(super) struct Meshes {
    norms: Vec<(OnElements, Shape, bool, Arc<Norm>)>,
    /// Elements along the axes of those that are boxes, the slowest first.
    boxes: Vec<(OnElements, Shape, Option<Vec<usize>>)>,
}

/// The coordinates that are among the jobs.
fn read(on: &OnElements, jobs: &[Job]) -> Result<Vec<(String, Arc<Array>)>> {
    let mut arrays = Vec::new();
    for name in &on.coordinates {
        if let Some(job) = jobs.iter().find(|j| j.name == *name) {
            let source = job.array.source.as_ref();
            let array = Array::new(source.shape(), source.read(&Region::all(source.shape()))?)?;
            arrays.push((name.clone(), Arc::new(array)));
        }
    }
    Ok(arrays)
}

impl Meshes {
    /// The norm of an array on these elements, and by which coordinates: none where elements have no volume somewhere, and each counts as
    /// the reference element. Errors: those of reading the coordinates.
    pub(super) fn norm(
        &mut self,
        on: &OnElements,
        shape: &Shape,
        jobs: &[Job],
        gradient: bool,
    ) -> Result<(Option<OnElements>, Option<Arc<Norm>>)> {
        if let Some((known, .., norm)) = self.norms.iter().find(|(o, s, g, _)| (o, s, *g) == (on, shape, gradient)) {
            return Ok((Some(known.clone()), Some(norm.clone())));
        }
        let (on, norm) = match on.norm(shape, &read(on, jobs)?, gradient) {
            Err(e) if e.kind() == ErrorKind::InvalidArgument => {
                let reference = OnElements::default();
                let norm = reference.norm(shape, &[], gradient)?;
                (reference, norm)
            }
            norm => (on.clone(), norm?),
        };
        let norm = Arc::new(norm);
        self.norms.push((on.clone(), *shape, gradient, norm.clone()));
        Ok((Some(on), Some(norm)))
    }
    /// Elements along the axes of the box that an array's elements form, the slowest first; `None` where they do not, or are too many for one block.
    /// Errors: those of reading the coordinates.
    fn extents(&mut self, on: &OnElements, shape: &Shape, jobs: &[Job]) -> Result<Option<Vec<usize>>> {
        if shape.len() > MOST_WHOLE || on.coordinates.is_empty() {
            return Ok(None);
        }
        if let Some((.., known)) = self.boxes.iter().find(|(o, s, _)| (o, s) == (on, shape)) {
            return Ok(known.clone());
        }
        let (_, points, dimensions) = extents(shape)?;
        let values: Vec<Vec<f64>> = read(on, jobs)?.iter().map(|(_, a)| a.data().to_f64()).collect();
        let slices: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
        let found = Vertices::new(&slices, points).ok().and_then(|v| ElementBox::of(&v));
        let found = found.map(|b| b.extents[..dimensions].iter().rev().copied().collect());
        self.boxes.push((on.clone(), *shape, found));
        Ok(self.boxes.last().and_then(|b| b.2.clone()))
    }
}

/// Whether the choice of chains is ours, and there is time for those made for an array.
pub(super) fn are_ours(options: &Options) -> bool {
    !matches!(options.choice, Choice::Chains(_) | Choice::Tier(Tier::Fast)) && !options.progressive
}

/// The chains for a field on elements, where the choice is ours. Under limits on the whole array alone those made for elements; else they compete with
/// those for arrays in general, block by block. `None` for other arrays, and where every bit is to be kept.
pub(super) fn chains(
    job: &Job,
    jobs: &[Job],
    meshes: &mut Meshes,
    options: &Options,
    plan: &Plan,
    source: &dyn Source,
) -> Result<Option<Vec<Chain>>> {
    let Some(on) = job.elements.as_ref().filter(|_| job.lossy && are_ours(options)) else { return Ok(None) };
    if plan.criterion.is_exact() || plan.is_free() || plan.hint.rel > 0.0 {
        return Ok(None);
    }
    let best = matches!(options.choice, Choice::Tier(Tier::Best));
    let known = !on.coordinates.is_empty();
    // The step with the names of the coordinates.
    let step = |mut step: Value| -> Value {
        for (key, name) in ["x", "y", "z"].iter().zip(on.coordinates.iter().chain([&String::new()])).filter(|_| known) {
            step[key] = json!(name);
        }
        step
    };
    let legendre = json!({ "id": "legendre", "coder": if best { "mixed" } else { "classes" } });
    let mut own = Vec::new();
    if known {
        own.push(vec![step(json!({ "id": "sem-c0" }))]);
    }
    let extents = if options.block.is_none() { meshes.extents(on, &source.shape(), jobs)? } else { None };
    if let Some(extents) = extents {
        let grid = step(json!({ "id": "sem-grid", "box": extents }));
        let work = source.shape().len().saturating_mul(extents.iter().sum());
        let codecs: &[&str] = match (best, plan.criterion.is_mean_square()) {
            (true, _) => &["tucker", "dwt", "lpc", "interp"],
            (false, true) => &["tucker", "dwt"],
            (false, false) => &["tucker", "dwt", "lpc"],
        };
        let codecs = codecs.iter().filter(|c| best || **c != "tucker" || work <= MOST_WORK);
        own.extend(codecs.map(|codec| vec![grid.clone(), json!(codec)]));
    }
    own.push(vec![step(legendre)]);
    let mut close = false;
    if let Some(previous) = &job.previous {
        close = is_close(source, previous, jobs)?;
        if close {
            let from = json!({ "id": "difference", "from": previous });
            own.iter_mut().for_each(|steps| steps.insert(0, from.clone()));
        }
    }
    let mut own = own.into_iter().map(|s| Chain::from_json(&Value::Array(s))).collect::<Result<Vec<_>>>()?;
    if close && !best {
        return Ok(Some(own));
    }
    if plan.criterion.is_mean_square() && !best && known {
        return Ok(Some(own));
    }
    // Samples are no whole elements; their errors count as those of values.
    let of_points = Plan::new(source, &plan.bound.of_points(), options.fill, options.detect_fill)?;
    own.extend(options.choice.chains(source, &of_points, false)?);
    Ok(Some(own))
}
