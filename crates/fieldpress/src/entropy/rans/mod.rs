//! Interleaved static rANS for integers in classes: the entropy coder of quantisation codes.
//!
//! Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; interleaving as in F. Giesen, "Interleaved entropy
//! coders", arXiv:1402.3392.
//!
//! # Format
//!
//! The reader knows the number of symbols `n`, the number of classes and the length of the stream. No symbols are no
//! bytes. Otherwise the first byte is the mode:
//!
//! | mode | the rest of the stream |
//! |---|---|
//! | 0 | adaptive: each symbol as an integer of [`crate::entropy::adaptive`], one context for all classes |
//! | 1 | adaptive: the same, the class being the context |
//! | 2 | static: the parts below |
//!
//! | part of mode 2 | bytes |
//! |---|---|
//! | header | one range-coded stream, which knows its own length |
//! | number of words | varint |
//! | four states, lane 0 first | 7 bytes each, from `2^24` to `2^56 - 1` |
//! | words | u32 each |
//! | raw bits | bits from the least significant up, the last byte padded with zeros |
//!
//! The header is coded by an `IntModel` of 9 contexts (in brackets). With more than one class: the number of tables minus one
//! \[8\], at most 63; and if that is not 0, for each class its table \[7\]: 0 the table of the class before (the first class: table
//! 0), 1 the next table not yet named, `2 + t` table `t`. Then the tables (`rans/table.rs`), each giving a frequency `f` to
//! each of 141 tokens (`rans/token.rs`), sum 4096; token `t` owns the slots from `start`, the sum of the frequencies before it.
//!
//! Symbol `i` is decoded from the state `x` of lane `i mod 4`: the slot `x mod 4096` belongs to the token, then
//! `x = f * floor(x / 4096) + slot - start`, and if `x < 2^24`, `x = x * 2^32 + the next word`. The raw bits of the token, if it
//! has any, come from the raw bits. At the end each state is `2^24`, all words are used, and so are all raw bits but padding.

mod cluster;
mod decode;
mod encode;
mod table;
#[cfg(test)]
mod tests;
mod token;

pub use decode::{decode_all, RansDecoder};
pub use encode::encode_classes;

/// Mode: adaptive, the classes ignored.
const ADAPTIVE: u8 = 0;
/// Mode: adaptive, a context for each class.
const ADAPTIVE_CLASSES: u8 = 1;
/// Mode: static tables.
const STATIC: u8 = 2;
/// Interleaved states.
const LANES: usize = 4;
/// Base-2 logarithm of the least state between symbols: a state takes 32 bits more than that, and in a short stream fewer
/// bytes are better, but the loss of precision at the low end must not be felt.
const LOW_BITS: u32 = 24;
/// Least state between symbols.
const LOW: u64 = 1 << LOW_BITS;
/// Bytes of a state, which is below `2^32 LOW`.
const STATE_BYTES: usize = 7;
