//! Makes the seeds: small cases of every target that reach far on their own.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use fieldpress::array::{Array, Buffer, Element, Shape};
use fieldpress::bound::Term;
use fieldpress::codec::registry::{Make, REGISTRY};
use fieldpress::container::{ArchiveWriter, ArrayOptions, Plan, Role};
use fieldpress::files::{compress_files, FileOptions, Input};
use fieldpress::io::npy;
use fieldpress::{compress, dispatch_dtype, Bound, Chain, DType, Options};

use crate::targets::{archive, block, entropy, formats, round_trip};

/// A case and where it belongs.
pub struct Seed {
    pub target: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
}

/// All seeds.
pub fn all() -> Vec<Seed> {
    let mut all = Vec::new();
    let mut add = |target, name: String, bytes| all.push(Seed { target, name, bytes });
    blocks(&mut |name, bytes| add("block", name, bytes));
    round_trips(&mut |name, bytes| add("round_trip", name, bytes));
    entropies(&mut |name, bytes| add("entropy", name, bytes));
    let files = files();
    for (id, name, bytes) in &files {
        let at = formats::FORMATS.iter().position(|f| f == id).expect("a format of the target");
        // Raw binary: little-endian f32 of shape [5, 3], two bytes to skip.
        let head: &[u8] = if *id == "raw" { &[0, 0, 2, 5, 0, 3, 0, 2] } else { &[] };
        add("formats", name.clone(), [&[at as u8], head, bytes].concat());
    }
    archives(&files, &mut |name, bytes| {
        add("archive", format!("{name}-pieces"), archive::seed_pieces(&bytes).expect("an archive of small parts"));
        add("archive", name, archive::seed_whole(&bytes));
    });
    all
}

/// A smooth array with a few steps in it.
fn smooth(dtype: DType, dims: &[usize]) -> Array {
    fn make<T: Element>(n: usize) -> Buffer {
        let value = |i: usize| 50.0 + 40.0 * libm::sin(i as f64 * 0.21) + if i % 23 == 0 { 7.0 } else { 0.0 };
        T::into_buffer((0..n).map(|i| T::from_f64(value(i))).collect())
    }
    let shape = Shape::new(dims).expect("a small shape");
    Array::new(shape, dispatch_dtype!(dtype, T => make::<T>(shape.len()))).expect("as many values")
}

/// [`smooth`] with NaN, infinity, -0.0 and a fill value in it.
fn special(dims: &[usize]) -> Array {
    let mut values = smooth(DType::F32, dims).as_typed::<f32>().expect("floats").to_vec();
    for (i, v) in [(3, f32::NAN), (4, f32::INFINITY), (9, -0.0), (10, 1e20), (11, 1e20), (12, 1e20)] {
        if let Some(at) = values.get_mut(i) {
            *at = v;
        }
    }
    Array::new(Shape::new(dims).expect("a small shape"), Buffer::F32(values)).expect("as many values")
}

/// A chain in which each method of the registry does its work.
fn chains() -> Vec<String> {
    let example = |id: &str, make: &Make| match (make, id) {
        (_, "difference") => {
            vec!["difference:from=other+lorenzo".into(), "difference:from=other,ordered=true+zstd".into()]
        }
        (Make::Filter(_), _) => vec![format!("{id}+lorenzo")],
        (Make::Bytes(_), "shuffle") => vec!["shuffle+zstd".into()],
        _ => vec![id.to_string()],
    };
    let mut all: Vec<String> = REGISTRY.iter().flat_map(|e| example(e.id, &e.make)).collect();
    all.push("spatial_delta:axis=0+transpose+pco".into());
    all.push("lorenzo+lz4+zlib".into());
    all
}

fn blocks(add: &mut dyn FnMut(String, Vec<u8>)) {
    let bounds = [("abs", Term { abs: 0.05, rel: 0.0 }), ("rel", Term { abs: 0.0, rel: 1e-2 }), ("exact", Term::EXACT)];
    for chain in chains() {
        for (name, hint) in &bounds {
            let title = format!("{}-{name}", chain.replace([':', '=', ','], "_"));
            if let Some(case) = block::seed(&smooth(DType::F32, &[6, 9, 5]), &chain, hint, None, false, false) {
                add(format!("{title}-f32"), case);
            }
        }
        let hint = Term { abs: 2.0, rel: 0.0 };
        let title = chain.replace([':', '=', ','], "_");
        for (dtype, dims) in [(DType::F64, &[40][..]), (DType::I16, &[7, 11]), (DType::U64, &[3, 2, 4, 5])] {
            if let Some(case) = block::seed(&smooth(dtype, dims), &chain, &hint, None, false, false) {
                add(format!("{title}-{dtype}"), case);
            }
        }
        if let Some(case) =
            block::seed(&special(&[8, 12]), &chain, &hint, Some(u64::from(1e20f32.to_bits())), false, false)
        {
            add(format!("{title}-special"), case);
        }
    }
    for (chain, dims) in [
        ("legendre", &[5, 4, 4][..]),
        ("legendre", &[3, 5, 5, 5]),
        ("sem-c0", &[2, 4, 4, 4]),
        ("sem-c0:z=", &[3, 6, 6]),
        ("sem-grid+lorenzo", &[2, 4, 4, 4]),
    ] {
        for dtype in [DType::F32, DType::F64] {
            let x = smooth(dtype, dims);
            let case = block::seed(&x, chain, &bounds[0].1, None, false, false).expect("elements");
            add(format!("{}-elements-{}-{dtype}", chain.replace([':', '='], "_"), dims.len()), case);
        }
    }
    let repaired = block::seed(&smooth(DType::F32, &[2, 6, 9, 5]), "interp", &bounds[0].1, None, false, true);
    add("interp-repaired".into(), repaired.expect("distributions whose moments can be restored"));
    for (chain, title) in with_levels() {
        let hint = Term { abs: 0.02, rel: 0.0 };
        let case = block::seed(&special(&[19, 11, 9]), chain, &hint, Some(u64::from(1e20f32.to_bits())), true, false);
        add(title, case.expect("a payload large enough for levels"));
    }
}

/// Chains with levels, and titles for their seeds.
fn with_levels() -> impl Iterator<Item = (&'static str, String)> {
    let name = |c: &'static str| (c, format!("{}-levels", c.replace([':', '=', ','], "_")));
    ["interp", "log+interp", "dwt", "dwt:coder=classes"].into_iter().map(name)
}

fn round_trips(add: &mut dyn FnMut(String, Vec<u8>)) {
    for (chain, title) in with_levels() {
        add(title, round_trip::seed(&special(&[19, 41]), 8 | 1, [0.02, 0.0], 0, 0.0, chain));
    }
    for (i, chain) in chains().iter().filter(|c| !c.starts_with("difference")).chain([&"best".into()]).enumerate() {
        let title = chain.replace([':', '=', ','], "_");
        let numbers = [[0.1, 0.01], [1e-3, 0.0], [1e-2, 0.0], [0.05, 0.001], [60.0, 0.0]][i % 5];
        let kind = [1, 2, 3, 4, 6][i % 5];
        add(title.clone(), round_trip::seed(&special(&[9, 7]), kind, numbers, 3 | (i as u8 % 4) << 3, 1e20, chain));
        let dtype = DType::ALL[i % 10];
        add(
            format!("{title}-{dtype}"),
            round_trip::seed(&smooth(dtype, &[50]), i as u8 % 8, [0.5, 0.1], 4, 0.0, chain),
        );
    }
}

fn entropies(add: &mut dyn FnMut(String, Vec<u8>)) {
    let value = |i: i64| (i * i * 37 % 101 - 50) * i64::from(i % 4 != 0) << (i % 19);
    for coder in 0..entropy::CODERS {
        for (dims, extra) in [(&[60][..], 3u8), (&[5, 12], 0), (&[3, 4, 5], 12)] {
            let mut values: Vec<i64> = (0..60).map(value).collect();
            if coder == 4 {
                values.iter_mut().for_each(|v| *v %= 500);
            }
            let name = format!("stream-{coder}-{extra}");
            add(name, entropy::seed_stream(coder, dims, if coder == 5 { 0 } else { extra }, &values));
        }
        let bytes = b"\x1f\0\xf0abcabcabc\0\0\0\0\0\x3d\x80\xff\x05";
        add(format!("round-{coder}"), entropy::seed(128 + coder, &[4, 40], 5, bytes));
    }
    // Enough symbols for tables instead of adaptive models.
    let many: Vec<i64> = (0..3000).map(|i| (i * i / 7 % 13 - 6) * (i % 3)).collect();
    add("stream-tables".into(), entropy::seed_stream(4, &[3000], 2, &many));
}

/// Files of every format: its id, a name, the bytes.
fn files() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    let a = smooth(DType::F32, &[5, 3]);
    let values = a.data().to_le_bytes();
    let npy = [npy::header(DType::F32, &a.shape()), values.clone()].concat();
    let ids = smooth(DType::I16, &[4]);
    let second = [npy::header(DType::I16, &ids.shape()), ids.data().to_le_bytes()].concat();
    let fortran = String::from_utf8_lossy(&npy[..128]).replace("False", "True ");
    let mut turned = npy.clone();
    // The length of the text does not change, and neither do the bytes above 127 in front of it.
    turned[10..128].copy_from_slice(&fortran.as_bytes()[fortran.len() - 118..]);
    all.push(("npy", "npy".into(), npy.clone()));
    all.push(("npy", "npy-fortran".into(), turned));
    for (name, method) in [("npz", zip::CompressionMethod::Stored), ("npz-deflated", zip::CompressionMethod::Deflated)]
    {
        let mut w = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (member, bytes) in [("a.npy", &npy), ("ids.npy", &second)] {
            w.start_file(member, options).expect("a new member");
            w.write_all(bytes).expect("memory");
        }
        all.push(("npz", name.into(), w.finish().expect("memory").into_inner()));
    }
    all.push(("raw", "raw".into(), [b"..".to_vec(), values].concat()));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vti");
    let mut fixtures: Vec<_> = std::fs::read_dir(folder).expect(folder).flatten().map(|e| e.path()).collect();
    fixtures.sort();
    for path in fixtures {
        let name = format!("vti-{}", path.file_stem().unwrap_or_default().to_string_lossy());
        all.push(("vti", name, std::fs::read(path).expect("a fixture")));
    }
    all.push(("nek", "nek-3d".into(), nek(4, [2, 3, 2], 3, "XUPTS01", 3 + 3 + 1 + 1 + 1)));
    all.push(("nek", "nek-2d-f64".into(), nek(8, [3, 2, 1], 2, "XUP", 2 + 2 + 1)));
    all.push(("nek", "nek-legacy".into(), legacy()));
    all.push(("vlsv", "vlsv".into(), vlsv(false)));
    all.push(("vlsv", "vlsv-big".into(), vlsv(true)));
    all.push(("fits", "fits-image".into(), fits_image()));
    all.push(("fits", "fits-table".into(), fits_table()));
    all
}

/// A header and data unit of a FITS file.
fn fits(cards: &[&str], mut data: Vec<u8>) -> Vec<u8> {
    let mut out: Vec<u8> = cards.iter().chain(&["END"]).flat_map(|c| format!("{c:<80}").into_bytes()).collect();
    out.resize(out.len().next_multiple_of(2880), b' ');
    data.resize(data.len().next_multiple_of(2880), 0);
    out.extend(data);
    out
}

/// A FITS file with an image of scaled integers.
fn fits_image() -> Vec<u8> {
    let shape = ["NAXIS   = 2", "NAXIS1  = 5", "NAXIS2  = 3", "BZERO   = 32768", "BLANK   = -1", "BUNIT   = 'K'"];
    let cards = [&["SIMPLE  = T", "BITPIX  = 16"], &shape[..]].concat();
    fits(&cards, (0..15i16).flat_map(|i| (i * i - 9).to_be_bytes()).collect())
}

/// A FITS file with a HEALPix map of nside 1 between text and a heap.
fn fits_table() -> Vec<u8> {
    let mut data = Vec::new();
    for row in 0..4u8 {
        data.extend([b'a' + row, b' ']);
        (0..3).for_each(|i| data.extend((f32::from(row) - i as f32 * 0.1).to_be_bytes()));
        data.extend([0, 0, 0, 1, 0, 0, 0, row]);
        data.extend((f64::from(row) * 1e-3).to_be_bytes());
    }
    data[2..6].copy_from_slice(&(-1.6375e30f32).to_be_bytes());
    data.extend(b"heap");
    let table = ["NAXIS   = 2", "NAXIS1  = 30", "NAXIS2  = 4", "PCOUNT  = 4", "GCOUNT  = 1", "TFIELDS = 4"];
    let columns = ["TFORM1  = '2A'", "TFORM2  = '3E'", "TFORM3  = '1PB(1)'", "TFORM4  = 'D'", "TTYPE2  = 'T'"];
    let map = ["PIXTYPE = 'HEALPIX'", "ORDERING= 'NESTED'", "NSIDE   = 1"];
    let cards = [&["XTENSION= 'BINTABLE'", "BITPIX  = 8"], &table[..], &columns, &map].concat();
    [fits(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0"], Vec::new()), fits(&cards, data)].concat()
}

/// A Nek5000 field file with `components` values at every node.
fn nek(word: usize, nodes: [usize; 3], elements: usize, code: &str, components: usize) -> Vec<u8> {
    let [nx, ny, nz] = nodes;
    let time = "1.2500000000000E+00";
    let mut head = format!("#std {word} {nx:>2} {ny:>2} {nz:>2} {elements:>10} {elements:>10}  {time}");
    let _ = write!(head, " {:>9} {:>6} {:>6} {code:<10}", 7, 0, 1);
    let mut out = format!("{head:<132}").into_bytes();
    out.extend(6.54321f32.to_le_bytes());
    (0..elements).rev().for_each(|e| out.extend((e as i32 + 1).to_le_bytes()));
    for i in 0..components * elements * nx * ny * nz {
        let v = libm::sin(i as f64 * 0.1);
        if word == 4 {
            out.extend((v as f32).to_le_bytes());
        } else {
            out.extend(v.to_le_bytes());
        }
    }
    if nz > 1 {
        (0..components * elements * 2).for_each(|i| out.extend((i as f32).to_le_bytes()));
    }
    out
}

/// A legacy field file of two elements.
fn legacy() -> Vec<u8> {
    let mut out =
        format!("{:<80}", format!("{:4}{:4}{:4}{:4} {:>13}{:>5} {}", 2, 2, 2, 2, "1.0000000E+00", 5, " U P T"))
            .into_bytes();
    out.extend(6.54321f32.to_le_bytes());
    (0..2 * 5 * 8).for_each(|i| out.extend((i as f32 * 0.25).to_le_bytes()));
    out
}

/// A VLSV file with a variable, cell ids and the velocity blocks of one population.
fn vlsv(big: bool) -> Vec<u8> {
    let mut data = vec![0u8; 16];
    data[0] = u8::from(big);
    let mut footer = String::from("<VLSV>\n");
    let mut put = |tag: &str, more: &str, kind: &str, size: usize, width: usize, values: Vec<Vec<u8>>| {
        let (at, n) = (data.len(), values.len() / width);
        for mut v in values {
            if big {
                v.reverse();
            }
            data.extend(v);
        }
        let sizes = format!("arraysize=\"{n}\" datasize=\"{size}\" datatype=\"{kind}\" vectorsize=\"{width}\"");
        let _ = writeln!(footer, "   <{tag} {sizes} {more}>{at}</{tag}>");
    };
    let u64s = |v: &[u64]| v.iter().map(|x| x.to_le_bytes().to_vec()).collect::<Vec<_>>();
    let u32s = |v: &[u32]| v.iter().map(|x| x.to_le_bytes().to_vec()).collect::<Vec<_>>();
    let f64s = |n: usize| (0..n).map(|i| (i as f64 - 4.0).to_le_bytes().to_vec()).collect::<Vec<_>>();
    let f32s = |n: usize| (0..n).map(|i| (i as f32 * 1e-3).to_le_bytes().to_vec()).collect::<Vec<_>>();
    let (name, mesh) = ("name=\"proton\" mesh=\"SpatialGrid\"", "mesh=\"proton\"");
    put("VARIABLE", "name=\"CellID\" mesh=\"SpatialGrid\"", "uint", 8, 1, u64s(&[7, 9, 3]));
    put("VARIABLE", "name=\"proton/vg_v\" mesh=\"SpatialGrid\" unit=\"m/s\"", "float", 8, 3, f64s(9));
    put("CELLSWITHBLOCKS", name, "uint", 8, 1, u64s(&[7, 3]));
    put("BLOCKSPERCELL", name, "uint", 4, 1, u32s(&[1, 1]));
    put("BLOCKIDS", name, "uint", 4, 1, u32s(&[5, 6]));
    put("BLOCKVARIABLE", name, "float", 4, 64, f32s(128));
    put("MESH_BBOX", mesh, "uint", 8, 1, u64s(&[2, 3, 2, 4, 4, 4]));
    for (tag, n) in [("MESH_NODE_CRDS_X", 2), ("MESH_NODE_CRDS_Y", 3), ("MESH_NODE_CRDS_Z", 2)] {
        put(tag, mesh, "float", 8, 1, f64s(4 * n + 1));
    }
    put("PARAMETER", "name=\"time\"", "float", 8, 1, f64s(1));
    let at = data.len() as u64;
    data[8..16].copy_from_slice(&if big { at.to_be_bytes() } else { at.to_le_bytes() });
    data.extend((footer + "</VLSV>\n").into_bytes());
    data
}

fn archives(files: &[(&'static str, String, Vec<u8>)], add: &mut dyn FnMut(String, Vec<u8>)) {
    for (i, bound) in [Bound::Lossless, Bound::Abs(0.5), Bound::PwRel(0.01), Bound::Psnr(40.0)].into_iter().enumerate()
    {
        let mut options = Options::new(bound);
        options.block = Some(vec![8, 5]);
        let x = special(&[13, 9]);
        add(format!("array-{i}"), compress(&x.view(), options).expect("to compress").0);
    }
    for (chain, title) in with_levels() {
        let mut options = Options::new(Bound::Abs(0.02)).with_chain(chain).expect("a chain");
        (options.progressive, options.block) = (true, Some(vec![20, 32]));
        add(title, compress(&special(&[29, 32]).view(), options).expect("to compress").0);
    }
    add("companion".into(), companion().expect("an archive with a companion"));
    for (id, name, bytes) in files.iter().filter(|f| !f.1.contains("appended_base64") && !f.1.contains("lzma")) {
        add(format!("file-{name}"), of_file(id, bytes).unwrap_or_else(|e| panic!("{name}: {e}")));
    }
}

/// An array, and another as the difference from it.
fn companion() -> fieldpress::Result<Vec<u8>> {
    let mut w = ArchiveWriter::new(Vec::new())?;
    let (a, b) = (smooth(DType::F32, &[6, 5]), special(&[6, 5]));
    let plan = Plan::new(&a.view(), &Bound::Abs(0.01), None, false)?;
    w.put_array("a", &a.view(), options(&plan, "lorenzo", Vec::new())?)?;
    let plan = Plan::new(&b.view(), &Bound::Abs(0.01), None, true)?;
    let names = vec![("other".to_string(), "a".to_string())];
    w.put_array("b", &b.view(), options(&plan, "difference:from=other+lorenzo", names)?)?;
    w.put_blob("notes", b"not an array at all, not an array at all")?;
    w.finish()
}

fn options<'a>(plan: &'a Plan, chain: &str, companions: Vec<(String, String)>) -> fieldpress::Result<ArrayOptions<'a>> {
    Ok(ArrayOptions {
        plan,
        velocities: None,
        chains: vec![Chain::parse(chain)?],
        block: None,
        measure: false,
        elements: None,
        progressive: false,
        role: Role::Field,
        attributes: Default::default(),
        keep: companions.is_empty(),
        companions,
        progress: None,
    })
}

/// A file as an archive keeps it.
fn of_file(id: &str, bytes: &[u8]) -> fieldpress::Result<Vec<u8>> {
    let mut options = FileOptions::new(Bound::Abs(0.01));
    options.lossy = options.lossy.with_chain("lorenzo")?;
    let name = match id {
        "nek" => "a.fld01",
        "npz" => "a.npz",
        "vlsv" => "a.vlsv",
        _ => "a",
    };
    if id == "raw" {
        options.open.shape = Some(Shape::new(&[5, 3])?);
        options.open.dtype = Some(DType::F32);
        options.open.offset = 2;
    }
    let mut out = Vec::new();
    compress_files(&[Input::from_bytes(name, bytes.to_vec())], &mut out, &options, None)?;
    Ok(out)
}
