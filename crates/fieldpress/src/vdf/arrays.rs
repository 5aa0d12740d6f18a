//! Arrays that hold many distributions: which of their values are velocity cells of which distribution.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dense::Distribution;
use super::mesh::{Mesh, BLOCK_CELLS, WID};
use crate::array::{Array, Element, Region, Shape, Slice};
use crate::error::{Error, Result};

/// How the values of an array are velocity distributions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Velocities {
    /// The last three axes are `[vz, vy, vx]`, and each box of these is a distribution on a mesh of unit width.
    Dense,
    /// An array `[n, 4, 4, 4]` of sparse blocks `[vz, vy, vx]`, those of one distribution after those of another. What they are is
    /// told by other arrays, named here.
    Blocks {
        /// The ids of the blocks, see [`Mesh::block_id`].
        ids: String,
        /// The number of blocks of each distribution.
        counts: String,
        /// The boundaries of the velocity cells along vx, vy and vz.
        nodes: [String; 3],
    },
}

impl Velocities {
    /// The names of the arrays it needs.
    pub fn companions(&self) -> Vec<&str> {
        match self {
            Velocities::Dense => Vec::new(),
            Velocities::Blocks { ids, counts, nodes } => {
                [ids, counts].into_iter().chain(nodes).map(String::as_str).collect()
            }
        }
    }
    /// The distributions of an array of `shape`; `arrays` are those named, among others. Errors: `InvalidArgument` where the shape is another,
    /// or the arrays are missing or contradict each other.
    pub fn of(&self, shape: &Shape, arrays: &[(String, Arc<Array>)]) -> Result<Distributions> {
        let Velocities::Blocks { ids, counts, nodes } = self else {
            let &[.., nz, ny, nx] = shape.dims() else {
                return Err(Error::invalid(format!("expected an array [..., vz, vy, vx], found the shape {shape}")));
            };
            return Ok(Distributions { mesh: Mesh::unit([nx, ny, nz])?, shape: *shape, blocks: None });
        };
        let find = |name: &String| {
            let found = arrays.iter().find(|(n, _)| n == name).map(|(_, a)| a.as_ref());
            found.ok_or_else(|| Error::invalid(format!("expected the array {name:?}, found none")))
        };
        let nodes = [find(&nodes[0])?, find(&nodes[1])?, find(&nodes[2])?].map(|n| n.data().to_f64());
        let mesh = Mesh::from_nodes([&nodes[0], &nodes[1], &nodes[2]])?;
        let ids = integers(find(ids)?)?;
        if *shape.dims() != [ids.len(), WID, WID, WID] || !mesh.is_blocked() {
            return Err(Error::invalid(format!(
                "expected blocks of {WID} cells along each axis for {} ids, found {shape} on {:?} cells",
                ids.len(),
                mesh.cells()
            )));
        }
        let of_block = |&id: &u64| u32::try_from(id).ok().filter(|id| mesh.block_index(*id).is_some());
        let ids: Option<Arc<[u32]>> = ids.iter().map(of_block).collect();
        let ids = ids.ok_or_else(|| Error::invalid(format!("expected blocks of {:?}, found others", mesh.blocks())))?;
        let mut starts = vec![0usize];
        for n in integers(find(counts)?)? {
            let next = usize::try_from(n).ok().and_then(|n| n.checked_add(*starts.last()?));
            starts.push(next.unwrap_or(usize::MAX));
        }
        match starts.last() {
            Some(&n) if n == ids.len() => {
                Ok(Distributions { mesh, shape: *shape, blocks: Some(Blocks { ids, starts: starts.into() }) })
            }
            n => Err(Error::invalid(format!("expected {} blocks in all distributions, found {n:?}", ids.len()))),
        }
    }
}

/// Non-negative integers of any type. Errors: `InvalidArgument`.
pub(super) fn integers(array: &Array) -> Result<Vec<u64>> {
    let positive =
        |n: i64| u64::try_from(n).map_err(|_| Error::invalid(format!("expected no number below 0, found {n}")));
    match array.data() {
        Slice::U32(v) => Ok(v.iter().map(|&n| u64::from(n)).collect()),
        Slice::U64(v) => Ok(v.to_vec()),
        Slice::I32(v) => v.iter().map(|&n| positive(i64::from(n))).collect(),
        Slice::I64(v) => v.iter().map(|&n| positive(n)).collect(),
        other => Err(Error::invalid(format!("expected integers, found {}", other.dtype()))),
    }
}

/// The distributions of an array, see [`Velocities::of`].
#[derive(Clone, Debug, PartialEq)]
pub struct Distributions {
    mesh: Mesh,
    shape: Shape,
    blocks: Option<Blocks>,
}

#[derive(Clone, Debug, PartialEq)]
struct Blocks {
    ids: Arc<[u32]>,
    /// The first block of each distribution, and the number of all.
    starts: Arc<[usize]>,
}

/// Values of an array or of a part of it that are one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the values.
    pub values: Range<usize>,
    /// Which of the blocks of the array; empty where the distribution is not sparse.
    pub blocks: Range<usize>,
}

impl Distributions {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.blocks {
            Some(b) => b.starts.len() - 1,
            None => self.shape.len().checked_div(self.mesh.shape().len()).unwrap_or(0),
        }
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The shape of the array.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// The mesh of all of them.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }
    /// The values of distribution `index` among those of the whole array.
    pub fn place(&self, index: usize) -> Option<Place> {
        match &self.blocks {
            Some(b) => {
                let blocks = *b.starts.get(index)?..*b.starts.get(index.checked_add(1)?)?;
                Some(Place { values: blocks.start * BLOCK_CELLS..blocks.end * BLOCK_CELLS, blocks })
            }
            None => {
                let n = self.mesh.shape().len();
                (index < self.len()).then(|| Place { values: index * n..(index + 1) * n, blocks: 0..0 })
            }
        }
    }
    /// Where the first axis of an array of sparse blocks is to be cut so that every piece has whole distributions of together at least
    /// `least` values; `None` for other arrays.
    pub fn cuts(&self, least: usize) -> Option<Vec<usize>> {
        let starts = &self.blocks.as_ref()?.starts;
        let (mut lengths, mut first) = (Vec::new(), 0);
        for &end in starts.iter().skip(1) {
            if (end - first) * BLOCK_CELLS >= least.max(1) {
                lengths.push(end - first);
                first = end;
            }
        }
        let rest = starts.last().map_or(0, |end| end - first);
        lengths.extend((rest > 0).then_some(rest));
        Some(lengths)
    }
    /// The distributions in a part of the array, whose values are counted from the first in it, in C order.
    /// Errors: `InvalidArgument` where a distribution lies in it partly.
    pub fn within(&self, part: &Region) -> Result<Vec<Place>> {
        let cut = || {
            Error::invalid(format!(
                "expected whole distributions, found the part {:?} from {:?}",
                part.shape(),
                part.origin()
            ))
        };
        let Some(b) = &self.blocks else {
            let n = self.mesh.shape().len();
            let whole = part.shape().iter().zip(self.shape.iter()).rev().take(3).all(|(p, a)| p == a);
            if !whole {
                return Err(cut());
            }
            let count = part.shape().len().checked_div(n).unwrap_or(0);
            return Ok((0..count).map(|i| Place { values: i * n..(i + 1) * n, blocks: 0..0 }).collect());
        };
        let (Some(&first), Some(&n)) = (part.origin().first(), part.shape().first()) else { return Err(cut()) };
        let end = first.saturating_add(n);
        if part.shape().iter().skip(1).ne(self.shape.iter().skip(1)) {
            return Err(cut());
        }
        let from = b.starts.partition_point(|&s| s < first);
        let until = b.starts.partition_point(|&s| s < end);
        if n > 0 && (b.starts.get(from) != Some(&first) || b.starts.get(until) != Some(&end)) {
            return Err(cut());
        }
        let value = |block: usize| (block - first) * BLOCK_CELLS;
        let pairs = b.starts.get(from..=until).unwrap_or_default().windows(2);
        Ok(pairs.map(|w| Place { values: value(w[0])..value(w[1]), blocks: w[0]..w[1] }).collect())
    }
    /// One distribution, from all values of the array or part that its place belongs to.
    pub fn view<'a, T>(&'a self, place: &Place, values: &'a [T]) -> DistributionView<'a, T> {
        DistributionView {
            mesh: &self.mesh,
            ids: self.blocks.as_ref().map(|b| b.ids.get(place.blocks.clone()).unwrap_or_default()),
            values: values.get(place.values.clone()).unwrap_or_default(),
        }
    }
}

/// One of the distributions of an array.
#[derive(Clone, Copy, Debug)]
pub struct DistributionView<'a, T> {
    mesh: &'a Mesh,
    ids: Option<&'a [u32]>,
    values: &'a [T],
}

impl<'a, T> DistributionView<'a, T> {
    /// The ids of the blocks of a sparse one.
    pub fn ids(&self) -> Option<&'a [u32]> {
        self.ids
    }
    /// Its values, as they lie in the array.
    pub fn values(&self) -> &'a [T] {
        self.values
    }
    /// Its runs along vx, in the order of its values: the velocity cell in which each begins. All are of the same length.
    pub fn runs(&self) -> (usize, impl Iterator<Item = [usize; 3]> + 'a) {
        let ([nx, ny, nz], mesh) = (self.mesh.cells(), self.mesh);
        let blocks = self.ids.unwrap_or_default().iter().filter_map(|id| mesh.block_index(*id));
        let sparse =
            blocks.flat_map(|b| (0..WID * WID).map(move |r| [b[0] * WID, b[1] * WID + r % WID, b[2] * WID + r / WID]));
        let dense = (0..if self.ids.is_some() { 0 } else { ny * nz }).map(move |i| [0, i % ny, i / ny]);
        (if self.ids.is_some() { WID } else { nx }, sparse.chain(dense))
    }
}

impl<T: Element> Distribution for DistributionView<'_, T> {
    fn mesh(&self) -> &Mesh {
        self.mesh
    }
    fn for_each_run(&self, mut visit: impl FnMut([usize; 3], &[f64])) {
        let (length, starts) = self.runs();
        let mut run = Vec::with_capacity(length);
        for (start, values) in starts.zip(self.values.chunks_exact(length.max(1))) {
            run.clear();
            run.extend(values.iter().map(|f| f.to_f64()));
            visit(start, &run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Moments, Sparse};
    use super::*;

    fn named(arrays: Vec<(&str, Array)>) -> Vec<(String, Arc<Array>)> {
        arrays.into_iter().map(|(n, a)| (n.to_string(), Arc::new(a))).collect()
    }
    fn blocks() -> (Velocities, Vec<(String, Arc<Array>)>) {
        let node =
            |n: usize| Array::from_vec(&[4 * n + 1], (0..=4 * n).map(|i| i as f64 * 2.0 - 5.0).collect()).unwrap();
        let arrays = vec![
            ("ids", Array::from_vec(&[6], vec![0u32, 5, 7, 11, 3, 0]).unwrap()),
            ("counts", Array::from_vec(&[4], vec![2u32, 0, 3, 1]).unwrap()),
            ("x", node(2)),
            ("y", node(3)),
            ("z", node(2)),
        ];
        let name = str::to_string;
        let velocities =
            Velocities::Blocks { ids: name("ids"), counts: name("counts"), nodes: ["x", "y", "z"].map(name) };
        (velocities, named(arrays))
    }

    #[test]
    fn blocks_of_one_cell_after_those_of_another() {
        let (velocities, arrays) = blocks();
        assert_eq!(velocities.companions(), ["ids", "counts", "x", "y", "z"]);
        let shape = Shape::new(&[6, 4, 4, 4]).unwrap();
        let all = velocities.of(&shape, &arrays).unwrap();
        assert_eq!((all.len(), all.mesh().cells()), (4, [8, 12, 8]));
        assert_eq!(all.cuts(1), Some(vec![2, 3, 1]));
        assert_eq!((all.cuts(200), all.cuts(1 << 20)), (Some(vec![5, 1]), Some(vec![6])));
        let part = |first, n| Region::new(&shape, &[first, 0, 0, 0], &[n, 4, 4, 4]).unwrap();
        let places = all.within(&part(2, 4)).unwrap();
        // The empty one lies between those before and those after.
        assert_eq!(places.iter().map(|p| p.values.clone()).collect::<Vec<_>>(), [0..0, 0..192, 192..256]);
        assert!(all.within(&part(1, 1)).is_err() && all.within(&part(0, 3)).is_err());
        assert!(all.within(&Region::new(&shape, &[0, 0, 0, 0], &[6, 4, 4, 2]).unwrap()).is_err());
        let f: Vec<f32> = (0..384).map(|i| (i % 37) as f32).collect();
        let third = all.place(2).unwrap();
        assert_eq!((third.values.clone(), third.blocks.clone(), all.place(4)), (128..320, 2..5, None));
        let view = all.view(&third, &f);
        let same = Sparse::new(*all.mesh(), vec![7, 11, 3], f[128..320].to_vec()).unwrap();
        assert_eq!((view.ids(), Moments::of(&view)), (Some(same.ids()), Moments::of(&same)));
    }

    #[test]
    fn arrays_that_contradict_each_other_are_refused() {
        let (velocities, arrays) = blocks();
        let shape = |n| Shape::new(&[n, 4, 4, 4]).unwrap();
        assert!(velocities.of(&shape(5), &arrays).is_err());
        assert!(velocities.of(&Shape::new(&[6, 8, 4, 2]).unwrap(), &arrays).is_err());
        for missing in 0..5 {
            let mut fewer = arrays.clone();
            fewer.remove(missing);
            assert!(velocities.of(&shape(6), &fewer).is_err());
        }
        let with = |at: usize, array: Array| {
            let mut other = arrays.clone();
            other[at].1 = Arc::new(array);
            velocities.of(&shape(6), &other)
        };
        assert!(with(0, Array::from_vec(&[6], vec![0u32, 5, 7, 12, 3, 0]).unwrap()).is_err());
        assert!(with(1, Array::from_vec(&[4], vec![2u64, u64::MAX, 5, 0]).unwrap()).is_err());
        assert!(with(1, Array::from_vec(&[2], vec![2i64, -2]).unwrap()).is_err());
        assert!(with(1, Array::from_vec(&[4], vec![2i64, 0, 4, 0]).unwrap()).is_ok());
        assert!(with(2, Array::from_vec(&[8], (0..8).map(f64::from).collect()).unwrap()).is_err());
    }

    #[test]
    fn the_last_three_axes_are_a_distribution() {
        let shape = Shape::new(&[2, 3, 2, 3, 4]).unwrap();
        let all = Velocities::Dense.of(&shape, &[]).unwrap();
        assert_eq!((all.len(), all.cuts(1), all.place(5).unwrap().values), (6, None, 120..144));
        let row = Region::new(&shape, &[1, 0, 0, 0, 0], &[1, 3, 2, 3, 4]).unwrap();
        assert_eq!(all.within(&row).unwrap().len(), 3);
        assert!(all.within(&Region::new(&shape, &[1, 0, 0, 0, 0], &[1, 3, 2, 3, 3]).unwrap()).is_err());
        assert!(Velocities::Dense.of(&Shape::new(&[5, 5]).unwrap(), &[]).is_err());
        let none = Velocities::Dense.of(&Shape::new(&[2, 0, 3, 4]).unwrap(), &[]).unwrap();
        assert!(none.is_empty());
    }
}
