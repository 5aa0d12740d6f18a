//! Rings side by side, where vectors are read and written fastest.

use std::ops::{Deref, DerefMut};

/// Real and imaginary parts of one place in `W` sequences.
pub(super) type Place<const W: usize> = [[f64; W]; 2];

/// At an address where vectors do not straddle two lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Aligned<T>(pub(super) T);

/// `W` sequences side by side, from the beginning of a line of the cache on.
#[derive(Clone, Debug, Default)]
pub(super) struct Line<const W: usize> {
    values: Vec<f64>,
    first: usize,
    len: usize,
}

impl<const W: usize> Line<W> {
    /// `len` places of zeros.
    #[inline(always)]
    pub(super) fn zeros(len: usize) -> Line<W> {
        let mut all = Line::default();
        all.clear(len);
        all
    }
    /// `len` places of whatever there was.
    #[inline(always)]
    pub(super) fn fit(&mut self, len: usize) {
        if self.len != len {
            self.clear(len);
        }
    }
    /// `len` places of zeros, whatever there was.
    #[inline(always)]
    pub(super) fn clear(&mut self, len: usize) {
        const LINE: usize = 64;
        self.values.clear();
        self.values.resize(2 * W * len + LINE / 8, 0.0);
        self.len = len;
        // At most seven numbers; if it cannot be told, none.
        self.first = self.values.as_ptr().align_offset(LINE).min(LINE / 8);
    }
}

impl<const W: usize> Deref for Line<W> {
    type Target = [Place<W>];
    #[inline(always)]
    fn deref(&self) -> &[Place<W>] {
        let values = &self.values[self.first..][..2 * W * self.len];
        values.as_chunks::<W>().0.as_chunks::<2>().0
    }
}

impl<const W: usize> DerefMut for Line<W> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Place<W>] {
        let values = &mut self.values[self.first..][..2 * W * self.len];
        values.as_chunks_mut::<W>().0.as_chunks_mut::<2>().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_where_lines_of_the_cache_do() {
        let mut line = Line::<8>::zeros(5);
        for len in [5, 1, 0, 300] {
            line.clear(len);
            assert_eq!((line.len(), line.as_ptr() as usize % 64), (len, 0));
            line.iter_mut().flatten().flatten().for_each(|v| *v = 1.0);
        }
        line.clear(7);
        assert!(line.iter().flatten().flatten().all(|v| *v == 0.0));
        assert!(Line::<8>::default().is_empty());
        assert_eq!(Line::<1>::zeros(3).len(), 3);
    }
}
