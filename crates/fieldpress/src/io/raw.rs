//! Raw binary: the values of one array and nothing else, described by the user.
//!
//! # Format
//!
//! | bytes | content |
//! |---|---|
//! | `offset` | anything; kept as it is |
//! | `shape` x size of `dtype` | the values in C order, in the byte order given |

use std::sync::Arc;

use serde_json::{Map, Value};

use super::format::{Arrays, Dataset, FileArray, Format, OpenOptions};
use super::layout::Layout;
use super::npy::NAME;
use super::output::Output;
use crate::array::{Placement, ReadAt};
use crate::container::Role;
use crate::error::{Error, Result};

/// The format `raw`. No file looks like it: it is used where [`OpenOptions`] describe the array.
pub(super) struct Raw;

impl Format for Raw {
    fn id(&self) -> &'static str {
        "raw"
    }
    fn doc(&self) -> &'static str {
        "raw binary: one array, described by its shape, element type, byte order and offset"
    }
    fn matches(&self, _name: &str, _head: &[u8]) -> bool {
        false
    }
    fn open(&self, _name: &str, bytes: Arc<dyn ReadAt>, options: &OpenOptions) -> Result<Dataset> {
        let (Some(shape), Some(dtype)) = (options.shape, options.dtype) else {
            let found = if options.shape.is_some() { "only a shape" } else { "no shape" };
            return Err(Error::invalid(format!(
                "expected both the shape and the element type of raw binary data, found {found}"
            )));
        };
        let length = bytes.size()?;
        let values = (shape.len() * dtype.size()) as u64;
        if options.offset.checked_add(values) != Some(length) {
            return Err(Error::invalid(format!(
                "expected a file of {} + {values} bytes (offset, {shape} values of type {dtype}), found {length} bytes",
                options.offset
            )));
        }
        let mut layout = Layout::new(length);
        let at = Placement::contiguous(options.offset, &shape, dtype, options.endian);
        let source = layout.add(NAME, dtype, shape, at, &bytes)?;
        Ok(Dataset {
            format: self.id(),
            template: layout.to_template()?,
            verbatim: layout.verbatim(&bytes)?,
            arrays: vec![FileArray {
                name: NAME.into(),
                role: Role::Field,
                attributes: Map::new(),
                suits: None,
                velocities: None,
                elements: None,
                source,
            }],
        })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        Layout::from_template(template)?.complete()?.restore(verbatim, arrays, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{DType, Endian, Shape};
    use crate::error::ErrorKind;
    use crate::io::testing::{read_all, restored};

    #[test]
    fn values_and_what_precedes_them_come_back() {
        let bytes: Vec<u8> = (0..5 + 24).collect();
        let mut options = OpenOptions {
            shape: Some(Shape::new(&[3, 4]).unwrap()),
            dtype: Some(DType::U16),
            endian: Endian::Big,
            offset: 5,
        };
        let arrays = read_all(&Raw, "x", &bytes, &options).unwrap();
        assert_eq!(arrays[0].1.as_typed::<u16>().unwrap()[..2], [0x0506, 0x0708]);
        assert_eq!(restored(&Raw, "x", &bytes, &options, |_, a| a).unwrap(), bytes);
        for cut in 0..bytes.len() {
            let e = read_all(&Raw, "x", &bytes[..cut], &options).unwrap_err();
            assert!(e.kind() == ErrorKind::InvalidArgument && e.message().contains(&format!("found {cut} bytes")));
            assert!(e.message().contains("5 + 24"));
        }
        options.offset = u64::MAX;
        assert!(read_all(&Raw, "x", &bytes, &options).is_err());
        options.dtype = None;
        assert!(read_all(&Raw, "x", &bytes, &options).unwrap_err().message().contains("element type"));
    }

    #[test]
    fn a_scalar_and_nothing_at_all_are_raw_data_too() {
        let mut options = OpenOptions { shape: Shape::new(&[]).ok(), dtype: Some(DType::F64), ..Default::default() };
        let bytes = 1.5f64.to_le_bytes();
        assert_eq!(restored(&Raw, "x", &bytes, &options, |_, a| a).unwrap(), bytes);
        options.shape = Shape::new(&[0, 7]).ok();
        assert_eq!(restored(&Raw, "x", &[], &options, |_, a| a).unwrap().len(), 0);
    }
}
