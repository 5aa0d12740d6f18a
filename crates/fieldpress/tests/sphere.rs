//! Transforms on the sphere against maps that others computed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

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
