//! `sem-c0`: continuous fields on spectral elements. Points that elements share are coded once, and what elements before have on their faces tells what to expect
//! inside, on any conforming mesh, whatever way its elements are turned.
//!
//! Sources: those of [`crate::sem`]; the discrete Legendre transform as in `legendre`.
//!
//! # Format
//! As [`crate::codec::elements`], with shared points.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, BlockCodec, Codec, ElementBlocks, Selection, Spec};
use crate::error::Result;
use crate::sem::extents;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "sem-c0",
    doc: "Continuous fields on spectral elements whose coordinates are known: every shared point once, faces tell what is inside.",
    params: &[
        ("x", "the array of the first coordinate (default x)"),
        ("y", "the array of the second coordinate (default y)"),
        ("z", "the array of the third coordinate (default z; empty in two dimensions)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<SemC0>("sem-c0", v)?))),
    idempotent: false,
    unbounded: false,
};

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SemC0 {
    /// The array of the first coordinate.
    pub x: String,
    /// The array of the second coordinate.
    pub y: String,
    /// The array of the third coordinate; empty in two dimensions.
    pub z: String,
}

impl Default for SemC0 {
    fn default() -> Self {
        SemC0 { x: "x".into(), y: "y".into(), z: "z".into() }
    }
}

/// Everything is kept.
struct All;

impl Selection for All {
    fn select(&self, _: &mut [f64], _: usize, _: &[f64], _: f64) {}
    fn fineness(&self) -> Option<f64> {
        None
    }
}

impl Codec for SemC0 {
    fn id(&self) -> &'static str {
        "sem-c0"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn companions(&self) -> Vec<String> {
        [&self.x, &self.y, &self.z].into_iter().filter(|n| !n.is_empty()).cloned().collect()
    }
    fn wants_whole(&self) -> bool {
        true
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        extents(&spec.shape)?;
        let blocks =
            ElementBlocks::<All> { spec: *spec, coordinates: self.companions(), continuous: true, selection: None };
        Ok(Box::new(blocks))
    }
}
