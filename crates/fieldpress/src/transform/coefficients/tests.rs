use super::*;
use crate::error::ErrorKind;
use crate::transform::Wavelet;

const CODERS: [Coder; 2] = [Coder::Mixed, Coder::Classes];

/// Mostly small integers with large ones among them.
fn noise(n: usize, sparse: u32) -> Vec<i32> {
    let mut s = 77u64;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let e = ((s >> 59) as u32).saturating_sub(sparse);
            let m = (s >> 20 & ((1 << e.min(31)) - 1)) as i32;
            if s >> 10 & 1 == 0 {
                m
            } else {
                -m
            }
        })
        .collect()
}
fn plain(levels: &[u32], alone: u8) -> Decomposition {
    Decomposition { wavelet: Wavelet::Cdf97, levels: levels.to_vec(), alone }
}

#[test]
fn round_trips_for_any_shape_and_decomposition() {
    let shapes: [&[usize]; 10] =
        [&[], &[0], &[1], &[50], &[1, 1], &[13, 22], &[4, 0, 2], &[9, 8, 17], &[3, 2, 9, 11], &[2, 1, 3, 2, 5]];
    for shape in shapes {
        for alone in [0, 1, 2, 7] {
            for sparse in [0, 24, 29] {
                let levels: Vec<u32> = (0..shape.len() as u32).map(|k| (k + 2) % 4).collect();
                let d = plain(&levels, alone);
                let mut codes = noise(shape.iter().product(), sparse);
                for coder in CODERS {
                    let mut bytes = Vec::new();
                    let before = codes.clone();
                    encode_coefficients(&mut codes, shape, &d, coder, &mut bytes).unwrap();
                    assert_eq!(codes, before);
                    let mut got = vec![7; codes.len()];
                    decode_coefficients(&bytes, shape, &d, coder, &mut got).unwrap();
                    assert_eq!(got, codes, "{shape:?} {d:?} {coder:?}");
                }
            }
        }
    }
}

#[test]
fn contexts_pay() {
    // Magnitudes that grow with the distance from a corner: far below what each magnitude alone would cost.
    let shape = [256, 256];
    let mut codes: Vec<i32> = noise(256 * 256, 0)
        .iter()
        .enumerate()
        .map(|(i, v)| (v >> 4) % (1 + ((i / 256 + i % 256) / 64) as i32))
        .collect();
    let mut counts = std::collections::HashMap::new();
    codes.iter().for_each(|v| *counts.entry(*v).or_insert(0.0) += 1.0);
    let n = codes.len() as f64;
    let entropy: f64 = counts.values().map(|c: &f64| -c * (c / n).log2()).sum::<f64>() / 8.0;
    for coder in CODERS {
        let mut bytes = Vec::new();
        encode_coefficients(&mut codes, &shape, &plain(&[0, 0], 0), coder, &mut bytes).unwrap();
        assert!((bytes.len() as f64) < 0.97 * entropy, "{coder:?}: {} against {entropy}", bytes.len());
    }
    // Zeros cost next to nothing.
    for coder in CODERS {
        let mut bytes = Vec::new();
        encode_coefficients(&mut [0; 1 << 16], &[256, 256], &plain(&[4, 4], 0), coder, &mut bytes).unwrap();
        assert!(bytes.len() < 60, "{coder:?}: {}", bytes.len());
    }
}

#[test]
fn hostile_bytes_never_panic() {
    let shape = [7, 12, 9];
    let d = plain(&[1, 2, 2], 2);
    for coder in CODERS {
        let mut codes = noise(7 * 12 * 9, 26);
        let mut bytes = Vec::new();
        encode_coefficients(&mut codes, &shape, &d, coder, &mut bytes).unwrap();
        let mut got = vec![0; codes.len()];
        for cut in 0..bytes.len() {
            let e = decode_coefficients(&bytes[..cut], &shape, &d, coder, &mut got).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "{coder:?} {cut} of {}", bytes.len());
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            let failed = decode_coefficients(&bad, &shape, &d, coder, &mut got).is_err();
            assert!(failed || got != codes);
        }
        for b in 0..=255 {
            let _ = decode_coefficients(&[b; 50], &shape, &d, coder, &mut got);
        }
        assert!(decode_coefficients(&bytes, &shape, &d, coder, &mut got[1..]).is_err());
    }
}
