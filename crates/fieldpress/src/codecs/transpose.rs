//! `transpose`: the axes in another order, so that a codec meets the smoothest one last.
//!
//! # Format
//! The values of the array whose axis `k` is axis `order[k]` of the input, in C order; no side information.

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::array::{Buffer, Element, Mask, Shape, Slice, MAX_RANK};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, Filter, Filtered, Site, Spec};
use crate::dispatch;
use crate::error::{Error, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "transpose",
    doc: "The axes in another order.",
    params: &[("order", "axis k of the output is axis order[k] of the input; default [], all reversed")],
    make: Make::Filter(|v| Ok(Box::new(parse_config::<Transpose>("transpose", v)?.checked()?))),
    idempotent: true,
    unbounded: true,
};

/// Values along each of the two fast axes handled at a time, so that both sides stay in the cache.
const TILE: usize = 32;

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transpose {
    /// Axis `k` of the output is axis `order[k]` of the input. Empty: all axes reversed.
    pub order: Vec<usize>,
}

impl Transpose {
    fn checked(self) -> Result<Self> {
        let n = self.order.len();
        if n > MAX_RANK || (0..n).any(|k| !self.order.contains(&k)) {
            return Err(Error::invalid(format!(
                "transpose: expected every axis of 0 to {} once, found {:?}",
                n.saturating_sub(1),
                self.order
            )));
        }
        Ok(self)
    }
    /// The order for arrays of this rank. Errors: `InvalidArgument` unless it has as many axes.
    fn order(&self, rank: usize) -> Result<Vec<usize>> {
        if self.order.is_empty() {
            return Ok((0..rank).rev().collect());
        }
        if self.order.len() != rank {
            let n = self.order.len();
            return Err(Error::invalid(format!("expected {n} axes to put in order {:?}, found {rank}", self.order)));
        }
        Ok(self.order.clone())
    }
    /// The extents after, and the input's step in elements along each axis of the output.
    fn layout(&self, shape: &Shape) -> Result<(Shape, Vec<usize>)> {
        let order = self.order(shape.rank())?;
        let strides = shape.strides();
        let dims: Vec<usize> = order.iter().map(|&k| shape[k]).collect();
        Ok((Shape::new(&dims)?, order.iter().map(|&k| strides[k]).collect()))
    }
}

impl Filter for Transpose {
    fn id(&self) -> &'static str {
        "transpose"
    }
    fn config(&self) -> Value {
        json!({ "order": self.order })
    }
    fn output(&self, spec: &Spec) -> Result<Spec> {
        Ok(Spec { dtype: spec.dtype, shape: self.layout(&spec.shape)?.0 })
    }
    fn forward(&self, x: &Block<'_>, hint: &Term) -> Result<Filtered> {
        fn run<T: Element>(v: &[T], shape: &Shape, steps: &[usize]) -> Result<Buffer> {
            let mut out = reserved(v.len())?;
            for_each_pair(shape, steps, |to, from| out[to] = v[from]);
            Ok(T::into_buffer(out))
        }
        let (shape, steps) = self.layout(&x.shape)?;
        let values = dispatch!(Slice, x.values, v => run(v, &shape, &steps))?;
        Ok(Filtered { values, side: Vec::new(), hint: *hint })
    }
    fn inverse(&self, y: Slice<'_>, _side: &[u8], spec: &Spec, _site: &Site<'_>) -> Result<Buffer> {
        fn run<T: Element>(v: &[T], shape: &Shape, steps: &[usize]) -> Result<Buffer> {
            let mut out = reserved(v.len())?;
            for_each_pair(shape, steps, |to, from| out[from] = v[to]);
            Ok(T::into_buffer(out))
        }
        let (shape, steps) = self.layout(&spec.shape)?;
        if y.len() != shape.len() {
            return Err(Error::corrupt(format!(
                "expected {} values for shape {shape}, found {}",
                shape.len(),
                y.len()
            )));
        }
        dispatch!(Slice, y, v => run(v, &shape, &steps))
    }
    fn map_mask(&self, mask: &Mask, spec: &Spec) -> Mask {
        match self.layout(&spec.shape) {
            Ok((shape, steps)) if shape.len() == mask.flags().len() => {
                let mut out = vec![false; shape.len()];
                for_each_pair(&shape, &steps, |to, from| out[to] = mask.is_masked(from));
                Mask::new(out)
            }
            _ => mask.clone(),
        }
    }
}

/// Zeros. Errors: `LimitExceeded` when the memory cannot be had.
fn reserved<T: Element>(n: usize) -> Result<Vec<T>> {
    let zeros = Buffer::zeros(T::DTYPE, n)?;
    T::from_buffer(zeros).ok_or_else(|| Error::invalid("expected a buffer of the same type"))
}

/// Calls `f(to, from)` for every value: its place in an array of `shape` in C order, and its place in the array whose steps
/// along the axes of `shape` are `steps`.
fn for_each_pair(shape: &Shape, steps: &[usize], mut f: impl FnMut(usize, usize)) {
    if shape.is_empty() {
        return;
    }
    let Some(last) = shape.rank().checked_sub(1) else {
        return f(0, 0);
    };
    // The axis that is fastest on the other side; tiles over it and the last one keep both in the cache.
    let fast = (0..last).filter(|&k| shape[k] > 1).min_by_key(|&k| steps[k]).filter(|&k| steps[k] < steps[last]);
    let strides = shape.strides();
    let (n, m) = (shape[last], fast.map_or(1, |k| shape[k]));
    let (to_step, from_step) = fast.map_or((0, 0), |k| (strides[k], steps[k]));
    let mut index = [0usize; MAX_RANK];
    loop {
        let (mut to, mut from) = (0, 0);
        for k in 0..last {
            to += index[k] * strides[k];
            from += index[k] * steps[k];
        }
        for j0 in (0..m).step_by(TILE) {
            for i0 in (0..n).step_by(TILE) {
                for j in j0..m.min(j0 + TILE) {
                    let (to, from) = (to + j * to_step, from + j * from_step);
                    for i in i0..n.min(i0 + TILE) {
                        f(to + i, from + i * steps[last]);
                    }
                }
            }
        }
        // The next place along the other axes.
        let mut k = last;
        loop {
            let Some(next) = k.checked_sub(1) else { return };
            k = next;
            if Some(k) == fast {
                continue;
            }
            index[k] += 1;
            if index[k] < shape[k] {
                break;
            }
            index[k] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{DType, View};
    use crate::{compress, decompress, Bound, Options};

    fn forward(values: &[i32], dims: &[usize], order: &[usize]) -> (Vec<i32>, Vec<usize>) {
        let shape = Shape::new(dims).unwrap();
        let t = Transpose { order: order.to_vec() }.checked().unwrap();
        let spec = Spec { dtype: DType::I32, shape };
        let block = Block { shape, values: Slice::I32(values), site: Site::default() };
        let hint = Term { abs: 2.0, rel: 0.5 };
        let r = t.forward(&block, &hint).unwrap();
        assert_eq!(r.hint, hint);
        let back = t.inverse(r.values.as_slice(), &[], &spec, &Site::default()).unwrap();
        assert!(back.as_slice().same_bits(Slice::I32(values)));
        assert!(values.len() < 2 || t.inverse(Slice::I32(&values[1..]), &[], &spec, &Site::default()).is_err());
        (i32::from_buffer(r.values).unwrap(), t.output(&spec).unwrap().shape.to_vec())
    }

    #[test]
    fn every_order_of_axes_moves_every_value() {
        assert_eq!(forward(&[1, 2, 3, 4, 5, 6], &[2, 3], &[]), (vec![1, 4, 2, 5, 3, 6], vec![3, 2]));
        assert_eq!(forward(&[7], &[], &[]), (vec![7], vec![]));
        assert_eq!(forward(&[], &[3, 0], &[1, 0]).1, [0, 3]);
        for dims in [[3, 70, 41], [1, 65, 64], [5, 1, 7], [33, 34, 35]] {
            let values: Vec<i32> = (0..dims.iter().product::<usize>() as i32).collect();
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let (out, shape) = forward(&values, &dims, &order);
                let mut at = 0;
                for a in 0..shape[0] {
                    for b in 0..shape[1] {
                        for c in 0..shape[2] {
                            let mut i = [0; 3];
                            (i[order[0]], i[order[1]], i[order[2]]) = (a, b, c);
                            assert_eq!(out[at] as usize, (i[0] * dims[1] + i[1]) * dims[2] + i[2]);
                            at += 1;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn orders_that_do_not_fit_are_refused() {
        for text in ["transpose:order=[0,0]", "transpose:order=[1,2]", "transpose:order=[0,1,2,3,4,5,6,7,8]"] {
            assert!(crate::Chain::parse(text).is_err(), "{text}");
        }
        let t = Transpose { order: vec![1, 0] };
        assert!(t.output(&Spec { dtype: DType::F32, shape: Shape::new(&[2, 2, 2]).unwrap() }).is_err());
    }

    #[test]
    fn masks_move_with_the_values() {
        let mut data: Vec<f64> = (0..120).map(f64::from).collect();
        data[7] = f64::NAN;
        data[100] = f64::INFINITY;
        let options = Options::new(Bound::Lossless).with_chain("transpose:order=[2,0,1]+zstd").unwrap();
        let (bytes, report) = compress(&View::new(&[4, 5, 6], &data).unwrap(), options).unwrap();
        assert_eq!((report.outcomes, report.corrected), (vec![("transpose+zstd".to_string(), 1)], 0));
        let back = decompress(&bytes).unwrap();
        assert!(back.data().same_bits(Slice::F64(&data)));
        let t = Transpose { order: vec![] };
        let mask = Mask::new(vec![false, true, false, false, false, false]);
        let spec = Spec { dtype: DType::U8, shape: Shape::new(&[2, 3]).unwrap() };
        assert_eq!(t.map_mask(&mask, &spec).flags(), [false, false, true, false, false, false]);
    }
}
