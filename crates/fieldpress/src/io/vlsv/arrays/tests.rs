use super::super::sample::File;
use super::*;
use crate::array::{Array, Buffer, Endian, Region, Slice};
use crate::error::ErrorKind;
use crate::io::testing::{read_all, restored, shared};

fn sample() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/ipshock.vlsv")).unwrap()
}

fn open(file: Vec<u8>) -> Result<Dataset> {
    VLSV.open("a.vlsv", Arc::new(file), &OpenOptions::default())
}

fn same(file: &[u8]) -> Result<bool> {
    Ok(restored(&VLSV, "a.vlsv", file, &OpenOptions::default(), |_, a| a)? == file)
}

/// A file with all that is unusual: names used twice, arrays that share bytes, are empty, or of unknown types.
fn unusual(endian: Endian) -> Vec<u8> {
    File::new(endian)
        .array("VARIABLE", &[("name", "v"), ("mesh", "a")], 3, Buffer::F64((0..12).map(f64::from).collect()))
        .array("VARIABLE", &[("name", "v"), ("mesh", "b")], 1, Buffer::F32(vec![1.5, -2.5]))
        .array("VARIABLE", &[("name", "v"), ("mesh", "b")], 1, Buffer::I64(vec![-1]))
        .bytes("GAP", "name=\"gap\"", b"between")
        .array("MESH_ZONES", &[("mesh", "a")], 2, Buffer::U16(vec![1, 2, 3, 256]))
        .array("LOOSE", &[], 1, Buffer::I8(vec![-3]))
        .array("LOOSE", &[], 1, Buffer::F32(vec![0.5]))
        .array("BLOCKVARIABLE", &[("name", "p")], 27, Buffer::F32(vec![0.25; 54]))
        .element(
            "<VARIABLE name=\"twin\" arraysize=\"4\" datasize=\"8\" datatype=\"float\" vectorsize=\"3\">16</VARIABLE>",
        )
        .element("<VARIABLE name=\"none\" arraysize=\"0\" datasize=\"8\" datatype=\"float\">99999999999</VARIABLE>")
        .bytes("VARIABLE", "name=\"q\" arraysize=\"1\" datasize=\"16\" datatype=\"float\"", &[9; 16])
        .element("<PARAMETERS name=\"t\" value=\"3.5\"/>")
        .finish()
}

#[test]
fn every_file_comes_back_to_the_byte() {
    assert!(same(&sample()).unwrap());
    for name in ["1d_single", "bulk.1d", "bulk.2d", "bulk.amr", "ipshock_t12"] {
        if let Some(bytes) = shared(&format!("vdf/{name}.vlsv")) {
            assert!(same(&bytes).unwrap(), "{name}");
            // Nothing but header, footer and text stays outside the arrays.
            let d = open(bytes.clone()).unwrap();
            let footer = u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
            assert_eq!(d.verbatim.len(), 16 + bytes.len() - footer, "{name}");
        }
    }
    for endian in [Endian::Little, Endian::Big] {
        assert!(same(&unusual(endian)).unwrap());
    }
}

#[test]
fn names_are_readable_and_unique() {
    let names = |file| open(file).unwrap().arrays.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
    let want = "VARIABLE/v@a VARIABLE/v@b VARIABLE/v@b#2 MESH_ZONES/a LOOSE LOOSE#2 BLOCKVARIABLE/p VARIABLE/none";
    assert_eq!(names(unusual(Endian::Little)).join(" "), want);
    let found = names(sample());
    for name in ["VARIABLE/proton/vg_rho", "MESH/fsgrid", "MESH_NODE_CRDS_X/proton", "BLOCKVARIABLE/proton"] {
        assert!(found.iter().any(|n| n == name), "{name}");
    }
    assert!(!found.iter().any(|n| n.contains(['@', '#'])), "{found:?}");
    let clash = File::new(Endian::Little)
        .array("A", &[("name", "b#2")], 1, Buffer::U8(vec![1]))
        .array("A", &[("name", "b")], 1, Buffer::U8(vec![2]))
        .array("A", &[("name", "b")], 1, Buffer::U8(vec![3]));
    assert_eq!(names(clash.finish()), ["A/b#2", "A/b", "A/b#3"]);
}

#[test]
fn values_shapes_and_attributes_are_those_of_the_file() {
    for endian in [Endian::Little, Endian::Big] {
        let arrays = read_all(&VLSV, "a.vlsv", &unusual(endian), &OpenOptions::default()).unwrap();
        let get = |name: &str| &arrays.iter().find(|a| a.0 == name).unwrap().1;
        assert_eq!(get("VARIABLE/v@a").shape().dims(), [4, 3]);
        assert_eq!(get("VARIABLE/v@a").as_typed::<f64>().unwrap()[11], 11.0);
        assert_eq!(get("MESH_ZONES/a").data(), Slice::U16(&[1, 2, 3, 256]));
        assert_eq!(get("BLOCKVARIABLE/p").shape().dims(), [2, 3, 3, 3]);
        assert_eq!(get("VARIABLE/none").shape().dims(), [0]);
    }
    let d = open(sample()).unwrap();
    let rho = d.arrays.iter().find(|a| a.name == "VARIABLE/proton/vg_rho").unwrap();
    let expected = [("unit", "1/m^3"), ("mesh", "SpatialGrid"), ("tag", "VARIABLE"), ("name", "proton/vg_rho")];
    for (key, value) in expected {
        assert_eq!(rho.attributes[key], value);
    }
    let mesh = d.arrays.iter().find(|a| a.name == "MESH/SpatialGrid").unwrap();
    assert_eq!((&mesh.attributes["max_refinement_level"], &mesh.attributes["xperiodic"]), (&"0".into(), &"no".into()));
}

#[test]
fn only_physical_fields_may_be_lossy() {
    let d = open(sample()).unwrap();
    let role = |name: &str| d.arrays.iter().find(|a| a.name == name).map(|a| a.role);
    for (name, want) in [
        ("VARIABLE/proton/vg_rho", Role::Field),
        ("VARIABLE/fg_b", Role::Field),
        ("BLOCKVARIABLE/proton", Role::Field),
        ("VARIABLE/CellID", Role::Id),
        ("VARIABLE/vg_f_saved", Role::Id),
        ("VARIABLE/proton/vg_effectivesparsitythreshold", Role::Parameter),
        ("VARIABLE/vg_boundarytype", Role::Id),
        ("BLOCKIDS/proton", Role::Id),
        ("BLOCKSPERCELL/proton", Role::Id),
        ("CELLSWITHBLOCKS/proton", Role::Id),
        ("MESH_BBOX/proton", Role::Id),
        ("MESH_DECOMPOSITION/fsgrid", Role::Id),
        ("MESH_NODE_CRDS_Z/proton", Role::Coordinate),
        ("PARAMETER/time", Role::Parameter),
        ("VERSION/version_information", Role::Parameter),
    ] {
        assert_eq!(role(name), Some(want), "{name}");
    }
    assert!(d.arrays.iter().all(|a| a.role != Role::Field || a.source.dtype().is_float()));
    for (name, want) in [
        ("vg_dx", Role::Coordinate),
        ("MPI_rank", Role::Id),
        ("proton/Blocks", Role::Id),
        ("fSaved", Role::Id),
        ("MinValue", Role::Parameter),
        ("B", Role::Field),
        ("", Role::Field),
    ] {
        assert_eq!(variable_role(name), want, "{name}");
    }
}

#[test]
fn bytes_that_mean_two_things_are_not_lossy() {
    let v = |other: &str| {
        let f = File::new(Endian::Little)
            .array("VARIABLE", &[("name", "v")], 1, Buffer::F64(vec![1.0, 2.0]))
            .element(&format!("<{other}>24</X>").replace("/X", &format!("/{}", other.split(' ').next().unwrap())));
        let d = open(f.finish()).unwrap();
        assert_eq!(d.arrays.len(), 1);
        d.arrays[0].role
    };
    assert_eq!(v("BLOCKIDS arraysize=\"2\" datasize=\"4\" datatype=\"uint\""), Role::Id);
    assert_eq!(v("MESH_NODE_CRDS_X arraysize=\"1\" datasize=\"8\" datatype=\"float\""), Role::Coordinate);
    assert_eq!(v("VARIABLE arraysize=\"2\" datasize=\"4\" datatype=\"float\""), Role::Id);
    let d = open(unusual(Endian::Little)).unwrap();
    assert_eq!(d.arrays[0].role, Role::Field, "its twin has the same values");
}

#[test]
fn changed_fields_are_found_again() {
    let negate = |name: &str, a: Array| match (name, a.as_typed::<f32>()) {
        ("BLOCKVARIABLE/proton", Some(v)) => Array::from_vec(&a.shape(), v.iter().map(|x| -x).collect()).unwrap(),
        _ => a,
    };
    let file = sample();
    let back = restored(&VLSV, "a.vlsv", &file, &OpenOptions::default(), negate).unwrap();
    assert_eq!(back.len(), file.len());
    let read = |bytes: &[u8]| {
        let v = Vlsv::open(Arc::new(bytes.to_vec())).unwrap();
        v.blocks("proton", 1).map(|b| b.1).or_else(|_| v.read(v.find("BLOCKVARIABLE", None, None).unwrap())).unwrap()
    };
    let (a, b) = (read(&file), read(&back));
    let (a, b) = (a.as_typed::<f32>().unwrap(), b.as_typed::<f32>().unwrap());
    assert!(!a.is_empty() && a.iter().zip(b).all(|(x, y)| *x == -*y));
}

#[test]
fn old_footers_are_read() {
    let file = File::new(Endian::Little)
        .array("MESH", &[("name", "SpatialGrid"), ("type", "vlasov")], 1, Buffer::U64(vec![1, 2]))
        .array("COORDS", &[("name", "SpatialGrid")], 6, Buffer::F64(vec![0.5; 12]))
        .array("VARIABLE", &[("name", "rho"), ("mesh", "SpatialGrid")], 1, Buffer::F64(vec![1.0, 2.0]))
        .array("VARIABLE", &[("name", "MPI_rank"), ("mesh", "SpatialGrid")], 1, Buffer::I32(vec![0, 1]))
        .array("PARAMETERS", &[("name", "t"), ("value", "12.5")], 1, Buffer::F64(vec![12.5]))
        .array("BLOCKVARIABLE", &[("name", "avgs")], 64, Buffer::F32(vec![0.5; 64]))
        .element("<PARAMETERS name=\"dt\" value=\"0.1\"/>")
        .finish();
    assert!(same(&file).unwrap());
    let d = open(file).unwrap();
    let found: Vec<_> = d.arrays.iter().map(|a| (a.name.as_str(), a.role)).collect();
    let want = [
        ("MESH/SpatialGrid", Role::Id),
        ("COORDS/SpatialGrid", Role::Coordinate),
        ("VARIABLE/rho", Role::Field),
        ("VARIABLE/MPI_rank", Role::Id),
        ("PARAMETERS/t", Role::Parameter),
        ("BLOCKVARIABLE/avgs", Role::Field),
    ];
    assert_eq!(found, want);
}

#[test]
fn files_are_recognised() {
    assert!(VLSV.matches("dir.x/bulk.0000001.vlsv", b"") && VLSV.matches("A.VLSV", b""));
    assert!(!VLSV.matches("a.npy", &sample()[..512]) && !VLSV.matches("-", &[0; 512]) && !VLSV.matches("-", &[0; 15]));
    assert!(VLSV.matches("-", &sample()[..512]) && VLSV.matches("dir.x/bulk", &unusual(Endian::Big)));
}

#[test]
fn every_prefix_is_an_error() {
    let file = unusual(Endian::Big);
    let footer = file.windows(7).position(|w| w == b"</VLSV>").unwrap() + 7;
    for n in 0..footer {
        let kind = open(file[..n].to_vec()).err().unwrap().kind();
        assert!(matches!(kind, ErrorKind::Truncated | ErrorKind::Corrupt), "{n} {kind:?}");
        assert!(kind == ErrorKind::Truncated || n > 16, "{n}");
    }
    let file = sample();
    for n in (0..file.len()).step_by(997) {
        assert!(open(file[..n].to_vec()).is_err(), "{n}");
    }
}

/// Opens a damaged file. Whatever it is now, it must be refused, or come back as it is; and no part of the reader may
/// panic over it.
fn survive(file: &[u8]) {
    if let Ok(back) = same(file) {
        assert!(back);
    }
    let Ok(v) = Vlsv::open(Arc::new(file.to_vec())) else { return };
    for t in v.tags() {
        let _ = v.read(t);
        let _ = t.name().map(|n| v.parameter(n));
    }
    for p in v.populations() {
        let _ = v.velocity_mesh(p);
        for c in v.cells_with_blocks(p).unwrap_or_default().iter().take(10) {
            let _ = v.blocks_of(p, c);
        }
    }
}

#[test]
fn damaged_files_are_refused_or_come_back_as_they_are() {
    let changes = |file: Vec<u8>, change: &dyn Fn(u8) -> Vec<u8>| {
        for at in 0..file.len() {
            for byte in change(file[at]) {
                let mut file = file.clone();
                file[at] = byte;
                survive(&file);
            }
        }
    };
    changes(unusual(Endian::Big), &|b| (0..8).map(|bit| b ^ (1 << bit)).collect());
    // Digits make other numbers, which random flips rarely do.
    changes(unusual(Endian::Little), &|_| b"0189<".to_vec());
    let file = sample();
    let footer = u64::from_le_bytes(file[8..16].try_into().unwrap()) as usize;
    let mut state = 1u64;
    for round in 0..100 {
        let mut file = file.clone();
        for _ in 0..1 + round % 3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = footer + (state >> 33) as usize % (file.len() - footer);
            file[at] = if round % 2 == 0 { b'0' + (state >> 20) as u8 % 10 } else { (state >> 20) as u8 };
        }
        survive(&file);
    }
}

#[test]
fn archives_are_not_trusted() {
    let d = open(unusual(Endian::Little)).unwrap();
    let read = |a: &FileArray| Array::new(a.source.shape(), a.source.read(&Region::all(a.source.shape())).unwrap());
    let all = || d.arrays.iter().map(|a| (a.name.clone(), read(a).unwrap())).collect::<Vec<_>>();
    let restore = |template: &Value, verbatim: &[u8], arrays| {
        VLSV.restore(template, verbatim, &crate::io::testing::Decoded(arrays), &mut Vec::new())
    };
    assert!(restore(&d.template, &d.verbatim, all()).is_ok());
    assert!(restore(&Value::Null, &d.verbatim, all()).is_err());
    assert!(restore(&d.template, &d.verbatim[1..], all()).is_err());
    assert!(restore(&d.template, &d.verbatim, all()[1..].to_vec()).is_err());
}
