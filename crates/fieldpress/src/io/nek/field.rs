//! Reading field files as arrays, and putting them together again.
//!
//! # Format
//!
//! The template of an archive is the JSON object `{"length": N, "extremes": [true, ...]}`: the bytes of the file, and for
//! each group of arrays whose extremes are all inside the file whether they are left out of the verbatim bytes because
//! the data tells them. Everything else follows from the header, with which the verbatim bytes begin.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{matches, Plan, HEAD};
use crate::array::{ReadAt, Source as _};
use crate::error::{Error, Result};
use crate::io::format::{Arrays, Dataset, FileArray, Format, OpenOptions};
use crate::io::output::Output;
use crate::io::Role;
use crate::sem::{extents, OnElements};

/// Nek5000, NekRS and Neko field files.
///
/// Arrays: `element_map` `[nel]` (not in legacy files); then `x y z` (coordinates), `ux uy uz p t s01 ...` (fields), as
/// far as the file has them, all `[nel, lz, ly, lx]`, or `[nel, ly, lx]` where lz = 1. The first array of a file carries
/// all that the header says (`rdcode`, `lx`, `nelgt`, ...) as attributes, the others `time` and `istep`.
pub static NEK: &dyn Format = &Nek;

struct Nek;

/// What an archive keeps to put the file together again.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    pub(super) length: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) extremes: Vec<bool>,
}

impl Template {
    pub(super) fn parse(template: &Value) -> Result<Template> {
        Template::deserialize(template)
            .map_err(|e| Error::corrupt(format!("expected the template of a field file: {e}")))
    }
    /// The file with these values.
    pub(super) fn restore(&self, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        let plan = Plan::new(verbatim.get(..HEAD).unwrap_or(verbatim), self.length)?;
        if self.extremes.len() != plan.extremes.len() {
            let (expected, found) = (plan.extremes.len(), self.extremes.len());
            return Err(Error::corrupt(format!("expected {expected} groups with extremes, found {found}")));
        }
        let bytes: Arc<dyn ReadAt> = Arc::new(Unread(self.length));
        plan.layout(&self.extremes, &bytes)?.0.restore(verbatim, arrays, out)?;
        plan.extremes.iter().zip(&self.extremes).filter(|(_, derived)| **derived).try_for_each(|(e, _)| e.write(out))
    }
}

impl Format for Nek {
    fn id(&self) -> &'static str {
        "nek"
    }
    fn doc(&self) -> &'static str {
        "Nek5000, NekRS and Neko field files (.f00001, and legacy binary .fld01)"
    }
    fn matches(&self, name: &str, head: &[u8]) -> bool {
        matches(name, head)
    }
    fn open(&self, name: &str, bytes: Arc<dyn ReadAt>, _: &OpenOptions) -> Result<Dataset> {
        let length = bytes.size()?;
        let mut head = [0; HEAD];
        let head = &mut head[..HEAD.min(usize::try_from(length).unwrap_or(HEAD))];
        bytes.read_at(0, head)?;
        let plan = Plan::new(head, length)?;
        let extremes = plan.extremes.iter().map(|e| e.hold_in(&bytes)).collect::<Result<Vec<_>>>()?;
        let (layout, sources) = plan.layout(&extremes, &bytes)?;
        let verbatim = layout.verbatim(&bytes)?;
        let template = serde_json::to_value(Template { length, extremes })
            .map_err(|e| Error::invalid(format!("expected a template that can be written: {e}")))?;
        let brief = ["time", "istep"].iter().filter_map(|k| Some((k.to_string(), plan.attributes.get(*k)?.clone())));
        let brief: Map<String, Value> = brief.collect();
        let mut attributes = Some(plan.attributes);
        let names = || plan.arrays.iter().map(|p| p.name.as_str());
        let coordinates: Vec<String> =
            ["x", "y", "z"].into_iter().filter(|c| names().any(|n| n == *c)).map(String::from).collect();
        let on = OnElements { coordinates };
        let of = |role: Role, shape: &[usize]| (role == Role::Field && extents(shape).is_ok()).then(|| on.clone());
        let arrays = plan.arrays.iter().zip(sources).map(|(place, source)| FileArray {
            name: place.name.clone(),
            role: if place.role == Role::Field && is_restart(name) { Role::Parameter } else { place.role },
            attributes: attributes.take().unwrap_or_else(|| brief.clone()),
            suits: None,
            velocities: None,
            elements: of(place.role, &source.shape()),
            source,
        });
        Ok(Dataset { format: "nek", template, arrays: arrays.collect(), verbatim })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        Template::parse(template)?.restore(verbatim, arrays, out)
    }
}

/// Whether a name is that of one of the files that a run goes on from, `rs6case0.f00001`: what they hold is to be the same to the bit.
fn is_restart(name: &str) -> bool {
    name.strip_prefix("rs").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Stands for a file of which only the length matters.
struct Unread(u64);

impl ReadAt for Unread {
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
        Err(Error::invalid("expected only the length of a file to be asked for, found a read"))
    }
    fn size(&self) -> Result<u64> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, Buffer, Endian};
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
    fn restart_files_are_known_by_their_names() {
        for (name, restart) in
            [("rs6tgv0.f00001", true), ("rs8box0.f00003", true), ("rstream0.f00001", false), ("tgv0.f00001", false)]
        {
            assert_eq!(is_restart(name), restart, "{name}");
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
                // All bits of the header, one of each byte of data.
                for bit in if at < 136 { 0..8 } else { at % 8..at % 8 + 1 } {
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
        for (text, verbatim) in [
            ("#std 4 8 8 8 0 10 0.0 0 0 1 XU", 4096),
            ("#std 4 8 8 8 10 10 0.0 0 0 1", 4056),
            ("#std 4 8 8 8 0 0 0 0 0 1", 4096),
        ] {
            let b = tail(text);
            assert_eq!(open(&b).unwrap().verbatim.len(), verbatim, "{text}");
            assert!(restored(NEK, "", &b, &NONE, |_, a| a).unwrap() == b, "{text}");
        }
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
    fn what_archives_hold_is_not_trusted() {
        let (bytes, _) = SAMPLES[0].bytes();
        let d = open(&bytes).unwrap();
        assert_eq!(d.template, serde_json::json!({"length": bytes.len(), "extremes": vec![true; 6]}));
        let arrays = Decoded(read_all(NEK, "", &bytes, &NONE).unwrap());
        let attempt = |t: Value, v: &[u8]| {
            let mut out = Vec::new();
            NEK.restore(&t, v, &arrays, &mut out).map(|()| out)
        };
        assert!(attempt(d.template.clone(), &d.verbatim).unwrap() == bytes);
        let with = |key: &str, v: Value| {
            let mut t = d.template.clone();
            t[key] = v;
            attempt(t, &d.verbatim)
        };
        for length in [0, 135, 500, bytes.len() - 1, bytes.len() + 1, 1 << 40] {
            assert!(with("length", length.into()).is_err(), "{length}");
        }
        assert!(with("extremes", serde_json::json!([])).is_err());
        assert!(with("extremes", serde_json::json!([true, true, true, true, true, false])).is_err());
        assert!(with("more", 1.into()).is_err() && attempt(Value::Null, &d.verbatim).is_err());
        for cut in 0..d.verbatim.len() {
            assert!(attempt(d.template.clone(), &d.verbatim[..cut]).is_err());
        }
        // A header that tells of other arrays than the archive has.
        for (at, byte) in [(5, b'8'), (8, b'5'), (25, b'2'), (83, b'U'), (89, b'3')] {
            let mut v = d.verbatim.clone();
            v[at] = byte;
            assert!(attempt(d.template.clone(), &v).is_err(), "byte {at}");
        }
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
            assert_eq!(d.verbatim.len(), verbatim, "{file}");
            assert!(restored(NEK, "", &bytes, &NONE, |_, a| a).unwrap() == bytes, "{file}");
        }
    }
}
