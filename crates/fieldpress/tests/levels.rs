//! Coarser levels: what they are equal or close to, how few bytes they take, and that damage to those is noticed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod battery;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use battery::{data, judge, Kind, KINDS, SHAPES};
use fieldpress::array::{every, Array, Buffer, Element, ReadAt, Region};
use fieldpress::bound::Term;
use fieldpress::codec::registry::{Make, REGISTRY};
use fieldpress::codec::{inspect_levels, Block, Levels, Spec};
use fieldpress::entropy::{Head, Reach};
use fieldpress::io::npy;
use fieldpress::{
    compress, decompress, Archive, Bound, Chain, DType, Error, ErrorKind, Limits, Options, Result, Shape,
};

/// Every `2^level`-th point along each axis.
fn thinned(x: &Array, level: u32) -> Array {
    let shape = x.shape();
    let values = every(x.data(), &shape, &vec![0; shape.rank()], &vec![level; shape.rank()]).unwrap();
    Array::new(shape.coarse(level), values).unwrap()
}

/// `x` by `chain` at one tolerance: the bytes, what they decode to, and its levels.
fn encoded(x: &Array, chain: &Chain, tolerance: f64) -> (Vec<u8>, Array, Option<Levels>) {
    let spec = Spec { dtype: x.dtype(), shape: x.shape() };
    let bound = chain.bind(&[], &spec).unwrap();
    let block = Block { shape: spec.shape, values: x.data(), site: Default::default() };
    let mut bytes = Vec::new();
    bound.encode(&block, &Term { abs: tolerance, rel: 0.0 }, &mut bytes).unwrap();
    let mut whole = Buffer::zeros(spec.dtype, spec.shape.len()).unwrap();
    bound.decode(&bytes, &Default::default(), whole.as_mut()).unwrap();
    let levels = bound.levels(&bytes).unwrap();
    (bytes, Array::new(spec.shape, whole).unwrap(), levels)
}

fn level(head: Head<'_>, chain: &Chain, spec: Spec, level: u32) -> Result<(Array, Reach)> {
    let bound = chain.bind(&[], &spec)?;
    let shape = spec.shape.coarse(level);
    // What was there before does not matter.
    let mut out = Buffer::from_le_bytes(spec.dtype, &vec![1; shape.len() * spec.dtype.size()])?;
    let reach = bound.decode_level(head, level, &Default::default(), out.as_mut())?;
    Ok((Array::new(shape, out)?, reach))
}

fn cut<'a>(head: Head<'a>, reach: Reach) -> Head<'a> {
    Head { lead: &head.lead[..reach.lead], trail: &head.trail[..reach.trail] }
}

/// Waves along every axis, with noise from one point to the next, and jumps.
fn rough<T: Element>(shape: &Shape, amplitude: f64) -> Array {
    let strides = shape.strides();
    let value = |i: usize| {
        let wave = |k: usize| libm::sin((i / strides[k] % shape[k]) as f64 * (0.13 + 0.07 * k as f64));
        let noise = (i * 7919 % 1009) as f64 / 1009.0 + if i.is_multiple_of(97) { 9.0 } else { 0.0 };
        50.0 + amplitude * ((0..shape.rank()).map(wave).sum::<f64>() + 0.2 * noise)
    };
    Array::new(*shape, T::into_buffer((0..shape.len()).map(|i| T::from_f64(value(i))).collect())).unwrap()
}

#[test]
fn levels_of_interp_are_the_full_decoding_bit_for_bit() {
    let shapes: [&[usize]; 24] = [
        &[],
        &[1],
        &[2],
        &[17],
        &[5001],
        &[900, 3],
        &[2500, 2],
        &[700, 4],
        &[1100, 5],
        &[3, 700],
        &[1, 300],
        &[300, 1],
        &[64, 64],
        &[71, 38],
        &[33, 2, 33],
        &[40, 16, 2],
        &[17, 18, 19],
        &[16, 17, 4],
        &[1, 40, 1, 33],
        &[6, 7, 8, 9],
        &[9, 16, 4, 2],
        &[3, 2, 5, 4, 7],
        &[2, 3, 2, 3, 2, 3, 2, 3],
        &[129, 3, 2],
    ];
    let (mut compared, mut with_raw_bits) = (0, 0);
    for shape in shapes.map(|s| Shape::new(s).unwrap()) {
        for scheme in ["multi", "forward", "backward"] {
            for (spline, tolerance) in [("cubic", 0.01), ("linear", 1.5), ("cubic", 1e-4)] {
                let text = format!("interp:scheme={scheme},spline={spline},alpha=1.25,beta=2");
                let chain = Chain::parse(&text).unwrap();
                let x = rough::<f32>(&shape, 9.0);
                let (bytes, whole, levels) = encoded(&x, &chain, tolerance);
                let levels = levels.unwrap();
                assert!(levels.exact);
                let (head, spec) = (Head::new(&bytes, levels.split), Spec { dtype: x.dtype(), shape });
                let mut finer = Reach { lead: head.lead.len(), trail: head.trail.len() };
                for l in 1..14 {
                    let (y, reach) = level(head, &chain, spec, l).unwrap();
                    let what = || format!("{text} {tolerance} {shape} level {l}");
                    assert!(y.data().same_bits(thinned(&whole, l).data()), "{}", what());
                    // What it says it needs is enough, and no more than the finer level needs.
                    assert!(reach.lead <= finer.lead && reach.trail <= finer.trail, "{}", what());
                    let (again, same) = level(cut(head, reach), &chain, spec, l).unwrap();
                    assert!(same == reach && again.data().same_bits(y.data()), "{}", what());
                    with_raw_bits += usize::from(reach.trail > 0 && reach.trail < head.trail.len());
                    compared += y.shape().len();
                    finer = reach;
                }
            }
        }
    }
    assert!(compared > 100_000 && with_raw_bits > 50, "{compared} {with_raw_bits}");
}

#[test]
fn every_type_has_levels_behind_every_pointwise_filter() {
    let shape = Shape::new(&[37, 26, 11]).unwrap();
    fn of<T: Element>(shape: &Shape) -> Array {
        rough::<T>(shape, 4.0)
    }
    for &dtype in &DType::ALL {
        let x = fieldpress::dispatch_dtype!(dtype, T => of::<T>(&shape));
        let filtered: &[&str] =
            if dtype.is_float() { &["log+interp", "asinh+interp", "bitround:keepbits=9+interp"] } else { &[] };
        for text in ["interp"].iter().chain(filtered) {
            let chain = Chain::parse(text).unwrap();
            let (bytes, whole, levels) = encoded(&x, &chain, 1.0);
            let head = Head::new(&bytes, levels.unwrap().split);
            for l in 1..4 {
                let (y, reach) = level(head, &chain, Spec { dtype, shape }, l).unwrap();
                assert!(y.data().same_bits(thinned(&whole, l).data()), "{text} {dtype} {l}");
                assert!(
                    3 * (reach.lead + reach.trail) < 2 * bytes.len(),
                    "{text} {dtype} {l}: {reach:?} of {}",
                    bytes.len()
                );
            }
        }
    }
    for text in ["transpose+interp", "interp+zstd", "lorenzo", "spatial_delta:axis=0+interp"] {
        let (_, _, levels) = encoded(&rough::<i32>(&shape, 9.0), &Chain::parse(text).unwrap(), 1.0);
        assert_eq!(levels, None, "{text}");
    }
}

/// Smooth enough that averaging over a few points changes little.
fn smooth(shape: &Shape) -> Array {
    let strides = shape.strides();
    // Constant along axes that are too short to be smooth along.
    let wave = |i: usize, k: usize| match shape[k] {
        0..40 => 1.0,
        _ => libm::cos((i / strides[k] % shape[k]) as f64 * std::f64::consts::PI / (shape[k] - 1) as f64),
    };
    let value = |i: usize| 100.0 + 40.0 * (0..shape.rank()).map(|k| wave(i, k)).product::<f64>() + 10.0 * wave(i, 0);
    Array::new(*shape, Buffer::F64((0..shape.len()).map(value).collect())).unwrap()
}

#[test]
fn levels_of_wavelets_are_the_smoothed_field_in_its_units_and_places() {
    let mut checked = 0;
    for dims in [&[257][..], &[300], &[96, 131], &[64, 48, 80], &[9, 120], &[2, 200], &[7, 7, 64]] {
        let shape = Shape::new(dims).unwrap();
        let x = smooth(&shape);
        for text in [
            "dwt:wavelet=cdf97",
            "dwt:wavelet=cdf53,coder=classes",
            "dwt:wavelet=cdf97,levels=2",
            "dwt:wavelet=cdf53,levels=9",
            "dwt:coder=classes",
        ] {
            let chain = Chain::parse(text).unwrap();
            let (bytes, _, levels) = encoded(&x, &chain, 1e-5);
            let levels = levels.unwrap();
            assert!(!levels.exact);
            let (head, spec) = (Head::new(&bytes, levels.split), Spec { dtype: DType::F64, shape });
            for l in 1..5 {
                let (y, reach) = level(head, &chain, spec, l).unwrap();
                let points = thinned(&x, l);
                let (y, points) = (y.as_typed::<f64>().unwrap(), points.as_typed::<f64>().unwrap());
                let worst = y.iter().zip(points).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                // Averaging a wave of wavenumber k over a few points changes it by a part of (k width)^2. To be off by one point, or by
                // the gain of one level, changes it by much more.
                let k = dims.iter().filter(|&&d| d > 40).map(|&d| std::f64::consts::PI / d as f64).fold(0.0, f64::max);
                let width = k * f64::from(1 << l);
                assert!(
                    worst < 40.0 * width * width,
                    "{text} {shape} level {l}: {worst} against {}",
                    40.0 * width * width
                );
                checked += usize::from(40.0 * width * width < 10.0);
                let (again, same) = level(cut(head, reach), &chain, spec, l).unwrap();
                assert!(same == reach && again.as_typed::<f64>().unwrap() == y);
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

/// To be off by one point of the array along any axis is seen in levels of wavelets.
#[test]
fn levels_of_wavelets_are_not_shifted() {
    for dims in [[160, 90], [133, 77]] {
        let shape = Shape::new(&dims).unwrap();
        // Linear ramps have no details: smoothing leaves them, but for the ends, where they are mirrored.
        let value = |i: usize| 3.0 * (i / dims[1]) as f64 - 2.0 * (i % dims[1]) as f64;
        let x = Array::new(shape, Buffer::F64((0..shape.len()).map(value).collect())).unwrap();
        for text in ["dwt:wavelet=cdf97,levels=4", "dwt:wavelet=cdf53,levels=4,coder=classes"] {
            let chain = Chain::parse(text).unwrap();
            let (bytes, _, levels) = encoded(&x, &chain, 1e-6);
            for l in 1..=3 {
                let (y, _) =
                    level(Head::new(&bytes, levels.unwrap().split), &chain, Spec { dtype: DType::F64, shape }, l)
                        .unwrap();
                let (points, coarse) = (thinned(&x, l), y.shape());
                let inner = Region::new(&coarse, &[4, 4], &[coarse[0] - 8, coarse[1] - 8]).unwrap();
                let values = |a: &Array| a.view().gather(&inner).unwrap().as_slice().to_f64();
                let worst = values(&y).iter().zip(values(&points)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 0.05, "{text} level {l}: {worst}");
            }
        }
    }
}

#[test]
fn beginnings_that_are_too_short_or_damaged_never_panic() {
    let shape = Shape::new(&[21, 30, 17]).unwrap();
    let x = rough::<f32>(&shape, 5.0);
    let spec = Spec { dtype: DType::F32, shape };
    for text in ["interp", "dwt", "dwt:coder=classes", "log+interp"] {
        let chain = Chain::parse(text).unwrap();
        let (bytes, _, levels) = encoded(&x, &chain, 0.01);
        let head = Head::new(&bytes, levels.unwrap().split);
        for l in [1, 2, 40] {
            let (y, reach) = level(head, &chain, spec, l).unwrap();
            let (mut refused, mut tried) = (0, 0);
            for lead in (0..reach.lead).step_by(1 + reach.lead / 200) {
                for trail in [0, reach.trail / 2, reach.trail] {
                    tried += 1;
                    match level(cut(head, Reach { lead, trail }), &chain, spec, l) {
                        // Fewer bytes may be enough, but then they give the same.
                        Ok((short, _)) => assert!(short.data().same_bits(y.data()), "{text} {l} {lead}"),
                        Err(e) => refused += usize::from(e.kind() == ErrorKind::Truncated),
                    }
                }
            }
            assert!(refused * 10 >= tried * 9, "{text} level {l}: {refused} of {tried}");
            for at in (0..reach.lead).step_by(1 + reach.lead / 300) {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                let _ = chain.bind(&[], &spec).unwrap().levels(&bad);
                let _ = level(Head::new(&bad, levels.unwrap().split), &chain, spec, l);
            }
        }
        for b in 0..=255u8 {
            let bad = [b; 120];
            let _ = chain.bind(&[], &spec).unwrap().levels(&bad);
            let _ = level(Head::new(&bad, usize::from(b) / 2), &chain, spec, 1);
        }
    }
}

fn open(bytes: &[u8]) -> Archive {
    Archive::open(Arc::new(bytes.to_vec()), Limits::default()).unwrap()
}

fn progressive(x: &Array, bound: Bound, chain: &str, block: Option<Vec<usize>>) -> Vec<u8> {
    let mut options = Options::new(bound).with_chain(chain).unwrap();
    (options.progressive, options.block) = (true, block);
    compress(&x.view(), options).unwrap().0
}

/// Bytes that count how many of them were read.
struct Counting(Vec<u8>, Arc<AtomicU64>);

impl ReadAt for Counting {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.1.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.0.read_at(offset, out)
    }
    fn size(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }
}

#[test]
fn a_level_is_read_from_a_part_of_the_bytes() {
    let shape = Shape::new(&[70, 64, 61]).unwrap();
    let x = rough::<f32>(&shape, 20.0);
    for (chain, block) in [("interp", None), ("dwt:coder=classes", None), ("dwt", None), ("interp", Some(vec![32; 3]))]
    {
        let bytes = progressive(&x, Bound::Abs(0.05), chain, block);
        let read = Arc::new(AtomicU64::new(0));
        let archive = Archive::open(Arc::new(Counting(bytes.clone(), read.clone())), Limits::default()).unwrap();
        let needed = archive.level_bytes("data").unwrap();
        assert!(needed.len() >= 3 && needed.windows(2).all(|n| n[0] > n[1]), "{chain}: {needed:?}");
        for (l, part) in [(1, 2), (2, 9), (3, 30)] {
            let before = read.load(Ordering::Relaxed);
            let y = archive.read_level("data", l).unwrap();
            assert_eq!(y.shape(), shape.coarse(l));
            let taken = read.load(Ordering::Relaxed) - before;
            let at_most = needed[l as usize - 1] + 400 * archive.blocks("data").unwrap().len() as u64;
            assert!(taken <= at_most, "{chain} level {l}: {taken} bytes, said to be {}", needed[l as usize - 1]);
            assert!(
                taken * part < bytes.len() as u64 + 400 * part * 12,
                "{chain} level {l}: {taken} of {}",
                bytes.len()
            );
        }
        // The whole decodes as if there were no levels.
        let mut plain = Options::new(Bound::Abs(0.05)).with_chain(chain).unwrap();
        plain.block = archive.blocks("data").unwrap().len().gt(&1).then(|| vec![32; 3]);
        let plain = compress(&x.view(), plain).unwrap().0;
        assert!(decompress(&bytes).unwrap().data().same_bits(decompress(&plain).unwrap().data()));
        assert!(bytes.len() < plain.len() + 50 + 100 * archive.blocks("data").unwrap().len());
        assert_eq!(archive.directory().requires, ["levels"]);
        assert!(open(&plain).directory().requires.is_empty() && open(&plain).level_bytes("data").unwrap().is_empty());
    }
}

/// The archive of blocks in the order of levels needs a reader that knows them, and is not corrupt to one that does not.
#[test]
fn archives_without_levels_stay_as_they_were() {
    let x = data(Kind::Noisy, DType::F32, &[40, 50]);
    for chain in ["lorenzo", "raw", "interp+zstd", "transpose+interp"] {
        let plain = compress(&x.view(), Options::new(Bound::Abs(0.1)).with_chain(chain).unwrap()).unwrap().0;
        assert!(progressive(&x, Bound::Abs(0.1), chain, None) == plain, "{chain}");
    }
    // Where interp alone did not keep the bound its levels would not either.
    let wild = data(Kind::HugeRange, DType::F64, &[30, 40, 9]);
    let bytes = progressive(&wild, Bound::Lossless, "interp", None);
    assert!(open(&bytes).directory().requires.is_empty());
}

#[test]
fn levels_of_any_archive_are_the_array_thinned_out() {
    let mut chains: Vec<String> = REGISTRY
        .iter()
        .filter(|e| e.id != "difference")
        .map(|e| if matches!(e.make, Make::Filter(_)) { format!("{}+interp", e.id) } else { e.id.into() })
        .collect();
    chains.push("log+interp".into());
    let shapes = SHAPES.iter().copied().chain([&[33, 47][..], &[18, 21, 25]]);
    let mut levels = 0;
    for shape in shapes {
        for chain in &chains {
            for &kind in KINDS {
                let x = data(kind, DType::F32, shape);
                for block in [None, Some(12), Some(16)] {
                    if block.is_some_and(|b| shape.iter().all(|&d| d <= b)) {
                        continue;
                    }
                    let mut options = Options::new(Bound::Abs(0.05)).with_chain(chain).unwrap();
                    options.block = block.map(|b| vec![b; shape.len()]);
                    options.progressive = true;
                    let bytes = match compress(&x.view(), options) {
                        Err(e) if e.kind() == ErrorKind::InvalidArgument && chain.starts_with("spatial_delta") => {
                            continue
                        }
                        done => done.unwrap().0,
                    };
                    let archive = open(&bytes);
                    let whole = archive.read("data").unwrap();
                    judge(&x, &whole, &Bound::Abs(0.05), archive.array("data").unwrap().fill_bits().unwrap()).unwrap();
                    for l in [1, 2, 3, 70] {
                        let y =
                            archive.read_level("data", l).unwrap_or_else(|e| panic!("{chain} {kind:?} {shape:?}: {e}"));
                        assert_eq!(y.shape(), x.shape().coarse(l));
                        levels += archive.directory().requires.len();
                        if chain != "dwt" {
                            let same = y.data().same_bits(thinned(&whole, l).data());
                            assert!(same, "{chain} {kind:?} {shape:?} {block:?} level {l}");
                        }
                    }
                }
            }
        }
    }
    assert!(levels > 100, "{levels}");
}

#[test]
fn regions_of_levels_decode_only_their_blocks() {
    let x = data(Kind::Specials, DType::F32, &[60, 50]);
    for edge in [16, 12, 7] {
        let bytes = progressive(&x, Bound::Abs(0.01), "interp", Some(vec![edge; 2]));
        let archive = open(&bytes);
        let whole = thinned(&decompress(&bytes).unwrap(), 2);
        for (origin, extents) in [([0, 0], [15, 13]), ([3, 5], [4, 2]), ([14, 12], [1, 1]), ([2, 2], [0, 3])] {
            let region = Region::new(&whole.shape(), &origin, &extents).unwrap();
            let mut part = Array::zeros(DType::F32, region.shape()).unwrap();
            let before = archive.blocks_decoded();
            archive.read_level_into("data", 2, &region, &mut part, None).unwrap();
            assert!(part.data().same_bits(whole.view().gather(&region).unwrap().as_slice()), "{origin:?} {extents:?}");
            let blocks = |k: usize| if extents[k] == 0 { 0 } else { 2 + 4 * extents[k] / edge };
            assert!(archive.blocks_decoded() - before <= (blocks(0) * blocks(1)) as u64);
        }
        let outside = Region::all(Shape::new(&[60, 50]).unwrap());
        let e =
            archive.read_level_into("data", 2, &outside, &mut Array::zeros(DType::F32, outside.shape()).unwrap(), None);
        assert_eq!(e.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn damage_to_what_a_level_needs_is_noticed_and_other_damage_does_no_harm() {
    let x = data(Kind::Specials, DType::F32, &[30, 31, 7]);
    for chain in ["interp", "dwt", "dwt:coder=classes"] {
        let bytes = progressive(&x, Bound::Abs(0.02), chain, None);
        let archive = open(&bytes);
        let block = archive.blocks("data").unwrap().remove(0);
        let payload = bytes[block.offset as usize..][..block.bytes as usize].to_vec();
        let prefixes = inspect_levels(&payload).unwrap();
        assert!(prefixes.len() >= 2, "{prefixes:?}");
        for (l, &prefix) in (1..).zip(&prefixes) {
            let good = archive.read_level("data", l).unwrap();
            for at in (0..block.bytes).filter(|at| *at < 400 || at % 5 == 0) {
                let mut bad = bytes.clone();
                bad[(block.offset + at) as usize] ^= 1 << (at % 8);
                let read = open(&bad).read_level("data", l);
                if at < prefix {
                    let e: Error = read.err().unwrap_or_else(|| panic!("{chain} level {l}: byte {at} of {prefix}"));
                    assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Truncated), "{e}");
                } else if at % 25 == 0 {
                    assert!(read.unwrap().data().same_bits(good.data()));
                }
            }
        }
    }
}

/// A small archive with levels of both codecs, written once, which decodes to the same bits for ever. Run with `UPDATE_FIXTURES=1` to write
/// it where it is missing.
#[test]
fn the_fixture_decodes_to_the_recorded_values() {
    let file = |end: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v1.0/levels.{end}"));
    let decoded = |bytes: &[u8]| {
        let archive = open(bytes);
        assert_eq!(archive.directory().requires, ["levels"]);
        let mut out = Vec::new();
        for a in &archive.directory().arrays {
            assert!(archive.level_bytes(&a.name).unwrap().len() >= 2, "{}", a.name);
            for l in 0..4 {
                let y = archive.read_level(&a.name, l).unwrap();
                out.extend(npy::header(y.dtype(), &y.shape()));
                y.data().put_le_bytes(&mut out);
            }
        }
        out
    };
    if std::env::var_os("UPDATE_FIXTURES").is_some() && !file("fpz").exists() {
        let bytes = fixture().unwrap();
        std::fs::write(file("npy"), decoded(&bytes)).unwrap();
        std::fs::write(file("fpz"), bytes).unwrap();
    }
    let read = |end| std::fs::read(file(end)).unwrap_or_else(|e| panic!("{e}: write it with UPDATE_FIXTURES=1"));
    assert!(decoded(&read("fpz")) == read("npy"), "other values than those recorded");
}

fn fixture() -> Result<Vec<u8>> {
    use fieldpress::container::{ArchiveWriter, ArrayOptions, Plan, Role};
    let mut w = ArchiveWriter::new(Vec::new())?;
    for (name, chain, dims) in [
        ("interp", "interp", &[17, 17, 15][..]),
        ("dwt", "dwt", &[40, 33]),
        ("classes", "dwt:coder=classes", &[15, 17, 17]),
        ("log", "log+interp", &[900]),
    ] {
        let mut x = rough::<f32>(&Shape::new(dims)?, 9.0).as_typed::<f32>().map(<[f32]>::to_vec).unwrap_or_default();
        x[7] = f32::NAN;
        x[8] = -0.0;
        let x = Array::from_vec(dims, x)?;
        let plan = Plan::new(&x.view(), &Bound::Abs(0.02), None, true)?;
        let options = ArrayOptions {
            velocities: None,
            plan: &plan,
            chains: vec![Chain::parse(chain)?],
            block: None,
            measure: false,
            elements: None,
            progressive: true,
            role: Role::Field,
            attributes: Default::default(),
            companions: Vec::new(),
            keep: false,
            progress: None,
        };
        w.put_array(name, &x.view(), options)?;
    }
    w.finish()
}
