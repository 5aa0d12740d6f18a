//! Codecs that work in the five kernel types (see [`DType::kernel`](crate::array::DType::kernel)). The adapter widens narrower
//! integers on the way in, and they saturate on the way back.

use super::contract::{Block, BlockCodec, Claim, Levels, Site};
use crate::array::{Buffer, Element, Mask, SliceMut};
use crate::bound::{within, Term};
use crate::dispatch_kernel;
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};
use crate::quantize::Lattice;

/// Encodes and decodes blocks of a kernel type; bound to their shape.
pub trait Kernel: Send + Sync {
    /// Appends the encoding of `x`, in C order and finite. `tolerance` is a sufficient absolute tolerance for `hint`, which a
    /// claim is about. Errors: as [`BlockCodec::encode`].
    fn encode<T: Element>(
        &self,
        x: &[T],
        mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim>;
    /// Fills `out`; values at masked points do not matter. Total on hostile bytes. Errors: as [`BlockCodec::decode`].
    fn decode<T: Element>(&self, bytes: &[u8], mask: Option<&Mask>, out: &mut [T]) -> Result<()>;
    /// As [`BlockCodec::levels`].
    fn levels(&self, _bytes: &[u8]) -> Result<Option<Levels>> {
        Ok(None)
    }
    /// As [`BlockCodec::decode_level`].
    fn decode_level<T: Element>(&self, _head: Head<'_>, _level: u32, _out: &mut [T]) -> Result<Reach> {
        Err(Error::unsupported("expected a codec that decodes levels, found another"))
    }
}

/// A [`Kernel`] as a [`BlockCodec`].
pub struct KernelBlocks<K>(pub K);

impl<K: Kernel> BlockCodec for KernelBlocks<K> {
    fn encode(&self, x: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        let tolerance = x.uniform_tolerance(hint);
        let wide = x.values.widened();
        let values = wide.as_ref().map_or(x.values, Buffer::as_slice);
        dispatch_kernel!(Slice, values, v => self.0.encode(v, x.site.mask, tolerance, hint, out), else Err(no_kernel()))
    }
    fn decode(&self, bytes: &[u8], site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let kernel = out.dtype().kernel();
        if kernel == out.dtype() {
            return dispatch_kernel!(SliceMut, out, o => self.0.decode(bytes, site.mask, o), else Err(no_kernel()));
        }
        let (mut wide, mut out) = (Buffer::zeros(kernel, out.len())?, out);
        dispatch_kernel!(SliceMut, wide.as_mut(), o => self.0.decode(bytes, site.mask, o), else Err(no_kernel()))?;
        out.narrow_from(wide.as_slice())
    }
    fn levels(&self, bytes: &[u8]) -> Result<Option<Levels>> {
        self.0.levels(bytes)
    }
    fn decode_level(&self, head: Head<'_>, level: u32, _site: &Site<'_>, out: SliceMut<'_>) -> Result<Reach> {
        let kernel = out.dtype().kernel();
        if kernel == out.dtype() {
            return dispatch_kernel!(SliceMut, out, o => self.0.decode_level(head, level, o), else Err(no_kernel()));
        }
        let (mut wide, mut out) = (Buffer::zeros(kernel, out.len())?, out);
        let reach =
            dispatch_kernel!(SliceMut, wide.as_mut(), o => self.0.decode_level(head, level, o), else Err(no_kernel()))?;
        out.narrow_from(wide.as_slice())?;
        Ok(reach)
    }
}

/// Rounds a block to the lattice of `tolerance`: the lattice, the codes, and whether `hint` is kept by all their values.
/// Errors: those of [`Lattice::around`].
pub fn round<T: Element>(
    x: &[T],
    mask: Option<&Mask>,
    tolerance: f64,
    hint: &Term,
) -> Result<(Lattice, Vec<i32>, Claim)> {
    let lattice = Lattice::around(tolerance, x)?;
    let (codes, inside) = lattice.codes(x, hint.abs);
    let masked = |i: usize| mask.is_some_and(|m| m.is_masked(i));
    let kept = |(i, (&x, &c)): (usize, (&T, &i32))| masked(i) || within(x, lattice.value(c), hint);
    let bounded = inside || x.iter().zip(&codes).enumerate().all(kept);
    Ok((lattice, codes, if bounded { Claim::Bounded } else { Claim::Unchecked }))
}

/// Kernel types are five; there is no sixth to ask for.
fn no_kernel() -> Error {
    Error::invalid("expected values in a kernel type")
}
