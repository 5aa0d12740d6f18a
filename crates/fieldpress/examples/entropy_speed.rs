//! Prints size against entropy and speed of the entropy coders on synthetic symbols:
//! `cargo run --release --example entropy_speed [symbols]`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use fieldpress::entropy::{decode_all, decode_planes, encode_classes, encode_planes};
use fieldpress::entropy::{BinaryDecoder, BinaryEncoder, Bit, IntModel, RansDecoder};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

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
    fn laplace(&mut self, s: f64) -> i32 {
        let u = self.unit() - 0.5;
        (-s * (1.0 - 2.0 * u.abs()).max(1e-300).ln() * u.signum()).round() as i32
    }
    fn geometric(&mut self, s: f64) -> i32 {
        (-s * self.unit().max(1e-300).ln()) as i32
    }
}

/// Seconds of the fastest of five runs, and the last result.
fn time<T>(mut f: impl FnMut() -> T) -> (f64, T) {
    let mut best = f64::MAX;
    let mut result = f();
    for _ in 0..5 {
        let start = Instant::now();
        result = black_box(f());
        best = best.min(start.elapsed().as_secs_f64());
    }
    (best, result)
}

/// Empirical entropy in bits per symbol, given the classes.
fn entropy(symbols: &[i32], classes: &[u8]) -> f64 {
    let mut counts = BTreeMap::<(u8, i32), f64>::new();
    let mut totals = [0.0f64; 256];
    for (&v, &c) in symbols.iter().zip(classes) {
        *counts.entry((c, v)).or_default() += 1.0;
        totals[usize::from(c)] += 1.0;
    }
    counts.iter().map(|((c, _), n)| n * (totals[usize::from(*c)] / n).log2()).sum::<f64>() / symbols.len() as f64
}

fn row(what: &str, n: usize, entropy: f64, bytes: usize, encode: f64, decode: f64) {
    let bits = bytes as f64 * 8.0 / n as f64;
    let (over, m) = ((bits / entropy - 1.0) * 100.0, n as f64 / 1e6);
    println!("{what:<34} {entropy:>9.4} {bits:>9.4} {over:>7.2} % {:>9.1} {:>9.1}", m / encode, m / decode);
}

/// The class that follows a symbol when classes depend on the symbol before.
fn next_class(v: i32) -> u8 {
    v.unsigned_abs().min(23) as u8
}

fn main() {
    let n: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1 << 20);
    println!("{n} symbols a row; M symbols/s, one thread\n");
    println!("{:<34} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "entropy", "bits", "over", "encode", "decode");
    let mut rng = Rng(0x2545_F491_4F6C_DD1D);

    for p in [0.5f64, 0.1, 0.01] {
        let bits: Vec<bool> = (0..n).map(|_| rng.unit() < p).collect();
        let (e, bytes) = time(|| {
            let mut enc = BinaryEncoder::new();
            let mut models = [Bit::new(); 8];
            bits.iter().enumerate().for_each(|(i, &b)| enc.encode(&mut models[i & 7], b));
            enc.finish()
        });
        let (d, got) = time(|| {
            let mut dec = BinaryDecoder::new(&bytes);
            let mut models = [Bit::new(); 8];
            (0..n).map(|i| dec.decode(&mut models[i & 7])).collect::<Vec<_>>()
        });
        assert_eq!(got, bits);
        let h = -(p * p.log2() + (1.0 - p) * (1.0 - p).log2());
        row(&format!("binary, p {p}"), n, h, bytes.len(), e, d);
    }

    for scale in [0.5, 3.0, 1000.0] {
        let symbols: Vec<i32> = (0..n).map(|_| rng.laplace(scale)).collect();
        let h = entropy(&symbols, &vec![0; n]);
        let (e, bytes) = time(|| {
            let mut enc = BinaryEncoder::new();
            let mut model = IntModel::new(1);
            symbols.iter().for_each(|&v| model.encode(&mut enc, i64::from(v), 0));
            enc.finish()
        });
        let (d, got) = time(|| {
            let mut dec = BinaryDecoder::new(&bytes);
            let mut model = IntModel::new(1);
            (0..n).map(|_| model.decode(&mut dec, 0) as i32).collect::<Vec<_>>()
        });
        assert_eq!(got, symbols);
        row(&format!("adaptive, laplace {scale}"), n, h, bytes.len(), e, d);
    }

    for (name, scale) in [("laplace", 0.2), ("laplace", 0.5), ("laplace", 3.0), ("laplace", 1000.0), ("geometric", 4.0)]
    {
        let symbols: Vec<i32> =
            (0..n).map(|_| if name == "laplace" { rng.laplace(scale) } else { rng.geometric(scale) }).collect();
        let h = entropy(&symbols, &vec![0; n]);
        let (e, bytes) = time(|| {
            let mut out = Vec::new();
            encode_classes(&symbols, &[], 1, &mut out);
            out
        });
        let mut out = vec![0; n];
        let (d, _) = time(|| decode_all(&bytes, None, &mut out).unwrap());
        assert_eq!(out, symbols);
        row(&format!("rans, {name} {scale}, 1 class"), n, h, bytes.len(), e, d);
    }

    for scale in [0.05, 0.3, 2.0] {
        let classes: Vec<u8> = (0..n).map(|_| (rng.next() >> 40) as u8 % 24).collect();
        let symbols: Vec<i32> = classes.iter().map(|&c| rng.laplace(scale * f64::from(c + 1))).collect();
        let h = entropy(&symbols, &classes);
        let (e, bytes) = time(|| {
            let mut out = Vec::new();
            encode_classes(&symbols, &classes, 24, &mut out);
            out
        });
        let mut out = vec![0; n];
        let (d, _) = time(|| decode_all(&bytes, Some((&classes, 24)), &mut out).unwrap());
        assert_eq!(out, symbols);
        row(&format!("rans, laplace {scale} x class, 24"), n, h, bytes.len(), e, d);
    }

    for scale in [0.2, 1.0] {
        let (mut symbols, mut classes, mut class) = (Vec::new(), Vec::new(), 0u8);
        for _ in 0..n {
            let v = rng.laplace(scale * (1.0 + 0.4 * f64::from(class)));
            symbols.push(v);
            classes.push(class);
            class = next_class(v);
        }
        let h = entropy(&symbols, &classes);
        let (e, bytes) = time(|| {
            let mut out = Vec::new();
            encode_classes(&symbols, &classes, 24, &mut out);
            out
        });
        let mut out = vec![0; n];
        let (d, _) = time(|| {
            let mut dec = RansDecoder::new(&bytes, 24).unwrap();
            let mut class = 0;
            for v in &mut out {
                *v = dec.next(class);
                class = next_class(*v);
            }
            dec.finish().unwrap();
        });
        assert_eq!(out, symbols);
        row(&format!("rans, class from last symbol, {scale}"), n, h, bytes.len(), e, d);
    }

    for scale in [0.2, 3.0] {
        let shape = [n / 4096, 64, 64];
        let (mags, signs): (Vec<u32>, Vec<bool>) =
            (0..n / 4096 * 4096).map(|_| rng.laplace(scale)).map(|v| (v.unsigned_abs(), v < 0)).unzip();
        let symbols: Vec<i32> =
            mags.iter().zip(&signs).map(|(&m, &s)| if s { -(m as i32) } else { m as i32 }).collect();
        let h = entropy(&symbols, &vec![0; symbols.len()]);
        let (e, bytes) = time(|| encode_planes(&mags, &signs, &shape, 0));
        let (mut m, mut s) = (vec![0u32; mags.len()], vec![false; mags.len()]);
        let (d, _) = time(|| decode_planes(&bytes, &shape, 0, &mut m, &mut s).unwrap());
        assert!(m == mags && s == signs);
        row(&format!("bit planes, laplace {scale}"), mags.len(), h, bytes.len(), e, d);
    }
}
