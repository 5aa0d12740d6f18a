//! L1: integers to bits and back.

pub mod adaptive;
pub mod around;
pub mod bitplane;
mod estimate;
mod head;
pub mod magnitude;
pub mod mask;
pub mod mixing;
pub mod occupancy;
pub mod packing;
pub mod range;
pub mod rans;
pub mod rows;
pub mod runs;

pub use adaptive::IntModel;
pub use around::{level, Around};
pub use bitplane::{decode_planes, decode_planes_prefix, encode_planes};
pub use estimate::class_bits;
pub use head::{Head, Reach};
pub use mask::{decode_mask, encode_mask};
pub use mixing::{Decisions, MixedModel};
pub use occupancy::Occupancy;
pub use packing::{Packer, Unpacker, GROUP};
pub use range::{BinaryDecoder, BinaryEncoder, Bit};
pub use rans::{decode_all, encode_classes, RansDecoder};
pub use rows::{decode_rows, encode_rows};
pub use runs::{decode_runs, encode_runs};
