//! `blockset`: the ids of sparse velocity blocks, as the set of blocks of each cell and the order they are in.
//!
//! Source: the sets are coded as images, see [`crate::entropy::occupancy`]; orders as permutations, each block by its rank among those
//! that are left (the Lehmer code) unless a guess is right: lists from which blocks were taken, and the last one put in their place, keep
//! runs of their first order, and those of cells side by side keep what they had in common.
//!
//! # Format
//! Without values, nothing. Else:
//!
//! | bytes | content |
//! |---|---|
//! | 6 varints | the first block of a box and its extents in blocks, along vx, vy and vz |
//! | rest | for each cell, or part of one, a set in the box of as many blocks as it has, then its order; decisions of [`crate::entropy::range`] |
//!
//! A block `(bx, by, bz)` has the id `bx + Nx (by + Ny bz)`; `counts` tells where cells begin, and `mesh` has `Nx`, `Ny`, `Nz` first.
//!
//! The order of a cell is coded block by block, as long as two are left. The *follower* of the block before is what came after it in the cell
//! before, and after that one while it is not in the set, at most 64 times; of none, what came first. If it is left, a decision tells whether it is
//! the next, with model `h`. If not, a decision tells whether the next is the first one left behind the block before (in the order of
//! places; of none, the first one left), if there is one that is not the follower, with model `4 + 2 h`, plus 1 when it is the neighbour along vx. If not, its rank among those left, from 0: the range of ranks is
//! halved until one remains, with a decision whether the rank is in the upper part `floor((n + 1) / 2)..n` of `n`, true with the
//! probability `floor(65536 floor(n / 2) / n) / 65536`. `h` is 0 at first, then tells how the block before was found: 1 as a follower, 2 as the first behind, 0 by its rank.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{DType, Slice, SliceMut};
use crate::bits::{put_varint, ByteReader};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, BlockCodec, Claim, Codec, Site, Spec};
use crate::entropy::{BinaryDecoder, BinaryEncoder, Bit, Decisions, Occupancy};
use crate::error::{Error, ErrorKind, Result};
use crate::vdf::{cell_parts, mesh_extents, Layout};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "blockset",
    doc: "The ids of sparse velocity blocks, as the set of blocks of each cell and its order.",
    params: &[
        ("counts", "the array of the numbers of blocks of the cells; required"),
        ("mesh", "the array of the extents of the mesh in blocks, those along vx, vy, vz first; required"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Blockset>("blockset", v)?))),
    idempotent: true,
    unbounded: false,
};

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blockset {
    /// The array of the numbers of blocks of the cells.
    pub counts: String,
    /// The array of the extents of the mesh.
    pub mesh: String,
}

impl Codec for Blockset {
    fn id(&self) -> &'static str {
        "blockset"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn companions(&self) -> Vec<String> {
        [&self.counts, &self.mesh].into_iter().filter(|n| !n.is_empty()).cloned().collect()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(BoundBlockset { blockset: self.clone(), spec: *spec }))
    }
}

struct BoundBlockset {
    blockset: Blockset,
    spec: Spec,
}

/// Places of a box that may be looked at for each block there is, and besides.
const MOST_PLACES: (usize, usize) = (4096, 1 << 20);
/// How often what followed is followed.
const FAR: usize = 64;
/// No place.
const NONE: u32 = u32::MAX;

/// The number of places of a box. Errors: `InvalidArgument` where looking at all of them for each cell would take far longer than there are blocks.
fn volume(extents: [usize; 3], cells: usize, blocks: usize) -> Result<usize> {
    let places = extents.iter().try_fold(1usize, |n, e| n.checked_mul(*e));
    let most = blocks.saturating_mul(MOST_PLACES.0).saturating_add(MOST_PLACES.1);
    let fits = |n: &usize| n.checked_mul(cells.max(1)).is_some_and(|all| all <= most) && *n < NONE as usize;
    places.filter(fits).ok_or_else(|| {
        Error::invalid(format!("expected {blocks} blocks of {cells} cells in a smaller box, found {extents:?}"))
    })
}

/// What is left of a set: ranks among it, by sums over a binary tree (P. M. Fenwick, 1994).
struct Left {
    /// From 1: how many are left of the `i & -i` up to `i`.
    sums: Vec<u32>,
    is_left: Vec<bool>,
}

impl Left {
    fn all(n: usize) -> Left {
        let sums = (0..=n).map(|i| (i & i.wrapping_neg()) as u32).collect();
        Left { sums, is_left: vec![true; n] }
    }
    /// How many are left before `i`.
    fn before(&self, mut i: usize) -> usize {
        let mut sum = 0;
        while i > 0 {
            sum += self.sums[i] as usize;
            i &= i - 1;
        }
        sum
    }
    /// The one with so many left before it; the number of all there were where there is none.
    fn at(&self, mut rank: usize) -> usize {
        let n = self.is_left.len();
        let mut at = 0;
        let mut step = (n + 1).next_power_of_two();
        while step > 0 {
            if let Some(&s) = self.sums.get(at + step).filter(|s| **s as usize <= rank) {
                rank -= s as usize;
                at += step;
            }
            step /= 2;
        }
        at
    }
    fn take(&mut self, i: usize) {
        self.is_left[i] = false;
        let mut k = i + 1;
        while let Some(s) = self.sums.get_mut(k) {
            *s -= 1;
            k += k & k.wrapping_neg();
        }
    }
}

/// Codes orders, one after the other.
struct Orders {
    models: [Bit; 10],
    /// For each place, which came after it in the cell before; last, which came first.
    next: Vec<u32>,
    /// The rank of each place in the set.
    rank: Vec<u32>,
}

impl Orders {
    /// For sets in a box of so many places. Errors: `LimitExceeded`.
    fn new(places: usize) -> Result<Orders> {
        let room = |n: usize| -> Result<Vec<u32>> {
            let mut v = Vec::new();
            v.try_reserve_exact(n)
                .map_err(|_| Error::limit(format!("expected memory for {n} places, found too little")))?;
            v.resize(n, NONE);
            Ok(v)
        };
        Ok(Orders { models: [Bit::new(); 10], next: room(places + 1)?, rank: room(places)? })
    }
    /// Codes the order of a set, places that rise: for each block its rank in the set (a decoder ignores it). Returns what was coded.
    fn code<D: Decisions>(&mut self, io: &mut D, set: &[u32], order: &[usize]) -> Vec<usize> {
        for (rank, &place) in set.iter().enumerate() {
            self.rank[place as usize] = rank as u32;
        }
        let first = self.next.len() - 1;
        let (mut left, mut coded) = (Left::all(set.len()), Vec::with_capacity(set.len()));
        let (mut history, mut last) = (0, None);
        for j in 0..set.len() {
            let own = order.get(j).copied().unwrap_or(0);
            let remaining = set.len() - j;
            let rank = if remaining == 1 {
                left.at(0)
            } else {
                let (how, rank) = self.step(io, set, &left, last, history, own);
                history = how;
                rank
            };
            left.take(rank);
            coded.push(rank);
            last = Some(rank);
        }
        self.next.fill(NONE);
        let mut before = first;
        for &rank in &coded {
            self.next[before] = set[rank];
            before = set[rank] as usize;
        }
        set.iter().for_each(|&place| self.rank[place as usize] = NONE);
        coded
    }
    /// One block: how it was found, and its rank in the set.
    fn step<D: Decisions>(
        &mut self,
        io: &mut D,
        set: &[u32],
        left: &Left,
        last: Option<usize>,
        history: usize,
        own: usize,
    ) -> (usize, usize) {
        let first = self.next.len() - 1;
        let mut follower = self.next[last.map_or(first, |r| set[r] as usize)];
        for _ in 0..FAR {
            if follower == NONE || self.rank[follower as usize] != NONE {
                break;
            }
            follower = self.next[follower as usize];
        }
        let in_set = |place: u32| self.rank.get(place as usize).filter(|r| **r != NONE).map(|r| *r as usize);
        let follower = in_set(follower).filter(|r| left.is_left[*r]);
        if let Some(r) = follower {
            if io.learn(&mut self.models[history], own == r) {
                return (1, r);
            }
        }
        let behind = left.at(left.before(last.map_or(0, |r| r + 1)));
        if behind < set.len() && follower != Some(behind) {
            let beside = last.is_some_and(|r| set[r] + 1 == set[behind]);
            if io.learn(&mut self.models[4 + 2 * history + usize::from(beside)], own == behind) {
                return (2, behind);
            }
        }
        let target = left.before(own.min(set.len()));
        let (mut from, mut n) = (0, left.before(set.len()));
        while n > 1 {
            let lower = n.div_ceil(2);
            let p = ((65536 * (n / 2)) / n) as u64;
            if io.decide(p, target >= from + lower) {
                from += lower;
                n /= 2;
            } else {
                n = lower;
            }
        }
        (0, left.at(from))
    }
}

/// The place of a block in a box, in the order of ids.
fn position(extents: [usize; 3], [x, y, z]: [usize; 3]) -> u32 {
    (x + extents[0] * (y + extents[1] * z)) as u32
}

impl BoundBlockset {
    fn parts(&self, site: &Site<'_>) -> Result<(Vec<usize>, [usize; 3])> {
        if self.spec.dtype != DType::U32 || self.spec.shape.rank() != 1 {
            return Err(Error::invalid(format!(
                "expected ids, u32 [n], found {} {}",
                self.spec.dtype, self.spec.shape
            )));
        }
        let (first, n) = (site.origin.first().copied().unwrap_or(0), self.spec.shape.len());
        let parts = cell_parts(site.companions, &self.blockset.counts, first, n)?;
        Ok((parts, mesh_extents(site.companions, &self.blockset.mesh)?))
    }
    /// The ids of a box's places. Errors: `Corrupt` for those beyond the mesh or 32 bits.
    fn read(&self, bytes: &[u8], parts: &[usize], mesh: [usize; 3], ids: &mut [u32]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let mut numbers = [0; 6];
        for (k, n) in numbers.iter_mut().enumerate() {
            *n = r.count(mesh[k % 3])?;
        }
        let [ox, oy, oz, extents @ ..] = numbers;
        let origin = [ox, oy, oz];
        if (0..3).any(|k| origin[k] + extents[k] > mesh[k]) {
            return Err(Error::corrupt(format!(
                "expected a box in a mesh of {mesh:?}, found {origin:?} and {extents:?}"
            )));
        }
        let places = volume(extents, parts.len(), ids.len())?;
        let mut io = BinaryDecoder::new(r.rest());
        let (mut sets, mut orders) = (Occupancy::new(extents)?, Orders::new(places)?);
        let mut rest = ids;
        for &n in parts {
            let set = sets.code(&mut io, &[], Some(n));
            if set.len() != n || rest.len() < n {
                io.finish()?;
                return Err(Error::corrupt(format!("expected a set of {n} blocks, found {}", set.len())));
            }
            let own: Vec<u32> = set.iter().map(|p| position(extents, *p)).collect();
            let order = orders.code(&mut io, &own, &[]);
            let (head, tail) = rest.split_at_mut(n);
            for (id, rank) in head.iter_mut().zip(order) {
                let [x, y, z] = set.get(rank).copied().unwrap_or_default();
                let row = (y + oy).checked_add(mesh[1].checked_mul(z + oz).ok_or_else(too_large)?);
                let wide = row.and_then(|row| row.checked_mul(mesh[0])?.checked_add(x + ox));
                *id = wide.and_then(|id| u32::try_from(id).ok()).ok_or_else(too_large)?;
            }
            rest = tail;
        }
        io.finish()
    }
}

fn too_large() -> Error {
    Error::corrupt("expected ids of 32 bits, found larger ones")
}

impl BlockCodec for BoundBlockset {
    fn encode(&self, x: &Block<'_>, _hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        let (parts, mesh) = self.parts(&x.site)?;
        let Slice::U32(ids) = x.values else {
            return Err(Error::invalid(format!("expected ids, found {}", x.values.dtype())));
        };
        if ids.is_empty() {
            return Ok(Claim::Bounded);
        }
        let wide: Vec<u64> = ids.iter().map(|&id| u64::from(id)).collect();
        let layout = Layout::new(mesh, &wide, &parts)?;
        let extents = layout.around.blocks;
        let places = volume(extents, parts.len(), ids.len())?;
        layout.around.origin.iter().chain(&extents).for_each(|&n| put_varint(out, n as u64));
        let mut io = BinaryEncoder::new();
        let (mut sets, mut orders) = (Occupancy::new(extents)?, Orders::new(places)?);
        for cell in &layout.cells {
            let set: Vec<[usize; 3]> = cell.iter().map(|(place, _)| *place).collect();
            sets.code(&mut io, &set, Some(set.len()));
            let own: Vec<u32> = set.iter().map(|p| position(extents, *p)).collect();
            let mut order: Vec<(usize, usize)> = cell.iter().enumerate().map(|(rank, (_, i))| (*i, rank)).collect();
            order.sort_unstable();
            let order: Vec<usize> = order.into_iter().map(|(_, rank)| rank).collect();
            orders.code(&mut io, &own, &order);
        }
        out.extend(io.finish());
        Ok(Claim::Bounded)
    }
    fn decode(&self, bytes: &[u8], site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let corrupt = |e: Error| match e.kind() {
            ErrorKind::InvalidArgument => Error::corrupt(e.message()),
            _ => e,
        };
        let (parts, mesh) = self.parts(site).map_err(corrupt)?;
        match out {
            SliceMut::U32([]) => ByteReader::new(bytes).end(),
            SliceMut::U32(ids) => self.read(bytes, &parts, mesh, ids).map_err(corrupt),
            other => Err(Error::corrupt(format!("expected room for ids, found {}", other.dtype()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, Shape};
    use std::sync::Arc;

    const MESH: [u64; 6] = [20, 15, 12, 4, 4, 4];

    fn companions(counts: &[u32], mesh: &[u64]) -> Vec<(String, Arc<Array>)> {
        let named = |n: &str, a: Result<Array>| (n.to_string(), Arc::new(a.unwrap()));
        vec![
            named("counts", Array::from_vec(&[counts.len()], counts.to_vec())),
            named("mesh", Array::from_vec(&[mesh.len()], mesh.to_vec())),
        ]
    }
    fn bound(n: usize) -> BoundBlockset {
        let blockset = Blockset { counts: "counts".into(), mesh: "mesh".into() };
        BoundBlockset { blockset, spec: Spec { dtype: DType::U32, shape: Shape::new(&[n]).unwrap() } }
    }
    fn encode(ids: &[u32], companions: &[(String, Arc<Array>)], origin: usize) -> Result<Vec<u8>> {
        let (bound, mut out) = (bound(ids.len()), Vec::new());
        let site = Site { mask: None, origin: &[origin], companions, mean_square: false };
        bound.encode(&Block { shape: bound.spec.shape, values: Slice::U32(ids), site }, &Term::EXACT, &mut out)?;
        Ok(out)
    }
    fn decode(bytes: &[u8], n: usize, companions: &[(String, Arc<Array>)], origin: usize) -> Result<Vec<u32>> {
        let mut ids = vec![7; n];
        bound(n).decode(
            bytes,
            &Site { mask: None, origin: &[origin], companions, mean_square: false },
            SliceMut::U32(&mut ids),
        )?;
        Ok(ids)
    }
    /// The blocks of a ball about `centre` along vx, by rising id.
    fn ball(centre: i64) -> Vec<u32> {
        let far = |id: &u32| {
            let (x, y, z) = (i64::from(id % 20), i64::from(id / 20 % 15), i64::from(id / 300));
            (x - centre).pow(2) + (y - 7).pow(2) + (z - 6).pow(2)
        };
        (0..3600).filter(|id| far(id) < 20).collect()
    }
    fn bits(cells: &[Vec<u32>]) -> f64 {
        let (ids, counts) = (cells.concat(), cells.iter().map(|c| c.len() as u32).collect::<Vec<_>>());
        let companions = companions(&counts, &MESH);
        let bytes = encode(&ids, &companions, 0).unwrap();
        assert_eq!(decode(&bytes, ids.len(), &companions, 0).unwrap(), ids);
        8.0 * bytes.len() as f64 / ids.len().max(1) as f64
    }
    fn shuffled(mut ids: Vec<u32>, seed: u64) -> Vec<u32> {
        let mut s = seed;
        for i in (1..ids.len()).rev() {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ids.swap(i, (s >> 33) as usize % (i + 1));
        }
        ids
    }

    #[test]
    fn orders_cost_what_is_not_known_of_them() {
        let sorted: Vec<Vec<u32>> = (0..8).map(|c| ball(6 + c)).collect();
        let n = sorted[0].len() as f64;
        assert!(n > 300.0 && bits(&sorted) < 1.2, "{}", bits(&sorted));
        // Blocks taken away, the last one in the place of each.
        let mut holes = sorted.clone();
        for ids in &mut holes {
            for i in 0..20 {
                ids.swap_remove(i * 13);
            }
        }
        assert!(bits(&holes) < 3.5, "{}", bits(&holes));
        // The same disorder in each cell.
        let alike: Vec<Vec<u32>> = (0..8).map(|_| shuffled(ball(9), 3)).collect();
        assert!(bits(&alike) < 3.0, "{}", bits(&alike));
        let chance: Vec<Vec<u32>> = (0..8).map(|c| shuffled(ball(9), c)).collect();
        let log_factorial: f64 = (1..=n as usize).map(|i| libm::log2(i as f64)).sum();
        let chance = bits(&chance);
        assert!(chance > log_factorial / n && chance < log_factorial / n + 0.6, "{chance} {}", log_factorial / n);
        let reversed: Vec<Vec<u32>> = sorted.iter().map(|c| c.iter().rev().copied().collect()).collect();
        assert!(bits(&reversed) < 10.0);
    }

    #[test]
    fn cells_of_few_blocks_and_parts_of_cells() {
        bits(&[vec![], vec![5], vec![], vec![3599, 0], vec![7, 6, 5]]);
        bits(&[]);
        let (ids, counts) = ([ball(6), shuffled(ball(8), 1), ball(9)].concat(), [ball(6).len() as u32; 3]);
        let companions = companions(&counts, &MESH);
        for part in [100..900, 0..1, 400..400, 1..ids.len()] {
            let bytes = encode(&ids[part.clone()], &companions, part.start).unwrap();
            assert_eq!(decode(&bytes, part.len(), &companions, part.start).unwrap(), ids[part]);
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let kind =
            |ids: &[u32], counts: &[u32], mesh: &[u64]| encode(ids, &companions(counts, mesh), 0).unwrap_err().kind();
        let invalid = ErrorKind::InvalidArgument;
        assert_eq!(kind(&[1, 2, 1], &[3], &MESH), invalid);
        assert_eq!(kind(&[1, 3600], &[2], &MESH), invalid);
        assert_eq!(kind(&[1, 2, 3], &[2], &MESH), invalid);
        assert_eq!(kind(&[1, 2], &[2], &MESH[..2]), invalid);
        assert_eq!(kind(&[0, u32::MAX], &[2], &[1 << 11, 1 << 11, 1 << 11]), invalid, "a box of too many places");
        assert_eq!(encode(&[1], &[], 0).unwrap_err().kind(), invalid);
        let spec = Spec { dtype: DType::I32, shape: Shape::new(&[1]).unwrap() };
        let other = Blockset::default().bind(&[], &spec).unwrap();
        let block = Block { shape: spec.shape, values: Slice::I32(&[1]), site: Site::default() };
        assert_eq!(other.encode(&block, &Term::EXACT, &mut Vec::new()).unwrap_err().kind(), invalid);
    }

    #[test]
    fn damage_never_panics_and_prefixes_are_truncated() {
        let ids = [ball(6), shuffled(ball(7), 1)].concat();
        let right = companions(&[ball(6).len() as u32, ball(7).len() as u32], &MESH);
        let bytes = encode(&ids, &right, 0).unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], ids.len(), &right, 0).unwrap_err().kind(), ErrorKind::Truncated);
        }
        let kind = |n: usize, companions: &[(String, Arc<Array>)]| decode(&bytes, n, companions, 0).unwrap_err().kind();
        assert_eq!(kind(ids.len() + 1, &right), ErrorKind::Corrupt);
        assert_eq!(kind(ids.len(), &companions(&[5, 5], &MESH)), ErrorKind::Corrupt);
        assert_eq!(kind(ids.len(), &companions(&[2000], &[3, 3, 3])), ErrorKind::Corrupt);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let _ = decode(&bad, ids.len(), &right, 0);
        }
        let wide = companions(&[2000], &[u64::MAX >> 1; 3]);
        for b in 0..=255 {
            let _ = decode(&[b; 60], ids.len(), &right, 0);
            let _ = decode(&[b; 60], 500, &wide, 0);
        }
    }
}
