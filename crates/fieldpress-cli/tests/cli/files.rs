//! Files in, files out.

use super::support::{from_npy, npy_bytes, sample, waves, Folder};

#[test]
fn an_array_comes_back_within_its_bound() {
    let f = Folder::new("bound");
    let values = waves(120, 90);
    f.npy("a.npy", &[120, 90], values.clone());
    let out = f.ok(&["compress", "a.npy", "--abs", "0.01"]);
    assert!(out.contains("a.npy.fpz") && out.contains("abs 1e-2") && out.contains("PSNR"), "{out}");
    f.ok(&["decompress", "a.npy.fpz", "-o", "b.npy"]);
    let (shape, back) = from_npy::<f32>(&f.read("b.npy"));
    assert_eq!(shape, [120, 90]);
    assert!(values.iter().zip(&back).all(|(x, y)| (f64::from(*x) - f64::from(*y)).abs() <= 0.01));
    assert!(values != back);
    // Without -o the ending goes.
    std::fs::remove_file(f.path("a.npy")).unwrap();
    f.ok(&["decompress", "a.npy.fpz"]);
    assert_eq!(f.read("a.npy"), f.read("b.npy"));
    assert!(f.fails(&["decompress", "b.npy"]).contains("b.npy: expected"));
}

#[test]
fn simulation_files_come_back_to_the_byte_when_lossless() {
    let f = Folder::new("lossless");
    for name in ["tgv.f00001", "ipshock.vlsv"] {
        let path = sample(name);
        f.ok(&["compress", &path, "--lossless", "-o", "x.fpz", "-f", "--tier", "fast"]);
        f.ok(&["decompress", "x.fpz", "-o", name]);
        assert!(f.read(name) == std::fs::read(&path).unwrap(), "{name}");
        let v = f.json(&["verify", &path, "x.fpz", "--json"]);
        assert_eq!((&v["holds"], &v["files"][0]["identical"]), (&true.into(), &true.into()));
    }
}

#[test]
fn only_fields_are_lossy_unless_named() {
    let f = Folder::new("roles");
    let path = sample("tgv.f00001");
    let report = f.json(&["compress", &path, "--rel", "1e-3", "-o", "t.fpz", "--json"]);
    let arrays = report["arrays"].as_array().unwrap();
    let lossy: Vec<&str> =
        arrays.iter().filter(|a| a["bound"] != "lossless").map(|a| a["name"].as_str().unwrap()).collect();
    assert!(lossy.contains(&"ux") && !lossy.contains(&"x") && !lossy.contains(&"element_map"), "{lossy:?}");
    for a in arrays.iter().filter(|a| a["bound"] != "lossless") {
        let (error, tolerance) = (a["max_error"].as_f64().unwrap(), a["tolerance"].as_f64().unwrap());
        assert!(error > 0.0 && error <= tolerance && a["measured"] == true, "{a}");
    }
    let bytes = std::fs::metadata(f.path("t.fpz")).unwrap().len();
    assert_eq!(report["bytes"].as_u64(), Some(bytes));
    f.ok(&["verify", &path, "t.fpz"]);
    let report = f.json(&["compress", &path, "--rel", "1e-3", "-o", "t.fpz", "-f", "--json", "--arrays", "u?,x"]);
    for a in report["arrays"].as_array().unwrap() {
        let named = ["ux", "uy", "uz", "x"].contains(&a["name"].as_str().unwrap());
        assert_eq!(a["bound"] != "lossless", named, "{}", a["name"]);
    }
    assert!(f.fails(&["compress", &path, "--rel", "1e-3", "-o", "u.fpz", "--arrays", "nope*"]).contains("nope*"));
    assert_eq!(f.names(), ["t.fpz"]);
}

#[test]
fn several_files_share_an_archive() {
    let f = Folder::new("several");
    f.npy("a.npy", &[30, 40], waves(30, 40));
    f.npy("b.npy", &[50], (0..50i64).collect::<Vec<_>>());
    assert!(f.fails(&["compress", "a.npy", "b.npy", "--abs", "0.1"]).contains("-o"));
    f.ok(&["compress", "a.npy", "b.npy", "--abs", "0.1", "-o", "both.fpz"]);
    f.ok(&["verify", "b.npy", "a.npy", "both.fpz"]);
    f.ok(&["decompress", "both.fpz", "-o", "out"]);
    assert_eq!(f.read("out/b.npy"), f.read("b.npy"));
    assert_eq!(from_npy::<f32>(&f.read("out/a.npy")).0, [30, 40]);
    let v = f.json(&["info", "both.fpz", "--json"]);
    let names: Vec<_> = v["arrays"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.npy:data", "b.npy:data"]);
    f.ok(&["decompress", "both.fpz", "-o", "out2", "-f"]);
    assert!(f.fails(&["decompress", "both.fpz", "-o", "-"]).contains("standard output"));
    assert!(f.fails(&["compress", "a.npy", "./a.npy", "--abs", "0.1", "-o", "x.fpz"]).contains("twice"));
}

#[test]
fn nothing_is_overwritten_or_left_half_written() {
    let f = Folder::new("atomic");
    f.npy("a.npy", &[4, 4], waves(4, 4));
    f.write("a.npy.fpz", b"precious");
    let message = f.fails(&["compress", "a.npy", "--lossless"]);
    assert!(message.contains("a.npy.fpz: expected a new file"), "{message}");
    assert_eq!(f.read("a.npy.fpz"), b"precious");
    f.ok(&["compress", "a.npy", "--lossless", "-f"]);
    assert!(f.fails(&["decompress", "a.npy.fpz", "-o", "a.npy"]).contains("existing"));
    assert!(f.fails(&["compress", "a.npy", "--lossless", "-o", "a.npy", "-f"]).contains("not the input"));
    // Nor does an archive give way to what is in it: its file, or one of its arrays.
    for name in ["own.npy", "own.raw"] {
        f.ok(&["compress", "a.npy", "--lossless", "-o", name]);
        let own = f.read(name);
        let message = f.fails(&["decompress", name, "-o", name, "-f"]);
        assert!(message.contains("than the archive itself") && f.read(name) == own, "{message}");
        std::fs::remove_file(f.path(name)).unwrap();
    }
    // A file that is cut: the archive is begun, then given up.
    let whole = f.read("a.npy");
    f.write("cut.npy", &whole[..whole.len() - 3]);
    let message = f.fails(&["compress", "cut.npy", "--lossless"]);
    assert!(message.starts_with("fieldpress: cut.npy: expected") && message.contains("truncated"), "{message}");
    // An archive with a flipped byte in a payload, restored: given up too.
    let mut archive = f.read("a.npy.fpz");
    archive[140] ^= 1;
    f.write("bad.fpz", &archive);
    let o = f.run(&["decompress", "bad.fpz", "-o", "bad.npy"]);
    assert_eq!(o.status.code(), Some(2));
    assert_eq!(f.names(), ["a.npy", "a.npy.fpz", "bad.fpz", "cut.npy"]);
    // A failed overwrite leaves the old file.
    let before = f.read("a.npy.fpz");
    f.fails(&["compress", "cut.npy", "--lossless", "-f", "-o", "a.npy.fpz"]);
    assert_eq!(f.read("a.npy.fpz"), before);
}

#[test]
fn raw_binary_needs_a_shape_and_a_type() {
    let f = Folder::new("raw");
    let values = waves(20, 30);
    let mut bytes = b"head".to_vec();
    values.iter().for_each(|v| bytes.extend(v.to_be_bytes()));
    f.write("x.dat", &bytes);
    assert!(f.fails(&["compress", "x.dat", "--abs", "0.1"]).contains("--shape"));
    let raw = ["--shape", "20,30", "--dtype", "f32", "--endian", "big", "--offset", "4"];
    let args = [&["compress", "x.dat", "--abs", "0.1", "-o", "x.fpz"][..], &raw].concat();
    f.ok(&args);
    f.ok(&["verify", "x.dat", "x.fpz"]);
    f.ok(&["decompress", "x.fpz", "-o", "y.dat"]);
    let back = f.read("y.dat");
    assert_eq!((back.len(), &back[..4]), (bytes.len(), &b"head"[..]));
    let value = |i: usize| f32::from_be_bytes(back[4 + 4 * i..8 + 4 * i].try_into().unwrap());
    assert!(values.iter().enumerate().all(|(i, v)| (v - value(i)).abs() <= 0.1));
    // As an array it is little-endian without the head.
    f.ok(&["decompress", "x.fpz", "-o", "y.npy"]);
    let (shape, array) = from_npy::<f32>(&f.read("y.npy"));
    assert_eq!((shape, array[7]), (vec![20, 30], value(7)));
    let wrong =
        [&["compress", "x.dat", "--abs", "0.1", "-o", "z.fpz"][..], &["--shape", "20,31", "--dtype", "f4"]].concat();
    assert_eq!(f.run(&wrong).status.code(), Some(2));
}

#[test]
fn fill_values_blocks_and_chains_are_obeyed() {
    let f = Folder::new("options");
    let mut values = waves(100, 100);
    values[..300].fill(-999.0);
    values[5000] = f32::NAN;
    f.npy("a.npy", &[100, 100], values.clone());
    let args =
        ["compress", "a.npy", "--rel", "1e-3", "--fill", "-999", "--block", "64,32", "--codec", "lorenzo", "--json"];
    let report = f.json(&args);
    let a = &report["arrays"][0];
    assert_eq!((&a["block"], &a["valid"]), (&serde_json::json!([64, 32]), &9699.into()));
    assert!(a["value_range"].as_f64().unwrap() < 30.0);
    assert_eq!(a["chains"][0][0]["id"].as_str().or(a["chains"][0][0].as_str()), Some("lorenzo"));
    f.ok(&["verify", "a.npy", "a.npy.fpz"]);
    f.ok(&["decompress", "a.npy.fpz", "-o", "b.npy"]);
    let back = from_npy::<f32>(&f.read("b.npy")).1;
    assert!(back[..300].iter().all(|&v| v == -999.0) && back[5000].to_bits() == values[5000].to_bits());
    let info = f.json(&["info", "a.npy.fpz", "--json", "--blocks"]);
    assert_eq!((&info["arrays"][0]["blocks"], &info["arrays"][0]["fill"]), (&8.into(), &(-999.0).into()));

    f.write("chain.json", br#"[{"id": "lorenzo"}]"#);
    f.ok(&[
        "compress",
        "a.npy",
        "--rel",
        "1e-3",
        "--fill",
        "-999",
        "--block",
        "64,32",
        "--chain",
        "chain.json",
        "-o",
        "c.fpz",
    ]);
    assert_eq!(f.read("c.fpz"), f.read("a.npy.fpz"));
    for n in ["1", "2"] {
        let name = format!("j{n}.fpz");
        f.ok(&["compress", "a.npy", "--rel", "1e-3", "--block", "16,16", "-j", n, "-o", &name]);
    }
    assert_eq!(f.read("j1.fpz"), f.read("j2.fpz"));
    assert!(f.fails(&["compress", "a.npy", "--abs", "1", "-o", "d.fpz", "--block", "4,4,4"]).contains("2 extents"));
    assert!(f.fails(&["compress", "a.npy", "--abs", "1", "-o", "d.fpz", "--codec", "nope"]).contains("nope"));
}

#[test]
fn exactly_one_bound_or_all() {
    let f = Folder::new("bounds");
    let values = waves(40, 50);
    f.npy("a.npy", &[40, 50], values.clone());
    assert!(f.fails(&["compress", "a.npy"]).contains("expected a bound"));
    assert!(f.fails(&["compress", "a.npy", "--abs", "1", "--rel", "1e-3"]).contains("one bound"));
    assert!(f.fails(&["compress", "a.npy", "--abs", "-1"]).contains("non-negative"));
    for bound in [
        &["--abs", "1e-2"][..],
        &["--rel", "1e-3"],
        &["--pw-rel", "1e-2"],
        &["--l2", "1e-3"],
        &["--psnr", "60"],
        &["--abs-or-rel", "1e-3,1e-2"],
        &["--lossless"],
        &["--all", "--abs", "0.1", "--psnr", "50", "--pw-rel", "0.5"],
    ] {
        f.ok(&[&["compress", "a.npy", "-f"][..], bound].concat());
        let v = f.json(&["verify", "a.npy", "a.npy.fpz", "--json"]);
        assert_eq!(v["holds"], true, "{bound:?}");
    }
    let all = f.json(&["info", "a.npy.fpz", "--json"]);
    assert_eq!(all["arrays"][0]["bound"]["all"].as_array().unwrap().len(), 3);
}

#[test]
fn zips_come_back_and_arrays_become_zips() {
    let f = Folder::new("npz");
    f.npy("a.npy", &[30, 40], waves(30, 40));
    f.npy("b.npy", &[7], vec![1u8, 2, 3, 4, 5, 6, 7]);
    f.ok(&["compress", "a.npy", "b.npy", "--lossless", "-o", "ab.fpz"]);
    f.ok(&["decompress", "ab.fpz", "-o", "ab.npz"]);
    f.ok(&["compress", "ab.npz", "--lossless", "-o", "zip.fpz"]);
    f.ok(&["verify", "ab.npz", "zip.fpz"]);
    f.ok(&["decompress", "zip.fpz", "-o", "again.npz"]);
    f.ok(&["verify", "again.npz", "zip.fpz"]);
    f.ok(&["decompress", "zip.fpz", "--arrays", "b*", "-o", "b2.npy"]);
    assert_eq!(f.read("b2.npy"), npy_bytes(&[7], vec![1u8, 2, 3, 4, 5, 6, 7]));
    assert!(f.fails(&["decompress", "zip.fpz", "-o", "one.npy"]).contains("found 2"));
}

#[test]
fn one_array_may_stand_on_another() {
    let f = Folder::new("companions");
    let path = sample("tgv.f00001");
    let args =
        ["compress", &path, "--rel", "1e-3", "--arrays", "uy", "--codec", "difference:from=ux+lorenzo", "-o", "t.fpz"];
    f.ok(&args);
    f.ok(&["verify", &path, "t.fpz"]);
    let v = f.json(&["info", "t.fpz", "--json"]);
    let arrays = v["arrays"].as_array().unwrap();
    let at = |name: &str| arrays.iter().position(|a| a["name"] == name).unwrap();
    assert!(at("ux") < at("uy") && arrays[at("uy")]["companions"] == serde_json::json!(["ux"]), "{v}");
    f.ok(&["decompress", "t.fpz", "--arrays", "uy", "-o", "uy.npy"]);
    f.ok(&["decompress", "t.fpz", "-o", "back.f00001"]);
    let circle = ["compress", &path, "--rel", "1e-3", "--codec", "difference:from=ux+lorenzo", "-o", "no.fpz"];
    assert!(f.fails(&circle).contains("circle"));
    assert_eq!(f.names(), ["back.f00001", "t.fpz", "uy.npy"]);
}

#[test]
fn names_with_colons_come_back() {
    let f = Folder::new("colons");
    for name in ["wrfout_2000-01-24_12:00:00", "b.raw"] {
        f.write(name, &[7; 64]);
    }
    let inputs = ["wrfout_2000-01-24_12:00:00", "b.raw", "--shape", "16", "--dtype", "f32"];
    f.ok(&[&["compress"], &inputs[..], &["--lossless", "-o", "x.fpz"]].concat());
    f.ok(&["decompress", "x.fpz", "-o", "out"]);
    assert_eq!(f.read("out/wrfout_2000-01-24_12:00:00"), [7; 64]);
    // A folder made for files that did not come goes again.
    let mut bytes = f.read("x.fpz");
    bytes[20] ^= 1;
    f.write("bad.fpz", &bytes);
    f.fails(&["decompress", "bad.fpz", "-o", "other"]);
    assert!(!f.path("other").exists());
}

#[test]
fn outputs_are_files_and_never_the_input() {
    let f = Folder::new("outputs");
    f.npy("a.npy", &[9, 7], waves(9, 7));
    std::fs::create_dir(f.path("folder")).unwrap();
    assert!(f.fails(&["compress", "a.npy", "--lossless", "-o", "folder", "-f"]).contains("found a folder"));
    f.ok(&["compress", "a.npy", "--lossless", "-o", "a.fpz"]);
    let before = f.read("a.fpz");
    assert!(f.fails(&["decompress", "a.fpz", "-o", "a.fpz", "-f"]).contains("the archive itself"));
    assert!(f.fails(&["compress", "a.npy", "--lossless", "-o", "a.npy", "-f"]).contains("not the input"));
    assert_eq!(f.read("a.fpz"), before);
}

#[cfg(unix)]
#[test]
fn devices_are_left_alone_and_permissions_kept() {
    use std::os::unix::fs::{symlink, PermissionsExt};
    let f = Folder::new("unix");
    f.npy("a.npy", &[9, 7], waves(9, 7));
    let message = f.fails(&["compress", "a.npy", "--lossless", "-o", "/dev/null", "-f"]);
    assert!(message.contains("found a device"), "{message}");
    let old = f.write("old.fpz", b"old");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("old.fpz", f.path("link.fpz")).unwrap();
    f.ok(&["compress", "a.npy", "--lossless", "-o", "link.fpz", "-f"]);
    assert!(f.path("link.fpz").is_symlink());
    assert_eq!(std::fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o600);
    f.ok(&["verify", "a.npy", "old.fpz"]);
}

#[test]
fn chains_with_lists_can_be_named() {
    let f = Folder::new("lists");
    f.npy("a.npy", &[9, 7], waves(9, 7));
    f.ok(&["compress", "a.npy", "--lossless", "--codec", "transpose:order=[1,0]+zstd:level=5,pco", "-o", "a.fpz"]);
    let rows = f.ok(&["bench", "a.npy", "--abs", "0.1", "--codec", "transpose:order=[1,0]+interp,dwt", "--csv"]);
    assert_eq!(rows.lines().count(), 3, "{rows}");
}
