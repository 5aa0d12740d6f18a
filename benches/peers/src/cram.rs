//! `cram FILE.npy TOLERANCE`: the crate cram-codec on one array, as a line of JSON.
//!
//! Arrays of f32 go through its choice of codecs (`encode_auto_f32`: wavelet, interpolation, Lorenzo, tensor train, the smallest kept),
//! those of f64 through its wavelet, which alone takes them. Axes of length 1 are left out and the first joined until three are left.
//! Values of 1e19 and more are replaced by the mean of the others, as for all peers.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use cram_codec::codec::ErrorBound;
use cram_codec::wavcodec::{self, WavConfig};
use cram_codec::{decode_any, encode_auto_f32, Decoded};
use fieldpress::array::Region;
use fieldpress::DType;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, tolerance] = args.as_slice() else { return Err("expected FILE.npy TOLERANCE".into()) };
    let tolerance: f64 = tolerance.parse()?;
    let dataset = fieldpress::io::open_path(Path::new(file), &Default::default())?;
    let source = &dataset.arrays.first().ok_or("expected an array")?.source;
    let (shape, dtype) = (source.shape(), source.dtype());
    let mut x = source.read(&Region::all(shape))?.as_slice().to_f64();
    let valid = x.iter().filter(|v| v.abs() < 1e19);
    let (sum, count) = valid.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    x.iter_mut().filter(|v| v.abs() >= 1e19).for_each(|v| *v = sum / count);
    let mut dims: Vec<usize> = shape.iter().copied().filter(|&d| d > 1).collect();
    while dims.len() > 3 {
        let first = dims.remove(0);
        dims[0] *= first;
    }
    let config = WavConfig::new(ErrorBound::MaxAbs(tolerance));
    let (bytes, encoding) = match dtype {
        DType::F32 => {
            let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            let started = Instant::now();
            (encode_auto_f32(&x, &dims, &config).0, started.elapsed())
        }
        DType::F64 => {
            let config = WavConfig { compact: true, ..config };
            let started = Instant::now();
            (wavcodec::encode_f64(&x, &dims, &config).0, started.elapsed())
        }
        other => return Err(format!("expected f32 or f64, found {other}").into()),
    };
    let started = Instant::now();
    let decoded = decode_any(&bytes).map_err(|e| format!("{e:?}"))?;
    let decoding = started.elapsed();
    let y: Vec<f64> = match decoded {
        Decoded::F32 { data, .. } => data.iter().map(|&v| f64::from(v)).collect(),
        Decoded::F64 { data, .. } => data,
    };
    // What it was given is the array in its own type.
    let given = |v: f64| if dtype == DType::F32 { f64::from(v as f32) } else { v };
    let errors = || x.iter().zip(&y).map(|(&x, y)| (given(x) - y).abs());
    let worst = errors().fold(0.0, f64::max);
    let rms = (errors().map(|e| e * e).sum::<f64>() / x.len().max(1) as f64).sqrt();
    let (low, high) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let raw = (x.len() * dtype.size()) as f64;
    let line = serde_json::json!({
        "ratio": raw / bytes.len() as f64,
        "held": y.len() == x.len() && worst <= tolerance,
        "worst": worst / tolerance,
        "psnr": 20.0 * ((high - low) / rms).log10(),
        "encode_mb_s": raw / 1e6 / encoding.as_secs_f64(),
        "decode_mb_s": raw / 1e6 / decoding.as_secs_f64(),
    });
    println!("{line}");
    Ok(())
}
