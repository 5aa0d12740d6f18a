//! Fields on spectral elements: where their coordinates are, in which norm they count, and which chains suit them.

use std::sync::Arc;

use serde_json::json;

use super::compress::Job;
use crate::array::{Array, Region, Shape, Source};
use crate::codec::Chain;
use crate::container::Plan;
use crate::error::{ErrorKind, Result};
use crate::facade::{Choice, Options};
use crate::select::Tier;
use crate::sem::{extents, Norm, OnElements};

/// The array that says which element of the mesh each one is.
const MAP: &str = "element_map";

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
    Ok(())
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

/// The norms of meshes, each made once.
#[derive(Default)]
pub(super) struct Norms(Vec<(OnElements, Shape, bool, Arc<Norm>)>);

impl Norms {
    /// The norm of an array on these elements, and by which coordinates: none where elements have no volume somewhere, and each counts as
    /// the reference element. Errors: those of reading the coordinates.
    pub(super) fn of(
        &mut self,
        on: &OnElements,
        shape: &Shape,
        jobs: &[Job],
        gradient: bool,
    ) -> Result<(Option<OnElements>, Option<Arc<Norm>>)> {
        if let Some((known, .., norm)) = self.0.iter().find(|(o, s, g, _)| (o, s, *g) == (on, shape, gradient)) {
            return Ok((Some(known.clone()), Some(norm.clone())));
        }
        let mut arrays = Vec::new();
        for name in &on.coordinates {
            if let Some(job) = jobs.iter().find(|j| j.name == *name) {
                let source = job.array.source.as_ref();
                let array = Array::new(source.shape(), source.read(&Region::all(source.shape()))?)?;
                arrays.push((name.clone(), Arc::new(array)));
            }
        }
        let (on, norm) = match on.norm(shape, &arrays, gradient) {
            Err(e) if e.kind() == ErrorKind::InvalidArgument => {
                let reference = OnElements::default();
                let norm = reference.norm(shape, &[], gradient)?;
                (reference, norm)
            }
            norm => (on.clone(), norm?),
        };
        let norm = Arc::new(norm);
        self.0.push((on.clone(), *shape, gradient, norm.clone()));
        Ok((Some(on), Some(norm)))
    }
}

/// Whether the choice of chains is ours, and there is time for those made for an array.
pub(super) fn are_ours(options: &Options) -> bool {
    !matches!(options.choice, Choice::Chains(_) | Choice::Tier(Tier::Fast)) && !options.progressive
}

/// The chains for a field on elements, where the choice is ours. Under limits on the whole array alone the two made for elements; else they compete with
/// those for arrays in general, block by block. `None` for other arrays, and where every bit is to be kept.
pub(super) fn chains(job: &Job, options: &Options, plan: &Plan, source: &dyn Source) -> Result<Option<Vec<Chain>>> {
    let Some(on) = job.elements.as_ref().filter(|_| job.lossy && are_ours(options)) else { return Ok(None) };
    if plan.criterion.is_exact() || plan.is_free() || plan.hint.rel > 0.0 {
        return Ok(None);
    }
    let mut names = on.coordinates.iter().cloned();
    let [x, y, z] = [0; 3].map(|_| names.next().unwrap_or_default());
    let mut own = Vec::new();
    if !x.is_empty() {
        own.push(Chain::from_json(&json!([{ "id": "sem-c0", "x": x, "y": y, "z": z }]))?);
        own.push(Chain::from_json(&json!([{ "id": "legendre", "x": x, "y": y, "z": z }]))?);
    } else {
        own.push(Chain::from_json(&json!(["legendre"]))?);
    }
    let best = matches!(options.choice, Choice::Tier(Tier::Best));
    if plan.criterion.is_mean_square() && !best && !x.is_empty() {
        return Ok(Some(own));
    }
    // Samples are no whole elements; their errors count as those of values.
    let of_points = Plan::new(source, &plan.bound.of_points(), options.fill, options.detect_fill)?;
    own.extend(options.choice.chains(source, &of_points, false)?);
    Ok(Some(own))
}
