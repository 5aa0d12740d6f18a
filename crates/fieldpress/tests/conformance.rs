//! Every method of the registry, on every element type, shape, bound and kind of data: the bound holds.

mod battery;

use std::sync::atomic::{AtomicU64, Ordering};

use battery::{bounds, data, judge, KINDS, SHAPES};
use fieldpress::array::{Array, Buffer};
use fieldpress::bound::Term;
use fieldpress::codec::registry::{Make, REGISTRY};
use fieldpress::codec::{Block, Chain, Claim, Site};
use fieldpress::{compress, decompress, Bound, Choice, DType, ErrorKind, Options, Tier};
use rayon::prelude::*;

/// A chain in which each method of the registry does its work, but for those that need another array.
fn chains() -> Vec<String> {
    let example = |e: &fieldpress::codec::registry::Entry| match e.make {
        // Without a number it would try many.
        Make::Codec(_) if e.id == "gmm" => "gmm:components=2".into(),
        Make::Codec(_) | Make::Bytes(_) => e.id.to_string(),
        Make::Filter(_) => format!("{}+lorenzo", e.id),
    };
    REGISTRY.iter().filter(|e| e.id != "difference").map(|e| example(e)).collect()
}

/// The bounds worth trying on a chain: lossless methods do the same whatever the bound.
fn bounds_for(chain: Option<&str>) -> Vec<Bound> {
    let lossless = ["raw", "pco", "zlib", "zstd", "lz4", "shuffle"];
    match chain {
        Some(c) if lossless.contains(&c) => vec![Bound::Lossless, Bound::Abs(0.7), Bound::Psnr(50.0)],
        _ => bounds(),
    }
}

fn round_trip(x: &Array, bound: &Bound, chain: Option<&str>, block: Option<Vec<usize>>) -> Result<u64, String> {
    let mut options = Options::new(bound.clone());
    if let Some(c) = chain {
        options = options.with_chain(c).map_err(|e| e.to_string())?;
    } else {
        options.choice = Choice::Tier(Tier::Best);
    }
    options.block = block;
    // Some filters refuse what they have no meaning for; they must say so.
    let starts = |id: &str| chain.is_some_and(|c| c.starts_with(id));
    let refused = starts("spatial_delta") && x.shape().rank() == 0 || starts("bitround") && !x.dtype().is_float();
    let (bytes, report) = match compress(&x.view(), options) {
        Err(e) if refused && e.kind() == ErrorKind::InvalidArgument => return Ok(0),
        done => done.map_err(|e| format!("compress: {e}"))?,
    };
    let most = report.raw_bytes as usize + 600 + 20 * x.shape().len();
    if bytes.len() > most {
        return Err(format!("{} bytes for {} raw ones", bytes.len(), report.raw_bytes));
    }
    let y = decompress(&bytes).map_err(|e| format!("decompress: {e}"))?;
    judge(x, &y, bound, report.header.fill_bits().map_err(|e| e.to_string())?)
}

#[test]
fn every_bound_holds_on_every_kind_of_data() {
    let checked = AtomicU64::new(0);
    let mut cases = Vec::new();
    for chain in chains().into_iter().map(Some).chain([None]) {
        for &dtype in &DType::ALL {
            for &kind in KINDS {
                cases.push((chain.clone(), dtype, kind));
            }
        }
    }
    let failures: Vec<String> = cases
        .par_iter()
        .flat_map_iter(|(chain, dtype, kind)| {
            let mut failures = Vec::new();
            for shape in SHAPES {
                let x = data(*kind, *dtype, shape);
                for bound in bounds_for(chain.as_deref()) {
                    let blocks = [None, (shape.len() == 2).then(|| vec![5, 8])];
                    for block in blocks.into_iter().take(if shape.len() == 2 { 2 } else { 1 }) {
                        match round_trip(&x, &bound, chain.as_deref(), block.clone()) {
                            Ok(n) => {
                                checked.fetch_add(n, Ordering::Relaxed);
                            }
                            Err(e) => {
                                failures.push(format!("{chain:?} {dtype} {kind:?} {shape:?} {block:?} {bound}: {e}"))
                            }
                        }
                    }
                }
            }
            failures
        })
        .collect();
    println!("{} values checked", checked.load(Ordering::Relaxed));
    assert!(
        failures.is_empty(),
        "{} failures, such as\n{}",
        failures.len(),
        failures[..failures.len().min(12)].join("\n")
    );
    assert!(checked.load(Ordering::Relaxed) > 1_000_000);
}

#[test]
fn without_a_bound_values_stay_finite_and_special_values_stay_as_they_are() {
    let mut tried = 0;
    for chain in chains() {
        let free = Chain::parse(&chain).unwrap().needs_bound().is_none();
        for &dtype in &DType::ALL {
            for (&kind, shape) in KINDS.iter().flat_map(|k| SHAPES.iter().map(move |s| (k, s))) {
                let x = data(kind, dtype, shape);
                let options = Options::new(Bound::None).with_chain(&chain).unwrap();
                let (bytes, report) = match compress(&x.view(), options) {
                    Err(e) if e.kind() == ErrorKind::InvalidArgument => continue,
                    done => done.unwrap_or_else(|e| panic!("{chain} {dtype} {kind:?} {shape:?}: {e}")),
                };
                assert!(free, "{chain} asks for no bound");
                let y = decompress(&bytes).unwrap();
                judge(&x, &y, &Bound::None, report.header.fill_bits().unwrap()).unwrap();
                tried += 1;
            }
        }
    }
    assert!(tried > 5_000, "{tried}");
    let x = data(KINDS[0], DType::F32, &[13, 29]);
    assert_eq!(compress(&x.view(), Options::new(Bound::None)).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn values_that_codecs_say_will_be_decoded_are_decoded() {
    let mut told = Vec::new();
    for entry in REGISTRY.iter().filter(|e| matches!(e.make, Make::Codec(_))) {
        let chain = Chain::parse(entry.id).unwrap();
        for &dtype in &DType::ALL {
            for (&kind, shape) in KINDS.iter().flat_map(|k| SHAPES.iter().map(move |s| (k, s))) {
                let x = data(kind, dtype, shape);
                if !x.data().to_f64().iter().all(|v| v.is_finite()) {
                    continue;
                }
                for hint in [Term { abs: 0.3, rel: 0.0 }, Term { abs: 0.0, rel: 1e-4 }, Term::EXACT] {
                    let block = Block { shape: x.shape(), values: x.data(), site: Site::default() };
                    let mut bytes = Vec::new();
                    let bound = chain.bind(&[], &block.spec()).unwrap();
                    if let Ok(Claim::Decoded(values)) = bound.encode(&block, &hint, &mut bytes) {
                        let mut y = Buffer::zeros(dtype, x.shape().len()).unwrap();
                        bound.decode(&bytes, &block.site, y.as_mut()).unwrap();
                        assert!(y.as_slice().same_bits(values.as_slice()), "{} {dtype} {kind:?} {shape:?}", entry.id);
                        told.push(entry.id);
                    }
                }
            }
        }
    }
    told.dedup();
    assert!(told.contains(&"dwt") && told.len() > 2, "{told:?}");
}

#[test]
fn idempotent_methods_reproduce_their_own_output() {
    for entry in REGISTRY.iter().filter(|e| e.idempotent) {
        let chain = match entry.make {
            Make::Filter(_) => continue,
            _ => entry.id,
        };
        for dtype in [DType::F32, DType::F64, DType::I32] {
            for &kind in KINDS {
                let x = data(kind, dtype, &[13, 29]);
                let run = |x: &Array| {
                    let mut o = Options::new(Bound::Abs(0.05)).with_chain(chain).unwrap();
                    o.fill = Some(1e20);
                    decompress(&compress(&x.view(), o).unwrap().0).unwrap()
                };
                let once = run(&x);
                let twice = run(&once);
                assert!(once.data().same_bits(twice.data()), "{chain} {dtype} {kind:?}");
            }
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let x = data(battery::Kind::Noisy, DType::F32, &[61, 47]);
    for chain in chains() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut o = Options::new(Bound::Rel(1e-3)).with_chain(&chain).unwrap();
                o.block = Some(vec![16, 16]);
                compress(&x.view(), o).unwrap().0
            })
        };
        assert_eq!(run(1), run(2), "{chain}");
        assert_eq!(run(1), run(5), "{chain}");
    }
}

#[test]
fn every_prefix_is_truncated_and_every_flip_is_noticed() {
    let x = data(battery::Kind::Specials, DType::F32, &[13, 29]);
    for chain in chains() {
        let mut o = Options::new(Bound::Abs(0.01)).with_chain(&chain).unwrap();
        o.block = Some(vec![8, 16]);
        let (bytes, _) = compress(&x.view(), o).unwrap();
        for cut in 0..bytes.len() {
            let e = decompress(&bytes[..cut]).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "{chain}: {cut} of {}: {e}", bytes.len());
        }
        for i in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut b = bytes.clone();
                b[i] ^= 1 << bit;
                assert!(decompress(&b).is_err(), "{chain}: byte {i} bit {bit}");
            }
        }
    }
}
