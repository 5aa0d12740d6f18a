//! Values on elements to bits and back: coefficients in an orthonormal basis, quantised alike; where it is known which points elements share, each
//! point is coded once.
//!
//! Sources: the discrete Legendre transform on Gauss-Lobatto-Legendre points (E. Otero et al., "Lossy data compression effects on wall-bounded turbulence: bounds
//! on data reduction", 2018; O. Marin et al., "Large-scale lossy data compression based on an a priori error estimator in a spectral element code", 2016); bases that
//! vanish on faces (C. Canuto et al., "Spectral Methods", 2006).
//!
//! # Format
//!
//! Arithmetic is in `f64`, each operation rounded. Elements follow each other as in the array. The value of a point that an element before has is *known*. A face of
//! an element is known where all of its points are. Along each axis the element's basis is the [`Basis`](super::Basis) that vanishes at the known faces;
//! its kind is `sum(4^a k_a)` over the axes `a`, with `k` 1 where the low face is known plus 2 where the high one is.
//! [`traces`](super::traces) gives the values expected from the known faces, 0 where there are none; at known points what is known is taken in their place. With the
//! element's step `s` times the codes of [`modes`](super::modes) as coefficients of the basis, along axis 0 first, the sum of both are the element's values, but
//! at known points what is known.
//!
//! Where nothing is known to be shared, no point is known and there are no expected values.

use super::coding::{reader, Coder, Coding, Mixed, Writer};
use super::modes::Modes;
use super::traces::Traces;
use super::{Basis, Ends, Gll, Tensor, Topology};
use crate::bits::{widest, Work};
use crate::entropy::{BinaryDecoder, BinaryEncoder};
use crate::error::{Error, Result};

/// Largest magnitude of a code.
const MOST: f64 = (1u32 << 30) as f64;

/// How elements are coded.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    /// Points along each axis.
    pub points: usize,
    /// 2 or 3.
    pub dimensions: usize,
    /// In which norm errors are spread evenly: weights of the points of an axis.
    pub weights: Weights,
    /// Which points are shared; `None` to code each element by itself.
    pub topology: Option<&'a Topology>,
    /// The step of each element.
    pub steps: &'a [f64],
}

/// In which norm the basis is orthonormal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// Under the quadrature: the least mean square over the element.
    #[default]
    Quadrature,
    /// Point by point.
    Unit,
}

/// What an encoder makes of the coefficients of an element, by its number, before they are quantised.
pub type Keep<'a> = &'a (dyn Fn(usize, &mut [f64]) + Sync);

impl Elements<'_> {
    /// Appends the code of `x`, values of whole elements. `keep` may change the coefficients of an element before they are quantised. `decoded`, as long as
    /// `x`, is what a decoder will find. Errors: `InvalidArgument` for too few or too many points; `LimitExceeded`.
    pub fn encode(
        &self,
        coding: Coding,
        x: &[f64],
        keep: Option<Keep<'_>>,
        decoded: &mut [f64],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match coding {
            Coding::Mixed => {
                out.extend(self.walk(Mixed::new(BinaryEncoder::new())?, Some(x), keep, decoded)?.finish());
            }
            Coding::Classes => self.walk(Writer::new(x.len())?, Some(x), keep, decoded)?.finish(out),
        }
        Ok(())
    }
    /// The values of whole elements from all of `bytes`. Errors: `InvalidArgument` for too few or too many points; `Truncated`, `Corrupt`; `LimitExceeded`.
    pub fn decode(&self, coding: Coding, bytes: &[u8], out: &mut [f64]) -> Result<()> {
        match coding {
            Coding::Mixed => self.walk(Mixed::new(BinaryDecoder::new(bytes))?, None, None, out)?.finish(),
            Coding::Classes => self.walk(reader(bytes)?, None, None, out)?.finish(),
        }
    }
    fn walk<C: Coder>(&self, coder: C, x: Option<&[f64]>, keep: Option<Keep<'_>>, out: &mut [f64]) -> Result<C> {
        let (n, d) = (self.points, self.dimensions);
        let gll = Gll::new(n)?;
        let weights = match self.weights {
            Weights::Quadrature => gll.weights().to_vec(),
            Weights::Unit => vec![1.0; n],
        };
        let bases: Vec<Basis> =
            (0..4).map(|k| Basis::new(&gll, &weights, Ends { low: k & 1 == 1, high: k & 2 == 2 })).collect();
        let size = n.pow(d as u32);
        let shared = self.topology.map(Topology::len).unwrap_or(0);
        let mut known = Vec::new();
        known
            .try_reserve_exact(shared)
            .map_err(|_| Error::limit(format!("expected memory for {shared} points, found too little")))?;
        known.resize(shared, None);
        let mut walk = Walk {
            elements: self,
            modes: Modes::new(coder, n, d)?,
            traces: Traces::new(&bases[0], n, d),
            analysis: bases.iter().map(|b| Tensor::new(&b.analysis)).collect(),
            synthesis: bases.iter().map(|b| Tensor::new(&b.synthesis)).collect(),
            lens: bases.iter().map(|b| b.len).collect(),
            known,
            expected: vec![0.0; size],
            rest: vec![0.0; size],
            scratch: vec![0.0; size],
            codes: vec![0; size],
            x,
            keep,
            out,
        };
        widest(&mut walk);
        Ok(walk.modes.coder)
    }
}

/// Appends the coefficients of values of whole elements in [`Gll::transform`], the degrees along axis 0 fastest.
/// Errors: `InvalidArgument` for too few or too many points.
pub fn analyse(x: &[f64], points: usize, dimensions: usize, out: &mut Vec<f64>) -> Result<()> {
    let gll = Gll::new(points)?;
    let transform = Tensor::new(&Basis::new(&gll, gll.weights(), Ends::default()).analysis);
    let size = points.pow(dimensions as u32);
    let first = out.len();
    out.extend_from_slice(x);
    let mut scratch = vec![0.0; size];
    for element in out[first..].chunks_exact_mut(size) {
        Tensor::apply_all(&[&transform; 3][..dimensions.min(3)], element, &mut scratch);
    }
    Ok(())
}

struct Walk<'a, C> {
    elements: &'a Elements<'a>,
    modes: Modes<C>,
    traces: Traces,
    analysis: Vec<Tensor>,
    synthesis: Vec<Tensor>,
    lens: Vec<usize>,
    known: Vec<Option<f64>>,
    expected: Vec<f64>,
    rest: Vec<f64>,
    scratch: Vec<f64>,
    codes: Vec<i32>,
    x: Option<&'a [f64]>,
    keep: Option<Keep<'a>>,
    out: &'a mut [f64],
}

impl<C: Coder> Work for &mut Walk<'_, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let size = self.expected.len();
        for e in 0..self.out.len() / size {
            let step = self.elements.steps.get(e).copied().unwrap_or(0.0);
            self.element(e * size..(e + 1) * size, step);
        }
    }
}

impl<C: Coder> Walk<'_, C> {
    /// The faces of an element all of whose points are known, and their kind along each axis.
    #[inline(always)]
    fn faces(&mut self, points: &[u32]) -> (Vec<(usize, bool)>, [usize; 3]) {
        let (n, d) = (self.elements.points, self.elements.dimensions);
        let mut faces = Vec::new();
        let mut kinds = [0; 3];
        for (axis, kind) in kinds.iter_mut().enumerate().take(d) {
            let below = n.pow(axis as u32);
            for high in [false, true] {
                let i = if high { n - 1 } else { 0 };
                let mut all = true;
                for f in 0..points.len() / n {
                    let at = f / below * below * n + i * below + f % below;
                    all &= self.known[points[at] as usize].is_some();
                    if !all {
                        break;
                    }
                }
                if all {
                    faces.push((axis, high));
                    *kind |= 1 << usize::from(high);
                }
            }
        }
        (faces, kinds)
    }
    #[inline(always)]
    fn element(&mut self, range: std::ops::Range<usize>, step: f64) {
        let (n, d, size) = (self.elements.points, self.elements.dimensions, self.rest.len());
        let points = self.elements.topology.and_then(|t| t.points().get(range.clone()));
        let (faces, kinds) = points.map_or((Vec::new(), [0; 3]), |p| self.faces(p));
        let mut any = false;
        if let Some(points) = points {
            for (r, p) in self.rest.iter_mut().zip(points) {
                let known = self.known[*p as usize];
                any |= known.is_some();
                *r = known.unwrap_or(0.0);
            }
        }
        match faces.is_empty() {
            true => self.expected.fill(0.0),
            false => self.traces.expected(&faces, &self.rest, &mut self.expected),
        }
        if let Some(points) = points.filter(|_| any) {
            for (v, p) in self.expected.iter_mut().zip(points) {
                *v = self.known[*p as usize].unwrap_or(*v);
            }
        }
        if let Some(x) = self.x.and_then(|x| x.get(range.clone())) {
            for (r, (x, e)) in self.rest.iter_mut().zip(x.iter().zip(&self.expected)) {
                *r = x - e;
            }
            for (axis, high) in &faces {
                let below = n.pow(*axis as u32);
                let i = if *high { n - 1 } else { 0 };
                for f in 0..self.rest.len() / n {
                    self.rest[f / below * below * n + i * below + f % below] = 0.0;
                }
            }
            let bases = kinds.map(|k| &self.analysis[k]);
            Tensor::apply_all(&bases[..d], &mut self.rest, &mut self.scratch);
            if let Some(keep) = self.keep {
                keep(range.start / size, &mut self.rest);
            }
            for (c, r) in self.codes.iter_mut().zip(&self.rest) {
                let v = (r / step).clamp(-MOST, MOST);
                *c = if v.is_nan() { 0 } else { crate::quantize::round_i32(v) };
            }
        }
        let mut lens = [1; 3];
        for (len, kind) in lens.iter_mut().zip(kinds).take(d) {
            *len = self.lens[kind];
        }
        self.modes.element(kinds[0] + 4 * kinds[1] + 16 * kinds[2], lens, &mut self.codes);
        for (r, c) in self.rest.iter_mut().zip(&self.codes) {
            *r = f64::from(*c) * step;
        }
        let bases = kinds.map(|k| &self.synthesis[k]);
        Tensor::apply_all(&bases[..d], &mut self.rest, &mut self.scratch);
        let Some(out) = self.out.get_mut(range) else { return };
        for (o, (e, r)) in out.iter_mut().zip(self.expected.iter().zip(&self.rest)) {
            *o = e + r;
        }
        if let Some(points) = points {
            for (o, p) in out.iter_mut().zip(points) {
                let known = &mut self.known[*p as usize];
                *o = *known.get_or_insert(*o);
            }
            self.traces.learn(out, step);
        }
    }
}
