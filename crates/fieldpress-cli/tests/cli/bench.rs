//! `bench`.

use super::support::{waves, Folder};

#[test]
fn one_json_object_per_array_codec_and_bound() {
    let f = Folder::new("bench");
    f.npy("a.npy", &[64, 48], waves(64, 48));
    f.npy("b.npy", &[500], (0..500).map(|i| f64::from(i).sqrt()).collect::<Vec<_>>());
    let out = f.ok(&["bench", "a.npy", "b.npy", "--codec", "lorenzo,raw", "--rel", "1e-2,1e-3", "-j", "1", "--json"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 8);
    for l in &lines {
        let keys: Vec<&str> = l.as_object().unwrap().keys().map(String::as_str).collect();
        let expected =
            "file array codec bound input_bytes bytes ratio max_error tolerance psnr encode_mb_s decode_mb_s threads";
        assert_eq!(keys.join(" "), expected);
        assert!(l["max_error"].as_f64().unwrap() <= l["tolerance"].as_f64().unwrap());
        assert!(l["encode_mb_s"].as_f64().unwrap() > 0.0 && l["threads"] == 1);
        let ratio = l["input_bytes"].as_f64().unwrap() / l["bytes"].as_f64().unwrap();
        assert_eq!(l["ratio"].as_f64(), Some(ratio));
    }
    let first = &lines[0];
    assert_eq!(
        (&first["file"], &first["array"], &first["codec"]),
        (&"a.npy".into(), &"data".into(), &"lorenzo".into())
    );
    assert_eq!((&first["bound"], &first["input_bytes"]), (&"rel 1e-2".into(), &12_288.into()));
    // Without error there is no finite PSNR.
    assert!(lines.iter().any(|l| l["codec"] == "raw" && l["psnr"] == "Infinity"));
}

#[test]
fn tables_for_people_sheets_and_documents() {
    let f = Folder::new("tables");
    f.npy("a.npy", &[64, 48], waves(64, 48));
    f.npy("i.npy", &[64], (0..64i32).collect::<Vec<_>>());
    let args = |more: &[&'static str]| {
        [&["bench", "a.npy", "--codec", "lorenzo", "--abs", "0.1", "--repeat", "2"][..], more].concat()
    };
    assert!(f.ok(&args(&[])).lines().next().unwrap().starts_with("file"));
    let csv = f.ok(&args(&["--csv"]));
    assert!(csv.starts_with("file,array,codec,bound,input_bytes") && csv.lines().count() == 2);
    assert!(f.ok(&args(&["--markdown"])).lines().nth(1).unwrap().starts_with("| -"));
    assert!(f.fails(&["bench", "a.npy"]).contains("at least one bound"));
    assert!(f.fails(&["bench", "i.npy", "--lossless"]).contains("--arrays"));
    f.ok(&["bench", "i.npy", "--lossless", "--arrays", "*", "--json"]);
    assert!(f.fails(&["bench", "a.npy", "--codec", "nope", "--abs", "1"]).contains("nope"));
}
