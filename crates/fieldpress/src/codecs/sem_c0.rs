//! `sem-c0`: continuous fields on spectral elements. Points that elements share are coded once, and what elements before have on their faces tells what to expect
//! inside, on any conforming mesh, whatever way its elements are turned.
//!
//! Sources: those of [`crate::sem`]; the discrete Legendre transform as in `legendre`.
//!
//! # Format
//! That of all codecs of elements ([`crate::codec::ElementBlocks`]), with shared points.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Codec, ElementBlocks, Selection, Spec};
use crate::error::Result;
use crate::sem::Coding;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "sem-c0",
    doc: "Continuous fields on spectral elements whose coordinates are known: every shared point once, faces tell what is inside.",
    params: &[
        ("coder", "mixed: mixed adaptive models, smallest; classes: static rANS, faster (default mixed)"),
        ("x", "the array of the first coordinate (default x)"),
        ("y", "the array of the second coordinate (default y)"),
        ("z", "the array of the third coordinate (default z; empty in two dimensions)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<SemC0>("sem-c0", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SemC0 {
    /// How codes become bits.
    pub coder: Coding,
    /// The array of the first coordinate.
    pub x: String,
    /// The array of the second coordinate.
    pub y: String,
    /// The array of the third coordinate; empty in two dimensions.
    pub z: String,
}

impl Default for SemC0 {
    fn default() -> Self {
        SemC0 { coder: Coding::Mixed, x: "x".into(), y: "y".into(), z: "z".into() }
    }
}

/// Everything is kept.
struct All;

impl Selection for All {
    fn select(&self, _: &mut [f64], _: usize, _: &[f64], _: f64) {}
    fn fineness(&self) -> Option<f64> {
        None
    }
}

impl Codec for SemC0 {
    fn id(&self) -> &'static str {
        "sem-c0"
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
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(ElementBlocks::<All> {
            spec: *spec,
            coordinates: self.companions(),
            continuous: true,
            coding: self.coder,
            selection: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::array::{Array, Buffer, DType, Shape};
    use crate::bound::Term;
    use crate::codec::{Block, Claim, Site};
    use crate::error::ErrorKind;
    use crate::sem::testing::Mesh;
    use crate::sem::{Topology, Vertices};

    fn codec(d: usize) -> SemC0 {
        SemC0 { z: if d == 3 { "z".into() } else { String::new() }, ..SemC0::default() }
    }
    fn companions(mesh: &Mesh) -> Vec<(String, Arc<Array>)> {
        let named = ["x", "y", "z"].iter().zip(&mesh.coordinates);
        named.map(|(n, c)| (n.to_string(), Arc::new(Array::from_vec(&mesh.shape(), c.clone()).unwrap()))).collect()
    }
    fn wave(x: [f64; 3]) -> f64 {
        libm::sin(3.0 * x[0] + 1.0) + libm::cos(2.0 * x[1]) * (1.0 + x[2]) + x[2] * x[2]
    }
    /// What is decoded, and the bytes.
    fn coded(mesh: &Mesh, x: Buffer, tolerance: f64, mean_square: bool) -> Result<(Vec<u8>, Buffer)> {
        let companions = companions(mesh);
        let shape = Shape::new(&mesh.shape()).unwrap();
        let bound = codec(mesh.coordinates.len()).bind(&[], &Spec { dtype: x.dtype(), shape }).unwrap();
        let site = Site { companions: &companions, mean_square, ..Site::default() };
        let mut bytes = Vec::new();
        let hint = Term { abs: tolerance, rel: 0.0 };
        let claim = bound.encode(&Block { shape, values: x.as_slice(), site }, &hint, &mut bytes)?;
        let mut out = Buffer::zeros(x.dtype(), x.len()).unwrap();
        bound.decode(&bytes, &site, out.as_mut()).unwrap();
        assert_eq!(claim, Claim::Decoded(out.clone()));
        Ok((bytes, out))
    }

    #[test]
    fn fields_are_continuous_on_every_mesh() {
        let twisted = |x: [f64; 3]| {
            let (s, c) = (libm::sin(1.3 * x[2]), libm::cos(1.3 * x[2]));
            [c * (x[0] - 0.5) - s * (x[1] - 0.5), s * (x[0] - 0.5) + c * (x[1] - 0.5), x[2]]
        };
        let meshes = [
            ("box", Mesh::of_box([3, 2, 2], 3, 6, false, |x| x)),
            ("turned", Mesh::of_box([3, 3, 2], 3, 5, true, |x| x)),
            ("twisted", Mesh::of_box([2, 2, 3], 3, 6, true, twisted)),
            ("pipe", Mesh::pipe(3, 6, true)),
            ("flat", Mesh::of_box([5, 4, 1], 2, 8, true, |x| [x[0], x[1] * (1.0 + 0.3 * x[0]), 0.0])),
            ("corners", Mesh::of_box([4, 4, 4], 3, 2, true, |x| x)),
        ];
        for (name, mesh) in &meshes {
            let x = mesh.values(wave);
            let topology = Topology::new(&Vertices::new(&mesh.slices(), mesh.points).unwrap(), mesh.points).unwrap();
            for (tolerance, mean_square) in [(1e-2, true), (1e-4, true), (1e-3, false)] {
                let (_, y) = coded(mesh, Buffer::F64(x.clone()), tolerance, mean_square).unwrap();
                let y = y.as_slice().to_f64();
                assert!(topology.jump(&y) == 0.0, "{name}: a jump of {}", topology.jump(&y));
                let squares: f64 = x.iter().zip(&y).map(|(x, y)| (x - y) * (x - y)).sum();
                let rms = (squares / x.len() as f64).sqrt();
                assert!(rms < 3.0 * tolerance && rms > 0.0, "{name} {tolerance} {mean_square}: {rms}");
            }
            // In single precision too, to the bit.
            let (_, y) = coded(mesh, Buffer::F32(x.iter().map(|v| *v as f32).collect()), 1e-3, true).unwrap();
            assert!(topology.jump(&y.as_slice().to_f64()) == 0.0, "{name}");
        }
    }

    #[test]
    fn a_shared_point_costs_once_and_periodic_ends_are_one() {
        let mesh = Mesh::of_box([4, 4, 4], 3, 5, true, |x| x);
        let turn = std::f64::consts::TAU;
        let periodic = mesh.values(|x| libm::sin(turn * x[0]) * libm::cos(turn * x[1]) + libm::sin(turn * x[2]));
        let (bytes, y) = coded(&mesh, Buffer::F64(periodic.clone()), 1e-6, true).unwrap();
        assert_eq!(bytes[8] >> 2 & 7, 7, "periodic along every axis");
        let vertices = Vertices::new(&mesh.slices(), 5).unwrap();
        let all = (0..3).fold(vertices, |v, a| v.periodic(a).unwrap());
        assert!(Topology::new(&all, 5).unwrap().jump(&y.as_slice().to_f64()) == 0.0);
        let (other, _) = coded(&mesh, Buffer::F64(mesh.values(wave)), 1e-6, true).unwrap();
        assert_eq!(other[8] >> 2 & 7, 0);
        // Element by element it takes more.
        let shape = Shape::new(&mesh.shape()).unwrap();
        let alone = crate::codecs::legendre::Legendre::default();
        let bound = alone.bind(&[], &Spec { dtype: DType::F64, shape }).unwrap();
        let mut apart = Vec::new();
        let buffer = Buffer::F64(periodic);
        let site = Site { mean_square: true, ..Site::default() };
        bound
            .encode(&Block { shape, values: buffer.as_slice(), site }, &Term { abs: 1e-6, rel: 0.0 }, &mut apart)
            .unwrap();
        assert!(3 * bytes.len() < 2 * apart.len(), "{} {}", bytes.len(), apart.len());
    }

    #[test]
    fn what_is_not_continuous_is_refused() {
        let mesh = Mesh::of_box([3, 2, 2], 3, 4, false, |x| x);
        let mut x = mesh.values(wave);
        x[..64].iter_mut().for_each(|v| *v += 0.5);
        let e = coded(&mesh, Buffer::F64(x), 1e-3, true).unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidArgument && e.message().contains("jump"), "{e}");
    }

    #[test]
    fn damage_never_panics_and_prefixes_are_errors() {
        let mesh = Mesh::of_box([2, 2, 2], 3, 4, true, |x| x);
        let (bytes, _) = coded(&mesh, Buffer::F64(mesh.values(wave)), 1e-2, true).unwrap();
        let shape = Shape::new(&mesh.shape()).unwrap();
        let bound = codec(3).bind(&[], &Spec { dtype: DType::F64, shape }).unwrap();
        let all = companions(&mesh);
        let mut out = Buffer::zeros(DType::F64, shape.len()).unwrap();
        let mut decode =
            |bytes: &[u8], companions| bound.decode(bytes, &Site { companions, ..Site::default() }, out.as_mut());
        assert!(decode(&bytes, &all).is_ok());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], &all).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let _ = decode(&bad, &all);
        }
        // Without coordinates, or with others.
        assert_eq!(decode(&bytes, &[]).unwrap_err().kind(), ErrorKind::Corrupt);
        let mut strange = all.clone();
        strange[1].1 = Arc::new(Array::from_vec(&mesh.shape(), vec![f64::NAN; shape.len()]).unwrap());
        assert_eq!(decode(&bytes, &strange).unwrap_err().kind(), ErrorKind::Corrupt);
        let mut flat = all.clone();
        flat[1].1 = Arc::new(Array::from_vec(&mesh.shape(), vec![0.0; shape.len()]).unwrap());
        let _ = decode(&bytes, &flat);
    }
}
