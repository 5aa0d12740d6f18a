//! Transforms on the sphere against maps that others computed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use fieldpress::sphere::scattering::{directionality, wavelet_spectra, Coefficients, Scattering, Settings};
use fieldpress::sphere::{Grid, Harmonics, Sampling, Transform};

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sphere");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there is no {}", folder.display());
    None
}

/// The numbers of a `.npy` file of `f64`, real or complex.
fn numbers(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    assert!(text.contains("'<f8'") || text.contains("'<c16'"), "{text}");
    bytes[10 + header..].chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The coefficients in an array `[L, L]` of complex numbers, degree by degree.
fn harmonics(path: &Path, band: usize) -> Harmonics {
    let values = numbers(path);
    let mut h = Harmonics::zeros(band).unwrap();
    for m in 0..band {
        for (l, v) in (m..band).zip(h.order_mut(m)) {
            let at = 2 * (l * band + m);
            (v.re, v.im) = (values[at], values[at + 1]);
        }
    }
    h
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m: f64, v| m.max(v.abs()))
}

fn same(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
    assert!(worst < 1e-12 * largest(expected), "{what}: {worst}");
}

fn apart(a: &Harmonics, b: &Harmonics) -> f64 {
    a.values().iter().zip(b.values()).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max)
}

#[test]
fn maps_of_every_sampling_are_those_of_s2fft() {
    let Some(folder) = folder() else { return };
    for band in [8, 16] {
        let at = |name: &str| folder.join(format!("L{band}/{name}.npy"));
        let h = harmonics(&at("flm_real"), band);
        for (name, sampling) in [
            ("gl", Sampling::GaussLegendre),
            ("mw", Sampling::Mw),
            ("mwss", Sampling::Mwss),
            ("dh", Sampling::DriscollHealy),
        ] {
            let t = Transform::new(Grid::new(sampling, band).unwrap()).unwrap();
            let thetas: Vec<f64> = t.grid().rings().iter().map(|r| r.theta).collect();
            same(&thetas, &numbers(&at(&format!("thetas_{name}"))), name);
            let weights: Vec<f64> = t.grid().rings().iter().map(|r| r.weight).collect();
            same(&weights, &numbers(&at(&format!("quad_{name}"))), name);
            let map = numbers(&at(&format!("map_{name}")));
            same(&t.synthesis(&h).unwrap(), &map, name);
            let error = apart(&t.analysis(&map).unwrap(), &h);
            assert!(error < 1e-12 * largest(&map), "{name} {band}: {error}");
        }
    }
}

#[test]
fn maps_on_gauss_legendre_and_healpix_rings_are_those_of_ducc_and_healpy() {
    let Some(folder) = folder() else { return };
    for band in [8, 16, 32] {
        let nside = band / 2;
        let at = |name: &str| folder.join(format!("sht/{name}.npy"));
        let h = harmonics(&at(&format!("alm_L{band}")), band);
        let gl = Transform::new(Grid::new(Sampling::GaussLegendre, band).unwrap()).unwrap();
        same(&gl.synthesis(&h).unwrap(), &numbers(&at(&format!("map_gl_L{band}"))), "gl");
        let healpix = Transform::new(Grid::new(Sampling::Healpix(nside), band).unwrap()).unwrap();
        let map = numbers(&at(&format!("map_healpix_ring_L{band}_nside{nside}")));
        same(&healpix.synthesis(&h).unwrap(), &map, "healpix");
        for times in [0, 3] {
            let found = healpix.iterated(&map, times).unwrap();
            let found: Vec<f64> = found.values().iter().flat_map(|v| [v.re, v.im]).collect();
            let expected = numbers(&at(&format!("alm_back_healpy_iter{times}_L{band}_nside{nside}")));
            same(&found, &expected, &format!("iterations: {times}"));
        }
    }
}

#[test]
fn fields_of_spin_2_are_those_of_ducc() {
    let Some(folder) = folder() else { return };
    for band in [8, 16, 32] {
        let at = |name: &str| folder.join(format!("sht/{name}_L{band}.npy"));
        let (e, b) = (harmonics(&at("spin2_E"), band), harmonics(&at("spin2_B"), band));
        let t = Transform::new(Grid::new(Sampling::GaussLegendre, band).unwrap()).unwrap();
        let expected = numbers(&at("spin2_QU_gl"));
        let [q, u] = t.synthesis_spin(2, [&e, &b]).unwrap();
        same(&[q.clone(), u.clone()].concat(), &expected, "Q and U");
        let [back_e, back_b] = t.analysis_spin(2, [&q, &u]).unwrap();
        // There is nothing of spin 2 below degree 2.
        for (back, own) in [(back_e, e), (back_b, b)] {
            for m in 0..band {
                for l in m.max(2)..band {
                    assert!((back.at(l, m) - own.at(l, m)).norm() < 1e-12, "{band} {l} {m}");
                }
            }
        }
    }
}

/// The arrays of a `.npz` file.
fn archive(path: &Path) -> std::collections::BTreeMap<String, Vec<f64>> {
    let dataset = fieldpress::io::open_path(path, &Default::default()).unwrap();
    let read = |a: &fieldpress::io::FileArray| {
        let all = fieldpress::array::Region::all(a.source.shape());
        (a.name.trim_end_matches(".npy").to_string(), a.source.read(&all).unwrap().as_slice().to_f64())
    };
    dataset.arrays.iter().map(read).collect()
}

fn plan(band: usize, directions: usize, first_scale: usize) -> Scattering {
    Scattering::new(band, Settings { directions, first_scale, reach: None }).unwrap()
}

#[test]
fn wavelets_are_those_of_s2wav() {
    let Some(folder) = folder() else { return };
    for band in [8, 16] {
        let at = |name: &str| folder.join(format!("L{band}/{name}.npy"));
        same(&wavelet_spectra(band).concat(), &numbers(&at("kappa")), "kappa");
        for directions in 1..=3 {
            let expected = numbers(&at(&format!("s_elm_N{directions}")));
            for l in 0..band {
                for n in 0..directions {
                    // Complex numbers, of which i is a factor where N is even.
                    let place = 2 * (l * (2 * directions - 1) + directions - 1 + n) + usize::from(directions % 2 == 0);
                    let found = directionality(directions, l, n);
                    assert!((found - expected[place]).abs() < 1e-15, "{directions} {l} {n}: {found}");
                }
            }
        }
    }
}

fn check(found: &Coefficients, expected: impl Fn(&str) -> Option<Vec<f64>>, what: &str) {
    let (c01, c11) = found.isotropic(false);
    let normalised = found.normalised(found).unwrap();
    let all: [(&str, &[f64]); 12] = [
        ("mean", &[found.mean]),
        ("var", &[found.variance]),
        ("S1", &found.s1),
        ("P00", &found.p00),
        ("C01", &found.c01),
        ("C11", &found.c11),
        ("iso_C01", &c01),
        ("iso_C11", &c11),
        ("norm_S1", &normalised.s1),
        ("norm_P00", &normalised.p00),
        ("norm_C01", &normalised.c01),
        ("norm_C11", &normalised.c11),
    ];
    let mut count = 0;
    for (name, values) in all {
        if let Some(e) = expected(name) {
            same(values, &e, &format!("{what} {name}"));
            count += 1;
        }
    }
    assert!(count >= 10, "{what}: {count}");
}

#[test]
fn coefficients_are_those_of_s2scat() {
    let Some(folder) = folder() else { return };
    for band in [8, 16] {
        let map = harmonics(&folder.join(format!("L{band}/flm_real.npy")), band);
        for (directions, first) in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)] {
            let found = plan(band, directions, first).coefficients(&map).unwrap();
            let name = format!("N{directions}_Jmin{first}");
            let file = |key: &str| {
                let folder = folder.join(format!("L{band}"));
                let kind = if key.contains('_') { String::new() } else { "aniso_".into() };
                let path = folder.join(format!("{name}_{kind}{key}.npy"));
                path.exists().then(|| numbers(&path))
            };
            // Variances are complex there.
            let expected = |key: &str| file(key).map(|v| if key == "var" { vec![v[0]] } else { v });
            if file("S1").is_some() {
                check(&found, expected, &format!("L = {band}, {name}"));
            }
        }
    }
    for band in [8, 16, 32] {
        let map = harmonics(&folder.join(format!("ref/flm_real_L{band}.npy")), band);
        for (directions, first) in (1..=3).flat_map(|n| (0..=2).map(move |j| (n, j))) {
            let path = folder.join(format!("ref/L{band}_N{directions}_Jmin{first}.npz"));
            let expected = archive(&path);
            let found = plan(band, directions, first).coefficients(&map).unwrap();
            check(&found, |key| expected.get(key).cloned(), &path.display().to_string());
        }
    }
}

#[test]
fn gradients_are_those_of_s2scat() {
    let Some(folder) = folder() else { return };
    let mut count = 0;
    for (band, directions) in [(8, 1), (8, 3), (16, 3)] {
        for kind in ["gradloss", "gradlossnorm"] {
            let at = |name: &str| folder.join(format!("L{band}/N{directions}_Jmin0_{kind}_{name}.npy"));
            if !at("val").exists() {
                continue;
            }
            let map = harmonics(&folder.join(format!("L{band}/flm_real.npy")), band);
            let plan = plan(band, directions, 0);
            let own = plan.coefficients(&map).unwrap();
            let mut target = own.clone();
            target.mean *= 0.9;
            target.variance *= 0.9;
            for block in [&mut target.s1, &mut target.p00, &mut target.c01, &mut target.c11] {
                block.iter_mut().for_each(|v| *v *= 0.9);
            }
            let mut value = 0.0;
            let (_, found) = plan
                .gradient(&map, |c| {
                    let (loss, slopes) = c.loss(&target, (kind == "gradlossnorm").then_some(&own))?;
                    value = loss;
                    Ok(slopes)
                })
                .unwrap();
            same(&[value], &numbers(&at("val")), "loss");
            let expected = harmonics(&at("grad_jaxconv"), band);
            let scale = expected.values().iter().map(|v| v.norm()).fold(0.0, f64::max);
            // JAX has the conjugate.
            for (f, e) in found.values().iter().zip(expected.values()) {
                assert!((f - e.conj()).norm() < 1e-12 * scale, "{band} {directions} {kind}: {f} {e}");
            }
            count += 1;
        }
    }
    assert!(count >= 3, "{count}");
}

#[test]
fn a_tutorial_map_has_the_tutorials_shapes() {
    let Some(folder) = folder() else { return };
    let map = numbers(&folder.join("lss_map_mw_L256.npy"));
    let full = Transform::new(Grid::new(Sampling::Mw, 256).unwrap()).unwrap().analysis(&map).unwrap();
    let found = plan(256, 3, 2).coefficients(&full).unwrap();
    assert_eq!(found.blocks().map(<[f64]>::len), [35, 35, 525, 11375]);
    let (c01, c11) = found.isotropic(false);
    assert_eq!((c01.len(), c11.len(), found.distinct().len()), (21, 91, 5950));
    // The wavelets share the variance of degrees from 3 on; directions are angles.
    let sum: f64 = found.p00.chunks(5).map(|c| 2.0 * std::f64::consts::PI * c.iter().sum::<f64>() / 5.0).sum();
    let degree = |l: usize| full.spectrum()[l] * (2 * l + 1) as f64 / (4.0 * std::f64::consts::PI);
    assert!(sum < found.variance * (1.0 + 1e-12) && sum > found.variance - (1..4).map(degree).sum::<f64>(), "{sum}");
}
