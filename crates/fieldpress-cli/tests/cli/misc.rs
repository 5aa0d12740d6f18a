//! `info`, `list`, `completions`, and the arguments of all commands.

use super::support::{sample, waves, Folder};

#[test]
fn info_counts_every_byte() {
    let f = Folder::new("info");
    f.ok(&["compress", &sample("tgv.f00001"), "--rel", "1e-3", "-o", "t.fpz"]);
    let v = f.json(&["info", "t.fpz", "--json", "--blocks"]);
    let n = |v: &serde_json::Value| v.as_u64().unwrap();
    let mut sum = n(&v["directory_bytes"]);
    v["verbatim"].as_array().unwrap().iter().for_each(|b| sum += n(&b["bytes"]));
    for a in v["arrays"].as_array().unwrap() {
        sum += n(&a["bytes"]);
        let blocks = a["block_list"].as_array().unwrap();
        assert_eq!(blocks.len() as u64, n(&a["blocks"]));
        let stages: u64 = a["stages"].as_object().unwrap().values().map(n).sum();
        assert_eq!(stages + 4 * blocks.len() as u64, n(&a["bytes"]), "{}", a["name"]);
        for b in blocks {
            assert_eq!(b["stages"].as_object().unwrap().values().map(n).sum::<u64>(), n(&b["bytes"]));
        }
    }
    assert_eq!(sum, f.read("t.fpz").len() as u64);
    assert_eq!(n(&v["bytes"]), sum);
    assert_eq!(v["files"][0]["format"], "nek");
    let text = f.ok(&["info", "t.fpz", "--blocks"]);
    assert!(text.contains("ux") && text.contains("corrections") && text.contains("offset"), "{text}");
}

#[test]
fn info_tells_what_a_file_of_data_is_like_and_what_would_be_taken() {
    let f = Folder::new("look");
    f.npy("waves.npy", &[60, 70], waves(60, 70));
    let v = f.json(&["info", "waves.npy", "--rel", "1e-3", "--json"]);
    let array = &v["arrays"][0];
    assert_eq!((v["format"].as_str(), array["valid"].as_u64()), (Some("npy"), Some(4200)));
    assert!(array["axes"].as_array().unwrap().iter().all(|a| a["change"].as_f64().unwrap() < 1.0));
    let kept: Vec<_> = array["tried"].as_array().unwrap().iter().filter(|t| t["kept"] == true).collect();
    assert_eq!(kept.len(), 1);
    f.ok(&["compress", "waves.npy", "--rel", "1e-3", "-o", "w.fpz"]);
    assert_eq!(f.json(&["info", "w.fpz", "--json"])["arrays"][0]["chains"][0], kept[0]["chain"]);
    let text = f.ok(&["info", "waves.npy", "--rel", "1e-3", "--tier", "best"]);
    assert!(text.contains("tried on every block") && text.contains("lpc") && text.contains("noise"), "{text}");
    assert!(!f.ok(&["info", "waves.npy"]).contains("verdict"));
    assert!(f.fails(&["info", "w.fpz", "--rel", "1e-3"]).contains("expected a file of data"));
}

#[test]
fn the_registry_is_listed() {
    let f = Folder::new("list");
    let v = f.json(&["list", "--json"]);
    let ids = |key: &str| -> Vec<String> {
        v[key].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_string()).collect()
    };
    assert!(ids("codecs").contains(&"lorenzo".into()) && ids("formats").contains(&"vlsv".into()));
    assert!(ids("metrics").contains(&"psnr".into()));
    let text = f.ok(&["list"]);
    for key in ["codecs", "filters", "byte_codecs", "formats", "metrics"] {
        assert!(ids(key).iter().all(|id| text.contains(id.as_str())), "{key}");
    }
}

#[test]
fn help_completions_and_usage_errors() {
    let f = Folder::new("help");
    for command in ["compress", "decompress", "verify", "info", "compare", "bench", "list", "completions"] {
        assert!(f.ok(&[command, "--help"]).contains("Usage: fieldpress"), "{command}");
        for shell in ["bash", "zsh", "fish"] {
            assert!(f.ok(&["completions", shell]).contains(command));
        }
    }
    assert!(f.ok(&["--version"]).starts_with("fieldpress "));
    for bad in [&["compress"][..], &["nope"], &["compress", "a", "--tier", "x"], &["info"], &["list", "-j", "0"]] {
        assert_eq!(f.run(bad).status.code(), Some(2), "{bad:?}");
    }
    let message = f.fails(&["compress", "missing.npy", "--lossless"]);
    assert!(message.starts_with("fieldpress: missing.npy: "), "{message}");
    f.npy("a.npy", &[4, 4], waves(4, 4));
    f.ok(&["-q", "compress", "a.npy", "--lossless", "--tier", "best"]);
}
