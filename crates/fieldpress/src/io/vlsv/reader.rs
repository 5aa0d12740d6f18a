//! Typed access to the arrays of a VLSV file.

use std::sync::Arc;

use super::footer::{self, Tag};
use crate::array::{Array, Element, Endian, ReadAt, Region, Shape, Source, StridedSource};
use crate::dispatch;
use crate::error::{Error, Result};

/// An open VLSV file: its footer is in memory, its arrays are read when asked for.
#[derive(Clone)]
pub struct Vlsv {
    bytes: Arc<dyn ReadAt>,
    endian: Endian,
    end: u64,
    tags: Vec<Tag>,
}

impl Vlsv {
    /// Reads the header and the footer. Errors: `Truncated` for a file cut short or never closed, `Corrupt`,
    /// `LimitExceeded` for a footer larger than any real one, `Io`.
    pub fn open(bytes: Arc<dyn ReadAt>) -> Result<Vlsv> {
        let f = footer::read(&bytes)?;
        Ok(Vlsv { bytes, endian: f.endian, end: f.offset, tags: f.tags })
    }
    /// The byte order of the values.
    pub fn endian(&self) -> Endian {
        self.endian
    }
    /// Every element of the footer, in the order of the file.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }
    /// Where the values end and the footer begins.
    pub(super) fn end(&self) -> u64 {
        self.end
    }
    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &Arc<dyn ReadAt> {
        &self.bytes
    }
    /// The first element `tag` with this name and mesh; `None` stands for any.
    pub fn find(&self, tag: &str, name: Option<&str>, mesh: Option<&str>) -> Option<&Tag> {
        self.tags.iter().find(|t| {
            t.tag == tag && name.is_none_or(|n| t.name() == Some(n)) && mesh.is_none_or(|m| t.mesh() == Some(m))
        })
    }
    /// [`Vlsv::find`] for elements that must be there. Errors: `InvalidArgument`.
    pub(super) fn require(&self, tag: &str, name: Option<&str>, mesh: Option<&str>) -> Result<&Tag> {
        self.find(tag, name, mesh).ok_or_else(|| {
            let part = |key: &str, v: Option<&str>| v.map_or(String::new(), |v| format!(" {key}={v:?}"));
            Error::invalid(format!("expected {tag}{}{}, found no such array", part("name", name), part("mesh", mesh)))
        })
    }
    /// The array of an element, to be read in parts.
    /// Errors: `InvalidArgument` where it has none; `Unsupported` for a type this library does not have; `Corrupt`.
    pub fn source(&self, tag: &Tag) -> Result<StridedSource<Arc<dyn ReadAt>>> {
        let stored = tag.stored.ok_or_else(|| Error::invalid(format!("expected an array in {tag}, found none")))?;
        let dtype = stored.dtype.ok_or_else(|| {
            let found = tag.attribute("datatype").unwrap_or_default();
            Error::unsupported(format!("expected a known element type, found {found} of {} bytes", stored.size)).at(tag)
        })?;
        let (shape, at) = tag.place(dtype, self.endian, self.end)?;
        StridedSource::new(self.bytes.clone(), dtype, shape, at)
    }
    /// The whole array of an element, in the shape of [`Tag::shape`]. Errors: as [`Vlsv::source`], and `Io`.
    pub fn read(&self, tag: &Tag) -> Result<Array> {
        let source = self.source(tag)?;
        Array::new(source.shape(), source.read(&Region::all(source.shape()))?)
    }
    /// The vectors `first..first + count` of an element's array.
    /// Errors: `Corrupt` when there are fewer; else as [`Vlsv::read`].
    pub(super) fn read_part(&self, tag: &Tag, first: usize, count: usize) -> Result<Array> {
        let source = self.source(tag)?;
        let (mut origin, mut dims) = (source.shape().to_vec(), source.shape().to_vec());
        origin.fill(0);
        if let (Some(o), Some(d)) = (origin.first_mut(), dims.first_mut()) {
            (*o, *d) = (first, count);
        }
        let region = Region::new(&source.shape(), &origin, &dims).map_err(|e| Error::corrupt(e.message()).at(tag))?;
        Array::new(Shape::new(&dims)?, source.read(&region)?)
    }
    /// The value of a parameter: of `PARAMETER`, or in old files of `PARAMETERS`, where it may stand in the footer.
    /// Errors: `InvalidArgument` when there is none; `Corrupt` when it is not one number.
    pub fn parameter(&self, name: &str) -> Result<f64> {
        let tag = self.find("PARAMETER", Some(name), None);
        let tag = match tag.or_else(|| self.find("PARAMETERS", Some(name), None)) {
            Some(tag) => tag,
            None => return Err(Error::invalid(format!("expected a parameter {name:?}, found none"))),
        };
        let value = match (tag.stored, tag.attribute("value")) {
            (Some(_), _) => self.reals(tag)?.first().copied(),
            (None, Some(text)) => text.trim().parse().ok(),
            (None, None) => None,
        };
        value.ok_or_else(|| Error::corrupt("expected a number, found none").at(tag))
    }
    /// The values of an element's array as numbers.
    pub(super) fn reals(&self, tag: &Tag) -> Result<Vec<f64>> {
        Ok(self.read(tag)?.data().to_f64())
    }
    /// The values of an element's array as counts or identifiers.
    /// Errors: `Corrupt` when they are not integers, or negative.
    pub(super) fn integers(&self, tag: &Tag) -> Result<Vec<u64>> {
        fn convert<T: Element>(v: &[T]) -> Option<Vec<u64>> {
            let integer = !T::DTYPE.is_float() && v.iter().all(|&x| x.to_f64() >= 0.0);
            integer.then(|| v.iter().map(|&x| x.to_bits64()).collect())
        }
        let array = self.read(tag)?;
        let values = dispatch!(Slice, array.data(), v => convert(v));
        values.ok_or_else(|| Error::corrupt(format!("expected identifiers or counts, found {}", array.dtype())).at(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::File;
    use super::*;
    use crate::array::{Buffer, DType, Slice};
    use crate::error::ErrorKind;

    #[test]
    fn values_are_read_in_both_byte_orders() {
        for endian in [Endian::Little, Endian::Big] {
            let file = File::new(endian)
                .array("VARIABLE", &[("name", "v"), ("mesh", "a")], 2, Buffer::F32(vec![1.0, 2.0, 3.0, 4.0]))
                .array("VARIABLE", &[("name", "v"), ("mesh", "b")], 1, Buffer::I16(vec![-1, 300]))
                .array("PARAMETER", &[("name", "time")], 1, Buffer::F64(vec![2.5]))
                .element("<PARAMETERS name=\"dt\" value=\"0.25\"/>")
                .element("<PARAMETERS name=\"no\"/>")
                .finish();
            let v = Vlsv::open(Arc::new(file)).unwrap();
            let a = v.read(v.find("VARIABLE", Some("v"), None).unwrap()).unwrap();
            assert_eq!((a.shape().dims(), a.as_typed::<f32>()), (&[2, 2][..], Some(&[1.0, 2.0, 3.0, 4.0][..])));
            let b = v.find("VARIABLE", Some("v"), Some("b")).unwrap();
            assert_eq!(v.read(b).unwrap().data(), Slice::I16(&[-1, 300]));
            assert_eq!(v.integers(b).unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!((v.parameter("time").unwrap(), v.parameter("dt").unwrap()), (2.5, 0.25));
            assert_eq!(v.parameter("no").unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(v.parameter("none").unwrap_err().kind(), ErrorKind::InvalidArgument);
            assert!(v.find("VARIABLE", Some("w"), None).is_none() && v.require("MESH", None, None).is_err());
            assert_eq!(v.read_part(b, 1, 1).unwrap().data(), Slice::I16(&[300]));
            assert_eq!(v.read_part(b, 1, 2).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn unknown_types_are_unsupported() {
        let file = File::new(Endian::Little).bytes("X", "datatype=\"float\" datasize=\"16\" arraysize=\"1\"", &[7; 16]);
        let v = Vlsv::open(Arc::new(file.finish())).unwrap();
        assert_eq!(v.read(&v.tags()[0]).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(v.tags()[0].dtype(), None::<DType>);
    }
}
