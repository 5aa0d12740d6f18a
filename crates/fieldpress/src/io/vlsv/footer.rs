//! The header and the footer of a VLSV file: which arrays it holds, what they are and where they lie.
//!
//! # Format
//! As written by the VLSV library (<https://github.com/fmihpc/vlsv>).
//!
//! | bytes | what |
//! |---|---|
//! | 0 | byte order of everything but the footer: 0 little-endian, 1 big-endian |
//! | 1..8 | zeros; not looked at |
//! | 8..16 | `u64`, the offset F of the footer; 0 while the file is being written |
//! | 16..F | the values of the arrays, contiguous, at any offset, without padding |
//! | F.. | the footer: XML up to the end of the file or a zero byte |
//!
//! The footer is one element `VLSV`. Each of its children describes an array: the element's name says what kind
//! (`VARIABLE`, `MESH`, ...), its text is the offset of the first value as a decimal number, and these attributes give
//! the type: `datatype` (`float`, `int`, `uint`), `datasize` (bytes of a value), `arraysize` (number of vectors),
//! `vectorsize` (values of a vector, 1 when absent). Other attributes (`name`, `mesh`, `unit`, ...) are free. Files
//! older than version 3 hold parameters as elements `PARAMETERS` whose attribute `value` is the value in decimal.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::array::{DType, Endian, Placement, ReadAt, Shape};
use crate::error::{Error, Result};

/// Bytes before the first array.
pub(super) const HEADER: u64 = 16;
/// The longest footer that is read; one with a hundred arrays takes about 20 kB.
const MAX_FOOTER: u64 = 4 << 20;
/// The most elements a footer may have; real ones have a few hundred.
const MAX_TAGS: usize = 1 << 14;
/// The most attributes an element may have; real ones have about a dozen.
const MAX_ATTRIBUTES: usize = 64;
/// The longest offset, as text with white space around it.
const MAX_TEXT: usize = 256;

/// One element of the footer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The name of the element: `VARIABLE`, `PARAMETER`, `MESH_BBOX`, `BLOCKVARIABLE`, ...
    pub tag: String,
    /// Its attributes, in the order of the file.
    pub attributes: Vec<(String, String)>,
    /// Its array; `None` where the element describes none.
    pub stored: Option<Stored>,
}

/// Where the array of a [`Tag`] lies and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Byte offset of the first value.
    pub offset: u64,
    /// The number of vectors (`arraysize`).
    pub vectors: u64,
    /// Values of each vector (`vectorsize`).
    pub components: u64,
    /// Bytes of a value (`datasize`).
    pub size: u64,
    /// The element type; `None` where this library has no such type.
    pub dtype: Option<DType>,
}

impl Stored {
    /// Bytes of the whole array; `None` when beyond 2^64.
    pub fn bytes(&self) -> Option<u64> {
        self.vectors.checked_mul(self.components)?.checked_mul(self.size)
    }
}

impl Tag {
    /// The value of the attribute `key`.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
    /// The attribute `name`: of a variable, a parameter, a mesh, or the population of a distribution.
    pub fn name(&self) -> Option<&str> {
        self.attribute("name")
    }
    /// The attribute `mesh`: the mesh that the values live on, or belong to.
    pub fn mesh(&self) -> Option<&str> {
        self.attribute("mesh")
    }
    /// The element type of the array; `None` where there is no array, or its type is none of this library's.
    pub fn dtype(&self) -> Option<DType> {
        self.stored.and_then(|s| s.dtype)
    }
    /// The shape of the array: `[n]`, or `[n, components]` for vectors; `[n, w, w, w]` for velocity blocks of w^3
    /// cells, which lie with vx fastest, so that the axes are block, vz, vy, vx.
    /// Errors: `InvalidArgument` where there is no array; `Corrupt` for a shape that no file can hold.
    pub fn shape(&self) -> Result<Shape> {
        let s = self.stored.ok_or_else(|| Error::invalid(format!("expected an array in {self}, found none")))?;
        let bad = |_| Error::corrupt(format!("expected the shape of an array, found {s:?}")).at(self);
        let n = usize::try_from(s.vectors).unwrap_or(usize::MAX);
        let c = usize::try_from(s.components).unwrap_or(usize::MAX);
        match block_width(&self.tag, s.components) {
            Some(w) => Shape::new(&[n, w, w, w]),
            None if c == 1 => Shape::new(&[n]),
            None => Shape::new(&[n, c]),
        }
        .map_err(bad)
    }
    /// How the array lies in a file of this byte order whose values end at `end`.
    /// Errors: `Corrupt` when it does not lie between the header and `end`; else as [`Tag::shape`].
    pub(super) fn place(&self, dtype: DType, endian: Endian, end: u64) -> Result<(Shape, Placement)> {
        let shape = self.shape()?;
        let (offset, bytes) = match self.stored {
            // Arrays without values may say any offset.
            Some(s) if !shape.is_empty() => (s.offset, s.bytes()),
            _ => return Ok((shape, Placement::contiguous(0, &shape, dtype, endian))),
        };
        if offset < HEADER || bytes.and_then(|n| offset.checked_add(n)).is_none_or(|e| e > end) {
            return Err(Error::corrupt(format!(
                "expected {shape} values of type {dtype} between byte {HEADER} and the footer at {end}, found them at {offset}"
            ))
            .at(self));
        }
        Ok((shape, Placement::contiguous(offset, &shape, dtype, endian)))
    }
}

/// `VARIABLE name="vg_rho" mesh="SpatialGrid"`, for messages.
impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.tag)?;
        for key in ["name", "mesh"] {
            if let Some(v) = self.attribute(key) {
                write!(f, " {key}={v:?}")?;
            }
        }
        Ok(())
    }
}

/// The width in cells of the velocity blocks of an array, if it holds such blocks.
fn block_width(tag: &str, components: u64) -> Option<usize> {
    (tag == "BLOCKVARIABLE").then(|| (2..=64u64).find(|w| w * w * w == components))?.map(|w| w as usize)
}

/// What stands around the arrays of a file.
pub(super) struct Footer {
    /// The order of the bytes of the values.
    pub(super) endian: Endian,
    /// Where the footer begins, and so the values end.
    pub(super) offset: u64,
    /// Its elements.
    pub(super) tags: Vec<Tag>,
}

/// Reads header and footer.
/// Errors: `Truncated` for a file cut short or never closed; `LimitExceeded` for a footer larger than any real one;
/// `Corrupt`; `Io`.
pub(super) fn read(bytes: &dyn ReadAt) -> Result<Footer> {
    let size = bytes.size()?;
    let mut header = [0; HEADER as usize];
    bytes.read_at(0, &mut header).map_err(|e| e.at("header"))?;
    let [order, _, _, _, _, _, _, _, offset @ ..] = header;
    let (endian, offset) = match order {
        0 => (Endian::Little, u64::from_le_bytes(offset)),
        1 => (Endian::Big, u64::from_be_bytes(offset)),
        other => return Err(Error::corrupt(format!("expected byte order 0 or 1 in byte 0, found {other}"))),
    };
    if offset == 0 {
        return Err(Error::truncated("expected a closed file, found one whose footer was never written"));
    }
    if offset < HEADER {
        return Err(Error::corrupt(format!("expected the footer at byte {HEADER} or later, found it at {offset}")));
    }
    let length = size.checked_sub(offset).filter(|&n| n > 0).ok_or_else(|| {
        Error::truncated(format!("expected the footer at byte {offset}, found the end of the file at {size}"))
    })?;
    if length > MAX_FOOTER {
        return Err(Error::limit(format!("expected a footer of at most {MAX_FOOTER} bytes, found {length}")));
    }
    let mut xml = vec![0; length as usize];
    bytes.read_at(offset, &mut xml)?;
    Ok(Footer { endian, offset, tags: parse(&xml).map_err(|e| e.at("footer"))? })
}

/// The elements of a footer. Bytes that are not UTF-8 become U+FFFD: archives keep the footer itself verbatim.
fn parse(xml: &[u8]) -> Result<Vec<Tag>> {
    let text = String::from_utf8_lossy(xml.split(|&b| b == 0).next().unwrap_or_default());
    let mut reader = Reader::from_str(&text);
    let mut tags: Vec<Tag> = Vec::new();
    let mut root = Root::Expected;
    let mut open: Option<(Tag, String)> = None;
    loop {
        match reader.read_event().map_err(syntax)? {
            Event::Start(e) => match (root, &open) {
                (Root::Expected, _) => root = Root::new(&e, true)?,
                (Root::Open, None) => open = Some((element(&e)?, String::new())),
                _ => return Err(unexpected(&format!("element {}", e.name().into_inner()))),
            },
            Event::Empty(e) => match (root, &open) {
                (Root::Expected, _) => root = Root::new(&e, false)?,
                (Root::Open, None) => push(&mut tags, element(&e)?, "")?,
                _ => return Err(unexpected(&format!("element {}", e.name().into_inner()))),
            },
            Event::End(_) => match open.take() {
                Some((tag, text)) => push(&mut tags, tag, &text)?,
                None => root = Root::Closed,
            },
            Event::Text(t) => match &mut open {
                Some((_, text)) if text.len() + t.len() <= MAX_TEXT => text.push_str(&t),
                None if t.trim().is_empty() => {}
                _ => return Err(unexpected("text")),
            },
            // Definitions of entities, which could grow without bound, are never read.
            Event::DocType(_) => return Err(unexpected("document type")),
            Event::CData(_) | Event::GeneralRef(_) => return Err(unexpected("text")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if root == Root::Closed => return Ok(tags),
            Event::Eof => return Err(Error::truncated("expected </VLSV>, found the end")),
        }
    }
}

/// How far the outermost element has been read.
#[derive(Clone, Copy, PartialEq)]
enum Root {
    Expected,
    Open,
    Closed,
}

impl Root {
    fn new(e: &BytesStart<'_>, open: bool) -> Result<Root> {
        match e.name().into_inner() {
            "VLSV" if open => Ok(Root::Open),
            "VLSV" => Ok(Root::Closed),
            other => Err(Error::corrupt(format!("expected the element VLSV, found {other:?}"))),
        }
    }
}

fn unexpected(what: &str) -> Error {
    Error::corrupt(format!("expected elements with offsets inside VLSV, found {what}"))
}

fn syntax(e: quick_xml::Error) -> Error {
    let message = format!("expected well-formed XML, found: {e}");
    match e {
        quick_xml::Error::Syntax(_) => Error::truncated(message),
        _ => Error::corrupt(message),
    }
}

/// The name and attributes of an element.
fn element(e: &BytesStart<'_>) -> Result<Tag> {
    let mut tag = Tag { tag: e.name().into_inner().to_owned(), ..Tag::default() };
    // The parser's own search for duplicates is quadratic in a number that the file chooses.
    for a in e.attributes().with_checks(false) {
        let a = a.map_err(|e| Error::corrupt(format!("expected attributes: {e}")).at(&tag.tag))?;
        let key = a.key.into_inner();
        if tag.attributes.len() == MAX_ATTRIBUTES || tag.attribute(key).is_some() {
            return Err(Error::corrupt(format!(
                "expected at most {MAX_ATTRIBUTES} different attributes, found {key:?} after {}",
                tag.attributes.len()
            ))
            .at(&tag));
        }
        // Writers do not escape: where that leaves something that is no reference, it stands for itself.
        let value = a.normalized_value(XmlVersion::Implicit1_0).map_or_else(|_| a.value.to_string(), String::from);
        tag.attributes.push((key.to_owned(), value));
    }
    Ok(tag)
}

/// Completes an element with its text, and appends it.
fn push(tags: &mut Vec<Tag>, mut tag: Tag, text: &str) -> Result<()> {
    if tags.len() == MAX_TAGS {
        return Err(Error::limit(format!("expected at most {MAX_TAGS} elements, found more")));
    }
    tag.stored = stored(&tag, text.trim()).map_err(|e| e.at(&tag))?;
    tags.push(tag);
    Ok(())
}

/// The array that an element with this text describes, if any. Errors: `Corrupt` for numbers that are none.
fn stored(tag: &Tag, text: &str) -> Result<Option<Stored>> {
    let number = |what: &str, v: &str| {
        v.trim().parse::<u64>().map_err(|_| Error::corrupt(format!("expected a number as {what}, found {v:?}")))
    };
    let (Some(datatype), Some(size), Some(vectors), false) =
        (tag.attribute("datatype"), tag.attribute("datasize"), tag.attribute("arraysize"), text.is_empty())
    else {
        return Ok(None);
    };
    let size = number("datasize", size)?;
    let dtype = match (datatype, size) {
        ("float", 4) => Some(DType::F32),
        ("float", 8) => Some(DType::F64),
        ("int", 1) => Some(DType::I8),
        ("int", 2) => Some(DType::I16),
        ("int", 4) => Some(DType::I32),
        ("int", 8) => Some(DType::I64),
        ("uint", 1) => Some(DType::U8),
        ("uint", 2) => Some(DType::U16),
        ("uint", 4) => Some(DType::U32),
        ("uint", 8) => Some(DType::U64),
        _ => None,
    };
    Ok(Some(Stored {
        offset: number("offset", text)?,
        vectors: number("arraysize", vectors)?,
        components: number("vectorsize", tag.attribute("vectorsize").unwrap_or("1"))?,
        size,
        dtype,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn kind(xml: &str) -> ErrorKind {
        parse(xml.as_bytes()).unwrap_err().kind()
    }

    #[test]
    fn elements_become_tags() {
        let xml = "<?xml version=\"1.0\"?>\n<VLSV>\n<!-- c -->\
            <V arraysize=\"3\" datasize=\"8\" datatype=\"float\" name=\"a &lt; b\" unit='$\\mathrm{m}$'> 16 </V>\n\
            <BLOCKVARIABLE arraysize=\"5\" datasize=\"4\" datatype=\"float\" vectorsize=\"64\">40</BLOCKVARIABLE>\
            <PARAMETERS name=\"t\" value=\"1.5\"/><X datatype=\"string\" datasize=\"9\" arraysize=\"1\">7</X></VLSV>\n\0\0";
        let tags = parse(xml.as_bytes()).unwrap();
        assert_eq!(tags.len(), 4);
        assert_eq!((tags[0].name(), tags[0].attribute("unit")), (Some("a < b"), Some("$\\mathrm{m}$")));
        assert_eq!(tags[0].stored.unwrap().offset, 16);
        assert_eq!((tags[0].shape().unwrap().dims(), tags[0].dtype()), (&[3][..], Some(DType::F64)));
        assert_eq!(tags[1].shape().unwrap().dims(), [5, 4, 4, 4]);
        assert_eq!((tags[2].attribute("value"), tags[2].stored), (Some("1.5"), None));
        assert_eq!((tags[3].stored.unwrap().size, tags[3].dtype()), (9, None));
        assert_eq!(parse(b"<VLSV/>").unwrap(), []);
    }

    #[test]
    fn writers_that_do_not_escape_are_read() {
        let tags = parse(b"<VLSV><V name=\"n & m\" unit=\"\xb5T\"></V></VLSV>").unwrap();
        assert_eq!((tags[0].name(), tags[0].attribute("unit")), (Some("n & m"), Some("\u{fffd}T")));
    }

    #[test]
    fn other_xml_is_refused() {
        let bomb = "<!DOCTYPE VLSV [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><VLSV>&b;</VLSV>";
        let deep = "<VLSV>".repeat(100_000);
        let wide = format!("<VLSV>{}</VLSV>", "<A/>".repeat(MAX_TAGS + 1));
        let many: String = (0..=MAX_ATTRIBUTES).map(|i| format!(" a{i}=\"\"")).collect();
        let text = format!("<VLSV><A>{}</A></VLSV>", "1".repeat(MAX_TEXT + 1));
        for (xml, want) in [
            (bomb, ErrorKind::Corrupt),
            (deep.as_str(), ErrorKind::Corrupt),
            (wide.as_str(), ErrorKind::LimitExceeded),
            (&format!("<VLSV><A{many}/></VLSV>"), ErrorKind::Corrupt),
            (text.as_str(), ErrorKind::Corrupt),
            ("<VLSV><A>&#49;</A></VLSV>", ErrorKind::Corrupt),
            ("<VLSV><A><B/></A></VLSV>", ErrorKind::Corrupt),
            ("<VLSV><A x=\"1\" x=\"2\"/></VLSV>", ErrorKind::Corrupt),
            ("<VLSV><A></B></VLSV>", ErrorKind::Corrupt),
            ("<VLSV></VLSV><VLSV></VLSV>", ErrorKind::Corrupt),
            ("<vtk></vtk>", ErrorKind::Corrupt),
            ("<VLSV>1</VLSV>", ErrorKind::Corrupt),
            ("<VLSV><A", ErrorKind::Truncated),
            ("<VLSV><A>1", ErrorKind::Truncated),
            ("", ErrorKind::Truncated),
            ("<VLSV><V arraysize=\"-3\" datasize=\"8\" datatype=\"float\">16</V></VLSV>", ErrorKind::Corrupt),
            ("<VLSV><V arraysize=\"3\" datasize=\"8\" datatype=\"float\">x</V></VLSV>", ErrorKind::Corrupt),
        ] {
            assert_eq!(kind(xml), want, "{}", &xml[..xml.len().min(80)]);
        }
    }

    #[test]
    fn arrays_must_lie_between_header_and_footer() {
        let tag = |offset, vectors, components| Tag {
            tag: "VARIABLE".into(),
            stored: Some(Stored { offset, vectors, components, size: 8, dtype: Some(DType::F64) }),
            ..Tag::default()
        };
        let place = |t: &Tag| t.place(DType::F64, Endian::Little, 100);
        assert_eq!(place(&tag(16, 5, 2)).unwrap().1.strides, [16, 8]);
        assert!(place(&tag(10, 5, 2)).is_err() && place(&tag(21, 5, 2)).is_err());
        assert!(place(&tag(16, u64::MAX, 1)).is_err() && place(&tag(16, 1 << 40, 1 << 40)).is_err());
        assert!(place(&tag(u64::MAX - 8, 2, 1)).is_err());
        assert_eq!(place(&tag(u64::MAX, 0, 64)).unwrap().0.dims(), [0, 64]);
    }

    #[test]
    fn files_that_were_never_closed_say_so() {
        let mut file = vec![0u8; 40];
        let e = read(&file).err().unwrap();
        assert!(e.kind() == ErrorKind::Truncated && e.message().contains("never written"));
        file[8] = 100;
        assert_eq!(read(&file).err().unwrap().kind(), ErrorKind::Truncated);
        file[8] = 5;
        assert_eq!(read(&file).err().unwrap().kind(), ErrorKind::Corrupt);
        file[8] = 16;
        file.resize(17 + MAX_FOOTER as usize, b' ');
        assert_eq!(read(&file).err().unwrap().kind(), ErrorKind::LimitExceeded);
        file[0] = 2;
        assert_eq!(read(&file).err().unwrap().kind(), ErrorKind::Corrupt);
        assert_eq!(read(&file[..9].to_vec()).err().unwrap().kind(), ErrorKind::Truncated);
    }
}
