//! Arrays out of an archive on their own: NumPy's `.npy` and `.npz`, and raw binary.

use serde_json::{json, Value};

use super::input::{Event, Watch};
use super::restore::Decoder;
use crate::array::{DType, Endian, Placement, Region, Shape, Sink, Slice};
use crate::bits::put_section;
use crate::container::Archive;
use crate::error::{Error, Result};
use crate::io::{self, npy, Arrays, Output};

/// The formats one array can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayFormat {
    /// NumPy's `.npy`, little-endian, C order.
    Npy,
    /// The values alone, little-endian, C order.
    Raw,
}

/// A rectangle of an array, and which of its axes are left out because one index was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    region: Region,
    kept: Shape,
    dropped: [bool; crate::array::MAX_RANK],
}

impl Selection {
    /// All of an array.
    pub fn all(shape: Shape) -> Selection {
        Selection { region: Region::all(shape), kept: shape, dropped: Default::default() }
    }
    /// As NumPy's basic indexing without steps: ranges `a:b` (either end may be missing, negative ends count from the far end,
    /// ends outside the array are moved into it) and single indices, which drop their axis, separated by commas. Axes not
    /// mentioned are taken whole. Errors: `InvalidArgument`.
    pub fn parse(text: &str, shape: &Shape) -> Result<Selection> {
        let bad = |part: &str| Error::invalid(format!("expected a:b, : or an index for shape {shape}, found {part:?}"));
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > shape.rank() {
            return Err(Error::invalid(format!("expected at most {} ranges, found {text:?}", shape.rank())));
        }
        let (mut origin, mut extents) = (vec![0; shape.rank()], shape.to_vec());
        let mut dropped = [false; crate::array::MAX_RANK];
        for (k, part) in parts.iter().enumerate() {
            let n = shape.get(k).copied().unwrap_or(0) as i128;
            let number = |s: &str| s.trim().parse::<i64>().map(i128::from).map_err(|_| bad(part));
            let from_end = |v: i128| if v < 0 { v + n } else { v };
            let (lo, hi) = match part.split_once(':') {
                Some((a, b)) => {
                    let end = |s: &str, default: i128| -> Result<i128> {
                        Ok(if s.trim().is_empty() { default } else { from_end(number(s)?).clamp(0, n) })
                    };
                    let lo = end(a, 0)?;
                    (lo, end(b, n)?.max(lo))
                }
                None => {
                    let i = from_end(number(part)?);
                    if i < 0 || i >= n {
                        return Err(Error::invalid(format!("expected an index inside {shape}, found {part:?}")));
                    }
                    if let Some(d) = dropped.get_mut(k) {
                        *d = true;
                    }
                    (i, i + 1)
                }
            };
            if let (Some(o), Some(e)) = (origin.get_mut(k), extents.get_mut(k)) {
                (*o, *e) = (lo as usize, (hi - lo) as usize);
            }
        }
        let kept: Vec<usize> = extents.iter().zip(&dropped).filter(|(_, d)| !**d).map(|(&e, _)| e).collect();
        Ok(Selection { region: Region::new(shape, &origin, &extents)?, kept: Shape::new(&kept)?, dropped })
    }
    /// The rectangle.
    pub fn region(&self) -> &Region {
        &self.region
    }
    /// The shape without the axes that are left out.
    pub fn shape(&self) -> Shape {
        self.kept
    }
}

/// One array of an archive, or a part of one of its levels, as the only array of a file.
struct Part<'a> {
    archive: &'a Archive,
    level: u32,
    selection: &'a Selection,
    watch: Option<Watch<'a>>,
}

impl Arrays for Part<'_> {
    fn spec(&self, name: &str) -> Result<(DType, Shape)> {
        Ok((self.archive.array(name)?.dtype, self.selection.kept))
    }
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        let (dtype, shape) = self.spec(name)?;
        if let Some(w) = self.watch {
            w(Event::Array { name, bytes: (shape.len() * dtype.size()) as u64 });
        }
        let progress = |n: u64| {
            if let Some(w) = self.watch {
                w(Event::Bytes(n));
            }
        };
        let mut sink = Dropping { sink, selection: self.selection };
        self.archive.read_level_into(name, self.level, &self.selection.region, &mut sink, Some(&progress))
    }
}

/// Hands on regions without the axes that are left out.
struct Dropping<'a> {
    sink: &'a mut dyn Sink,
    selection: &'a Selection,
}

impl Sink for Dropping<'_> {
    fn write(&mut self, region: &Region, values: Slice<'_>) -> Result<()> {
        let keep = |v: &[usize]| -> Vec<usize> {
            v.iter().zip(&self.selection.dropped).filter(|(_, d)| !**d).map(|(&x, _)| x).collect()
        };
        let part = Region::new(&self.selection.kept, &keep(region.origin()), &keep(&region.shape()))?;
        self.sink.write(&part, values)
    }
}

/// Writes the selected part of level `level` of an array (0: the array itself) to `out`, block by block; only blocks it touches are
/// decoded. The selection is made for [`Archive::level_shape`]. Errors: `InvalidArgument` when there is no such array or the selection was made for another shape; those of
/// [`Archive::read_into`]; `Io`.
pub fn export_array(
    archive: &Archive,
    name: &str,
    level: u32,
    selection: &Selection,
    format: ArrayFormat,
    out: &mut dyn Output,
    watch: Option<Watch<'_>>,
) -> Result<()> {
    let arrays = Part { archive, level, selection, watch };
    match format {
        ArrayFormat::Npy => npy::write_npy(&arrays, name, out),
        ArrayFormat::Raw => {
            let (dtype, shape) = arrays.spec(name)?;
            io::format("raw")?.restore(&layout(name, dtype, &shape, 0)?, &[], &arrays, out)
        }
    }
}

/// Writes level `level` of arrays (0: the arrays themselves) to `out` as a NumPy zip archive, deflated or stored. Slashes in names make folders in the zip, as
/// NumPy does it. Errors: as [`export_array`].
pub fn export_npz(
    archive: &Archive,
    names: &[String],
    level: u32,
    deflated: bool,
    out: &mut dyn Output,
    watch: Option<Watch<'_>>,
) -> Result<()> {
    let arrays = Decoder { archive, prefix: "", level, watch };
    let (mut members, mut verbatim) = (Vec::new(), Vec::new());
    for name in names {
        archive.array(name)?;
        let (dtype, shape) = arrays.spec(name)?;
        let head = npy::header(dtype, &shape);
        let layout = layout(name, dtype, &shape, head.len() as u64)?;
        members.push(json!({ "name": format!("{name}.npy"), "deflated": deflated, "layout": layout }));
        put_section(&mut verbatim, &head);
    }
    io::format("npz")?.restore(&json!({ "members": members }), &verbatim, &arrays, out)
}

/// The template (see [`io::Layout`]) of a file that holds one array in C order from byte `at` to its end.
fn layout(name: &str, dtype: DType, shape: &Shape, at: u64) -> Result<Value> {
    let place = Placement::contiguous(at, shape, dtype, Endian::Little);
    let place = serde_json::to_value(place).map_err(|e| Error::invalid(format!("expected a placement: {e}")))?;
    let length = at + (shape.len() * dtype.size()) as u64;
    let array = json!({ "name": name, "dtype": dtype.name(), "shape": shape.dims(), "at": place });
    Ok(json!({ "length": length, "arrays": [array] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_follow_numpy() {
        let shape = Shape::new(&[10, 20, 30]).unwrap();
        let s = |t: &str| {
            let s = Selection::parse(t, &shape).unwrap();
            (s.region.origin().to_vec(), s.region.shape().to_vec(), s.kept.to_vec())
        };
        assert_eq!(s("0:10,:,5"), (vec![0, 0, 5], vec![10, 20, 1], vec![10, 20]));
        assert_eq!(s("-3:,2:-1"), (vec![7, 2, 0], vec![3, 17, 30], vec![3, 17, 30]));
        assert_eq!(s("5:100,7:3,-1"), (vec![5, 7, 29], vec![5, 0, 1], vec![5, 0]));
        assert_eq!(s("-100:2"), (vec![0, 0, 0], vec![2, 20, 30], vec![2, 20, 30]));
        assert_eq!(s(" 1 , 2 , 3 "), (vec![1, 2, 3], vec![1, 1, 1], vec![]));
        for bad in ["10", "-11", "a", "1:2:3", "", "0,0,0,0", "1.5", ":,99999999999999999999"] {
            assert!(Selection::parse(bad, &shape).is_err(), "{bad}");
        }
    }
}
