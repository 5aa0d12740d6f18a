//! Distributions as the blocks of 4 x 4 x 4 cells that have content, and as a dense box around these.

use super::dense::{Dense, Distribution};
use super::mesh::{BlockBox, Mesh, BLOCK_CELLS, WID};
use crate::array::{Element, Mask};
use crate::error::{Error, Result};

/// A distribution of which only some blocks are kept, in any order; the others hold 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse<T> {
    mesh: Mesh,
    ids: Vec<u32>,
    values: Vec<T>,
}

impl<T: Element> Sparse<T> {
    /// From the ids of the blocks and their values, 64 each, vx fastest.
    /// Errors: `InvalidArgument` unless the mesh has whole blocks, the ids lie in it, no two are the same, and each has
    /// its values.
    pub fn new(mesh: Mesh, ids: Vec<u32>, values: Vec<T>) -> Result<Sparse<T>> {
        check(&mesh, &ids)?;
        if ids.len().checked_mul(BLOCK_CELLS) != Some(values.len()) {
            let (blocks, found) = (ids.len(), values.len());
            return Err(Error::invalid(format!(
                "expected {BLOCK_CELLS} values for each of {blocks} blocks, found {found}"
            )));
        }
        Ok(Sparse { mesh, ids, values })
    }
    /// The ids of the blocks.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
    /// The values of the blocks in the order of their ids, 64 each, vx fastest.
    pub fn values(&self) -> &[T] {
        &self.values
    }
    /// The smallest box around the blocks.
    pub fn bounds(&self) -> BlockBox {
        BlockBox::around(self.ids.iter().filter_map(|id| self.mesh.block_index(*id)))
    }
    /// The values in a box, 0 where there is no block.
    /// Errors: `InvalidArgument` where a block lies outside, or the box outside the mesh; `LimitExceeded`.
    pub fn to_dense(&self, part: &BlockBox) -> Result<Dense<T>> {
        let mut dense = Dense::zeros(self.mesh.part(part)?)?;
        for (id, block) in self.ids.iter().zip(self.values.chunks_exact(BLOCK_CELLS)) {
            let rows = rows(&self.mesh, part, *id)?;
            for (at, row) in rows.zip(block.chunks_exact(WID)) {
                if let Some(to) = dense.values_mut().get_mut(at..at + WID) {
                    to.copy_from_slice(row);
                }
            }
        }
        Ok(dense)
    }
    /// Which blocks of a box are kept, in the order of [`BlockBox::places`].
    pub fn present(&self, part: &BlockBox) -> Vec<bool> {
        let mut present = vec![false; part.blocks.iter().product()];
        for place in self.ids.iter().filter_map(|id| self.mesh.block_index(*id)) {
            if let Some(flag) = part.position(place).and_then(|at| present.get_mut(at)) {
                *flag = true;
            }
        }
        present
    }
    /// The cells of a box, in the order of [`Sparse::to_dense`], masked where there is no block.
    /// Errors: as [`Sparse::to_dense`].
    pub fn mask(&self, part: &BlockBox) -> Result<Mask> {
        let ones = vec![1u8; self.values.len()];
        let kept = Sparse { mesh: self.mesh, ids: self.ids.clone(), values: ones }.to_dense(part)?;
        Ok(Mask::new(kept.values().iter().map(|v| *v == 0).collect()))
    }
    /// The blocks `ids` of the values in a box of `mesh`; the inverse of [`Sparse::to_dense`], in the order of `ids`.
    /// Errors: `InvalidArgument` unless the values are those of the box, and the blocks lie inside; as [`Sparse::new`].
    pub fn from_dense(mesh: Mesh, part: &BlockBox, dense: &Dense<T>, ids: Vec<u32>) -> Result<Sparse<T>> {
        check(&mesh, &ids)?;
        if mesh.part(part)?.cells() != dense.mesh().cells() {
            return Err(Error::invalid(format!("expected the cells of {part:?}, found {:?}", dense.mesh().cells())));
        }
        let mut values = Vec::with_capacity(ids.len() * BLOCK_CELLS);
        for id in &ids {
            for at in rows(&mesh, part, *id)? {
                values.extend_from_slice(dense.values().get(at..at + WID).unwrap_or_default());
            }
        }
        Sparse::new(mesh, ids, values)
    }
    /// The same blocks by rising id.
    pub fn sorted(&self) -> Sparse<T> {
        let mut blocks: Vec<(u32, &[T])> =
            self.ids.iter().copied().zip(self.values.chunks_exact(BLOCK_CELLS)).collect();
        blocks.sort_unstable_by_key(|(id, _)| *id);
        let ids = blocks.iter().map(|(id, _)| *id).collect();
        let values = blocks.iter().flat_map(|(_, v)| v.iter().copied()).collect();
        Sparse { mesh: self.mesh, ids, values }
    }
}

/// Errors: `InvalidArgument` unless the mesh has whole blocks, the ids lie in it and no two are the same.
fn check(mesh: &Mesh, ids: &[u32]) -> Result<()> {
    if !mesh.is_blocked() {
        return Err(Error::invalid(format!("expected a mesh of whole blocks, found {:?} cells", mesh.cells())));
    }
    if let Some(id) = ids.iter().find(|id| mesh.block_index(**id).is_none()) {
        return Err(Error::invalid(format!("expected a block of {:?}, found {id}", mesh.blocks())));
    }
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|w| w[0] == w[1]) {
        Some(w) => Err(Error::invalid(format!("expected every block once, found {} twice", w[0]))),
        None => Ok(()),
    }
}

/// Where the 16 rows of a block begin in the values of a box.
fn rows(mesh: &Mesh, part: &BlockBox, id: u32) -> Result<impl Iterator<Item = usize>> {
    let place = mesh.block_index(id).filter(|p| part.position(*p).is_some());
    let place = place.ok_or_else(|| Error::invalid(format!("expected a block inside {part:?}, found {id}")))?;
    let [x, y, z]: [usize; 3] = std::array::from_fn(|a| (place[a] - part.origin[a]) * WID);
    let [nx, ny, _] = part.blocks.map(|n| n * WID);
    Ok((0..WID * WID).map(move |row| x + nx * (y + row % WID + ny * (z + row / WID))))
}

impl<T: Element> Distribution for Sparse<T> {
    fn mesh(&self) -> &Mesh {
        &self.mesh
    }
    fn for_each_run(&self, mut visit: impl FnMut([usize; 3], &[f64])) {
        for (id, block) in self.ids.iter().zip(self.values.chunks_exact(BLOCK_CELLS)) {
            let Some(place) = self.mesh.block_index(*id) else { continue };
            let [x, y, z] = place.map(|b| b * WID);
            for (row, f) in block.chunks_exact(WID).enumerate() {
                let run: [f64; WID] = std::array::from_fn(|i| f.get(i).map_or(0.0, |f| f.to_f64()));
                visit([x, y + row % WID, z + row / WID], &run);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that stands in a cell, whatever the form.
    fn value([x, y, z]: [usize; 3]) -> f32 {
        (x + 100 * y + 10_000 * z) as f32
    }

    fn sample() -> Sparse<f32> {
        let mesh = Mesh::new([12, 16, 20], [-6.0, -8.0, -10.0], [1.0; 3]).unwrap();
        // (2, 1, 3), (0, 2, 1), (1, 1, 1) of 3 x 4 x 5 blocks
        let ids = vec![41, 18, 16];
        let mut values = Vec::new();
        for id in &ids {
            let b = mesh.block_index(*id).unwrap();
            values.extend((0..64).map(|i| value([4 * b[0] + i % 4, 4 * b[1] + i / 4 % 4, 4 * b[2] + i / 16])));
        }
        Sparse::new(mesh, ids, values).unwrap()
    }

    #[test]
    fn a_box_and_back() {
        let s = sample();
        let part = s.bounds();
        assert_eq!(part, BlockBox { origin: [0, 1, 1], blocks: [3, 2, 3] });
        let dense = s.to_dense(&part).unwrap();
        assert_eq!(dense.mesh().lower(), [-6.0, -4.0, -6.0]);
        let mask = s.mask(&part).unwrap();
        assert_eq!(mask.flags().len() - mask.count(), 3 * 64);
        dense.for_each_run(|[x, y, z], row| {
            for (i, f) in row.iter().enumerate() {
                let masked = mask.is_masked(x + i + 12 * (y + 8 * z));
                assert_eq!(*f, if masked { 0.0 } else { f64::from(value([x + i, y + 4, z + 4])) });
            }
        });
        assert_eq!(Sparse::from_dense(*s.mesh(), &part, &dense, s.ids().to_vec()).unwrap(), s);
        let ids: Vec<u32> = part.places().filter_map(|p| s.mesh().block_id(p)).collect();
        let kept = ids.iter().zip(s.present(&part)).filter(|(_, p)| *p).map(|(id, _)| *id).collect();
        let sorted = Sparse::from_dense(*s.mesh(), &part, &dense, kept).unwrap();
        assert_eq!((sorted.ids(), &sorted), (&[16, 18, 41][..], &s.sorted()));
        assert_eq!(&sorted.values()[..64], &s.values()[128..]);
        // A larger box holds the same.
        let whole = BlockBox { origin: [0; 3], blocks: s.mesh().blocks() };
        let all = s.to_dense(&whole).unwrap();
        assert_eq!(Sparse::from_dense(*s.mesh(), &whole, &all, s.ids().to_vec()).unwrap(), s);
    }

    #[test]
    fn runs_know_their_cells() {
        let mut cells = 0;
        sample().for_each_run(|[x, y, z], run| {
            for (i, f) in run.iter().enumerate() {
                assert_eq!(*f, f64::from(value([x + i, y, z])));
                cells += 1;
            }
        });
        assert_eq!(cells, 3 * 64);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let mesh = *sample().mesh();
        let values = vec![0f32; 128];
        assert!(Sparse::new(mesh, vec![0, 59], values.clone()).is_ok());
        for ids in [vec![0, 60], vec![7, 7], vec![0], vec![0, 1, 2]] {
            assert!(Sparse::new(mesh, ids, values.clone()).is_err());
        }
        assert!(Sparse::new(Mesh::unit([6, 4, 4]).unwrap(), vec![], Vec::<f32>::new()).is_err());
        let s = sample();
        let small = BlockBox { origin: [0, 1, 1], blocks: [2, 2, 3] };
        assert!(s.to_dense(&small).is_err() && s.mask(&small).is_err());
        let dense = s.to_dense(&s.bounds()).unwrap();
        assert!(Sparse::from_dense(mesh, &small, &dense, vec![]).is_err());
        assert!(Sparse::from_dense(mesh, &s.bounds(), &dense, vec![0]).is_err());
        assert!(Sparse::from_dense(mesh, &s.bounds(), &dense, vec![60]).is_err());
        let none = Sparse::new(mesh, vec![], Vec::<f32>::new()).unwrap();
        assert!(none.bounds().is_empty() && none.to_dense(&none.bounds()).unwrap().values().is_empty());
    }
}
