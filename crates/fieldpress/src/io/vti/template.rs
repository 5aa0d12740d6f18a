//! The template of a VTK file: its parts in order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoding::{Encoding, Style};
use crate::array::DType;
use crate::error::{Error, Result};

/// All parts of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    pub(super) style: Style,
    pub(super) pieces: Vec<Piece>,
}

/// One part of a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Piece {
    /// This many of the verbatim bytes.
    Text(u64),
    /// The payload of an array.
    Array { name: String, dtype: DType, shape: Vec<usize>, encoding: Encoding },
    /// Nothing: offsets count from here.
    Base,
    /// Nothing: the place that offsets of this number refer to.
    Mark(usize),
    /// The offset of a mark in decimal, a quote, and spaces up to `width` characters (21 at least).
    Offset { mark: usize, width: u64 },
}

impl Template {
    pub(super) fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| Error::invalid(format!("expected a template that can be written: {e}")))
    }
    /// Errors: `Corrupt`.
    pub(super) fn from_value(value: &Value) -> Result<Template> {
        let t = Template::deserialize(value)
            .map_err(|e| Error::corrupt(format!("expected the parts of a VTK file: {e}")))?;
        t.style.check()?;
        for p in &t.pieces {
            if let Piece::Array { encoding: Encoding::Ascii(lines), .. } = p {
                lines.check()?;
            }
        }
        Ok(t)
    }
}
