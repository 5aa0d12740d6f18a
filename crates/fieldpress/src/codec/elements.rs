//! Codecs of fields on spectral elements: blocks of whole elements, coordinates from companions, the step from what is asked.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | the step, `f64`; 0: all values are 0 and nothing follows |
//! | 1 | bit 0: bases are orthonormal point by point, else under the quadrature; bit 1: steps go by volumes; bits 2 to 4, of `sem-c0`: the mesh is periodic along x, y, z; other bits 0 |
//! | rest | decisions of [`crate::entropy::range`] as in [`crate::sem`], the elements of the block in their order |
//!
//! Coordinates are those of the companions for the elements of the block. The step of an element is the step; with bit 1 times
//! `sqrt(v / v_e)`, `v_e` being its volume from its corners ([`corner_volumes`]), `v` the mean of those of the block, and the quotient kept within
//! 2^-40 and 2^40. Points are shared as [`Vertices`] and [`Topology`] find it, with the periodic axes in turn.

use super::contract::{Block, BlockCodec, Claim, Site, Spec};
use super::model::cast;
use crate::array::{Buffer, SliceMut};
use crate::bits::ByteReader;
use crate::bound::Term;
use crate::entropy::{BinaryDecoder, BinaryEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::sem::{corner_volumes, extents, Elements, Keep, Topology, Vertices, Weights};
use crate::transform::trial::{best_step, step_sample_size};

const UNIT: u8 = 1;
const VOLUMES: u8 = 2;
const PERIODIC: u8 = 4;
/// Largest quotient of volumes.
const MOST_APART: f64 = (1u64 << 40) as f64;
/// Jumps across faces, in parts of the tolerance, up to which two ends of a mesh are one.
const SAME: f64 = 0.1;

/// The step in parts of the largest value where no tolerance and no selection says it.
const FINE: f64 = 1.0 / (1u64 << 20) as f64;

/// What coefficients are kept, and how fine.
pub trait Selection: Send + Sync {
    /// Sets to 0 what is not kept of the coefficients of all elements, `points^dimensions` each, orthonormal on the reference element. `volumes` are
    /// those of the elements, all 1 where nothing is known of them; `range` is that of the values.
    fn select(&self, coefficients: &mut [f64], size: usize, volumes: &[f64], range: f64);
    /// The step, in parts of the largest coefficient; `None` where it comes from the tolerance.
    fn fineness(&self) -> Option<f64>;
}

/// A codec of elements bound to blocks of one shape.
pub struct ElementBlocks<S> {
    /// The type and shape.
    pub spec: Spec,
    /// The names of the companions with the coordinates; empty where nothing is known of the mesh.
    pub coordinates: Vec<String>,
    /// Whether points that elements share are coded once, which needs coordinates.
    pub continuous: bool,
    /// What is kept; `None` for all.
    pub selection: Option<S>,
}

/// A block of elements.
struct Place {
    elements: usize,
    points: usize,
    dimensions: usize,
    coordinates: Vec<Vec<f64>>,
}

impl Place {
    fn slices(&self) -> Vec<&[f64]> {
        self.coordinates.iter().map(Vec::as_slice).collect()
    }
    /// The step of each element.
    fn steps(&self, step: f64, by_volume: bool) -> Vec<f64> {
        if !by_volume {
            return vec![step; self.elements];
        }
        let volumes = corner_volumes(&self.slices(), self.points);
        let mean = volumes.iter().fold(0.0, |s, v| s + v) / volumes.len().max(1) as f64;
        let quotient = |v: &f64| Some(mean / v).filter(|q| !q.is_nan()).unwrap_or(1.0);
        volumes.iter().map(|v| step * quotient(v).clamp(1.0 / MOST_APART, MOST_APART).sqrt()).collect()
    }
    fn topology(&self, periodic: [bool; 3]) -> Result<Topology> {
        let mut vertices = Vertices::new(&self.slices(), self.points)?;
        for axis in (0..3).filter(|a| periodic[*a]) {
            let next = vertices.periodic(axis);
            vertices =
                next.ok_or_else(|| Error::invalid(format!("expected a mesh that is periodic along axis {axis}")))?;
        }
        Topology::new(&vertices, self.points)
    }
}

/// What a decoder cannot use, no encoder wrote.
fn corrupt(e: Error) -> Error {
    match e.kind() {
        ErrorKind::InvalidArgument => Error::corrupt(e.message()),
        _ => e,
    }
}

impl<S: Selection> ElementBlocks<S> {
    /// Errors: `InvalidArgument` for shapes that are no elements, and coordinates that do not fit them.
    fn place(&self, site: &Site<'_>) -> Result<Place> {
        let shape = &self.spec.shape;
        let (elements, points, dimensions) = extents(shape)?;
        if !self.coordinates.is_empty() && self.coordinates.len() != dimensions {
            let n = self.coordinates.len();
            return Err(Error::invalid(format!("expected {dimensions} coordinates for shape {shape}, found {n}")));
        }
        let first = site.origin.first().copied().unwrap_or(0);
        let size = points.pow(dimensions as u32);
        let read = |name: &String| -> Result<Vec<f64>> {
            let found = site.companions.iter().find(|(n, _)| n == name).map(|(_, a)| a);
            let array =
                found.ok_or_else(|| Error::invalid(format!("expected the coordinates {name:?}, found none")))?;
            let fits = array.shape().get(1..) == shape.get(1..) && array.shape().first() >= Some(&(first + elements));
            if !fits || !array.dtype().is_float() {
                let (d, s) = (array.dtype(), array.shape());
                return Err(Error::invalid(format!(
                    "expected coordinates for shape {shape}, found {name:?} of type {d} and shape {s}"
                )));
            }
            Ok(array.data().part(first * size, elements * size).to_f64())
        };
        let coordinates = self.coordinates.iter().map(read).collect::<Result<_>>()?;
        Ok(Place { elements, points, dimensions, coordinates })
    }
    /// Which points are shared, and along which axes the mesh is periodic: where the values at both ends are one.
    fn sharing(&self, place: &Place, x: &[f64], tolerance: f64, range: f64) -> Result<(Topology, [bool; 3])> {
        let mut topology = place.topology([false; 3])?;
        let jump = topology.jump(x);
        if jump.is_nan() || jump > tolerance.max(1e-6 * range) {
            return Err(Error::invalid(format!(
                "expected a continuous field, found a jump of {jump:e} between elements"
            )));
        }
        let mut periodic = [false; 3];
        for axis in 0..place.dimensions {
            periodic[axis] = true;
            match place.topology(periodic) {
                Ok(t) if t.jump(x) <= jump.max(SAME * tolerance).max(1e-6 * range) => topology = t,
                _ => periodic[axis] = false,
            }
        }
        Ok((topology, periodic))
    }
    /// The coefficients that are kept.
    fn kept(&self, place: &Place, x: &[f64], range: f64) -> Result<Option<Vec<f64>>> {
        let Some(selection) = &self.selection else { return Ok(None) };
        let size = place.points.pow(place.dimensions as u32);
        let mut coefficients = Vec::with_capacity(x.len());
        crate::sem::analyse(x, place.points, place.dimensions, &mut coefficients)?;
        let volumes = match place.coordinates.is_empty() {
            true => vec![1.0; place.elements],
            false => corner_volumes(&place.slices(), place.points),
        };
        selection.select(&mut coefficients, size, &volumes, range);
        Ok(Some(coefficients))
    }
}

impl<S: Selection> BlockCodec for ElementBlocks<S> {
    fn encode(&self, block: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        let place = self.place(&block.site)?;
        let x = block.values.to_f64();
        let tolerance = block.uniform_tolerance(hint);
        let (low, high) = x.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let range = (high - low).max(0.0);
        let kept = self.kept(&place, &x, range)?;
        let keep = |e: usize, c: &mut [f64]| {
            if let Some(all) = kept.as_ref().and_then(|k| k.get(e * c.len()..(e + 1) * c.len())) {
                c.copy_from_slice(all);
            }
        };
        let keep: Option<Keep<'_>> = kept.is_some().then_some(&keep);
        let sharing = match self.continuous {
            true => Some(self.sharing(&place, &x, if hint.is_free() { 0.0 } else { tolerance }, range)?),
            false => None,
        };
        let (topology, periodic) = match &sharing {
            Some((t, p)) => (Some(t), *p),
            None => (None, [false; 3]),
        };
        // With nothing to go by, what is kept is as fine as where something is left out.
        let fineness = self.selection.as_ref().and_then(Selection::fineness).or(hint.is_free().then_some(FINE));
        let largest = |v: &[f64]| v.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        // What is kept is the least in the mean square only there.
        let mean_square = block.site.mean_square || self.selection.is_some() || hint.is_free();
        let weights = if mean_square { Weights::Quadrature } else { Weights::Unit };
        let by_volume = mean_square && !place.coordinates.is_empty();
        let (points, dimensions) = (place.points, place.dimensions);
        let size = place.points.pow(place.dimensions as u32);
        let step = match fineness {
            Some(f) => f * largest(kept.as_deref().unwrap_or(&x)),
            // Of the squares of coefficients the mean is that of the errors, but for the volume of the reference element.
            None if mean_square => 2.0 * tolerance * ((1 << dimensions) as f64 / size as f64).sqrt(),
            None => {
                let n = (step_sample_size(x.len()) / size).clamp(1, place.elements.max(1)) * size;
                let sample = &x[..n.min(x.len())];
                best_step(sample, tolerance, |step, y| {
                    let steps = place.steps(step, by_volume);
                    let elements = Elements { points, dimensions, weights, topology, steps: &steps };
                    Ok(elements.code(BinaryEncoder::new(), Some(sample), keep, y)?.finish().len())
                })?
            }
        };
        let mut decoded = vec![0.0; x.len()];
        if !step.is_finite() || step < f64::MIN_POSITIVE || largest(&x) == 0.0 {
            out.extend_from_slice(&0f64.to_le_bytes());
        } else {
            let steps = place.steps(step, by_volume);
            let elements = Elements { points, dimensions, weights, topology, steps: &steps };
            let coded = elements.code(BinaryEncoder::new(), Some(&x), keep, &mut decoded)?;
            out.extend_from_slice(&step.to_le_bytes());
            let bit = |b: bool, bit: u8| if b { bit } else { 0 };
            let periodic = (0..3).fold(0, |f, a| f | bit(periodic[a], PERIODIC << a));
            out.push(bit(weights == Weights::Unit, UNIT) | bit(by_volume, VOLUMES) | periodic);
            out.extend(coded.finish());
        }
        let mut buffer = Buffer::zeros(self.spec.dtype, decoded.len())?;
        cast(&decoded, buffer.as_mut());
        Ok(Claim::Decoded(buffer))
    }
    fn decode(&self, bytes: &[u8], site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let step = r.f64()?;
        let mut values = Vec::new();
        values
            .try_reserve_exact(out.len())
            .map_err(|_| Error::limit(format!("expected memory for {} values, found too little", out.len())))?;
        values.resize(out.len(), 0.0);
        if step == 0.0 {
            cast(&values, out);
            return r.end();
        }
        let flags = r.u8()?;
        let periodic = std::array::from_fn(|a| flags & PERIODIC << a != 0);
        let by_volume = flags & VOLUMES != 0;
        let known = UNIT | VOLUMES | if self.continuous { 7 * PERIODIC } else { 0 };
        if flags & !known != 0 || by_volume && self.coordinates.is_empty() || !step.is_finite() || step < 0.0 {
            return Err(Error::corrupt(format!("expected a step and flags, found {step:e} and {flags}")));
        }
        let place = self.place(site).map_err(corrupt)?;
        let topology = if self.continuous { Some(place.topology(periodic).map_err(corrupt)?) } else { None };
        let steps = place.steps(step, by_volume);
        let elements = Elements {
            points: place.points,
            dimensions: place.dimensions,
            weights: if flags & UNIT != 0 { Weights::Unit } else { Weights::Quadrature },
            topology: topology.as_ref(),
            steps: &steps,
        };
        elements.code(BinaryDecoder::new(r.rest()), None, None, &mut values)?.finish()?;
        cast(&values, out);
        Ok(())
    }
}
