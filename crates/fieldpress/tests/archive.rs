//! Archives as a whole: what a region read touches, several arrays and blobs, companions, limits, the kinds of errors, and
//! fixtures that every version must read.
#![allow(clippy::unwrap_used, clippy::panic)]

mod battery;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use battery::{data, Kind};
use fieldpress::array::{Array, Buffer, Endian, Placement, Region, StridedSource};
use fieldpress::bits::crc32c;
use fieldpress::codec::registry::{Make, REGISTRY};
use fieldpress::container::{assemble, ArrayOptions, FileHeader, Plan, Role};
use fieldpress::io::npy;
use fieldpress::{
    compress, decompress, decompress_with, Archive, ArchiveWriter, Bound, Chain, DType, Error, ErrorKind, Limits,
    Options, Result, Shape,
};
use serde_json::json;

fn open(bytes: &[u8]) -> Result<Archive> {
    Archive::open(Arc::new(bytes.to_vec()), Limits::default())
}

/// Adds an array; with `companions` it is not kept for others.
fn put<W: Write>(
    w: &mut ArchiveWriter<W>,
    name: &str,
    x: &Array,
    chain: &str,
    companions: &[(&str, &str)],
) -> Result<()> {
    // Coordinates stay as they are.
    let bound = if chain == "pco" { Bound::Lossless } else { Bound::Abs(0.01) };
    let plan = Plan::new(&x.view(), &bound, None, true)?;
    let options = ArrayOptions {
        velocities: None,
        plan: &plan,
        chains: vec![Chain::parse(chain)?],
        // A map is one block.
        block: (!chain.starts_with("sphere")).then(|| vec![8; x.shape().rank()]),
        measure: false,
        elements: None,
        progressive: false,
        role: Role::Field,
        attributes: serde_json::from_value(json!({ "unit": "m/s" })).unwrap(),
        companions: companions.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
        keep: companions.is_empty(),
        progress: None,
    };
    w.put_array(name, &x.view(), options).map(drop)
}

#[test]
fn a_region_read_touches_only_its_blocks() {
    let x = data(Kind::Noisy, DType::F32, &[60, 50]);
    let mut options = Options::new(Bound::Abs(0.01)).with_chain("lorenzo").unwrap();
    options.block = Some(vec![16, 16]);
    let bytes = compress(&x.view(), options).unwrap().0;
    let whole = decompress(&bytes).unwrap();
    let archive = open(&bytes).unwrap();
    assert_eq!(archive.blocks("data").unwrap().len(), 4 * 4);
    let mut before = 0;
    for (origin, extents, blocks) in [
        ([17, 20], [5, 3], 1),
        ([10, 20], [10, 5], 2),
        ([15, 15], [2, 2], 4),
        ([0, 49], [60, 1], 4),
        ([59, 0], [1, 50], 4),
        ([0, 0], [60, 50], 16),
        ([32, 32], [0, 4], 0),
    ] {
        let region = Region::new(&x.shape(), &origin, &extents).unwrap();
        let part = archive.read_region("data", &region).unwrap();
        assert!(part.data().same_bits(whole.view().gather(&region).unwrap().as_slice()), "{origin:?} {extents:?}");
        assert_eq!(archive.blocks_decoded() - before, blocks, "{origin:?} {extents:?}");
        before = archive.blocks_decoded();
    }
    let outside = Region::new(&Shape::new(&[99, 99]).unwrap(), &[50, 40], &[20, 20]).unwrap();
    assert_eq!(archive.read_region("data", &outside).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// Three arrays, the last as a difference from the first, two blobs and a file.
fn several<W: Write>(out: W) -> W {
    let mut w = ArchiveWriter::new(out).unwrap();
    put(&mut w, "u/first", &data(Kind::Smooth, DType::F32, &[13, 9]), "lorenzo", &[]).unwrap();
    w.put_blob("notes", &b"something to be kept as it is. ".repeat(30)).unwrap();
    put(&mut w, "ids", &data(Kind::Noisy, DType::I64, &[20]), "spatial_delta+zstd", &[]).unwrap();
    put(
        &mut w,
        "u/second",
        &data(Kind::Noisy, DType::F32, &[13, 9]),
        "difference:from=past+lorenzo",
        &[("past", "u/first")],
    )
    .unwrap();
    let verbatim = Some(w.put_blob("tiny", b"\x01").unwrap());
    let (name, prefix, format) = ("a.nek".into(), "u/".into(), "nek".into());
    w.put_file(FileHeader { name, prefix, format, template: json!({ "length": 3 }), verbatim });
    w.finish().unwrap()
}

#[test]
fn arrays_blobs_and_files_come_back() {
    let bytes = several(Vec::new());
    let archive = open(&bytes).unwrap();
    let d = archive.directory();
    let names: Vec<_> = d.arrays.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["u/first", "ids", "u/second"]);
    assert!(d.arrays.iter().all(|a| a.attributes["unit"] == "m/s"));
    assert_eq!((d.files[0].prefix.as_str(), d.files[0].verbatim), ("u/", Some(1)));
    assert_eq!(archive.blob(0).unwrap(), b"something to be kept as it is. ".repeat(30));
    assert_eq!(archive.blob(1).unwrap(), b"\x01");
    assert!(archive.blob(2).is_err());
    // The companion is decoded on the way, in whichever order the arrays are asked for.
    for (name, kind, dtype, shape) in [
        ("u/second", Kind::Noisy, DType::F32, &[13, 9][..]),
        ("ids", Kind::Noisy, DType::I64, &[20]),
        ("u/first", Kind::Smooth, DType::F32, &[13, 9]),
    ] {
        let y = archive.read(name).unwrap();
        battery::judge(&data(kind, dtype, shape), &y, &Bound::Abs(0.01), None).unwrap();
    }
    assert_eq!(archive.read("third").unwrap_err().kind(), ErrorKind::InvalidArgument);
    let stored: u64 = names.iter().map(|n| archive.stored_bytes(n).unwrap()).sum();
    assert!(stored < archive.size());
}

#[test]
fn companions_must_be_stored_before() {
    let x = data(Kind::Smooth, DType::F32, &[13, 9]);
    let mut w = ArchiveWriter::new(Vec::new()).unwrap();
    let e = put(&mut w, "b", &x, "difference:from=past+lorenzo", &[("past", "a")]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidArgument);
    put(&mut w, "a", &x, "lorenzo", &[]).unwrap();
    assert_eq!(put(&mut w, "a", &x, "lorenzo", &[]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    put(&mut w, "b", &x, "difference:from=past+lorenzo", &[("past", "a")]).unwrap();
    // An array that was not kept cannot be a companion.
    assert!(put(&mut w, "c", &x, "difference:from=past+lorenzo", &[("past", "b")]).is_err());

    // In a directory: later, itself, missing.
    let header = |name: &str, past: &str| array(name, "u8", &[1], &[1], &["raw"], &[("past", past)]);
    for past in ["c", "b", "nothing"] {
        let arrays = json!({ "generator": "", "arrays": [header("b", past), header("c", "b")] });
        let parts = vec![&[][..], &[2, 5]];
        let bytes = assemble(&arrays.to_string(), None, &[parts.clone(), parts]).unwrap();
        assert_eq!(open(&bytes).unwrap().read("b").unwrap_err().kind(), ErrorKind::Corrupt, "{past}");
    }
}

/// The header of an array in a directory.
fn array(
    name: &str,
    dtype: &str,
    shape: &[u64],
    block: &[u64],
    chains: &[&str],
    companions: &[(&str, &str)],
) -> serde_json::Value {
    let chains: Vec<_> = chains.iter().map(|c| json!([c])).collect();
    json!({
        "name": name, "dtype": dtype, "shape": shape, "block": block, "chains": chains, "bound": "lossless",
        "criterion": { "terms": [{ "abs": 0.0 }] }, "hint": { "abs": 0.0 }, "companions": companions, "at": 12,
    })
}

/// Payload of a block whose value is 5 everywhere, for one-byte elements.
const FIVES: &[u8] = &[2, 5];

#[test]
fn a_long_chain_of_companions_is_decoded() {
    let n = 20_000;
    let name = |i: usize| format!("a{i}");
    let header = |i: usize| match i {
        0 => array(&name(0), "u8", &[1], &[1], &["raw"], &[]),
        _ => array(&name(i), "u8", &[1], &[1], &["raw"], &[("past", &name(i - 1))]),
    };
    let arrays: Vec<_> = (0..n).map(header).collect();
    let directory = json!({ "generator": "", "arrays": arrays }).to_string();
    let groups = vec![vec![&[][..], FIVES]; n];
    let archive = open(&assemble(&directory, None, &groups).unwrap()).unwrap();
    assert_eq!(archive.read(&name(n - 1)).unwrap().as_typed::<u8>().unwrap(), [5]);
    assert_eq!(archive.blocks_decoded(), n as u64);
}

#[test]
fn too_large_is_not_corrupt() {
    let one = |shape: &[u64], block: &[u64]| {
        let directory = json!({ "generator": "", "arrays": [array("a", "u8", shape, block, &[], &[])] });
        assemble(&directory.to_string(), None, &[vec![FIVES]]).unwrap()
    };
    let kind = |bytes: &[u8], limits: Limits| decompress_with(bytes, limits).map(drop).map_err(|e| e.kind());
    let large = one(&[1 << 40], &[1 << 40]);
    assert_eq!(kind(&large, Limits::default()), Err(ErrorKind::LimitExceeded));
    assert_eq!(kind(&one(&[1 << 31], &[1 << 31]), Limits::default()), Err(ErrorKind::LimitExceeded));
    // What was asked for is small, but the block is not.
    let region = Region::new(&Shape::new(&[1 << 40]).unwrap(), &[77], &[2]).unwrap();
    let e = open(&large).unwrap().read_region("a", &region).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::LimitExceeded);
    let small = one(&[1000], &[1000]);
    assert_eq!(kind(&small, Limits::default()), Ok(()));
    let limits = Limits::default();
    assert_eq!(kind(&small, Limits { block_bytes: 7999, ..limits }), Err(ErrorKind::LimitExceeded));
    assert_eq!(kind(&small, Limits { array_bytes: 999, ..limits }), Err(ErrorKind::LimitExceeded));
    assert_eq!(kind(&small, Limits { block_bytes: 8000, array_bytes: 1000, ..limits }), Ok(()));
    assert_eq!(kind(&small, Limits { directory_bytes: 20, ..limits }), Err(ErrorKind::LimitExceeded));
    // More blocks than the index can have entries for, and a shape that cannot be addressed.
    assert_eq!(kind(&one(&[1 << 40], &[1]), limits), Err(ErrorKind::Corrupt));
    assert_eq!(kind(&one(&[1 << 62, 1 << 62], &[1, 1]), limits), Err(ErrorKind::Corrupt));

    let frame = zstd::bulk::compress(&[0; 5000], 3).unwrap();
    let blob = |bytes: u64| {
        let blobs = json!([{ "name": "b", "bytes": bytes, "packed": true, "at": 0, "stored": 0 }]);
        let directory = json!({ "generator": "", "blobs": blobs }).to_string();
        assemble(&directory, None, &[vec![&frame]]).unwrap()
    };
    let read = |bytes: Vec<u8>, limits| Archive::open(Arc::new(bytes), limits).and_then(|a| a.blob(0)).map(|b| b.len());
    assert_eq!(read(blob(5000), limits), Ok(5000));
    let e = read(blob(5000), Limits { blob_bytes: 4999, ..limits }).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::LimitExceeded);
    assert_eq!(read(blob(4999), limits).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(read(blob(1 << 60), limits).unwrap_err().kind(), ErrorKind::LimitExceeded);
    // Companions count together.
    let header = |name: &str, past: &[(&str, &str)]| array(name, "u8", &[1000], &[1000], &["raw"], past);
    let arrays = [header("a", &[]), header("b", &[]), header("c", &[("x", "a"), ("y", "b")])];
    let directory = json!({ "generator": "", "arrays": arrays }).to_string();
    let bytes = assemble(&directory, None, &vec![vec![&[][..], FIVES]; 3]).unwrap();
    let read = |n| Archive::open(Arc::new(bytes.clone()), Limits { array_bytes: n, ..limits })?.read("c");
    assert_eq!(read(1999).map(drop).map_err(|e| e.kind()), Err(ErrorKind::LimitExceeded));
    assert!(read(2000).is_ok());
}

/// The archive with other bytes in its header, and the checksum that covers it put right.
fn with_header(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut b = bytes.to_vec();
    b[at] = value;
    let n = b.len();
    let crc = crc32c(&[&b[..12], &b[n - 20..n - 8]].concat());
    b[n - 8..n - 4].copy_from_slice(&crc.to_le_bytes());
    b
}

#[test]
fn truncated_corrupt_unsupported_and_too_large_are_told_apart() {
    let x = data(Kind::Smooth, DType::F64, &[30]);
    let bytes = compress(&x.view(), Options::new(Bound::Abs(0.1))).unwrap().0;
    let kind = |b: &[u8]| decompress(b).map(drop).map_err(|e: Error| e.kind());
    assert_eq!(kind(&bytes), Ok(()));
    let n = bytes.len();
    for cut in [0, 5, 11, 12, 31, n / 2, n - 1] {
        assert_eq!(kind(&bytes[..cut]), Err(ErrorKind::Truncated), "{cut}");
    }
    assert_eq!(kind(b"%PDF-1.7 and then some more of it, enough for a header"), Err(ErrorKind::Corrupt));
    for at in [12, 13, n - 21, n - 20, n - 6] {
        let mut b = bytes.clone();
        b[at] ^= 0x10;
        assert_eq!(kind(&b), Err(ErrorKind::Corrupt), "{at} of {n}");
    }
    // A newer major version is refused, a newer minor version is read.
    assert_eq!(kind(&with_header(&bytes, 8, 2)), Err(ErrorKind::Unsupported));
    assert_eq!(kind(&with_header(&bytes, 8, 0)), Err(ErrorKind::Unsupported));
    assert_eq!(kind(&with_header(&bytes, 10, 9)), Ok(()));
    let mut b = with_header(&bytes, 10, 9);
    b[10] = 8;
    assert_eq!(kind(&b), Err(ErrorKind::Corrupt));

    let directory = |requires: &[&str], chain: serde_json::Value| {
        let mut a = array("a", "u8", &[4], &[4], &[], &[]);
        a["chains"] = json!([chain]);
        let all = json!({ "generator": "", "requires": requires, "arrays": [a], "of_a_later_minor_version": 1 });
        assemble(&all.to_string(), None, &[vec![&[], FIVES]]).unwrap()
    };
    assert_eq!(kind(&directory(&[], json!(["raw"]))), Ok(()));
    assert_eq!(kind(&directory(&["time travel"], json!(["raw"]))), Err(ErrorKind::Unsupported));
    assert_eq!(kind(&directory(&[], json!(["neural_something"]))), Err(ErrorKind::Unsupported));
    assert_eq!(kind(&directory(&[], json!([{ "id": "lorenzo", "order": 7 }]))), Err(ErrorKind::Corrupt));
    assert_eq!(kind(&directory(&[], json!({ "no": "id" }))), Err(ErrorKind::Corrupt));
    // An index that ends early, goes on, or points beyond the end.
    let a = json!({ "generator": "", "arrays": [array("a", "u8", &[4], &[2], &[], &[])] }).to_string();
    let parts = || [vec![FIVES, FIVES]];
    assert_eq!(kind(&assemble(&a, None, &parts()).unwrap()), Ok(()));
    for index in [&[2][..], &[2, 2, 0], &[2, 60], &[0xff], &[3, 2], &[0, 2]] {
        assert_eq!(kind(&assemble(&a, Some(index), &parts()).unwrap()), Err(ErrorKind::Corrupt), "{index:?}");
    }
    for text in ["", "{", "[]", "{\"arrays\": 3}", "\u{7f}"] {
        assert_eq!(kind(&assemble(text, None, &[]).unwrap()), Err(ErrorKind::Corrupt), "{text}");
    }
}

/// Takes one byte at a time, as a pipe might.
struct Slow(Vec<u8>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend(bytes.first());
        Ok(bytes.len().min(1))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails when it is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| std::io::Error::other("no space left"))?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_bytes_do_not_depend_on_where_they_go_or_come_from() {
    let bytes = several(Vec::new());
    assert!(several(Slow(Vec::new())).0 == bytes);
    let x = data(Kind::Noisy, DType::F32, &[21, 17]);
    let options = || {
        let mut o = Options::new(Bound::Rel(1e-3));
        o.block = Some(vec![8, 8]);
        o
    };
    let direct = compress(&x.view(), options()).unwrap().0;
    let mut file = vec![0; 5];
    x.data().to_le_bytes().chunks(4).for_each(|v| file.extend(v.iter().rev()));
    let at = Placement::contiguous(5, &x.shape(), DType::F32, Endian::Big);
    let source = StridedSource::new(file, DType::F32, x.shape(), at).unwrap();
    assert!(compress(&source, options()).unwrap().0 == direct);
    // Wherever the disk is full, it is an error.
    for space in [0, 12, 100, bytes.len() - 1] {
        let run = || -> Result<()> {
            let mut w = ArchiveWriter::new(Full(space))?;
            put(&mut w, "a", &x, "raw", &[])?;
            w.finish().map(drop)
        };
        assert_eq!(run().unwrap_err().kind(), ErrorKind::Io, "{space}");
    }
}

/// The chain that stands for a method of the registry in its fixture.
fn chain(id: &str, make: &Make) -> String {
    match make {
        Make::Filter(_) if id == "difference" => "difference:from=past+lorenzo".into(),
        Make::Filter(_) => format!("{id}+lorenzo"),
        Make::Bytes(_) if id == "shuffle" => "shuffle+zstd".into(),
        _ => id.into(),
    }
}

/// A small archive in which `chain` codes a few arrays.
fn fixture(chain: &str) -> Vec<u8> {
    let mut w = ArchiveWriter::new(Vec::new()).unwrap();
    let wave = |i: usize| 10.0 * libm::sin(i as f64 * 0.3) + i as f64 * 0.01;
    let shape = |d: &[usize]| Shape::new(d).unwrap();
    let mut floats: Vec<f32> = (0..9 * 13).map(|i| wave(i) as f32).collect();
    let past = Array::new(shape(&[9, 13]), Buffer::F32(floats.iter().map(|v| v + 0.5).collect())).unwrap();
    floats[7] = f32::NAN;
    floats[50..54].fill(1e20);
    floats[60] = -0.0;
    let arrays = [
        ("f32", Buffer::F32(floats), &[9, 13][..]),
        ("f64", Buffer::F64((0..4 * 3 * 5).map(|i| wave(i) * 1e-12).collect()), &[4, 3, 5]),
        ("i16", Buffer::I16((0..40).map(|i| (wave(i) * 50.0) as i16).collect()), &[40]),
    ];
    if chain == "legendre" || chain.starts_with("sem-") {
        return elements(chain);
    }
    if chain == "sphere" {
        return maps();
    }
    let companions: &[(&str, &str)] = if chain.contains("past") { &[("past", "past")] } else { &[] };
    if !companions.is_empty() {
        put(&mut w, "past", &past, "lorenzo", &[]).unwrap();
    }
    for (name, values, dims) in arrays {
        // Only floating-point values have bits to round.
        if chain.contains("bitround") && name == "i16" {
            continue;
        }
        let x = Array::new(shape(dims), values).unwrap();
        if companions.is_empty() {
            put(&mut w, name, &x, chain, &[]).unwrap_or_else(|e| panic!("{chain} {name}: {e}"));
        } else if name == "f32" {
            put(&mut w, name, &x, chain, companions).unwrap();
        }
    }
    w.finish().unwrap()
}

/// A map on every sampling; on Driscoll's and Healy's rings with a length that goes through a longer Fourier transform.
fn maps() -> Vec<u8> {
    let mut w = ArchiveWriter::new(Vec::new()).unwrap();
    let value =
        |i: usize, n: usize| libm::sin(i as f64 * 0.37) + libm::cos((i % n) as f64 * 0.21) * (i / n) as f64 * 0.1;
    let cases: [(&str, &str, &[usize]); 7] = [
        ("mw", "sphere", &[9, 17]),
        ("gl", "sphere:sampling=gl", &[2, 9, 17]),
        ("mwss", "sphere", &[11, 20]),
        ("dh", "sphere", &[132, 131]),
        ("rings", "sphere", &[12 * 36]),
        ("nested", "sphere:sampling=nested,band=14", &[12 * 16]),
        ("large", "sphere:sampling=gl,coder=classes", &[120, 239]),
    ];
    for (name, chain, dims) in cases {
        let last = dims[dims.len() - 1];
        let all = dims.iter().product();
        let rough = if name == "large" { 3e-3 } else { 1.0 };
        let x = Array::from_vec(dims, (0..all).map(|i| rough * value(i, last)).collect()).unwrap();
        put(&mut w, name, &x, chain, &[]).unwrap_or_else(|e| panic!("{chain} {name}: {e}"));
    }
    w.finish().unwrap()
}

/// A field on a row of three elements in space, each turned another way where the chain can do with that, and on four in a plane.
fn elements(chain: &str) -> Vec<u8> {
    let mut w = ArchiveWriter::new(Vec::new()).unwrap();
    let (id, rest) = chain.split_once('+').map_or((chain, String::new()), |(id, rest)| (id, format!("+{rest}")));
    let turned = usize::from(id != "sem-grid");
    let nodes = [-1.0, -0.447_213_595_499_957_9, 0.447_213_595_499_957_9, 1.0];
    for (d, count) in [(3usize, 3usize), (2, 4)] {
        let mut dims = vec![count];
        dims.extend(vec![4; d]);
        let mut all = vec![Vec::new(); d + 1];
        for p in 0..count << (2 * d) {
            let (e, q) = (p >> (2 * d), p % (1 << (2 * d)));
            let mut x: Vec<f64> = (0..d).map(|a| nodes[q >> (2 * ((a + turned * e) % d)) & 3]).collect();
            x[0] += 2.0 * e as f64;
            x[1] *= 1.0 + 0.1 * x[0];
            let f = libm::sin(x[0]) * libm::cos(0.7 * x[1]) + x.get(2).map_or(0.0, |z| 0.3 * z * z);
            all.iter_mut().zip(x.into_iter().chain([f])).for_each(|(v, x)| v.push(x));
        }
        let field = all.pop().unwrap();
        let names: Vec<String> = ["x", "y", "z"].iter().take(d).map(|c| format!("{c}{d}")).collect();
        for (name, v) in names.iter().zip(all) {
            put(&mut w, name, &Array::from_vec(&dims, v).unwrap(), "pco", &[]).unwrap();
        }
        let of = |k: usize| names.get(k).map_or("", String::as_str);
        let chain = format!("{id}:x={},y={},z={}{rest}", of(0), of(1), of(2));
        let pairs: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), n.as_str())).collect();
        put(&mut w, &format!("f{d}"), &Array::from_vec(&dims, field).unwrap(), &chain, &pairs).unwrap();
    }
    w.finish().unwrap()
}

/// The decoded arrays of an archive, one `.npy` after the other.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let archive = open(bytes).unwrap();
    let mut out = Vec::new();
    for a in &archive.directory().arrays {
        let y = archive.read(&a.name).unwrap_or_else(|e| panic!("{e}"));
        out.extend(npy::header(y.dtype(), &y.shape()));
        y.data().put_le_bytes(&mut out);
    }
    out
}

/// Every method of the registry has an archive of format version 1.0 that decodes to the same bits for ever. Run with
/// `UPDATE_FIXTURES=1` to write those that are missing; `UPDATE_FIXTURES=all` writes all anew, which only a change of the
/// format that was never released justifies.
#[test]
fn fixtures_decode_to_the_recorded_values() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1.0");
    let update = std::env::var("UPDATE_FIXTURES").unwrap_or_default();
    let file = |id: &str, end: &str| -> PathBuf { folder.join(format!("{id}.{end}")) };
    std::fs::create_dir_all(&folder).unwrap();
    for e in REGISTRY {
        let missing = !file(e.id, "fpz").exists();
        if update == "all" || !update.is_empty() && missing {
            let bytes = fixture(&chain(e.id, &e.make));
            std::fs::write(file(e.id, "npy"), decoded(&bytes)).unwrap();
            std::fs::write(file(e.id, "fpz"), bytes).unwrap();
        }
        let read =
            |end| std::fs::read(file(e.id, end)).unwrap_or_else(|e| panic!("{e}: write it with UPDATE_FIXTURES=1"));
        assert!(decoded(&read("fpz")) == read("npy"), "{}: other values than those recorded", e.id);
        let archive = open(&read("fpz")).unwrap();
        let used = archive.directory().arrays.iter().any(|a| a.chains.iter().any(|c| c.to_string().contains(e.id)));
        assert!(used, "{}: not in its own fixture", e.id);
    }
}

#[test]
fn what_is_not_a_number_is_within_no_bound() {
    let x: Vec<f64> = (0..4096).map(|i| (f64::from(i) - 2048.0) * (f64::MAX / 2049.0)).collect();
    let array = Array::new(Shape::new(&[64, 64]).unwrap(), Buffer::F64(x.clone())).unwrap();
    for chain in ["interp", "lorenzo", "dwt", "dct"] {
        for bound in [Bound::Abs(f64::MAX), Bound::Abs(1e308), Bound::Rel(0.6)] {
            let (bytes, _) = compress(&array.view(), Options::new(bound).with_chain(chain).unwrap()).unwrap();
            let y = decompress(&bytes).unwrap();
            assert!(y.as_typed::<f64>().unwrap().iter().all(|v| v.is_finite()), "{chain}");
        }
    }
}

#[test]
fn blocks_of_special_values_are_no_larger_than_plain_ones() {
    for n in [1, 2, 600] {
        let x: Vec<f32> = (0..n).map(|i| f32::from_bits(0x7fc0_0000 + i)).collect();
        let array = Array::new(Shape::new(&[n as usize]).unwrap(), Buffer::F32(x.clone())).unwrap();
        let (bytes, report) = compress(&array.view(), Options::new(Bound::Abs(1.0))).unwrap();
        assert!(report.stages.total() <= 1 + 4 * u64::from(n), "{n}: {:?}", report.stages);
        let back = decompress(&bytes).unwrap();
        assert!(back.data().same_bits(array.data()));
    }
}

#[test]
fn what_no_reader_would_take_is_not_written() {
    struct Huge;
    impl fieldpress::array::Source for Huge {
        fn dtype(&self) -> DType {
            DType::U8
        }
        fn shape(&self) -> Shape {
            Shape::new(&[1 << 30]).unwrap()
        }
        fn read(&self, _: &Region) -> Result<Buffer> {
            Err(Error::invalid("expected no values to be asked for"))
        }
    }
    let small = data(Kind::Noisy, DType::F32, &[8]);
    let plan = Plan::new(&small.view(), &Bound::Lossless, None, true).unwrap();
    let options = ArrayOptions {
        velocities: None,
        plan: &plan,
        chains: vec![Chain::parse("raw").unwrap()],
        block: Some(vec![1 << 30]),
        measure: false,
        elements: None,
        progressive: false,
        role: Role::Field,
        attributes: Default::default(),
        companions: Vec::new(),
        keep: false,
        progress: None,
    };
    let e = ArchiveWriter::new(Vec::new()).unwrap().put_array("x", &Huge, options).unwrap_err();
    assert!(e.message().contains("expected blocks of at most"), "{e}");
    assert_eq!(e.kind(), ErrorKind::InvalidArgument);
    let mut w = ArchiveWriter::new(Vec::new()).unwrap();
    put(&mut w, &"x".repeat(Limits::DEFAULT.directory_bytes), &small, "raw", &[]).unwrap();
    let e = w.finish().unwrap_err();
    assert!(e.message().contains("expected a directory and index of at most"), "{e}");
    assert_eq!(e.kind(), ErrorKind::InvalidArgument);
}
