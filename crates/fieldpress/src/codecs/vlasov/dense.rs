//! Dense arrays as the blocks that have content.

use std::ops::Range;

use crate::array::Shape;
use crate::entropy::{Decisions, Occupancy};
use crate::error::{Error, Result};
use crate::vdf::{BlockBox, Layout, BLOCK_CELLS, WID};

/// An array whose last three axes are velocity space, the others cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense {
    cells: usize,
    /// Extents in the order vx, vy, vz.
    extents: [usize; 3],
}

/// Zeros. Errors: `LimitExceeded`.
pub(super) fn room<T: Clone + Default>(n: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for {n} values, found too little")))?;
    v.resize(n, T::default());
    Ok(v)
}

impl Dense {
    pub(super) fn new(shape: &Shape) -> Dense {
        let mut axes = shape.dims().iter().rev();
        let extents = std::array::from_fn(|_| axes.next().copied().unwrap_or(1));
        Dense { cells: axes.product(), extents }
    }
    /// Extents in velocity cells.
    pub(super) fn limits(&self) -> [usize; 3] {
        self.extents
    }
    /// Extents in blocks.
    pub(super) fn blocks(&self) -> [usize; 3] {
        self.extents.map(|n| n.div_ceil(WID))
    }
    /// Rows of a block inside the array: where they are in a block, and in the array.
    fn rows(&self, cell: usize, [bx, by, bz]: [usize; 3]) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let [nx, ny, nz] = self.extents;
        let (z, y, x) = (WID * bz, WID * by, WID * bx);
        let width = nx.saturating_sub(x).min(WID);
        let (planes, rows) = (nz.saturating_sub(z).min(WID), ny.saturating_sub(y).min(WID));
        (0..planes).flat_map(move |k| {
            (0..rows).map(move |j| {
                let at = ((cell * nz + z + k) * ny + y + j) * nx + x;
                let own = WID * (WID * k + j);
                (own..own + width, at..at + width)
            })
        })
    }
    fn places(&self) -> impl Iterator<Item = [usize; 3]> {
        BlockBox { origin: [0; 3], blocks: self.blocks() }.places()
    }
    /// The blocks with a value that is not 0.
    pub(super) fn layout(&self, x: &[f64]) -> Layout {
        let has_content = |cell: usize, place: [usize; 3]| {
            let mut rows = self.rows(cell, place);
            rows.any(|(_, at)| x.get(at).is_some_and(|row| row.iter().any(|v| *v != 0.0)))
        };
        let sets = (0..self.cells).map(|cell| self.places().filter(|p| has_content(cell, *p)).collect()).collect();
        self.numbered(sets)
    }
    /// Numbers the blocks of cells one after the other.
    fn numbered(&self, sets: Vec<Vec<[usize; 3]>>) -> Layout {
        let mut numbers = 0..;
        let cells = sets.into_iter().map(|set| set.into_iter().zip(&mut numbers).collect()).collect();
        Layout { around: BlockBox { origin: [0; 3], blocks: self.blocks() }, cells }
    }
    /// Codes the sets of blocks. Errors: as [`Occupancy::new`].
    pub(super) fn code_sets<D: Decisions>(&self, io: &mut D, cells: &[Vec<([usize; 3], usize)>]) -> Result<()> {
        let mut sets = Occupancy::new(self.blocks())?;
        for cell in cells {
            let places: Vec<[usize; 3]> = cell.iter().map(|(place, _)| *place).collect();
            sets.code(io, &places, None);
        }
        Ok(())
    }
    /// The blocks that a decoder finds. Errors: as [`Occupancy::new`].
    pub(super) fn decoded_layout<D: Decisions>(&self, io: &mut D) -> Result<Layout> {
        let mut sets = Occupancy::new(self.blocks())?;
        Ok(self.numbered((0..self.cells).map(|_| sets.code(io, &[], None)).collect()))
    }
    /// The values of all blocks, none (not a number) outside the array. Errors: `LimitExceeded`.
    pub(super) fn gather(&self, x: &[f64], layout: &Layout) -> Result<Vec<f64>> {
        let n: usize = layout.cells.iter().map(Vec::len).sum();
        let mut blocks: Vec<f64> = room(n.saturating_mul(BLOCK_CELLS))?;
        blocks.fill(f64::NAN);
        self.for_each_row(layout, |own, at| {
            if let (Some(to), Some(from)) = (blocks.get_mut(own), x.get(at)) {
                to.copy_from_slice(from);
            }
        });
        Ok(blocks)
    }
    /// The array from the values of its blocks. Errors: `LimitExceeded`.
    pub(super) fn scatter(&self, blocks: &[f64], layout: &Layout) -> Result<Vec<f64>> {
        let mut x: Vec<f64> = room(self.extents.iter().product::<usize>() * self.cells)?;
        self.for_each_row(layout, |own, at| {
            if let (Some(to), Some(from)) = (x.get_mut(at), blocks.get(own)) {
                to.copy_from_slice(from);
            }
        });
        Ok(x)
    }
    /// Calls `f` with where rows of blocks are among those of all blocks, and in the array.
    fn for_each_row(&self, layout: &Layout, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        for (cell, blocks) in layout.cells.iter().enumerate() {
            for (place, i) in blocks {
                let first = i * BLOCK_CELLS;
                self.rows(cell, *place).for_each(|(own, at)| f(first + own.start..first + own.end, at));
            }
        }
    }
}
