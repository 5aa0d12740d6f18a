//! A field file with another number of points in each element.

use serde_json::Value;

use super::field::Template;
use super::header::{Header, STANDARD};
use super::plan::{Plan, HEAD};
use crate::array::{Array, DType, Region, Shape, Sink};
use crate::error::{Error, Result};
use crate::io::format::Arrays;
use crate::io::output::Output;
use crate::sem::{extents, resample, Gll};

/// Where the header says how many points there are along x, y and z.
const COLUMNS: [usize; 3] = [7, 10, 13];

/// Arrays whose elements have `points` points along each axis, by interpolation.
struct Resampled<'a> {
    arrays: &'a dyn Arrays,
    points: usize,
}

impl Arrays for Resampled<'_> {
    fn spec(&self, name: &str) -> Result<(DType, Shape)> {
        let (dtype, shape) = self.arrays.spec(name)?;
        if shape.rank() == 1 {
            return Ok((dtype, shape));
        }
        let (elements, _, dimensions) = extents(&shape)?;
        let mut dims = vec![elements];
        dims.extend(vec![self.points; dimensions]);
        Ok((dtype, Shape::new(&dims)?))
    }
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        let (dtype, shape) = self.spec(name)?;
        if shape.rank() == 1 {
            return self.arrays.read_into(name, sink);
        }
        let all = self.arrays.read(name)?;
        let (_, from, dimensions) = extents(&all.shape())?;
        let values = resample(&all.data().to_f64(), dimensions, from, self.points)?;
        let mut out = Array::zeros(dtype, shape)?;
        crate::codec::cast(&values, out.data_mut());
        sink.write(&Region::all(shape), out.data())
    }
}

/// Puts a field file together with `points` points along each axis of its elements: values are those of the polynomials that are stored, at other
/// Gauss-Lobatto-Legendre points. `template`, `verbatim` and `arrays` are those of the whole file.
/// Errors: `Unsupported` for legacy files; `InvalidArgument` for fewer than 2 or more than 32 points; `Corrupt`, and those of `arrays` and `out`.
pub fn restore_with_points(
    points: usize,
    template: &Value,
    verbatim: &[u8],
    arrays: &dyn Arrays,
    out: &mut dyn Output,
) -> Result<()> {
    Gll::new(points)?;
    let Template { length, extremes } = Template::parse(template)?;
    let head = verbatim.get(..HEAD).unwrap_or(verbatim);
    if !head.starts_with(b"#std") || head.len() < HEAD {
        return Err(Error::unsupported("expected a field file with a header of 132 columns to change its points"));
    }
    let old = Plan::new(head, length)?;
    let header = Header::standard(&head[..STANDARD])?;
    let dimensions = header.dimensions();
    let mut head = head.to_vec();
    for at in COLUMNS.into_iter().take(dimensions) {
        head[at..at + 2].copy_from_slice(format!("{points:>2}").as_bytes());
    }
    let changed = Header::standard(&head[..STANDARD])?;
    if changed.nodes.iter().rev().take(dimensions).any(|n| *n != points) {
        return Err(Error::unsupported("expected a header whose points are in their columns"));
    }
    let before = (header.nodes.iter().product::<usize>() * header.word.size()) as u64;
    let after = (changed.nodes.iter().product::<usize>() * header.word.size()) as u64;
    let runs = header.groups.iter().map(|g| g.len() as u64).sum::<u64>().saturating_mul(header.elements);
    let absurd = || Error::corrupt("expected sizes that fit a file");
    let length = runs.checked_mul(before).and_then(|n| length.checked_sub(n)).ok_or_else(absurd)?;
    // Bytes that say nothing of the data would be in the wrong place.
    let tails: u64 = old.extremes.iter().map(|e| e.end() - e.at).sum();
    let rest = length.checked_sub(HEAD as u64 + 4 * header.elements);
    if extremes.len() != old.extremes.len() || rest != Some(tails) {
        return Err(Error::unsupported("expected a field file with nothing but fields and their extremes"));
    }
    let length = runs.checked_mul(after).and_then(|n| length.checked_add(n)).ok_or_else(absurd)?;
    let template = Template { length, extremes: vec![true; extremes.len()] };
    template.restore(&head, &Resampled { arrays, points }, out)
}
