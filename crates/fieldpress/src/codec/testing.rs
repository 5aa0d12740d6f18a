//! What the tests of models share: bounds behind the bounded stage, and damage.

use super::model::Model;
use crate::array::{Shape, View};
use crate::error::ErrorKind;
use crate::{compress, decompress, Bound, Options};

/// Compresses `x`, an array of `shape`, and a spike in it with each of the chains under several bounds, all of which must hold.
pub(crate) fn bounds_hold(chains: &[&str], x: &[f64], shape: &[usize]) {
    let mut x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
    x[777] = 1e6;
    for text in chains {
        for bound in [Bound::Abs(0.01), Bound::Rel(1e-6), Bound::Lossless, Bound::PwRel(1e-4)] {
            let options = Options::new(bound.clone()).with_chain(text).unwrap();
            let (bytes, _) = compress(&View::new(shape, &x).unwrap(), options).unwrap();
            let y = decompress(&bytes).unwrap();
            let y = y.as_typed::<f32>().unwrap();
            let worst = x.iter().zip(y).fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
            assert!(bound != Bound::Lossless || worst == 0.0, "{text}");
            assert!(bound != Bound::Abs(0.01) || worst <= 0.01, "{text}: {worst}");
        }
    }
}

/// Every strict prefix of an encoding is `Truncated`; flipped bits and arbitrary bytes do what they like, but never panic.
pub(crate) fn survives_damage<M: Model>(model: &M, bytes: &[u8], shape: &[usize]) {
    let shape = Shape::new(shape).unwrap();
    let mut y = vec![0.0; shape.len()];
    for cut in 0..bytes.len() {
        let e = model.reconstruct(&bytes[..cut], &shape, &mut y).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Truncated, "{model:?}: {cut} of {}", bytes.len());
    }
    for at in 0..bytes.len().min(600) {
        for bit in 0..8 {
            let mut bad = bytes.to_vec();
            bad[at] ^= 1 << bit;
            let _ = model.reconstruct(&bad, &shape, &mut y);
        }
    }
    for b in 0..=255 {
        let _ = model.reconstruct(&[b; 90], &shape, &mut y);
    }
}
