//! Runs the seeds and regressions of every fuzz target through the same code as the fuzzer does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::precedence, clippy::type_complexity)]
#![allow(unreachable_pub, clippy::manual_is_multiple_of)]

use std::path::{Path, PathBuf};

#[path = "../../../fuzz/src/seeds.rs"]
mod seeds;
#[path = "../../../fuzz/src/targets/mod.rs"]
mod targets;

fn cases(kind: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(kind).join(target);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn every_seed_and_regression_runs() {
    for (target, run) in targets::TARGETS {
        let seeds = cases("seeds", target);
        assert!(seeds.len() >= 5, "expected seeds of {target}, found {}", seeds.len());
        for case in seeds.into_iter().chain(cases("regressions", target)) {
            // Names the case when it panics: the harness shows what a failing test printed.
            println!("{}", case.display());
            run(&std::fs::read(&case).unwrap());
        }
    }
}

#[test]
fn every_target_bears_damaged_seeds() {
    for (target, run) in targets::TARGETS {
        for (number, case) in cases("seeds", target).into_iter().enumerate() {
            let bytes = std::fs::read(&case).unwrap();
            println!("{}", case.display());
            // A flipped bit here, a cut there, spread over the seed.
            for k in 0..12 {
                let at = (k * 7919 + number * 31) % bytes.len().max(1);
                let mut damaged = bytes.clone();
                if let Some(b) = damaged.get_mut(at) {
                    *b ^= 1 << (k % 8);
                }
                run(&damaged);
                run(&bytes[..at]);
            }
        }
    }
}

/// Run with `UPDATE_SEEDS=1` to write the seeds anew.
#[test]
fn seeds_can_be_made() {
    let seeds = seeds::all();
    let total: usize = seeds.iter().map(|s| s.bytes.len()).sum();
    assert!(total < 400_000, "expected small seeds, found {total} bytes");
    if std::env::var_os("UPDATE_SEEDS").is_none() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for (target, _) in targets::TARGETS {
        let _ = std::fs::remove_dir_all(root.join(target));
        std::fs::create_dir_all(root.join(target)).unwrap();
    }
    for s in &seeds {
        std::fs::write(root.join(s.target).join(&s.name), &s.bytes).unwrap();
    }
    println!("{} seeds, {total} bytes", seeds.len());
}
