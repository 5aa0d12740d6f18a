//! Parts of arrays.

use super::support::{from_npy, waves, Folder};

fn cube() -> Vec<i32> {
    (0..20 * 30 * 40).collect()
}

#[test]
fn regions_follow_numpy() {
    let f = Folder::new("regions");
    f.npy("a.npy", &[20, 30, 40], cube());
    f.ok(&["compress", "a.npy", "--lossless", "--arrays", "*", "--block", "8,8,8", "-o", "a.fpz"]);
    let region = |text: &str| {
        f.ok(&["decompress", "a.fpz", "--region", text, "-o", "r.npy", "-f"]);
        from_npy::<i32>(&f.read("r.npy"))
    };
    let at = |i: usize, j: usize, k: usize| ((i * 30 + j) * 40 + k) as i32;
    let (shape, v) = region("0:10,:,5");
    assert_eq!((shape, v.len(), v[0], v[31]), (vec![10, 30], 300, at(0, 0, 5), at(1, 1, 5)));
    let (shape, v) = region("-3:,2:-1");
    assert_eq!((shape, v[0], v[v.len() - 1]), (vec![3, 27, 40], at(17, 2, 0), at(19, 28, 39)));
    let (shape, v) = region("19,29,39");
    assert_eq!((shape, v), (vec![], vec![at(19, 29, 39)]));
    let (shape, v) = region("5:5");
    assert_eq!((shape, v.len()), (vec![0, 30, 40], 0));
    f.ok(&["decompress", "a.fpz", "--region", "1,2,:", "-o", "r.raw"]);
    let bytes: Vec<u8> = (0..40).flat_map(|k| at(1, 2, k).to_le_bytes()).collect();
    assert_eq!(f.read("r.raw"), bytes);
    let o = f.run(&["decompress", "a.fpz", "--region", "1,2,:4", "-o", "-"]);
    assert_eq!(from_npy::<i32>(&o.stdout), (vec![4], (0..4).map(|k| at(1, 2, k)).collect()));
    for bad in ["20", "1:2:3", "0,0,0,0", "x"] {
        assert!(f.fails(&["decompress", "a.fpz", "--region", bad, "-o", "no.npy"]).contains("expected"));
    }
    assert!(f.fails(&["decompress", "a.fpz", "--region", "0", "-o", "no.npz"]).contains(".npz"));
    assert!(f.fails(&["decompress", "a.fpz", "--region", "0", "-o", "no.txt"]).contains("no.txt"));
    assert_eq!(f.names(), ["a.fpz", "a.npy", "r.npy", "r.raw"]);
}

#[test]
fn levels_are_every_other_point() {
    let f = Folder::new("levels");
    let values = waves(120, 90);
    f.npy("a.npy", &[120, 90], values.clone());
    f.ok(&["compress", "a.npy", "--abs", "0.01", "--codec", "interp", "--progressive", "-o", "a.fpz"]);
    f.ok(&["compress", "a.npy", "--abs", "0.01", "--codec", "interp", "-o", "plain.fpz"]);
    f.ok(&["decompress", "a.fpz", "-o", "whole.npy"]);
    let (_, whole) = from_npy::<f32>(&f.read("whole.npy"));
    let thinned = |step: usize| -> Vec<f32> {
        (0..120)
            .step_by(step)
            .flat_map(|i| (0..90).step_by(step).map(move |j| (i, j)))
            .map(|(i, j)| whole[i * 90 + j])
            .collect()
    };
    for archive in ["a.fpz", "plain.fpz"] {
        for (level, step) in [("0", 1), ("1", 2), ("3", 8)] {
            f.ok(&["decompress", archive, "--level", level, "-o", "l.npy", "-f"]);
            let (shape, v) = from_npy::<f32>(&f.read("l.npy"));
            assert_eq!(
                (shape, v),
                (vec![120usize.div_ceil(step), 90usize.div_ceil(step)], thinned(step)),
                "{archive} {level}"
            );
        }
    }
    f.ok(&["decompress", "a.fpz", "--level", "2", "--region", "3:5,-1", "-o", "r.raw"]);
    let part: Vec<u8> = [3, 4].iter().flat_map(|i| whole[4 * i * 90 + 88].to_le_bytes()).collect();
    assert_eq!(f.read("r.raw"), part);
    f.ok(&["decompress", "a.fpz", "--level", "2", "-o", "l.npz"]);
    assert!(f
        .fails(&["decompress", "a.fpz", "--level", "1", "-o", "l.vlsv"])
        .contains("expected an output (-o) ending in .npy"));
    let info = f.json(&["info", "a.fpz", "--json"]);
    let levels = info["arrays"][0]["levels"].as_array().unwrap();
    assert!(levels.len() > 1 && levels[1]["shape"] == serde_json::json!([30, 23]), "{levels:?}");
    let bytes: Vec<u64> = levels.iter().map(|l| l["bytes"].as_u64().unwrap()).collect();
    assert!(bytes[0] < info["arrays"][0]["bytes"].as_u64().unwrap() && bytes.windows(2).all(|b| b[0] > b[1]));
    assert!(f.ok(&["info", "a.fpz"]).contains("60x45"));
    assert_eq!(f.json(&["info", "plain.fpz", "--json"])["arrays"][0]["levels"], serde_json::json!([]));
    // Whatever is chosen has levels.
    f.ok(&["compress", "a.npy", "--rel", "1e-3", "--progressive", "-o", "b.fpz", "--tier", "fast"]);
    assert!(!f.json(&["info", "b.fpz", "--json"])["arrays"][0]["levels"].as_array().unwrap().is_empty());
    f.ok(&["verify", "a.npy", "b.fpz"]);
}
