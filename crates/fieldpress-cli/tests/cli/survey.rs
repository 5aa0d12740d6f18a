//! Velocity distributions: what is asked of their moments, and methods side by side.

use std::sync::Arc;

use fieldpress::io::vlsv::Vlsv;

use super::support::{sample, text, Folder};

#[test]
fn moments_are_asked_for_and_verified() {
    let f = Folder::new("moments");
    let shock = sample("ipshock.vlsv");
    f.ok(&["compress", &shock, "--abs", "1e-14", "--moments", "n=1e-7,q=1e-5", "--positive", "-o", "a.fpz"]);
    let v = f.json(&["verify", &shock, "a.fpz", "--json"]);
    let arrays = v["files"][0]["arrays"].as_array().unwrap();
    let blocks = arrays.iter().find(|a| a["name"] == "BLOCKVARIABLE/proton").unwrap();
    assert_eq!((&blocks["moments"]["distributions"], &blocks["moments"]["violations"]), (&5.into(), &0.into()));
    assert!(blocks["moments"]["worst"]["q"].as_f64().unwrap() <= 1e-5);
    // All else in such a file stays as it is.
    assert!(arrays.iter().all(|a| a["name"] == blocks["name"] || a["criterion"]["terms"][0]["abs"] == 0.0));
    let wrong = f.run(&["compress", &shock, "--abs", "1e-15", "--moments", "t=1", "-o", "b.fpz"]);
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains("(n u p q)"));
    f.fails(&["compress", &shock, "--bound", "none", "-o", "b.fpz"]);
    f.fails(&["compress", &shock, "--bound", "none", "--codec", "interp", "-o", "b.fpz"]);
}

#[test]
fn moments_that_do_not_hold_are_violations() {
    let f = Folder::new("violated");
    let values = |more: f32| -> Vec<f32> {
        let value = |i: usize| 50.0 - ((i % 20) as f32 - 10.0).abs() - ((i / 20 % 20) as f32 - 9.0).abs();
        (0..2 * 8000).map(|i| value(i) + if i >= 8000 { more } else { 0.0 }).collect()
    };
    let verdict = |f: &Folder| {
        let o = f.run(&["verify", "a.npy", "a.fpz", "--json"]);
        let v: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
        let a = v["files"][0]["arrays"][0].clone();
        (o.status.code(), a["violations"].clone(), a["moments"]["violations"].clone())
    };
    for asked in [&["--moments", "n=1e-5"][..], &["--conserve"]] {
        f.npy("a.npy", &[2, 20, 20, 20], values(0.0));
        f.ok(&[&["compress", "a.npy", "--abs", "0.5", "--codec", "dct", "-f", "-o", "a.fpz"], asked].concat());
        assert_eq!(verdict(&f), (Some(0), 0.into(), 0.into()));
        // Another original, of which one box has more everywhere.
        f.npy("a.npy", &[2, 20, 20, 20], values(0.01));
        let (code, _, moments) = verdict(&f);
        assert_eq!((code, moments), (Some(1), 1.into()), "{asked:?}");
    }
}

#[test]
fn methods_are_tried_on_cells_of_a_file_and_on_arrays() {
    let f = Folder::new("survey");
    let shock = sample("ipshock.vlsv");
    let lines = |args: &[&str]| -> Vec<serde_json::Value> {
        f.ok(&[&["survey", "--json"], args].concat()).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let asked = ["--abs", "1e-14", "--codec", "interp,vlasov:ids=ids,counts=counts,mesh=mesh"];
    let rows = lines(&[&[shock.as_str()], &asked[..]].concat());
    assert_eq!((rows.len(), &rows[1]["distributions"]), (2, &5.into()));
    assert!(rows
        .iter()
        .all(|r| r["ratio_sparse"].as_f64().unwrap() > 15.0 && r["density"].as_f64().unwrap().abs() < 1e-3));
    let values = |k: usize| (0..18 * 18 * 18).map(move |i| if i % 18 > k { 1.0 + (i % 7) as f32 } else { 0.0 });
    f.npy("f.npy", &[2, 18, 18, 18], values(3).chain(values(9)).collect::<Vec<f32>>());
    let rows = lines(&["f.npy", "--bound", "none", "--codec", "octree,hermite", "--threshold", "0.5"]);
    assert_eq!((rows.len(), &rows[0]["distributions"]), (2, &2.into()));
    assert!(f.fails(&["survey", "f.npy", "--codec", "octree"]).contains("--codec and a bound"));
    assert!(f.fails(&["survey", &shock, "--cells", "123456789"]).contains("123456789"));
    let table = f.ok(&["survey", "f.npy", "--abs", "0.1", "--codec", "zfp", "--markdown"]);
    assert!(table.starts_with("| method") && table.contains("| zfp"));
}

#[test]
fn cells_of_a_file_are_kept_and_taken_out() {
    let f = Folder::new("cells");
    let shock = sample("ipshock.vlsv");
    let blocks = |name: &str, cell: u64| {
        let v = Vlsv::open(Arc::new(f.read(name))).unwrap();
        let (ids, values) = v.blocks("proton", cell).unwrap();
        (ids, values.as_typed::<f32>().unwrap().to_vec())
    };
    let all = Vlsv::open(Arc::new(std::fs::read(&shock).unwrap())).unwrap();
    let ids: Vec<u64> = all.cells_with_blocks("proton").unwrap().iter().map(|c| c.cell).collect();
    let some = format!("{},{}", ids[3], ids[1]);
    f.ok(&["compress", &shock, "--abs", "1e-15", "-o", "all.fpz"]);
    f.ok(&["decompress", "all.fpz", "-o", "all.vlsv"]);
    f.ok(&["decompress", "all.fpz", "--cells", &some, "-o", "some.vlsv"]);
    f.ok(&["compress", &shock, "--cells", &some, "--lossless", "-o", "some.fpz"]);
    f.ok(&["verify", &shock, "some.fpz", "--cells", &some]);
    assert_eq!(f.run(&["verify", &shock, "some.fpz"]).status.code(), Some(1));
    f.ok(&["decompress", "some.fpz", "-o", "same.vlsv"]);
    for cell in [ids[1], ids[3]] {
        assert_eq!(blocks("some.vlsv", cell), blocks("all.vlsv", cell));
        let (found, values) = all.blocks("proton", cell).unwrap();
        assert_eq!(blocks("same.vlsv", cell), (found, values.as_typed::<f32>().unwrap().to_vec()));
    }
    for name in ["some.vlsv", "same.vlsv"] {
        let v = Vlsv::open(Arc::new(f.read(name))).unwrap();
        assert_eq!(v.cells_with_blocks("proton").unwrap().len(), 2);
        let density = |v: &Vlsv| v.read(v.find("VARIABLE", Some("proton/vg_rho"), None).unwrap()).unwrap();
        assert_eq!(density(&v), density(&all), "all else stays");
    }
    let none = f.fails(&["decompress", "all.fpz", "--cells", "999", "-o", "none.vlsv"]);
    assert!(none.contains("found 999") && !f.path("none.vlsv").exists());
    f.npy("a.npy", &[4], vec![1f32; 4]);
    f.ok(&["compress", "a.npy", "--lossless", "-o", "a.fpz"]);
    assert!(f.fails(&["decompress", "a.fpz", "--cells", "1", "-o", "b.npy"]).contains("VLSV"));
    assert!(f.fails(&["compress", "a.npy", "--cells", "1", "--lossless", "-o", "b.fpz"]).contains("VLSV"));
}
