//! Where everything lies in a field file, from its header and its length.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::extremes::{Extremes, PAIR};
use super::header::{Header, LEGACY, STANDARD};
use crate::array::{DType, Endian, Placement, ReadAt, Shape, StridedSource};
use crate::container::Role;
use crate::error::{Error, Result};
use crate::io::layout::Layout;

/// The most bytes that a plan is made from: a header and the byte order mark.
pub(super) const HEAD: usize = STANDARD + 4;
/// The number that tells the byte order.
const TAG: f32 = 6.54321;

/// An array and its place.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) role: Role,
    dtype: DType,
    shape: Shape,
    at: Placement,
}

/// The places of all arrays of a file, and of the extremes of each group if the file has them.
pub(super) struct Plan {
    pub(super) arrays: Vec<Place>,
    pub(super) extremes: Vec<Extremes>,
    /// All that the header says.
    pub(super) attributes: Map<String, Value>,
    size: u64,
}

impl Plan {
    /// The plan of a file of `size` bytes that begins with `head` (at least [`HEAD`] bytes unless it is shorter).
    /// Errors: `Truncated`, `Corrupt`; `Unsupported` for legacy files written as text.
    pub(super) fn new(head: &[u8], size: u64) -> Result<Plan> {
        let standard = head.starts_with(b"#std");
        let length = if standard { STANDARD } else { LEGACY };
        let (text, tag) = head.split_at_checked(length).ok_or_else(|| short(length as u64, size))?;
        let header = if standard { Header::standard(text)? } else { Header::legacy(text)? };
        let tag = tag.get(..4).ok_or_else(|| short(length as u64 + 4, size))?;
        let endian = byte_order(tag).ok_or_else(|| {
            if !standard && tag.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
                return Error::unsupported("expected a binary field file, found one written as text");
            }
            Error::corrupt(format!("expected the byte order mark {TAG}, found the bytes {tag:02x?}"))
        })?;
        let mut plan = Plan { arrays: Vec::new(), extremes: Vec::new(), attributes: Map::new(), size };
        let mut at = length as u64 + 4;
        if standard {
            let end = header.elements.checked_mul(4).and_then(|n| n.checked_add(at)).ok_or_else(|| absurd(&header))?;
            if end > size {
                return Err(short(end, size));
            }
            let shape = Shape::new(&[elements(&header)?]).map_err(|_| absurd(&header))?;
            let at_map = Placement { offset: at, strides: vec![4], endian };
            let name = "element_map".into();
            plan.arrays.push(Place { name, role: Role::Id, dtype: DType::I32, shape, at: at_map });
            at = end;
        }
        plan.add_groups(&header, at, endian)?;
        // Only standard files in three dimensions have extremes, and they may be missing or cut short.
        let size = if standard && header.dimensions() == 3 { size } else { 0 };
        plan.extremes.retain(|e| e.runs > 0 && e.end() <= size);
        plan.attributes = header.attributes;
        Ok(plan)
    }
    /// Adds all groups of arrays, which begin at byte `at`, and their extremes.
    fn add_groups(&mut self, header: &Header, mut at: u64, endian: Endian) -> Result<()> {
        let Header { word, nodes, .. } = *header;
        let points = nodes.iter().map(|&n| n as u64).product::<u64>();
        let components = header.groups.iter().map(|g| g.len() as u64).sum::<u64>();
        let runs = header.elements.checked_mul(components).ok_or_else(|| absurd(header))?;
        let end = |width: u64| runs.checked_mul(points)?.checked_mul(width)?.checked_add(at);
        let (end4, end8) = end(4).zip(end(8)).ok_or_else(|| absurd(header))?;
        let width = word.size() as u64;
        let (here, there) = if width == 4 { (end4, end8) } else { (end8, end4) };
        // A file that ends where values of the other width would, and not where its own would, lies about the width.
        let fits =
            |end: u64| end == self.size || runs.checked_mul(PAIR).and_then(|n| n.checked_add(end)) == Some(self.size);
        if runs > 0 && fits(there) && !fits(here) {
            return Err(Error::corrupt(format!(
                "expected values of {} bytes, found {width} in the header",
                12 - width
            )));
        }
        if here > self.size {
            return Err(short(here, self.size));
        }
        let (run, line) = (points * width, nodes[2] as u64 * width);
        let mut shape = vec![elements(header)?, nodes[0], nodes[1], nodes[2]];
        let mut strides = vec![0, nodes[1] as u64 * line, line, width];
        if header.dimensions() == 2 {
            shape.remove(1);
            strides.remove(1);
        }
        let shape = Shape::new(&shape).map_err(|_| absurd(header))?;
        let mut pairs = here;
        for group in &header.groups {
            let runs = header.elements * group.len() as u64;
            strides[0] = group.len() as u64 * run;
            for (k, name) in group.iter().enumerate() {
                let role = if matches!(name.as_str(), "x" | "y" | "z") { Role::Coordinate } else { Role::Field };
                // Without elements all components are empty, and lie at the same place.
                let offset = if runs == 0 { at } else { at + k as u64 * run };
                let at = Placement { offset, strides: strides.clone(), endian };
                self.arrays.push(Place { name: name.clone(), role, dtype: word, shape, at });
            }
            self.extremes.push(Extremes { at: pairs, data: at, runs, points, word, endian });
            at += runs * run;
            pairs = pairs.saturating_add(runs.saturating_mul(PAIR));
        }
        Ok(())
    }
    /// The layout of the file, which leaves out the extremes for which `derived` is true, and a source for each array
    /// over `bytes`. Errors: as [`Layout::add`].
    #[allow(clippy::type_complexity)]
    pub(super) fn layout(
        &self,
        derived: &[bool],
        bytes: &Arc<dyn ReadAt>,
    ) -> Result<(Layout, Vec<Box<StridedSource<Arc<dyn ReadAt>>>>)> {
        let mut layout = Layout::new(self.size);
        let add = |a: &Place| layout.add(&a.name, a.dtype, a.shape, a.at.clone(), bytes);
        let sources = self.arrays.iter().map(add).collect::<Result<_>>()?;
        for (e, _) in self.extremes.iter().zip(derived).filter(|(_, derived)| **derived) {
            layout.derive(e.at, e.end() - e.at);
        }
        Ok((layout, sources))
    }
}

/// Whether `head` may be the head of a field file called `name`.
pub(super) fn matches(name: &str, head: &[u8]) -> bool {
    let tagged = head.get(LEGACY..LEGACY + 4).is_some_and(|b| byte_order(b).is_some());
    // Legacy text files are known by their names, so that they can be refused with a reason.
    let named = name.rsplit_once('.').is_some_and(|(_, end)| end.starts_with("fld"));
    head.starts_with(b"#std") || ((tagged || named) && Header::legacy(head).is_ok())
}

/// The byte order of a file whose mark is `tag`.
fn byte_order(tag: &[u8]) -> Option<Endian> {
    let tag: [u8; 4] = tag.try_into().ok()?;
    let is = |v: f32| (v - TAG).abs() < 2e-4;
    if is(f32::from_le_bytes(tag)) {
        Some(Endian::Little)
    } else {
        is(f32::from_be_bytes(tag)).then_some(Endian::Big)
    }
}

fn elements(header: &Header) -> Result<usize> {
    usize::try_from(header.elements).map_err(|_| absurd(header))
}

fn absurd(header: &Header) -> Error {
    Error::corrupt(format!("expected sizes that fit a file, found {} elements", header.elements))
}

fn short(expected: u64, size: u64) -> Error {
    Error::truncated(format!("expected a field file of at least {expected} bytes, found {size}"))
}
