//! Moments of velocity distributions against what Vlasiator wrote itself, and against published figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use fieldpress::array::{Region, View};
use fieldpress::io::{open_path, Dataset, OpenOptions};
use fieldpress::transform::filterbank::{FilterBank, Mode};
use fieldpress::transform::filters::Named;
use fieldpress::transform::zfp::{decode, encode, Header, Params};
use fieldpress::vdf::{
    non_maxwellianity, Comparison, Dense, Distribution, Mesh, Moments, PublishedStatistics, Sparse, Tensor, BLOCK_CELLS,
};
use fieldpress::{compress, decompress, Array, Bound, DType, Options};

/// The mass of the proton in kg as Vlasiator has it.
const PROTON: f64 = 1.67262158e-27;
/// The sparsity threshold of all these distributions in s^3/m^6.
const THRESHOLD: f64 = 1e-15;

/// A file below the repository, or `None` with a message where it is not there.
fn open(path: &str) -> Option<Dataset> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../..", path].iter().collect();
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(open_path(Path::new(&path), &OpenOptions::default()).unwrap())
}

fn read(file: &Dataset, name: &str) -> Array {
    let source = &file.arrays.iter().find(|a| a.name == name).unwrap_or_else(|| panic!("no {name}")).source;
    Array::new(source.shape(), source.read(&Region::all(source.shape())).unwrap()).unwrap()
}

fn reals(file: &Dataset, name: &str) -> Vec<f64> {
    read(file, name).data().to_f64()
}

/// A spatial cell: its id, its index among the variables, and its distribution in the order of the file.
struct Cell {
    id: u64,
    index: usize,
    f: Sparse<f32>,
}

/// The cells of a file that have a distribution.
fn cells(file: &Dataset) -> Vec<Cell> {
    let nodes = ["X", "Y", "Z"].map(|axis| reals(file, &format!("MESH_NODE_CRDS_{axis}/proton")));
    let mesh = Mesh::from_nodes([&nodes[0], &nodes[1], &nodes[2]]).unwrap();
    let all = read(file, "VARIABLE/CellID");
    let (ids, values) = (read(file, "BLOCKIDS/proton"), read(file, "BLOCKVARIABLE/proton"));
    let (ids, values) = (ids.as_typed::<u32>().unwrap(), values.as_typed::<f32>().unwrap());
    let with_blocks = read(file, "CELLSWITHBLOCKS/proton");
    let counts = read(file, "BLOCKSPERCELL/proton");
    let mut first = 0;
    let cell = |(id, count): (&u64, &u32)| {
        let part = first..first + *count as usize;
        first = part.end;
        let index = all.as_typed::<u64>().unwrap().iter().position(|c| c == id).unwrap();
        let values = values[BLOCK_CELLS * part.start..BLOCK_CELLS * part.end].to_vec();
        Cell { id: *id, index, f: Sparse::new(mesh, ids[part].to_vec(), values).unwrap() }
    };
    let found =
        with_blocks.as_typed::<u64>().unwrap().iter().zip(counts.as_typed::<u32>().unwrap()).map(cell).collect();
    assert_eq!(BLOCK_CELLS * first, values.len());
    found
}

/// Three values of a cell.
fn three(v: &[f64], index: usize) -> [f64; 3] {
    v[3 * index..3 * index + 3].try_into().unwrap()
}

/// The pressure tensor from the two variables of Vlasiator. Its versions differ in the order of the elements beside the
/// diagonal: yz, xz, xy in older files, xy, xz, yz in those of the shock, as these tests show.
fn tensor([xx, yy, zz]: [f64; 3], off_diagonal: [f64; 3], old: bool) -> Tensor {
    let [yz, xz, xy] = if old { off_diagonal } else { [off_diagonal[2], off_diagonal[1], off_diagonal[0]] };
    Tensor { xx, yy, zz, yz, xz, xy }
}

/// How far the moments of the distributions of a file are from those that the simulation wrote beside them, at most: the
/// density relative, `vg_v` in thermal speeds, the pressure relative.
///
/// The simulation takes the pressure about `vg_v`, so it holds `m n du du` more than the tensor about the mean.
fn moment_errors(file: &Dataset, old: bool) -> [f64; 3] {
    let density = reals(file, "VARIABLE/proton/vg_rho");
    let velocity = reals(file, "VARIABLE/proton/vg_v");
    let diagonal = reals(file, "VARIABLE/proton/vg_ptensor_diagonal");
    let off_diagonal = reals(file, "VARIABLE/proton/vg_ptensor_offdiagonal");
    let mut worst = [0.0f64; 3];
    for Cell { index, f, .. } in cells(file) {
        let m = Moments::of(&f);
        let u = three(&velocity, index);
        let [x, y, z]: [f64; 3] = std::array::from_fn(|a| m.velocity[a] - u[a]);
        let moved = Tensor { xx: x * x, yy: y * y, zz: z * z, yz: y * z, xz: x * z, xy: x * y };
        let written = tensor(three(&diagonal, index), three(&off_diagonal, index), old);
        let about_mean = written.minus(&moved.times(PROTON * m.density));
        let errors = [
            (m.density / density[index] - 1.0).abs(),
            (x * x + y * y + z * z).sqrt() / m.thermal_speed(),
            m.pressure(PROTON).minus(&about_mean).norm() / written.norm(),
        ];
        worst.iter_mut().zip(errors).for_each(|(w, e)| *w = w.max(e));
    }
    worst
}

/// Checks a file of the shock; returns how many distributions there are, and the largest anisotropy with the id of its cell.
///
/// `vg_v` is up to 0.01 thermal speeds from the mean of the distribution beside it. The velocities
/// of the thermal and nonthermal parts are sums over that distribution, and so are what its mean is held to.
fn check_shock(file: &Dataset) -> (usize, f64, u64) {
    let [density, velocity, pressure] = moment_errors(file, false);
    assert!(density < 1e-6 && velocity < 0.011 && pressure < 1e-12, "{density} {velocity} {pressure}");
    let parts = ["thermal", "nonthermal"].map(|part| {
        let of = |what: &str| reals(file, &format!("VARIABLE/proton/vg_{what}_{part}"));
        (of("rho"), of("v"))
    });
    let field = reals(file, "VARIABLE/fg_b");
    let cells = cells(file);
    let (mut largest, mut at) = (0.0, 0);
    for Cell { id, index, f } in &cells {
        let m = Moments::of(f);
        let thermal = m.thermal_speed();
        for a in 0..3 {
            let flux = |(n, u): &(Vec<f64>, Vec<f64>)| if n[*index] > 0.0 { n[*index] * u[3 * index + a] } else { 0.0 };
            let flux: f64 = parts.iter().map(flux).sum();
            assert!((m.density * m.velocity[a] - flux).abs() < 1e-6 * m.density * thermal, "cell {id}");
        }
        // The mesh of the fields is in the order of the ids, and the upstream plasma has 1e5 K.
        let b = three(&field, *id as usize - 1);
        let [along, across] = m.temperatures(b, PROTON).unwrap();
        assert!(((along + 2.0 * across) / 3.0 / m.temperature(PROTON) - 1.0).abs() < 1e-12);
        assert!(along > 9.9e4 && across > 9.9e4, "{along} {across}");
        let eps = non_maxwellianity(f, Some(b)).unwrap();
        assert!((-1e-6..0.9).contains(&eps), "cell {id}: {eps}");
        let anisotropy = m.pressure_per_mass.anisotropy().unwrap();
        if anisotropy > largest {
            (largest, at) = (anisotropy, *id);
        }
        check_forms(f, &m);
    }
    (cells.len(), largest, at)
}

/// A dense box holds the same distribution, and gives it back.
fn check_forms(f: &Sparse<f32>, m: &Moments) {
    let part = f.bounds();
    let dense = f.to_dense(&part).unwrap();
    assert_eq!(&Sparse::from_dense(*f.mesh(), &part, &dense, f.ids().to_vec()).unwrap(), f);
    let same = Comparison::of_sparse(f, &f.sorted(), THRESHOLD).unwrap();
    assert_eq!((same.values.l1, same.values.lost, same.values.ghost, same.moments.pressure), (0.0, 0, 0, 0.0));
    let of_dense = Moments::of(&dense);
    assert!((of_dense.density / m.density - 1.0).abs() < 1e-13);
    assert!(of_dense.pressure_per_mass.minus(&m.pressure_per_mass).norm() < 1e-12 * m.pressure_per_mass.norm());
}

#[test]
fn moments_are_those_that_the_simulation_wrote() {
    let found = check_shock(&open("samples/ipshock.vlsv").expect("the sample of the repository"));
    assert!(found.0 == 5 && found.2 == 36 && (found.1 - 11.42).abs() < 0.01, "{found:?}");
}

#[test]
fn moments_of_a_whole_shock() {
    let Some(file) = open("../shared/data/vdf/ipshock_t12.vlsv") else { return };
    let found = check_shock(&file);
    assert!(found.0 == 60 && found.2 == 36 && (found.1 - 11.42).abs() < 0.01, "{found:?}");
    let values = reals(&file, "BLOCKVARIABLE/proton");
    assert_eq!(values.iter().filter(|f| **f < 0.0).count(), 112_531);
}

/// Here `vg_v` is the mean of the distribution, and everything agrees to rounding.
#[test]
fn moments_of_an_older_file() {
    let Some(file) = open("../shared/data/vdf/bulk.1d.vlsv") else { return };
    let errors = moment_errors(&file, true);
    assert!(errors.iter().all(|e| *e < 1e-13), "{errors:?}");
}

/// The distribution of the ASTERIX notebook: cell 356780649 of a magnetospheric run, cut to 50^3 cells.
fn notebook() -> Option<Dense<f32>> {
    let file = open("../shared/data/vdf/vlasiator_sample_zyx_50.npy")?;
    let array = read(&file, &file.arrays[0].name);
    Some(Dense::new(Mesh::unit([50; 3]).unwrap(), array.as_typed::<f32>().unwrap().to_vec()).unwrap())
}

fn close(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "expected {expected}, found {found}");
}

/// What a codec that clips at the threshold does to the moments, though it loses nothing above.
#[test]
fn zeroing_below_the_threshold_changes_the_moments() {
    let Some(f) = notebook() else { return };
    assert_eq!(f.values().iter().filter(|f| **f == 0.0).count(), 39_892);
    let m = Moments::of(&f);
    for (found, expected) in m.velocity.into_iter().zip([30.616, 29.525, 28.117]) {
        close(found, expected, 5e-4);
    }
    let zeroed = f.values().iter().map(|f| if f64::from(*f) < THRESHOLD { 0.0 } else { *f }).collect();
    let e = Comparison::of(&f, &Dense::new(*f.mesh(), zeroed).unwrap(), THRESHOLD).unwrap();
    close(100.0 * e.moments.density, -0.647, 5e-4);
    close(100.0 * e.moments.velocity, 0.64, 5e-3);
    close(100.0 * e.moments.pressure, 1.42, 5e-3);
    close(100.0 * e.moments.anisotropy, 2.22, 5e-3);
    close(100.0 * e.moments.heat_flux, 1.66, 5e-3);
    close(e.values.l1, 0.0065, 5e-5);
    close(e.values.max, 0.004, 5e-4);
    assert_eq!((e.values.above, e.values.lost, e.values.ghost), (50_506, 0, 0));
    assert_eq!((e.values.negative_before, e.values.negative_after, e.values.rms_log10), (612, 0, 0.0));
}

/// ZFP at the tolerance of the notebook: the errors as they are, and as the notebook has them.
#[test]
fn zfp_has_its_published_errors() {
    let Some(f) = notebook() else { return };
    let mut stream = Vec::new();
    let header = Header::new(DType::F32, &[50; 3], Params::accuracy(1e-13)).unwrap();
    encode(f.values(), &header, &mut stream).unwrap();
    let mut d = f.clone();
    decode(&stream, &[50; 3], d.values_mut()).unwrap();

    let e = Comparison::of(&f, &d, THRESHOLD).unwrap();
    close(100.0 * e.moments.density, -0.083, 5e-4);
    close(100.0 * e.moments.velocity, 0.080, 5e-4);
    close(100.0 * e.moments.pressure, 0.146, 5e-4);
    close(100.0 * e.moments.anisotropy, 0.365, 5e-4);
    close(100.0 * e.moments.heat_flux, 0.166, 5e-4);
    close(e.values.l1, 0.0463, 5e-5);
    close(e.values.max, 0.033, 5e-4);
    close(e.values.rms_log10, 0.150, 5e-4);
    assert_eq!((e.values.lost, e.values.negative_after), (2955, 1559));

    let p = PublishedStatistics::between(&f, &d).unwrap();
    close(p.density, 0.083, 5e-4);
    close(p.velocity, 0.000, 5e-4);
    close(p.pressure.diagonal, 2.506, 5e-4);
    close(p.pressure.frobenius, 2.490, 5e-4);
    close(p.revised_pressure.diagonal, 0.10, 5e-3);
    close(p.revised_pressure.frobenius, 0.15, 5e-3);
    close(p.l1, 0.046, 5e-4);
    close(p.l2, 0.032, 5e-4);
}

/// What a chain without a bound makes of `f`, padded with zeros to `n` cells along each axis; and its bytes.
fn coded(f: &Dense<f32>, n: usize, chain: &str) -> (usize, Dense<f32>) {
    let mut padded = vec![0.0; n * n * n];
    for (row, from) in f.values().chunks_exact(50).enumerate() {
        let at = (row / 50 * n + row % 50) * n;
        padded[at..at + 50].copy_from_slice(from);
    }
    let options = Options::new(Bound::None).with_chain(chain).unwrap();
    let (bytes, _) = compress(&View::new(&[n; 3], &padded).unwrap(), options).unwrap();
    let decoded = decompress(&bytes).unwrap();
    let mut d = f.clone();
    for (row, to) in d.values_mut().chunks_exact_mut(50).enumerate() {
        let at = (row / 50 * n + row % 50) * n;
        to.copy_from_slice(&decoded.as_typed::<f32>().unwrap()[at..at + 50]);
    }
    (bytes.len(), d)
}

#[test]
fn cosines_and_wavelets_have_their_published_errors() {
    let Some(f) = notebook() else { return };
    // Blocks of 8 cells, the last ones of 2 cells and zeros.
    let (bytes, d) = coded(&f, 56, "dct:block=8,keep=4");
    let p = PublishedStatistics::between(&f, &d).unwrap();
    close(p.density, 0.394, 5e-4);
    close(p.velocity, 0.114, 5e-4);
    close(p.l1, 0.046, 5e-4);
    close(p.l2, 0.044, 5e-4);
    assert!(bytes < 87_808 / 4, "{bytes}");

    // No level: values below the threshold become 0.
    let (bytes, d) = coded(&f, 50, "wavelet:levels=0,absolute=true,threshold=1e-16,step=1e-19");
    let p = PublishedStatistics::between(&f, &d).unwrap();
    close(p.density, 0.038, 5e-4);
    close(p.velocity, 0.005, 5e-4);
    assert!(bytes < 262_648 && d.values().iter().filter(|v| **v == 0.0).count() == 59_755, "{bytes}");

    // Integers of 8 bits: fractions are cut off, a third of the range is used.
    let bank = FilterBank { wavelet: Named::parse("bior1.3").unwrap(), mode: Mode::Symmetric, levels: vec![1; 3] };
    let values: Vec<f64> = f.values().iter().map(|v| f64::from(v.max(0.0))).collect();
    let unit = values.iter().fold(0.0, |m: f64, v| m.max(*v)) / (127.0 / 3.0);
    let mut c = bank.forward(&values, &[50; 3]).unwrap();
    assert_eq!(c.len(), 54 * 54 * 54);
    c.iter_mut().for_each(|v| *v = (*v / unit).trunc() * unit);
    let mut d = f.clone();
    d.values_mut().iter_mut().zip(bank.inverse(&c, &[50; 3]).unwrap()).for_each(|(d, v)| *d = v as f32);
    let p = PublishedStatistics::between(&f, &d).unwrap();
    close(p.density, 6.009, 5e-4);
    close(p.velocity, 0.834, 5e-4);
    // Rounded to the nearest, as many bits do far better.
    let (_, d) = coded(&f, 50, "wavelet:wavelet=bior1.3,levels=1,bits=8");
    assert!(PublishedStatistics::between(&f, &d).unwrap().density < 1.0);
}

#[test]
fn the_methods_of_the_notebook_have_their_published_errors() {
    let Some(f) = notebook() else { return };
    let wide = Dense::new(*f.mesh(), f.values().iter().map(|v| f64::from(*v)).collect()).unwrap();
    let all = fieldpress::survey::published(&wide).unwrap();
    let of = |name: &str| all.iter().find(|p| p.method.starts_with(name)).unwrap();
    for (name, ratio, expected) in [
        ("zfp", Some(87.316), [0.083, 0.000, 0.046, 0.032]),
        ("DCT", Some(8.0), [0.394, 0.114, 0.046, 0.044]),
        ("DWT, threshold", Some(1.9159), [0.038, 0.005, 0.0004, 0.0004]),
        ("Hermite", Some(36.982), [10.802, 2.579, 0.175, 0.143]),
        ("PCA", Some(83.333), [0.031, 0.001, 0.006, 0.007]),
    ] {
        let (p, s) = (of(name), of(name).statistics);
        let found = [s.density, s.velocity, s.l1, s.l2];
        // Its principal components were drawn by a randomised method.
        let near = if name == "PCA" { 1.5e-3 } else { 6e-4 };
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= near), "{name}: {found:?}");
        assert!(ratio.zip(p.ratio).is_some_and(|(a, b)| (a / b - 1.0).abs() < 2e-4), "{name}: {:?}", p.ratio);
    }
    let s = of("DWT, int8").statistics;
    assert!((s.density - 6.009).abs() < 6e-4 && (s.velocity - 0.834).abs() < 6e-4, "{s:?}");
    let small = Dense::new(Mesh::unit([8; 3]).unwrap(), vec![1.0; 512]).unwrap();
    assert!(fieldpress::survey::published(&small).is_err());
}
