//! Which points elements share: corners by their coordinates, edges and faces by their corners, in whatever direction each element sees them.
//!
//! # Format
//! All arithmetic is in `f64`, each operation rounded. The corners of the elements, in the order of the array and of the bits of their places, are numbered: a corner is
//! the one with the least number before it that differs by at most `e` in each coordinate, in the cells of a grid of width `8 e` where such may be, those of lower
//! indices along x, then y, then z first; else it is new. `e` is 0.1 times the shortest distance above 0 between two corners at the ends of an edge, or 2^-52 times the largest
//! magnitude of a coordinate of a corner if that is more, 1 if both are 0. A mesh is
//! periodic along a coordinate where each vertex within `e` of the greatest value has one within `e` of the least that is as near in
//! the other coordinates, and these are as many, and no element has two such corners: then the former are the latter.
//!
//! Points at corners are one where the corners are; inside an edge, where its two vertices are the same, counted from that of the lesser number;
//! inside a face, where its four vertices are, counted from the one of the least number, first towards the neighbour of the lesser number. An element
//! with one vertex at two corners shares nothing.

use std::collections::HashMap;

use super::gll::{MAX_POINTS, MIN_POINTS};
use crate::error::{Error, Result};

/// Corners are the same where they are nearer than this part of the shortest edge.
const NEAR: f64 = 0.1;

/// The numbers of the corners of every element, `2^d` each; bit `a` of a corner's place tells which end of axis `a` it is at, axis 0 being the
/// fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertices {
    dimensions: usize,
    ids: Vec<u32>,
    /// Where each vertex lies, and how near counts as the same.
    places: Vec<[f64; 3]>,
    near: f64,
}

impl Vertices {
    /// From the coordinates of all points, one array for each dimension (2 or 3) with `n^d` values an element. Corners at one place are one.
    /// Errors: `InvalidArgument` for other dimensions, lengths that are not alike, or values that are not numbers; `LimitExceeded`.
    pub fn new(coordinates: &[&[f64]], n: usize) -> Result<Vertices> {
        let d = coordinates.len();
        let first = coordinates.first().map_or(0, |c| c.len());
        if !(2..=3).contains(&d)
            || !(MIN_POINTS..=MAX_POINTS).contains(&n)
            || coordinates.iter().any(|c| c.len() != first)
        {
            return Err(Error::invalid(format!("expected 2 or 3 coordinates of elements of {n} points along an axis")));
        }
        let size = n.pow(d as u32);
        if !first.is_multiple_of(size) {
            return Err(Error::invalid(format!(
                "expected coordinates of whole elements of {size} points, found {first}"
            )));
        }
        let corners = 1usize << d;
        let offset = |c: usize| (0..d).filter(|a| c >> a & 1 == 1).map(|a| (n - 1) * n.pow(a as u32)).sum::<usize>();
        let mut all = Vec::with_capacity(first / size * corners);
        for e in 0..first / size {
            for c in 0..corners {
                let mut place = [0.0; 3];
                place.iter_mut().zip(coordinates).for_each(|(p, v)| *p = v[e * size + offset(c)]);
                all.push(place);
            }
        }
        if all.iter().flatten().any(|v| !v.is_finite()) {
            return Err(Error::invalid("expected coordinates that are numbers"));
        }
        let distance = |a: &[f64; 3], b: &[f64; 3]| (0..3).fold(0.0, |s, k| s + (a[k] - b[k]) * (a[k] - b[k])).sqrt();
        let mut shortest = f64::INFINITY;
        for element in all.chunks_exact(corners) {
            for c in 0..corners {
                for a in (0..d).filter(|a| c >> a & 1 == 0) {
                    let edge = distance(&element[c], &element[c | 1 << a]);
                    shortest = if edge > 0.0 { shortest.min(edge) } else { shortest };
                }
            }
        }
        // Nearer than that coordinates of this size cannot be told apart.
        let largest = all.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs()));
        let near = (if shortest.is_finite() { NEAR * shortest } else { 0.0 }).max(largest * f64::EPSILON);
        let near = if near > 0.0 { near } else { 1.0 };
        let mut grid = Places { cell: 8.0 * near, near, cells: HashMap::new(), places: Vec::new() };
        let ids = all.iter().map(|p| grid.id(p)).collect::<Result<_>>()?;
        Ok(Vertices { dimensions: d, ids, places: grid.places, near })
    }
    /// 2 or 3.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }
    /// How many different ones there may be: all numbers are below.
    pub fn len(&self) -> usize {
        self.places.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
    /// The elements whose corners some of these `numbers` are, in rising order.
    pub fn elements_at(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut wanted = vec![false; self.len()];
        for i in numbers {
            if let Some(w) = wanted.get_mut(i as usize) {
                *w = true;
            }
        }
        let any = |ids: &[u32]| ids.iter().any(|i| wanted.get(*i as usize) == Some(&true));
        let elements = self.ids.chunks_exact(1 << self.dimensions).enumerate();
        elements.filter(|(_, ids)| any(ids)).map(|(e, _)| e).collect()
    }
    /// The numbers, `2^d` an element.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
    /// The same where the two ends of the mesh along a coordinate are one: all vertices with its least value and all with its greatest, each with
    /// the one that has the same other coordinates. `None` where some have no such partner, or an element would meet itself.
    pub fn periodic(&self, axis: usize) -> Option<Vertices> {
        let value = |p: &[f64; 3]| p.get(axis).copied().unwrap_or(0.0);
        let low = self.places.iter().map(value).fold(f64::INFINITY, f64::min);
        let high = self.places.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        if axis >= self.dimensions || high - low <= 4.0 * self.near {
            return None;
        }
        let at = |end: f64| move |p: &[f64; 3]| (value(p) - end).abs() <= self.near;
        let mut grid = Places { cell: 8.0 * self.near, near: self.near, cells: HashMap::new(), places: Vec::new() };
        let flat = |p: &[f64; 3]| {
            let mut q = *p;
            q[axis.min(2)] = 0.0;
            q
        };
        // Vertices of the low end by their other coordinates; numbers of this grid to those of vertices.
        let mut own: Vec<u32> = Vec::new();
        for (i, p) in self.places.iter().enumerate().filter(|(_, p)| at(low)(p)) {
            if grid.id(&flat(p)).ok()? as usize != own.len() {
                return None;
            }
            own.push(i as u32);
        }
        let mut same: Vec<u32> = (0..self.places.len() as u32).collect();
        let mut found = 0;
        for (i, p) in self.places.iter().enumerate().filter(|(_, p)| at(high)(p)) {
            same[i] = *own.get(grid.find(&flat(p))? as usize)?;
            found += 1;
        }
        if found != own.len() {
            return None;
        }
        let ids: Vec<u32> = self.ids.iter().map(|i| same.get(*i as usize).copied().unwrap_or(*i)).collect();
        let corners = 1usize << self.dimensions;
        let meets_itself =
            |(new, old): (&[u32], &[u32])| (0..corners).any(|a| (0..a).any(|b| new[a] == new[b] && old[a] != old[b]));
        if ids.chunks_exact(corners).zip(self.ids.chunks_exact(corners)).any(meets_itself) {
            return None;
        }
        Some(Vertices { ids, ..self.clone() })
    }
}

/// Places with numbers, found again by being near.
struct Places {
    cell: f64,
    near: f64,
    cells: HashMap<[i64; 3], Vec<u32>>,
    places: Vec<[f64; 3]>,
}

impl Places {
    fn cell(&self, v: f64) -> i64 {
        (v / self.cell).floor() as i64
    }
    fn find(&self, p: &[f64; 3]) -> Option<u32> {
        // Cells in which something near may be; most often one.
        let range = |v: f64| self.cell(v - self.near)..=self.cell(v + self.near);
        for x in range(p[0]) {
            for y in range(p[1]) {
                for z in range(p[2]) {
                    let near = |i: &&u32| {
                        let q = self.places.get(**i as usize);
                        q.is_some_and(|q| (0..3).all(|k| (p[k] - q[k]).abs() <= self.near))
                    };
                    if let Some(i) = self.cells.get(&[x, y, z]).and_then(|all| all.iter().find(near)) {
                        return Some(*i);
                    }
                }
            }
        }
        None
    }
    /// Errors: `LimitExceeded` beyond 2^32 places.
    fn id(&mut self, p: &[f64; 3]) -> Result<u32> {
        if let Some(i) = self.find(p) {
            return Ok(i);
        }
        let i = u32::try_from(self.places.len()).map_err(|_| Error::limit("expected at most 2^32 vertices"))?;
        self.cells.entry([self.cell(p[0]), self.cell(p[1]), self.cell(p[2])]).or_default().push(i);
        self.places.push(*p);
        Ok(i)
    }
}

/// Which points of elements are one: a number for each, in `0..len`.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    points: Vec<u32>,
    len: usize,
}

impl Topology {
    /// Of elements with `n` points along each axis. An element that has one vertex at several corners shares nothing.
    /// Errors: `InvalidArgument` for an `n` beyond 2 to 32; `LimitExceeded` for more than 2^32 points.
    pub fn new(vertices: &Vertices, n: usize) -> Result<Topology> {
        let all: Vec<usize> = (0..vertices.ids.len() >> vertices.dimensions).collect();
        Topology::of(vertices, &all, n)
    }
    /// Of some of the elements, by their numbers, with `n` points along each axis; numbers beyond the last are left out. Errors: as [`Topology::new`].
    pub fn of(vertices: &Vertices, elements: &[usize], n: usize) -> Result<Topology> {
        if !(MIN_POINTS..=MAX_POINTS).contains(&n) {
            return Err(Error::invalid(format!("expected {MIN_POINTS} to {MAX_POINTS} points, found {n}")));
        }
        let d = vertices.dimensions;
        let (corners, size) = (1usize << d, n.pow(d as u32));
        let total = elements.len().checked_mul(size).filter(|t| u32::try_from(*t).is_ok());
        let total = total.ok_or_else(|| Error::limit("expected at most 2^32 points of elements"))?;
        let mut points = Vec::new();
        points.try_reserve_exact(total).map_err(|_| Error::limit("expected memory for the points of elements"))?;
        let mut known: HashMap<[u32; 4], u32> = HashMap::new();
        let mut next = 0u32;
        // The first of the points inside a corner, an edge, a face; no key: inside an element, which is its own.
        let mut entity = |key: Option<[u32; 4]>, inside: usize| -> u32 {
            let mut fresh = || {
                next += inside as u32;
                next - inside as u32
            };
            match key {
                Some(key) => *known.entry(key).or_insert_with(fresh),
                None => fresh(),
            }
        };
        // Fresh numbers for the corners of elements that meet themselves, above all others.
        let mut fresh = u32::try_from(vertices.places.len()).unwrap_or(u32::MAX);
        let inner = n - 2;
        for own in elements.iter().filter_map(|e| vertices.ids.get(e * corners..(e + 1) * corners)) {
            let mut ids = own.to_vec();
            if (0..corners).any(|a| (0..a).any(|b| ids[a] == ids[b])) {
                for id in &mut ids {
                    *id = fresh;
                    fresh = fresh.saturating_add(1);
                }
            }
            let first = points.len();
            points.resize(first + size, 0);
            let points = &mut points[first..];
            let own = entity(None, inner.pow(d as u32));
            let [rows, planes] = [inner, if d == 3 { inner } else { 1 }];
            for (r, row) in (0..rows * planes).map(|r| (r, own + (r * inner) as u32)) {
                let base = 1 + (r % rows + 1) * n + if d == 3 { (r / rows + 1) * n * n } else { 0 };
                points[base..base + inner].iter_mut().zip(row..).for_each(|(p, number)| *p = number);
            }
            let strides = [1, n, n * n];
            let base = |c: usize| (0..d).filter(|a| c >> a & 1 == 1).map(|a| (n - 1) * strides[a]).sum::<usize>();
            for c in 0..corners {
                points[base(c)] = entity(Some([ids[c], u32::MAX, u32::MAX, u32::MAX]), 1);
                for a in (0..d).filter(|a| c >> a & 1 == 0 && inner > 0) {
                    let (low, high) = (ids[c], ids[c | 1 << a]);
                    let first = entity(Some([low.min(high), low.max(high), u32::MAX, u32::MAX]), inner);
                    for i in 1..=inner {
                        let along = if low < high { i - 1 } else { inner - i };
                        points[base(c) + i * strides[a]] = first + along as u32;
                    }
                }
                for (a, b) in
                    [(0, 1), (0, 2), (1, 2)].into_iter().filter(|(a, b)| d == 3 && c >> a & 1 | c >> b & 1 == 0)
                {
                    let face = [ids[c], ids[c | 1 << a], ids[c | 1 << b], ids[c | 1 << a | 1 << b]];
                    let mut key = face;
                    key.sort_unstable();
                    let first = if inner > 0 { entity(Some(key), inner * inner) } else { 0 };
                    let seen = Seen::of(&face);
                    for (j, i) in (1..=inner).flat_map(|j| (1..=inner).map(move |i| (j, i))) {
                        points[base(c) + i * strides[a] + j * strides[b]] = first + seen.place(i, j, n) as u32;
                    }
                }
            }
        }
        Ok(Topology { points, len: next as usize })
    }
    /// The number of each point of every element.
    pub fn points(&self) -> &[u32] {
        &self.points
    }
    /// How many different points.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The largest difference between values of one point.
    pub fn jump(&self, values: &[f64]) -> f64 {
        self.jump_at(&[], values)
    }
    /// The same where it is of some `elements` only: their numbers among the `values`.
    pub fn jump_at(&self, elements: &[usize], values: &[f64]) -> f64 {
        let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); self.len];
        let size = self.points.len() / elements.len().max(1);
        for (e, points) in self.points.chunks_exact(size.max(1)).enumerate() {
            let e = elements.get(e).copied().unwrap_or(e);
            for (p, v) in points.iter().zip(values.get(e * size..).unwrap_or_default()) {
                if let Some((low, high)) = range.get_mut(*p as usize) {
                    (*low, *high) = (low.min(*v), high.max(*v));
                }
            }
        }
        range.iter().map(|(low, high)| high - low).fold(0.0, f64::max)
    }
    /// Replaces the values of one point by the first of them. `elements` are the numbers of those that it is of, in rising order, among the `values`.
    pub fn unite(&self, elements: &[usize], values: &mut [f64]) {
        let size = self.points.len() / elements.len().max(1);
        let mut first = vec![None; self.len];
        for (points, e) in self.points.chunks_exact(size.max(1)).zip(elements) {
            let Some(own) = values.get_mut(e * size..(e + 1) * size) else { continue };
            for (p, v) in points.iter().zip(own) {
                if let Some(first) = first.get_mut(*p as usize) {
                    *v = *first.get_or_insert(*v);
                }
            }
        }
    }
    /// Replaces the values of one point by their mean under `weights`, none of which is negative; where all are 0 the values stay.
    pub fn average(&self, values: &mut [f64], weights: &[f64]) {
        let mut sums = vec![(0.0, 0.0); self.len];
        for ((p, v), w) in self.points.iter().zip(values.iter()).zip(weights) {
            if let Some((sum, weight)) = sums.get_mut(*p as usize) {
                (*sum, *weight) = (*sum + w * v, *weight + w);
            }
        }
        for (p, v) in self.points.iter().zip(values) {
            if let Some((sum, weight)) = sums.get(*p as usize).filter(|(_, w)| *w > 0.0) {
                *v = sum / weight;
            }
        }
    }
}

/// How an element sees a face: which of its ends are far from the corner of the least number, and whether the first axis leads to the lesser of its two
/// neighbours.
struct Seen {
    far: [bool; 2],
    first: bool,
}

impl Seen {
    /// Of a face with the corners at (low, low), (high, low), (low, high), (high, high) of its two axes.
    fn of(face: &[u32; 4]) -> Seen {
        let least = (0..4).min_by_key(|k| face[*k]).unwrap_or(0);
        Seen { far: [least & 1 == 1, least >> 1 & 1 == 1], first: face[least ^ 1] < face[least ^ 2] }
    }
    /// The place of the point `i`, `j` inside the face, the same from whichever element.
    #[inline(always)]
    fn place(&self, i: usize, j: usize, n: usize) -> usize {
        let i = if self.far[0] { n - 1 - i } else { i };
        let j = if self.far[1] { n - 1 - j } else { j };
        let (first, second) = if self.first { (i, j) } else { (j, i) };
        (second - 1) * (n - 2) + first - 1
    }
}

#[cfg(test)]
mod tests;
