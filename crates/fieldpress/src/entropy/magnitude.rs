//! Context classes for quantisation codes: how large were the codes nearby?
//!
//! Codes vary in scale over a field far more than in shape, so the magnitudes of codes already known tell most of what
//! can be told about the next one. A class stands for a range of a weighted sum of them, on a logarithmic scale.

/// How many classes a sum falls into.
pub const CLASSES: usize = 14;

/// Sums beyond this have the last class anyway.
const SUMS: usize = 16 * 256;

/// The class of each weighted sum.
#[derive(Debug)]
pub struct ClassTable([u8; SUMS]);

/// Class 0 for a sum of 0; then about one class per half octave, until the last class takes the rest.
pub static CLASS_TABLE: ClassTable = ClassTable::new();

/// The least sum of each class but the first.
const EDGES: [usize; CLASSES - 1] = [1, 3, 6, 10, 15, 22, 32, 48, 72, 112, 192, 384, 1024];

impl ClassTable {
    const fn new() -> ClassTable {
        let mut t = [0; SUMS];
        let mut class = 0;
        let mut sum = 0;
        while sum < SUMS {
            while class < EDGES.len() && sum >= EDGES[class] {
                class += 1;
            }
            t[sum] = class as u8;
            sum += 1;
        }
        ClassTable(t)
    }
    /// The class of `sum`.
    #[inline(always)]
    pub fn class(&self, sum: usize) -> u8 {
        self.0[sum.min(SUMS - 1)]
    }
}

/// The magnitude of a code as it is kept for contexts.
#[inline(always)]
pub fn magnitude(q: i32) -> u8 {
    q.unsigned_abs().min(255) as u8
}
