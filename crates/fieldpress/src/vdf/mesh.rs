//! Uniform meshes of velocity cells, and the blocks of 4 x 4 x 4 cells in which sparse distributions are kept.

use crate::array::Shape;
use crate::error::{Error, Result};

/// The width of a velocity block in cells.
pub const WID: usize = 4;
/// The cells of a velocity block, `WID^3`.
pub const BLOCK_CELLS: usize = WID * WID * WID;
/// How far, in cells, a node of a uniform mesh may be from its place.
const UNIFORM: f64 = 1e-6;

/// A mesh of equal cells, in the order vx, vy, vz. With blocks along the axes `N`, block `(bx, by, bz)` has the id
/// `bx + Nx (by + Ny bz)`; cell `(i, j, k)` of a block is its value `i + 4 j + 16 k`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mesh {
    cells: [usize; 3],
    lower: [f64; 3],
    width: [f64; 3],
    shape: Shape,
}

impl Mesh {
    /// A mesh of so many `cells` from its `lower` corner on, each of `width`; both in m/s.
    /// Errors: `InvalidArgument` unless corner and widths are finite, widths positive, and an array of it fits memory.
    pub fn new(cells: [usize; 3], lower: [f64; 3], width: [f64; 3]) -> Result<Mesh> {
        if !lower.iter().all(|v| v.is_finite()) || !width.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Err(Error::invalid(format!(
                "expected a finite corner and positive widths of cells, found {lower:?} and {width:?}"
            )));
        }
        let [nx, ny, nz] = cells;
        Ok(Mesh { cells, lower, width, shape: Shape::new(&[nz, ny, nx])? })
    }
    /// Cells of unit width whose centres are their indices: for arrays of which no mesh is known.
    /// Errors: as [`Mesh::new`].
    pub fn unit(cells: [usize; 3]) -> Result<Mesh> {
        Mesh::new(cells, [-0.5; 3], [1.0; 3])
    }
    /// The mesh with these boundaries of cells in m/s, along each axis one more than cells.
    /// Errors: `Unsupported` where cells differ in width; `InvalidArgument` for less than two nodes; as [`Mesh::new`].
    pub fn from_nodes(nodes: [&[f64]; 3]) -> Result<Mesh> {
        let (mut cells, mut lower, mut width) = ([0; 3], [0.0; 3], [0.0; 3]);
        for (axis, nodes) in nodes.into_iter().enumerate() {
            let (&[first, .., last], n) = (nodes, nodes.len().saturating_sub(1)) else {
                return Err(Error::invalid(format!(
                    "expected at least two nodes along an axis, found {}",
                    nodes.len()
                )));
            };
            let step = (last - first) / n as f64;
            let off = |(i, v): (usize, &f64)| (v - first - step * i as f64).abs() > UNIFORM * step.abs();
            if nodes.iter().enumerate().any(off) {
                return Err(Error::unsupported("expected velocity cells of one width, found several"));
            }
            (cells[axis], lower[axis], width[axis]) = (n, first, step);
        }
        Mesh::new(cells, lower, width)
    }
    /// The number of cells along each axis.
    pub fn cells(&self) -> [usize; 3] {
        self.cells
    }
    /// The lower corner in m/s.
    pub fn lower(&self) -> [f64; 3] {
        self.lower
    }
    /// The widths of a cell in m/s.
    pub fn width(&self) -> [f64; 3] {
        self.width
    }
    /// The shape of an array of all cells, `[vz, vy, vx]`.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// The volume of a cell in m^3/s^3.
    pub fn cell_volume(&self) -> f64 {
        self.width.iter().product()
    }
    /// The velocity at the centre of a cell in m/s.
    pub fn centre(&self, cell: [usize; 3]) -> [f64; 3] {
        std::array::from_fn(|a| self.lower[a] + (cell[a] as f64 + 0.5) * self.width[a])
    }
    /// The number of blocks along each axis; the last may reach beyond the mesh.
    pub fn blocks(&self) -> [usize; 3] {
        self.cells.map(|n| n.div_ceil(WID))
    }
    /// Whether the mesh consists of whole blocks.
    pub fn is_blocked(&self) -> bool {
        self.cells.iter().all(|n| n.is_multiple_of(WID))
    }
    /// The place `(bx, by, bz)` of a block; `None` for an id outside the mesh.
    pub fn block_index(&self, id: u32) -> Option<[usize; 3]> {
        let [nx, ny, nz] = self.blocks();
        let id = id as usize;
        let row = id.checked_div(nx)?;
        let index = [id % nx, row.checked_rem(ny)?, row.checked_div(ny)?];
        (index[2] < nz).then_some(index)
    }
    /// The id of the block at `(bx, by, bz)`; `None` outside the mesh and for ids beyond 32 bits.
    pub fn block_id(&self, index: [usize; 3]) -> Option<u32> {
        let n = self.blocks();
        let inside = index.iter().zip(&n).all(|(i, n)| i < n);
        let id = index[1].checked_add(n[1].checked_mul(index[2])?)?.checked_mul(n[0])?.checked_add(index[0])?;
        inside.then(|| u32::try_from(id).ok()).flatten()
    }
    /// The mesh of a box of blocks. Errors: `InvalidArgument` unless the box lies inside a mesh of whole blocks.
    pub fn part(&self, part: &BlockBox) -> Result<Mesh> {
        let n = self.blocks();
        let inside = |a: usize| part.origin[a].checked_add(part.blocks[a]).is_some_and(|end| end <= n[a]);
        if !self.is_blocked() || !(0..3).all(inside) {
            return Err(Error::invalid(format!("expected a box inside {n:?} whole blocks, found {part:?}")));
        }
        let lower = |a: usize| self.lower[a] + (WID * part.origin[a]) as f64 * self.width[a];
        Mesh::new(part.blocks.map(|n| n * WID), std::array::from_fn(lower), self.width)
    }
}

/// A box of blocks: the first one's place in the mesh, and how many there are along each axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockBox {
    /// The place of the first block.
    pub origin: [usize; 3],
    /// The number of blocks along each axis.
    pub blocks: [usize; 3],
}

impl BlockBox {
    /// The smallest box around the blocks at these places; of no blocks where there are none.
    pub fn around(places: impl IntoIterator<Item = [usize; 3]>) -> BlockBox {
        let one = |origin| BlockBox { origin, blocks: [1; 3] };
        places.into_iter().fold(BlockBox::default(), |all, place| all.union(&one(place)))
    }
    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &BlockBox) -> BlockBox {
        let (a, b) = match (self.is_empty(), other.is_empty()) {
            (true, _) => return *other,
            (_, true) => return *self,
            _ => (self, other),
        };
        let origin: [usize; 3] = std::array::from_fn(|k| a.origin[k].min(b.origin[k]));
        let end = |k: usize| (a.origin[k] + a.blocks[k]).max(b.origin[k] + b.blocks[k]);
        BlockBox { origin, blocks: std::array::from_fn(|k| end(k) - origin[k]) }
    }
    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.contains(&0)
    }
    /// The places of the blocks by rising id.
    pub fn places(&self) -> impl Iterator<Item = [usize; 3]> {
        let ([x, y, z], [nx, ny, nz]) = (self.origin, self.blocks);
        (0..nz).flat_map(move |k| (0..ny).flat_map(move |j| (0..nx).map(move |i| [x + i, y + j, z + k])))
    }
    /// The index of the block at `place` in the order of [`BlockBox::places`]; `None` outside.
    pub fn position(&self, place: [usize; 3]) -> Option<usize> {
        let mut at = [0; 3];
        for k in 0..3 {
            at[k] = place[k].checked_sub(self.origin[k]).filter(|i| *i < self.blocks[k])?;
        }
        Some(at[0] + self.blocks[0] * (at[1] + self.blocks[1] * at[2]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn ids_and_places_are_one_to_one() {
        let m = Mesh::new([12, 8, 20], [-6e4, -4e4, -1e5], [1e4; 3]).unwrap();
        assert_eq!(m.blocks(), [3, 2, 5]);
        for id in 0..30 {
            assert_eq!(m.block_id(m.block_index(id).unwrap()), Some(id));
        }
        // 11 = 2 + 3 * (1 + 2 * 1)
        assert_eq!(m.block_index(11), Some([2, 1, 1]));
        assert_eq!((m.block_index(30), m.block_index(u32::MAX), m.block_id([3, 0, 0])), (None, None, None));
        assert_eq!(Mesh::unit([0, 4, 4]).unwrap().block_index(0), None);
        assert_eq!(m.centre([0, 1, 11]), [-5.5e4, -2.5e4, 1.5e4]);
        assert_eq!((m.shape().dims(), m.cell_volume()), (&[20, 8, 12][..], 1e12));
    }

    #[test]
    fn boxes_have_their_part_of_the_mesh() {
        let m = Mesh::new([16, 16, 16], [-8.0, -8.0, -8.0], [1.0, 1.0, 1.0]).unwrap();
        let b = BlockBox::around([[2, 1, 3], [1, 1, 3], [2, 3, 3]]);
        assert_eq!(b, BlockBox { origin: [1, 1, 3], blocks: [2, 3, 1] });
        let part = m.part(&b).unwrap();
        assert_eq!((part.cells(), part.lower()), ([8, 12, 4], [-4.0, -4.0, 4.0]));
        assert!(b.places().enumerate().all(|(i, p)| b.position(p) == Some(i)));
        assert!(b.places().zip(b.places().skip(1)).all(|(p, q)| m.block_id(p) < m.block_id(q)));
        assert_eq!((b.position([0, 1, 3]), b.position([3, 1, 3])), (None, None));
        let none = BlockBox::around([]);
        assert!(none.is_empty() && none.union(&b) == b && b.union(&none) == b);
        assert_eq!(m.part(&none).unwrap().cells(), [0; 3]);
        assert!(m.part(&BlockBox { origin: [3, 0, 0], blocks: [2, 1, 1] }).is_err());
        assert!(m.part(&BlockBox { origin: [usize::MAX, 0, 0], blocks: [2, 1, 1] }).is_err());
        assert!(Mesh::unit([5, 4, 4]).unwrap().part(&none).is_err());
    }

    #[test]
    fn what_is_no_uniform_mesh_is_refused() {
        let axis: Vec<f64> = (0..9).map(|i| -2.0 + 0.1 * f64::from(i)).collect();
        let m = Mesh::from_nodes([&axis, &axis[..5], &axis]).unwrap();
        assert_eq!((m.cells(), m.lower()), ([8, 4, 8], [-2.0; 3]));
        assert!(m.width().iter().all(|w| (w - 0.1).abs() < 1e-15));
        let kind = |nodes: &[f64]| Mesh::from_nodes([&axis, nodes, &axis]).unwrap_err().kind();
        assert_eq!(kind(&[0.0, 1.0, 2.1]), ErrorKind::Unsupported);
        for bad in [&[][..], &[1.0], &[1.0, 0.0], &[0.0, f64::NAN], &[0.0, 0.0]] {
            assert_eq!(kind(bad), ErrorKind::InvalidArgument, "{bad:?}");
        }
        assert!(Mesh::unit([usize::MAX, 2, 2]).is_err());
    }
}
