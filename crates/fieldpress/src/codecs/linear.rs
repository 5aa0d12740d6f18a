//! `linear`: values rounded to multiples of twice the tolerance, predicted from their neighbours with weights fitted to the block,
//! the errors entropy coded by the magnitudes of those already known.
//!
//! Linear prediction of images and fields goes back to C. W. Harrison, "Experiments with linear prediction in television", Bell System
//! Technical Journal 31, 1952. With weights for the whole block prediction runs at the speed of memory; where they should follow the field,
//! `lpc` fits them around every value.
//!
//! Integers narrower than the kernel type (see `DType::kernel`) are widened first and saturate on the way back.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | 8 | tolerance t, `f64`; the step is `2 t`, for integers `2 floor(t) + 1` |
//! | varint | zigzag of the offset o of all codes, at most 2^50 |
//! | ... | weights, see [`crate::predict::linear`] |
//! | rest | the residuals of the codes, as rows of [`crate::entropy::rows`] |
//!
//! A value is `(o + c) * step`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Element, Mask, Shape};
use crate::bits::ByteReader;
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, round, BlockCodec, Claim, Codec, Kernel, KernelBlocks, Spec};
use crate::entropy::{decode_rows, encode_rows};
use crate::error::{Error, Result};
use crate::predict::linear;
use crate::quantize::{before_rounding, Lattice};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "linear",
    doc: "Linear prediction with weights fitted to each block: fast, and good on rough fields.",
    params: &[],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Linear>("linear", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration: nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {}

impl Codec for Linear {
    fn id(&self) -> &'static str {
        "linear"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(KernelBlocks(BoundLinear { shape: spec.shape })))
    }
}

struct BoundLinear {
    shape: Shape,
}

impl Kernel for BoundLinear {
    fn encode<T: Element>(
        &self,
        x: &[T],
        mask: Option<&Mask>,
        tolerance: f64,
        hint: &Term,
        out: &mut Vec<u8>,
    ) -> Result<Claim> {
        let tolerance = before_rounding(tolerance, x);
        let (lattice, mut codes, claim) = round(x, mask, tolerance, hint)?;
        lattice.write(tolerance, out);
        if !x.is_empty() {
            // Where there is no room for the predictor, another codec may do.
            linear::encode(&mut codes, &self.shape, out).map_err(|e| Error::invalid(e.message()))?;
            encode_rows(&codes, &self.shape, out);
        }
        Ok(claim)
    }
    fn decode<T: Element>(&self, bytes: &[u8], _mask: Option<&Mask>, out: &mut [T]) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let lattice = Lattice::read::<T>(&mut r)?;
        if out.is_empty() {
            return r.end();
        }
        let weights = linear::Weights::read(&mut r, &self.shape)?;
        let mut codes = vec![0; out.len()];
        decode_rows(r.rest(), &self.shape, &mut codes)?;
        weights.restore(&self.shape, &mut codes)?;
        lattice.values(&codes, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn field() -> Vec<f32> {
        (0..6 * 20 * 50)
            .map(|i| libm::sinf((i % 50) as f32 * 0.2) + (i / 50) as f32 * 0.01 + (i * 7919 % 101) as f32 * 1e-3)
            .collect()
    }

    #[test]
    fn errors_stay_below_the_tolerance_and_prefixes_are_truncated() {
        let x = field();
        let codec = BoundLinear { shape: Shape::new(&[6, 20, 50]).unwrap() };
        let mut sizes = Vec::new();
        for tolerance in [0.3, 1e-2, 1e-3, 1e-5] {
            let mut bytes = Vec::new();
            let hint = Term { abs: tolerance, rel: 0.0 };
            assert_eq!(codec.encode(&x, None, tolerance, &hint, &mut bytes).unwrap(), Claim::Bounded);
            let mut y = vec![0f32; x.len()];
            codec.decode(&bytes, None, &mut y).unwrap();
            assert!(x.iter().zip(&y).all(|(x, y)| (f64::from(*x) - f64::from(*y)).abs() <= tolerance));
            for cut in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
                let e = codec.decode(&bytes[..cut], None, &mut y).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Truncated, "{tolerance} {cut}");
            }
            for at in (0..bytes.len()).step_by(1 + bytes.len() / 200) {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                let _ = codec.decode(&bad, None, &mut y);
            }
            sizes.push(bytes.len());
        }
        assert!(sizes.windows(2).all(|s| s[0] < s[1]), "{sizes:?}");
    }

    #[test]
    fn what_cannot_be_rounded_is_refused_or_not_claimed() {
        let codec = BoundLinear { shape: Shape::new(&[3]).unwrap() };
        let encode = |x: &[f64], t: f64| codec.encode(x, None, t, &Term { abs: t, rel: 0.0 }, &mut Vec::new());
        assert!(encode(&[0.0, 1.0, 1e30], 1e-3).is_err());
        // Values of the lattice, cast to a type that has only every second integer there, are too far off.
        let x: Vec<f32> = (0..30).map(|i| 16_777_216.0 + 2.0 * i as f32).collect();
        let (codec, hint) = (BoundLinear { shape: Shape::new(&[30]).unwrap() }, Term { abs: 1.2, rel: 0.0 });
        assert_eq!(codec.encode(&x, None, 1.2, &hint, &mut Vec::new()).unwrap(), Claim::Unchecked);
    }
}
