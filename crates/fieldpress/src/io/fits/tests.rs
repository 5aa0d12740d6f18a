//! FITS files built card by card.

use std::sync::Arc;

use serde_json::{json, Value};

use super::Fits;
use crate::array::{Array, Buffer, DType, Region, Shape};
use crate::container::Archive;
use crate::error::ErrorKind;
use crate::files::{compress_files, restore_file, verify_file, FileOptions, Input};
use crate::io::testing::{read_all, restored, shared, Decoded};
use crate::io::{open, Dataset, Format, OpenOptions};
use crate::{Bound, Limits};

/// HEALPix's value of unseen pixels.
const UNSEEN: f64 = -1.6375e30;

/// A header with these cards and the end.
fn header(cards: &[&str]) -> Vec<u8> {
    let text: String = cards.iter().chain(&["END"]).map(|c| format!("{c:<80}")).collect();
    padded(text.into_bytes(), b' ')
}

fn padded(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(2880), with);
    bytes
}

fn unit(cards: &[&str], data: Vec<u8>) -> Vec<u8> {
    [header(cards), padded(data, 0)].concat()
}

/// A primary HDU without data.
fn empty() -> Vec<u8> {
    header(&["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"])
}

fn image(first: &str, bitpix: i64, axes: &[usize], more: &[&str], data: Vec<u8>) -> Vec<u8> {
    let mut cards = vec![first.to_string(), format!("BITPIX  = {bitpix:>20}"), format!("NAXIS   = {:>20}", axes.len())];
    cards.extend(axes.iter().enumerate().map(|(k, d)| format!("NAXIS{:<3}= {d:>20}", k + 1)));
    if first.starts_with('X') {
        cards.extend(["PCOUNT  = 0".into(), "GCOUNT  = 1".into()]);
    }
    let cards: Vec<&str> = cards.iter().map(String::as_str).chain(more.iter().copied()).collect();
    unit(&cards, data)
}

fn table(width: usize, rows: usize, forms: &[&str], more: &[&str], heap: usize, data: Vec<u8>) -> Vec<u8> {
    let mut cards: Vec<String> = vec![
        "XTENSION= 'BINTABLE'           / binary table".into(),
        "BITPIX  = 8".into(),
        "NAXIS   = 2".into(),
        format!("NAXIS1  = {width}"),
        format!("NAXIS2  = {rows}"),
        format!("PCOUNT  = {heap}"),
        "GCOUNT  = 1".into(),
        format!("TFIELDS = {}", forms.len()),
    ];
    cards.extend(forms.iter().enumerate().map(|(k, f)| format!("TFORM{:<3}= '{f:<8}'", k + 1)));
    let cards: Vec<&str> = cards.iter().map(String::as_str).chain(more.iter().copied()).collect();
    unit(&cards, data)
}

/// Text, one f32, three i16, a logical, two f64, a descriptor, a u8 and an i64 in each of five rows; a heap.
fn mixed() -> Vec<u8> {
    let mut data = Vec::new();
    for r in 0..5u8 {
        data.extend(*b"abc");
        data.extend((f32::from(r) + 0.5).to_be_bytes());
        (0..3).for_each(|k| data.extend((100 * i16::from(r) - k).to_be_bytes()));
        data.push(b'T');
        (0..2).for_each(|k| data.extend((f64::from(r) * 10.0 + f64::from(k)).to_be_bytes()));
        data.extend([0, 0, 0, 1, 0, 0, 0, r]);
        data.push(200 + r);
        data.extend((-i64::from(r)).to_be_bytes());
    }
    data.extend(*b"heap!");
    let more = [
        "TTYPE1  = 'name'",
        "TTYPE2  = 'flux'",
        "TUNIT2  = 'Jy'",
        "TTYPE3  = 'counts'",
        "TSCAL3  = 1",
        "TZERO3  = 32768",
        "TNULL3  = -99",
        "TDIM3   = '(3,1)'",
        "TTYPE5  = 'flux'",
        "EXTNAME = 'Sources'",
    ];
    table(3 + 4 + 6 + 1 + 16 + 8 + 1 + 8, 5, &["3A", "E", "3I", "L", "2D", "1PE(9)", "B", "K"], &more, 5, data)
}

fn read(bytes: &[u8]) -> Vec<(String, Array)> {
    read_all(&Fits, "a.fits", bytes, &OpenOptions::default()).unwrap()
}

fn opened(bytes: &[u8]) -> Dataset {
    open("a.fits", Arc::new(bytes.to_vec()), &OpenOptions::default()).unwrap()
}

fn same(bytes: &[u8]) {
    let back = restored(&Fits, "a.fits", bytes, &OpenOptions::default(), |_, a| a).unwrap();
    assert!(back == bytes, "another file");
}

fn kind(bytes: &[u8]) -> ErrorKind {
    let opened = Fits.open("a.fits", Arc::new(bytes.to_vec()), &OpenOptions::default());
    opened.map(|_| ()).unwrap_err().kind()
}

fn attributes(d: &Dataset, name: &str) -> Value {
    let a = d.arrays.iter().find(|a| a.name == name);
    Value::Object(a.unwrap_or_else(|| panic!("expected {name:?}")).attributes.clone())
}

#[test]
fn images_of_every_type_are_read_in_c_order() {
    let f64s = [1.5, -0.0, f64::NAN, f64::INFINITY, 5.0, 1e-310];
    let cases: [(i64, Buffer, Vec<u8>); 6] = [
        (8, Buffer::U8(vec![0, 1, 127, 128, 254, 255]), vec![0, 1, 127, 128, 254, 255]),
        (16, Buffer::I16(vec![-2, -1, 0, 1, 258, i16::MIN]), vec![255, 254, 255, 255, 0, 0, 0, 1, 1, 2, 128, 0]),
        (32, Buffer::I32(vec![1, 2, -3, 4, 5, 6]), [1i32, 2, -3, 4, 5, 6].map(i32::to_be_bytes).concat()),
        (64, Buffer::I64(vec![1, 2, -3, 4, 5, 6]), [1i64, 2, -3, 4, 5, 6].map(i64::to_be_bytes).concat()),
        (-32, Buffer::F32(f64s.map(|v| v as f32).to_vec()), f64s.map(|v| (v as f32).to_be_bytes()).concat()),
        (-64, Buffer::F64(f64s.to_vec()), f64s.map(f64::to_be_bytes).concat()),
    ];
    for (bitpix, values, data) in cases {
        for first in ["SIMPLE  = T", "XTENSION= 'IMAGE   '"] {
            let mut file = image(first, bitpix, &[3, 2], &["BUNIT   = 'K'", "BLANK   = -1"], data.clone());
            let name = if first.starts_with('S') { "primary" } else { "hdu1" };
            if name == "hdu1" {
                file = [empty(), file].concat();
            }
            let d = opened(&file);
            assert_eq!((d.format, d.arrays.len(), d.arrays[0].name.as_str()), ("fits", 1, name));
            assert_eq!(d.verbatim.len(), file.len() - data.len());
            let found = read(&file).remove(0).1;
            assert_eq!(*found.shape(), [2, 3]);
            assert!(found.data().same_bits(values.as_slice()), "{bitpix}");
            let a = attributes(&d, name);
            assert_eq!((&a["unit"], a.get("blank").is_some()), (&json!("K"), bitpix > 0));
            same(&file);
        }
    }
}

#[test]
fn integers_stay_as_they_are_stored() {
    let cards = ["BZERO   =                32768", "BSCALE  =                  1.0", "EXTNAME = 'it''s'"];
    let unsigned = image("SIMPLE  = T", 16, &[2], &cards, vec![128, 0, 127, 255]);
    assert_eq!(read(&unsigned)[0].1, Array::from_vec(&[2], vec![i16::MIN, i16::MAX]).unwrap());
    let expected = json!({ "hdu": 0, "extname": "it's", "scale": 1.0, "zero": 32768 });
    assert_eq!(attributes(&opened(&unsigned), "it's"), expected);
    let plain = image("SIMPLE  = T", 16, &[2], &["BZERO   = 0", "BSCALE  = 1"], vec![0; 4]);
    assert_eq!(attributes(&opened(&plain), "primary"), json!({ "hdu": 0 }));
    let wide = image("SIMPLE  = T", 64, &[1], &["BZERO   =  9223372036854775808"], vec![0; 8]);
    assert_eq!(attributes(&opened(&wide), "primary")["zero"], json!(1u64 << 63));
}

#[test]
fn columns_are_gathered_across_rows() {
    let file = [empty(), mixed()].concat();
    let found = read(&file);
    let names: Vec<&str> = found.iter().map(|a| a.0.as_str()).collect();
    assert_eq!(names, ["flux", "counts", "flux#2", "column7", "column8"]);
    let counts = (0..5).flat_map(|r| (0..3).map(move |k| 100 * r - k)).collect::<Vec<i16>>();
    let pairs = (0..5).flat_map(|r| [f64::from(r) * 10.0, f64::from(r) * 10.0 + 1.0]).collect::<Vec<f64>>();
    assert_eq!(found[0].1, Array::from_vec(&[5], vec![0.5f32, 1.5, 2.5, 3.5, 4.5]).unwrap());
    assert_eq!(found[1].1, Array::from_vec(&[15], counts).unwrap());
    assert_eq!(found[2].1, Array::from_vec(&[10], pairs).unwrap());
    assert_eq!(found[3].1, Array::from_vec(&[5], vec![200u8, 201, 202, 203, 204]).unwrap());
    assert_eq!(found[4].1, Array::from_vec(&[5], vec![0i64, -1, -2, -3, -4]).unwrap());
    let d = opened(&file);
    assert_eq!(attributes(&d, "flux"), json!({ "hdu": 1, "extname": "Sources", "unit": "Jy" }));
    let expected = json!({
        "hdu": 1, "extname": "Sources", "scale": 1, "zero": 32768, "blank": -99, "repeat": 3, "dims": "(3,1)"
    });
    assert_eq!(attributes(&d, "counts"), expected);
    // A part of a column, from the middle of a row to the middle of another.
    let counts = &d.arrays[1].source;
    let part = Region::new(&counts.shape(), &[4], &[6]).unwrap();
    assert_eq!(counts.read(&part).unwrap(), Buffer::I16(vec![99, 98, 200, 199, 198, 300]));
    same(&file);
    // Several HDUs with arrays, two of one name, one compressed image, special records at the end.
    let packed = table(8, 1, &["D"], &["ZIMAGE  = T", "TTYPE1  = 'ZSCALE'"], 0, vec![1; 8]);
    let picture = image("XTENSION= 'IMAGE'", 8, &[4], &["EXTNAME = 'Sources'"], vec![7; 4]);
    let file = [empty(), mixed(), mixed(), packed, picture, vec![9; 2880]].concat();
    let names: Vec<String> = read(&file).into_iter().map(|a| a.0).collect();
    assert_eq!(names[..2], ["Sources/flux", "Sources/counts"]);
    assert_eq!(
        names[5..],
        ["Sources/flux#3", "Sources/counts#2", "Sources/flux#4", "Sources/column7#2", "Sources/column8#2", "Sources"]
    );
    same(&file);
    // The template goes through the text of a directory.
    let d = opened(&file);
    let mut out = Vec::new();
    let template = serde_json::from_str(&d.template.to_string()).unwrap();
    Fits.restore(&template, &d.verbatim, &Decoded(read(&file)), &mut out).unwrap();
    assert!(out == file);
}

#[test]
fn what_holds_no_array_is_kept() {
    let groups = unit(
        &[
            "SIMPLE  = T",
            "BITPIX  = 16",
            "NAXIS   = 2",
            "NAXIS1  = 0",
            "NAXIS2  = 3",
            "GROUPS  = T",
            "PCOUNT  = 2",
            "GCOUNT  = 4",
        ],
        vec![1; 2 * 4 * (2 + 3)],
    );
    let text = unit(
        &[
            "XTENSION= 'TABLE'",
            "BITPIX  = 8",
            "NAXIS   = 2",
            "NAXIS1  = 7",
            "NAXIS2  = 3",
            "PCOUNT  = 0",
            "GCOUNT  = 1",
            "TFIELDS = 1",
        ],
        vec![b' '; 21],
    );
    let nine = image("XTENSION= 'IMAGE'", 8, &[1; 9], &[], vec![1]);
    let none = image("XTENSION= 'IMAGE'", 8, &[5, 0], &[], vec![]);
    let no_rows = table(4, 0, &["E"], &[], 3, vec![1, 2, 3]);
    let zero = table(2, 1, &["0E", "2A"], &[], 0, vec![65; 2]);
    let file = [groups, text, nine, none, no_rows, zero].concat();
    let d = opened(&file);
    assert!(d.arrays.is_empty() && d.verbatim == file);
    same(&file);
    // The last padding may be missing.
    let mut short = image("SIMPLE  = T", 8, &[3], &[], vec![1, 2, 3]);
    short.truncate(2883);
    assert_eq!(read(&short)[0].1, Array::from_vec(&[3], vec![1u8, 2, 3]).unwrap());
    same(&short);
}

/// A map of three columns over `rows` rows of `repeat` pixels, with unseen ones.
fn map(letter: char, rows: usize, repeat: usize, more: &[&str]) -> Vec<u8> {
    let size = if letter == 'E' { 4 } else { 8 };
    let mut data = Vec::new();
    for r in 0..rows {
        for c in 0..3 {
            for i in 0..repeat {
                let p = r * repeat + i;
                let v = match c {
                    0 if p % 7 == 3 => UNSEEN,
                    1 if p == 5 => UNSEEN,
                    _ => libm::sin(p as f64 * 0.1) + f64::from(c),
                };
                if letter == 'E' {
                    data.extend((v as f32).to_be_bytes());
                } else {
                    data.extend(v.to_be_bytes());
                }
            }
        }
    }
    let form = format!("{repeat}{letter}");
    let names = ["TTYPE1  = 'I'", "TTYPE2  = 'Q'", "TTYPE3  = 'U'", "PIXTYPE = 'HEALPIX '"];
    [empty(), table(3 * repeat * size, rows, &[form.as_str(); 3], &[&names, more].concat(), 0, data)].concat()
}

#[test]
fn healpix_maps_are_known_and_unseen_pixels_kept() {
    for (letter, ordering, dtype) in [('E', "RING", DType::F32), ('D', "NESTED", DType::F64)] {
        for (rows, repeat) in [(12, 64), (768, 1)] {
            let card = format!("ORDERING= '{ordering:<8}'");
            let file = map(letter, rows, repeat, &["NSIDE   = 8", &card]);
            let d = opened(&file);
            let expected = json!({ "nside": 8, "ordering": ordering.to_lowercase() });
            for name in ["I", "Q", "U"] {
                assert_eq!(attributes(&d, name)["healpix"], expected);
            }
            assert_eq!((d.arrays[0].source.dtype(), d.arrays[2].source.shape()), (dtype, Shape::new(&[768]).unwrap()));
            same(&file);
            // Through an archive: unseen pixels to the bit, the others within the bound, which the range of these decides.
            for bound in [Bound::Lossless, Bound::Rel(1e-3)] {
                let input = Input::from_bytes("a.fits", file.clone());
                let options = FileOptions::new(bound.clone());
                let mut bytes = Vec::new();
                let report = compress_files(std::slice::from_ref(&input), &mut bytes, &options, None).unwrap();
                let archive = Archive::open(Arc::new(bytes), Limits::default()).unwrap();
                let mut back = Vec::new();
                restore_file(&archive, 0, &mut back, None).unwrap();
                assert!(verify_file(&input, &archive, 0, None).unwrap().holds());
                assert_eq!(back == file, bound.is_lossless());
                assert_eq!(report.arrays[0].header.attributes["healpix"], expected);
                for ((name, a), (_, b)) in read(&file).iter().zip(&read(&back)) {
                    for i in 0..768 {
                        let one = Region::new(&a.shape(), &[i], &[1]).unwrap();
                        let of = |a: &Array| match a.view().gather(&one).unwrap() {
                            Buffer::F32(v) => (f64::from(v[0]), u64::from(v[0].to_bits()), f64::from(UNSEEN as f32)),
                            Buffer::F64(v) => (v[0], v[0].to_bits(), UNSEEN),
                            _ => panic!("expected floats"),
                        };
                        let (x, y) = (of(a), of(b));
                        assert!(if x.0 == x.2 { x.1 == y.1 } else { (x.0 - y.0).abs() <= 2.1e-3 }, "{name} {i}");
                    }
                }
            }
        }
    }
    for more in [
        &["NSIDE   = 4", "ORDERING= 'RING'"][..],
        &["NSIDE   = 8"],
        &["ORDERING= 'RING'"],
        &["NSIDE   = 8", "ORDERING= 'OTHER'"],
        &["NSIDE   = 8", "ORDERING= 'RING'", "INDXSCHM= 'EXPLICIT'"],
        &["NSIDE   = 9223372036854775807", "ORDERING= 'RING'"],
    ] {
        let d = opened(&map('E', 12, 64, more));
        assert!(attributes(&d, "I").get("healpix").is_none(), "{more:?}");
    }
}

#[test]
fn the_map_of_wmap_is_read() {
    let Some(file) = shared("sphere/healpy_wmap_band_iqumap_r9_7yr_W_v4_udgraded32.fits") else { return };
    let d = opened(&file);
    let found = read(&file);
    // The first, the last of the first row, the first of the second row and the last value, and the sum of all.
    let expected = [
        ("I_STOKES", [0xbe0b_8efau32, 0xbd33_f664, 0x3d7b_3fe7, 0x3c9b_1d13], 872.0712784347052),
        ("Q_STOKES", [0x3a53_d40a, 0x3a82_6da3, 0x3bbd_c7b2, 0x3cb2_b737], 25.325454128477304),
        ("U_STOKES", [0xbb5a_c330, 0xbc5b_1b34, 0xbc14_3d2e, 0xbbe5_d25e], -5.136791965160228),
    ];
    assert_eq!(found.len(), 3);
    for ((name, a), (wanted, bits, sum)) in found.iter().zip(expected) {
        let v = a.as_typed::<f32>().unwrap();
        assert_eq!((name.as_str(), v.len()), (wanted, 12288));
        assert_eq!([0, 1023, 1024, 12287].map(|i: usize| v[i].to_bits()), bits);
        assert!((v.iter().map(|&x| f64::from(x)).sum::<f64>() - sum).abs() < 1e-9);
        let expected = json!({
            "hdu": 1, "extname": "xtension", "repeat": 1024, "healpix": { "nside": 32, "ordering": "ring" }
        });
        assert_eq!(attributes(&d, name), expected);
    }
    same(&file);
}

#[test]
fn what_cannot_be_read_is_named() {
    let primary = |cards: &[&str]| kind(&header(&[&["SIMPLE  = T"], cards].concat()));
    assert_eq!(primary(&["BITPIX  = 12", "NAXIS   = 0"]), ErrorKind::Corrupt);
    assert_eq!(primary(&["BITPIX  = 8"]), ErrorKind::Corrupt);
    assert_eq!(primary(&["BITPIX  = 8", "NAXIS   = 1000"]), ErrorKind::Corrupt);
    assert_eq!(primary(&["BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -5"]), ErrorKind::Corrupt);
    assert_eq!(primary(&["BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 5"]), ErrorKind::Truncated);
    let huge = "9223372036854775807";
    assert_eq!(primary(&["BITPIX  = 8", "NAXIS   = 1", &format!("NAXIS1  = {huge}")]), ErrorKind::Truncated);
    let axes = [format!("NAXIS1  = {huge}"), format!("NAXIS2  = {huge}")];
    assert_eq!(primary(&["BITPIX  = 64", "NAXIS   = 2", &axes[0], &axes[1]]), ErrorKind::Corrupt);
    assert_eq!(kind(&header(&["SIMPLE  = F", "BITPIX  = 8", "NAXIS   = 0"])), ErrorKind::Unsupported);
    assert_eq!(kind(b"\x1f\x8b\x08\x00"), ErrorKind::Unsupported);
    assert!(Fits.matches("map.FITS.gz", b"\x1f\x8b\x08") && !Fits.matches("map.gz", b"\x1f\x8b\x08"));
    let tables = [
        table(3, 1, &["E"], &[], 0, vec![0; 3]),
        table(4, 1, &["Z"], &[], 0, vec![0; 4]),
        table(4, 1, &["12"], &[], 0, vec![0; 4]),
        table(4, 1, &["99999999999999999999E"], &[], 0, vec![0; 4]),
        table(4, 1, &["9223372036854775807E"], &[], 0, vec![0; 4]),
        table(4, 1, &["E"; 1000], &[], 0, vec![0; 4]),
        image("XTENSION= 'BINTABLE'", 8, &[2, 2, 1], &["TFIELDS = 0"], vec![0; 4]),
    ];
    for (i, t) in tables.into_iter().enumerate() {
        assert_eq!(kind(&[empty(), t].concat()), ErrorKind::Corrupt, "{i}");
    }
}

#[test]
fn hostile_bytes_are_errors() {
    let picture = image("XTENSION= 'IMAGE'", -32, &[2, 3], &["BZERO   = 1.5"], vec![1; 24]);
    let good =
        [empty(), mixed(), picture, map('E', 12, 1, &["NSIDE   = 1", "ORDERING= 'RING'"])[2880..].to_vec()].concat();
    same(&good);
    for cut in (0..good.len()).filter(|c| c % 7 < 2 || c % 2880 < 90) {
        let d = Fits.open("a.fits", Arc::new(good[..cut].to_vec()), &OpenOptions::default());
        match d {
            Err(e) => assert_eq!(e.kind(), ErrorKind::Truncated, "{cut}"),
            Ok(_) => same(&good[..cut]),
        }
    }
    for at in 0..good.len() {
        // Padding of headers is spaces; a few of them do.
        if good[at] == b' ' && at % 16 != 0 || good[at] == 0 {
            continue;
        }
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            if let Ok(back) = restored(&Fits, "a.fits", &bad, &OpenOptions::default(), |_, a| a) {
                assert!(back == bad, "{at} {bit}");
            }
        }
    }
}

#[test]
fn templates_are_not_trusted() {
    let file = [empty(), mixed()].concat();
    let d = opened(&file);
    let text = d.template.to_string();
    let arrays = Decoded(read(&file));
    for (from, to) in [
        ("\"rows\":5", "\"rows\":6"),
        ("\"rows\":5", "\"rows\":18446744073709551615"),
        ("\"width\":47", "\"width\":46"),
        ("\"width\":47", "\"width\":400000000000"),
        ("\"offset\":7", "\"offset\":6"),
        ("\"offset\":7", "\"offset\":18446744073709551615"),
        ("\"repeat\":3", "\"repeat\":4"),
        ("\"repeat\":3", "\"repeat\":9223372036854775807"),
        ("i16", "i32"),
        ("flux#2", "flux"),
        ("\"bytes\":", "\"bytes\":9"),
        ("bytes", "more"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        let bad = serde_json::from_str(&bad).unwrap();
        let mut out = Vec::new();
        let e = Fits.restore(&bad, &d.verbatim, &arrays, &mut out).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && out.is_empty(), "{from} {to}: {e}");
    }
}
