//! What the tests of file formats share: open a file, decode nothing, put it together again.

use std::sync::Arc;

use super::format::{Arrays, Format, OpenOptions};
use crate::array::{Array, DType, Region, Shape, Sink};
use crate::error::{Error, Result};

/// Arrays in memory, as an archive would decode them.
pub(crate) struct Decoded(pub(crate) Vec<(String, Array)>);

impl Arrays for Decoded {
    fn spec(&self, name: &str) -> Result<(DType, Shape)> {
        let a = self.0.iter().find(|a| a.0 == name).map(|a| (a.1.dtype(), a.1.shape()));
        a.ok_or_else(|| Error::corrupt(format!("expected an array {name:?}")))
    }
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        match self.0.iter().find(|a| a.0 == name) {
            Some((_, a)) => sink.write(&Region::all(a.shape()), a.data()),
            None => Err(Error::corrupt(format!("expected an array {name:?}"))),
        }
    }
}

/// All arrays of a file, in memory.
pub(crate) fn read_all(
    format: &dyn Format,
    name: &str,
    bytes: &[u8],
    options: &OpenOptions,
) -> Result<Vec<(String, Array)>> {
    let d = format.open(name, Arc::new(bytes.to_vec()), options)?;
    let read = |a: &super::FileArray| -> Result<_> {
        let shape = a.source.shape();
        Ok((a.name.clone(), Array::new(shape, a.source.read(&Region::all(shape))?)?))
    };
    d.arrays.iter().map(read).collect()
}

/// Opens a file and restores it from its own arrays, each changed by `change` first.
pub(crate) fn restored(
    format: &dyn Format,
    name: &str,
    bytes: &[u8],
    options: &OpenOptions,
    change: impl Fn(&str, Array) -> Array,
) -> Result<Vec<u8>> {
    let d = format.open(name, Arc::new(bytes.to_vec()), options)?;
    let arrays = read_all(format, name, bytes, options)?;
    let arrays = arrays.into_iter().map(|(n, a)| (n.clone(), change(&n, a))).collect();
    let mut out = Vec::new();
    format.restore(&d.template, &d.verbatim, &Decoded(arrays), &mut out)?;
    Ok(out)
}

/// A file of `../shared/data`, or `None` with a message where it is not there.
pub(crate) fn shared(path: &str) -> Option<Vec<u8>> {
    let full = format!("{}/../../../shared/data/{path}", env!("CARGO_MANIFEST_DIR"));
    let found = std::fs::read(&full).ok();
    if found.is_none() {
        eprintln!("skipped: {full} is not there");
    }
    found
}
