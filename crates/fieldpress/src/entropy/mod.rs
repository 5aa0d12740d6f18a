//! L1: integers to bits and back.

pub mod adaptive;
pub mod range;

pub use adaptive::IntModel;
pub use range::{BinaryDecoder, BinaryEncoder, Bit};
