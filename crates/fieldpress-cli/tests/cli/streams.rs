//! Standard input and output.

use std::io::Read;
use std::process::{Command, Stdio};

use super::support::{npy_bytes, text, waves, Folder};

#[test]
fn everything_goes_through_pipes() {
    let f = Folder::new("pipes");
    let bytes = npy_bytes(&[70, 50], waves(70, 50));
    let packed = f.pipe(&["compress", "-", "--lossless"], &bytes);
    assert!(packed.status.success() && text(&packed.stderr).contains("ratio"), "{}", text(&packed.stderr));
    let back = f.pipe(&["decompress", "-"], &packed.stdout);
    assert_eq!(back.stdout, bytes);
    f.write("a.npy", &bytes);
    assert!(f.pipe(&["verify", "a.npy", "-"], &packed.stdout).status.success());
    assert!(f.pipe(&["info", "-"], &packed.stdout).status.success());
    f.ok(&["compress", "a.npy", "--lossless", "-o", "a.fpz"]);
    assert!(f.pipe(&["verify", "-", "a.fpz"], &bytes).status.success());
    let o = f.run(&["compress", "a.npy", "--lossless", "-o", "-", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&o.stderr).unwrap();
    assert_eq!(report["bytes"].as_u64(), Some(o.stdout.len() as u64));
    assert_eq!(f.names(), ["a.fpz", "a.npy"]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let f = Folder::new("leaving");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fieldpress"))
        .args(["completions", "bash"])
        .current_dir(f.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!((child.wait().unwrap().code(), message.as_str()), (Some(0), ""));
}

#[test]
fn a_verdict_stands_though_nobody_reads_it() {
    let f = Folder::new("verdict");
    f.write("a.npy", &npy_bytes(&[40], waves(8, 5)));
    f.ok(&["compress", "a.npy", "--abs", "1e-3", "-o", "a.fpz"]);
    f.write("b.npy", &npy_bytes(&[40], waves(8, 5).iter().map(|v| v + 1.0).collect::<Vec<f32>>()));
    for (file, code) in [("a.npy", 0), ("b.npy", 1)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fieldpress"))
            .args(["verify", file, "a.fpz"])
            .current_dir(f.path("."))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{file}");
    }
}
