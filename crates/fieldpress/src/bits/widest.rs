//! Runs a loop compiled for the widest vectors the processor has.

use pulp::{Arch, NullaryFnOnce};

/// A piece of work. `run`, and what is to gain from wide vectors, must be `#[inline(always)]`.
pub trait Work {
    /// What comes of it.
    type Output;
    /// Does it.
    fn run(self) -> Self::Output;
}

struct Op<W>(W);

impl<W: Work> NullaryFnOnce for Op<W> {
    type Output = W::Output;
    #[inline(always)]
    fn call(self) -> W::Output {
        self.0.run()
    }
}

/// Does `work`, compiled for AVX-512, AVX2 or whatever else there is, as found at run time. Only the speed depends on the processor:
/// nothing is contracted or reordered.
#[inline(always)]
pub fn widest<W: Work>(work: W) -> W::Output {
    // With the fuzzer's instrumentation one copy of each kernel takes long enough to compile; they differ in nothing but speed.
    if cfg!(fuzzing) {
        work.run()
    } else {
        Arch::new().dispatch(Op(work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mean<'a>(&'a [f64]);

    impl Work for Mean<'_> {
        type Output = f64;
        #[inline(always)]
        fn run(self) -> f64 {
            self.0.iter().zip(self.0.iter().rev()).fold(0.1, |s, (a, b)| s * 0.3 + a * b)
        }
    }

    #[test]
    fn the_same_bits_as_without() {
        let v: Vec<f64> = (0..1000).map(|i| f64::from(i * 7919 % 1009) / 1009.0).collect();
        // Were products and sums fused, the last bits would differ.
        assert_eq!(widest(Mean(&v)).to_bits(), Mean(&v).run().to_bits());
    }
}
