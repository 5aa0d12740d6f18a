//! Finds the data arrays in the XML of a VTK file: what they are, and at which bytes their payloads and offsets lie.

use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use super::encoding::Compressor;
use crate::array::{DType, Endian, ReadAt};
use crate::error::{Error, ErrorKind, Result};
use crate::io::bytes::Reader;

/// The deepest nesting of elements accepted.
const MAX_DEPTH: usize = 32;
/// The longest tag or piece of text (other than a payload) accepted, in bytes.
const MAX_EVENT: u64 = 1 << 20;
/// The most arrays accepted in a file.
const MAX_ARRAYS: usize = 1 << 16;

/// What the XML of a file says.
pub(super) struct Document {
    pub(super) endian: Endian,
    /// Bytes per word of a payload's header: 4 or 8.
    pub(super) word: usize,
    pub(super) compressor: Option<Compressor>,
    /// Values between the first and last point along x, y, z, plus one.
    pub(super) points: [usize; 3],
    /// Origin, spacing and direction, as the file writes them.
    pub(super) attributes: Map<String, Value>,
    pub(super) elements: Vec<Element>,
    pub(super) appended: Option<Appended>,
}

/// The appended part.
#[derive(Clone, Copy)]
pub(super) struct Appended {
    /// The position after the underscore.
    pub(super) start: u64,
    pub(super) base64: bool,
}

/// Where an array belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Point,
    Cell,
    /// Field data, and whatever else; kept as it is.
    Other,
}

/// A stretch of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Where the payload of an array lies.
pub(super) enum Payload {
    /// Text between the tags, without the space around it.
    Inline { span: Span, ascii: bool },
    /// `offset` bytes into the appended part; `digits` is where the file says so.
    Appended { offset: u64, digits: Span },
}

/// A `DataArray` or `Array`.
pub(super) struct Element {
    pub(super) section: Section,
    /// `None` for strings and other types that are kept as they are.
    pub(super) dtype: Option<DType>,
    pub(super) name: String,
    pub(super) components: usize,
    /// Whether the values are marked as ids.
    pub(super) id: bool,
    pub(super) payload: Payload,
}

/// A buffered reader that gives out at most `left` bytes.
struct Metered {
    inner: BufReader<Reader>,
    left: u64,
}

impl io::Read for Metered {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let part = self.fill_buf()?;
        let n = part.len().min(out.len());
        out[..n].copy_from_slice(&part[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Metered {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let part = self.inner.fill_buf()?;
        if self.left == 0 && !part.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "expected a shorter tag or text"));
        }
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(part.len());
        Ok(&part[..n])
    }
    fn consume(&mut self, n: usize) {
        self.left -= (n as u64).min(self.left);
        self.inner.consume(n);
    }
}

/// One attribute: its value, unescaped, and where the raw value lies in the tag.
struct Attribute {
    key: String,
    value: String,
    at: usize,
    raw: usize,
}

/// The attributes of a tag.
struct Tag {
    attributes: Vec<Attribute>,
}

impl Tag {
    fn new(tag: &BytesStart<'_>) -> Result<Tag> {
        let text: &str = tag;
        let mut attributes = Vec::new();
        for a in tag.attributes() {
            let a = a.map_err(|e| Error::corrupt(format!("expected attributes of an XML element: {e}")))?;
            let value = quick_xml::escape::unescape(&a.value)
                .map_err(|e| Error::corrupt(format!("expected the value of an XML attribute: {e}")))?;
            // The value is borrowed from the tag, so that its place there is the difference of the addresses.
            let at = (a.value.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
            attributes.push(Attribute {
                key: a.key.into_inner().to_string(),
                value: value.into_owned(),
                at,
                raw: a.value.len(),
            });
        }
        Ok(Tag { attributes })
    }
    fn find(&self, key: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.key == key)
    }
    fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|a| a.value.as_str())
    }
    fn need(&self, element: &str, key: &str) -> Result<&str> {
        self.get(key).ok_or_else(|| Error::corrupt(format!("expected the attribute {key} of {element}")))
    }
}

/// The document being read, and the marks that may yet apply to its arrays.
#[derive(Default)]
struct Scan {
    file: Option<(Endian, usize, Option<Compressor>)>,
    attributes: Map<String, Value>,
    points: Option<[usize; 3]>,
    whole: Option<[usize; 3]>,
    ids: Vec<String>,
    elements: Vec<Element>,
    appended: Option<Appended>,
}

impl Document {
    /// Reads the XML up to the appended data. Errors: `Corrupt`, `Truncated`; `Unsupported` for other VTK data sets,
    /// versions, compressors and several pieces; `LimitExceeded`.
    pub(super) fn read(bytes: &Arc<dyn ReadAt>) -> Result<Document> {
        let inner = BufReader::with_capacity(1 << 16, Reader { bytes: bytes.clone(), at: 0 });
        let mut xml = quick_xml::Reader::from_reader(Metered { inner, left: MAX_EVENT });
        let (mut scan, mut path, mut buffer) = (Scan::default(), Vec::<String>::new(), Vec::new());
        loop {
            buffer.clear();
            xml.get_mut().left = MAX_EVENT;
            let event = xml.read_event_into(&mut buffer).map_err(failed)?;
            let end = xml.buffer_position();
            let (tag, closed) = match &event {
                Event::Eof if path.is_empty() => break,
                Event::Eof => {
                    return Err(Error::truncated("expected the end of the XML elements, found that of the file"))
                }
                Event::End(_) => {
                    path.pop();
                    continue;
                }
                Event::Start(t) => (t, 1),
                Event::Empty(t) => (t, 2),
                _ => continue,
            };
            let start = end.saturating_sub(closed + tag.len() as u64);
            let name = tag.name().into_inner().to_string();
            let tag = Tag::new(tag)?;
            if path.len() >= MAX_DEPTH {
                return Err(Error::limit(format!("expected XML elements at most {MAX_DEPTH} deep, found deeper ones")));
            }
            match name.as_str() {
                "DataArray" | "Array" => {
                    let mut element = scan.element(&path, &tag, start, bytes)?;
                    if let (Payload::Inline { span, .. }, 1) = (&mut element.payload, closed) {
                        xml.get_mut().left = u64::MAX;
                        *span = payload(&mut xml.stream())?;
                    }
                    scan.elements.push(element);
                }
                "AppendedData" => {
                    scan.appended = Some(appended(&tag, end, bytes)?);
                    break;
                }
                _ => scan.open(&path, &name, &tag)?,
            }
            if closed == 1 {
                path.push(name);
            }
        }
        scan.finish()
    }
}

impl Scan {
    /// Takes note of an element that is no array.
    fn open(&mut self, path: &[String], name: &str, tag: &Tag) -> Result<()> {
        if path.is_empty() && name != "VTKFile" {
            return Err(Error::corrupt(format!("expected the element VTKFile, found {name}")));
        }
        match name {
            "VTKFile" => self.file = Some(file(tag)?),
            "ImageData" => {
                for key in ["Origin", "Spacing", "Direction"] {
                    if let Some(v) = tag.get(key) {
                        self.attributes.insert(key.to_lowercase(), Value::from(v));
                    }
                }
                self.whole = tag.get("WholeExtent").map(extent).transpose()?;
            }
            "Piece" if self.points.is_some() => {
                return Err(Error::unsupported("expected image data in one piece, found several"));
            }
            "Piece" => {
                let given = tag.get("Extent").map(extent).transpose()?;
                self.points = given.or(self.whole);
                if self.points.is_none() {
                    return Err(Error::corrupt("expected the attribute Extent of Piece"));
                }
            }
            "PointData" | "CellData" => {
                let ids = ["GlobalIds", "PedigreeIds"].into_iter().filter_map(|k| tag.get(k));
                self.ids = ids.map(str::to_string).collect();
            }
            _ => {}
        }
        Ok(())
    }
    /// The array of a tag that begins at byte `start`.
    fn element(&self, path: &[String], tag: &Tag, start: u64, bytes: &Arc<dyn ReadAt>) -> Result<Element> {
        if self.elements.len() >= MAX_ARRAYS {
            return Err(Error::limit(format!("expected at most {MAX_ARRAYS} arrays, found more")));
        }
        let section = match path.last().map(String::as_str) {
            Some("PointData") if self.points.is_some() => Section::Point,
            Some("CellData") if self.points.is_some() => Section::Cell,
            _ => Section::Other,
        };
        let name = tag.get("Name").unwrap_or("unnamed").to_string();
        let corrupt = |key: &str, v: &str| Error::corrupt(format!("array {name:?}: expected {key}, found {v:?}"));
        let components = match tag.get("NumberOfComponents").map(str::trim) {
            None => 1,
            Some(v) => v.parse().ok().filter(|&n| n > 0).ok_or_else(|| corrupt("NumberOfComponents above 0", v))?,
        };
        // As VTK decides: an offset means appended data, and text is the default.
        let payload = match tag.find("offset") {
            Some(a) => {
                let offset = a.value.trim().parse().map_err(|_| corrupt("an offset", &a.value))?;
                Payload::Appended { offset, digits: digits(a, start, bytes)? }
            }
            None => match tag.get("format") {
                Some(f) if f.eq_ignore_ascii_case("appended") => return Err(corrupt("the attribute offset", "none")),
                f => {
                    let ascii = !f.is_some_and(|f| f.eq_ignore_ascii_case("binary"));
                    Payload::Inline { span: Span { start: 0, end: 0 }, ascii }
                }
            },
        };
        let dtype = match tag.get("type").unwrap_or_default() {
            "Float32" => Some(DType::F32),
            "Float64" => Some(DType::F64),
            "Int8" => Some(DType::I8),
            "Int16" => Some(DType::I16),
            "Int32" => Some(DType::I32),
            "Int64" => Some(DType::I64),
            "UInt8" => Some(DType::U8),
            "UInt16" => Some(DType::U16),
            "UInt32" => Some(DType::U32),
            "UInt64" => Some(DType::U64),
            _ => None,
        };
        let id = self.ids.contains(&name) || name == "vtkGhostType";
        Ok(Element { section, dtype, name, components, id, payload })
    }
    fn finish(self) -> Result<Document> {
        let (endian, word, compressor) = self.file.ok_or_else(|| Error::corrupt("expected the element VTKFile"))?;
        let needed = self.elements.iter().any(|e| matches!(e.payload, Payload::Appended { .. }));
        if needed && self.appended.is_none() {
            return Err(Error::corrupt("expected the element AppendedData, which arrays refer to"));
        }
        let (attributes, elements, appended) = (self.attributes, self.elements, self.appended);
        let points = self.points.unwrap_or_default();
        Ok(Document { endian, word, compressor, points, attributes, elements, appended })
    }
}

/// What `VTKFile` says.
fn file(tag: &Tag) -> Result<(Endian, usize, Option<Compressor>)> {
    let other = |what: &str, found: &str| Err(Error::unsupported(format!("expected VTK {what}, found {found:?}")));
    match tag.need("VTKFile", "type")? {
        "ImageData" => {}
        t => return other("data of type ImageData", t),
    }
    let version = tag.get("version").unwrap_or("0.1");
    if !matches!(version.split('.').next(), Some("0" | "1" | "2")) {
        return other("file version 0.1, 1.0 or 2.x", version);
    }
    let endian = match tag.get("byte_order") {
        Some("LittleEndian") | None => Endian::Little,
        Some("BigEndian") => Endian::Big,
        Some(o) => return Err(Error::corrupt(format!("expected byte_order LittleEndian or BigEndian, found {o:?}"))),
    };
    let word = match tag.get("header_type") {
        Some("UInt32") | None => 4,
        Some("UInt64") => 8,
        Some(t) => return other("header_type UInt32 or UInt64", t),
    };
    let compressor = match tag.get("compressor") {
        None | Some("") => None,
        Some("vtkZLibDataCompressor") => Some(Compressor::Zlib),
        Some("vtkLZ4DataCompressor") => Some(Compressor::Lz4),
        Some(c) => return other("compressor vtkZLibDataCompressor or vtkLZ4DataCompressor", c),
    };
    Ok((endian, word, compressor))
}

/// Points along x, y and z of an extent `x0 x1 y0 y1 z0 z1`.
fn extent(text: &str) -> Result<[usize; 3]> {
    let bad = || Error::corrupt(format!("expected an extent of six integers that do not decrease, found {text:?}"));
    let mut numbers = text.split_ascii_whitespace().map(|n| n.parse::<i64>().map_err(|_| bad()));
    let mut points = [0; 3];
    for p in &mut points {
        let (lo, hi) = (numbers.next().ok_or_else(bad)??, numbers.next().ok_or_else(bad)??);
        let n = hi.checked_sub(lo).and_then(|n| n.checked_add(1)).ok_or_else(bad)?;
        *p = usize::try_from(n).map_err(|_| bad())?;
    }
    if numbers.next().is_some() {
        return Err(bad());
    }
    Ok(points)
}

/// The bytes of an offset from its first digit to the closing quote and the spaces after it, which VTK leaves to fill
/// in the number later.
fn digits(a: &Attribute, tag: u64, bytes: &Arc<dyn ReadAt>) -> Result<Span> {
    let start = tag.checked_add(a.at as u64).ok_or_else(|| Error::corrupt("expected an offset inside the file"))?;
    let size = bytes.size()?;
    let mut text = vec![0; size.saturating_sub(start).min(a.raw as u64 + 64) as usize];
    bytes.read_at(start, &mut text)?;
    let (value, rest) = text.split_at_checked(a.raw).unwrap_or_default();
    // The place was computed, so it is looked at before anything is built on it.
    let quoted = matches!(rest.first(), Some(b'"' | b'\'')) && value.iter().all(|b| b.is_ascii_digit() || *b == b' ');
    if !quoted {
        return Err(Error::corrupt("expected an offset in plain digits"));
    }
    let spaces = rest.iter().skip(1).take_while(|&&b| b == b' ').count();
    Ok(Span { start, end: start + (a.raw + 1 + spaces) as u64 })
}

/// Passes over text up to the next tag; where it lies without the space around it.
fn payload<R: BufRead>(text: &mut quick_xml::reader::BinaryStream<'_, R>) -> Result<Span> {
    let (mut start, mut end) = (None, text.offset());
    loop {
        let at = text.offset();
        let part = text.fill_buf()?;
        let stop = memchr(part);
        for (i, b) in part[..stop].iter().enumerate() {
            if !b.is_ascii_whitespace() {
                start.get_or_insert(at + i as u64);
                end = at + i as u64 + 1;
            }
        }
        let done = stop < part.len() || part.is_empty();
        text.consume(stop);
        if done {
            return Ok(Span { start: start.unwrap_or(end), end });
        }
    }
}

fn memchr(part: &[u8]) -> usize {
    part.iter().position(|&b| b == b'<').unwrap_or(part.len())
}

/// Finds the underscore after the tag that ends at byte `end`.
fn appended(tag: &Tag, end: u64, bytes: &Arc<dyn ReadAt>) -> Result<Appended> {
    let base64 = match tag.get("encoding") {
        Some("raw") => false,
        Some("base64") | None => true,
        Some(e) => return Err(Error::unsupported(format!("expected appended data in raw or base64, found {e:?}"))),
    };
    let mut text = vec![0; bytes.size()?.saturating_sub(end).min(4096) as usize];
    bytes.read_at(end, &mut text)?;
    let spaces = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
    match text.get(spaces) {
        Some(b'_') => Ok(Appended { start: end + spaces as u64 + 1, base64 }),
        Some(_) => Err(Error::corrupt("expected an underscore before the appended data")),
        None => Err(Error::truncated("expected an underscore before the appended data")),
    }
}

fn failed(e: quick_xml::Error) -> Error {
    match e {
        quick_xml::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
            Error::new(ErrorKind::LimitExceeded, e.to_string())
        }
        quick_xml::Error::Io(e) => Error::new(Error::from(io::Error::from(e.kind())).kind(), e.to_string()),
        e => Error::corrupt(format!("expected XML: {e}")),
    }
}
