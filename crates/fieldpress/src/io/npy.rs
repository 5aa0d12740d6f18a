//! NumPy's `.npy`: one array behind a header that is a Python literal.
//!
//! Specification: `numpy.lib.format` and NEP 1, versions 1.0, 2.0 and 3.0.
//!
//! # Format
//!
//! | bytes | content |
//! |---|---|
//! | 6 | `93 4e 55 4d 50 59` (`\x93NUMPY`) |
//! | 1, 1 | major and minor version: 1.0, 2.0 or 3.0 |
//! | 2 (version 1) or 4 | length of the header, little-endian; 10 (12) + length is a multiple of 64 |
//! | length | `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, spaces, a newline; Latin-1, from 3.0 on UTF-8 |
//! | rest | the values, contiguous, in C or Fortran order |
//!
//! `descr` is `<` (little-endian), `>` (big-endian) or `|` (single bytes), then a type and its bytes: `f4 f8 i1 i2 i4
//! i8 u1 u2 u4 u8`; `b1` (bool) is read as u8, `M8` and `m8` (dates and durations) as i64, and the attribute `descr`
//! keeps what they are. Other types are unsupported. Bytes after the array are kept as they are.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::format::{Arrays, Dataset, FileArray, Format, OpenOptions};
use super::layout::Layout;
use super::output::{Output, StridedSink};
use crate::array::MAX_RANK;
use crate::array::{Array, DType, Endian, Placement, ReadAt, Region, Shape, Sink, Slice, Source, StridedSource};
use crate::container::Role;
use crate::error::{Error, Result};

/// The first bytes of every `.npy` file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header accepted, in bytes; NumPy itself refuses more than 10,000 unless told otherwise.
const MAX_HEADER: u32 = 1 << 20;
/// The name of the only array of a file.
pub(super) const NAME: &str = "data";

/// The format `npy`.
pub struct Npy;

impl Format for Npy {
    fn id(&self) -> &'static str {
        "npy"
    }
    fn doc(&self) -> &'static str {
        "NumPy array file: one array, any byte order, C or Fortran order"
    }
    fn matches(&self, _name: &str, head: &[u8]) -> bool {
        head.starts_with(MAGIC)
    }
    fn open(&self, _name: &str, bytes: Arc<dyn ReadAt>, _options: &OpenOptions) -> Result<Dataset> {
        let header = Header::read(&bytes)?;
        let mut layout = Layout::new(bytes.size()?);
        let source = layout.add(NAME, header.dtype, header.shape, header.placement(), &bytes)?;
        let array = header.describe(NAME, source);
        Ok(Dataset {
            format: self.id(),
            template: layout.to_template()?,
            verbatim: layout.verbatim(&bytes)?,
            arrays: vec![array],
        })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        Layout::from_template(template)?.complete()?.restore(verbatim, arrays, out)
    }
}

/// What the header of a file says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    endian: Endian,
    fortran: bool,
    /// The offset of the first value.
    pub(super) data: u64,
    /// The type as the file names it, where ours says less.
    descr: Option<String>,
}

impl Header {
    /// Errors: `Corrupt`, `Truncated`; `Unsupported` for another version or element type; `LimitExceeded`.
    pub(super) fn read(bytes: &dyn ReadAt) -> Result<Header> {
        let mut start = [0u8; 8];
        bytes.read_at(0, &mut start)?;
        if !start.starts_with(MAGIC) {
            return Err(Error::corrupt("expected the first bytes of a .npy file (93 NUMPY)"));
        }
        let (length, head) = match (start[6], start[7]) {
            (1, 0) => {
                let mut n = [0; 2];
                bytes.read_at(8, &mut n)?;
                (u32::from(u16::from_le_bytes(n)), 10u64)
            }
            (2 | 3, 0) => {
                let mut n = [0; 4];
                bytes.read_at(8, &mut n)?;
                (u32::from_le_bytes(n), 12)
            }
            (major, minor) => {
                return Err(Error::unsupported(format!(
                    "expected version 1.0, 2.0 or 3.0 of the .npy format, found {major}.{minor}"
                )));
            }
        };
        if length > MAX_HEADER {
            return Err(Error::limit(format!("expected a header of at most {MAX_HEADER} bytes, found {length}")));
        }
        let mut text = vec![0; length as usize];
        bytes.read_at(head, &mut text)?;
        let mut header = Parser { rest: &text }.header()?;
        header.data = head + u64::from(length);
        Ok(header)
    }
    /// How the values lie in the file.
    pub(super) fn placement(&self) -> Placement {
        let mut at = Placement::contiguous(self.data, &self.shape, self.dtype, self.endian);
        if self.fortran {
            let mut step = self.dtype.size() as u64;
            for (s, &d) in at.strides.iter_mut().zip(self.shape.iter()) {
                *s = step;
                // Cannot overflow: `Shape` bounds the product of all extents, zeros taken as 1.
                step *= d.max(1) as u64;
            }
        }
        at
    }
    /// The array with this header, read from `source`.
    pub(super) fn describe(&self, name: &str, source: Box<dyn Source + Send>) -> FileArray {
        let mut attributes = Map::new();
        if let Some(d) = &self.descr {
            attributes.insert("descr".into(), Value::from(d.as_str()));
        }
        let date = self.descr.as_ref().is_some_and(|d| d.contains("M8"));
        let role = if date { Role::Coordinate } else { Role::Field };
        FileArray { name: name.into(), role, attributes, suits: None, velocities: None, elements: None, source }
    }
}

/// A reader of the one Python literal a header may be: a dictionary with three known keys.
struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn header(&mut self) -> Result<Header> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.accept(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let fresh = match key {
                "descr" => descr.replace(self.descr()?).is_none(),
                "fortran_order" => fortran.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            if !fresh {
                return Err(Error::corrupt(format!(
                    "expected the keys descr, fortran_order and shape once each, found {key:?}"
                )));
            }
            if !self.accept(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        if !self.rest.iter().all(u8::is_ascii_whitespace) {
            return Err(self.unexpected("spaces after the header"));
        }
        match (descr, fortran, shape) {
            (Some((dtype, endian, descr)), Some(fortran), Some(shape)) => {
                Ok(Header { dtype, endian, descr, fortran, shape, data: 0 })
            }
            _ => Err(Error::corrupt("expected the keys descr, fortran_order and shape, found fewer")),
        }
    }
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.accept(byte) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("{:?}", char::from(byte))))
        }
    }
    fn unexpected(&self, wanted: &str) -> Error {
        let found = String::from_utf8_lossy(self.rest.get(..20).unwrap_or(self.rest));
        Error::corrupt(format!("expected {wanted} in the header, found {found:?}"))
    }
    /// The longest run of bytes that are `like` this.
    fn span(&mut self, like: impl Fn(&u8) -> bool) -> &'a [u8] {
        let n = self.rest.iter().position(|b| !like(b)).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at(n);
        self.rest = tail;
        head
    }
    fn string(&mut self) -> Result<&'a str> {
        let quote = match self.peek() {
            Some(q @ (b'\'' | b'"')) => q,
            _ => return Err(self.unexpected("a string")),
        };
        self.expect(quote)?;
        let text = self.span(|&b| b != quote && b != b'\\' && b != b'\n');
        if self.rest.first() != Some(&quote) {
            return Err(self.unexpected("the end of a string"));
        }
        self.expect(quote)?;
        std::str::from_utf8(text).map_err(|_| Error::corrupt("expected text in the header, found other bytes"))
    }
    fn boolean(&mut self) -> Result<bool> {
        self.peek();
        match self.span(u8::is_ascii_alphabetic) {
            b"True" => Ok(true),
            b"False" => Ok(false),
            _ => Err(self.unexpected("True or False")),
        }
    }
    fn tuple(&mut self) -> Result<Shape> {
        let mut dims = Vec::new();
        self.expect(b'(')?;
        while !self.accept(b')') {
            self.peek();
            let digits = std::str::from_utf8(self.span(u8::is_ascii_digit)).unwrap_or_default();
            // Python 2 wrote long integers with a suffix.
            self.accept(b'L');
            dims.push(digits.parse().map_err(|_| self.unexpected("an extent"))?);
            if !self.accept(b',') {
                self.expect(b')')?;
                if dims.len() == 1 {
                    return Err(Error::corrupt("expected a tuple as shape, found an integer in parentheses"));
                }
                break;
            }
        }
        if dims.len() > MAX_RANK {
            return Err(Error::unsupported(format!("expected at most {MAX_RANK} axes, found {}", dims.len())));
        }
        Shape::new(&dims).map_err(|e| Error::corrupt(e.message()))
    }
    fn descr(&mut self) -> Result<(DType, Endian, Option<String>)> {
        if matches!(self.peek(), Some(b'[' | b'(')) {
            return Err(Error::unsupported(
                "expected values of one numeric type, found a structured type; save its fields one by one",
            ));
        }
        let text = self.string()?;
        let unsupported = || {
            Error::unsupported(format!(
                "expected values of 32- or 64-bit floats, 8- to 64-bit integers, bool or dates, found {text:?}"
            ))
        };
        let mut chars = text.chars();
        let order = chars.next();
        let kind = chars.as_str();
        let dtype = match kind {
            "f4" => DType::F32,
            "f8" => DType::F64,
            "i1" => DType::I8,
            "i2" => DType::I16,
            "i4" => DType::I32,
            "i8" => DType::I64,
            "u1" | "b1" => DType::U8,
            "u2" => DType::U16,
            "u4" => DType::U32,
            "u8" => DType::U64,
            k if k.starts_with("M8") || k.starts_with("m8") => DType::I64,
            _ => return Err(unsupported()),
        };
        let endian = match order {
            Some('<') => Endian::Little,
            Some('>') => Endian::Big,
            Some('|') if dtype.size() == 1 => Endian::Little,
            _ => return Err(unsupported()),
        };
        let plain = !kind.starts_with(['b', 'M', 'm']);
        Ok((dtype, endian, (!plain).then(|| text.to_string())))
    }
}

/// The bytes NumPy puts before the values of a little-endian array in C order: version 1.0, padded to
/// a multiple of 64 bytes.
pub fn header(dtype: DType, shape: &Shape) -> Vec<u8> {
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let kind = dtype.name().chars().next().unwrap_or('f');
    let mut text = format!("{{'descr': '{order}{kind}{}', 'fortran_order': False, 'shape': (", dtype.size());
    for (k, d) in shape.iter().enumerate() {
        text.push_str(&if k > 0 { format!(", {d}") } else { d.to_string() });
    }
    text.push_str(if shape.rank() == 1 { ",), }" } else { "), }" });
    // Room for the first extent to grow to 21 digits in place.
    if let Some(first) = shape.first() {
        text.push_str(&" ".repeat(21usize.saturating_sub(first.to_string().len())));
    }
    text.push_str(&" ".repeat(64 - (11 + text.len()) % 64));
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.bytes());
    out
}

/// Takes the values of one array, in any order of regions, into a `.npy` file. See [`create`].
pub struct NpySink<'a> {
    out: &'a mut dyn Output,
    dtype: DType,
    placement: Placement,
}

impl Sink for NpySink<'_> {
    fn write(&mut self, region: &Region, values: Slice<'_>) -> Result<()> {
        StridedSink { out: self.out, placement: &self.placement, dtype: self.dtype }.write(region, values)
    }
}

/// Begins a `.npy` file: writes its header and returns the sink for its values. Errors: `Io`.
pub fn create(dtype: DType, shape: Shape, out: &mut dyn Output) -> Result<NpySink<'_>> {
    let head = header(dtype, &shape);
    out.write_at(0, &head)?;
    let placement = Placement::contiguous(head.len() as u64, &shape, dtype, Endian::Little);
    Ok(NpySink { out, dtype, placement })
}

/// Writes the array `name` alone as a `.npy` file, block by block. Errors: `Corrupt` when there is none; `Io`.
pub fn write_npy(arrays: &dyn Arrays, name: &str, out: &mut dyn Output) -> Result<()> {
    let (dtype, shape) = arrays.spec(name)?;
    arrays.read_into(name, &mut create(dtype, shape, out)?)
}

/// The array of a `.npy` file in memory, in C order. Errors: `Corrupt`, `Truncated`, `Unsupported`, `LimitExceeded`.
pub fn read_npy(bytes: &[u8]) -> Result<Array> {
    let h = Header::read(&bytes)?;
    let source = StridedSource::new(bytes, h.dtype, h.shape, h.placement())?;
    Array::new(h.shape, source.read(&Region::all(h.shape))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Buffer, Element};
    use crate::dispatch_dtype;
    use crate::error::ErrorKind;
    use crate::io::testing::{read_all, restored, shared, Decoded};

    /// A file as NumPy writes it: version, header, spaces to a multiple of 64 bytes, values.
    fn file(version: u8, text: &str, values: &[u8]) -> Vec<u8> {
        let head = if version == 1 { 10 } else { 12 };
        let text = format!("{text}{}\n", " ".repeat(64 - (head + 1 + text.len()) % 64));
        let mut out = [MAGIC, &[version, 0]].concat();
        match version {
            1 => out.extend((text.len() as u16).to_le_bytes()),
            _ => out.extend((text.len() as u32).to_le_bytes()),
        }
        [&out, text.as_bytes(), values].concat()
    }

    fn read(bytes: &[u8]) -> Array {
        read_all(&Npy, "x.npy", bytes, &OpenOptions::default()).unwrap().remove(0).1
    }

    fn same(bytes: &[u8]) {
        assert_eq!(restored(&Npy, "x.npy", bytes, &OpenOptions::default(), |_, a| a).unwrap(), bytes);
    }

    #[test]
    fn files_written_by_numpy_are_read() {
        // numpy.save of asfortranarray(arange(6, dtype='>i2').reshape(2, 3)), NumPy 2.4.
        let head = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
        let f = file(1, head, &[0, 0, 0, 3, 0, 1, 0, 4, 0, 2, 0, 5]);
        assert_eq!((f.len(), &f[..12]), (140, &b"\x93NUMPY\x01\x00v\x00{'"[..]));
        assert_eq!(read(&f), Array::from_vec(&[2, 3], vec![0i16, 1, 2, 3, 4, 5]).unwrap());
        assert_eq!(read_npy(&f).unwrap(), read(&f));
        same(&f);
        // numpy.lib.format.write_array of arange(2, dtype='f4'), versions 2.0 and 3.0.
        for version in [2, 3] {
            let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
            let f = file(version, head, &[0, 0, 0, 0, 0, 0, 128, 63]);
            assert_eq!((f.len(), &f[8..12]), (136, &b"t\x00\x00\x00"[..]));
            assert_eq!(read(&f), Array::from_vec(&[2], vec![0f32, 1.0]).unwrap());
            same(&f);
        }
        // array([[True, False]]); array(['2020-01-01', 'NaT'], dtype='M8[D]').
        let open = |f: Vec<u8>| Npy.open("x", Arc::new(f), &OpenOptions::default()).unwrap().arrays.remove(0);
        let flags = open(file(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2), }", &[1, 0]));
        assert_eq!((flags.source.dtype(), &flags.attributes["descr"]), (DType::U8, &Value::from("|b1")));
        let days = b"VG\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80";
        let days = open(file(1, "{'descr': '<M8[D]', 'fortran_order': False, 'shape': (2,), }", days));
        assert_eq!((days.role, &days.attributes["descr"]), (Role::Coordinate, &Value::from("<M8[D]")));
        let values = days.source.read(&Region::all(days.source.shape())).unwrap();
        assert_eq!(values, Buffer::I64(vec![18262, i64::MIN]));
    }

    #[test]
    fn every_type_order_and_rank_comes_back() {
        fn check<T: Element>(shape: &[usize]) {
            let shape = Shape::new(shape).unwrap();
            let data: Vec<T> = (0..shape.len()).map(|i| T::from_bits64(i as u64 * 0x0123_4567_89ab_cdef)).collect();
            let a = Array::new(shape, T::into_buffer(data)).unwrap();
            for big in [false, true] {
                for fortran in [false, true] {
                    let n = shape.rank();
                    let (axes, from) = ((0..n).rev().collect::<Vec<_>>(), shape.strides());
                    let strides: Vec<isize> = axes.iter().map(|&k| from[k] as isize).collect();
                    let turned = Region::all(shape).permuted(&axes);
                    let t = crate::View::strided(a.data(), turned.shape(), &strides, 0).unwrap();
                    let t = t.gather(&Region::all(t.shape())).unwrap();
                    let values = if fortran { t.as_slice() } else { a.data() };
                    let bytes = super::super::output::file_bytes(values, Endian::from(big));
                    let kind = &T::DTYPE.name()[..1];
                    let head = format!(
                        "{{'descr': '{}{kind}{}', 'fortran_order': {}, 'shape': ({}), }}",
                        if big { '>' } else { '<' },
                        T::BITS / 8,
                        if fortran { "True" } else { "False" },
                        shape.iter().map(|d| format!("{d},")).collect::<String>()
                    );
                    let f = file(1, &head, &bytes);
                    assert!(read(&f).data().same_bits(a.data()), "{head}");
                    same(&f);
                }
            }
        }
        for shape in [&[][..], &[7], &[3, 5], &[2, 3, 4], &[0], &[2, 0, 3], &[1, 2, 1, 2, 3, 1, 2, 2]] {
            for dtype in DType::ALL {
                dispatch_dtype!(dtype, T => check::<T>(shape));
            }
        }
    }

    #[test]
    fn headers_are_numpys_to_the_byte() {
        // Lengths and texts from NumPy 2.4.
        let h = |dtype, shape: &[usize]| header(dtype, &Shape::new(shape).unwrap());
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        assert_eq!(h(DType::F32, &[3, 4]), file(1, text, &[]));
        assert_eq!(h(DType::U8, &[]), file(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }", &[]));
        assert_eq!(h(DType::I64, &[5]), file(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (5,), }", &[]));
        for shape in [&[1 << 10; 5][..], &[1, 10, 10, 10, 10, 10, 10, 100_000_000_000], &[1_000_000, 0, 7]] {
            assert_eq!(h(DType::F64, shape).len(), 128);
        }
    }

    #[test]
    fn decoded_arrays_are_exported() {
        let a = Array::from_vec(&[2, 3], vec![1u16, 2, 3, 4, 5, 6]).unwrap();
        let mut out = Vec::new();
        write_npy(&Decoded(vec![("b".into(), a.clone())]), "b", &mut out).unwrap();
        assert_eq!((out.len(), read_npy(&out).unwrap()), (128 + 12, a.clone()));
        let shape = a.shape();
        let mut again = Vec::new();
        let mut sink = create(DType::U16, shape, &mut again).unwrap();
        sink.write(&Region::new(&shape, &[0, 1], &[2, 2]).unwrap(), Slice::U16(&[2, 3, 5, 6])).unwrap();
        sink.write(&Region::new(&shape, &[0, 0], &[2, 1]).unwrap(), Slice::U16(&[1, 4])).unwrap();
        assert!(sink.write(&Region::new(&shape, &[0, 0], &[2, 1]).unwrap(), Slice::U8(&[1, 4])).is_err());
        assert_eq!(again, out);
        assert!(write_npy(&Decoded(vec![]), "b", &mut again).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let kind = |text: &str| read_npy(&file(1, text, &[0; 64])).unwrap_err().kind();
        for descr in
            ["'<f2'", "'<c8'", "'|O'", "'<U3'", "'|S1'", "'|V4'", "'=f4'", "'f4'", "''", "'<f16'", "[('a', '<f4')]"]
        {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,), }}");
            assert_eq!(kind(&text), ErrorKind::Unsupported, "{text}");
        }
        let nine = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }";
        assert_eq!(kind(nine), ErrorKind::Unsupported);
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 2), }",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
            "{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 'x'}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
        ] {
            assert_eq!(kind(text), ErrorKind::Corrupt, "{text}");
        }
        let text = "{\"shape\": (1L, 2L,) , 'fortran_order' : False,'descr':'<f4'}";
        assert_eq!(read_npy(&file(1, text, &[0; 8])).unwrap().shape().dims(), [1, 2]);
        let mut newer = file(1, text, &[0; 8]);
        newer[6] = 4;
        assert_eq!(read_npy(&newer).unwrap_err().kind(), ErrorKind::Unsupported);
        let huge = [MAGIC, &[2, 0, 255, 255, 255, 255]].concat();
        assert_eq!(read_npy(&huge).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let good = file(1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 2), }", &[7; 16]);
        for cut in 0..good.len() {
            assert_eq!(read_npy(&good[..cut]).unwrap_err().kind(), ErrorKind::Truncated, "{cut}");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = restored(&Npy, "x", &bad, &OpenOptions::default(), |_, a| a);
            }
        }
        // A template that places values on top of each other, or beyond the file.
        let d = Npy.open("x", Arc::new(good.clone()), &OpenOptions::default()).unwrap();
        let text = d.template.to_string();
        let arrays = Decoded(vec![("data".into(), read(&good))]);
        let left_out = (":144,", ":1000000143,\"derived\":[[144,999999999]],");
        for (from, to) in
            [left_out, ("[4,8]", "[0,0]"), ("[4,8]", "[4]"), (":144", ":143"), ("[2,2]", "[2,3]"), ("i32", "i64")]
        {
            let bad = text.replace(from, to);
            assert_ne!(bad, text);
            let bad = serde_json::from_str(&bad).unwrap();
            assert!(Npy.restore(&bad, &d.verbatim, &arrays, &mut Vec::new()).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn shared_fields_come_back_to_the_byte() {
        for name in [
            "e1_tas",
            "erai_u",
            "isabel_vel",
            "isabel_vel_f32",
            "post_q",
            "tos_fill",
            "vfing3d",
            "vlasiator_BE",
            "vort2d",
            "vort3d",
            "wmag91",
        ] {
            if let Some(bytes) = shared(&format!("fields/{name}.npy")) {
                same(&bytes);
                let a = read(&bytes);
                assert_eq!(bytes[..128], header(a.dtype(), &a.shape()), "{name}");
                let mut out = Vec::new();
                write_npy(&Decoded(vec![("data".into(), a)]), "data", &mut out).unwrap();
                assert!(out == bytes, "{name}");
            }
        }
    }
}
