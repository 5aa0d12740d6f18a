//! Files whose arrays lie in them uncompressed: where each array is, and everything else verbatim.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::format::Arrays;
use super::output::{Output, StridedSink};
use crate::array::{DType, Endian, Placement, ReadAt, Region, Shape, StridedSource};
use crate::error::{Error, Result};

/// The places of all arrays in a file. What they do not cover is the file's verbatim bytes, in file order, so that a
/// file restored from exact arrays is the same to the byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Bytes in the file.
    length: u64,
    /// The arrays.
    arrays: Vec<Placed>,
    /// Stretches `[offset, length]` that belong to no array and are not stored: the format computes them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    derived: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    at: Placement,
}

/// A part of a file.
pub(crate) struct Stretch<'a> {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// The array it is, and the order of its bytes; `None` for verbatim bytes.
    pub(crate) array: Option<(&'a str, Endian)>,
}

/// Most stretches of values that lie apart.
const MAX_RUNS: usize = 1 << 26;

impl Layout {
    /// The layout of a file of `length` bytes without arrays.
    pub fn new(length: u64) -> Layout {
        Layout { length, ..Layout::default() }
    }
    /// Adds an array and returns a source for it.
    /// Errors: `Truncated` when it reaches past the end of `bytes`; `Corrupt` when the name is taken.
    pub fn add(
        &mut self,
        name: &str,
        dtype: DType,
        shape: Shape,
        at: Placement,
        bytes: &Arc<dyn ReadAt>,
    ) -> Result<Box<StridedSource<Arc<dyn ReadAt>>>> {
        if self.arrays.iter().any(|a| a.name == name) {
            return Err(Error::corrupt(format!("expected arrays with different names, found {name:?} twice")));
        }
        let source = StridedSource::new(bytes.clone(), dtype, shape, at.clone())?;
        self.arrays.push(Placed { name: name.into(), dtype, shape: shape.to_vec(), at });
        Ok(Box::new(source))
    }
    /// Leaves `length` bytes from `offset` out of the verbatim bytes; the format must write them when it restores.
    pub fn derive(&mut self, offset: u64, length: u64) {
        self.derived.push((offset, length));
    }
    /// Errors: `Corrupt` when stretches are left out, for formats that compute nothing: they would remain empty.
    pub fn complete(self) -> Result<Layout> {
        if self.derived.is_empty() {
            return Ok(self);
        }
        Err(Error::corrupt("expected the layout of a whole file, found one with stretches left out"))
    }
    /// The stretches the format has to compute itself.
    pub fn derived(&self) -> &[(u64, u64)] {
        &self.derived
    }
    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }
    /// Where the array `name` lies, its type and shape.
    pub fn find(&self, name: &str) -> Option<(DType, Result<Shape>, &Placement)> {
        self.arrays.iter().find(|a| a.name == name).map(|a| (a.dtype, Shape::new(&a.shape), &a.at))
    }
    /// The stretches `[offset, length]` of the file that no array covers. Errors: `Corrupt` when arrays overlap, or
    /// reach past the end.
    fn gaps(&self) -> Result<Vec<(u64, u64)>> {
        // Arrays do not overlap, so together they are no larger than the file; what claims to be is refused before its places
        // are listed.
        let bytes = |a: &Placed| a.shape.iter().fold(a.dtype.size() as u64, |n, &d| n.saturating_mul(d as u64));
        if self.arrays.iter().fold(0u64, |n, a| n.saturating_add(bytes(a))) > self.length {
            return Err(Error::corrupt(format!("expected arrays that fit the {} bytes of the file", self.length)));
        }
        let mut taken = self.derived.clone();
        for a in &self.arrays {
            let shape = Shape::new(&a.shape)?;
            let end = a.at.end(&shape, a.dtype);
            // Values that do not fit side by side must overlap; to walk over them would take time nobody paid for.
            let end = end.filter(|_| (shape.len() * a.dtype.size()) as u64 <= self.length);
            if end.is_none_or(|e| e > self.length) {
                return Err(Error::corrupt(format!(
                    "expected array {:?} inside the {} bytes of the file",
                    a.name, self.length
                )));
            }
            let size = a.dtype.size() as u64;
            let sorted = a.at.file_order();
            let (region, at) = match &sorted {
                Some((axes, at)) => (Region::all(shape).permuted(axes), at),
                None => (Region::all(shape), &a.at),
            };
            at.runs(&region, a.dtype, |offset, n| {
                let full = taken.len() >= MAX_RUNS;
                match taken.last_mut() {
                    Some(last) if last.0.checked_add(last.1) == Some(offset) => last.1 += n as u64 * size,
                    _ if full => {
                        return Err(Error::limit(format!(
                            "expected at most {MAX_RUNS} stretches of values, found more"
                        )));
                    }
                    _ => {
                        taken
                            .try_reserve(1)
                            .map_err(|_| Error::limit("expected memory for the places of the arrays"))?;
                        taken.push((offset, n as u64 * size));
                    }
                }
                Ok(())
            })?;
        }
        taken.sort_unstable();
        let mut gaps = Vec::new();
        let mut at = 0;
        for (offset, n) in taken {
            if n == 0 {
                continue;
            }
            if offset < at {
                return Err(Error::corrupt(format!("expected arrays that do not overlap, found two at byte {offset}")));
            }
            if offset > at {
                gaps.push((at, offset - at));
            }
            at = offset.checked_add(n).ok_or_else(|| Error::corrupt("expected offsets below 2^64"))?;
        }
        if at < self.length {
            gaps.push((at, self.length - at));
        }
        Ok(gaps)
    }
    /// The stretches of a file whose arrays are contiguous, in file order: those of arrays, with their names, and those of verbatim bytes.
    /// Errors: `Unsupported` where values of an array lie apart or bytes are computed; else as [`Layout::verbatim`].
    pub(crate) fn stretches(&self) -> Result<Vec<Stretch<'_>>> {
        if !self.derived.is_empty() {
            return Err(Error::unsupported("expected a file all of whose bytes are stored"));
        }
        let mut all: Vec<Stretch<'_>> =
            self.gaps()?.into_iter().map(|(offset, length)| Stretch { offset, length, array: None }).collect();
        for a in &self.arrays {
            let shape = Shape::new(&a.shape)?;
            if a.at != Placement::contiguous(a.at.offset, &shape, a.dtype, a.at.endian) {
                return Err(Error::unsupported(format!("expected arrays in one piece, found {:?}", a.name)));
            }
            let length = (shape.len() * a.dtype.size()) as u64;
            if length > 0 {
                all.push(Stretch { offset: a.at.offset, length, array: Some((&a.name, a.at.endian)) });
            }
        }
        all.sort_unstable_by_key(|s| s.offset);
        Ok(all)
    }
    /// The bytes of the file that belong to no array, in file order.
    pub fn verbatim(&self, bytes: &dyn ReadAt) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (offset, n) in self.gaps()? {
            let at = out.len();
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            out.try_reserve(n)
                .map_err(|_| Error::limit(format!("expected memory for {n} verbatim bytes, found too little")))?;
            out.resize(at + n, 0);
            bytes.read_at(offset, &mut out[at..])?;
        }
        Ok(out)
    }
    /// As the template of a dataset.
    pub fn to_template(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| Error::invalid(format!("expected a layout that can be written: {e}")))
    }
    /// From the template of an archive. Errors: `Corrupt`.
    pub fn from_template(template: &Value) -> Result<Layout> {
        serde::Deserialize::deserialize(template)
            .map_err(|e| Error::corrupt(format!("expected the layout of a file: {e}")))
    }
    /// Writes verbatim bytes and decoded arrays to their places. Errors: `Corrupt` when they do not fit together.
    pub fn restore(&self, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        for a in &self.arrays {
            let (dtype, shape) = arrays.spec(&a.name)?;
            if dtype != a.dtype || *shape != *a.shape {
                return Err(Error::corrupt(format!(
                    "expected array {:?} of type {} and shape {:?}, found {dtype} and {shape:?}",
                    a.name, a.dtype, a.shape
                )));
            }
        }
        let mut rest = verbatim;
        for (offset, n) in self.gaps()? {
            let part = usize::try_from(n).ok().and_then(|n| rest.split_at_checked(n));
            let (head, tail) =
                part.ok_or_else(|| Error::corrupt(format!("expected {n} more verbatim bytes, found {}", rest.len())))?;
            out.write_at(offset, head)?;
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(Error::corrupt(format!("expected the end of the verbatim bytes, found {} more", rest.len())));
        }
        for a in &self.arrays {
            arrays.read_into(&a.name, &mut StridedSink { out, placement: &a.at, dtype: a.dtype })?;
        }
        Ok(())
    }
}

/// The byte order of this file format's values, from a flag that is true for big-endian.
impl From<bool> for Endian {
    fn from(big: bool) -> Endian {
        if big {
            Endian::Big
        } else {
            Endian::Little
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, Source};
    use crate::io::testing::Decoded;

    #[test]
    fn files_come_back_to_the_byte() {
        let original: Vec<u8> = (0..200u8).collect();
        let bytes: Arc<dyn ReadAt> = Arc::new(original.clone());
        let shape = Shape::new(&[3, 4]).unwrap();
        let mut layout = Layout::new(200);
        let a = Placement { offset: 10, strides: vec![16, 2], endian: Endian::Big };
        let b = Placement { offset: 18, strides: vec![16, 2], endian: Endian::Little };
        let mut decoded = Vec::new();
        for (name, p) in [("a", a), ("b", b.clone())] {
            let s = layout.add(name, DType::U16, shape, p, &bytes).unwrap();
            decoded.push((name.to_string(), Array::new(shape, s.read(&Region::all(shape)).unwrap()).unwrap()));
        }
        assert!(layout.add("a", DType::U8, shape, b.clone(), &bytes).is_err());
        let verbatim = layout.verbatim(&original).unwrap();
        assert_eq!(verbatim.len(), 200 - 48);
        let layout = Layout::from_template(&layout.to_template().unwrap()).unwrap();
        let mut out = Vec::new();
        layout.restore(&verbatim, &Decoded(decoded), &mut out).unwrap();
        assert_eq!(out, original);
        let mut overlap = layout.clone();
        overlap.add("c", DType::U8, shape, b, &bytes).unwrap();
        assert!(overlap.verbatim(&original).is_err());
    }
}
