//! Properties of whole rANS streams.

use super::*;
use crate::error::ErrorKind;

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// A two-sided exponential variable of scale `s`, rounded.
    fn laplace(&mut self, s: f64) -> i32 {
        let u = self.unit() - 0.5;
        (-s * libm::log((1.0 - 2.0 * u.abs()).max(1e-300)) * u.signum()).round() as i32
    }
}

/// Symbols in `n_classes` classes, the scale growing with the class.
fn laplacian(seed: u64, n: usize, n_classes: usize, scale: f64) -> (Vec<i32>, Vec<u8>) {
    let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    (0..n)
        .map(|_| {
            let c = (rng.next() >> 32) as usize % n_classes;
            (rng.laplace(scale * (c + 1) as f64), c as u8)
        })
        .unzip()
}

fn encode(symbols: &[i32], classes: &[u8], n_classes: usize) -> Vec<u8> {
    let mut out = vec![1, 2, 3];
    encode_classes(symbols, classes, n_classes, &mut out);
    assert_eq!(out[..3], [1, 2, 3]);
    out.split_off(3)
}

fn check(symbols: &[i32], classes: &[u8], n_classes: usize) -> Vec<u8> {
    let bytes = encode(symbols, classes, n_classes);
    let mut got = vec![7; symbols.len()];
    decode_all(&bytes, Some((classes, n_classes)), &mut got).unwrap();
    assert_eq!(got, symbols);
    bytes
}

/// Empirical entropy of the symbols given their classes, in bytes.
fn conditional_entropy(symbols: &[i32], classes: &[u8]) -> f64 {
    let mut counts = std::collections::BTreeMap::<(u8, i32), f64>::new();
    let mut totals = [0.0f64; 256];
    for (&v, &c) in symbols.iter().zip(classes) {
        *counts.entry((c, v)).or_default() += 1.0;
        totals[usize::from(c)] += 1.0;
    }
    counts.iter().map(|((c, _), n)| n * libm::log2(totals[usize::from(*c)] / n)).sum::<f64>() / 8.0
}

#[test]
fn round_trips_for_all_sizes_classes_and_scales() {
    for n in [0, 1, 2, 3, 4, 5, 31, 100, 1000, 5000, 20_000] {
        for n_classes in [1, 2, 24, 256] {
            for scale in [0.01, 0.3, 4.0, 1e3, 1e8] {
                let (symbols, classes) = laplacian(n as u64 + 3, n, n_classes, scale);
                check(&symbols, &classes, n_classes);
            }
        }
    }
    assert!(encode(&[], &[], 1).is_empty());
}

#[test]
fn extreme_values_round_trip() {
    let mut symbols = vec![i32::MIN, i32::MAX, 0, -1, 1, i32::MIN + 1];
    for s in 0..31 {
        symbols.extend([1 << s, -(1 << s), (1 << s) - 1]);
    }
    for n in [1, 10, 300] {
        let all: Vec<i32> = symbols.iter().copied().cycle().take(symbols.len() * n).collect();
        check(&all, &vec![0; all.len()], 1);
    }
    let mut rare = vec![0; 200_000];
    rare[77] = i32::MIN;
    rare[78] = 12345;
    let bytes = check(&rare, &vec![0; rare.len()], 1);
    assert!(bytes.len() < 80, "{}", bytes.len());
}

#[test]
fn costs_the_conditional_entropy() {
    for (n_classes, scale) in [(1, 0.3), (1, 1.0), (1, 4.0), (1, 12.0), (24, 0.2), (24, 1.0)] {
        let (symbols, classes) = laplacian(5, 400_000, n_classes, scale);
        let bytes = check(&symbols, &classes, n_classes).len() as f64;
        let entropy = conditional_entropy(&symbols, &classes);
        let header = 60.0 + 25.0 * n_classes as f64;
        assert!(bytes < entropy * 1.003 + header, "{n_classes} classes, scale {scale}: {bytes} against {entropy}");
        assert!(bytes > entropy * 0.999);
    }
}

#[test]
fn a_long_tail_costs_little() {
    let (mut symbols, classes) = laplacian(9, 400_000, 1, 0.5);
    let mut rng = Rng(4);
    for v in symbols.iter_mut().step_by(4000) {
        *v = rng.next() as i32 >> (rng.next() % 32);
    }
    let bytes = check(&symbols, &classes, 1).len() as f64;
    let entropy = conditional_entropy(&symbols, &classes);
    // Each of the 100 outliers takes up to 45 bits.
    assert!(bytes < entropy * 1.003 + 500.0, "{bytes} against {entropy}");
}

#[test]
fn small_and_uniform_inputs_cost_a_few_bytes() {
    let (symbols, classes) = laplacian(8, 30, 24, 0.05);
    let bytes = check(&symbols, &classes, 24).len() as f64;
    assert!(bytes < conditional_entropy(&symbols, &classes) + 16.0, "{bytes}");
    assert!(check(&[0; 30], &[0; 30], 1).len() <= 4);
    for (n, limit) in [(1000, 4), (1_000_000, 45)] {
        let constant = vec![-5; n];
        assert!(check(&constant, &vec![0; n], 1).len() <= limit);
    }
    // Many classes that are all alike need one table.
    let (symbols, _) = laplacian(8, 100_000, 1, 2.0);
    let classes: Vec<u8> = (0..symbols.len()).map(|i| (i % 64) as u8).collect();
    let one = encode(&symbols, &[], 1).len();
    assert!(check(&symbols, &classes, 64).len() <= one + 24);
}

#[test]
fn the_class_may_depend_on_the_symbols_before() {
    let mut rng = Rng(31);
    let (mut symbols, mut classes, mut class) = (Vec::new(), Vec::new(), 0u8);
    for _ in 0..50_000 {
        let v = rng.laplace(0.2 + f64::from(class));
        symbols.push(v);
        classes.push(class);
        class = v.unsigned_abs().min(23) as u8;
    }
    let bytes = encode(&symbols, &classes, 24);
    let mut dec = RansDecoder::new(&bytes, 24).unwrap();
    let mut class = 0;
    for &v in &symbols {
        assert_eq!(dec.next(class), v);
        class = v.unsigned_abs().min(23) as u8;
    }
    dec.finish().unwrap();
}

#[test]
fn every_prefix_is_truncated_and_more_bytes_are_corrupt() {
    for (n, n_classes, scale) in [(1, 1, 9.0), (40, 3, 2.0), (3000, 5, 0.4), (6000, 1, 200.0), (9000, 3, 0.1)] {
        let (symbols, classes) = laplacian(n as u64, n, n_classes, scale);
        let mut bytes = encode(&symbols, &classes, n_classes);
        let mut out = vec![0; n];
        for cut in 0..bytes.len() {
            let e = decode_all(&bytes[..cut], Some((&classes, n_classes)), &mut out).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "{n} symbols, cut {cut} of {}: {e}", bytes.len());
        }
        bytes.push(0);
        let e = decode_all(&bytes, Some((&classes, n_classes)), &mut out).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn hostile_bytes_never_panic() {
    let mut rng = Rng(55);
    let mut out = vec![0; 6000];
    for (n, scale) in [(50, 3.0), (6000, 0.5), (6000, 1e4)] {
        let (symbols, classes) = laplacian(2, n, 6, scale);
        let bytes = encode(&symbols, &classes, 6);
        let mut unnoticed = 0;
        for _ in 0..1500 {
            let mut bad = bytes.clone();
            let at = rng.next() as usize % bad.len();
            bad[at] ^= 1 << (rng.next() % 8);
            let out = &mut out[..n];
            unnoticed += usize::from(decode_all(&bad, Some((&classes, 6)), out).is_ok() && *out == symbols);
        }
        assert_eq!(unnoticed, 0);
    }
    for mode in 0..4 {
        for _ in 0..2000 {
            let mut noise: Vec<u8> = (0..rng.next() % 200).map(|_| rng.next() as u8).collect();
            noise.insert(0, mode);
            let _ = decode_all(&noise, Some((&[9; 300], 10)), &mut out[..300]);
            let _ = decode_all(&noise, None, &mut out[..300]);
        }
    }
    assert_eq!(RansDecoder::new(&[], 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(RansDecoder::new(&[], 257).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// A change of these is a change of the format, or of the encoder's choices.
#[test]
fn bytes_are_those_of_the_format() {
    let mut all = Vec::new();
    for (n, n_classes, scale) in [(100, 2, 1.0), (3000, 40, 0.4), (20_000, 6, 0.5), (20_000, 1, 1e6)] {
        let (mut symbols, classes) = laplacian(n as u64, n, n_classes, scale);
        symbols[n / 2] = i32::MIN;
        let bytes = encode(&symbols, &classes, n_classes);
        all.push((bytes[0], bytes.len(), crate::bits::crc32c(&bytes)));
    }
    assert_eq!(all, [(0, 51, 0x7cd1_bff5), (2, 2019, 0x29b2_93cc), (2, 7771, 0xcd9d_4ebb), (2, 56050, 0x7736_e45e)]);
}
