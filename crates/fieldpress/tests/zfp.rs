//! Streams of the original are read to the same values and written to the same bytes. `tests/python/make_zfp_streams.py` wrote them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;

use fieldpress::array::Element;
use fieldpress::bits::crc32c;
use fieldpress::transform::zfp::{decode, encode, Header, Params, Scalar};
use fieldpress::{DType, ErrorKind};

/// A stream of the original.
struct Case {
    dtype: DType,
    extents: Vec<usize>,
    kind: String,
    mode: String,
    number: f64,
    stream: Vec<u8>,
    /// CRC32C of the decoded values.
    crc: u32,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zfp");
    let mut streams = std::fs::read(folder.join("streams.bin")).unwrap();
    let lines = std::fs::read_to_string(folder.join("streams.txt")).unwrap();
    let case = |line: &str| {
        let f: Vec<&str> = line.split(' ').collect();
        let rest = streams.split_off(f[5].parse().unwrap());
        Case {
            dtype: DType::parse(f[0]).unwrap(),
            extents: f[1].split('x').map(|n| n.parse().unwrap()).collect(),
            kind: f[2].into(),
            mode: f[3].into(),
            number: f[4].parse().unwrap(),
            stream: std::mem::replace(&mut streams, rest),
            crc: u32::from_str_radix(f[6], 16).unwrap(),
        }
    };
    let cases: Vec<Case> = lines.lines().map(case).collect();
    assert!(cases.len() > 150, "expected the streams of all types, ranks and modes, found {}", cases.len());
    cases
}

/// Runs `$body` with the type of ZFP that `$T` stands for.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => with_type!(@ f32, $T => $body),
            DType::F64 => with_type!(@ f64, $T => $body),
            DType::I32 => with_type!(@ i32, $T => $body),
            _ => with_type!(@ i64, $T => $body),
        }
    };
    (@ $t:ty, $T:ident => $body:expr) => {{
        type $T = $t;
        $body
    }};
}

/// The output of SplitMix64 for state `i`.
fn hashed(i: usize) -> u64 {
    let mut z = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// As the script has it.
fn integers(extents: &[usize], kind: &str) -> Vec<i64> {
    let value = |i: usize| {
        let h = hashed(i);
        match kind {
            "sparse" if h.is_multiple_of(16) => (h >> 46) as i64 - (1 << 17),
            "sparse" => 0,
            "noise" => (h >> 43) as i64 - (1 << 20),
            _ => {
                let (mut rest, mut wave) = (i, 0);
                for (k, &n) in extents.iter().enumerate().rev() {
                    let (c, k) = ((rest % n) as i64, k as i64);
                    wave += (k + 3) * (c - 2 * k) * (c + 1);
                    rest /= n;
                }
                700 * wave + (h >> 58) as i64 - 32
            }
        }
    };
    (0..extents.iter().product()).map(value).collect()
}

/// `2^e` for exponents down to those of the smallest subnormal numbers.
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(if e > -1023 { ((e + 1023) as u64) << 52 } else { 1 << (e + 1074) })
}

fn values<T: Element>(extents: &[usize], kind: &str) -> Vec<T> {
    let small = T::BITS == 32;
    let integers = integers(extents, kind);
    if !T::DTYPE.is_float() {
        let shift = match kind {
            "full" => [11, 43],
            "noise" => [8, 40],
            _ => [3, 3],
        }[usize::from(!small)];
        return integers.into_iter().map(|v| T::from_bits64((v << shift) as u64)).collect();
    }
    let exponent = match kind {
        "large" => [105, 1000],
        "tiny" => [-100, -964],
        "tinier" => [-120, -985],
        "subnormal" => [-150, -1075],
        _ => [-9, -9],
    }[usize::from(!small)];
    let scaled = |v: i64| match kind {
        "signed" if v % 3 == 0 => -0.0,
        // One more than the smallest number has, so that the product rounds once.
        _ if exponent < -1074 => v as f64 / 2.0 * power_of_two(exponent + 1),
        _ => v as f64 * power_of_two(exponent),
    };
    integers.into_iter().map(|v| T::from_f64(scaled(v))).collect()
}

fn little_endian<T: Element>(values: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|v| v.put_le(&mut out));
    out
}

fn params(c: &Case) -> Params {
    match c.mode.as_str() {
        "rate" => Params::rate(c.number, c.dtype, c.extents.len()).unwrap(),
        "precision" => Params::precision(c.number as u32).unwrap(),
        "accuracy" => Params::accuracy(c.number),
        _ => Params::REVERSIBLE,
    }
}

fn name(c: &Case) -> String {
    format!("{} {:?} {} {} {}", c.dtype, c.extents, c.kind, c.mode, c.number)
}

#[test]
fn streams_of_the_original_are_written_to_the_byte() {
    for c in cases() {
        let header = Header::new(c.dtype, &c.extents, params(&c)).unwrap();
        assert_eq!(Header::read(&c.stream).unwrap(), header, "{}", name(&c));
        let mut out = vec![7];
        with_type!(c.dtype, T => encode::<T>(&values(&c.extents, &c.kind), &header, &mut out)).unwrap();
        assert!(out[1..] == c.stream, "{}", name(&c));
    }
}

#[test]
fn streams_of_the_original_are_read_to_the_bit() {
    for c in cases() {
        let found = with_type!(c.dtype, T => {
            let mut out = vec![T::default(); c.extents.iter().product()];
            decode(&c.stream, &c.extents, &mut out).unwrap();
            if c.mode == "reversible" {
                assert_eq!(little_endian(&out), little_endian::<T>(&values(&c.extents, &c.kind)), "{}", name(&c));
            }
            crc32c(&little_endian(&out))
        });
        assert_eq!(found, c.crc, "{}", name(&c));
    }
}

fn decoded<T: Scalar>(bytes: &[u8], extents: &[usize]) -> fieldpress::Result<Vec<T>> {
    let mut out = vec![T::default(); extents.iter().product()];
    decode(bytes, extents, &mut out).map(|()| out)
}

#[test]
fn every_prefix_is_truncated_or_lacks_only_padding() {
    for c in cases() {
        with_type!(c.dtype, T => {
            let whole = decoded::<T>(&c.stream, &c.extents).unwrap();
            for cut in 0..c.stream.len() {
                match decoded::<T>(&c.stream[..cut], &c.extents) {
                    Ok(v) => {
                        assert!(c.stream.len() - cut < 8, "{} cut to {cut}", name(&c));
                        assert_eq!(little_endian(&v), little_endian(&whole), "{} cut to {cut}", name(&c));
                    }
                    Err(e) => assert_eq!(e.kind(), ErrorKind::Truncated, "{} cut to {cut}: {e}", name(&c)),
                }
            }
        });
    }
}

#[test]
fn damaged_streams_are_errors_or_other_values() {
    for c in cases() {
        with_type!(c.dtype, T => {
            for at in 0..c.stream.len() {
                let mut b = c.stream.clone();
                b[at] ^= [0xff, 1 << (at % 8)][at / 8 % 2];
                match decoded::<T>(&b, &c.extents) {
                    Ok(_) => assert!(at >= 10, "{}: byte {at} of the header", name(&c)),
                    Err(e) => {
                        let kinds = [ErrorKind::Truncated, ErrorKind::Corrupt, ErrorKind::Unsupported];
                        assert!(kinds.contains(&e.kind()), "{}: byte {at}: {e}", name(&c));
                    }
                }
            }
        });
    }
}

#[test]
fn any_limits_round_trip() {
    let extents = [6, 5, 7];
    let x = values::<f32>(&extents, "smooth");
    for (min_bits, max_bits) in [(1, 40), (30, 200), (700, 900), (1, 9), (9, 9), (12_000, 16_658), (1, 32_768)] {
        for (max_precision, min_exponent) in [(64, -1074), (11, -3), (3, -20), (64, 900), (64, -1075), (20, -2000)] {
            let params = Params { min_bits, max_bits, max_precision, min_exponent };
            let Ok(header) = Header::new(DType::F32, &extents, params) else {
                assert!(max_bits < 16 && min_exponent < -1074, "{params:?}");
                continue;
            };
            let mut bytes = Vec::new();
            encode(&x, &header, &mut bytes).unwrap();
            assert_eq!(Header::read(&bytes).unwrap(), header);
            let y = decoded::<f32>(&bytes, &extents).unwrap();
            // 8 blocks of bits between the limits behind the header, which has all limits but for the fixed rate.
            let bits = 8 * bytes.len() as u32;
            assert!(bits >= 8 * min_bits && bits <= 148 + 8 * max_bits + 63, "{params:?}: {bits} bits");
            if params.is_reversible() && max_bits > 5000 && max_precision == 64 {
                assert_eq!(x, y);
            }
        }
    }
}
