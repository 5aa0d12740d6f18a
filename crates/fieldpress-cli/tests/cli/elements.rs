//! Fields on spectral elements: norms over the domain, continuity, runs whose first file alone has coordinates.

use fieldpress::array::Region;
use fieldpress::sem::{Topology, Vertices};
use serde_json::Value;

use super::support::{sample, Folder};

/// The arrays of a field file, as numbers.
fn arrays(path: &std::path::Path, names: &[&str]) -> Vec<Vec<f64>> {
    let file = fieldpress::io::open_path(path, &Default::default()).unwrap();
    let read = |name: &&str| {
        let source = &file.arrays.iter().find(|a| a.name == *name).unwrap().source;
        source.read(&Region::all(source.shape())).unwrap().as_slice().to_f64()
    };
    names.iter().map(read).collect()
}

/// The file without its coordinates, and with its velocities times a factor.
fn later(file: &[u8], factor: f32) -> Vec<u8> {
    let (group, extremes) = (3 * 216 * 512 * 4, 216 * 3 * 2 * 4);
    let data = 136 + 4 * 216;
    let mut out = file[..data].to_vec();
    out[83..85].copy_from_slice(b"U ");
    let scaled = |v: &[u8]| (f32::from_le_bytes(v.try_into().unwrap()) * factor).to_le_bytes();
    out.extend(file[data + group..data + 2 * group].chunks_exact(4).flat_map(scaled));
    let tail = &file[data + 2 * group + extremes..];
    out.extend(tail.chunks_exact(4).flat_map(scaled));
    out
}

fn array<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    verdict["files"][0]["arrays"].as_array().unwrap().iter().find(|a| a["name"] == name).unwrap()
}

#[test]
fn norms_are_integrals_over_the_domain_and_fields_stay_continuous() {
    let f = Folder::new("elements");
    let tgv = sample("tgv.f00001");
    let report = f.json(&["compress", &tgv, "--l2", "1e-2", "-o", "a.fpz", "--json"]);
    let ux = report["arrays"].as_array().unwrap().iter().find(|a| a["name"] == "ux").unwrap();
    assert!(ux["ratio"].as_f64().unwrap() > 20.0, "{ux}");
    assert_eq!(ux["elements"], serde_json::json!(["x", "y", "z"]));
    let verdict = f.json(&["verify", &tgv, "a.fpz", "--json"]);
    for name in ["ux", "uy", "uz"] {
        let l2 = array(&verdict, name)["relative_l2"].as_f64().unwrap();
        assert!(l2 <= 1e-2 && l2 > 0.97e-2, "{name}: {l2}");
    }
    f.ok(&["decompress", "a.fpz", "-o", "back.f00001"]);
    let back = arrays(&f.path("back.f00001"), &["x", "y", "z", "ux", "uy", "uz"]);
    let vertices = Vertices::new(&[&back[0], &back[1], &back[2]], 8).unwrap();
    let topology = Topology::new(&vertices, 8).unwrap();
    assert_eq!(topology.len(), 43 * 43 * 43);
    assert!(back[3..].iter().all(|u| topology.jump(u) == 0.0));
    // Corrections of single values do not tear it apart.
    f.ok(&["compress", &tgv, "--rel", "1e-3", "-f", "-o", "a.fpz"]);
    f.ok(&["decompress", "a.fpz", "-f", "-o", "back.f00001"]);
    let back = arrays(&f.path("back.f00001"), &["ux"]);
    assert!(topology.jump(&back[0]) < 1e-6 * 3.5, "{}", topology.jump(&back[0]));

    f.ok(&["compress", &tgv, "--h1", "0.05", "-f", "-o", "a.fpz"]);
    let verdict = f.json(&["verify", &tgv, "a.fpz", "--json"]);
    let (h1, l2) = (&array(&verdict, "uy")["relative_h1"], &array(&verdict, "uy")["relative_l2"]);
    assert!((0.045..=0.05).contains(&h1.as_f64().unwrap()) && l2.as_f64().unwrap() < 0.02, "{h1} {l2}");
    // Of another field neither holds.
    let mut other = std::fs::read(&tgv).unwrap();
    let data = 136 + 4 * 216 + 3 * 216 * 512 * 4;
    other[data..].chunks_exact_mut(4).take(3 * 216 * 512).enumerate().for_each(|(i, v)| {
        let u = f32::from_le_bytes(v.try_into().unwrap());
        v.copy_from_slice(&(u + if i % 7 == 0 { 0.1 } else { 0.0 }).to_le_bytes());
    });
    f.write("tgv.f00001", &other);
    assert_eq!(f.run(&["verify", "tgv.f00001", "a.fpz"]).status.code(), Some(1));
    f.npy("a.npy", &[40, 40], vec![1f32; 1600]);
    assert!(f.fails(&["compress", "a.npy", "--h1", "1e-2", "-o", "b.fpz"]).contains("spectral elements"));
}

#[test]
fn what_becomes_of_the_flow_is_compared() {
    let f = Folder::new("flow");
    let tgv = sample("tgv.f00001");
    f.ok(&["compress", &tgv, "--l2", "1e-2", "-o", "a.fpz"]);
    let v = f.json(&["compare", &tgv, "a.fpz", "--mesh", "--json"]);
    let error = |name: &str| v["flow"]["errors"][name].as_f64().unwrap();
    assert!((0.0095..=0.01).contains(&error("velocity")), "{v}");
    assert!((0.02..0.1).contains(&error("vorticity")) && (0.02..0.1).contains(&error("gradient")), "{v}");
    assert!(error("q") < 0.15 && error("dissipation").abs() < 0.02);
    let jumps = v["flow"]["jumps"].as_array().unwrap();
    assert_eq!(jumps.len(), 3);
    assert!(jumps.iter().all(|j| j["before"].as_f64().unwrap() < 1e-5 && j["after"] == 0.0), "{jumps:?}");
    // Element by element it is torn; the coordinates may come from another file.
    f.ok(&["compress", &tgv, "--l2", "1e-2", "--codec", "legendre", "-o", "b.fpz"]);
    f.write("later.f00002", &later(&std::fs::read(&tgv).unwrap(), 1.0));
    let v = f.json(&["compare", "later.f00002", "b.fpz", &format!("--mesh={tgv}"), "--json"]);
    assert!(v["flow"]["jumps"].as_array().unwrap().iter().all(|j| j["after"].as_f64().unwrap() > 0.01), "{v}");
    assert!(f.ok(&["compare", &tgv, "b.fpz", "--mesh"]).contains("vorticity"));
    assert!(f.fails(&["compare", "later.f00002", "b.fpz", "--mesh"]).contains("coordinates"));
}

#[test]
fn elements_are_decoded_to_another_order() {
    let f = Folder::new("order");
    let tgv = sample("tgv.f00001");
    f.ok(&["compress", &tgv, "--lossless", "-o", "a.fpz"]);
    let names = ["x", "y", "z", "ux", "uy", "uz"];
    let original = arrays(tgv.as_ref(), &names);
    for n in [5, 8, 12] {
        f.ok(&["decompress", "a.fpz", "--lx", &n.to_string(), "-f", "-o", "b.f00001"]);
        let found = arrays(&f.path("b.f00001"), &names);
        for (x, y) in original.iter().zip(&found) {
            let expected = fieldpress::sem::resample(x, 3, 8, n).unwrap();
            assert!(expected.iter().zip(y).all(|(e, v)| (e - v).abs() < 1e-6 * (1.0 + e.abs())), "{n}");
        }
        // What is derived from the data is there: 6 groups' extremes are those of the file.
        let size = 136 + 4 * 216 + 6 * 216 * (n * n * n * 4 + 8);
        assert_eq!(f.read("b.f00001").len(), size, "{n}");
    }
    f.ok(&["decompress", "a.fpz", "--lx", "8", "-f", "-o", "b.f00001"]);
    assert!(f.read("b.f00001") == std::fs::read(&tgv).unwrap());
    assert!(f.fails(&["decompress", "a.fpz", "--lx", "1", "-f", "-o", "c.f00001"]).contains("2 to 32"));
    f.npy("a.npy", &[4], vec![1f32; 4]);
    f.ok(&["compress", "a.npy", "--lossless", "-o", "n.fpz"]);
    assert!(f.fails(&["decompress", "n.fpz", "--lx", "4", "-o", "b.npy"]).contains("spectral elements"));
}

#[test]
fn a_run_has_its_coordinates_once() {
    let f = Folder::new("run");
    let first = std::fs::read(sample("tgv.f00001")).unwrap();
    f.write("tgv.f00001", &first);
    f.write("tgv.f00002", &later(&first, 1.25));
    let alone = f.json(&["compress", "tgv.f00002", "--l2", "1e-3", "-o", "alone.fpz", "--json"]);
    assert!(alone["arrays"].as_array().unwrap().iter().any(|a| a["elements"] == serde_json::json!([])));
    f.ok(&["verify", "tgv.f00002", "alone.fpz"]);
    let run = f.json(&["compress", "tgv.f00001", "tgv.f00002", "--l2", "1e-3", "-o", "run.fpz", "--json"]);
    let bytes = |report: &Value, name: &str| {
        let found = report["arrays"].as_array().unwrap().iter().find(|a| a["name"] == name).unwrap();
        found["bytes"].as_u64().unwrap()
    };
    // The later file knows the mesh of the first.
    assert!(bytes(&run, "tgv.f00002:ux") < bytes(&alone, "ux") * 4 / 5);
    f.ok(&["verify", "tgv.f00001", "tgv.f00002", "run.fpz"]);
    // The text that names the files of the run stands for all of them.
    let text = b"filetemplate: tgv.f%05d\nfirsttimestep: 1\nnumtimesteps: 2\n";
    f.write("tgv.nek5000", text);
    f.ok(&["compress", "tgv.nek5000", "--l2", "1e-3", "-o", "all.fpz"]);
    f.ok(&["verify", "tgv.nek5000", "tgv.f00001", "tgv.f00002", "all.fpz"]);
    f.ok(&["decompress", "all.fpz", "-o", "all"]);
    assert_eq!(
        (f.read("all/tgv.nek5000"), f.read("all/tgv.f00002").len()),
        (text.to_vec(), f.read("tgv.f00002").len())
    );
    std::fs::remove_file(f.path("tgv.f00002")).unwrap();
    assert!(f.fails(&["compress", "tgv.nek5000", "--l2", "1e-3", "-o", "b.fpz"]).contains("tgv.f00002"));
    f.write("tgv.f00002", &later(&first, 1.25));
    f.ok(&["decompress", "run.fpz", "-o", "out"]);
    let (x, y) = (arrays(&f.path("tgv.f00002"), &["uz"]), arrays(&f.path("out/tgv.f00002"), &["uz"]));
    assert!(x[0].iter().zip(&y[0]).all(|(x, y)| (x - y).abs() < 0.1));
    assert_eq!(f.read("out/tgv.f00002").len(), f.read("tgv.f00002").len());
}

#[test]
fn a_file_without_coordinates_takes_those_of_another() {
    let f = Folder::new("mesh");
    let tgv = sample("tgv.f00001");
    let original = std::fs::read(&tgv).unwrap();
    f.write("case0.f00007", &later(&original, 2.0));
    let report = f.json(&["compress", "case0.f00007", "--l2", "1e-2", "--mesh", &tgv, "-o", "a.fpz", "--json"]);
    let ux = report["arrays"].as_array().unwrap().iter().find(|a| a["name"] == "ux").unwrap();
    assert_eq!(ux["elements"], serde_json::json!(["mesh:x", "mesh:y", "mesh:z"]));
    assert!(ux["ratio"].as_f64().unwrap() > 20.0, "{ux}");
    let verdict = f.json(&["verify", "case0.f00007", "a.fpz", "--json"]);
    let l2 = array(&verdict, "ux")["relative_l2"].as_f64().unwrap();
    assert!((0.97e-2..=1e-2).contains(&l2), "{l2}");
    // The file comes back as it was, without them.
    f.ok(&["decompress", "a.fpz", "-o", "back.f00007"]);
    assert_eq!(f.read("back.f00007").len(), f.read("case0.f00007").len());
    let (x, y) = (arrays(&f.path("case0.f00007"), &["uy"]), arrays(&f.path("back.f00007"), &["uy"]));
    assert!(x[0].iter().zip(&y[0]).all(|(x, y)| (x - y).abs() < 0.5));
    // A mesh that nothing needs, or of other elements.
    for args in [["compress", &tgv, "--l2", "1e-2"], ["compress", "case0.f00007", "--lossless", "-f"]] {
        let e = f.fails(&[&args[..], &["--mesh", &tgv, "-o", "b.fpz"]].concat());
        assert!(e.contains("no coordinates"), "{e}");
    }
    let mut other = original;
    other[136..140].copy_from_slice(&77i32.to_le_bytes());
    f.write("other0.f00000", &other);
    let e = f.fails(&["compress", "case0.f00007", "--l2", "1e-2", "--mesh", "other0.f00000", "-o", "b.fpz"]);
    assert!(e.contains("no coordinates"), "{e}");
}

#[test]
fn a_series_that_changes_slowly_is_told_by_its_differences() {
    let f = Folder::new("series");
    let original = std::fs::read(sample("tgv.f00001")).unwrap();
    f.write("case0.f00000", &original);
    for k in 1..=9 {
        f.write(&format!("case0.f0000{k}"), &later(&original, 1.0 - 0.01 * k as f32));
    }
    let names: Vec<String> = (0..=9).map(|k| format!("case0.f0000{k}")).collect();
    let mut args = vec!["compress"];
    args.extend(names.iter().map(String::as_str));
    args.extend(["--l2", "1e-2", "-o", "a.fpz", "--json"]);
    let report = f.json(&args);
    let arrays = report["arrays"].as_array().unwrap();
    let of = |k: usize| arrays.iter().find(|a| a["name"] == format!("case0.f0000{k}:ux")).unwrap();
    let bytes = |k: usize| of(k)["bytes"].as_u64().unwrap();
    let chain = |k: usize| of(k)["outcomes"].to_string();
    // The first and the ninth are by themselves.
    for k in [1, 2, 7, 9] {
        assert!(4 * bytes(k) < bytes(0), "{k}: {} {}", bytes(k), bytes(0));
        assert!(chain(k).contains("difference"), "{}", chain(k));
    }
    assert!(bytes(8) > bytes(0) / 2 && !chain(8).contains("difference"), "{}", of(8));
    f.ok(&["decompress", "a.fpz", "-o", "out"]);
    let (last, back) = (f.path("case0.f00007"), f.path("out/case0.f00007"));
    let (x, y) = (self::arrays(&last, &["ux"]), self::arrays(&back, &["ux"]));
    let squares = |v: &mut dyn Iterator<Item = f64>| v.fold(0.0, |s, v| s + v * v).sqrt();
    let error = squares(&mut x[0].iter().zip(&y[0]).map(|(x, y)| x - y)) / squares(&mut x[0].iter().copied());
    assert!(error < 2e-2 && error > 1e-3, "{error}");
    let mut args = vec!["verify"];
    args.extend(names.iter().map(String::as_str));
    args.push("a.fpz");
    f.ok(&args);
}

#[test]
fn restart_files_keep_every_bit() {
    let f = Folder::new("restart");
    let original = std::fs::read(sample("tgv.f00001")).unwrap();
    f.write("rs6tgv0.f00001", &original);
    f.ok(&["compress", "rs6tgv0.f00001", "--l2", "1e-2", "-o", "a.fpz"]);
    f.ok(&["decompress", "a.fpz", "-o", "back.f00001"]);
    assert!(f.read("back.f00001") == original);
    // Those who name arrays get what they ask for.
    let report =
        f.json(&["compress", "rs6tgv0.f00001", "--l2", "1e-2", "--arrays", "ux", "-f", "-o", "a.fpz", "--json"]);
    assert!(report["ratio"].as_f64().unwrap() > 1.1, "{report}");
    f.ok(&["decompress", "a.fpz", "-f", "-o", "back.f00001"]);
    assert!(f.read("back.f00001") != original);
}
