//! L2: the contract every codec fulfils, and the one stage that makes every chain of them honest.

mod bounded;
mod chain;
mod contract;
mod correction;
mod curve;
mod elements;
mod holes;
mod kernel;
mod levels;
mod limits;
mod model;
mod moments;
mod payload;
pub mod registry;
mod repair;
mod specials;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use bounded::difference;
pub use bounded::{decode_block, encode_block, try_block, BlockReport, Candidate, Task};
pub use chain::{split, BoundChain, Chain};
pub use contract::{
    parse_config, Block, BlockCodec, ByteCodec, Claim, Codec, Companions, Filter, Filtered, Levels, Site, Spec,
};
pub use curve::{scaled_exp, scaled_ln, Curve, CurveFilter};
pub use elements::{shared_vertices, ElementBlocks, Selection};
pub use kernel::{round, Kernel, KernelBlocks};
pub use levels::{decode_level, has_levels, inspect_levels, order_by_level, Table, TABLE_BYTES};
pub use limits::Limits;
pub use model::{cast, Model, ModelCodec};
pub use payload::{inspect_payload, Outcome, StageBytes};
