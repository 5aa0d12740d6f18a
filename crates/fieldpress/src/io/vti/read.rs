//! Opens a VTK file: its arrays, and the template and verbatim bytes around them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::ascii::{self, Lines};
use super::encoding::{Encoding, Style};
use super::template::{Piece, Template};
use super::xml::{Document, Element, Payload, Section, Span};
use crate::array::{DType, Endian, Placement, ReadAt, Shape, StridedSource};
use crate::container::Role;
use crate::error::{Error, Result};
use crate::io::bytes::{Lazy, Slot, Window};
use crate::io::format::{Arrays, Dataset, FileArray, Format, OpenOptions};
use crate::io::output::Output;

/// The format `vti`.
pub(in crate::io) struct Vti;

impl Format for Vti {
    fn id(&self) -> &'static str {
        "vti"
    }
    fn doc(&self) -> &'static str {
        "VTK XML ImageData: point and cell arrays on a uniform grid; ascii, base64 or appended, zlib or LZ4"
    }
    fn matches(&self, _name: &str, head: &[u8]) -> bool {
        // Other VTK data sets too: they get an error that says what is missing.
        head.windows(8).any(|w| w == b"<VTKFile")
    }
    fn open(&self, _name: &str, bytes: Arc<dyn ReadAt>, _options: &OpenOptions) -> Result<Dataset> {
        let document = Document::read(&bytes)?;
        let mut parts = Parts::new(&document, &bytes)?;
        let mut arrays = Vec::new();
        for e in &document.elements {
            if let Some(a) = parts.add(e).map_err(|err| err.at(format!("array {:?}", e.name)))? {
                arrays.push(a);
            }
        }
        let (pieces, verbatim) = parts.finish()?;
        let template = Template { style: parts.style, pieces }.to_value()?;
        Ok(Dataset { format: self.id(), template, verbatim, arrays })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        super::write::restore(&Template::from_value(template)?, verbatim, arrays, out)
    }
}

/// The parts of a file while they are found.
struct Parts<'a> {
    document: &'a Document,
    bytes: &'a Arc<dyn ReadAt>,
    style: Style,
    size: u64,
    /// Whether offsets have to be computed again: some appended array is compressed.
    moves: bool,
    names: BTreeSet<String>,
    /// Offsets of the appended part that arrays refer to: their marks, and the arrays there.
    blocks: BTreeMap<u64, (usize, Option<(DType, Shape)>)>,
    found: Vec<(Span, Piece)>,
    slot: Slot,
}

impl<'a> Parts<'a> {
    fn new(document: &'a Document, bytes: &'a Arc<dyn ReadAt>) -> Result<Self> {
        let style = Style { endian: document.endian, word: document.word, compressor: document.compressor };
        let appended = |e: &Element| {
            matches!(e.payload, Payload::Appended { .. }) && e.dtype.is_some() && e.section != Section::Other
        };
        Ok(Parts {
            document,
            bytes,
            style,
            size: bytes.size()?,
            moves: style.compressor.is_some() && document.elements.iter().any(appended),
            names: BTreeSet::new(),
            blocks: BTreeMap::new(),
            found: Vec::new(),
            slot: Slot::default(),
        })
    }
    /// Notes where the parts of an element lie, and makes its array, if it is one of ours.
    fn add(&mut self, e: &Element) -> Result<Option<FileArray>> {
        let place = match &e.payload {
            Payload::Appended { offset, digits } => {
                let base = self.document.appended.map(|a| a.start);
                let start = base.and_then(|b| b.checked_add(*offset)).filter(|&s| s <= self.size);
                let start =
                    start.ok_or_else(|| Error::truncated(format!("expected the file to reach offset {offset}")))?;
                let next = self.blocks.len();
                let mark = self.blocks.entry(*offset).or_insert((next, None)).0;
                if self.moves {
                    if mark == next {
                        self.found.push((Span { start, end: start }, Piece::Mark(mark)));
                    }
                    let width = digits.end - digits.start;
                    self.found.push((*digits, Piece::Offset { mark, width }));
                }
                Span { start, end: self.size }
            }
            Payload::Inline { span, .. } => *span,
        };
        let Some(dtype) = e.dtype.filter(|_| e.section != Section::Other) else { return Ok(None) };
        let shape = self.shape(e)?;
        if let Payload::Appended { offset, .. } = &e.payload {
            // VTK writes an array that several names share once.
            let here = self.blocks.get_mut(offset).map(|b| &mut b.1);
            match here {
                Some(Some(there)) if *there == (dtype, shape) => return Ok(None),
                Some(Some(_)) => return Err(Error::corrupt("expected different arrays at different offsets")),
                Some(none) => *none = Some((dtype, shape)),
                None => {}
            }
        }
        let name = self.name(e);
        let source = self.source(e, place, dtype, shape, &name)?;
        let mut attributes = self.document.attributes.clone();
        let centering = if e.section == Section::Point { "point" } else { "cell" };
        attributes.insert("centering".into(), Value::from(centering));
        attributes.insert("components".into(), Value::from(e.components));
        let role = if e.id { Role::Id } else { Role::Field };
        Ok(Some(FileArray {
            name,
            role,
            attributes,
            suits: None,
            velocities: None,
            elements: None,
            source: Box::new(source),
        }))
    }
    /// `[nz, ny, nx]`, with more than one component `[nz, ny, nx, components]`.
    fn shape(&self, e: &Element) -> Result<Shape> {
        let [x, y, z] = match e.section {
            Section::Cell if self.document.points.contains(&0) => [0; 3],
            Section::Cell => self.document.points.map(|n| (n - 1).max(1)),
            _ => self.document.points,
        };
        let dims = [z, y, x, e.components];
        let shape = Shape::new(if e.components > 1 { &dims } else { &dims[..3] });
        shape.map_err(|e| Error::corrupt(e.message()))
    }
    fn name(&mut self, e: &Element) -> String {
        let section = if e.section == Section::Point { "PointData" } else { "CellData" };
        let plain = format!("{section}/{}", e.name);
        let mut name = plain.clone();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{plain}#{count}");
        }
        name
    }
    /// The values of an array whose payload begins at, and lies within, `place`.
    fn source(
        &mut self,
        e: &Element,
        place: Span,
        dtype: DType,
        shape: Shape,
        name: &str,
    ) -> Result<StridedSource<Arc<dyn ReadAt>>> {
        let size = (shape.len() * dtype.size()) as u64;
        if size == 0 {
            let at = Placement::contiguous(0, &shape, dtype, Endian::Little);
            return StridedSource::new(self.bytes.clone(), dtype, shape, at);
        }
        let inline = matches!(e.payload, Payload::Inline { .. });
        let (encoding, length) = if let Payload::Inline { ascii: true, .. } = e.payload {
            let room = place.end.saturating_sub(place.start);
            if shape.len() as u64 > room.div_ceil(2) {
                return Err(Error::corrupt(format!("expected {} numbers, found {room} bytes", shape.len())));
            }
            let mut text = vec![0; room.min(1 << 12) as usize];
            self.bytes.read_at(place.start, &mut text)?;
            (Encoding::Ascii(Lines::found(&text)), room)
        } else {
            let base64 = inline || self.document.appended.is_some_and(|a| a.base64);
            self.style.probe(self.bytes, place, inline, base64, size)?
        };
        let span = Span { start: place.start, end: place.start + length };
        let piece = Piece::Array { name: name.into(), dtype, shape: shape.to_vec(), encoding: encoding.clone() };
        let (bytes, offset, endian): (Arc<dyn ReadAt>, _, _) = match &encoding {
            Encoding::Raw => {
                let values = Span { start: span.start + self.style.word as u64, end: span.end };
                self.found.push((values, piece));
                (self.bytes.clone(), values.start, self.style.endian)
            }
            _ => {
                self.found.push((span, piece));
                let payload = Window { bytes: self.bytes.clone(), start: span.start, length };
                let endian = if matches!(encoding, Encoding::Ascii(_)) { Endian::Little } else { self.style.endian };
                (Arc::new(self.lazy(payload, encoding, dtype, shape)), 0, endian)
            }
        };
        StridedSource::new(bytes, dtype, shape, Placement::contiguous(offset, &shape, dtype, endian))
    }
    /// The values of a payload that has to be decoded.
    fn lazy(&self, payload: Window, encoding: Encoding, dtype: DType, shape: Shape) -> Lazy {
        let (style, count) = (self.style, shape.len());
        let size = count * dtype.size();
        let load = Box::new(move || {
            let length = usize::try_from(payload.length).unwrap_or(usize::MAX);
            let mut text = Vec::new();
            text.try_reserve_exact(length)
                .map_err(|_| Error::limit(format!("expected memory for {length} bytes, found too little")))?;
            text.resize(length, 0);
            payload.read_at(0, &mut text)?;
            match &encoding {
                Encoding::Ascii(_) => ascii::parse(&text, dtype, count),
                other => style.decode(text, other, size),
            }
        });
        Lazy { key: self.found.len(), slot: self.slot.clone(), size: size as u64, prefix: Vec::new(), load }
    }
    /// All parts in the order of the file, with the bytes between them. Errors: `Corrupt` when some overlap.
    fn finish(&mut self) -> Result<(Vec<Piece>, Vec<u8>)> {
        let mut found = std::mem::take(&mut self.found);
        if let Some(a) = self.document.appended.filter(|_| self.moves) {
            found.push((Span { start: a.start, end: a.start }, Piece::Base));
        }
        found.push((Span { start: self.size, end: self.size }, Piece::Text(0)));
        found.sort_by_key(|(span, _)| (span.start, span.end));
        let (mut pieces, mut verbatim, mut at) = (Vec::new(), Vec::new(), 0);
        for (span, piece) in found {
            let gap = span.start.checked_sub(at).ok_or_else(|| {
                Error::corrupt(format!("expected payloads that do not overlap, found two at byte {}", span.start))
            })?;
            if gap > 0 {
                let from = verbatim.len();
                let n = usize::try_from(gap).unwrap_or(usize::MAX);
                verbatim
                    .try_reserve(n)
                    .map_err(|_| Error::limit(format!("expected memory for {n} verbatim bytes, found too little")))?;
                verbatim.resize(from + n, 0);
                self.bytes.read_at(at, verbatim.get_mut(from..).unwrap_or_default())?;
                pieces.push(Piece::Text(gap));
            }
            at = span.end;
            if !matches!(piece, Piece::Text(_)) {
                pieces.push(piece);
            }
        }
        Ok((pieces, verbatim))
    }
}
