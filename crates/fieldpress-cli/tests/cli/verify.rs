//! The verdicts of `verify`, and its exit codes.

use super::support::{npy_bytes, waves, Folder};

#[test]
fn changed_values_are_caught() {
    let f = Folder::new("tampered");
    let mut values = waves(80, 60);
    values[77] = f32::NAN;
    values[78] = -0.0;
    let whole = [&["compress", "a.npy", "-f", "--block", "32,32"][..]].concat();
    f.npy("a.npy", &[80, 60], values.clone());
    let check = |bound: &[&str], change: &dyn Fn(&mut Vec<f32>)| {
        f.npy("a.npy", &[80, 60], values.clone());
        f.ok(&[&whole[..], bound].concat());
        assert_eq!(f.run(&["verify", "a.npy", "a.npy.fpz"]).status.code(), Some(0), "{bound:?}");
        let mut other = values.clone();
        change(&mut other);
        f.npy("a.npy", &[80, 60], other);
        let o = f.run(&["verify", "a.npy", "a.npy.fpz", "--json"]);
        let v: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
        assert_eq!((o.status.code(), &v["holds"]), (Some(1), &false.into()), "{bound:?}: {v}");
        v["files"][0]["arrays"][0].clone()
    };
    let a = check(&["--abs", "0.01"], &|v| v[62 * 60 + 7] += 0.021);
    assert_eq!((&a["violations"], &a["first"]), (&1.into(), &serde_json::json!([62, 7])));
    let a = check(&["--lossless"], &|v| v[60] = f32::from_bits(v[60].to_bits() ^ 1));
    assert_eq!((&a["violations"], &a["first"]), (&1.into(), &serde_json::json!([1, 0])));
    check(&["--abs", "0.01"], &|v| v[77] = f32::from_bits(v[77].to_bits() ^ 1));
    check(&["--abs", "0.01"], &|v| v[78] = 0.5);
    check(&["--pw-rel", "0.01"], &|v| v[500] *= 1.03);
    let a = check(&["--psnr", "60"], &|v| v.iter_mut().step_by(2).for_each(|x| *x += 0.1));
    assert_eq!((&a["violations"], &a["holds"]), (&0.into(), &false.into()));
    check(&["--l2", "1e-3"], &|v| v[0] += 300.0);
}

#[test]
fn other_bytes_shapes_and_arrays_are_caught() {
    let f = Folder::new("other");
    f.npy("a.npy", &[80, 60], waves(80, 60));
    f.ok(&["compress", "a.npy", "--abs", "0.1"]);
    let o = |f: &Folder| f.run(&["verify", "a.npy", "a.npy.fpz"]);
    assert_eq!(o(&f).status.code(), Some(0));
    // A blank more in the header of the file.
    let mut bytes = npy_bytes(&[80, 60], waves(80, 60));
    let at = bytes.windows(2).position(|w| w == b", ").unwrap();
    bytes[at] = b' ';
    bytes[at + 1] = b',';
    f.write("a.npy", &bytes);
    assert_eq!(o(&f).status.code(), Some(1));
    f.npy("a.npy", &[60, 80], waves(60, 80));
    assert_eq!(o(&f).status.code(), Some(1));
    f.npy("a.npy", &[80, 60], vec![0f64; 4800]);
    assert_eq!(o(&f).status.code(), Some(1));
    f.write("a.npy", b"hello");
    assert_eq!(o(&f).status.code(), Some(2));
    std::fs::remove_file(f.path("a.npy")).unwrap();
    assert!(f.fails(&["verify", "a.npy", "a.npy.fpz"]).starts_with("fieldpress: a.npy: "));
}

#[test]
fn corrupt_archives_are_errors_not_verdicts() {
    let f = Folder::new("corrupt");
    f.npy("a.npy", &[80, 60], waves(80, 60));
    f.ok(&["compress", "a.npy", "--abs", "0.1"]);
    let good = f.read("a.npy.fpz");
    f.write("cut.fpz", &good[..good.len() - 1]);
    assert!(f.fails(&["verify", "a.npy", "cut.fpz"]).contains("(truncated)"));
    let mut flipped = good.clone();
    let middle = flipped.len() / 3;
    flipped[middle] ^= 4;
    f.write("flip.fpz", &flipped);
    assert!(f.fails(&["verify", "a.npy", "flip.fpz"]).contains("checksum"));
    let mut newer = good.clone();
    newer[8] = 9;
    f.write("new.fpz", &newer);
    assert!(f.fails(&["info", "new.fpz"]).contains("(unsupported)"));
    assert!(f.fails(&["decompress", "a.npy"]).contains("expected a fieldpress archive"));
}
