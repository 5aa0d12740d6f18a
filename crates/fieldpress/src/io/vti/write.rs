//! Puts a VTK file together again from its template, verbatim bytes and decoded arrays.

use std::io::Write;

use super::ascii;
use super::encoding::{Encoding, Style};
use super::template::{Piece, Template};
use crate::array::{DType, Placement, Shape};
use crate::error::{Error, Result};
use crate::io::bytes::Writer;
use crate::io::format::Arrays;
use crate::io::output::{file_bytes, Output, StridedSink};

/// The least room for an offset: 20 digits and a quote.
const OFFSET_WIDTH: u64 = 21;
/// The most room for an offset; a template that wants more is not one of ours.
const MAX_OFFSET_WIDTH: u64 = 1 << 10;
/// How many numbers are turned into text at once.
const NUMBERS: usize = 1 << 14;

/// Writes the parts in order; offsets last, when all places are known. Errors: `Corrupt` when template, verbatim bytes
/// and arrays do not fit together; `Unsupported` when a compressed array outgrows a header of `UInt32`.
pub(super) fn restore(t: &Template, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
    let mut out = Writer { out, at: 0 };
    let mut rest = verbatim;
    let mut base = None;
    let mut marks = vec![None; t.pieces.len()];
    let mut holes = Vec::new();
    for piece in &t.pieces {
        match piece {
            Piece::Text(n) => {
                let split = usize::try_from(*n).ok().and_then(|n| rest.split_at_checked(n));
                let (head, tail) = split
                    .ok_or_else(|| Error::corrupt(format!("expected {n} more verbatim bytes, found {}", rest.len())))?;
                out.write_all(head)?;
                rest = tail;
            }
            Piece::Array { name, dtype, shape, encoding } => {
                let found = arrays.spec(name)?;
                if found.0 != *dtype || *found.1 != **shape {
                    return Err(Error::corrupt(format!(
                        "expected array {name:?} of type {dtype} and shape {shape:?}, found {} and {:?}",
                        found.0, found.1
                    )));
                }
                put(&t.style, encoding, name, found, arrays, &mut out).map_err(|e| e.at(format!("array {name:?}")))?;
            }
            Piece::Base => base = Some(out.at),
            Piece::Mark(k) => match marks.get_mut(*k) {
                Some(m) => *m = Some(out.at),
                None => return Err(Error::corrupt(format!("expected fewer marks, found number {k}"))),
            },
            Piece::Offset { mark, width } => {
                let width = (*width).max(OFFSET_WIDTH);
                if width > MAX_OFFSET_WIDTH {
                    return Err(Error::corrupt(format!("expected an offset of few digits, found room for {width}")));
                }
                holes.push((out.at, *mark, width as usize));
                out.at += width;
            }
        }
    }
    if !rest.is_empty() {
        return Err(Error::corrupt(format!("expected the end of the verbatim bytes, found {} more", rest.len())));
    }
    for (at, mark, width) in holes {
        let place = marks.get(mark).copied().flatten();
        let offset = place.zip(base).and_then(|(m, b)| m.checked_sub(b));
        let offset = offset.ok_or_else(|| Error::corrupt(format!("expected a place for offset {mark}")))?;
        out.at = at;
        out.write_all(format!("{:<width$}", format!("{offset}\"")).as_bytes())?;
    }
    Ok(())
}

/// Writes the payload of one array.
fn put(
    style: &Style,
    encoding: &Encoding,
    name: &str,
    (dtype, shape): (DType, Shape),
    arrays: &dyn Arrays,
    out: &mut Writer<'_>,
) -> Result<()> {
    match encoding {
        Encoding::Raw => {
            let placement = Placement::contiguous(out.at, &shape, dtype, style.endian);
            arrays.read_into(name, &mut StridedSink { out: out.out, placement: &placement, dtype })?;
            out.at += (shape.len() * dtype.size()) as u64;
            Ok(())
        }
        Encoding::Ascii(lines) => {
            let values = arrays.read(name)?;
            let mut text = String::new();
            for first in (0..shape.len()).step_by(NUMBERS) {
                let range = first..shape.len().min(first + NUMBERS);
                ascii::put(values.data(), range, lines, &mut text);
                out.write_all(text.as_bytes())?;
                text.clear();
            }
            Ok(())
        }
        binary => {
            // The bytes alone are kept, not the values they came from.
            let bytes = file_bytes(arrays.read(name)?.data(), style.endian);
            style.encode(&bytes, binary, out)
        }
    }
}
