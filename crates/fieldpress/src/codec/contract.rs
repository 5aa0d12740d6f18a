//! The traits: codecs, filters, byte codecs, and what they are handed.
//!
//! A codec is a configuration. [`Codec::prepare`] may look at the whole field and leave side information shared by all
//! blocks; [`Codec::bind`] parses that once; the resulting [`BlockCodec`] is stateless, so any thread may call it in any
//! order and the bytes are the same. Tolerances handed inward are hints: the bounded stage checks what comes back.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::array::{Array, Buffer, DType, Mask, Shape, Slice, SliceMut, Source};
use crate::bound::Term;
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};

/// The element type and extents of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The element type.
    pub dtype: DType,
    /// The extents.
    pub shape: Shape,
}

impl Spec {
    /// Bytes of the block when stored plainly.
    pub fn raw_bytes(&self) -> usize {
        self.shape.len() * self.dtype.size()
    }
}

/// Other arrays of the same archive that a codec asked for by name, already decoded, read-only.
pub type Companions<'a> = &'a [(String, Arc<Array>)];

/// Where a block lies and what is known of it on both sides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Site<'a> {
    /// Points kept apart by the bounded stage; the decoder knows them before the codec runs.
    pub mask: Option<&'a Mask>,
    /// The index of the block's first value in the whole array, one entry per axis.
    pub origin: &'a [usize],
    /// The companions the codec asked for, in the order it named them.
    pub companions: Companions<'a>,
    /// Whether errors are to be small in the mean square of the array and nothing is asked of single values. For encoders.
    pub mean_square: bool,
}

/// A block to encode: contiguous, in C order, every value finite. Values at masked points are a smooth filling that
/// need not be kept.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The extents.
    pub shape: Shape,
    /// The values in C order.
    pub values: Slice<'a>,
    /// Where it lies.
    pub site: Site<'a>,
}

impl Block<'_> {
    /// The element type and extents.
    pub fn spec(&self) -> Spec {
        Spec { dtype: self.values.dtype(), shape: self.shape }
    }
    /// One absolute tolerance that is sufficient for `hint` over the whole block. Under an exact hint it is a step at
    /// which approximating still pays, chosen from the data; the bounded stage codes the rest.
    pub fn uniform_tolerance(&self, hint: &Term) -> f64 {
        if hint.rel == 0.0 && hint.abs > 0.0 {
            return hint.abs;
        }
        let s = crate::bound::Stats::of(self.values, None);
        let magnitude = s.max.abs().max(s.min.abs());
        let t = if hint.rel > 0.0 {
            let smallest = if s.min > 0.0 || s.max < 0.0 { s.min_nonzero } else { 0.0 };
            let floor = if smallest.is_finite() { hint.at(smallest) } else { hint.abs };
            if floor > 0.0 {
                floor
            } else {
                hint.rel * magnitude * 1e-3
            }
        } else {
            hint.abs
        };
        if t > 0.0 {
            return t;
        }
        // Exact: all but the last bits of the larger values.
        let fine = match self.values.dtype() {
            DType::F32 => 1.0 / 65536.0,
            DType::F64 => 1.0 / (1u64 << 26) as f64,
            _ => return 0.5,
        };
        let t = (s.max - s.min).min(magnitude) * fine;
        if t.is_finite() && t > 0.0 {
            t
        } else {
            f64::MIN_POSITIVE
        }
    }
}

/// What a codec says of its own encoding. The bounded stage trusts [`Claim::Bounded`] and skips its check; the
/// conformance tests trust nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Every value was compared, in the output type, with what the decoder will produce, and obeys the hint.
    Bounded,
    /// The bound was not checked, or does not hold everywhere.
    Unchecked,
    /// The same; and these are the values, to the bit, that decoding gives.
    Decoded(Buffer),
}

/// The configuration of a method that turns blocks into bytes.
pub trait Codec: fmt::Debug + Send + Sync {
    /// The name in the registry.
    fn id(&self) -> &'static str;
    /// All parameters, as a JSON object without the id; makes the same codec again.
    fn config(&self) -> Value;
    /// Looks at the whole field and returns side information shared by all its blocks (a basis, weights, tables).
    /// Every byte of it is stored and counted.
    fn prepare(&self, _field: &dyn Source, _hint: &Term) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    /// Parses the shared bytes and readies the codec for blocks of one kind. Total on hostile bytes.
    /// Errors: `InvalidArgument` when the codec cannot handle such blocks, `Corrupt`, `Unsupported`.
    fn bind(&self, shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>>;
    /// Whether its blocks know nothing of each other and should: then the array is one block, as far as that is possible.
    fn wants_whole(&self) -> bool {
        false
    }
    /// The names of arrays that must be stored before and will be handed to encoder and decoder, decoded.
    fn companions(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What an encoding offers to those who want a coarser level of its block: every `2^l`-th point along each axis, from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Where the trailing one of its two streams begins; its length where there is only one. Levels are decoded from the beginnings of
    /// both.
    pub split: usize,
    /// Whether a level is the full decoding at its points, bit for bit. Else it is another approximation, of which no bound is known.
    pub exact: bool,
}

/// A codec bound to blocks of one element type and shape.
pub trait BlockCodec: Send + Sync {
    /// Appends the encoding of `x` to `out`. `hint` is the tolerance the caller would like to see fulfilled.
    fn encode(&self, x: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim>;
    /// Fills `out`. Total on all inputs; the same bits on every platform. Values at masked points do not matter.
    fn decode(&self, bytes: &[u8], site: &Site<'_>, out: SliceMut<'_>) -> Result<()>;
    /// What an encoding offers to those who want a coarser level; `None` where there is nothing but decoding all of it.
    fn levels(&self, _bytes: &[u8]) -> Result<Option<Levels>> {
        Ok(None)
    }
    /// Fills `out`, of the shape of level `level` >= 1, from the beginnings of both streams of an encoding, and tells how much of them
    /// was needed: that much of both, or more, gives the same values. Total on all inputs; the same bits on every platform. `site` is that
    /// of the whole block. Errors: `Truncated` when more is needed; `Unsupported` by a codec without levels; as [`BlockCodec::decode`].
    fn decode_level(&self, _head: Head<'_>, _level: u32, _site: &Site<'_>, _out: SliceMut<'_>) -> Result<Reach> {
        Err(Error::unsupported("expected a codec that decodes levels, found another"))
    }
}

/// What a filter makes of a block.
#[derive(Debug)]
pub struct Filtered {
    /// The values handed inward; their number and type are as [`Filter::output`] says.
    pub values: Buffer,
    /// Bytes the inverse needs.
    pub side: Vec<u8>,
    /// The tolerance handed inward.
    pub hint: Term,
}

/// The configuration of a map from arrays to arrays.
pub trait Filter: fmt::Debug + Send + Sync {
    /// The name in the registry.
    fn id(&self) -> &'static str;
    /// All parameters, as a JSON object without the id.
    fn config(&self) -> Value;
    /// The type and shape of what the filter makes of such blocks.
    /// Errors: `InvalidArgument` when it cannot handle them.
    fn output(&self, spec: &Spec) -> Result<Spec>;
    /// The forward map. Errors: `InvalidArgument` where the data do not allow it (an overflow that would lose values).
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered>;
    /// The inverse map, back to blocks of `spec`. Total on all inputs; the same bits on every platform.
    fn inverse(&self, y: Slice<'_>, side: &[u8], spec: &Spec, site: &Site<'_>) -> Result<Buffer>;
    /// The mask of the filter's output, from that of its input. Only filters that move values need to care.
    fn map_mask(&self, mask: &Mask, _spec: &Spec) -> Mask {
        mask.clone()
    }
    /// Whether the inverse acts on each value by itself, whatever the shape, without mask and companions: then it can be applied to
    /// some points of a block alone.
    fn is_pointwise(&self) -> bool {
        false
    }
    /// As [`Codec::wants_whole`].
    fn wants_whole(&self) -> bool {
        false
    }
    /// As [`Codec::companions`].
    fn companions(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The configuration of a lossless map from bytes to bytes.
pub trait ByteCodec: fmt::Debug + Send + Sync {
    /// The name in the registry.
    fn id(&self) -> &'static str;
    /// All parameters, as a JSON object without the id.
    fn config(&self) -> Value;
    /// Encodes `bytes`; `element` is the size of the values they came from.
    fn encode(&self, bytes: &[u8], element: usize) -> Result<Vec<u8>>;
    /// Decodes into at most `limit` bytes. Total on all inputs. Errors: `Corrupt`, `Truncated`, `LimitExceeded`.
    fn decode(&self, bytes: &[u8], element: usize, limit: usize) -> Result<Vec<u8>>;
}

/// A configuration struct from the parameters of a chain. Errors: `InvalidArgument`, naming the parameter.
pub fn parse_config<T: DeserializeOwned>(id: &str, config: &Value) -> Result<T> {
    T::deserialize(config).map_err(|e| Error::invalid(format!("{id}: {e}")))
}
