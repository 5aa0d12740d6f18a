//! Two arrays side by side, one part at a time, so that neither needs to fit in memory.

use rayon::prelude::*;

use crate::array::{Buffer, Grid, Region, Shape, Source, MAX_RANK};
use crate::error::{Error, Result};

/// How many values of each array a part holds.
const PART: usize = 1 << 18;
/// How many parts are worked on before their results are taken in order.
const BATCH: usize = 64;

/// Errors: `InvalidArgument` unless both arrays have one type and one shape, and the grid, if any, the same shape.
pub(super) fn check(original: &dyn Source, decoded: &dyn Source, grid: Option<&Grid>) -> Result<()> {
    let (a, b) = ((original.dtype(), original.shape()), (decoded.dtype(), decoded.shape()));
    if a != b {
        let (x, d) = (format!("type {} and shape {}", a.0, a.1), format!("{} and {}", b.0, b.1));
        return Err(Error::invalid(format!("expected a decoded array of {x}, found {d}")));
    }
    match grid.map(Grid::shape) {
        Some(shape) if shape != a.1 => Err(Error::invalid(format!("expected blocks of {}, found of {shape}", a.1))),
        _ => Ok(()),
    }
}

/// A region of both arrays. Errors: whatever reading returns.
pub(super) fn read(original: &dyn Source, decoded: &dyn Source, region: &Region) -> Result<(Buffer, Buffer)> {
    let x = original.read(region).map_err(|e| e.at("original"))?;
    let d = decoded.read(region).map_err(|e| e.at("decoded"))?;
    let (n, found) = (region.shape().len(), (x.dtype(), x.len(), d.dtype(), d.len()));
    if found != (original.dtype(), n, original.dtype(), n) {
        return Err(Error::invalid(format!("expected {n} values of type {} twice, found {found:?}", original.dtype())));
    }
    Ok((x, d))
}

/// Cuts an array into parts that lie one after the other in C order.
pub(super) fn slabs(shape: &Shape) -> Result<Grid> {
    slabs_of(shape, PART)
}

fn slabs_of(shape: &Shape, part: usize) -> Result<Grid> {
    let mut block = [1; MAX_RANK];
    let mut left = part.max(1);
    for k in (0..shape.rank()).rev() {
        block[k] = shape[k].clamp(1, left);
        left /= block[k];
        if block[k] < shape[k] {
            break;
        }
    }
    Grid::new(*shape, &block[..shape.rank()])
}

/// Runs `map` on every block of `grid`, on all threads, and hands the results to `take` in the order of the blocks.
pub(super) fn for_each_block<A: Send>(
    grid: &Grid,
    map: impl Fn(&Region) -> Result<A> + Sync,
    mut take: impl FnMut(A) -> Result<()>,
) -> Result<()> {
    for first in (0..grid.len()).step_by(BATCH) {
        let last = grid.len().min(first + BATCH);
        let batch: Vec<Result<A>> = (first..last).into_par_iter().map(|i| map(&grid.region(i))).collect();
        for a in batch {
            take(a?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_follow_each_other_in_memory() {
        for dims in [vec![5, 7, 11], vec![1, 1, 300], vec![40], vec![], vec![3, 1, 2, 1, 9]] {
            let shape = Shape::new(&dims).unwrap();
            for part in [1, 4, 11, 30, 77, 1000] {
                let grid = slabs_of(&shape, part).unwrap();
                let mut next = 0;
                for i in 0..grid.len() {
                    let r = grid.region(i);
                    let at: usize = r.origin().iter().zip(shape.strides()).map(|(&o, s)| o * s).sum();
                    assert_eq!(at, next, "{dims:?} {part}");
                    assert!(r.shape().len() <= part);
                    next += r.shape().len();
                }
                assert_eq!(next, shape.len());
            }
        }
    }

    #[test]
    fn results_come_in_order_and_errors_stop() {
        let grid = slabs_of(&Shape::new(&[1000]).unwrap(), 3).unwrap();
        let mut seen = Vec::new();
        let first = |r: &Region| Ok(r.origin()[0]);
        for_each_block(&grid, first, |i| {
            seen.push(i);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, (0..1000).step_by(3).collect::<Vec<_>>());
        assert!(for_each_block(&grid, |_| Err::<(), _>(Error::invalid("no")), |()| Ok(())).is_err());
    }
}
