//! Reading field files as arrays, and putting them together again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::extremes::{Extremes, PAIR};
use super::header::{Header, LEGACY, STANDARD};
use crate::array::{DType, Endian, Placement, ReadAt, Shape};
use crate::error::{Error, Result};
use crate::io::format::{Arrays, Dataset, FileArray, Format, OpenOptions, Role};
use crate::io::layout::Layout;
use crate::io::output::Output;

/// Nek5000, NekRS and Neko field files.
///
/// Arrays: `element_map` `[nel]` (not in legacy files); then `x y z` (coordinates), `ux uy uz p t s01 ...` (fields), as
/// far as the file has them, all `[nel, lz, ly, lx]`, or `[nel, ly, lx]` where lz = 1. The first array of a file carries
/// all that the header says (`rdcode`, `lx`, `nelgt`, ...) as attributes, the others `time` and `istep`.
pub static NEK: &dyn Format = &Nek;

/// The number that tells the byte order.
const TAG: f32 = 6.54321;

struct Nek;

/// What an archive keeps to put the file together again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    layout: Layout,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extremes: Vec<Extremes>,
}

impl Format for Nek {
    fn id(&self) -> &'static str {
        "nek"
    }
    fn doc(&self) -> &'static str {
        "Nek5000, NekRS and Neko field files (.f00001, and legacy binary .fld01)"
    }
    fn matches(&self, name: &str, head: &[u8]) -> bool {
        if head.starts_with(b"#std") {
            return true;
        }
        let tagged = head.get(LEGACY..LEGACY + 4).is_some_and(|b| byte_order(b).is_some());
        // Legacy text files are known by their names, so that they can be refused with a reason.
        let named = name.rsplit_once('.').is_some_and(|(_, end)| end.starts_with("fld"));
        (tagged || named) && Header::legacy(head).is_ok()
    }
    fn open(&self, _: &str, bytes: Arc<dyn ReadAt>, _: &OpenOptions) -> Result<Dataset> {
        let size = bytes.size()?;
        let mut head = [0; STANDARD + 4];
        let head = &mut head[..(STANDARD + 4).min(usize::try_from(size).unwrap_or(usize::MAX))];
        bytes.read_at(0, head)?;
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
        let mut file = Open { layout: Layout::new(size), arrays: Vec::new(), header, endian, bytes };
        let mut at = length as u64 + 4;
        if standard {
            let elements = file.elements()?;
            // Checked before anything is made of the number.
            let end =
                file.header.elements.checked_mul(4).and_then(|n| n.checked_add(at)).ok_or_else(|| file.absurd())?;
            if end > size {
                return Err(short(end, size));
            }
            let place = Placement { offset: at, strides: vec![4], endian };
            file.add("element_map", Role::Id, DType::I32, Shape::new(&[elements])?, place)?;
            at = end;
        }
        let extremes = file.add_groups(at)?;
        // Only standard files in three dimensions have extremes.
        let mut kept = Vec::new();
        for e in extremes.into_iter().filter(|_| standard && file.header.dimensions() == 3) {
            let Some(length) = e.length().filter(|n| e.at.checked_add(*n).is_some_and(|end| end <= size)) else {
                break;
            };
            if length > 0 && e.hold_in(&file.bytes)? {
                file.layout.derive(e.at, length);
                kept.push(e);
            }
        }
        let verbatim = file.layout.verbatim(&file.bytes)?;
        let template = Template { layout: file.layout, extremes: kept };
        let template = serde_json::to_value(template)
            .map_err(|e| Error::invalid(format!("expected a template that can be written: {e}")))?;
        Ok(Dataset { format: "nek", template, verbatim, arrays: file.arrays })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        let template: Template = serde::Deserialize::deserialize(template)
            .map_err(|e| Error::corrupt(format!("expected the template of a field file: {e}")))?;
        let stretches = template.extremes.iter().map(|e| Some((e.at, e.length()?)));
        if !stretches.eq(template.layout.derived().iter().map(|d| Some(*d))) {
            return Err(Error::corrupt("expected extremes in all places without other bytes, found them elsewhere"));
        }
        template.layout.restore(verbatim, arrays, out)?;
        template.extremes.iter().try_for_each(|e| e.write(out))
    }
}

/// A file on its way to becoming a data set.
struct Open {
    layout: Layout,
    arrays: Vec<FileArray>,
    header: Header,
    endian: Endian,
    bytes: Arc<dyn ReadAt>,
}

impl Open {
    fn absurd(&self) -> Error {
        Error::corrupt(format!("expected sizes that fit a file, found {} elements", self.header.elements))
    }
    fn elements(&self) -> Result<usize> {
        usize::try_from(self.header.elements).map_err(|_| self.absurd())
    }
    fn add(&mut self, name: &str, role: Role, dtype: DType, shape: Shape, at: Placement) -> Result<()> {
        let source = self.layout.add(name, dtype, shape, at, &self.bytes)?;
        let all = &self.header.attributes;
        let attributes = if self.arrays.is_empty() {
            all.clone()
        } else {
            ["time", "istep"].iter().filter_map(|k| Some((k.to_string(), all.get(*k)?.clone()))).collect::<Map<_, _>>()
        };
        self.arrays.push(FileArray { name: name.into(), role, attributes, source });
        Ok(())
    }
    /// Adds all groups, which begin at byte `at`, and returns where the extremes of each would be.
    fn add_groups(&mut self, mut at: u64) -> Result<Vec<Extremes>> {
        let Header { word, nodes, elements, .. } = self.header;
        let size = self.layout.length();
        let groups = std::mem::take(&mut self.header.groups);
        let fields = groups.iter().map(|g| g.len() as u64).sum::<u64>();
        let points = nodes.iter().map(|&n| n as u64).product::<u64>();
        let runs = elements.checked_mul(fields).ok_or_else(|| self.absurd())?;
        let end = |width: u64| runs.checked_mul(points)?.checked_mul(width)?.checked_add(at);
        let (end4, end8) = end(4).zip(end(8)).ok_or_else(|| self.absurd())?;
        let width = word.size() as u64;
        let (here, there) = if width == 4 { (end4, end8) } else { (end8, end4) };
        // A file that ends where values of the other width would, and not where its own would, lies about the width.
        let fits = |end: u64| end == size || runs.checked_mul(PAIR).and_then(|n| n.checked_add(end)) == Some(size);
        if runs > 0 && fits(there) && !fits(here) {
            return Err(Error::corrupt(format!(
                "expected values of {} bytes, found {width} in the header",
                12 - width
            )));
        }
        if here > size {
            return Err(short(here, size));
        }
        let (run, line) = (points * width, nodes[2] as u64 * width);
        let mut shape = vec![self.elements()?, nodes[0], nodes[1], nodes[2]];
        let mut strides = vec![0, nodes[1] as u64 * line, line, width];
        if self.header.dimensions() == 2 {
            shape.remove(1);
            strides.remove(1);
        }
        let shape = Shape::new(&shape).map_err(|_| self.absurd())?;
        let mut pairs = here;
        let mut extremes = Vec::with_capacity(groups.len());
        for group in groups {
            let runs = elements * group.len() as u64;
            strides[0] = group.len() as u64 * run;
            for (k, name) in group.iter().enumerate() {
                let role = if matches!(name.as_str(), "x" | "y" | "z") { Role::Coordinate } else { Role::Field };
                let place = Placement { offset: at + k as u64 * run, strides: strides.clone(), endian: self.endian };
                self.add(name, role, word, shape, place)?;
            }
            extremes.push(Extremes { at: pairs, data: at, runs, points, word, endian: self.endian });
            at += runs * run;
            pairs = pairs.saturating_add(runs.saturating_mul(PAIR));
        }
        Ok(extremes)
    }
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

fn short(expected: u64, size: u64) -> Error {
    Error::truncated(format!("expected a field file of at least {expected} bytes, found {size}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, Buffer};
    use crate::error::ErrorKind;
    use crate::io::testing::{read_all, restored, shared, Decoded};

    const NONE: OpenOptions = OpenOptions { shape: None, dtype: None, endian: Endian::Little, offset: 0 };

    /// A field file to be written.
    #[derive(Clone, Copy)]
    struct Sample {
        word: usize,
        big: bool,
        nodes: [usize; 3],
        elements: usize,
        all: usize,
        code: &'static str,
        /// Components of each group.
        groups: &'static [usize],
        legacy: bool,
    }

    const SAMPLES: [Sample; 6] = {
        let solid = Sample {
            word: 4,
            big: false,
            nodes: [3, 2, 4],
            elements: 3,
            all: 5,
            code: "XUPTS02",
            groups: &[3, 3, 1, 1, 1, 1],
            legacy: false,
        };
        let flat = Sample { nodes: [1, 3, 4], code: "XUS01", groups: &[2, 2, 1], ..solid };
        [
            solid,
            Sample { word: 8, big: true, code: "UP", groups: &[3, 1], ..solid },
            flat,
            Sample { word: 8, big: true, all: 3, ..flat },
            Sample { code: "X Y Z U P T 1 2", groups: &[10], legacy: true, ..solid },
            Sample { code: "U P", groups: &[3], legacy: true, big: true, ..flat },
        ]
    };

    impl Sample {
        fn value(&self, group: usize, element: usize, component: usize, k: usize) -> f64 {
            let seed = (group * 1009 + element * 101 + component * 37 + k * 13) % 997;
            let v = seed as f64 / 31.0 - 11.0;
            if self.word == 4 {
                f64::from(v as f32)
            } else {
                v
            }
        }
        fn points(&self) -> usize {
            self.nodes.iter().product()
        }
        /// The bytes of the file, and where its data ends.
        fn bytes(&self) -> (Vec<u8>, usize) {
            let order = |b: &mut Vec<u8>, mut v: Vec<u8>| {
                if self.big {
                    v.reverse();
                }
                b.extend(v);
            };
            let [lz, ly, lx] = self.nodes;
            let (n, all, code) = (self.elements, self.all, self.code);
            let mut b = if self.legacy {
                format!("{n:4}{lx:4}{ly:4}{lz:4} 2.5000000E+00   12 {code:30}  {} NELT,NX,N ", self.word)
            } else {
                let w = self.word;
                let start = format!("#std {w} {lx:2} {ly:2} {lz:2} {n:10} {all:10}  2.5000000000000E+00");
                format!("{start:58} {:9} {:6} {:6} {code:10}  1.0000000E+00 F", 12, 0, 2)
            }
            .into_bytes();
            b.resize(if self.legacy { 80 } else { 132 }, b' ');
            order(&mut b, 6.54321f32.to_le_bytes().to_vec());
            for e in (0..n as i32).filter(|_| !self.legacy) {
                order(&mut b, (7 - 2 * e).to_le_bytes().to_vec());
            }
            let mut extremes = Vec::new();
            for (g, &components) in self.groups.iter().enumerate() {
                for (e, c) in (0..n).flat_map(|e| (0..components).map(move |c| (e, c))) {
                    let values: Vec<f64> = (0..self.points()).map(|k| self.value(g, e, c, k)).collect();
                    for &v in &values {
                        let narrow = (v as f32).to_le_bytes().to_vec();
                        order(&mut b, if self.word == 4 { narrow } else { v.to_le_bytes().to_vec() });
                    }
                    for v in
                        [values.iter().copied().fold(f64::MAX, f64::min), values.into_iter().fold(f64::MIN, f64::max)]
                    {
                        order(&mut extremes, (v as f32).to_le_bytes().to_vec());
                    }
                }
            }
            let end = b.len();
            if !self.legacy && lz > 1 {
                b.extend(extremes);
            }
            (b, end)
        }
    }

    fn as_f64(a: &Array) -> Vec<f64> {
        crate::dispatch!(Slice, a.data(), v => v.iter().map(|x| crate::array::Element::to_f64(*x)).collect())
    }

    fn open(bytes: &[u8]) -> Result<Dataset> {
        NEK.open("a0.f00001", Arc::new(bytes.to_vec()), &NONE)
    }

    #[test]
    fn synthetic_files_have_their_arrays_and_come_back() {
        for s in SAMPLES {
            let (bytes, end) = s.bytes();
            assert!(NEK.matches("a0.f00001", &bytes[..bytes.len().min(512)]));
            let arrays = read_all(NEK, "", &bytes, &NONE).unwrap();
            let mut fields = arrays.iter();
            if !s.legacy {
                let (name, map) = fields.next().unwrap();
                assert_eq!((name.as_str(), as_f64(map)), ("element_map", vec![7.0, 5.0, 3.0]));
            }
            let [lz, ly, lx] = s.nodes;
            let shape = if lz > 1 { vec![3, lz, ly, lx] } else { vec![3, ly, lx] };
            for (g, &components) in s.groups.iter().enumerate() {
                for c in 0..components {
                    let (name, a) = fields.next().unwrap();
                    assert_eq!((*a.shape()).to_vec(), shape, "{name}");
                    assert_eq!(a.dtype().size(), s.word);
                    let cells = (0..3).flat_map(|e| (0..s.points()).map(move |k| (e, k)));
                    assert_eq!(as_f64(a), cells.map(|(e, k)| s.value(g, e, c, k)).collect::<Vec<_>>(), "{name}");
                }
            }
            assert!(fields.next().is_none());
            let d = open(&bytes).unwrap();
            let header = if s.legacy { 84 } else { 136 };
            assert_eq!(d.verbatim.len(), header, "extremes are not stored");
            assert_eq!((&d.arrays[0].attributes["time"], &d.arrays[0].attributes["istep"]), (&2.5.into(), &12.into()));
            assert!(restored(NEK, "", &bytes, &NONE, |_, a| a).unwrap() == bytes);
            // Whatever follows, and extremes that are cut short or not true, are kept as they are.
            let mut odd = bytes.clone();
            odd.extend(b"and more");
            assert!(restored(NEK, "", &odd, &NONE, |_, a| a).unwrap() == odd);
            if bytes.len() > end {
                for cut in end..bytes.len() {
                    assert!(restored(NEK, "", &bytes[..cut], &NONE, |_, a| a).unwrap() == bytes[..cut]);
                }
                let mut odd = bytes.clone();
                odd[end + 1] ^= 1;
                assert!(open(&odd).unwrap().verbatim.len() > header);
                assert!(restored(NEK, "", &odd, &NONE, |_, a| a).unwrap() == odd);
            }
        }
    }

    #[test]
    fn names_and_roles() {
        let (bytes, _) = SAMPLES[0].bytes();
        let d = open(&bytes).unwrap();
        let names: Vec<&str> = d.arrays.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["element_map", "x", "y", "z", "ux", "uy", "uz", "p", "t", "s01", "s02"]);
        for a in &d.arrays {
            let role = match a.name.as_str() {
                "element_map" => Role::Id,
                "x" | "y" | "z" => Role::Coordinate,
                _ => Role::Field,
            };
            assert_eq!(a.role, role);
        }
        let all = serde_json::json!({
            "time": 2.5, "istep": 12, "rdcode": "XUPTS02", "lx": 4, "ly": 2, "lz": 3, "nelgt": 5, "fid": 0,
            "nfiles": 2, "p0th": 1.0, "if_press_mesh": false
        });
        assert_eq!(Value::Object(d.arrays[0].attributes.clone()), all);
        assert_eq!(Value::Object(d.arrays[3].attributes.clone()), serde_json::json!({"time": 2.5, "istep": 12}));
        let names = |s: Sample| read_all(NEK, "", &s.bytes().0, &NONE).unwrap().into_iter().map(|a| a.0);
        assert!(names(SAMPLES[4]).eq(["x", "y", "z", "ux", "uy", "uz", "p", "t", "s01", "s02"]));
        assert!(names(SAMPLES[5]).eq(["ux", "uy", "p"]));
    }

    #[test]
    fn extremes_follow_the_data() {
        for s in SAMPLES.into_iter().filter(|s| !s.legacy) {
            let (bytes, end) = s.bytes();
            // Only the last group changes, as when a bound was set for one array.
            let last = open(&bytes).unwrap().arrays.last().unwrap().name.clone();
            let change = |name: &str, a: Array| match a.clone().into_buffer() {
                Buffer::F32(v) if name == last => {
                    Array::new(a.shape(), Buffer::F32(v.iter().map(|x| x * 1.25 + 0.1).collect())).unwrap()
                }
                Buffer::F64(v) if name == last => {
                    Array::new(a.shape(), Buffer::F64(v.iter().map(|x| x * 1.25 + 0.1).collect())).unwrap()
                }
                _ => a,
            };
            let out = restored(NEK, "", &bytes, &NONE, change).unwrap();
            assert!(out.len() == bytes.len() && out != bytes);
            if s.nodes[0] == 1 {
                continue;
            }
            let arrays = read_all(NEK, "", &out, &NONE).unwrap();
            let mut stored = out[end..].chunks_exact(4).map(|b| {
                let b = b.try_into().unwrap();
                f64::from(if s.big { f32::from_be_bytes(b) } else { f32::from_le_bytes(b) })
            });
            let mut first = 1;
            for &components in s.groups {
                for (e, c) in (0..3).flat_map(|e| (0..components).map(move |c| (e, c))) {
                    let values = &as_f64(&arrays[first + c].1)[e * s.points()..][..s.points()];
                    let narrow = |v: f64| f64::from(v as f32);
                    assert_eq!(stored.next(), Some(narrow(values.iter().copied().fold(f64::MAX, f64::min))));
                    assert_eq!(stored.next(), Some(narrow(values.iter().copied().fold(f64::MIN, f64::max))));
                }
                first += components;
            }
            assert_eq!(stored.next(), None);
            assert!(out[end..] != bytes[end..]);
        }
    }

    #[test]
    fn every_prefix_and_every_flip_is_survived() {
        for s in SAMPLES {
            let (bytes, end) = s.bytes();
            for cut in 0..end {
                let e = open(&bytes[..cut]).err().unwrap_or_else(|| panic!("prefix of {cut} bytes was taken"));
                assert!(matches!(e.kind(), ErrorKind::Truncated | ErrorKind::Corrupt), "{e}");
            }
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut b = bytes.clone();
                    b[at] ^= 1 << bit;
                    if let Ok(back) = restored(NEK, "", &b, &NONE, |_, a| a) {
                        assert!(back == b, "byte {at}, bit {bit}");
                    }
                }
            }
        }
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let tail = |text: &str| {
            let mut b = text.as_bytes().to_vec();
            b.resize(132, b' ');
            b.extend(6.54321f32.to_le_bytes());
            b.resize(4096, 0);
            b
        };
        for bad in [
            "#std 8 99 99 99 9999999999 9999999999 0.0 0 0 1 XUPTS99",
            "#std 8 99 99 99 18446744073709551615 18446744073709551615 0.0 0 0 1 X",
            "#std 8 99 99 99 4611686018427387904 4611686018427387904 0.0 0 0 1 X",
            "#std 4 99 99 99 900 900 0.0 0 0 1 X",
            "#std 4 8 8 1 1000 1000 0.0 0 0 1 X",
        ] {
            let e = open(&tail(bad)).err().unwrap();
            assert!(matches!(e.kind(), ErrorKind::Truncated | ErrorKind::Corrupt), "{e}");
        }
        // No elements, or no fields: nothing but a map.
        assert_eq!(open(&tail("#std 4 8 8 8 0 10 0.0 0 0 1 XU")).unwrap().verbatim.len(), 4096);
        assert_eq!(open(&tail("#std 4 8 8 8 10 10 0.0 0 0 1")).unwrap().arrays.len(), 1);
    }

    #[test]
    fn the_width_in_the_header_must_be_true() {
        for s in [SAMPLES[0], SAMPLES[1], SAMPLES[2], SAMPLES[3]] {
            let (mut bytes, _) = s.bytes();
            bytes[5] = if s.word == 4 { b'8' } else { b'4' };
            assert_eq!(open(&bytes).err().unwrap().kind(), ErrorKind::Corrupt);
            bytes[132] ^= 0x40;
            bytes[135] ^= 0x40;
            assert!(open(&bytes).err().unwrap().message().contains("byte order"));
        }
    }

    #[test]
    fn legacy_text_files_are_refused_with_a_reason() {
        let line = "  36   6   6   6 3.1415927E+00    0 X Y Z U P T 1 2                NELT,NX,NY,N\n";
        let text = format!("{line}{}", "  0.0000E+00".repeat(36));
        assert!(NEK.matches("a.fld01", text.as_bytes()) && !NEK.matches("a.txt", text.as_bytes()));
        assert_eq!(open(text.as_bytes()).err().unwrap().kind(), ErrorKind::Unsupported);
        assert!(!NEK.matches("a.fld01", b"not a header") && !NEK.matches("a.npy", b"\x93NUMPY"));
    }

    #[test]
    fn templates_of_archives_are_not_trusted() {
        let (bytes, end) = SAMPLES[0].bytes();
        let d = open(&bytes).unwrap();
        let arrays = Decoded(read_all(NEK, "", &bytes, &NONE).unwrap());
        let attempt = |change: &dyn Fn(&mut Value)| {
            let mut t = d.template.clone();
            change(&mut t);
            let mut out = Vec::new();
            NEK.restore(&t, &d.verbatim, &arrays, &mut out).map(|()| out)
        };
        assert!(attempt(&|_| ()).unwrap() == bytes);
        for (key, value) in [("at", 0), ("data", u64::MAX), ("data", end as u64), ("runs", 1 << 60), ("points", 0)] {
            assert!(attempt(&|t| t["extremes"][0][key] = value.into()).is_err(), "{key} = {value}");
        }
        assert!(attempt(&|t| t["extremes"][0]["word"] = "i32".into()).is_err());
        assert!(attempt(&|t| t["extremes"] = serde_json::json!([])).is_err());
        assert!(attempt(&|t| *t = Value::Null).is_err());
        assert!(attempt(&|t| t["layout"]["length"] = (bytes.len() - 1).into()).is_err());
        assert!(NEK.restore(&d.template, &d.verbatim[1..], &arrays, &mut Vec::new()).is_err());
    }

    /// Name, arrays, elements, nodes, bytes that are neither array nor computed.
    type Known = (&'static str, &'static str, usize, [usize; 3], usize);

    #[test]
    fn real_files_come_back_to_the_byte() {
        let both = "element_map x y z ux uy uz p t s01 s02";
        let known: [Known; 11] = [
            ("cylinder_mesh0.f00000", "element_map x y s01", 304, [1, 6, 6], 136),
            ("ktauChannel.fld", both, 60, [8, 8, 8], 136),
            ("mixlay.f00001", "element_map x y ux uy p t s01 s02", 1600, [1, 8, 8], 136),
            ("nek_fb2io_test.fld01", "x y z ux uy uz p t s01 s02", 36, [6, 6, 6], 84),
            ("nek_m12io_test0.f00001", both, 36, [6, 6, 6], 136),
            ("nek_m22io_test0.f00001", both, 18, [10, 10, 10], 136),
            ("nek_m22io_test0.f00002", both, 18, [6, 6, 6], 136),
            ("nek_m22io_test0.f00003", both, 18, [6, 6, 6], 136),
            ("nek_m22io_test1.f00001", both, 18, [10, 10, 10], 136),
            ("tgv_Re800_t5.f00005", "element_map x y z ux uy uz p", 216, [8, 8, 8], 136),
            ("tgv.f00001", "element_map x y z ux uy uz", 216, [8, 8, 8], 136),
        ];
        for (file, names, elements, [lz, ly, lx], verbatim) in known {
            let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/tgv.f00001");
            let bytes = if file == "tgv.f00001" { std::fs::read(sample).ok() } else { shared(&format!("sem/{file}")) };
            let Some(bytes) = bytes else { continue };
            assert!(NEK.matches(file, &bytes[..512]), "{file}");
            let d = open(&bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(d.arrays.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(" "), names, "{file}");
            let shape = if lz > 1 { vec![elements, lz, ly, lx] } else { vec![elements, ly, lx] };
            assert_eq!((*d.arrays.last().unwrap().source.shape()).to_vec(), shape, "{file}");
            eprintln!("{file}: {} bytes, {} verbatim, template {}", bytes.len(), d.verbatim.len(), d.template);
            assert_eq!(d.verbatim.len(), verbatim, "{file}");
            assert!(restored(NEK, "", &bytes, &NONE, |_, a| a).unwrap() == bytes, "{file}");
        }
    }
}
