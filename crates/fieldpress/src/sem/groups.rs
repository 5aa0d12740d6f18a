//! Elements that share points, in groups that are coded at the same time.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | varint | elements of a group, at least 1; the last has what is left |
//! | varint each | bytes of each group but the last |
//! | rest | the groups, each as in [`Elements`] with what its own elements share |
//!
//! A point that elements of several groups share has the value of the first element of the array that has it.

use rayon::prelude::*;

use super::{Coding, Elements, Topology, Vertices};
use crate::bits::{put_varint, ByteReader};
use crate::error::{Error, Result};

/// Elements in groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    /// How they are coded; its topology is not looked at.
    pub elements: Elements<'a>,
    /// Which corners they share.
    pub vertices: &'a Vertices,
}

impl Groups<'_> {
    /// Appends the code of `x`, values of whole elements, `each` of them (at least 1) in a group. `decoded`, as long as `x`, is what a decoder will find.
    /// Errors: as [`Elements::encode`].
    pub fn encode(&self, coding: Coding, x: &[f64], each: usize, decoded: &mut [f64], out: &mut Vec<u8>) -> Result<()> {
        let each = each.max(1);
        let len = self.len(each)?;
        let code = |(g, (y, x)): (usize, (&mut [f64], &[f64]))| -> Result<Vec<u8>> {
            let (topology, mut bytes) = (self.topology(g, each)?, Vec::new());
            self.group(g, each, &topology).encode(coding, x, None, y, &mut bytes)?;
            Ok(bytes)
        };
        let groups = self.united(len, decoded, |y| {
            y.par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().map(code).collect::<Result<Vec<_>>>()
        })?;
        put_varint(out, each as u64);
        groups.iter().rev().skip(1).rev().for_each(|g| put_varint(out, g.len() as u64));
        groups.iter().for_each(|g| out.extend_from_slice(g));
        Ok(())
    }
    /// The values of whole elements from all of `bytes`, of whose groups each but the last has at least `least` values. Errors: as [`Elements::decode`].
    pub fn decode(&self, coding: Coding, bytes: &[u8], least: usize, out: &mut [f64]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let each = usize::try_from(r.varint()?).unwrap_or(0);
        if each == 0 {
            return Err(Error::corrupt("expected groups of at least 1 element"));
        }
        let len = self.len(each)?;
        let count = out.len().div_ceil(len);
        if count > 1 && len < least {
            return Err(Error::corrupt(format!("expected groups of at least {least} values, found {len}")));
        }
        let mut lens = Vec::new();
        for _ in 1..count {
            // A length takes a byte: no more are believed than there are.
            lens.push(usize::try_from(r.varint()?).unwrap_or(usize::MAX));
        }
        let mut groups = lens.into_iter().map(|n| r.take(n)).collect::<Result<Vec<_>>>()?;
        groups.push(r.rest());
        let code = |(g, (y, bytes)): (usize, (&mut [f64], &&[u8]))| {
            let topology = self.topology(g, each)?;
            self.group(g, each, &topology).decode(coding, bytes, y)
        };
        self.united(len, out, |y| y.par_chunks_mut(len).zip(&groups).enumerate().try_for_each(code))
    }
    /// Values of a group. Errors: `LimitExceeded`.
    fn len(&self, each: usize) -> Result<usize> {
        let size = self.elements.points.checked_pow(self.elements.dimensions as u32).filter(|s| *s > 0);
        let len = size.map(|s| s.saturating_mul(each));
        len.ok_or_else(|| Error::limit(format!("expected groups of elements, found {each} in one")))
    }
    fn topology(&self, group: usize, each: usize) -> Result<Topology> {
        let all = self.vertices.ids().len() >> self.vertices.dimensions();
        let first = group.saturating_mul(each).min(all);
        let elements: Vec<usize> = (first..first.saturating_add(each).min(all)).collect();
        Topology::of(self.vertices, &elements, self.elements.points)
    }
    fn group<'b>(&'b self, group: usize, each: usize, topology: &'b Topology) -> Elements<'b> {
        let steps = self.elements.steps.get(group.saturating_mul(each)..).unwrap_or_default();
        Elements { topology: Some(topology), steps, ..self.elements }
    }
    /// Does `work` on the values, and gives those of one point the same value across groups.
    fn united<T>(&self, len: usize, values: &mut [f64], work: impl FnOnce(&mut [f64]) -> Result<T>) -> Result<T> {
        if values.len() <= len {
            return work(values);
        }
        let done = work(values)?;
        // Elements that meet others of another group.
        let (size, corners) =
            (self.elements.points.pow(self.elements.dimensions as u32), 1 << self.vertices.dimensions());
        let group = |e: usize| (e * size / len) as u32;
        let mut of: Vec<Option<u32>> = vec![None; self.vertices.len()];
        let mut several = vec![false; self.vertices.len()];
        for (e, ids) in self.vertices.ids().chunks_exact(corners).enumerate() {
            for i in ids.iter().map(|i| *i as usize) {
                several[i] |= *of[i].get_or_insert(group(e)) != group(e);
            }
        }
        let several = (0u32..).zip(several).filter(|(_, s)| *s).map(|(i, _)| i);
        let elements = self.vertices.elements_at(several);
        Topology::of(self.vertices, &elements, self.elements.points)?.unite(&elements, values);
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sem::testing::Mesh;
    use crate::sem::Weights;

    #[test]
    fn groups_are_continuous_across_each_other_and_the_same_for_any_number_of_threads() {
        let mesh = Mesh::of_box([4, 3, 3], 3, 5, true, |x| x);
        let x = mesh.values(|x| libm::sin(4.0 * x[0]) * libm::cos(3.0 * x[1]) + x[2]);
        let vertices = Vertices::new(&mesh.slices(), 5).unwrap();
        let steps = vec![1e-3; 36];
        let elements =
            Elements { points: 5, dimensions: 3, weights: Weights::Quadrature, topology: None, steps: &steps };
        let groups = Groups { elements, vertices: &vertices };
        let topology = Topology::new(&vertices, 5).unwrap();
        for coding in [Coding::Mixed, Coding::Classes] {
            let mut sizes = Vec::new();
            for each in [1, 7, 36, usize::MAX] {
                let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
                let mut y = vec![0.0; x.len()];
                let mut encode = |threads| {
                    let mut bytes = Vec::new();
                    pool(threads).install(|| groups.encode(coding, &x, each, &mut y, &mut bytes)).unwrap();
                    bytes
                };
                let bytes = encode(1);
                assert_eq!(bytes, encode(3));
                assert_eq!(topology.jump(&y), 0.0, "{each}");
                let worst = x.iter().zip(&y).fold(0.0, |m: f64, (x, y)| m.max((x - y).abs()));
                assert!(worst < 2e-2 && worst > 1e-3, "{each}: {worst}");
                let mut z = vec![0.0; x.len()];
                groups.decode(coding, &bytes, 0, &mut z).unwrap();
                assert!(y.iter().zip(&z).all(|(y, z)| y.to_bits() == z.to_bits()), "{each}");
                (0..bytes.len())
                    .for_each(|cut| assert!(groups.decode(coding, &bytes[..cut], 0, &mut z).is_err(), "{cut}"));
                sizes.push(bytes.len());
            }
            // What groups know of each other saves something.
            assert!(sizes[2] < sizes[1] && sizes[1] < sizes[0] && sizes[3].abs_diff(sizes[2]) < 10, "{sizes:?}");
            let mut z = vec![0.0; x.len()];
            assert!(groups.decode(coding, &[0, 1, 2], 0, &mut z).is_err());
            let mut bytes = Vec::new();
            groups.encode(coding, &x, 7, &mut z, &mut bytes).unwrap();
            assert!(groups.decode(coding, &bytes, 7 * 125, &mut z).is_ok());
            assert!(groups.decode(coding, &bytes, 7 * 125 + 1, &mut z).is_err(), "small groups");
        }
    }
}
