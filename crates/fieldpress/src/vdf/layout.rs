//! Where the velocity blocks of a run of cells lie in a box around all of them.

use std::sync::Arc;

use super::arrays::integers;
use super::mesh::BlockBox;
use crate::array::{Array, Region, Shape};
use crate::error::{Error, Result};

/// The blocks of cells, or of parts of cells, in a box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The box around all blocks; in the order bx, by, bz.
    pub around: BlockBox,
    /// For each cell its blocks by rising place: where in the box, and which among those of all cells.
    pub cells: Vec<Vec<([usize; 3], usize)>>,
}

/// Finds an array by its name. Errors: `InvalidArgument`.
fn find<'a>(arrays: &'a [(String, Arc<Array>)], name: &str) -> Result<&'a Array> {
    let found = arrays.iter().find(|(n, _)| n == name).map(|(_, a)| a.as_ref());
    found.ok_or_else(|| Error::invalid(format!("expected the array {name:?}, found none")))
}

/// How many of the blocks `first..first + n` of all cells belong to each cell that has one among them. `counts` names, among
/// `arrays`, that of the numbers of blocks of the cells. Errors: `InvalidArgument` unless the cells have so many blocks.
pub fn cell_parts(arrays: &[(String, Arc<Array>)], counts: &str, first: usize, n: usize) -> Result<Vec<usize>> {
    let end = first.saturating_add(n);
    let (mut start, mut parts) = (0usize, Vec::new());
    for count in integers(find(arrays, counts)?)? {
        let next = start.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        let part = next.min(end).saturating_sub(start.max(first));
        parts.extend((part > 0).then_some(part));
        start = next;
    }
    match start < end {
        false => Ok(parts),
        true => Err(Error::invalid(format!("expected {end} blocks in all cells, found {start}"))),
    }
}

impl Layout {
    /// The blocks `first..first + n` of the array of ids that `ids` names among `arrays`, of cells that `counts` tells apart (see
    /// [`cell_parts`]), on the mesh of blocks whose extents are the first three numbers of `mesh`.
    /// Errors: `InvalidArgument` where these contradict each other, or a block comes twice in a cell.
    pub fn of_arrays(
        arrays: &[(String, Arc<Array>)],
        [ids, counts, mesh]: [&str; 3],
        first: usize,
        n: usize,
    ) -> Result<Layout> {
        let parts = cell_parts(arrays, counts, first, n)?;
        let all = find(arrays, ids)?;
        let part = Region::new(&all.shape(), &[first], &[n]).and_then(|r| all.view().gather(&r))?;
        let ids = integers(&Array::new(Shape::new(&[n])?, part)?)?;
        Layout::new(mesh_extents(arrays, mesh)?, &ids, &parts)
    }

    /// The blocks with these ids, `bx + Nx (by + Ny bz)` on a mesh of `extents` blocks, so many in each cell.
    /// Errors: `InvalidArgument` for ids beyond the mesh, and where one comes twice in a cell.
    pub fn new(extents: [usize; 3], ids: &[u64], parts: &[usize]) -> Result<Layout> {
        let [nx, ny, nz] = extents;
        let place = |id: u64| {
            let id = usize::try_from(id).ok()?;
            let row = id.checked_div(nx)?;
            let place = [id % nx, row.checked_rem(ny)?, row.checked_div(ny)?];
            (place[2] < nz).then_some(place)
        };
        let places: Option<Vec<[usize; 3]>> = ids.iter().map(|&id| place(id)).collect();
        let places = places.ok_or_else(|| Error::invalid(format!("expected blocks of {extents:?}, found others")))?;
        if parts.iter().try_fold(0usize, |s, n| s.checked_add(*n)) != Some(ids.len()) {
            return Err(Error::invalid(format!("expected cells of together {} blocks, found others", ids.len())));
        }
        let around = BlockBox::around(places.iter().copied());
        let (mut cells, mut first) = (Vec::with_capacity(parts.len()), 0);
        for n in parts {
            let own = first..first + n;
            let inside = |p: &[usize; 3]| std::array::from_fn(|k| p[k] - around.origin[k]);
            let mut blocks: Vec<([usize; 3], usize)> =
                places.get(own.clone()).unwrap_or_default().iter().map(inside).zip(own).collect();
            blocks.sort_unstable_by_key(|([x, y, z], _)| [*z, *y, *x]);
            if blocks.windows(2).any(|w| w[0].0 == w[1].0) {
                return Err(Error::invalid("expected each block once in a cell, found one twice"));
            }
            cells.push(blocks);
            first += n;
        }
        Ok(Layout { around, cells })
    }
}

/// The first three numbers of the array that `mesh` names among `arrays`. Errors: `InvalidArgument` unless it has as many.
pub fn mesh_extents(arrays: &[(String, Arc<Array>)], mesh: &str) -> Result<[usize; 3]> {
    let found = integers(find(arrays, mesh)?)?;
    let extent = |k: usize| found.get(k).and_then(|n| usize::try_from(*n).ok());
    match (extent(0), extent(1), extent(2)) {
        (Some(x), Some(y), Some(z)) => Ok([x, y, z]),
        _ => Err(Error::invalid(format!("expected the three extents of a mesh in {mesh:?}, found {found:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn arrays(ids: Vec<u32>, counts: Vec<u32>, mesh: Vec<u64>) -> Vec<(String, Arc<Array>)> {
        let named = |n: &str, a: Result<Array>| (n.to_string(), Arc::new(a.unwrap()));
        vec![
            named("ids", Array::from_vec(&[ids.len()], ids)),
            named("counts", Array::from_vec(&[counts.len()], counts)),
            named("mesh", Array::from_vec(&[mesh.len()], mesh)),
        ]
    }
    const NAMES: [&str; 3] = ["ids", "counts", "mesh"];

    #[test]
    fn parts_of_cells_have_their_blocks() {
        // On 3 x 4 x 5 blocks, 29 is at (2, 1, 2).
        let a = arrays(vec![7, 29, 5, 17, 16, 5, 29], vec![2, 0, 3, 2], vec![3, 4, 5, 4, 4, 4]);
        assert_eq!(cell_parts(&a, "counts", 1, 5), Ok(vec![1, 3, 1]));
        let all = Layout::of_arrays(&a, NAMES, 0, 7).unwrap();
        assert_eq!(all.around, BlockBox { origin: [1, 1, 0], blocks: [2, 2, 3] });
        assert_eq!(all.cells[1], [([1, 0, 0], 2), ([0, 0, 1], 4), ([1, 0, 1], 3)]);
        let some = Layout::of_arrays(&a, NAMES, 1, 3).unwrap();
        assert_eq!(some.cells, [vec![([0, 0, 2], 0)], vec![([0, 0, 0], 1), ([0, 0, 1], 2)]]);
        assert_eq!(Layout::of_arrays(&a, NAMES, 7, 0).unwrap(), Layout::default());
    }

    #[test]
    fn contradictions_are_refused() {
        let mesh = vec![3, 4, 5, 4, 4, 4];
        let bad = |ids: &[u32], counts: &[u32], mesh: &[u64], n: usize| {
            let a = arrays(ids.to_vec(), counts.to_vec(), mesh.to_vec());
            assert_eq!(Layout::of_arrays(&a, NAMES, 0, n).unwrap_err().kind(), ErrorKind::InvalidArgument);
        };
        bad(&[1, 2, 1], &[3], &mesh, 3);
        bad(&[1, 60, 2], &[3], &mesh, 3);
        bad(&[1, 2, 3], &[2], &mesh, 3);
        bad(&[1, 2], &[3], &mesh, 3);
        bad(&[1, 2, 3], &[3], &[3, 4], 3);
        bad(&[1, 2, 3], &[3], &[0, 4, 5], 3);
        assert!(Layout::of_arrays(&[], NAMES, 0, 0).is_err());
    }
}
