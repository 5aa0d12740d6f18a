//! NumPy's `.npz`: a zip archive of `.npy` members, stored (`numpy.savez`) or deflated (`numpy.savez_compressed`).
//!
//! Specification: the documentation of `numpy.savez`; APPNOTE.TXT of PKWARE for zip.
//!
//! # Format
//!
//! The restored file has the same members, by name, order and method (0 stored, 8 deflated), dated 1980-01-01 as NumPy
//! does. Each member is the same to the byte, if its values are; the zip structure around them need not be.
//!
//! | template | content |
//! |---|---|
//! | `members[i].name`, `.deflated` | name in the archive, and whether it is deflated |
//! | `members[i].layout` | where the array lies in the member (a [`Layout`]) |
//!
//! The verbatim bytes are one section per member (varint length, then the bytes that belong to no array). Members that
//! hold no array of our types are kept whole.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::bytes::{Lazy, Reader, Slot, Window, Writer};
use super::format::{Arrays, Dataset, Format, OpenOptions};
use super::layout::Layout;
use super::npy::Header;
use super::output::Output;
use crate::array::ReadAt;
use crate::bits::{put_section, ByteReader};
use crate::error::{Error, ErrorKind, Result};

/// The most bytes kept of members that hold no array of our types.
const MAX_VERBATIM: u64 = 1 << 30;
/// Deflate makes at most 1032 bytes of one (two bits for 258); a member that claims more is not what it says.
const MAX_RATIO: u64 = 1032;
/// How much of a deflated member is looked at to find the header of its array.
const PREFIX: u64 = (1 << 16) + 12;

/// The format `npz`.
pub(super) struct Npz;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    members: Vec<Member>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    name: String,
    deflated: bool,
    layout: Layout,
}

impl Format for Npz {
    fn id(&self) -> &'static str {
        "npz"
    }
    fn doc(&self) -> &'static str {
        "NumPy zip archive of arrays, stored or deflated"
    }
    fn matches(&self, name: &str, head: &[u8]) -> bool {
        let named = name.to_ascii_lowercase().ends_with(".npz");
        // The first local header: the length of the member's name at 26, the name at 30.
        let member = head.get(30..).unwrap_or_default();
        let length = head.get(26..28).map_or(0, |n| usize::from(n[0]) | usize::from(n[1]) << 8);
        let holds_array = member.get(..length).is_some_and(|n| n.ends_with(b".npy"));
        head.starts_with(b"PK\x03\x04") && (named || holds_array) || head.starts_with(b"PK\x05\x06") && named
    }
    fn open(&self, _name: &str, bytes: Arc<dyn ReadAt>, _options: &OpenOptions) -> Result<Dataset> {
        let mut zip = ZipArchive::new(Reader { bytes: bytes.clone(), at: 0 }).map_err(failed)?;
        let shared = || Error::corrupt("expected members with different names and places, found some that share them");
        if zip.has_duplicate_names() || zip.has_overlapping_files().map_err(failed)? {
            return Err(shared());
        }
        // Different bytes can be one name, in the different encodings of names.
        let mut names = HashSet::new();
        let slot = Slot::default();
        let (mut members, mut verbatim, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..zip.len() {
            let (name, deflated, member) = member(&mut zip, index, &bytes, &slot)?;
            if !names.insert(name.clone()) {
                return Err(shared());
            }
            let place = |e: Error| e.at(format!("member {name:?}"));
            let mut layout = Layout::new(member.size()?);
            match Header::read(&member) {
                Ok(h) if name.ends_with(".npy") => {
                    let array = name.strip_suffix(".npy").unwrap_or(&name);
                    let source = layout.add(array, h.dtype, h.shape, h.placement(), &member).map_err(place)?;
                    arrays.push(h.describe(array, source));
                }
                Err(e) if name.ends_with(".npy") && e.kind() != ErrorKind::Unsupported => return Err(place(e)),
                _ => {
                    let total = verbatim.len() as u64;
                    if total.saturating_add(layout.length()) > MAX_VERBATIM {
                        let n = layout.length();
                        return Err(place(Error::limit(format!(
                            "expected at most {MAX_VERBATIM} bytes of members without arrays, found {total} and {n}"
                        ))));
                    }
                }
            }
            put_section(&mut verbatim, &layout.verbatim(&member).map_err(place)?);
            members.push(Member { name, deflated, layout });
        }
        let template = serde_json::to_value(Template { members })
            .map_err(|e| Error::invalid(format!("expected a template that can be written: {e}")))?;
        Ok(Dataset { format: self.id(), template, verbatim, arrays })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        let template = Template::deserialize(template)
            .map_err(|e| Error::corrupt(format!("expected the members of a zip archive: {e}")))?;
        let mut sections = ByteReader::new(verbatim);
        let mut zip = ZipWriter::new(Writer { out, at: 0 });
        for member in template.members {
            let mut bytes = Vec::new();
            member.layout.complete()?.restore(sections.section()?, arrays, &mut bytes)?;
            let method = if member.deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
            let options = SimpleFileOptions::default()
                .compression_method(method)
                .last_modified_time(DateTime::default())
                .large_file(bytes.len() >= u32::MAX as usize);
            zip.start_file(member.name.as_str(), options).map_err(failed)?;
            zip.write_all(&bytes)?;
        }
        sections.end()?;
        zip.finish().map_err(failed)?;
        Ok(())
    }
}

/// Name, whether deflated, and the content of member `index`.
fn member(
    zip: &mut ZipArchive<Reader>,
    index: usize,
    bytes: &Arc<dyn ReadAt>,
    slot: &Slot,
) -> Result<(String, bool, Arc<dyn ReadAt>)> {
    let (name, method, size, packed, start) = {
        let m = zip.by_index_raw(index).map_err(failed)?;
        let name = m.name().map_err(failed)?.into_owned();
        let plain = m.is_file() && !m.encrypted();
        let method = m.compression();
        if !plain || !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(Error::unsupported(format!(
                "member {name:?}: expected a file that is stored or deflated, found method {method}{}",
                if plain { "" } else { ", a directory or encrypted" }
            )));
        }
        (name, method, m.size(), m.compressed_size(), m.data_start())
    };
    let start = start.ok_or_else(|| Error::corrupt(format!("member {name:?}: expected its data in the archive")))?;
    if method == CompressionMethod::Stored {
        if size != packed || start.checked_add(size).is_none_or(|end| bytes.size().is_ok_and(|s| end > s)) {
            return Err(Error::truncated(format!("member {name:?}: expected {size} bytes from {start}")));
        }
        return Ok((name, false, Arc::new(Window { bytes: bytes.clone(), start, length: size })));
    }
    if size > packed.saturating_mul(MAX_RATIO) {
        return Err(Error::corrupt(format!("member {name:?}: expected {size} bytes, found {packed} deflated ones")));
    }
    let mut prefix = Vec::new();
    zip.by_index(index).map_err(failed)?.take(PREFIX.min(size)).read_to_end(&mut prefix)?;
    let archive = zip.clone();
    let load = Box::new(move || {
        let mut zip = archive.clone();
        let mut member = zip.by_index(index).map_err(failed)?;
        let mut out = Vec::new();
        out.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))
            .map_err(|_| Error::limit(format!("expected memory for {size} bytes, found too little")))?;
        (&mut member).take(size).read_to_end(&mut out)?;
        // Reading on to the end compares the checksum.
        if out.len() as u64 != size || member.read(&mut [0])? != 0 {
            return Err(Error::corrupt(format!("expected a member of {size} bytes, found another length")));
        }
        Ok(out)
    });
    Ok((name, true, Arc::new(Lazy { key: index, slot: slot.clone(), size, prefix, load })))
}

fn failed(e: ZipError) -> Error {
    match e {
        ZipError::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => Error::corrupt(e.to_string()),
        ZipError::Io(e) => Error::from(e),
        ZipError::UnsupportedArchive(m) => Error::unsupported(format!("expected a plain zip archive: {m}")),
        e => Error::corrupt(format!("expected a zip archive: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, DType, Shape};
    use crate::io::npy::header;
    use crate::io::testing::{read_all, restored};

    const NONE: OpenOptions = OpenOptions { shape: None, dtype: None, endian: crate::array::Endian::Little, offset: 0 };

    fn npy(values: &[i32]) -> Vec<u8> {
        let mut out = header(DType::I32, &Shape::new(&[values.len()]).unwrap());
        out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        out
    }

    fn pack(members: &[(&str, bool, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut zip = ZipWriter::new(Writer { out: &mut out, at: 0 });
        for (name, deflated, bytes) in members {
            let method = if *deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        out
    }

    fn unpack(bytes: &[u8]) -> Vec<(String, bool, Vec<u8>)> {
        let mut zip = ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let n = zip.len();
        let one = |i| {
            let mut m = zip.by_index(i).unwrap();
            let mut b = Vec::new();
            m.read_to_end(&mut b).unwrap();
            (m.name().unwrap().into_owned(), m.compression() == CompressionMethod::Deflated, b)
        };
        (0..n).map(one).collect()
    }

    fn sample() -> Vec<(&'static str, bool, Vec<u8>)> {
        let strings = [&npy(&[])[..], b"abc"].concat().iter().map(|&b| if b == b'i' { b'S' } else { b }).collect();
        vec![
            ("b.npy", true, npy(&[1, 2, 3])),
            ("a/c.npy", false, npy(&[-4, 5])),
            ("names.npy", true, strings),
            ("notes.txt", true, b"notes".to_vec()),
        ]
    }

    #[test]
    fn members_come_back_in_order_and_as_they_were_packed() {
        let file = pack(&sample());
        assert!(Npz.matches("x.zip", &file[..100]) && !Npz.matches("x.zip", &pack(&sample()[3..])));
        let arrays = read_all(&Npz, "x.npz", &file, &NONE).unwrap();
        let want = [("b", vec![1, 2, 3]), ("a/c", vec![-4, 5])];
        assert_eq!(arrays.len(), 2);
        for ((name, a), (n, v)) in arrays.iter().zip(want) {
            assert_eq!((name.as_str(), a), (n, &Array::from_vec(&[v.len()], v).unwrap()));
        }
        let back = unpack(&restored(&Npz, "x.npz", &file, &NONE, |_, a| a).unwrap());
        let want: Vec<_> = sample().into_iter().map(|(n, d, b)| (n.to_string(), d, b)).collect();
        assert_eq!(back, want);
        let changed = restored(&Npz, "x.npz", &file, &NONE, |n, a| {
            if n == "b" {
                Array::from_vec(&[3], vec![7, 8, 9]).unwrap()
            } else {
                a
            }
        });
        assert_eq!(unpack(&changed.unwrap())[0].2, npy(&[7, 8, 9]));
        let empty = pack(&[]);
        assert_eq!(restored(&Npz, "x.npz", &empty, &NONE, |_, a| a).unwrap(), empty);
    }

    /// `numpy.savez_compressed(f, a=arange(3, dtype='>u2'))` of NumPy 2.4.
    const FROM_NUMPY: &[u8] =
        b"PK\x03\x04-\x00\x00\x00\x08\x00\x00\x00!\x00\xfa%[\xb9\xff\xff\xff\xff\xff\xff\xff\xff\x05\x00\x14\x00a.n\
        py\x01\x00\x10\x00\x86\x00\x00\x00\x00\x00\x00\x00J\x00\x00\x00\x00\x00\x00\x00\x9b\xec\x17\xea\x1b\x10\
        \xc9\xc8P\xc6P\xad\x9e\x92Z\x9c\x5c\xa4n\xa5\xa0nWj\xa4\xae\xa3\xa0\x9e\x96_TR\x94\x98\x17\x9f_\x94\x92\
        \x0a\x12wK\xcc)N\x05\x8a\x17g$\x16\xa4\x02\xf9\x1a\xc6:\x9a:\x0a\xb5\x0a\x14\x00.\x06\x06\x06F\x06&\x00PK\
        \x01\x02-\x03-\x00\x00\x00\x08\x00\x00\x00!\x00\xfa%[\xb9J\x00\x00\x00\x86\x00\x00\x00\x05\x00\x00\x00\
        \x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00a.npyPK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x003\
        \x00\x00\x00\x81\x00\x00\x00\x00\x00";

    #[test]
    fn files_written_by_numpy_are_read() {
        assert!(Npz.matches("", FROM_NUMPY));
        let arrays = read_all(&Npz, "x.npz", FROM_NUMPY, &NONE).unwrap();
        assert_eq!(arrays, [("a".to_string(), Array::from_vec(&[3], vec![0u16, 1, 2]).unwrap())]);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let good = pack(&sample());
        for cut in 0..good.len() {
            assert!(read_all(&Npz, "x.npz", &good[..cut], &NONE).is_err(), "{cut}");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = restored(&Npz, "x.npz", &bad, &NONE, |_, a| a);
            }
        }
    }

    #[test]
    fn every_array_has_a_name_of_its_own() {
        let array = |v: u8| [header(DType::U8, &Shape::new(&[1]).unwrap()), vec![v]].concat();
        let good = pack(&[("a.npy", false, array(1)), ("a.npy.npy", false, array(2))]);
        let arrays = read_all(&Npz, "x.npz", &good, &NONE).unwrap();
        assert_eq!(arrays.iter().map(|a| a.0.as_str()).collect::<Vec<_>>(), ["a", "a.npy"]);
        restored(&Npz, "x.npz", &good, &NONE, |_, a| a).unwrap();
        // The letter once in UTF-8, and once in code page 437, which is what bytes without a flag are.
        let mut bad = pack(&[("\u{e9}.npy", false, array(1)), ("_.npy", false, array(2))]);
        for at in 0..bad.len() - 5 {
            if &bad[at..at + 5] == b"_.npy" {
                bad[at] = 0x82;
            }
        }
        let e = read_all(&Npz, "x.npz", &bad, &NONE).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && e.message().contains("different names"), "{e}");
    }

    #[test]
    fn a_member_cannot_claim_more_than_deflate_can_make() {
        let mut bomb = header(DType::U8, &Shape::new(&[1 << 20]).unwrap());
        bomb.resize(128 + (1 << 20), 0);
        let good = pack(&[("a.npy", true, bomb)]);
        assert_eq!(read_all(&Npz, "x.npz", &good, &NONE).unwrap()[0].1.shape().len(), 1 << 20);
        // The sizes in the central directory: deflated 20 bytes from its signature, original 24.
        let mut bad = good.clone();
        let at = bad.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap() + 24;
        bad[at..at + 4].copy_from_slice(&0x4000_0000u32.to_le_bytes());
        assert_eq!(read_all(&Npz, "x.npz", &bad, &NONE).unwrap_err().kind(), ErrorKind::Corrupt);
        // A size that is merely wrong is found when the member is read.
        bad[at..at + 4].copy_from_slice(&(128u32 + (1 << 20) + 1).to_le_bytes());
        assert!(read_all(&Npz, "x.npz", &bad, &NONE).is_err());
    }
}
