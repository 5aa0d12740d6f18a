//! Splits an integer into a token for the entropy coder and raw bits: the hybrid of J. Alakuijala et al., "JPEG XL
//! next-generation image compression architecture and coding tools", 2019.
//!
//! # Format
//!
//! `u = zigzag(v)`, that is 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ...
//!
//! | `u` | token | raw bits |
//! |---|---|---|
//! | 0..=31 | `u` | none |
//! | 32..=2^32-1, `e = floor(log2 u)`, `m` = the two bits below the leading one | `32 + 4 (e - 5) + m` | the `e - 2` lowest bits of `u` |
//! | any whose token is not in the table | 140 | 8 bits: its token; then the raw bits of that token |

use crate::bits::{unzigzag, zigzag};

/// Tokens that stand for values: 32 small ones and four for each exponent from 5 to 31.
pub(super) const VALUE_TOKENS: usize = 140;
/// The token that stands for every token that is not in its table.
pub(super) const RARE: u8 = 140;
/// Number of tokens.
pub(super) const TOKENS: usize = 141;
/// Tokens below are values themselves.
pub(super) const SMALL: u8 = 32;

/// The token of `v`.
#[inline(always)]
pub(super) fn token(v: i32) -> u8 {
    let u = zigzag(v);
    let e = (u | 1).ilog2();
    if u < u32::from(SMALL) {
        u as u8
    } else {
        (32 + 4 * (e - 5) + (u >> (e - 2) & 3)) as u8
    }
}

/// How many raw bits follow `token`, which is below [`VALUE_TOKENS`]: at most 29.
#[inline(always)]
pub(super) fn raw_bits(token: u8) -> u32 {
    if token < SMALL {
        0
    } else {
        (u32::from(token) - 32) / 4 + 3
    }
}

/// The value of a token below [`VALUE_TOKENS`] and its raw bits.
#[inline(always)]
pub(super) fn value(token: u8, raw: u32) -> i32 {
    if token < SMALL {
        unzigzag(u32::from(token))
    } else {
        unzigzag((4 | (u32::from(token) & 3)) << raw_bits(token) | raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cover_i32_in_order() {
        let mut values = vec![0, i32::MIN, i32::MAX];
        for s in 0..31 {
            values.extend([1 << s, -(1 << s), (1 << s) - 1, -(1 << s) - 1, 3 << s >> 1]);
        }
        values.sort_unstable_by_key(|v| zigzag(*v));
        let mut last = 0;
        for v in values {
            let t = token(v);
            assert!((t as usize) < VALUE_TOKENS && t >= last);
            last = t;
            let n = raw_bits(t);
            assert_eq!(value(t, zigzag(v) & ((1 << n) - 1)), v);
        }
        assert_eq!(last, 139);
    }
}
