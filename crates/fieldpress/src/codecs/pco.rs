//! `pco`: Pcodec, a lossless codec for numerical sequences; it bins values, takes differences, and codes offsets.
//!
//! Values are handed over in C order. Of the format of the `pco` crate (<https://github.com/pcodec/pcodec>, `docs/format.md`,
//! major version 4) only what the crate's automatic choice writes is read: no dictionaries, and windows for repeated
//! values of at most 2^15. So hostile bytes can neither reach rarely used paths nor ask for memory they have not earned:
//! per chunk, decoding needs tables of at most 2^15 bins and a window of at most 2^16 values besides its output.
//!
//! # Format
//! 8-bit integers are widened to 16 bits. The `n` values are cut into `k = ceil(n / 2^18)` chunks, the first `n mod k` of
//! `floor(n / k) + 1` values and the rest of `floor(n / k)`.
//!
//! | bytes | content |
//! |---|---|
//! | 2 | the format version of pco: major (4), minor |
//! | ... | for each chunk: the chunk metadata and one data page of the wrapped pco format, each ending at a byte |

use pco::metadata::{DeltaEncoding, Mode};
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, PagingSpec};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::array::{Slice, SliceMut};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, BlockCodec, Claim, Codec, Site, Spec};
use crate::error::{Error, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "pco",
    doc: "Pcodec: lossless, made for sequences of numbers.",
    params: &[("level", "effort, 0 to 12; default 8")],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Pco>("pco", v)?.checked()?))),
    idempotent: true,
    unbounded: true,
};

/// Values of one chunk at most.
const CHUNK: usize = 1 << 18;
/// The logarithm of the largest window for repeated values.
const MAX_WINDOW_LOG: u32 = 15;
/// The major version of the format that is written and read.
const MAJOR: u8 = 4;
/// The mode that looks values up in a dictionary, in the low four bits of a chunk.
const DICTIONARY: u8 = 4;

/// The configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pco {
    /// Effort, 0 to 12.
    pub level: usize,
}

impl Default for Pco {
    fn default() -> Self {
        Pco { level: 8 }
    }
}

impl Pco {
    fn checked(self) -> Result<Self> {
        if self.level > 12 {
            return Err(Error::invalid(format!("pco: expected a level of 0 to 12, found {}", self.level)));
        }
        Ok(self)
    }
}

impl Codec for Pco {
    fn id(&self) -> &'static str {
        "pco"
    }
    fn config(&self) -> Value {
        json!({ "level": self.level })
    }
    fn bind(&self, _shared: &[u8], _spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(*self))
    }
}

impl BlockCodec for Pco {
    fn encode(&self, x: &Block<'_>, _hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        match x.values {
            Slice::F32(v) => encode(v, self.level, out),
            Slice::F64(v) => encode(v, self.level, out),
            Slice::I8(v) => encode(&widened::<_, i16>(v), self.level, out),
            Slice::I16(v) => encode(v, self.level, out),
            Slice::I32(v) => encode(v, self.level, out),
            Slice::I64(v) => encode(v, self.level, out),
            Slice::U8(v) => encode(&widened::<_, u16>(v), self.level, out),
            Slice::U16(v) => encode(v, self.level, out),
            Slice::U32(v) => encode(v, self.level, out),
            Slice::U64(v) => encode(v, self.level, out),
        }?;
        Ok(Claim::Bounded)
    }
    fn decode(&self, bytes: &[u8], _site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        match out {
            SliceMut::F32(v) => decode(bytes, v),
            SliceMut::F64(v) => decode(bytes, v),
            SliceMut::I8(v) => decode_narrow::<_, i16>(bytes, v),
            SliceMut::I16(v) => decode(bytes, v),
            SliceMut::I32(v) => decode(bytes, v),
            SliceMut::I64(v) => decode(bytes, v),
            SliceMut::U8(v) => decode_narrow::<_, u16>(bytes, v),
            SliceMut::U16(v) => decode(bytes, v),
            SliceMut::U32(v) => decode(bytes, v),
            SliceMut::U64(v) => decode(bytes, v),
        }
    }
}

fn widened<T: Copy, W: From<T>>(values: &[T]) -> Vec<W> {
    values.iter().map(|&v| W::from(v)).collect()
}

/// How many values each chunk holds.
fn chunks(n: usize) -> impl Iterator<Item = usize> {
    let k = n.div_ceil(CHUNK);
    (0..k).map(move |i| n / k + usize::from(i < n % k))
}

fn encode<T: pco::data_types::Number>(values: &[T], level: usize, out: &mut Vec<u8>) -> Result<()> {
    let failed = |e: pco::errors::PcoError| Error::invalid(format!("expected values that pco can encode: {e}"));
    let file = FileCompressor::default();
    file.write_header(&mut *out).map_err(failed)?;
    let mut rest = values;
    for n in chunks(values.len()) {
        let (chunk, tail) = rest.split_at(n);
        rest = tail;
        let config = ChunkConfig::default().with_compression_level(level).with_paging_spec(PagingSpec::Exact(vec![n]));
        let mut compressor = file.chunk_compressor(chunk, &config).map_err(failed)?;
        compressor.write_meta(&mut *out).map_err(failed)?;
        compressor.write_page(0, &mut *out).map_err(failed)?;
    }
    Ok(())
}

fn decode<T: pco::data_types::Number>(bytes: &[u8], out: &mut [T]) -> Result<()> {
    match bytes {
        [MAJOR, _, ..] => {}
        [major, _, ..] => {
            return Err(Error::unsupported(format!("expected version {MAJOR} of the pco format, found {major}")));
        }
        _ => return Err(Error::truncated("expected the version of the pco format, found the end")),
    }
    let (file, mut rest) = FileDecompressor::new(bytes).map_err(failure)?;
    let total = out.len();
    let mut left = out;
    for n in chunks(total) {
        let (chunk, tail) = left.split_at_mut(n);
        left = tail;
        match rest.first() {
            Some(first) if first & 15 == DICTIONARY => {
                return Err(Error::corrupt("expected a mode of pco without dictionary, found a dictionary"));
            }
            Some(_) => {}
            None => return Err(Error::truncated("expected another chunk of pco, found the end")),
        }
        let (mut decompressor, after) = file.chunk_decompressor::<T, _>(rest).map_err(failure)?;
        let meta = decompressor.meta();
        if let Mode::Dict(_) = meta.mode {
            return Err(Error::corrupt("expected a mode of pco without dictionary, found a dictionary"));
        }
        if let DeltaEncoding::Lookback { config, .. } = &meta.delta_encoding {
            if config.window_n_log > MAX_WINDOW_LOG {
                return Err(Error::corrupt(format!(
                    "expected a window of at most 2^{MAX_WINDOW_LOG} values, found 2^{}",
                    config.window_n_log
                )));
            }
        }
        let mut page = decompressor.page_decompressor(after, n).map_err(failure)?;
        let progress = page.read(chunk).map_err(failure)?;
        if progress.n_processed != n || !progress.finished {
            return Err(Error::corrupt(format!("expected a page of {n} values, found {}", progress.n_processed)));
        }
        rest = page.into_src();
    }
    if !rest.is_empty() {
        return Err(Error::corrupt(format!("expected the end, found {} more bytes", rest.len())));
    }
    Ok(())
}

fn decode_narrow<T: TryFrom<W>, W: pco::data_types::Number>(bytes: &[u8], out: &mut [T]) -> Result<()> {
    let mut wide = vec![W::default(); out.len()];
    decode(bytes, &mut wide)?;
    for (o, v) in out.iter_mut().zip(wide) {
        *o = T::try_from(v).map_err(|_| Error::corrupt("expected a value of 8 bits, found a larger one"))?;
    }
    Ok(())
}

fn failure(e: pco::errors::PcoError) -> Error {
    match e.kind {
        pco::errors::ErrorKind::InsufficientData => Error::truncated(e.message),
        _ => Error::corrupt(e.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Buffer, DType, Element, Shape};
    use crate::dispatch_dtype;
    use crate::error::ErrorKind;

    fn noise(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    fn bytes_of(values: &Buffer) -> Vec<u8> {
        let shape = Shape::new(&[values.len()]).unwrap();
        let mut out = Vec::new();
        let block = Block { shape, values: values.as_slice(), site: Site::default() };
        assert_eq!(Pco::default().encode(&block, &Term::EXACT, &mut out).unwrap(), Claim::Bounded);
        out
    }

    fn values_of(bytes: &[u8], dtype: DType, n: usize) -> Result<Buffer> {
        let mut back = Buffer::zeros(dtype, n)?;
        Pco::default().decode(bytes, &Site::default(), back.as_mut())?;
        Ok(back)
    }

    /// Smooth, on a lattice, repeating, constant, random bits.
    fn inputs<T: Element>(n: usize) -> Vec<Buffer> {
        let mut seed = 88_172_645_463_325_252;
        let make = |f: &mut dyn FnMut(usize) -> T| T::into_buffer((0..n).map(f).collect());
        vec![
            make(&mut |i| T::from_f64(100.0 * libm::sin(i as f64 * 0.01))),
            make(&mut |i| T::from_f64(((i * i) % 97) as f64 * 0.25)),
            make(&mut |i| T::from_f64(((i % 31) * (i % 31)) as f64 * 1.37)),
            make(&mut |_| T::from_f64(3.0)),
            make(&mut |_| T::from_bits64(noise(&mut seed))),
        ]
    }

    #[test]
    fn every_type_and_length_comes_back_bit_for_bit() {
        for dtype in DType::ALL {
            for n in [0usize, 1, 2, 255, 257, 1000, CHUNK + 3] {
                for v in dispatch_dtype!(dtype, T => inputs::<T>(n)) {
                    let bytes = bytes_of(&v);
                    assert!(values_of(&bytes, dtype, n).unwrap().as_slice().same_bits(v.as_slice()), "{dtype} {n}");
                }
            }
        }
        assert_eq!(chunks(2 * CHUNK + 1).collect::<Vec<_>>(), [174_763, 174_763, 174_763]);
        let smooth = Buffer::F64((0..CHUNK).map(|i| (i as f64) * 0.5).collect());
        assert!(bytes_of(&smooth).len() < CHUNK / 100);
    }

    #[test]
    fn every_prefix_is_an_error() {
        for dtype in [DType::F32, DType::I64, DType::U8] {
            for v in dispatch_dtype!(dtype, T => inputs::<T>(700)) {
                let bytes = bytes_of(&v);
                for cut in 0..bytes.len() {
                    let e = values_of(&bytes[..cut], dtype, 700).unwrap_err();
                    assert!(matches!(e.kind(), ErrorKind::Truncated | ErrorKind::Corrupt), "prefix {cut}: {e}");
                }
                let mut long = bytes.clone();
                long.push(0);
                assert!(values_of(&long, dtype, 700).is_err());
            }
        }
        // An 8-bit array whose stream holds 16-bit values.
        let wide = bytes_of(&Buffer::U16(vec![300; 10]));
        assert_eq!(values_of(&wide, DType::U8, 10).unwrap_err().kind(), ErrorKind::Corrupt);
        let mut old = wide;
        old[0] = 3;
        assert_eq!(values_of(&old, DType::U16, 10).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn flipped_bits_never_panic() {
        let mut seed = 2_463_534_242;
        for dtype in DType::ALL {
            for v in dispatch_dtype!(dtype, T => inputs::<T>(900)) {
                let bytes = bytes_of(&v);
                // Every bit of the metadata, and random damage anywhere.
                for bit in 0..(bytes.len() * 8).min(2000) {
                    let mut bad = bytes.clone();
                    bad[bit / 8] ^= 1 << (bit % 8);
                    let _ = values_of(&bad, dtype, 900);
                }
                for round in 0..300 {
                    let mut bad = bytes.clone();
                    for _ in 0..1 + round % 4 {
                        let at = noise(&mut seed) as usize % bad.len();
                        bad[at] = noise(&mut seed) as u8;
                    }
                    let _ = values_of(&bad, dtype, 900);
                }
            }
        }
        for _ in 0..3000 {
            let mut junk: Vec<u8> = (0..noise(&mut seed) % 200).map(|_| noise(&mut seed) as u8).collect();
            junk.splice(0..0, [MAJOR, 1]);
            let _ = values_of(&junk, DType::F64, 500);
            let _ = values_of(&junk, DType::U16, 5000);
        }
    }

    #[test]
    fn what_the_encoder_never_writes_is_refused() {
        let config = ChunkConfig::default().with_mode_spec(pco::ModeSpec::TryDict);
        let file = FileCompressor::default();
        let mut bytes = Vec::new();
        file.write_header(&mut bytes).unwrap();
        let mut c = file.chunk_compressor(&[5u32, 7, 5, 5], &config).unwrap();
        c.write_meta(&mut bytes).unwrap();
        c.write_page(0, &mut bytes).unwrap();
        let e = values_of(&bytes, DType::U32, 4).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && e.message().contains("dictionary"), "{e}");
    }
}
