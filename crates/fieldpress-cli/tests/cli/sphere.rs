//! Maps on the sphere: `scatter`, `emulate`, `sht`, `verify` and `decompress` of statistics, `compare --sphere`, and what `compress` takes.

use fieldpress::sphere::scattering::noise;
use fieldpress::sphere::{Grid, Sampling, Transform};

use super::support::Folder;

/// A map that is not Gaussian.
fn map(sampling: Sampling, band: usize) -> (Vec<usize>, Vec<f64>) {
    let spectrum: Vec<f64> = (0..band).map(|l| 1.0 / (1.0 + l as f64).powi(2)).collect();
    let t = Transform::new(Grid::new(sampling, band).unwrap()).unwrap();
    let values = t.synthesis(&noise(&spectrum, 0.2, 9).unwrap()).unwrap();
    (t.grid().shape(), values.iter().map(|v| v.exp()).collect())
}

fn folder(name: &str, sampling: Sampling, band: usize) -> Folder {
    let f = Folder::new(name);
    let (shape, values) = map(sampling, band);
    f.npy("map.npy", &shape, values);
    f
}

#[test]
fn statistics_are_kept_verified_and_drawn_from() {
    let f = folder("scatter", Sampling::Mw, 16);
    let text = f.ok(&["scatter", "map.npy", "-N", "2", "--j-min", "1", "-o", "map.scat"]);
    assert!(text.contains("L = 16, N = 2, scales 1 to 4, 3 directions") && text.contains("map.scat:"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&f.ok(&["scatter", "map.npy", "-N", "2", "--j-min", "1", "--json"])).unwrap();
    let counts = ["s1", "p00", "c01", "c11"].map(|k| json[k].as_array().unwrap().len());
    assert_eq!(counts, [12, 12, 54, 27 * 14]);
    assert_eq!(json["c01"][9]["j2"], serde_json::json!([3]));
    let iso: serde_json::Value = serde_json::from_str(&f.ok(&[
        "scatter",
        "map.npy",
        "-N",
        "2",
        "--j-min",
        "1",
        "--isotropic",
        "--normalised",
        "--json",
    ]))
    .unwrap();
    assert_eq!((iso["c01"].as_array().unwrap().len(), iso["c11"].as_array().unwrap().len()), (6, 14));
    assert!(iso["p00"].as_array().unwrap().iter().all(|v| (v.as_f64().unwrap() - 1.0).abs() < 1e-12));

    assert!(f.ok(&["verify", "map.npy", "map.scat"]).contains("map.scat: holds"));
    let report = f.ok(&[
        "emulate",
        "map.scat",
        "-o",
        "like.npy",
        "--seed",
        "4",
        "--against",
        "map.npy",
        "--evaluations",
        "300",
        "--enough",
        "1e-3",
    ]);
    assert!(report.contains("Minkowski functionals by at most") && report.contains("like.npy: loss"), "{report}");
    f.ok(&["emulate", "map.scat", "-o", "again.npy", "--seed", "4", "--evaluations", "300", "--enough", "1e-3"]);
    assert_eq!(f.read("like.npy"), f.read("again.npy"));
    let out = f.run(&["verify", "like.npy", "map.scat"]);
    assert!(out.status.code() == Some(1) && super::support::text(&out.stdout).contains("VIOLATED"), "{out:?}");
    assert!(f.fails(&["emulate", "map.scat", "-o", "like.npy"]).contains("like.npy"), "no overwriting");
    let alike = f.ok(&["compare", "map.npy", "like.npy", "--sphere"]);
    assert!(alike.contains("on the sphere") && alike.contains("distributions of values by"), "{alike}");
    f.ok(&["decompress", "map.scat", "-o", "drawn.npy"]);
    assert_eq!(f.read("drawn.npy").len(), f.read("map.npy").len());
    // The numbers themselves can be taken out.
    f.ok(&["decompress", "map.scat", "--arrays", "c11", "-o", "c11.npy"]);
    assert_eq!(f.read("c11.npy").len() as u64, 128 + 8 * (9 * 10 / 2 * 3 + 6 * 7 / 2 * 3 + 3 * 4 / 2 * 3));
}

#[test]
fn nested_maps_are_verified_as_they_were_read() {
    let f = Folder::new("nested");
    let (_, values) = map(Sampling::Healpix(8), 16);
    f.npy("map.npy", &[768], fieldpress::sphere::map_to_nested(8, &values).unwrap());
    f.npy("ring.npy", &[768], values);
    f.ok(&["scatter", "map.npy", "--nested", "--iterations", "1", "-N", "1", "-o", "map.scat"]);
    assert!(f.ok(&["verify", "map.npy", "map.scat"]).contains("map.scat: holds"));
    assert_eq!(f.run(&["verify", "ring.npy", "map.scat"]).status.code(), Some(1));
    f.ok(&["compress", "map.npy", "--rel", "1e-3", "--codec", "sphere:sampling=nested"]);
    f.ok(&["verify", "map.npy", "map.npy.fpz"]);
    // What cannot be written or means nothing is told before anything is drawn.
    assert!(f.fails(&["emulate", "map.scat", "-o", "ring.npy"]).contains("ring.npy"));
    assert!(f.fails(&["emulate", "map.scat", "-o", "x.npy", "--onto", "nope"]).contains("mw mwss dh gl"));
    assert!(f.fails(&["scatter", "ring.npy", "-o", "-"]).contains("standard output"));
}

#[test]
fn a_mask_hides_what_has_no_values() {
    let f = folder("mask", Sampling::Mw, 16);
    let (shape, mut values) = map(Sampling::Mw, 16);
    f.npy("ones.npy", &[12 * 64], vec![1.0; 12 * 64]);
    let numbers = |args: &[&str]| f.json(&[&["scatter", "-N", "1", "--j-min", "1", "--json"][..], args].concat());
    let (plain, ones) = (numbers(&["map.npy"]), numbers(&["map.npy", "--mask", "ones.npy"]));
    let value = |j: &serde_json::Value| j["c11"][2]["value"].as_f64().unwrap();
    assert!((value(&plain) / value(&ones) - 1.0).abs() < 1e-10);
    values[..31 * 4].fill(f64::NAN);
    f.npy("holes.npy", &shape, values);
    let mask: Vec<f64> = (0..16 * 31).map(|i| if i < 31 * 5 { 0.0 } else { 1.0 }).collect();
    f.npy("mask.npy", &shape, mask);
    assert!(f.fails(&["scatter", "holes.npy"]).contains("124 points"));
    assert!(value(&numbers(&["holes.npy", "--mask", "mask.npy"])).is_finite());
    f.npy("wrong.npy", &shape, vec![2.0; 16 * 31]);
    assert!(f.fails(&["scatter", "map.npy", "--mask", "wrong.npy"]).contains("from 0 to 1, found 2"));
    assert_eq!(f.run(&["scatter", "map.npy", "--mask", "mask.npy", "-o", "x.scat"]).status.code(), Some(2));
    assert!(!f.path("x.scat").exists());
}

#[test]
fn coefficients_and_maps_go_both_ways() {
    let f = folder("sht", Sampling::Mwss, 12);
    assert_eq!(f.ok(&["sht", "map.npy"]).lines().count(), 13);
    f.ok(&["sht", "map.npy", "-o", "flm.npy"]);
    f.ok(&["sht", "flm.npy", "--inverse", "mwss", "-o", "back.npy"]);
    f.ok(&["sht", "flm.npy", "--inverse", "healpix:8", "-o", "hp.npy"]);
    // exp of a map has degrees beyond the limit, which the first pass loses: the second loses nothing.
    f.ok(&["sht", "back.npy", "-o", "flm2.npy"]);
    let json = f.json(&["compare", "flm.npy", "flm2.npy", "--json"]);
    assert!(json["arrays"][0]["max_error"].as_f64().unwrap() < 1e-12, "{json}");
    f.ok(&["sht", "hp.npy", "--band", "12", "-o", "flm3.npy"]);
    let json = f.json(&["compare", "flm.npy", "flm3.npy", "--json"]);
    assert!(json["arrays"][0]["max_error"].as_f64().unwrap() < 1e-3, "{json}");
    for (args, told) in [
        (&["sht", "flm.npy", "-o", "x.npy"][..], "map on the sphere"),
        (&["sht", "map.npy", "--inverse", "mw", "-o", "x.npy"], "[L, L, 2]"),
        (&["sht", "flm.npy", "--inverse", "nope", "-o", "x.npy"], "healpix:NSIDE"),
        (&["sht", "flm.npy", "--inverse", "mw"], "-o"),
        (&["scatter", "map.npy", "--j-min", "4"], "smallest scale"),
        (&["scatter", "map.npy", "-N", "9"], "1 to 5"),
        (&["scatter", "map.npy", "--sampling", "gl"], "map on the sphere"),
        (&["emulate", "map.npy", "-o", "x.npy"], "map.npy"),
    ] {
        let message = f.fails(args);
        assert!(message.contains(told), "{args:?}: {message}");
        assert!(!f.path("x.npy").exists());
    }
}

#[test]
fn maps_take_the_sphere_by_themselves() {
    let f = Folder::new("maps");
    let spectrum: Vec<f64> = (0..48).map(|l| 1.0 / (1.0 + l as f64).powi(2)).collect();
    let t = Transform::new(Grid::new(Sampling::GaussLegendre, 48).unwrap()).unwrap();
    f.npy("map.npy", &t.grid().shape(), t.synthesis(&noise(&spectrum, 0.2, 9).unwrap()).unwrap());
    for bound in [["--rel", "1e-3"], ["--l2", "1e-3"], ["--psnr", "60"]] {
        let args = [&["compress", "map.npy", "-f", "--json"][..], &bound].concat();
        let json: serde_json::Value = serde_json::from_str(&f.ok(&args)).unwrap();
        assert!(json["arrays"][0]["outcomes"].as_object().unwrap().keys().any(|k| k.contains("sphere")), "{json}");
        f.ok(&["verify", "map.npy", "map.npy.fpz"]);
    }
}
