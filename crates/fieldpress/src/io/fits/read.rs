//! Opens a FITS file: its arrays, and the template and verbatim bytes around them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::hdu::{Content, Hdu};
use super::header::Header;
use super::strip::Packed;
use super::template::{Column, Part, Template};
use crate::array::{Endian, Placement, ReadAt, StridedSource};
use crate::container::Role;
use crate::error::{Error, Result};
use crate::io::format::{Arrays, Dataset, FileArray, Format, OpenOptions};
use crate::io::output::Output;

/// The first bytes of a file compressed by gzip.
const GZIP: &[u8] = b"\x1f\x8b";
/// The most HDUs in a file. A header is a block at least, so this many take 3 GB.
const MAX_HDUS: usize = 1 << 20;

/// The format `fits`.
pub(in crate::io) struct Fits;

impl Format for Fits {
    fn id(&self) -> &'static str {
        "fits"
    }
    fn doc(&self) -> &'static str {
        "FITS: images and numeric columns of binary tables, HEALPix maps among them"
    }
    fn matches(&self, name: &str, head: &[u8]) -> bool {
        // Compressed files too: they get an error that says what to do.
        head.starts_with(b"SIMPLE  =") || head.starts_with(GZIP) && name.to_ascii_lowercase().ends_with(".fits.gz")
    }
    fn open(&self, _name: &str, bytes: Arc<dyn ReadAt>, _options: &OpenOptions) -> Result<Dataset> {
        let mut head = [0; 2];
        bytes.read_at(0, &mut head)?;
        if head == GZIP {
            return Err(Error::unsupported(
                "expected a FITS file as it is, found one compressed by gzip: unpack it first",
            ));
        }
        let (template, attributes) = parts(&bytes)?;
        let (arrays, verbatim) = contents(&template, attributes, &bytes)?;
        Ok(Dataset { format: self.id(), template: template.to_value()?, verbatim, arrays })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        Template::from_value(template)?.restore(verbatim, arrays, out)
    }
}

type Attributes = HashMap<String, Map<String, Value>>;

/// All HDUs, in order.
fn hdus(bytes: &dyn ReadAt, size: u64) -> Result<Vec<Hdu>> {
    let mut all = Vec::new();
    let mut at = 0;
    loop {
        let place = |e: Error| e.at(format!("HDU {}", all.len()));
        let header = Header::read(bytes, at).map_err(place)?;
        let hdu = Hdu::new(&header, all.len()).map_err(place)?;
        let data = at + hdu.header;
        if data.checked_add(hdu.length).is_none_or(|end| end > size) {
            let (n, left) = (hdu.length, size.saturating_sub(data));
            return Err(place(Error::truncated(format!("expected {n} bytes of data from byte {data}, found {left}"))));
        }
        // Some writers leave out the last padding.
        at = data.saturating_add(hdu.padded()?).min(size);
        if all.len() >= MAX_HDUS {
            return Err(Error::limit(format!("expected at most {MAX_HDUS} HDUs, found more")));
        }
        all.push(hdu);
        let mut next = [0; 8];
        // What follows the last HDU is no extension: the standard calls it special records.
        if size - at < next.len() as u64 {
            return Ok(all);
        }
        bytes.read_at(at, &mut next)?;
        if &next != b"XTENSION" {
            return Ok(all);
        }
    }
}

/// The parts of a file, and the attributes of its arrays by name.
fn parts(bytes: &dyn ReadAt) -> Result<(Template, Attributes)> {
    let size = bytes.size()?;
    let hdus = hdus(bytes, size)?;
    let several = hdus.iter().filter(|h| h.has_arrays()).count() > 1;
    let (mut template, mut names, mut left) = (Template::default(), Names::default(), size);
    for hdu in hdus {
        let prefix = if several { format!("{}/", hdu.name) } else { String::new() };
        template.push_bytes(hdu.header);
        let stored = match hdu.content {
            Content::None => 0,
            Content::Image { dtype, shape, attributes } => {
                let name = names.add(hdu.name, &hdu.attributes, attributes);
                template.parts.push(Part::Image { name, dtype, shape: shape.to_vec() });
                hdu.length
            }
            Content::Table { columns, .. } if columns.is_empty() => 0,
            Content::Table { rows, width, columns } => {
                let named = columns.into_iter().map(|(c, attributes)| {
                    let name = names.add(format!("{prefix}{}", c.name), &hdu.attributes, attributes);
                    Column { name, ..c }
                });
                template.parts.push(Part::Table { rows, width, columns: named.collect() });
                rows.saturating_mul(width)
            }
        };
        let end = hdu.header + hdu.length.checked_next_multiple_of(super::header::BLOCK).unwrap_or(u64::MAX);
        let end = end.min(left);
        template.push_bytes(end.saturating_sub(hdu.header + stored));
        left -= end;
    }
    template.push_bytes(left);
    template.parts.retain(|p| !matches!(p, Part::Bytes(0)));
    Ok((template, names.attributes))
}

/// The names of the arrays so far, with what the file says of each.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    /// How often a name was asked for: many columns of one name do not try as many names each.
    asked: HashMap<String, usize>,
    attributes: Attributes,
}

impl Names {
    fn add(&mut self, plain: String, shared: &Map<String, Value>, own: Map<String, Value>) -> String {
        let count = self.asked.entry(plain.clone()).or_default();
        let mut name = plain.clone();
        loop {
            *count += 1;
            if *count > 1 {
                name = format!("{plain}#{count}");
            }
            if self.taken.insert(name.clone()) {
                break;
            }
        }
        self.attributes.insert(name.clone(), shared.clone().into_iter().chain(own).collect());
        name
    }
}

/// The arrays and the verbatim bytes of a file with these parts.
fn contents(
    template: &Template,
    mut attributes: Attributes,
    file: &Arc<dyn ReadAt>,
) -> Result<(Vec<FileArray>, Vec<u8>)> {
    let (mut arrays, mut verbatim) = (Vec::new(), Vec::new());
    for piece in template.pieces()? {
        let packed = Packed { file: file.clone(), strip: piece.strip };
        match piece.array {
            None => {
                let (at, n) = (verbatim.len(), usize::try_from(packed.size()?).unwrap_or(usize::MAX));
                verbatim
                    .try_reserve(n)
                    .map_err(|_| Error::limit(format!("expected memory for {n} verbatim bytes, found too little")))?;
                verbatim.resize(at + n, 0);
                packed.read_at(0, verbatim.get_mut(at..).unwrap_or_default())?;
            }
            Some((name, dtype, shape)) => {
                let placement = Placement::contiguous(0, &shape, dtype, Endian::Big);
                arrays.push(FileArray {
                    name: name.into(),
                    role: Role::Field,
                    attributes: attributes.remove(name).unwrap_or_default(),
                    suits: None,
                    velocities: None,
                    elements: None,
                    source: Box::new(StridedSource::new(packed, dtype, shape, placement)?),
                });
            }
        }
    }
    Ok((arrays, verbatim))
}
