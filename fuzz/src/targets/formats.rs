//! File formats: arbitrary bytes never make a reader panic or ask for much memory, and a file that can be read can be put
//! together again from its arrays.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | which format |
//! | 1, 1, ... | raw binary alone: byte order, element type, shape, bytes to skip (1) |
//! | rest | the file |

use std::sync::Arc;

use fieldpress::array::{Array, DType, Endian, ReadAt, Region, Shape, Sink};
use fieldpress::io::vlsv::Vlsv;
use fieldpress::io::{format, Arrays, Format, OpenOptions, Output};
use fieldpress::{Error, Result};

use super::input::Input;

/// The formats by the first byte of a case; new ones come last.
pub const FORMATS: [&str; 7] = ["npy", "npz", "raw", "vti", "nek", "vlsv", "fits"];
/// Formats whose files come back to the byte; of the others the values do.
const EXACT: [&str; 5] = ["npy", "raw", "nek", "vlsv", "fits"];
const ARRAY_BYTES: u64 = 1 << 22;
const ALL_BYTES: u64 = 1 << 24;

pub fn run(data: &[u8]) {
    let mut r = Input::new(data);
    let id = FORMATS[usize::from(r.u8()) % FORMATS.len()];
    let mut options = OpenOptions::default();
    if id == "raw" {
        options.endian = if r.u8() % 2 == 1 { Endian::Big } else { Endian::Little };
        options.dtype = Some(r.dtype());
        options.shape = Some(r.shape(1 << 20));
        options.offset = u64::from(r.u8());
    }
    let file = r.rest();
    let format = format(id).expect("a format of the list");
    let head = &file[..file.len().min(512)];
    for name in ["a", "a.npz", "a.vlsv", "a.f00001", "a.fld01", "a.fits.gz"] {
        format.matches(name, head);
    }
    if id == "vlsv" {
        velocities(file);
    }
    let Some(arrays) = read(format, file, &options) else { return };
    let dataset = format.open("a", Arc::new(file.to_vec()), &options).expect("to open again");
    // The template goes through the text of a directory.
    let text = dataset.template.to_string();
    let template = serde_json::from_str(&text).expect("a template that can be read");
    let mut out = Limited(Vec::new());
    let decoded = Decoded(arrays);
    if let Err(e) = format.restore(&template, &dataset.verbatim, &decoded, &mut out) {
        panic!("{id}: cannot restore what could be read: {e}");
    }
    if EXACT.contains(&id) {
        assert!(out.0 == file, "{id}: another file");
    } else {
        let again = read(format, &out.0, &options).unwrap_or_else(|| panic!("{id}: cannot read what was restored"));
        assert_eq!(again.len(), decoded.0.len(), "{id}: other arrays");
        for ((name, a), (other, b)) in decoded.0.iter().zip(&again) {
            assert!(name == other && a.shape() == b.shape() && a.data().same_bits(b.data()), "{id}: another {name:?}");
        }
    }
}

/// Asks for what the reader of velocity distributions can tell. Errors are fine.
fn velocities(file: &[u8]) {
    let Ok(v) = Vlsv::open(Arc::new(file.to_vec())) else { return };
    let _ = v.parameter("time");
    for p in v.populations().iter().take(4) {
        if let Ok(mesh) = v.velocity_mesh(p) {
            assert!(mesh.block_index(u32::MAX).is_none_or(|b| (0..3).all(|k| b[k] < mesh.blocks[k])));
            (0..4).for_each(|axis| drop(mesh.cell_widths(axis)));
        }
        for c in v.cells_with_blocks(p).unwrap_or_default().iter().take(4) {
            if let Ok((ids, f)) = v.blocks_of(p, c) {
                assert_eq!((ids.len(), f.shape()[0]), (c.count, c.count));
            }
        }
    }
}

/// All arrays of a file; `None` where it cannot be read, or is too large for a case.
fn read(format: &dyn Format, file: &[u8], options: &OpenOptions) -> Option<Vec<(String, Array)>> {
    let dataset = format.open("a", Arc::new(file.to_vec()), options).ok()?;
    let mut all = 0;
    let mut arrays: Vec<(String, Array)> = Vec::new();
    for a in &dataset.arrays {
        assert!(arrays.iter().all(|(n, _)| *n != a.name), "{}: {:?} twice", format.id(), a.name);
        let shape = a.source.shape();
        let bytes = (shape.len() as u64).saturating_mul(a.source.dtype().size() as u64);
        all += bytes;
        if bytes > ARRAY_BYTES || all > ALL_BYTES {
            return None;
        }
        let data = a.source.read(&Region::all(shape)).ok()?;
        arrays.push((a.name.clone(), Array::new(shape, data).expect("as many values as were asked for")));
    }
    Some(arrays)
}

/// Arrays in memory, as an archive would decode them.
struct Decoded(Vec<(String, Array)>);

impl Decoded {
    fn find(&self, name: &str) -> Result<&Array> {
        let found = self.0.iter().find(|a| a.0 == name).map(|a| &a.1);
        found.ok_or_else(|| Error::corrupt(format!("expected an array {name:?}")))
    }
}

impl Arrays for Decoded {
    fn spec(&self, name: &str) -> Result<(DType, Shape)> {
        self.find(name).map(|a| (a.dtype(), a.shape()))
    }
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        let a = self.find(name)?;
        sink.write(&Region::all(a.shape()), a.data())
    }
}

/// Memory that refuses to grow beyond what a case may need.
pub struct Limited(pub Vec<u8>);

impl ReadAt for Limited {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.0.read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        self.0.size()
    }
}

impl Output for Limited {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        match offset.checked_add(bytes.len() as u64) {
            Some(end) if end <= 2 * ALL_BYTES => self.0.write_at(offset, bytes),
            _ => Err(Error::limit("expected a small file")),
        }
    }
}
