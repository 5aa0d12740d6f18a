//! The methods of the ASTERIX notebook of 2024 as it ran them, to recognise its numbers: what they make of a distribution, and the ratio printed
//! beside it. None of them is a codec, since the ratios leave out what decoding needs; [`docs/velocity-distributions.md`] tells what.
//!
//! [`docs/velocity-distributions.md`]: https://github.com/fieldpress/fieldpress/blob/main/docs/velocity-distributions.md

use crate::array::{Array, DType, Region, Shape, Sink};
use crate::bound::Bound;
use crate::error::{Error, Result};
use crate::facade::{compress, decompress, Options};
use crate::linalg::eigenvectors;
use crate::transform::filterbank::Mode;
use crate::transform::filters::Named;
use crate::transform::maxwellian::Maxwellian;
use crate::transform::product::{product, transposed};
use crate::transform::zfp::{decode, encode, Header, Params};
use crate::transform::FilterBank;
use crate::vdf::{Dense, Distribution, PublishedStatistics};

/// A method as published.
#[derive(Clone, Debug)]
pub struct Published {
    /// What it is called there.
    pub method: &'static str,
    /// The compression ratio as counted there; `None` where it cannot be told from the method.
    pub ratio: Option<f64>,
    /// What is printed of the decoded distribution.
    pub statistics: PublishedStatistics,
}

/// Functions along each axis.
const ORDER: usize = 15;
/// Principal components.
const COMPONENTS: usize = 30;
/// What counts as nothing.
const FLOOR: f64 = 1e-16;
/// The absolute tolerance of ZFP.
const ZFP: f64 = 1e-13;
/// Bytes of Python around an array.
const OBJECT: usize = 144;
/// Bytes of the header of a ZFP stream, which was not counted.
const HEADER: usize = 8;

/// All of them on one distribution on a cube of cells, in the precision of `f32`.
/// Errors: `InvalidArgument` for another box; those of the codecs.
pub fn published(f: &Dense<f64>) -> Result<Vec<Published>> {
    let cells = f.mesh().cells();
    let n = cells[0];
    if cells != [n; 3] || n < COMPONENTS {
        return Err(Error::invalid(format!(
            "expected a cube of at least {COMPONENTS} cells along an axis, found {cells:?}"
        )));
    }
    let x: Vec<f64> = f.values().iter().map(|v| f64::from(*v as f32)).collect();
    let original = Dense::new(*f.mesh(), x.iter().map(|v| *v as f32).collect())?;
    let found = |method, ratio, y: Vec<f64>| -> Result<Published> {
        let decoded = Dense::new(*f.mesh(), y.iter().map(|v| *v as f32).collect())?;
        Ok(Published { method, ratio, statistics: PublishedStatistics::between(&original, &decoded)? })
    };
    let size = x.len() as f64;
    let (stream, of_zfp) = zfp(&x, n)?;
    let kept = x.iter().filter(|v| v.abs() > FLOOR).count().max(1);
    let hermite_numbers = (ORDER * ORDER * ORDER + 5) as f64;
    Ok(vec![
        found("zfp, tolerance 1e-13", Some((4 * x.len() + OBJECT) as f64 / stream as f64), of_zfp)?,
        found("DCT, 4 of 8", Some(8.0), cosines(&x, n)?)?,
        found(
            "DWT, threshold",
            Some(size / kept as f64),
            x.iter().map(|v| if v.abs() > FLOOR { *v } else { 0.0 }).collect(),
        )?,
        found("DWT, int8", None, integers(&x, n)?)?,
        found("Hermite, 15", Some(size / hermite_numbers), hermite(&x, n)?)?,
        found("PCA, 30", Some(size / (n * COMPONENTS) as f64), components(&x, n)?)?,
    ])
}

/// The bytes of a ZFP stream without its header, and what it decodes to.
fn zfp(x: &[f64], n: usize) -> Result<(usize, Vec<f64>)> {
    let values: Vec<f32> = x.iter().map(|v| *v as f32).collect();
    let header = Header::new(DType::F32, &[n; 3], Params::accuracy(ZFP))?;
    let mut stream = Vec::new();
    encode(&values, &header, &mut stream)?;
    let mut y = vec![0f32; x.len()];
    decode(&stream, &[n; 3], &mut y)?;
    Ok((stream.len().saturating_sub(HEADER).max(1), y.iter().map(|v| f64::from(*v)).collect()))
}

/// The lowest 4^3 of each 8^3 cosines; zeros make the last blocks whole.
fn cosines(x: &[f64], n: usize) -> Result<Vec<f64>> {
    let padded = n.next_multiple_of(8);
    let inner = Array::from_vec(&[n; 3], x.to_vec())?;
    let mut whole = Array::zeros(DType::F64, Shape::new(&[padded; 3])?)?;
    let part = Region::new(&whole.shape(), &[0; 3], &[n; 3])?;
    whole.write(&part, inner.data())?;
    let options = Options::new(Bound::None).with_chain("dct:block=8,keep=4,bits=24")?;
    let (bytes, _) = compress(&whole.view(), options)?;
    decompress(&bytes)?.view().gather(&part).map(|b| b.as_slice().to_f64())
}

/// One level of a biorthogonal wavelet in units of 3/127 of the maximum, of which the fractions are cut off.
fn integers(x: &[f64], n: usize) -> Result<Vec<f64>> {
    let bank = FilterBank { wavelet: Named::parse("bior1.3")?, mode: Mode::Symmetric, levels: vec![1; 3] };
    let positive: Vec<f64> = x.iter().map(|v| v.max(0.0)).collect();
    let unit = positive.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(*v)) / (127.0 / 3.0);
    let mut c = bank.forward(&positive, &[n; 3])?;
    c.iter_mut().for_each(|v| *v = (*v / unit).trunc() * unit);
    bank.inverse(&c, &[n; 3])
}

/// Hermite functions about a fitted Maxwellian, by sums over cells of width 1 whose places are n/(n - 1) apart.
fn hermite(x: &[f64], n: usize) -> Result<Vec<f64>> {
    let largest = x.iter().fold(f64::MIN_POSITIVE, |m: f64, v| m.max(v.abs()));
    let scaled: Vec<f64> = x.iter().map(|v| v / largest).collect();
    let fit = Maxwellian::fit(&scaled, &[n; 3])?;
    let apart = n as f64 / (n - 1) as f64;
    let (mut c, mut shape) = (x.to_vec(), [n; 3]);
    let mut rows = Vec::new();
    for axis in &fit.axes {
        let (mean, width) = (axis.mean * apart, axis.width * apart);
        let mut functions = vec![0.0; ORDER * n];
        for i in 0..n {
            let t = (i as f64 * apart - mean) / width;
            let (mut before, mut now) = (0.0, libm::exp(-0.5 * t * t) / (std::f64::consts::PI.sqrt() * width).sqrt());
            for m in 0..ORDER {
                functions[m * n + i] = now;
                let k = (m + 1) as f64;
                (before, now) = (now, (2.0 / k).sqrt() * t * now - ((k - 1.0) / k).sqrt() * before);
            }
        }
        rows.push(functions);
    }
    for (axis, functions) in rows.iter().enumerate() {
        c = product(&c, &shape, axis, functions)?;
        shape[axis] = ORDER;
    }
    for (axis, functions) in rows.iter().enumerate() {
        c = product(&c, &shape, axis, &transposed(functions, n))?;
        shape[axis] = n;
    }
    Ok(c)
}

/// Planes across vz in their first principal components, as logarithms.
fn components(x: &[f64], n: usize) -> Result<Vec<f64>> {
    let inner = n * n;
    let mut planes: Vec<f64> = x.iter().map(|v| libm::log10(v.max(FLOOR))).collect();
    let mean: Vec<f64> = (0..inner).map(|i| (0..n).map(|k| planes[k * inner + i]).sum::<f64>() / n as f64).collect();
    planes.iter_mut().enumerate().for_each(|(i, v)| *v -= mean[i % inner]);
    let (rows, shape) = (planes.chunks_exact(inner).collect::<Vec<_>>(), [n, inner]);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let gram: Vec<f64> = (0..n * n).map(|k| dot(rows[k / n], rows[k % n])).collect();
    let mut first = eigenvectors(&gram, n)?;
    first.truncate(COMPONENTS * n);
    let scores = product(&planes, &shape, 0, &first)?;
    let back = product(&scores, &[COMPONENTS, inner], 0, &transposed(&first, n))?;
    let value = |(i, v): (usize, &f64)| {
        let f = libm::exp10(v + mean[i % inner]);
        if f <= FLOOR {
            0.0
        } else {
            f
        }
    };
    Ok(back.iter().enumerate().map(value).collect())
}
