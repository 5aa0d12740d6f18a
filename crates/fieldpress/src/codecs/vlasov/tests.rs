//! Round trips of sparse and dense distributions, damage, contradictions.

use std::sync::Arc;

use super::*;
use crate::array::{Array, Shape, Slice, View};
use crate::bound::Criterion;
use crate::codec::{decode_block, encode_block, Candidate, Chain, Task};
use crate::io::vlsv::Vlsv;
use crate::{compress, decompress, Bound, Options};

const CHAIN: &str = "vlasov:ids=ids,counts=counts,mesh=mesh";
const MESH: [usize; 3] = [9, 8, 7];

/// Sparse distributions of cells side by side.
#[derive(Clone)]
struct Sample {
    ids: Vec<u32>,
    counts: Vec<u32>,
    mesh: [usize; 3],
    values: Vec<f32>,
}

impl Sample {
    /// Drifting Maxwellians of 1 at most, with ripples below zero; one cell of no block, and one of one.
    fn drifting(cells: usize) -> Sample {
        let mut s = Sample { ids: Vec::new(), counts: Vec::new(), mesh: MESH, values: Vec::new() };
        for c in 0..cells {
            let before = s.ids.len();
            let blocks = MESH.iter().product::<usize>() as u32;
            // Not in order.
            for id in (0..blocks).map(|i| i * 101 % blocks) {
                let [nx, ny, _] = MESH.map(|n| n as u32);
                let place = [id % nx, id / nx % ny, id / nx / ny];
                let value = |i: usize| {
                    let at = |k: usize, cell: usize| f64::from(4 * place[k]) + cell as f64 - 2.0 * MESH[k] as f64;
                    let (x, y, z) = (at(0, i % 4) - 0.3 * c as f64, at(1, i / 4 % 4), at(2, i / 16));
                    let core = libm::exp(-(x * x + y * y + 1.4 * z * z) / 18.0);
                    (core * (1.0 + 0.02 * libm::sin(x * y)) - 1e-9 * libm::cos(3.0 * x)) as f32
                };
                let values: Vec<f32> = (0..64).map(value).collect();
                let kept = values.iter().any(|v| *v > 1e-6) || values[0].abs() > 9.8e-10;
                let few = c % 5 == 3 && s.ids.len() > before || c % 5 == 4;
                if kept && !few {
                    s.ids.push(id);
                    s.values.extend(values);
                }
            }
            s.counts.push((s.ids.len() - before) as u32);
        }
        s
    }
    fn companions(&self) -> Vec<(String, Arc<Array>)> {
        let mesh: Vec<u64> = self.mesh.iter().chain(&[4; 3]).map(|n| *n as u64).collect();
        let named = |n: &str, a: Result<Array>| (n.to_string(), Arc::new(a.unwrap()));
        vec![
            named("ids", Array::from_vec(&[self.ids.len()], self.ids.clone())),
            named("counts", Array::from_vec(&[self.counts.len()], self.counts.clone())),
            named("mesh", Array::from_vec(&[6], mesh)),
        ]
    }
    /// Encodes `blocks` of the array, decodes, and compares what was promised. Returns the bytes and the values.
    fn round_trip(&self, text: &str, tolerance: f64, blocks: std::ops::Range<usize>) -> (Vec<u8>, Vec<f32>) {
        let x = &self.values[64 * blocks.start..64 * blocks.end];
        let shape = Shape::new(&[blocks.len(), 4, 4, 4]).unwrap();
        let chain = Chain::parse(text).unwrap();
        let bound = chain.bind(&[], &Spec { dtype: DType::F32, shape }).unwrap();
        let companions = self.companions();
        let site = Site { mask: None, origin: &[blocks.start, 0, 0, 0], companions: &companions, mean_square: false };
        let mut bytes = Vec::new();
        let block = Block { shape, values: Slice::F32(x), site };
        let claim = bound.encode(&block, &Term { abs: tolerance, rel: 0.0 }, &mut bytes).unwrap();
        let mut y = vec![7f32; x.len()];
        bound.decode(&bytes, &site, SliceMut::F32(&mut y)).unwrap();
        let Claim::Decoded(Buffer::F32(told)) = claim else { panic!("expected values, found {claim:?}") };
        assert!(told.iter().zip(&y).all(|(a, b)| a.to_bits() == b.to_bits()));
        (bytes, y)
    }
}

fn worst(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).fold(0.0, |m: f64, (a, b)| m.max((f64::from(*a) - f64::from(*b)).abs()))
}

#[test]
fn sparse_blocks_come_back_within_the_tolerance() {
    let s = Sample::drifting(7);
    let n = s.ids.len();
    assert!(s.counts[3] == 1 && s.counts[4] == 0 && s.counts[2] > 60, "{:?}", s.counts);
    assert!(s.values.iter().any(|v| *v < 0.0));
    for predictor in ["", ",predictor=fixed"] {
        for tolerance in [1e-3, 1e-6, 6e-10] {
            // All of it, parts of cells, one block, none.
            for blocks in [0..n, 5..n - 3, 17..18, 40..40] {
                let x = &s.values[64 * blocks.start..64 * blocks.end];
                let (bytes, y) = s.round_trip(&format!("{CHAIN}{predictor}"), tolerance, blocks.clone());
                // But for rounding to f32.
                let near = |(a, b): (&f32, &f32)| f64::from((a - b).abs()) <= tolerance + 6e-8 * f64::from(a.abs());
                assert!(x.iter().zip(&y).all(near), "{tolerance} {blocks:?} {}", worst(x, &y));
                assert!(
                    blocks.len() < 9 || tolerance < 1e-9 || bytes.len() * 4 < x.len() * 4,
                    "{tolerance} {}",
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn sums_of_values_below_the_tolerance_are_kept() {
    let s = Sample::drifting(3);
    let (_, y) = s.round_trip(CHAIN, 1e-3, 0..s.ids.len());
    let sum = |v: &[f32]| v.iter().map(|v| f64::from(*v)).sum::<f64>();
    let small: f64 = s.values.iter().filter(|v| v.abs() < 1e-3).map(|v| f64::from(*v)).sum();
    let lost = (sum(&y) - sum(&s.values)).abs();
    assert!(small > 1e-3 * sum(&s.values) && lost < 0.2 * small, "{lost} of {small}");
}

#[test]
fn the_cell_before_and_neighbours_pay() {
    let s = Sample::drifting(3);
    let size = |s: &Sample, blocks| s.round_trip(CHAIN, 1e-7, blocks).0.len();
    let (first, all) = (s.counts[0] as usize, s.ids.len());
    let alone: usize = [0..first, first..first + s.counts[1] as usize].map(|b| size(&s, b)).iter().sum();
    assert!(size(&s, 0..first + s.counts[1] as usize) * 100 < alone * 95);
    // Told that blocks are elsewhere, nothing fits.
    let mut wrong = s.clone();
    wrong.ids = (0..all as u32).map(|i| i * 17 % 504).collect();
    wrong.counts = vec![all as u32];
    wrong.mesh = [9, 8, 700];
    wrong.ids = (0..all as u32).map(|i| i * 17).collect();
    assert!(size(&wrong, 0..all) > size(&s, 0..all) * 12 / 10);
}

#[test]
fn dense_arrays_of_any_shape_come_back() {
    let shapes: [&[usize]; 9] =
        [&[], &[0], &[1], &[37], &[5, 9], &[13, 10, 7], &[3, 9, 6, 11], &[2, 2, 5, 4, 9], &[2, 0, 5]];
    for shape in shapes {
        let n: usize = shape.iter().product();
        let value = |i: usize| {
            let far = (i % 97) as f64 - 40.0;
            if far.abs() > 20.0 {
                0.0
            } else {
                (libm::exp(-far * far / 60.0) - 1e-3) as f32
            }
        };
        let x: Vec<f32> = (0..n).map(value).collect();
        let view = View::new(shape, &x).unwrap();
        let bound = Vlasov::default().bind(&[], &Spec { dtype: DType::F32, shape: view.shape() }).unwrap();
        for tolerance in [1e-2, 1e-5] {
            let block = Block { shape: view.shape(), values: Slice::F32(&x), site: Site::default() };
            let mut bytes = Vec::new();
            let claim = bound.encode(&block, &Term { abs: tolerance, rel: 0.0 }, &mut bytes).unwrap();
            let mut y = vec![7f32; n];
            bound.decode(&bytes, &Site::default(), SliceMut::F32(&mut y)).unwrap();
            assert_eq!(claim, Claim::Decoded(Buffer::F32(y.clone())));
            assert!(worst(&x, &y) <= tolerance * 1.01, "{shape:?} {tolerance}");
        }
    }
    // Blocks without content are exact.
    let mut x = vec![0f64; 40 * 40 * 40];
    x[20 * 1640] = 1.0;
    let options = Options::new(Bound::Abs(0.1)).with_chain("vlasov").unwrap();
    let (bytes, _) = compress(&View::new(&[40, 40, 40], &x).unwrap(), options).unwrap();
    let y = decompress(&bytes).unwrap();
    assert_eq!(y.as_typed::<f64>().unwrap().iter().filter(|v| **v != 0.0).count(), 1);
    assert!(bytes.len() < 600, "{}", bytes.len());
}

#[test]
fn bounds_that_are_not_absolute_go_through_a_logarithm() {
    let s = Sample::drifting(4);
    let companions = s.companions();
    let shape = Shape::new(&[s.ids.len(), 4, 4, 4]).unwrap();
    let chain = Chain::parse(&format!("log:scale=1e-4+{CHAIN}")).unwrap();
    assert_eq!(chain.companions(), ["ids", "counts", "mesh"]);
    let bound = chain.bind(&[], &Spec { dtype: DType::F32, shape }).unwrap();
    let hint = Term { abs: 1e-6, rel: 1e-2 };
    let criterion = Criterion { terms: vec![hint], ..Criterion::FREE };
    let origin = [0; 4];
    let task = Task {
        criterion: &criterion,
        hint,
        fill: None,
        measure: true,
        origin: &origin,
        companions: &companions,
        distributions: None,
        norm: None,
    };
    let mut out = Vec::new();
    let chains = [Candidate { index: 0, chain: &bound }];
    let report = encode_block(Slice::F32(&s.values), &shape, &chains, &task, &mut out).unwrap();
    let mut y = vec![0f32; s.values.len()];
    decode_block(&out, &shape, &[bound], &task, SliceMut::F32(&mut y)).unwrap();
    let inside = |(a, b): (&f32, &f32)| (a - b).abs() <= (0.01 * a.abs()).max(1e-6) * 1.0001;
    assert!(s.values.iter().zip(&y).all(inside));
    assert!(out.len() * 8 < s.values.len() * 4 && report.corrected < 20, "{} {}", out.len(), report.corrected);
    // Alone it refuses them, and what is exact.
    let alone = Chain::parse(CHAIN).unwrap();
    let alone = alone.bind(&[], &Spec { dtype: DType::F32, shape }).unwrap();
    let site = Site { mask: None, origin: &origin, companions: &companions, mean_square: false };
    let block = Block { shape, values: Slice::F32(&s.values), site };
    for hint in [hint, Term::EXACT, Term::FREE] {
        let e = alone.encode(&block, &hint, &mut Vec::new()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn extreme_values_are_survived() {
    for x in [
        [f32::MAX, -f32::MAX, 1e-45, -1e-45],
        [1e-45, 2e-45, 0.0, -1e-45],
        [1.0, 1e30, -1e-30, f32::MIN_POSITIVE],
        [0.0, 0.0, 0.0, 1.0],
    ] {
        let x: Vec<f32> = (0..600).map(|i| x[i * 7919 % 101 % 4]).collect();
        for tolerance in [5e-324, 1e-50, 1e-40, 1e-3, 1e10, 1e38, 1e308] {
            let options = Options::new(Bound::Abs(tolerance)).with_chain("vlasov").unwrap();
            let (bytes, _) = compress(&View::new(&[2, 10, 6, 5], &x).unwrap(), options).unwrap();
            let y = decompress(&bytes).unwrap();
            assert!(worst(&x, y.as_typed::<f32>().unwrap()) <= tolerance, "{tolerance}");
        }
    }
}

#[test]
fn a_shock_is_coded_in_a_few_bits_a_value() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/ipshock.vlsv");
    let file = Vlsv::open(Arc::new(std::fs::read(path).unwrap())).unwrap();
    let mesh = file.velocity_mesh("proton").unwrap().blocks;
    let mut s = Sample { ids: Vec::new(), counts: Vec::new(), mesh, values: Vec::new() };
    for cell in file.cells_with_blocks("proton").unwrap() {
        let (ids, values) = file.blocks_of("proton", &cell).unwrap();
        s.counts.push(ids.len() as u32);
        s.ids.extend(ids);
        s.values.extend_from_slice(values.as_typed::<f32>().unwrap());
    }
    for (predictor, least) in [("", 21.5), (",predictor=fixed", 17.0)] {
        let (bytes, y) = s.round_trip(&format!("{CHAIN}{predictor}"), 1e-15, 0..s.ids.len());
        let ratio = (s.ids.len() * 260) as f64 / bytes.len() as f64;
        assert!(worst(&s.values, &y) <= 1e-15 && ratio > least, "{} {ratio}", worst(&s.values, &y));
        let sum = |v: &[f32]| v.iter().map(|v| f64::from(*v)).sum::<f64>();
        assert!((sum(&y) / sum(&s.values) - 1.0).abs() < 2e-7, "{}", sum(&y) / sum(&s.values) - 1.0);
    }
}

#[test]
fn damage_never_panics_and_prefixes_are_errors() {
    let s = Sample::drifting(3);
    let n = s.ids.len();
    let (sparse, _) = s.round_trip(CHAIN, 1e-2, 0..n);
    let companions = s.companions();
    let x: Vec<f32> = (0..6 * 7 * 9).map(|i| if i < 100 { 0.0 } else { (i * i % 83) as f32 * 0.01 }).collect();
    let shapes = [Shape::new(&[n, 4, 4, 4]).unwrap(), Shape::new(&[6, 7, 9]).unwrap()];
    let bounds = [CHAIN, "vlasov"].map(|c| Chain::parse(c).unwrap());
    let bounds = [0, 1].map(|i| bounds[i].bind(&[], &Spec { dtype: DType::F32, shape: shapes[i] }).unwrap());
    let mut dense = Vec::new();
    let block = Block { shape: shapes[1], values: Slice::F32(&x), site: Site::default() };
    bounds[1].encode(&block, &Term { abs: 0.01, rel: 0.0 }, &mut dense).unwrap();
    for (bound, shape, bytes) in [(&bounds[0], shapes[0], sparse), (&bounds[1], shapes[1], dense)] {
        let site = Site { mask: None, origin: &[0; 4], companions: &companions, mean_square: false };
        let mut y = vec![0f32; shape.len()];
        let mut decode = |bytes: &[u8]| bound.decode(bytes, &site, SliceMut::F32(&mut y));
        decode(&bytes).unwrap();
        for cut in (0..bytes.len()).rev().take(20).chain((0..bytes.len()).step_by(7)) {
            assert_eq!(decode(&bytes[..cut]).unwrap_err().kind(), ErrorKind::Truncated, "{cut} of {}", bytes.len());
        }
        let mut bad = bytes.clone();
        bad[8] = 3;
        assert_eq!(decode(&bad).unwrap_err().kind(), ErrorKind::Corrupt);
        bad = [&bytes[..], &[0]].concat();
        assert_eq!(decode(&bad).unwrap_err().kind(), ErrorKind::Corrupt);
        for at in 0..bytes.len().min(150) {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let _ = decode(&bad);
        }
        for b in 0..=255 {
            let _ = decode(&[b; 90]);
            let _ = decode(&[&1f64.to_le_bytes()[..], &[b % 3], &[b; 90]].concat());
        }
    }
}

#[test]
fn companions_that_contradict_the_array_are_refused() {
    let s = Sample::drifting(2);
    let n = s.ids.len();
    let (bytes, _) = s.round_trip(CHAIN, 1e-3, 0..n);
    let shape = Shape::new(&[n, 4, 4, 4]).unwrap();
    let chain = Chain::parse(CHAIN).unwrap();
    let bound = chain.bind(&[], &Spec { dtype: DType::F32, shape }).unwrap();
    let kinds = |s: &Sample, origin: usize, companions: usize| {
        let all = s.companions();
        let site = Site { mask: None, origin: &[origin, 0, 0, 0], companions: &all[..companions], mean_square: false };
        let block = Block { shape, values: Slice::F32(&s.values), site };
        let encoded = bound.encode(&block, &Term { abs: 1e-3, rel: 0.0 }, &mut Vec::new());
        let decoded = bound.decode(&bytes, &site, SliceMut::F32(&mut vec![0.0; 64 * n]));
        (encoded.map_err(|e| e.kind()).map(drop), decoded.map_err(|e| e.kind()))
    };
    let refused = (Err(ErrorKind::InvalidArgument), Err(ErrorKind::Corrupt));
    assert_eq!(kinds(&s, 0, 3), (Ok(()), Ok(())));
    assert_eq!(kinds(&s, 1, 3), refused, "more blocks than there are");
    assert_eq!(kinds(&s, 0, 2), refused, "no mesh");
    let mut bad = s.clone();
    bad.ids[1] = bad.ids[0];
    assert_eq!(kinds(&bad, 0, 3), refused, "a block twice");
    bad.ids[1] = 504;
    assert_eq!(kinds(&bad, 0, 3), refused, "a block outside");
    let mut bad = s.clone();
    bad.counts[1] -= 1;
    assert_eq!(kinds(&bad, 0, 3), refused, "too few blocks");
    let mut bad = s.clone();
    bad.mesh = [1 << 20; 3];
    bad.ids[1] = u32::MAX;
    assert_eq!(kinds(&bad, 0, 3).0, Err(ErrorKind::InvalidArgument), "a box beyond memory");
    assert!(kinds(&bad, 0, 3).1.is_err());

    assert!(Chain::parse("vlasov:ids=a").is_err() && Chain::parse("vlasov:ids=a,mesh=b").is_err());
    assert!(Chain::parse("vlasov:predictor=none").is_err());
    let other = Spec { dtype: DType::F32, shape: Shape::new(&[n, 4, 4, 5]).unwrap() };
    assert_eq!(chain.bind(&[], &other).err().map(|e| e.kind()), Some(ErrorKind::InvalidArgument));
}
