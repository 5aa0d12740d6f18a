//! The template of a FITS file: its parts in order.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::strip::{Spread, Strip};
use crate::array::{DType, Endian, Placement, Shape};
use crate::error::{Error, Result};
use crate::io::format::Arrays;
use crate::io::output::{Output, StridedSink};

/// All parts of a file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
}

/// One part of a file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Part {
    /// This many of the verbatim bytes.
    Bytes(u64),
    /// The values of an array.
    Image { name: String, dtype: DType, shape: Vec<usize> },
    /// Rows of `width` bytes with columns in them, from the first to the last; the bytes between columns are verbatim, each
    /// gap with its bytes of all rows.
    Table { rows: u64, width: u64, columns: Vec<Column> },
}

/// One column of a table that is an array.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) dtype: DType,
    /// Where in a row it begins.
    pub(super) offset: u64,
    /// Values in a row.
    pub(super) repeat: u64,
}

impl Column {
    /// Errors: `Corrupt`.
    fn length(&self) -> Result<u64> {
        let length = self.repeat.checked_mul(self.dtype.size() as u64);
        length.ok_or_else(|| Error::corrupt(format!("expected a column that fits a row, found {} values", self.repeat)))
    }
}

/// Bytes of a file that are verbatim, or all values of an array.
pub(super) struct Piece<'a> {
    pub(super) strip: Strip,
    pub(super) array: Option<(&'a str, DType, Shape)>,
}

impl Template {
    /// Adds verbatim bytes.
    pub(super) fn push_bytes(&mut self, n: u64) {
        match self.parts.last_mut() {
            Some(Part::Bytes(last)) => *last += n,
            _ => self.parts.push(Part::Bytes(n)),
        }
    }
    pub(super) fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| Error::invalid(format!("expected a template that can be written: {e}")))
    }
    /// Errors: `Corrupt`.
    pub(super) fn from_value(value: &Value) -> Result<Template> {
        Template::deserialize(value).map_err(|e| Error::corrupt(format!("expected the parts of a FITS file: {e}")))
    }
    /// Where everything lies, in order; the pieces cover the file, and none overlap.
    /// Errors: `Corrupt` when columns overlap or leave their rows, two arrays have one name, or lengths overflow.
    pub(super) fn pieces(&self) -> Result<Vec<Piece<'_>>> {
        let mut pieces = Vec::new();
        let mut at = 0u64;
        for part in &self.parts {
            match part {
                Part::Bytes(n) => pieces.push(Piece { strip: Strip::new(at, *n, *n, 1)?, array: None }),
                Part::Image { name, dtype, shape } => {
                    let shape = Shape::new(shape).map_err(|e| Error::corrupt(e.message()))?;
                    let n = (shape.len() * dtype.size()) as u64;
                    pieces.push(Piece { strip: Strip::new(at, n, n, 1)?, array: Some((name, *dtype, shape)) });
                }
                Part::Table { rows, width, columns } => table(at, *rows, *width, columns, &mut pieces)?,
            }
            let length = match part {
                Part::Bytes(n) => Some(*n),
                Part::Image { .. } => pieces.last().map(|p| p.strip.size()),
                Part::Table { rows, width, .. } => rows.checked_mul(*width),
            };
            at = length
                .and_then(|n| at.checked_add(n))
                .ok_or_else(|| Error::corrupt("expected a file of less than 2^64 bytes"))?;
        }
        let mut names = HashSet::new();
        match pieces.iter().filter_map(|p| p.array).find(|a| !names.insert(a.0)) {
            Some((name, ..)) => {
                Err(Error::corrupt(format!("expected arrays with different names, found {name:?} twice")))
            }
            None => Ok(pieces),
        }
    }
    /// Writes the file. Errors: `Corrupt` when template, verbatim bytes and arrays do not fit together.
    pub(super) fn restore(&self, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        let pieces = self.pieces()?;
        // Every byte is paid for by an array or a verbatim byte before any is written.
        let mut needed = 0u64;
        for p in &pieces {
            match &p.array {
                None => needed = needed.saturating_add(p.strip.size()),
                Some((name, dtype, shape)) => {
                    let found = arrays.spec(name)?;
                    if found != (*dtype, *shape) {
                        return Err(Error::corrupt(format!(
                            "expected array {name:?} of type {dtype} and shape {shape:?}, found {} and {:?}",
                            found.0, found.1
                        )));
                    }
                }
            }
        }
        if needed != verbatim.len() as u64 {
            return Err(Error::corrupt(format!("expected {needed} verbatim bytes, found {}", verbatim.len())));
        }
        let mut rest = verbatim;
        for p in &pieces {
            let mut spread = Spread { file: &mut *out, strip: p.strip };
            match &p.array {
                None => {
                    let (head, tail) = rest.split_at(rest.len().min(p.strip.size() as usize));
                    spread.write_at(0, head)?;
                    rest = tail;
                }
                Some((name, dtype, shape)) => {
                    let placement = Placement::contiguous(0, shape, *dtype, Endian::Big);
                    let mut sink = StridedSink { out: &mut spread, placement: &placement, dtype: *dtype };
                    arrays.read_into(name, &mut sink)?;
                }
            }
        }
        Ok(())
    }
}

/// The columns of a table that begins at `at`, and what lies between them.
fn table<'a>(at: u64, rows: u64, width: u64, columns: &'a [Column], pieces: &mut Vec<Piece<'a>>) -> Result<()> {
    let strip = |from: u64, to: u64| -> Result<Strip> {
        let start = at.checked_add(from).ok_or_else(|| Error::corrupt("expected a file of less than 2^64 bytes"))?;
        Strip::new(start, to - from, width, rows)
    };
    let mut done = 0;
    for c in columns {
        let end = c.offset.checked_add(c.length()?).filter(|e| *e <= width && c.offset >= done);
        let end = end.ok_or_else(|| {
            Error::corrupt(format!("expected column {:?} within a row of {width} bytes, after the one before", c.name))
        })?;
        let n = usize::try_from(rows.saturating_mul(c.repeat)).unwrap_or(usize::MAX);
        let shape = Shape::new(&[n]).map_err(|e| Error::corrupt(e.message()))?;
        if c.offset > done {
            pieces.push(Piece { strip: strip(done, c.offset)?, array: None });
        }
        pieces.push(Piece { strip: strip(c.offset, end)?, array: Some((&c.name, c.dtype, shape)) });
        done = end;
    }
    if width > done {
        pieces.push(Piece { strip: strip(done, width)?, array: None });
    }
    Ok(())
}
