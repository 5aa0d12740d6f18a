//! Codecs of fields on spectral elements: blocks of whole elements, coordinates from companions, the step from what is asked.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | the step, `f64`; 0: all values are 0 and nothing follows |
//! | 1 | bit 0: bases are orthonormal point by point, else under the quadrature; bit 1: steps go by volumes; bits 2 to 4, of `sem-c0`: the mesh is periodic along x, y, z; bit 5: [`Coding::Classes`], else [`Coding::Mixed`]; other bits 0 |
//! | rest | the elements of the block in their order, as in [`crate::sem::Elements`]; of `sem-c0` as in [`crate::sem::Groups`] |
//!
//! Coordinates are those of the companions for the elements of the block. The step of an element is the step; with bit 1 times
//! `sqrt(v / v_e)`, `v_e` being its volume from its corners ([`corner_volumes`]), `v` the mean of those of the block, and the quotient kept within
//! 2^-40 and 2^40, and 1 where it is not a number. Groups of `sem-c0` but the last have at least 2^19 values. Points are shared as [`Vertices`] and [`Topology`] find it, with the periodic axes in turn.

use super::contract::{Block, BlockCodec, Claim, Site, Spec};
use super::model::cast;
use crate::array::{Buffer, Shape, SliceMut};
use crate::bits::ByteReader;
use crate::bound::Term;
use crate::error::{Error, ErrorKind, Result};
use crate::sem::{corner_volumes, extents, Coding, Elements, Groups, Keep, Topology, Vertices, Weights};
use crate::transform::trial::{best_step, step_sample_size};

const UNIT: u8 = 1;
const VOLUMES: u8 = 2;
const PERIODIC: u8 = 4;
const CLASSES: u8 = 32;
/// Values of a group of elements that share points, at least: enough for models to learn, and for threads to have one each.
const GROUP: usize = 1 << 19;
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
    /// How codes become bits.
    pub coding: Coding,
    /// What is kept; `None` for all.
    pub selection: Option<S>,
}

/// A block of elements.
struct Place {
    elements: usize,
    points: usize,
    dimensions: usize,
    /// Coordinates of the corners, as of elements with two points along each axis.
    corners: Vec<Vec<f64>>,
}

impl Place {
    fn slices(&self) -> Vec<&[f64]> {
        self.corners.iter().map(Vec::as_slice).collect()
    }
    /// The step of each element.
    fn steps(&self, step: f64, by_volume: bool) -> Vec<f64> {
        if !by_volume {
            return vec![step; self.elements];
        }
        let volumes = corner_volumes(&self.slices(), 2);
        let mean = volumes.iter().fold(0.0, |s, v| s + v) / volumes.len().max(1) as f64;
        let quotient = |v: &f64| Some(mean / v).filter(|q| !q.is_nan()).unwrap_or(1.0);
        volumes.iter().map(|v| step * quotient(v).clamp(1.0 / MOST_APART, MOST_APART).sqrt()).collect()
    }
    /// The corners that elements share. Errors: `InvalidArgument` where the mesh is not periodic along an axis that is said to be.
    fn vertices(&self, periodic: [bool; 3]) -> Result<Vertices> {
        let mut vertices = Vertices::new(&self.slices(), 2)?;
        for axis in (0..3).filter(|a| periodic[*a]) {
            let next = vertices.periodic(axis);
            vertices =
                next.ok_or_else(|| Error::invalid(format!("expected a mesh that is periodic along axis {axis}")))?;
        }
        Ok(vertices)
    }
}

/// What a decoder cannot use, no encoder wrote.
fn corrupt(e: Error) -> Error {
    match e.kind() {
        ErrorKind::InvalidArgument => Error::corrupt(e.message()),
        _ => e,
    }
}

/// The coordinates of the corners of a block of elements of `shape`, of the companions `names`: an array for each, as of elements with two points along each axis.
/// Errors: `InvalidArgument` for shapes that are no elements, and coordinates that do not fit them.
fn corners(names: &[String], shape: &Shape, site: &Site<'_>) -> Result<Vec<Vec<f64>>> {
    let (elements, points, dimensions) = extents(shape)?;
    if names.len() != dimensions {
        let n = names.len();
        return Err(Error::invalid(format!("expected {dimensions} coordinates for shape {shape}, found {n}")));
    }
    let first = site.origin.first().copied().unwrap_or(0);
    let size = points.pow(dimensions as u32);
    let read = |name: &String| -> Result<Vec<f64>> {
        let found = site.companions.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        let array = found.ok_or_else(|| Error::invalid(format!("expected the coordinates {name:?}, found none")))?;
        let fits = array.shape().get(1..) == shape.get(1..) && array.shape().first() >= Some(&(first + elements));
        if !fits || !array.dtype().is_float() {
            let (d, s) = (array.dtype(), array.shape());
            return Err(Error::invalid(format!(
                "expected coordinates for shape {shape}, found {name:?} of type {d} and shape {s}"
            )));
        }
        let axes = |c: usize| (0..dimensions).filter(move |a| c >> a & 1 == 1);
        let offset = |c: usize| (points - 1) * axes(c).map(|a| points.pow(a as u32)).sum::<usize>();
        let offsets: Vec<usize> = (0..1 << dimensions).map(offset).collect();
        let places = (first..first + elements).flat_map(|e| offsets.iter().map(move |o| e * size + o));
        Ok(array.data().picked(places))
    };
    names.iter().map(read).collect()
}

/// The corners that elements of `shape` share, by the coordinates in the companions `names`. Errors: `InvalidArgument` for shapes that are no elements, and
/// coordinates that do not fit them or are not numbers.
pub fn shared_vertices(names: &[String], shape: &Shape, site: &Site<'_>) -> Result<Vertices> {
    let corners = corners(names, shape, site)?;
    Vertices::new(&corners.iter().map(Vec::as_slice).collect::<Vec<_>>(), 2)
}

impl<S: Selection> ElementBlocks<S> {
    /// Errors: `InvalidArgument` for shapes that are no elements, and coordinates that do not fit them.
    fn place(&self, site: &Site<'_>) -> Result<Place> {
        let (elements, points, dimensions) = extents(&self.spec.shape)?;
        let corners = match self.coordinates.is_empty() {
            true => Vec::new(),
            false => corners(&self.coordinates, &self.spec.shape, site)?,
        };
        Ok(Place { elements, points, dimensions, corners })
    }
    /// Which points are shared, and along which axes the mesh is periodic: where the values at both ends are one.
    fn sharing(&self, place: &Place, x: &[f64], tolerance: f64, range: f64) -> Result<(Vertices, [bool; 3])> {
        let mut vertices = place.vertices([false; 3])?;
        let jump = Topology::new(&vertices, place.points)?.jump(x);
        if jump.is_nan() || jump > tolerance.max(1e-6 * range) {
            return Err(Error::invalid(format!(
                "expected a continuous field, found a jump of {jump:e} between elements"
            )));
        }
        let mut periodic = [false; 3];
        for (axis, periodic) in periodic.iter_mut().enumerate().take(place.dimensions) {
            let Some(next) = vertices.periodic(axis) else { continue };
            // All others are known to be continuous.
            let changed = vertices.ids().iter().zip(next.ids()).filter(|(old, new)| old != new);
            let elements = next.elements_at(changed.map(|(_, new)| *new));
            let across = Topology::of(&next, &elements, place.points)?.jump_at(&elements, x);
            *periodic = across <= jump.max(SAME * tolerance).max(1e-6 * range);
            if *periodic {
                vertices = next;
            }
        }
        Ok((vertices, periodic))
    }
    /// The coefficients that are kept.
    fn kept(&self, place: &Place, x: &[f64], range: f64) -> Result<Option<Vec<f64>>> {
        let Some(selection) = &self.selection else { return Ok(None) };
        let size = place.points.pow(place.dimensions as u32);
        let mut coefficients = Vec::with_capacity(x.len());
        crate::sem::analyse(x, place.points, place.dimensions, &mut coefficients)?;
        let volumes = match place.corners.is_empty() {
            true => vec![1.0; place.elements],
            false => corner_volumes(&place.slices(), 2),
        };
        selection.select(&mut coefficients, size, &volumes, range);
        Ok(Some(coefficients))
    }
}

impl<S: Selection> ElementBlocks<S> {
    /// Appends the code of values, whose coefficients go through a selection.
    fn code(
        &self,
        elements: &Elements<'_>,
        vertices: Option<&Vertices>,
        (x, keep): (&[f64], Option<Keep<'_>>),
        decoded: &mut [f64],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(vertices) = vertices else { return elements.encode(self.coding, x, keep, decoded, out) };
        let count = (x.len() / GROUP).max(1);
        let each = (x.len() / elements.points.pow(elements.dimensions as u32)).div_ceil(count);
        Groups { elements: *elements, vertices }.encode(self.coding, x, each, decoded, out)
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
        let (vertices, periodic) = match &sharing {
            Some((v, p)) => (Some(v), *p),
            None => (None, [false; 3]),
        };
        // With nothing to go by, what is kept is as fine as where something is left out.
        let fineness = self.selection.as_ref().and_then(Selection::fineness).or(hint.is_free().then_some(FINE));
        let largest = |v: &[f64]| v.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        // What is kept is the least in the mean square only there.
        let mean_square = block.site.mean_square || self.selection.is_some() || hint.is_free();
        let weights = if mean_square { Weights::Quadrature } else { Weights::Unit };
        let by_volume = mean_square && !place.corners.is_empty();
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
                    let (steps, mut bytes) = (place.steps(step, by_volume), Vec::new());
                    let elements = Elements { points, dimensions, weights, topology: None, steps: &steps };
                    self.code(&elements, vertices, (sample, keep), y, &mut bytes)?;
                    Ok(bytes.len())
                })?
            }
        };
        let mut decoded = vec![0.0; x.len()];
        if !step.is_finite() || step < f64::MIN_POSITIVE || largest(&x) == 0.0 {
            out.extend_from_slice(&0f64.to_le_bytes());
        } else {
            let steps = place.steps(step, by_volume);
            let elements = Elements { points, dimensions, weights, topology: None, steps: &steps };
            out.extend_from_slice(&step.to_le_bytes());
            let bit = |b: bool, bit: u8| if b { bit } else { 0 };
            let periodic = (0..3).fold(0, |f, a| f | bit(periodic[a], PERIODIC << a));
            let coding = bit(self.coding == Coding::Classes, CLASSES);
            out.push(bit(weights == Weights::Unit, UNIT) | bit(by_volume, VOLUMES) | periodic | coding);
            self.code(&elements, vertices, (&x, keep), &mut decoded, out)?;
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
        let coding = if flags & CLASSES != 0 { Coding::Classes } else { Coding::Mixed };
        let known = UNIT | VOLUMES | CLASSES | if self.continuous { 7 * PERIODIC } else { 0 };
        if flags & !known != 0 || by_volume && self.coordinates.is_empty() || !step.is_finite() || step < 0.0 {
            return Err(Error::corrupt(format!("expected a step and flags, found {step:e} and {flags}")));
        }
        let place = self.place(site).map_err(corrupt)?;
        let steps = place.steps(step, by_volume);
        let elements = Elements {
            points: place.points,
            dimensions: place.dimensions,
            weights: if flags & UNIT != 0 { Weights::Unit } else { Weights::Quadrature },
            topology: None,
            steps: &steps,
        };
        if self.continuous {
            let vertices = place.vertices(periodic).map_err(corrupt)?;
            Groups { elements, vertices: &vertices }.decode(coding, r.rest(), GROUP, &mut values)?;
        } else {
            elements.decode(coding, r.rest(), &mut values)?;
        }
        cast(&values, out);
        Ok(())
    }
}
