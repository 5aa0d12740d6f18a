//! L1: integers to bits and back.

pub mod adaptive;
pub mod range;
pub mod rans;

pub use adaptive::IntModel;
pub use range::{BinaryDecoder, BinaryEncoder, Bit};
pub use rans::{decode_all, encode_classes, RansDecoder};
