//! `sem-grid`: fields on a box of spectral elements as values on one grid, each shared point once, for codecs of arrays.
//!
//! # Format
//! The values at the points of the grid, the last axis the first of the elements: with `n` points along the axes of an element, along each axis of the grid
//! `n - 1` times the elements, and 1. The element at place `p` of the box (see [`ElementBox`]) has point `i` at `(n - 1) p + i`. Of points that elements share the
//! last element's value is taken. No side information. The box: an element whose low face across an axis has, corner by corner, the vertices of another's high face is one place
//! further along that axis; least places are 0.
//!
//! Coordinates are those of the companions; corners are one as [`Vertices`](crate::sem::Vertices) says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Buffer, Element, Mask, Shape, Slice};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, shared_vertices, Block, Filter, Filtered, Site, Spec};
use crate::dispatch;
use crate::error::{Error, ErrorKind, Result};
use crate::sem::{extents, ElementBox};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "sem-grid",
    doc: "A box of spectral elements whose coordinates are known becomes one grid, each shared point once.",
    params: &[
        ("box", "elements along the axes of the box, the slowest first (default: all along x)"),
        ("x", "the array of the first coordinate (default x)"),
        ("y", "the array of the second coordinate (default y)"),
        ("z", "the array of the third coordinate (default z; empty in two dimensions)"),
    ],
    make: Make::Filter(|v| Ok(Box::new(parse_config::<SemGrid>("sem-grid", v)?))),
    idempotent: true,
    unbounded: true,
};

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SemGrid {
    /// Elements along the axes of the box, the slowest first; none: all in a row along x.
    #[serde(rename = "box", default)]
    pub elements: Vec<usize>,
    /// The array of the first coordinate.
    #[serde(default = "x")]
    pub x: String,
    /// The array of the second coordinate.
    #[serde(default = "y")]
    pub y: String,
    /// The array of the third coordinate; empty in two dimensions.
    #[serde(default = "z")]
    pub z: String,
}

fn x() -> String {
    "x".into()
}
fn y() -> String {
    "y".into()
}
fn z() -> String {
    "z".into()
}

/// Where the points of an element lie in the grid.
struct Layout {
    grid: Shape,
    /// Of the first point of each element.
    first: Vec<usize>,
    /// Of each point of an element, from its first.
    inside: Vec<usize>,
}

impl SemGrid {
    /// The extents of the box. Errors: `InvalidArgument` for shapes that are no elements, or another number of them.
    fn extents(&self, shape: &Shape) -> Result<Vec<usize>> {
        let (elements, _, dimensions) = extents(shape)?;
        if self.elements.is_empty() {
            return Ok((1..dimensions).map(|_| 1).chain([elements]).collect());
        }
        let count = self.elements.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
        if self.elements.len() != dimensions || count != Some(elements) {
            return Err(Error::invalid(format!(
                "expected a box of {elements} elements in {dimensions} dimensions, found {:?}",
                self.elements
            )));
        }
        Ok(self.elements.clone())
    }
    fn grid(&self, shape: &Shape) -> Result<Shape> {
        let (_, points, _) = extents(shape)?;
        let along = |e: &usize| e.saturating_mul(points - 1).saturating_add(1);
        let dims: Vec<usize> = self.extents(shape)?.iter().map(along).collect();
        Shape::new(&dims)
    }
    /// Errors: `InvalidArgument` where the coordinates are not those of such a box.
    fn layout(&self, shape: &Shape, site: &Site<'_>) -> Result<Layout> {
        let (grid, asked) = (self.grid(shape)?, self.extents(shape)?);
        let (_, n, d) = extents(shape)?;
        let names = self.companions();
        let vertices = shared_vertices(&names, shape, site)?;
        let found = ElementBox::of(&vertices)
            .filter(|b| b.extents.iter().zip(asked.iter().rev()).all(|(a, b)| a == b))
            .ok_or_else(|| Error::invalid(format!("expected a box of {asked:?} elements, found another mesh")))?;
        // Steps of the grid along x, y, z.
        let steps: Vec<usize> = grid.strides()[..d].iter().rev().copied().collect();
        let at = |p: &[usize]| p.iter().zip(&steps).map(|(i, s)| i * s).sum::<usize>();
        let first = found.places.iter().map(|p| (n - 1) * at(p)).collect();
        let index = |q: usize| -> Vec<usize> { (0..d).map(|a| q / n.pow(a as u32) % n).collect() };
        let inside = (0..n.pow(d as u32)).map(|q| at(&index(q))).collect();
        Ok(Layout { grid, first, inside })
    }
}

impl Layout {
    /// The place in the grid of each value of the elements.
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.first.iter().flat_map(|f| self.inside.iter().map(move |i| f + i))
    }
}

impl Filter for SemGrid {
    fn id(&self) -> &'static str {
        "sem-grid"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn companions(&self) -> Vec<String> {
        [&self.x, &self.y, &self.z].into_iter().filter(|n| !n.is_empty()).cloned().collect()
    }
    fn wants_whole(&self) -> bool {
        true
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        // Other arrays are refused when they are encoded, so that another chain may do.
        Ok(Spec { dtype: spec.dtype, shape: self.grid(&spec.shape).unwrap_or(spec.shape) })
    }
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered> {
        fn run<T: Element>(v: &[T], layout: &Layout) -> Result<Buffer> {
            let mut out = T::from_buffer(Buffer::zeros(T::DTYPE, layout.grid.len())?).unwrap_or_default();
            for (to, x) in layout.places().zip(v) {
                if let Some(o) = out.get_mut(to) {
                    *o = *x;
                }
            }
            Ok(T::into_buffer(out))
        }
        let layout = self.layout(&x.shape, &x.site)?;
        let values = dispatch!(Slice, x.values, v => run(v, &layout))?;
        Ok(Filtered { values, side: Vec::new(), hint: *hint })
    }
    fn inverse(&self, y: Slice<'_>, _side: &[u8], spec: &Spec, site: &Site<'_>) -> Result<Buffer> {
        fn run<T: Element>(v: &[T], layout: &Layout, n: usize) -> Result<Buffer> {
            let mut out = T::from_buffer(Buffer::zeros(T::DTYPE, n)?).unwrap_or_default();
            for (o, from) in out.iter_mut().zip(layout.places()) {
                if let Some(x) = v.get(from) {
                    *o = *x;
                }
            }
            Ok(T::into_buffer(out))
        }
        // What a decoder cannot use, no encoder wrote.
        let layout = self.layout(&spec.shape, site).map_err(|e| match e.kind() {
            ErrorKind::InvalidArgument => Error::corrupt(e.message()),
            _ => e,
        })?;
        if y.len() != layout.grid.len() {
            let (grid, n) = (layout.grid, y.len());
            return Err(Error::corrupt(format!("expected {} values for shape {grid}, found {n}", grid.len())));
        }
        dispatch!(Slice, y, v => run(v, &layout, spec.shape.len()))
    }
    /// Nothing is masked in the grid: a point may be that of several elements.
    fn map_mask(&self, mask: &Mask, spec: &Spec) -> Mask {
        self.grid(&spec.shape).map_or_else(|_| mask.clone(), |g| Mask::new(vec![false; g.len()]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::array::Array;
    use crate::sem::testing::Mesh;

    #[test]
    fn continuous_fields_come_back_and_others_are_refused() {
        for (extents, d) in [([3, 2, 2], 3), ([4, 3, 1], 2)] {
            let mesh = Mesh::of_box(extents, d, 4, false, |x| [x[0] + 0.3 * x[1], x[1], x[2] * x[2]]);
            let named = ["x", "y", "z"].iter().zip(&mesh.coordinates);
            let companions: Vec<_> = named
                .map(|(n, c)| (n.to_string(), Arc::new(Array::from_vec(&mesh.shape(), c.clone()).unwrap())))
                .collect();
            let site = Site { companions: &companions, ..Site::default() };
            let values = mesh.values(|x| libm::sin(x[0] * 3.0) + x[1] * x[2]);
            let shape = Shape::new(&mesh.shape()).unwrap();
            let elements: Vec<usize> = extents[..d].iter().rev().copied().collect();
            let filter = SemGrid { elements, x: x(), y: y(), z: if d == 3 { z() } else { String::new() } };
            let block = Block { shape, values: Slice::F64(&values), site };
            let out = filter.forward(&block, &Term::FREE).unwrap();
            let grid = filter.output(&block.spec()).unwrap().shape;
            assert_eq!(grid.iter().product::<usize>(), out.values.len());
            assert_eq!(grid[grid.rank() - 1], 3 * extents[0] + 1);
            // Along the fastest axis x grows, from element to element.
            let xs = Block { values: companions[0].1.data(), ..block };
            let Buffer::F64(row) = filter.forward(&xs, &Term::FREE).unwrap().values else { panic!() };
            assert!(row[..grid[grid.rank() - 1]].windows(2).all(|w| w[0] < w[1]));
            let back = filter.inverse(out.values.as_slice(), &[], &block.spec(), &site).unwrap();
            let worst = values.iter().zip(back.as_slice().to_f64()).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1e-14, "{worst}");

            let short = filter.inverse(out.values.as_slice().part(0, 5), &[], &block.spec(), &site).unwrap_err();
            assert_eq!(short.kind(), ErrorKind::Corrupt);
            let lost = filter.inverse(out.values.as_slice(), &[], &block.spec(), &Site::default()).unwrap_err();
            assert_eq!(lost.kind(), ErrorKind::Corrupt);
            let mut other = filter.clone();
            other.elements.reverse();
            assert!(other.forward(&block, &Term::FREE).is_err(), "another box");
            other.elements = vec![usize::MAX; d];
            assert!(other.forward(&block, &Term::FREE).is_err(), "too many");
        }
    }
}
