//! Parts of arrays.

use super::support::{from_npy, Folder};

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
