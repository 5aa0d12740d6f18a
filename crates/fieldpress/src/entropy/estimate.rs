//! What codes would cost, without coding them.

use crate::bits::zigzag;

/// Bins of a class.
const BINS: usize = 64;

/// About how many bits `codes` of these `classes`, which are below `n_classes`, come to: the entropy of each class.
pub fn class_bits(codes: &[i32], classes: &[u8], n_classes: usize) -> f64 {
    let mut counts = vec![[0u32; BINS]; n_classes];
    let mut bits = 0;
    for (&q, &c) in codes.iter().zip(classes) {
        // Large codes share bins, one a power of two, and pay for the bits that tell them apart.
        let z = zigzag(q);
        let bin = if z < 32 {
            z
        } else {
            bits += u64::from(z.ilog2());
            27 + z.ilog2()
        };
        if let Some(n) = counts.get_mut(usize::from(c)).and_then(|c| c.get_mut(bin as usize)) {
            *n += 1;
        }
    }
    let mut sum = bits as f64;
    for class in &counts {
        let total: u32 = class.iter().sum();
        if total > 0 {
            let whole = libm::log2(f64::from(total));
            let cost = |&n: &u32| f64::from(n) * (whole - libm::log2(f64::from(n)));
            sum += class.iter().filter(|&&n| n > 0).map(cost).sum::<f64>();
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_costs_its_entropy() {
        // One class of one value, one of four equally likely ones, one of a large value.
        let codes: Vec<i32> = (0..4000).map(|i| if i % 2 == 0 { 7 } else { i / 2 % 4 }).collect();
        let classes: Vec<u8> = (0..4000).map(|i| (i % 2) as u8).collect();
        assert!((class_bits(&codes, &classes, 2) - 4000.0).abs() < 1e-6);
        assert!(class_bits(&codes, &vec![0; 4000], 2) > 7000.0);
        assert_eq!(class_bits(&[1 << 20; 10], &[0; 10], 1), 210.0);
        assert_eq!(class_bits(&[], &[], 3), 0.0);
    }
}
