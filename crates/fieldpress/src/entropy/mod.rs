//! L1: integers to bits and back.

pub mod adaptive;
pub mod mask;
pub mod range;
pub mod rans;
pub mod runs;

pub use adaptive::IntModel;
pub use mask::{decode_mask, encode_mask};
pub use range::{BinaryDecoder, BinaryEncoder, Bit};
pub use rans::{decode_all, encode_classes, RansDecoder};
pub use runs::{decode_runs, encode_runs};
