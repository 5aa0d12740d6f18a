//! L0: element types, shapes, strided views, owned buffers, regions and blocks, masks, sources and sinks.

mod block;
mod buffer;
mod dtype;
mod level;
mod mask;
mod shape;
mod source;
mod view;

pub use block::Grid;
pub use buffer::{Array, Buffer, Slice, SliceMut};
pub use dtype::{DType, Element};
pub use level::{coarse_extent, every};
pub use mask::Mask;
pub use shape::{Region, Shape, MAX_RANK};
pub use source::{Endian, Placement, ReadAt, Sink, Source, StridedSource};
pub(crate) use view::for_each_row;
pub use view::View;
