//! Bounds on the moments of velocity distributions: they hold in every cell, whatever the method, on what the decoder returns.
#![allow(clippy::unwrap_used, clippy::panic)]

mod battery;

use std::sync::Arc;

use battery::Random;
use fieldpress::array::Array;
use fieldpress::files::{compress_files, verify_file, FileOptions, Input};
use fieldpress::vdf::{Dense, Mesh, Moments};
use fieldpress::{compress, decompress, Archive, Bound, Chain, Choice, ErrorKind, Limits, Options};

fn sample() -> Input {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/ipshock.vlsv")).unwrap();
    Input { name: "ipshock.vlsv".into(), bytes: Arc::new(bytes) }
}

fn moments(text: &str) -> Bound {
    Bound::Moments(text.parse().unwrap())
}

/// Compresses the sample file; the ratio of its blocks, and the largest errors of moments.
fn file(bound: Bound, chain: &str) -> (f64, [f64; 4]) {
    let mut options = FileOptions::new(bound.clone());
    options.lossy.choice = Choice::Chains(vec![Chain::parse(chain).unwrap()]);
    let mut bytes = Vec::new();
    let report = compress_files(&[sample()], &mut bytes, &options, None).unwrap();
    let lossy: Vec<_> = report.arrays.iter().filter(|a| !a.header.bound.is_lossless()).collect();
    assert_eq!(lossy.len(), 1, "the blocks alone");
    let archive = Archive::open(Arc::new(bytes), Limits::default()).unwrap();
    let verdict = verify_file(&sample(), &archive, 0, None).unwrap();
    assert!(verdict.holds(), "{bound} {chain}: {verdict:?}");
    let found = verdict.arrays.iter().find_map(|a| a.moments).unwrap();
    assert_eq!((found.distributions, found.violations), (5, 0));
    (lossy[0].ratio(), found.worst)
}

#[test]
fn every_method_keeps_the_moments_of_every_cell_of_a_file() {
    let asked = || Bound::All(vec![Bound::Abs(1e-14), moments("n=1e-5,u=1e-5,p=2e-5,q=4e-4")]);
    for chain in ["linear", "lorenzo", "interp", "lpc", "dwt:coder=classes", "dct", "tucker", "octree", "zfp", "pack"] {
        let (ratio, worst) = file(asked(), chain);
        // Not by storing them as they are.
        assert!(ratio > 2.5, "{chain}: {ratio}");
        assert!(worst[3] > 0.0 && worst[0] <= 1e-5 && worst[1] <= 1e-5 && worst[2] <= 2e-5 && worst[3] <= 4e-4);
    }
    let decades = Bound::All(vec![Bound::AbsOrRel { abs: 1e-16, rel: 0.1 }, moments("n=1e-6,p=1e-6")]);
    let (ratio, _) = file(decades, "log:scale=1e-15+interp");
    assert!(ratio > 4.0, "{ratio}");
}

#[test]
fn what_is_conserved_stays_to_the_last_bits() {
    for bound in [Bound::Abs(1e-15), Bound::All(vec![Bound::Abs(1e-14), Bound::Positive])] {
        let (ratio, worst) = file(Bound::All(vec![bound, Bound::Conserve]), "interp");
        assert!(ratio > 9.0 && worst[0] <= 1e-14 && worst[1] <= 1e-14, "{ratio} {worst:?}");
    }
}

/// Two drifting Maxwellians with noise around zero, special values among them, in each of `cells` boxes.
fn distributions(cells: usize, extents: [usize; 3]) -> Vec<f64> {
    let mut random = Random(7);
    let [nz, ny, nx] = extents;
    let value = |i: usize| {
        let (cell, at) = (i / (nx * ny * nz), i % (nx * ny * nz));
        let v = [at % nx, at / nx % ny, at / nx / ny];
        let about = |centre: [f64; 3], width: f64| {
            let r: f64 = (0..3).map(|a| (v[a] as f64 - centre[a]) * (v[a] as f64 - centre[a])).sum();
            libm::exp(-0.5 * r / (width * width))
        };
        let drift = cell as f64 * 0.7;
        about([8.0 + drift, 9.0, 10.0], 3.0) + 0.2 * about([14.0, 6.0, 7.0 + drift], 1.7)
    };
    (0..cells * nx * ny * nz).map(|i| value(i) + 1e-4 * (random.unit() - 0.3)).collect()
}

/// The moments of a box, by sums of integers: values in units of 2^-90.
fn exact(f: &[f64], [_, ny, nx]: [usize; 3]) -> [i128; 5] {
    let mut sums = [0i128; 5];
    for (i, f) in f.iter().enumerate() {
        let q = (f * (1u128 << 90) as f64) as i128;
        let v = [i % nx, i / nx % ny, i / nx / ny].map(|v| v as i128 - 9);
        let terms = [1, v[0], v[1], v[2], v[0] * v[0] + v[1] * v[1] + v[2] * v[2]];
        sums.iter_mut().zip(terms).for_each(|(s, t)| *s += q * t);
    }
    sums
}

#[test]
fn boxes_of_an_array_are_conserved_as_exact_sums_tell() {
    let extents = [20, 19, 22];
    let n = extents.iter().product::<usize>();
    let wide = distributions(3, extents);
    let narrow: Vec<f32> = wide.iter().map(|&v| v as f32).collect();
    let check = |x: &[f64], y: &[f64], most: f64| {
        assert!(x.iter().zip(y).all(|(a, b)| (a - b).abs() <= most));
        assert!(x.iter().zip(y).any(|(a, b)| a != b));
        for (a, b) in x.chunks(n).zip(y.chunks(n)) {
            let (before, after) = (exact(a, extents), exact(b, extents));
            let density = before[0] as f64;
            for (s, t) in before.iter().zip(after) {
                assert!(
                    ((s - t) as f64).abs() <= 1e-14 * (*s as f64).abs().max(10.0 * density),
                    "{before:?} {after:?}"
                );
            }
        }
    };
    let shape = [3, 20, 19, 22];
    for bound in [Bound::Abs(1e-3), Bound::All(vec![Bound::Abs(2e-3), Bound::Positive])] {
        for chain in ["interp", "dwt", "octree"] {
            let options = Options::new(Bound::All(vec![bound.clone(), Bound::Conserve])).with_chain(chain).unwrap();
            let array = Array::from_vec(&shape, wide.clone()).unwrap();
            let (bytes, report) = compress(&array.view(), options.clone()).unwrap();
            assert!(report.ratio() > 6.0, "{chain}: {}", report.ratio());
            check(&wide, decompress(&bytes).unwrap().as_typed::<f64>().unwrap(), 2e-3);
            let array = Array::from_vec(&shape, narrow.clone()).unwrap();
            let (bytes, report) = compress(&array.view(), options).unwrap();
            assert!(report.ratio() > 4.0, "{chain}: {}", report.ratio());
            let y = decompress(&bytes).unwrap().data().to_f64();
            check(&narrow.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), &y, 2e-3);
        }
    }
}

#[test]
fn moments_alone_are_a_bound_and_models_keep_them_too() {
    let extents = [20, 19, 22];
    let shape = [2, 20, 19, 22];
    let x = Array::from_vec(&shape, distributions(2, extents)).unwrap();
    let of = |a: &Array, cell: usize| {
        let n = a.data().len() / 2;
        Moments::of(
            &Dense::new(Mesh::unit([22, 19, 20]).unwrap(), a.data().to_f64()[cell * n..][..n].to_vec()).unwrap(),
        )
    };
    let near = |y: &Array, limit: f64| {
        for cell in 0..2 {
            let (a, b) = (of(&x, cell), of(y, cell));
            assert!((a.density / b.density - 1.0).abs() <= limit, "{} {}", a.density, b.density);
            assert!((a.velocity[2] - b.velocity[2]).abs() <= limit * a.thermal_speed());
        }
    };
    let (bytes, report) = compress(&x.view(), Options::new(moments("n=1e-9,u=1e-9"))).unwrap();
    assert!(report.ratio() > 8.0, "{}", report.ratio());
    near(&decompress(&bytes).unwrap(), 1e-9);
    let free = Bound::All(vec![Bound::None, Bound::Conserve]);
    let model = Options::new(free).with_chain("octree:tolerance=0.05").unwrap();
    let (bytes, report) = compress(&x.view(), model).unwrap();
    assert!(report.ratio() > 50.0, "{}", report.ratio());
    near(&decompress(&bytes).unwrap(), 1e-13);
}

#[test]
fn no_value_becomes_negative_that_was_not() {
    let x = distributions(1, [20, 19, 22]);
    let array = Array::from_vec(&[20, 19, 22], x.iter().map(|&v| v as f32).collect()).unwrap();
    let before = array.as_typed::<f32>().unwrap();
    let negative = |y: &[f32]| before.iter().zip(y).filter(|(x, y)| **x >= 0.0 && **y < 0.0).count();
    for chain in ["dct", "dwt", "tucker"] {
        let run = |bound: Bound| {
            let (bytes, _) = compress(&array.view(), Options::new(bound).with_chain(chain).unwrap()).unwrap();
            (bytes.len(), decompress(&bytes).unwrap().as_typed::<f32>().unwrap().to_vec())
        };
        let (plain, free) = run(Bound::Abs(2e-5));
        let (more, kept) = run(Bound::All(vec![Bound::Abs(2e-5), Bound::Positive]));
        assert!(negative(&free) > 20 && negative(&kept) == 0, "{chain}: {} {}", negative(&free), negative(&kept));
        assert!(before.iter().zip(&kept).all(|(x, y)| (x - y).abs() <= 2e-5));
        assert!(more < plain + plain / 5, "{chain}: {more} {plain}");
    }
}

#[test]
fn what_holds_no_distributions_has_no_moments() {
    let x = Array::from_vec(&[8, 9, 10], (0..720).map(f64::from).collect()).unwrap();
    let refused = |x: &Array, options: Options| compress(&x.view(), options).unwrap_err().kind();
    let flat = Array::from_vec(&[72, 10], (0..720).map(f64::from).collect()).unwrap();
    let whole = Array::from_vec(&[8, 9, 10], (0..720i32).collect()).unwrap();
    let asked = || Options::new(Bound::All(vec![Bound::Abs(0.1), Bound::Conserve]));
    assert_eq!(refused(&flat, asked()), ErrorKind::InvalidArgument);
    assert_eq!(refused(&whole, asked()), ErrorKind::InvalidArgument);
    assert_eq!(refused(&x, Options { block: Some(vec![4, 9, 10]), ..asked() }), ErrorKind::InvalidArgument);
    assert!(compress(&x.view(), asked()).is_ok());
    assert_eq!(refused(&x, Options::new(Bound::Moments(Default::default()))), ErrorKind::InvalidArgument);
}
