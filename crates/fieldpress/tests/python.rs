//! Files written by the library are opened by NumPy, VTK, pymech and readers of VLSV; transforms are those of PyWavelets. Skipped without Python (`FIELDPRESS_PYTHON`, or
//! `python3`) or those packages.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use fieldpress::array::{Buffer, Region, Sink, Source};
use fieldpress::io::{format, npy, open, open_path, Arrays, Dataset, FileArray, OpenOptions, Role};
use fieldpress::transform::filterbank::Mode;
use fieldpress::transform::filters::Named;
use fieldpress::transform::FilterBank;
use fieldpress::{Array, DType, Error, Result, Shape};

/// The arrays of a file, its fields with other values.
struct Changed(Vec<(String, Array)>);

impl Arrays for Changed {
    fn spec(&self, name: &str) -> Result<(DType, Shape)> {
        let found = self.0.iter().find(|a| a.0 == name).map(|a| (a.1.dtype(), a.1.shape()));
        found.ok_or_else(|| Error::corrupt(format!("expected an array {name:?}")))
    }
    fn read_into(&self, name: &str, sink: &mut dyn Sink) -> Result<()> {
        let a = self.0.iter().find(|a| a.0 == name).ok_or_else(|| Error::corrupt("expected an array"))?;
        sink.write(&Region::all(a.1.shape()), a.1.data())
    }
}

fn changed(d: &Dataset) -> Changed {
    let change = |source: &dyn Source| {
        let values = match source.read(&Region::all(source.shape())).unwrap() {
            Buffer::F32(v) => Buffer::F32(v.iter().map(|x| x / 3.0 - 1e-6).collect()),
            Buffer::F64(v) => Buffer::F64(v.iter().map(|x| x / 3.0 - 1e-6).collect()),
            Buffer::I32(v) => Buffer::I32(v.iter().map(|x| -3 * x).collect()),
            other => other,
        };
        Array::new(source.shape(), values).unwrap()
    };
    let keep =
        |source: &dyn Source| Array::new(source.shape(), source.read(&Region::all(source.shape())).unwrap()).unwrap();
    let one = |a: &FileArray| {
        let source = a.source.as_ref();
        (a.name.clone(), if a.role == Role::Field { change(source) } else { keep(source) })
    };
    Changed(d.arrays.iter().map(one).collect())
}

fn place(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    std::fs::create_dir_all(&dir).unwrap();
    dir.join(name)
}

/// Runs a check of `tests/python`; false, with a message, where it cannot run.
fn check(script: &str, arguments: &[String]) -> bool {
    let python = std::env::var("FIELDPRESS_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = format!("{}/../../tests/python/{script}", env!("CARGO_MANIFEST_DIR"));
    let Ok(output) = Command::new(&python).arg(&script).args(arguments).output() else {
        eprintln!("skipped: {python} does not run");
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        eprintln!("{text}");
        return false;
    }
    assert!(output.status.success(), "{script} {arguments:?}\n{text}");
    true
}

/// Restores `d` with other values as `name`, and exports those: the path of the file, and `ARRAY=EXPORT` for each.
fn write(d: &Dataset, name: &str) -> (String, Vec<String>) {
    let arrays = changed(d);
    let mut out = Vec::new();
    format(d.format).unwrap().restore(&d.template, &d.verbatim, &arrays, &mut out).unwrap();
    let file = place(name);
    std::fs::write(&file, out).unwrap();
    let mut expected = Vec::new();
    for (i, (array, _)) in arrays.0.iter().enumerate() {
        let mut out = Vec::new();
        npy::write_npy(&arrays, array, &mut out).unwrap();
        let export = place(&format!("{name}.{i}.npy"));
        std::fs::write(&export, out).unwrap();
        expected.push(format!("{array}={}", export.display()));
    }
    (file.display().to_string(), expected)
}

#[test]
fn numpy_opens_what_is_written() {
    // Two columns of a Fortran-ordered, big-endian array; the same deflated and stored in an archive is left to NumPy.
    let head = "{'descr': '>f8', 'fortran_order': True, 'shape': (3, 2), }";
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(format!("{head:<117}\n").bytes());
    file.extend((0..6).flat_map(|i| (f64::from(i) * 0.7).to_be_bytes()));
    let d = open("a.npy", Arc::new(file), &OpenOptions::default()).unwrap();
    let (file, expected) = write(&d, "fortran.npy");
    let export = expected[0].split_once('=').unwrap().1.to_string();
    if !check("check_npy.py", &[file, export]) {
        return;
    }
    let python = std::env::var("FIELDPRESS_PYTHON").unwrap_or_else(|_| "python3".into());
    for (name, save) in [("stored.npz", "savez"), ("deflated.npz", "savez_compressed")] {
        let original = place(&format!("original-{name}"));
        let code = format!(
            "import numpy as n; n.{save}({:?}, b=n.arange(5.0), a=n.asfortranarray(n.ones((3, 2), '>f4')), \
             i=n.arange(7, dtype='i4'), e=n.zeros((0, 3)), s=n.float64(2))",
            original.display()
        );
        assert!(Command::new(&python).args(["-c", &code]).status().unwrap().success());
        let d = open_path(&original, &OpenOptions::default()).unwrap();
        assert_eq!(d.arrays.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["b", "a", "i", "e", "s"]);
        let (file, expected) = write(&d, name);
        assert!(check("check_npy.py", &[vec![file], expected].concat()));
    }
}

#[test]
fn vtk_opens_what_is_written() {
    let fixtures = format!("{}/tests/fixtures/vti", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains("lzma") {
            continue;
        }
        let d = open_path(&path, &OpenOptions::default()).unwrap();
        let (file, expected) = write(&d, &name);
        let fields = ["field:TimeValue=1.25".to_string(), "field:note=hello".to_string()];
        if !check("check_vti.py", &[vec![file], expected, fields.to_vec()].concat()) {
            return;
        }
        count += 1;
    }
    assert_eq!(count, 8);
}

fn sample(name: &str) -> Dataset {
    let path = format!("{}/../../samples/{name}", env!("CARGO_MANIFEST_DIR"));
    open_path(Path::new(&path), &OpenOptions::default()).unwrap()
}

#[test]
fn pymech_opens_what_is_written() {
    let (file, expected) = write(&sample("tgv.f00001"), "tgv0.f00001");
    assert_eq!(expected.len(), 7);
    check("check_nek.py", &[vec![file], expected].concat());
}

#[test]
fn readers_of_vlsv_open_what_is_written() {
    let (file, expected) = write(&sample("ipshock.vlsv"), "ipshock.vlsv");
    let known = |e: &String| ["VARIABLE/", "BLOCKVARIABLE/", "MESH_NODE_CRDS_X/"].iter().any(|tag| e.starts_with(tag));
    let expected: Vec<String> = expected.into_iter().filter(known).collect();
    assert!(expected.len() > 30);
    check("check_vlsv.py", &[vec![file], expected].concat());
}

#[test]
fn wavelet_transforms_are_those_of_pywavelets() {
    let modes = [
        ("symmetric", Mode::Symmetric),
        ("zero", Mode::Zero),
        ("periodic", Mode::Periodic),
        ("stationary", Mode::Stationary),
    ];
    let shapes: [(u32, &[usize]); 6] =
        [(1, &[37]), (3, &[64]), (2, &[12, 20]), (1, &[7, 33]), (2, &[8, 12, 16]), (1, &[5, 6, 11])];
    let (mut cases, mut data) = (String::new(), Vec::new());
    let mut put = |values: &[f64]| data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    for wavelet in Named::all() {
        let name = String::from(wavelet);
        for (word, mode) in modes {
            for (levels, shape) in shapes {
                let divides = shape.iter().all(|n| n % (1 << levels) == 0);
                // Another filter of that name; lengths that PyWavelets does not know.
                if name == "dmey" || (mode == Mode::Stationary && !divides) {
                    continue;
                }
                let bank = FilterBank { wavelet, mode, levels: vec![levels; shape.len()] };
                if bank.layout(shape).unwrap().len().unwrap() > 20_000 {
                    continue;
                }
                let x: Vec<f64> =
                    (0..shape.iter().product::<usize>()).map(|i| (i * i % 977) as f64 * 0.37 - 90.0).collect();
                let mut c = bank.forward(&x, shape).unwrap();
                put(&x);
                put(&c);
                c.iter_mut().for_each(|v| *v = v.round());
                put(&c);
                put(&bank.inverse(&c, shape).unwrap());
                let extents: Vec<String> = shape.iter().map(|n| n.to_string()).collect();
                cases += &format!("{name} {word} {levels} {}\n", extents.join(" "));
            }
        }
    }
    let (list, values) = (place("wavelets.txt"), place("wavelets.f64"));
    std::fs::write(&list, cases).unwrap();
    std::fs::write(&values, data).unwrap();
    check("check_wavelets.py", &[list.display().to_string(), values.display().to_string()]);
}
