//! Files written by VTK 9.7 (`tests/fixtures/vti`), files made here in every encoding, and hostile ones.

use std::io::Write;

use super::encoding::{Compressor, Encoding, Style};
use super::Vti;
use crate::array::{Array, DType, Element, Endian, Shape};
use crate::container::Role;
use crate::dispatch_dtype;
use crate::error::{ErrorKind, Result};
use crate::io::bytes::Writer;
use crate::io::format::{Dataset, Format, OpenOptions};
use crate::io::output::file_bytes;
use crate::io::testing::{read_all, restored, Decoded};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/vti/{name}.vti", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn open(bytes: &[u8]) -> Result<Dataset> {
    Vti.open("x.vti", std::sync::Arc::new(bytes.to_vec()), &OpenOptions::default())
}

fn read(bytes: &[u8]) -> Vec<(String, Array)> {
    read_all(&Vti, "x.vti", bytes, &OpenOptions::default()).unwrap()
}

fn back(bytes: &[u8], change: impl Fn(&str, Array) -> Array) -> Result<Vec<u8>> {
    restored(&Vti, "x.vti", bytes, &OpenOptions::default(), change)
}

/// The arrays of all fixtures: points -1..1, 2..3, 0..1, so 12 points and 2 cells.
fn expected() -> Vec<(String, Array)> {
    let p = (0..12).map(|i| (f64::from(i) / 3.0) as f32).collect();
    let v = (0..36).map(|i| (f64::from(i) - 9.0) / 7.0).collect();
    vec![
        ("PointData/p".into(), Array::from_vec(&[2, 2, 3], p).unwrap()),
        ("PointData/velocity".into(), Array::from_vec(&[2, 2, 3, 3], v).unwrap()),
        ("CellData/id".into(), Array::from_vec(&[1, 1, 2], vec![-1i32, 4]).unwrap()),
    ]
}

const FIXTURES: [&str; 8] = [
    "ascii",
    "binary",
    "binary_zlib",
    "appended_raw",
    "appended_raw_big",
    "appended_raw_zlib",
    "appended_base64",
    "appended_base64_lz4_big",
];

#[test]
fn files_written_by_vtk_are_read() {
    for name in FIXTURES {
        let file = fixture(name);
        assert!(Vti.matches("x", &file[..512]));
        assert_eq!(read(&file), expected(), "{name}");
        let d = open(&file).unwrap();
        assert_eq!([d.arrays[0].role, d.arrays[2].role], [Role::Field, Role::Id]);
        assert_eq!(
            (&d.arrays[0].attributes["spacing"], &d.arrays[2].attributes["centering"]),
            (&"0.5 1 2".into(), &"cell".into())
        );
    }
    let e = open(&fixture("appended_raw_lzma")).map(|d| d.arrays.len()).unwrap_err();
    assert!(e.kind() == ErrorKind::Unsupported && e.message().contains("LZMA"), "{e}");
}

#[test]
fn files_come_back_and_take_other_values() {
    for name in FIXTURES {
        let file = fixture(name);
        let same = back(&file, |_, a| a).unwrap();
        assert_eq!(read(&same), expected(), "{name}");
        if !name.contains("zlib") && !name.contains("lz4") {
            assert!(same == file, "{name} to the byte");
        }
        // The field data, of which one string is kept as it is, must be found where its offset says.
        let other = back(&file, |n, a| match n {
            "PointData/velocity" => {
                Array::from_vec(&[2, 2, 3, 3], (0..36).map(|i| f64::from(i).sqrt()).collect()).unwrap()
            }
            _ => a,
        });
        let other = read(&other.unwrap());
        assert_eq!(other[1].1.as_typed::<f64>().unwrap()[2], 2f64.sqrt(), "{name}");
        assert_eq!([&other[0], &other[2]], [&expected()[0], &expected()[2]], "{name}");
    }
}

/// A file of one point array, in one way of writing.
fn make(a: &Array, style: Style, encoding: &Encoding, appended: bool) -> Vec<u8> {
    let (d, dtype) = (a.shape(), a.dtype());
    let bytes = file_bytes(a.data(), style.endian);
    let mut payload = Vec::new();
    let mut w = Writer { out: &mut payload, at: 0 };
    match encoding {
        Encoding::Raw => {
            let n = (bytes.len() as u64).to_le_bytes();
            let n: Vec<u8> = if style.endian == Endian::Big {
                n.iter().rev().skip(8 - style.word).copied().collect()
            } else {
                n[..style.word].to_vec()
            };
            w.write_all(&n).unwrap();
            w.write_all(&bytes).unwrap();
        }
        Encoding::Ascii(lines) => {
            let mut text = String::new();
            super::ascii::put(a.data(), 0..d.len(), lines, &mut text);
            w.write_all(text.as_bytes()).unwrap();
        }
        e => style.encode(&bytes, e, &mut w).unwrap(),
    }
    let kind = match &dtype.name()[..1] {
        "f" => "Float",
        "i" => "Int",
        _ => "UInt",
    };
    let order = if style.endian == Endian::Big { "Big" } else { "Little" };
    let compressor = match style.compressor {
        None => "",
        Some(Compressor::Zlib) => " compressor='vtkZLibDataCompressor'",
        Some(Compressor::Lz4) => " compressor=\"vtkLZ4DataCompressor\"",
    };
    let base64 = matches!(encoding, Encoding::Base64 { .. } | Encoding::Blocks { base64: true, .. });
    let (format, inline, tail) = match (appended, encoding) {
        (true, _) => {
            let e = if base64 { "base64" } else { "raw" };
            (
                "appended\" offset=\"0",
                &b""[..],
                [format!("<AppendedData encoding=\"{e}\">\n _").as_bytes(), &payload, b"\n</AppendedData>"].concat(),
            )
        }
        (false, Encoding::Ascii(_)) => ("ascii", &payload[..], vec![]),
        _ => ("binary", &payload[..], vec![]),
    };
    let (word, size) = (8 * style.word, 8 * dtype.size());
    let [z, y, x] = [d[0] - 1, d[1] - 1, d[2] - 1];
    let head = format!(
        "<VTKFile type='ImageData' version='2.2' byte_order='{order}Endian' header_type='UInt{word}'{compressor}>\n\
         <!-- a > comment --><ImageData WholeExtent='0 {x} 0 {y} 0 {z}'><Piece Extent='0 {x} 0 {y} 0 {z}'><PointData>\n\
         <DataArray type=\"{kind}{size}\" Name=\"a &amp; b\" NumberOfComponents=\"{}\" format=\"{format}\">\n",
        d[3]
    );
    let middle = b"\n</DataArray></PointData></Piece></ImageData>".to_vec();
    [head.as_bytes(), inline, &middle, &tail, b"</VTKFile>\n"].concat()
}

#[test]
fn every_type_and_encoding_comes_back() {
    fn check<T: Element>() {
        // 61 is prime to every group of base64 and block; long enough for several blocks.
        let shape = Shape::new(&[1, 2, 61, 3]).unwrap();
        let data = (0..shape.len()).map(|i| T::from_f64((i * i) as f64 / 64.0 - 50.0)).collect();
        let a = Array::new(shape, T::into_buffer(data)).unwrap();
        let lines = super::ascii::Lines { columns: 7, separator: "\n\t".into() };
        for endian in [Endian::Little, Endian::Big] {
            for word in [4, 8] {
                let plain = Style { endian, word, compressor: None };
                let zlib = Style { compressor: Some(Compressor::Zlib), ..plain };
                let lz4 = Style { compressor: Some(Compressor::Lz4), ..plain };
                let blocks = |base64, block| Encoding::Blocks { base64, block };
                for (style, encoding, appended) in [
                    (plain, Encoding::Raw, true),
                    (plain, Encoding::Base64 { joined: true }, true),
                    (plain, Encoding::Base64 { joined: false }, true),
                    (plain, Encoding::Base64 { joined: true }, false),
                    (plain, Encoding::Base64 { joined: false }, false),
                    (plain, Encoding::Ascii(lines.clone()), false),
                    (zlib, Encoding::Ascii(lines.clone()), false),
                    (zlib, blocks(true, 100), false),
                    (zlib, blocks(false, 1 << 15), true),
                    (zlib, blocks(true, 1 << 15), true),
                    (lz4, blocks(false, 122), true),
                    (lz4, blocks(true, 122), true),
                    (lz4, blocks(true, 122), false),
                ] {
                    let file = make(&a, style, &encoding, appended);
                    let got = read(&file);
                    assert_eq!((got[0].0.as_str(), got.len()), ("PointData/a & b", 1));
                    assert!(got[0].1 == a, "{} {style:?} {encoding:?}", T::DTYPE);
                    let again = back(&file, |_, a| a).unwrap();
                    if appended && style.compressor.is_some() {
                        // Room for the offset is made.
                        assert_eq!(again.len(), file.len() + 19);
                        assert!(back(&again, |_, a| a).unwrap() == again);
                    } else {
                        assert!(again == file, "{} {style:?} {encoding:?}", T::DTYPE);
                    }
                    assert!(read(&again)[0].1 == a);
                }
            }
        }
    }
    for dtype in DType::ALL {
        dispatch_dtype!(dtype, T => check::<T>());
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let kind = |text: &str| open(text.as_bytes()).map(|d| d.arrays.len()).map_err(|e| e.kind());
    let image = |inner: &str| {
        format!("<VTKFile type=\"ImageData\"><ImageData WholeExtent=\"0 1 0 0 0 0\">{inner}</ImageData></VTKFile>")
    };
    let point = |a: &str| image(&format!("<Piece><PointData>{a}</PointData></Piece>"));
    let unsupported = [
        "<VTKFile type=\"UnstructuredGrid\" version=\"1.0\"/>".into(),
        "<VTKFile type=\"PImageData\" version=\"1.0\"/>".into(),
        "<VTKFile type=\"ImageData\" version=\"3.0\"/>".into(),
        "<VTKFile type=\"ImageData\" header_type=\"UInt16\"/>".into(),
        image("<Piece Extent=\"0 0 0 0 0 0\"/><Piece Extent=\"1 1 0 0 0 0\"/>"),
    ];
    for text in unsupported {
        assert_eq!(kind(&text), Err(ErrorKind::Unsupported), "{text}");
    }
    let array = "<DataArray type=\"Int8\" Name=\"a\" format=\"ascii\">1 2</DataArray>";
    assert_eq!(kind(&point(&[array, array].concat())), Ok(2));
    assert_eq!(read(point(&[array, array].concat()).as_bytes())[1].0, "PointData/a#2");
    assert_eq!(kind(&point("<DataArray type=\"Bit\" format=\"ascii\">1 1</DataArray>")), Ok(0));
    let deep = format!("<VTKFile type=\"ImageData\">{}", "<a>".repeat(40));
    let long = format!("<a b=\"{}\"/>", "c".repeat(2 << 20));
    for text in [deep, image(&long)] {
        assert_eq!(kind(&text), Err(ErrorKind::LimitExceeded), "{}", &text[..40]);
    }
    let corrupt = [
        String::new(),
        "<a/>".into(),
        image("<Piece Extent=\"0 1\"><PointData/></Piece>"),
        image("<Piece Extent=\"1 -1 0 0 0 0\"/>"),
        image("<Piece Extent=\"-9223372036854775808 9223372036854775807 0 0 0 0\"/>"),
        point("<DataArray type=\"Int8\" NumberOfComponents=\"0\">1 2</DataArray>"),
        point("<DataArray type=\"Int8\" NumberOfComponents=\"4611686018427387904\">1 2</DataArray>"),
        point("<DataArray type=\"Int8\" NumberOfComponents=\"100\">1 2</DataArray>"),
        point("<DataArray type=\"Int8\" format=\"appended\"/>"),
        point("<DataArray type=\"Int8\" format=\"appended\" offset=\"0\"/>"),
        point("<DataArray type=\"Int8\" format=\"binary\">AwAAAAECAw==</DataArray>"),
    ];
    for text in corrupt {
        let found = kind(&text);
        assert!(matches!(found, Err(ErrorKind::Corrupt | ErrorKind::Truncated)), "{text} {found:?}");
    }
    // Contents that are wrong show when they are read.
    for (format, bad) in [("ascii", "1"), ("ascii", "1 2 3"), ("ascii", "1 x"), ("binary", "AgAAAAE=")] {
        let text = point(&format!("<DataArray type=\"Int8\" format=\"{format}\">{bad}</DataArray>"));
        let read = read_all(&Vti, "x", text.as_bytes(), &OpenOptions::default());
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
    }
}

#[test]
fn empty_and_flat_images_are_images() {
    let file = |extent: &str| {
        format!(
            "<VTKFile type=\"ImageData\"><ImageData><Piece Extent=\"{extent}\"><PointData><DataArray type=\"UInt8\" \
             Name=\"p\"> </DataArray></PointData><CellData><DataArray type=\"Int8\" Name=\"c\"> 1 </DataArray></CellData>\
             </Piece></ImageData></VTKFile>"
        )
    };
    let text = file("0 -1 0 -1 0 -1");
    let shapes: Vec<_> = read(text.as_bytes()).iter().map(|a| a.1.shape().to_vec()).collect();
    assert_eq!(shapes, [[0, 0, 0], [0, 0, 0]]);
    assert_eq!(back(text.as_bytes(), |_, a| a).unwrap(), text.as_bytes());
    let flat = file("0 0 0 0 0 0")
        .replace("<DataArray type=\"UInt8\" Name=\"p\"> ", "<DataArray type=\"UInt8\" Name=\"p\"> 7");
    assert_eq!(read(flat.as_bytes())[1].1, Array::from_vec(&[1, 1, 1], vec![1i8]).unwrap());
}

#[test]
fn hostile_bytes_are_errors() {
    for name in FIXTURES {
        let good = fixture(name);
        for cut in 0..good.len() {
            // Nothing but the end of the last tags can be missing unnoticed.
            let _ = back(&good[..cut], |_, a| a);
        }
        assert!(back(&good[..good.len() / 2], |_, a| a).is_err(), "{name}");
        let mut s = 7u64; // A fixed sequence of bits and bytes.
        for at in 0..good.len() {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let mut bad = good.clone();
            bad[at] = if s >> 63 == 0 { bad[at] ^ 1 << (s >> 60 & 7) } else { (s >> 48) as u8 };
            let _ = back(&bad, |_, a| a);
        }
        // Templates from an archive are not to be trusted either.
        let d = open(&good).unwrap();
        let text = d.template.to_string();
        assert!(Vti.restore(&d.template, &d.verbatim[1..], &Decoded(expected()), &mut Vec::new()).is_err());
        assert!(Vti.restore(&d.template, &d.verbatim, &Decoded(vec![]), &mut Vec::new()).is_err());
        if !["ascii", "binary", "appended_raw_zlib"].contains(&name) {
            continue;
        }
        for at in 0..text.len() {
            for digit in ["0", "9", "\"", "99999999999"] {
                let mut bad = text.clone();
                bad.replace_range(at..at + 1, digit);
                if let Ok(t) = serde_json::from_str(&bad) {
                    let _ = Vti.restore(&t, &d.verbatim, &Decoded(expected()), &mut Vec::new());
                }
            }
        }
    }
}

#[test]
fn payloads_cannot_claim_more_than_they_hold() {
    let a = Array::zeros(DType::U8, Shape::new(&[1, 64, 64, 2]).unwrap()).unwrap();
    for compressor in [Compressor::Zlib, Compressor::Lz4] {
        let style = Style { endian: Endian::Little, word: 4, compressor: Some(compressor) };
        let good = make(&a, style, &Encoding::Blocks { base64: false, block: 1 << 15 }, true);
        assert_eq!(read(&good)[0].1, a);
        // A grid, and a header, of a billion times as many values.
        let bad = String::from_utf8_lossy(&good).replace("0 63 0 63 0 0", "0 63 0 63 0 999999999");
        let e = open(bad.as_bytes()).map(|d| d.arrays.len()).unwrap_err();
        assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Truncated), "{e}");
    }
    let style = Style { endian: Endian::Little, word: 8, compressor: Some(Compressor::Zlib) };
    for words in [[u64::MAX, 1, 0], [1, u64::MAX, 100], [u64::MAX, 0, 0], [2, 100, 0], [1, 100, 101], [0, 0, 100]] {
        let text = words.iter().flat_map(|w| w.to_le_bytes()).chain([0; 64]).collect();
        let encoding = Encoding::Blocks { base64: false, block: 100 };
        assert!(style.decode(text, &encoding, 100).is_err(), "{words:?}");
    }
}
