//! Velocity distributions of a whole grid in memory, compressed: what a solver reads and writes each step.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::array::{Array, Element, Shape, View};
use crate::bits::{put_section, ByteReader};
use crate::bound::{Bound, Criterion, Term};
use crate::codec::{decode_block, encode_block, Candidate, Chain, Companions, Spec, Task};
use crate::container::Plan;
use crate::error::{Error, Result};
use crate::vdf::{Distribution, Distributions, Mesh, Sparse, Velocities, BLOCK_CELLS, WID};

/// The names under which chains find what else belongs to a cell.
const IDS: &str = "ids";
const COUNTS: &str = "counts";
const MESH: &str = "mesh";
const NODES: [&str; 3] = ["x", "y", "z"];
const ORIGIN: &[usize] = &[0; 4];

/// Distributions on one velocity mesh, one for each cell of a grid, each compressed by itself under one bound. Any thread may read and write any cell;
/// who writes a cell waits for those who read it. Cells read last are kept decoded, as far as the cache allows.
///
/// ```
/// use fieldpress::store::VdfStore;
/// use fieldpress::vdf::{Mesh, Sparse};
/// use fieldpress::Bound;
/// let mesh = Mesh::unit([32, 32, 32])?;
/// let store = VdfStore::<f32>::new(mesh, 100, Bound::Abs(1e-3), 1 << 20)?;
/// store.put(7, &Sparse::new(mesh, vec![73, 74], vec![0.5; 128])?)?;
/// store.modify(7, |f| {
///     let halved = f.values().iter().map(|v| v / 2.0).collect();
///     Sparse::new(*mesh_of(f), f.ids().to_vec(), halved)
/// })?;
/// assert!((store.get(7)?.values()[0] - 0.25).abs() <= 1e-3 && store.get(8)?.ids().is_empty());
/// # fn mesh_of(f: &Sparse<f32>) -> &Mesh { use fieldpress::vdf::Distribution; f.mesh() }
/// # Ok::<(), fieldpress::Error>(())
/// ```
#[derive(Debug)]
pub struct VdfStore<T> {
    mesh: Mesh,
    bound: Bound,
    values: Chain,
    geometry: Chain,
    /// What chains need of the mesh.
    constant: Vec<(String, Arc<Array>)>,
    cells: Vec<RwLock<Packed>>,
    cache: Mutex<Cache<T>>,
}

/// A compressed distribution; without blocks there are no bytes.
#[derive(Debug, Default)]
struct Packed {
    blocks: usize,
    hint: Option<Term>,
    /// The ids in a section, then the payload of the values.
    bytes: Box<[u8]>,
}

/// How much memory a [`VdfStore`] takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Compressed distributions, and what is kept of each cell besides.
    pub compressed: u64,
    /// Decoded distributions in the cache.
    pub cached: u64,
    /// What all distributions would take as blocks with an id of 4 bytes each.
    pub raw: u64,
}

impl<T: Element> VdfStore<T> {
    /// A grid of `cells` cells without distributions on `mesh`, which are kept within `bound`; `cache` is how many bytes of decoded ones are
    /// kept. Errors: `InvalidArgument` for a bound that means nothing, a mesh that has no whole blocks, integers.
    pub fn new(mesh: Mesh, cells: usize, bound: Bound, cache: usize) -> Result<VdfStore<T>> {
        bound.validate()?;
        if !mesh.is_blocked() || !T::DTYPE.is_float() {
            return Err(Error::invalid(format!(
                "expected floats on a mesh of whole blocks, found {} on {:?} cells",
                T::DTYPE,
                mesh.cells()
            )));
        }
        let extents: Vec<u64> = mesh.blocks().iter().map(|n| *n as u64).chain([WID as u64; 3]).collect();
        let mut constant = vec![(MESH.to_string(), Arc::new(Array::from_vec(&[6], extents)?))];
        for (axis, name) in NODES.iter().enumerate() {
            let node = |i: usize| mesh.lower()[axis] + mesh.width()[axis] * i as f64;
            let nodes: Vec<f64> = (0..=mesh.cells()[axis]).map(node).collect();
            constant.push((name.to_string(), Arc::new(Array::from_vec(&[nodes.len()], nodes)?)));
        }
        Ok(VdfStore {
            mesh,
            bound,
            values: Chain::parse(&format!("vlasov:ids={IDS},counts={COUNTS},mesh={MESH},predictor=fixed"))?,
            geometry: Chain::parse(&format!("blockset:counts={COUNTS},mesh={MESH}"))?,
            constant,
            cells: std::iter::repeat_with(RwLock::default).take(cells).collect(),
            cache: Mutex::new(Cache::new(cache)),
        })
    }
    /// The number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }
    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    /// The distribution of a cell; without blocks where none was put. Errors: `InvalidArgument` for a cell beyond the grid.
    pub fn get(&self, cell: usize) -> Result<Arc<Sparse<T>>> {
        let packed = self.cell(cell)?.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.cache().get(cell) {
            return Ok(found);
        }
        let found = Arc::new(self.unpack(&packed)?);
        // The cell is still locked: nobody has put another.
        self.cache().put(cell, found.clone());
        Ok(found)
    }
    /// Replaces the distribution of a cell. Errors: `InvalidArgument` for a cell beyond the grid or another mesh.
    pub fn put(&self, cell: usize, distribution: &Sparse<T>) -> Result<()> {
        let mut slot = self.cell(cell)?.write().unwrap_or_else(PoisonError::into_inner);
        *slot = self.pack(distribution)?;
        self.cache().remove(cell);
        Ok(())
    }
    /// Replaces the distribution of a cell by what `change` makes of it; nobody reads or writes the cell meanwhile.
    /// Errors: those of `change`; as [`VdfStore::put`].
    pub fn modify(&self, cell: usize, change: impl FnOnce(&Sparse<T>) -> Result<Sparse<T>>) -> Result<()> {
        let mut slot = self.cell(cell)?.write().unwrap_or_else(PoisonError::into_inner);
        let cached = self.cache().remove(cell);
        let before = match cached {
            Some(found) => found,
            None => Arc::new(self.unpack(&slot)?),
        };
        *slot = self.pack(&change(&before)?)?;
        Ok(())
    }
    /// The memory in use.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory { cached: self.cache().used as u64, ..Memory::default() };
        for cell in &self.cells {
            let packed = cell.read().unwrap_or_else(PoisonError::into_inner);
            memory.compressed += (packed.bytes.len() + size_of::<RwLock<Packed>>()) as u64;
            memory.raw += bytes_of::<T>(packed.blocks) as u64;
        }
        memory
    }
    fn cell(&self, cell: usize) -> Result<&RwLock<Packed>> {
        let n = self.cells.len();
        self.cells.get(cell).ok_or_else(|| Error::invalid(format!("expected a cell below {n}, found {cell}")))
    }
    fn cache(&self) -> MutexGuard<'_, Cache<T>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What the chains need to know of a cell with so many blocks.
    fn companions(&self, blocks: usize) -> Result<Vec<(String, Arc<Array>)>> {
        let mut all = self.constant.clone();
        all.push((COUNTS.into(), Arc::new(Array::from_vec(&[1], vec![blocks as u64])?)));
        Ok(all)
    }
    fn pack(&self, distribution: &Sparse<T>) -> Result<Packed> {
        if *distribution.mesh() != self.mesh {
            return Err(Error::invalid(format!("expected the mesh {:?}, found another", self.mesh)));
        }
        let blocks = distribution.ids().len();
        if blocks == 0 {
            return Ok(Packed::default());
        }
        let mut companions = self.companions(blocks)?;
        let mut bytes = Vec::new();
        let ids = Array::from_vec(&[blocks], distribution.ids().to_vec())?;
        let exact = Criterion::exact();
        let mut part = Vec::new();
        let of_ids = task(&exact, Term::EXACT, 1, &companions, None);
        let chain = self.geometry.bind(&[], &Spec { dtype: ids.dtype(), shape: ids.shape() })?;
        encode_block(ids.data(), &ids.shape(), &[Candidate { index: 0, chain: &chain }], &of_ids, &mut part)?;
        put_section(&mut bytes, &part);
        companions.push((IDS.into(), Arc::new(ids)));

        let shape = Shape::new(&[blocks, WID, WID, WID])?;
        let view = View::new(&shape, distribution.values())?;
        let plan = Plan::new(&view, &self.bound, None, false)?;
        let distributions = velocities().of(&shape, &companions)?;
        let of_values = task(&plan.criterion, plan.hint, 4, &companions, Some(&distributions));
        let chain = self.values.bind(&[], &Spec { dtype: T::DTYPE, shape })?;
        let candidate = [Candidate { index: 0, chain: &chain }];
        encode_block(T::wrap(distribution.values()), &shape, &candidate, &of_values, &mut bytes)?;
        Ok(Packed { blocks, hint: Some(plan.hint), bytes: bytes.into() })
    }
    fn unpack(&self, packed: &Packed) -> Result<Sparse<T>> {
        let (blocks, Some(hint)) = (packed.blocks, packed.hint) else {
            return Sparse::new(self.mesh, Vec::new(), Vec::new());
        };
        let (mut companions, free) = (self.companions(blocks)?, Criterion::FREE);
        let mut r = ByteReader::new(&packed.bytes);
        let mut ids = vec![0u32; blocks];
        let shape = Shape::new(&[blocks])?;
        let chain = self.geometry.bind(&[], &Spec { dtype: crate::DType::U32, shape })?;
        let of_ids = task(&free, Term::EXACT, 1, &companions, None);
        decode_block(r.section()?, &shape, &[chain], &of_ids, u32::wrap_mut(&mut ids))?;
        companions.push((IDS.into(), Arc::new(Array::from_vec(&[blocks], ids.clone())?)));

        let mut values = vec![T::default(); blocks * BLOCK_CELLS];
        let shape = Shape::new(&[blocks, WID, WID, WID])?;
        let distributions = velocities().of(&shape, &companions)?;
        let of_values = task(&free, hint, 4, &companions, Some(&distributions));
        let chain = self.values.bind(&[], &Spec { dtype: T::DTYPE, shape })?;
        decode_block(r.rest(), &shape, &[chain], &of_values, T::wrap_mut(&mut values))?;
        Sparse::new(self.mesh, ids, values)
    }
}

/// What there is to do for a whole array with so many axes.
fn task<'a>(
    criterion: &'a Criterion,
    hint: Term,
    axes: usize,
    companions: Companions<'a>,
    distributions: Option<&'a Distributions>,
) -> Task<'a> {
    let origin = ORIGIN.get(..axes).unwrap_or_default();
    Task { criterion, hint, fill: None, measure: false, origin, companions, distributions, norm: None }
}

fn velocities() -> Velocities {
    let name = str::to_string;
    Velocities::Blocks { ids: name(IDS), counts: name(COUNTS), nodes: NODES.map(name) }
}

/// Bytes of so many blocks with their ids.
fn bytes_of<T: Element>(blocks: usize) -> usize {
    blocks * (BLOCK_CELLS * T::DTYPE.size() + 4)
}

/// Decoded distributions, those used last.
#[derive(Debug)]
struct Cache<T> {
    limit: usize,
    used: usize,
    clock: u64,
    /// When each was used.
    entries: HashMap<usize, (u64, Arc<Sparse<T>>)>,
    order: BTreeMap<u64, usize>,
}

impl<T: Element> Cache<T> {
    fn new(limit: usize) -> Cache<T> {
        Cache { limit, used: 0, clock: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }
    fn get(&mut self, cell: usize) -> Option<Arc<Sparse<T>>> {
        let (used, found) = self.entries.get_mut(&cell)?;
        self.clock += 1;
        self.order.remove(used);
        self.order.insert(self.clock, cell);
        *used = self.clock;
        Some(found.clone())
    }
    fn put(&mut self, cell: usize, distribution: Arc<Sparse<T>>) {
        self.remove(cell);
        let size = bytes_of::<T>(distribution.ids().len());
        if size > self.limit {
            return;
        }
        while self.used + size > self.limit {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(oldest);
        }
        self.clock += 1;
        self.used += size;
        self.order.insert(self.clock, cell);
        self.entries.insert(cell, (self.clock, distribution));
    }
    fn remove(&mut self, cell: usize) -> Option<Arc<Sparse<T>>> {
        let (used, found) = self.entries.remove(&cell)?;
        self.order.remove(&used);
        self.used -= bytes_of::<T>(found.ids().len());
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::vdf::Moments;

    fn mesh() -> Mesh {
        Mesh::new([32, 32, 32], [-1.6e6; 3], [1e5; 3]).unwrap()
    }
    /// A Maxwellian about a cell that depends on `k`, in the blocks where it is large enough.
    fn example(k: usize) -> Sparse<f32> {
        let mesh = mesh();
        let centre = [14.0 + k as f64 * 0.2, 16.0, 17.5 - k as f64 * 0.1];
        let value = |v: [usize; 3]| {
            let r: f64 = (0..3).map(|a| (v[a] as f64 - centre[a]) * (v[a] as f64 - centre[a])).sum();
            (1e-10 * libm::exp(-r / 10.0)) as f32
        };
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        for id in (0..512).rev() {
            let b = mesh.block_index(id).unwrap().map(|b| b * WID);
            let block: Vec<f32> = (0..64).map(|i| value([b[0] + i % 4, b[1] + i / 4 % 4, b[2] + i / 16])).collect();
            if block.iter().any(|v| *v > 1e-15) {
                ids.push(id);
                values.extend(block);
            }
        }
        Sparse::new(mesh, ids, values).unwrap()
    }

    #[test]
    fn many_threads_read_and_write_cells_within_the_bound() {
        let store = VdfStore::new(mesh(), 24, Bound::Abs(1e-15), 300_000).unwrap();
        (0..24usize).into_par_iter().try_for_each(|k| store.put(k, &example(k))).unwrap();
        let before = store.memory();
        assert!(before.cached == 0 && before.raw > 20 * 60 * 260 && before.compressed < before.raw / 8, "{before:?}");
        (0..200usize).into_par_iter().for_each(|i| {
            let (k, f) = (i % 24, store.get(i % 24).unwrap());
            let x = example(k);
            assert_eq!(f.ids(), x.ids());
            assert!(f.values().iter().zip(x.values()).all(|(a, b)| (a - b).abs() <= 1e-15));
        });
        let memory = store.memory();
        assert!(memory.cached > 100_000 && memory.cached <= 300_000 && memory.compressed == before.compressed);
        // Twenty-four threads at once would lose no change.
        (0..240usize).into_par_iter().for_each(|i| {
            let more =
                |f: &Sparse<f32>| Sparse::new(mesh(), f.ids().to_vec(), f.values().iter().map(|v| v + 1e-12).collect());
            store.modify(i % 24, more).unwrap();
        });
        for k in 0..24 {
            let (f, x) = (store.get(k).unwrap(), example(k));
            assert!(f.values().iter().zip(x.values()).all(|(a, b)| (a - b - 1e-11).abs() <= 1.3e-14), "{k}");
        }
        store.put(3, &Sparse::new(mesh(), Vec::new(), Vec::new()).unwrap()).unwrap();
        assert!(store.get(3).unwrap().ids().is_empty() && store.memory().raw < before.raw);
    }

    #[test]
    fn moments_are_kept_where_they_are_asked() {
        let bound = Bound::All(vec![Bound::Abs(1e-14), Bound::Conserve]);
        let store = VdfStore::new(mesh(), 1, bound, 0).unwrap();
        let mut expected = Moments::of(&example(5));
        store.put(0, &example(5)).unwrap();
        for _ in 0..5 {
            let f = store.get(0).unwrap();
            let found = Moments::of(f.as_ref());
            assert!((found.density / expected.density - 1.0).abs() < 2e-14);
            assert!((found.velocity[0] - expected.velocity[0]).abs() < 1e-13 * expected.thermal_speed());
            expected = found;
            store.modify(0, |f| Ok(f.clone())).unwrap();
        }
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let store = VdfStore::<f32>::new(mesh(), 2, Bound::Abs(1e-15), 0).unwrap();
        assert!(store.get(2).is_err() && store.put(2, &example(0)).is_err());
        let other = Sparse::new(Mesh::unit([32, 32, 32]).unwrap(), Vec::new(), Vec::new()).unwrap();
        assert!(store.put(0, &other).is_err());
        assert!(VdfStore::<f32>::new(Mesh::unit([30, 32, 32]).unwrap(), 2, Bound::Abs(1.0), 0).is_err());
        assert!(VdfStore::<i32>::new(mesh(), 2, Bound::Abs(1.0), 0).is_err());
        assert!(VdfStore::<f64>::new(mesh(), 2, Bound::Abs(-1.0), 0).is_err());
        // A change that fails leaves the cell as it was.
        store.put(0, &example(1)).unwrap();
        assert!(store.modify(0, |_| Err(Error::invalid("no"))).is_err());
        assert_eq!(store.get(0).unwrap().ids(), example(1).ids());
    }
}
