//! `compare`.

use super::support::{sample, waves, Folder};

#[test]
fn every_metric_of_two_arrays() {
    let f = Folder::new("compare");
    let values = waves(64, 48);
    f.npy("a.npy", &[64, 48], values.clone());
    let mut other = values.clone();
    other[100] += 0.25;
    f.npy("b.npy", &[64, 48], other);
    let v = f.json(&["compare", "a.npy", "b.npy", "--json", "--histogram", "5", "--spectrum"]);
    let a = &v["arrays"][0];
    assert_eq!((&a["name"], &a["different"], &a["values"]), (&"data".into(), &1.into(), &3072.into()));
    assert!((a["max_error"].as_f64().unwrap() - 0.25).abs() < 1e-6);
    for key in ["psnr", "mse", "rmse", "max_rel_error", "max_pw_rel_error", "value_range", "ssim", "pearson"] {
        assert!(a[key].is_f64(), "{key}");
    }
    assert!(a["bit_rate"].is_null());
    let counts = a["histogram"]["counts"].as_array().unwrap();
    assert_eq!(counts.iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>(), [0, 0, 3071, 0, 1]);
    assert!(a["spectrum"]["error"].as_array().unwrap().len() > 20);
    let text = f.ok(&["compare", "a.npy", "b.npy", "--histogram", "--spectrum"]);
    assert!(text.contains("psnr") && text.contains("0.25") && text.contains("wavenumber"), "{text}");
    // The same file: no error, and -0.0 is not 0.0.
    let v = f.json(&["compare", "a.npy", "a.npy", "--json"]);
    assert_eq!((&v["arrays"][0]["psnr"], &v["arrays"][0]["different"]), (&"Infinity".into(), &0.into()));
}

#[test]
fn archives_fill_values_and_what_does_not_fit() {
    let f = Folder::new("compare2");
    let mut values = waves(64, 48);
    values[..50].fill(1e20);
    f.npy("a.npy", &[64, 48], values);
    f.ok(&["compress", "a.npy", "--rel", "1e-3", "--block", "20,20"]);
    let v = f.json(&["compare", "a.npy", "a.npy.fpz", "--json"]);
    let a = &v["arrays"][0];
    assert_eq!((&a["special_values"], &a["special_mismatches"]), (&50.into(), &0.into()));
    let error = a["max_rel_error"].as_f64().unwrap();
    assert!(error > 0.0 && error <= 1e-3 * (1.0 + 1e-9), "{error}");
    let size = f.read("a.npy.fpz").len() as f64;
    assert_eq!(a["compression_ratio"].as_f64(), Some(64.0 * 48.0 * 4.0 / size));
    let v = f.json(&["compare", "a.npy", "a.npy", "--json", "--fill", "1e20"]);
    assert_eq!(v["arrays"][0]["n"], 3022);

    f.npy("c.npy", &[48, 64], waves(48, 64));
    assert!(f.fails(&["compare", "a.npy", "c.npy"]).starts_with("fieldpress: c.npy: data: expected"));
    f.write("text.txt", b"hello");
    assert!(f.fails(&["compare", "a.npy", "text.txt"]).contains("text.txt: expected"));
    let tgv = sample("tgv.f00001");
    assert!(f.fails(&["compare", "a.npy", &tgv]).contains("same name"));
    f.ok(&["compress", &tgv, "--rel", "1e-2", "-o", "t.fpz"]);
    f.ok(&["decompress", "t.fpz", "-o", "tgv.f00001"]);
    let text = f.ok(&["compare", &tgv, "tgv.f00001"]);
    assert!(text.contains("ux") && text.contains("the same to the bit"), "{text}");
    let v = f.json(&["compare", &tgv, "tgv.f00001", "--json", "--arrays", "u?"]);
    assert_eq!(v["arrays"].as_array().unwrap().len(), 3);
}
