//! A VLSV file with the velocity distributions of some spatial cells alone.

use std::sync::Arc;

use quick_xml::escape::escape;

use super::footer::{Tag, HEADER};
use super::reader::Vlsv;
use super::velocity::CellBlocks;
use crate::array::{Endian, ReadAt};
use crate::error::{Error, Result};
use crate::io::bytes::{Joined, Window};

impl Vlsv {
    /// The file as it would be had only these spatial cells saved their distributions, in the file's own order: the same arrays but for those of
    /// velocity blocks, behind each other, and a footer that says so. Nothing is read before the result is.
    /// Errors: `InvalidArgument` for a cell without a distribution, and where the file has none; `Corrupt`.
    pub fn of_cells(&self, cells: &[u64]) -> Result<Arc<dyn ReadAt>> {
        let populations: Vec<String> = self.populations().into_iter().map(String::from).collect();
        if populations.is_empty() {
            return Err(Error::invalid("expected velocity distributions, found a file without"));
        }
        let mut kept: Vec<(String, Vec<CellBlocks>, Vec<usize>)> = Vec::new();
        for p in populations {
            let all = self.cells_with_blocks(&p)?;
            let places: Vec<usize> =
                (0..all.len()).filter(|i| all.get(*i).is_some_and(|c| cells.contains(&c.cell))).collect();
            kept.push((p, places.iter().filter_map(|i| all.get(*i).copied()).collect(), places));
        }
        if let Some(absent) = cells.iter().find(|c| !kept.iter().any(|(_, of, _)| of.iter().any(|k| k.cell == **c))) {
            let some: Vec<u64> = self.some_cells(8)?;
            return Err(Error::invalid(format!(
                "expected cells that keep a distribution ({some:?}, ...), found {absent}"
            )));
        }
        let mut parts = vec![Window::of(vec![0; HEADER as usize])];
        let (mut at, mut elements) = (HEADER, String::from("<VLSV>\n"));
        for tag in self.tags() {
            let of = kept.iter().find(|(p, ..)| self.is_of_population(tag, p));
            let (windows, vectors) = match (tag.stored, of) {
                (Some(_), Some((_, blocks, places))) => self.rows(tag, blocks, places)?,
                (Some(s), None) => (vec![self.window(s.offset, s.bytes().unwrap_or(u64::MAX))], s.vectors),
                (None, _) => (Vec::new(), 0),
            };
            elements += &element(tag, vectors, tag.stored.map(|_| at));
            at += windows.iter().map(|w| w.length).sum::<u64>();
            parts.extend(windows);
        }
        elements += "</VLSV>\n";
        let offset = match self.endian() {
            Endian::Little => at.to_le_bytes(),
            Endian::Big => at.to_be_bytes(),
        };
        let mut header = vec![u8::from(self.endian() == Endian::Big), 0, 0, 0, 0, 0, 0, 0];
        header.extend(offset);
        if let Some(first) = parts.first_mut() {
            *first = Window::of(header);
        }
        parts.push(Window::of(elements.into_bytes()));
        Ok(Arc::new(Joined::new(parts)))
    }
    /// The first cells that keep a distribution.
    fn some_cells(&self, n: usize) -> Result<Vec<u64>> {
        let mut some = Vec::new();
        for p in self.populations() {
            some.extend(self.cells_with_blocks(p)?.iter().map(|c| c.cell));
        }
        some.truncate(n);
        Ok(some)
    }
    fn window(&self, start: u64, length: u64) -> Window {
        Window { bytes: self.bytes().clone(), start, length }
    }
    /// Whether an array holds something for each cell or block of a population.
    fn is_of_population(&self, tag: &Tag, population: &str) -> bool {
        ["CELLSWITHBLOCKS", "BLOCKSPERCELL", "BLOCKIDS", "BLOCKVARIABLE"]
            .iter()
            .any(|t| self.of_population(t, population).is_ok_and(|found| found == tag))
    }
    /// The vectors of some cells in an array of a population, and how many they are.
    fn rows(&self, tag: &Tag, blocks: &[CellBlocks], places: &[usize]) -> Result<(Vec<Window>, u64)> {
        let Some(stored) = tag.stored else { return Ok((Vec::new(), 0)) };
        let size = stored.size.saturating_mul(stored.components);
        let each = match tag.tag.as_str() {
            "CELLSWITHBLOCKS" | "BLOCKSPERCELL" => places.iter().map(|i| (*i, 1)).collect(),
            _ => blocks.iter().map(|b| (b.first, b.count)).collect::<Vec<_>>(),
        };
        let mut windows: Vec<Window> = Vec::new();
        let mut vectors = 0;
        for (first, count) in each {
            let (first, count) = (first as u64, count as u64);
            if first.checked_add(count).is_none_or(|end| end > stored.vectors) {
                return Err(
                    Error::corrupt(format!("expected {count} vectors from {first}, found {}", stored.vectors)).at(tag)
                );
            }
            vectors += count;
            let (start, length) = (stored.offset.saturating_add(first * size), count * size);
            match windows.last_mut() {
                Some(w) if w.start + w.length == start => w.length += length,
                _ => windows.push(self.window(start, length)),
            }
        }
        Ok((windows, vectors))
    }
}

/// An element of the footer with another number of vectors, at another place.
fn element(tag: &Tag, vectors: u64, at: Option<u64>) -> String {
    let mut text = format!("   <{}", tag.tag);
    for (key, value) in &tag.attributes {
        let value = if key == "arraysize" && at.is_some() { vectors.to_string() } else { value.clone() };
        text += &format!(" {key}=\"{}\"", escape(value.as_str()));
    }
    text + &match at {
        Some(at) => format!(">{at}</{}>\n", tag.tag),
        None => "/>\n".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::File;
    use super::*;
    use crate::array::Buffer;
    use crate::error::ErrorKind;

    /// Three cells with 1, 2 and 1 blocks of 2^3, between arrays of other things.
    fn file(endian: Endian) -> Vec<u8> {
        let of = [("name", "a<b"), ("mesh", "SpatialGrid")];
        File::new(endian)
            .array("VARIABLE", &[("name", "x")], 2, Buffer::F64(vec![1.0, 2.0, 3.0, 4.0]))
            .array("CELLSWITHBLOCKS", &[("name", "p")], 1, Buffer::U64(vec![30, 10, 20]))
            .array("BLOCKSPERCELL", &[("name", "p")], 1, Buffer::U32(vec![1, 2, 1]))
            .array("BLOCKIDS", &[("name", "p")], 1, Buffer::U32(vec![5, 6, 7, 8]))
            .array("BLOCKVARIABLE", &[("name", "p")], 8, Buffer::F32((0..32).map(|v| v as f32).collect()))
            .element("<PARAMETERS name=\"dt\" value=\"0.25\"/>")
            .array("PARAMETER", &[("name", "&lt;t"), of[1]], 1, Buffer::F64(vec![2.5]))
            .finish()
    }

    #[test]
    fn the_blocks_of_some_cells_and_all_else_are_kept() {
        for endian in [Endian::Little, Endian::Big] {
            let all = Vlsv::open(Arc::new(file(endian))).unwrap();
            let some = Vlsv::open(all.of_cells(&[20, 10]).unwrap()).unwrap();
            let cells: Vec<_> = some.cells_with_blocks("p").unwrap().iter().map(|c| (c.cell, c.count)).collect();
            assert_eq!(cells, [(10, 2), (20, 1)], "in the order of the file");
            for cell in [10, 20] {
                let ((i, x), (j, y)) = (all.blocks("p", cell).unwrap(), some.blocks("p", cell).unwrap());
                assert_eq!((i, x.data(), x.shape()), (j, y.data(), y.shape()));
            }
            assert_eq!(some.blocks("p", 30).unwrap_err().kind(), ErrorKind::InvalidArgument);
            let x = some.read(some.find("VARIABLE", Some("x"), None).unwrap()).unwrap();
            assert_eq!((x.shape().dims(), x.as_typed::<f64>()), (&[2, 2][..], Some(&[1.0, 2.0, 3.0, 4.0][..])));
            assert_eq!((some.parameter("dt").unwrap(), some.parameter("<t").unwrap()), (0.25, 2.5));
            assert_eq!(some.tags().len(), all.tags().len());
            let all_again = Vlsv::open(all.of_cells(&[10, 20, 30]).unwrap()).unwrap();
            assert_eq!(all_again.blocks("p", 30).unwrap().0, [5]);
        }
    }

    #[test]
    fn cells_that_are_not_there_are_named() {
        let v = Vlsv::open(Arc::new(file(Endian::Little))).unwrap();
        let Err(e) = v.of_cells(&[10, 11]) else { panic!("cell 11 is not there") };
        assert!(e.kind() == ErrorKind::InvalidArgument && e.message().contains("found 11"), "{e}");
        let none = File::new(Endian::Little).array("PARAMETER", &[("name", "t")], 1, Buffer::F64(vec![1.0]));
        assert!(Vlsv::open(Arc::new(none.finish())).unwrap().of_cells(&[1]).is_err());
    }

    #[test]
    fn joined_bytes_are_read_across_parts() {
        let part = |from: u8, n: u8| Window::of((from..from + n).collect());
        let mut second = part(3, 5);
        (second.start, second.length) = (1, 3);
        let joined = Joined::new(vec![part(0, 4), Window::of(Vec::new()), second, part(7, 3)]);
        let all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(joined.size(), Ok(10));
        for from in 0..=all.len() {
            for to in from..=all.len() {
                let mut out = vec![0; to - from];
                joined.read_at(from as u64, &mut out).unwrap();
                assert_eq!(out, all[from..to]);
            }
        }
        assert_eq!(joined.read_at(9, &mut [0; 2]).unwrap_err().kind(), ErrorKind::Truncated);
        assert_eq!(joined.read_at(u64::MAX, &mut [0; 2]).unwrap_err().kind(), ErrorKind::Truncated);
    }
}
