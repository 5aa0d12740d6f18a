//! What most authors write: `f64` in, `f64` out. The adapter makes a codec of it.

use std::fmt;

use serde_json::Value;

use super::contract::{Block, BlockCodec, Claim, Codec, Levels, Site, Spec};
use crate::array::{Buffer, Element, Shape, SliceMut};
use crate::bound::Term;
use crate::dispatch;
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};

/// A method that approximates a block of real numbers. It need not keep any bound.
pub trait Model: fmt::Debug + Clone + Send + Sync + 'static {
    /// The name in the registry.
    const ID: &'static str;
    /// Whether an array should be one block, as [`Codec::wants_whole`].
    const WHOLE: bool = false;
    /// All parameters, as a JSON object without the id.
    fn config(&self) -> Value;
    /// Appends what [`Model::reconstruct`] needs. `x` is in C order and finite; `tolerance` is a sufficient absolute
    /// tolerance where the bound is pointwise, `f64::MAX` where nothing is asked of the error, else a scale for it; `block` tells the mask and the place. Returns what
    /// [`Model::reconstruct`] will give, to the bit, where that is at hand: it need not be decoded to be checked, then.
    fn fit(&self, x: &[f64], block: &Block<'_>, tolerance: f64, out: &mut Vec<u8>) -> Result<Option<Vec<f64>>>;
    /// Fills `out`, in C order. Total on all inputs; only `+ - * / sqrt mul_add`, integers and `libm`.
    fn reconstruct(&self, bytes: &[u8], shape: &Shape, out: &mut [f64]) -> Result<()>;
    /// As [`BlockCodec::levels`]; `shape` is that of the block.
    fn levels(&self, _bytes: &[u8], _shape: &Shape) -> Result<Option<Levels>> {
        Ok(None)
    }
    /// As [`BlockCodec::decode_level`]; `shape` is that of the block, `out` has that of the level.
    fn reconstruct_level(&self, _head: Head<'_>, _level: u32, _shape: &Shape, _out: &mut [f64]) -> Result<Reach> {
        Err(Error::unsupported("expected a model that reconstructs levels, found another"))
    }
}

/// A [`Model`] as a [`Codec`]: values pass through `f64` and are cast back to the element type.
#[derive(Debug, Clone)]
pub struct ModelCodec<M>(pub M);

impl<M: Model> Codec for ModelCodec<M> {
    fn id(&self) -> &'static str {
        M::ID
    }
    fn config(&self) -> Value {
        self.0.config()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(BoundModel { model: self.0.clone(), spec: *spec }))
    }
    fn wants_whole(&self) -> bool {
        M::WHOLE
    }
}

struct BoundModel<M> {
    model: M,
    spec: Spec,
}

impl<M: Model> BlockCodec for BoundModel<M> {
    fn encode(&self, x: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        let tolerance = x.uniform_tolerance(hint);
        let Some(values) = self.model.fit(&x.values.to_f64(), x, tolerance, out)? else {
            return Ok(Claim::Unchecked);
        };
        let mut decoded = Buffer::zeros(self.spec.dtype, values.len())?;
        cast(&values, decoded.as_mut());
        Ok(Claim::Decoded(decoded))
    }
    fn decode(&self, bytes: &[u8], _site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let mut values = vec![0.0; out.len()];
        self.model.reconstruct(bytes, &self.spec.shape, &mut values)?;
        cast(&values, out);
        Ok(())
    }
    fn levels(&self, bytes: &[u8]) -> Result<Option<Levels>> {
        self.model.levels(bytes, &self.spec.shape)
    }
    fn decode_level(&self, head: Head<'_>, level: u32, _site: &Site<'_>, out: SliceMut<'_>) -> Result<Reach> {
        let mut values = vec![0.0; out.len()];
        let reach = self.model.reconstruct_level(head, level, &self.spec.shape, &mut values)?;
        cast(&values, out);
        Ok(reach)
    }
}

/// What becomes of values in the element type.
pub fn cast(values: &[f64], out: SliceMut<'_>) {
    fn run<T: Element>(out: &mut [T], values: &[f64]) {
        for (o, &v) in out.iter_mut().zip(values) {
            *o = T::from_f64(v);
        }
    }
    dispatch!(SliceMut, out, o => run(o, values));
}
