//! L3: one file per method, nothing else.

pub mod asinh;
pub mod bitround;
pub mod dct;
pub mod difference;
pub mod dwt;
pub mod harmonics;
pub mod interp;
pub mod lattice;
pub mod linear;
pub mod log;
pub mod lorenzo;
pub mod lpc;
pub mod lz4;
pub mod octree;
pub mod pack;
pub mod pca;
pub mod pco;
pub mod raw;
pub mod shuffle;
pub mod spatial_delta;
pub mod transpose;
pub mod tucker;
pub mod zfp;
pub mod zlib;
pub mod zstd;
