//! Quantised coefficients to bits and back: with mixed models that learn, or with static tables.
//!
//! # Format
//!
//! Names are those of [`modes`](super::modes).
//!
//! *Mixed*: decisions of [`crate::entropy::range`]. That a row is all 0 is one with the model of its context. A coefficient is a value of
//! [`crate::entropy::mixing`] with the contexts `8 L(x, 4, -6, 40) + L(a_i + (a_j + a_k), 1, 0, 8)`, `32 L(m, 2, -5, 32) + L(S(a), 2, 0, 32)`,
//! `32 L(x, 2, -5, 32) + t` (at most 31), `16 L(0.5 (x + m), 4, -6, 40) + L(o, 1, 0, 16)`, and the selector `2 L(x, 2, -4, 32)`, plus 1 where `t > n`.
//!
//! *Classes*: symbols of [`crate::entropy::rans`]. A row is 1 where it is all 0, else 0, and its class that of its context. A coefficient is itself, in the class
//! `32 + 12 L(x, 2, -4, 18) + L(S(a), 1, 0, 12)`.

use serde::{Deserialize, Serialize};

use super::modes::ROWS;
use crate::entropy::{encode_classes, level, BinaryDecoder, BinaryEncoder, Bit, Decisions, MixedModel, RansDecoder};
use crate::error::{Error, Result};

/// How coefficients become bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// Mixed models that learn: the smallest.
    Mixed,
    /// Static tables: a little larger, and much faster.
    Classes,
}

/// What is known of a coefficient before it is coded.
pub(super) struct Known<F> {
    /// What is expected from modes of lower degree.
    pub x: f32,
    /// `S(a)`.
    pub around: f32,
    /// The sum of the magnitudes one lower along each axis.
    pub near: F,
    /// What the mode had in elements before, in the mean and at last.
    pub mean: f32,
    pub before: f32,
    /// The sum of the indices, and the points along an axis.
    pub degree: usize,
    pub points: usize,
}

/// Where coefficients go to or come from. A decoder ignores what it is given, and returns what was coded.
pub(super) trait Coder {
    /// Whether a row is all 0.
    fn row(&mut self, context: usize, zero: bool) -> bool;
    /// A coefficient.
    fn value<F: Fn() -> f32>(&mut self, v: i32, known: Known<F>) -> i32;
}

/// The coder of mixed models.
pub(super) struct Mixed<D> {
    io: D,
    model: MixedModel,
    rows: Vec<Bit>,
}

impl<D: Decisions> Mixed<D> {
    /// Errors: `LimitExceeded`.
    pub(super) fn new(io: D) -> Result<Mixed<D>> {
        let model = MixedModel::new([40 * 8, 32 * 32, 32 * 32, 40 * 16], 64)?;
        Ok(Mixed { io, model, rows: vec![Bit::new(); ROWS] })
    }
}

impl Mixed<BinaryEncoder> {
    pub(super) fn finish(self) -> Vec<u8> {
        self.io.finish()
    }
}

impl Mixed<BinaryDecoder<'_>> {
    /// Errors: `Truncated`, `Corrupt`.
    pub(super) fn finish(&self) -> Result<()> {
        self.io.finish()
    }
}

impl<D: Decisions> Coder for Mixed<D> {
    #[inline(always)]
    fn row(&mut self, context: usize, zero: bool) -> bool {
        match self.rows.get_mut(context) {
            Some(model) => self.io.learn(model, zero),
            None => zero,
        }
    }
    #[inline(always)]
    fn value<F: Fn() -> f32>(&mut self, v: i32, k: Known<F>) -> i32 {
        let y = 0.5 * (k.x + k.mean);
        let contexts = [
            level(k.x, 4, -6, 40) * 8 + level((k.near)(), 1, 0, 8),
            level(k.mean, 2, -5, 32) * 32 + level(k.around, 2, 0, 32),
            level(k.x, 2, -5, 32) * 32 + k.degree.min(31),
            level(y, 4, -6, 40) * 16 + level(k.before, 1, 0, 16),
        ];
        let selector = level(k.x, 2, -4, 32) * 2 + usize::from(k.degree > k.points);
        self.model.code(&mut self.io, v, contexts, selector)
    }
}

/// Classes of symbols.
const CLASSES: usize = ROWS + 18 * 12;

#[inline(always)]
fn class<F>(k: &Known<F>) -> u8 {
    (ROWS + level(k.x, 2, -4, 18) * 12 + level(k.around, 1, 0, 12)) as u8
}

/// Symbols and their classes, to be coded when all are known.
pub(super) struct Writer {
    symbols: Vec<i32>,
    classes: Vec<u8>,
}

impl Writer {
    /// For about so many values. Errors: `LimitExceeded`.
    pub(super) fn new(values: usize) -> Result<Writer> {
        let (mut symbols, mut classes) = (Vec::new(), Vec::new());
        let rows = values / 2;
        let some = symbols.try_reserve(values + rows).and_then(|()| classes.try_reserve(values + rows));
        some.map_err(|_| Error::limit(format!("expected memory for {values} codes, found too little")))?;
        Ok(Writer { symbols, classes })
    }
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        encode_classes(&self.symbols, &self.classes, CLASSES, out);
    }
}

impl Coder for Writer {
    #[inline(always)]
    fn row(&mut self, context: usize, zero: bool) -> bool {
        self.symbols.push(i32::from(zero));
        self.classes.push(context as u8);
        zero
    }
    #[inline(always)]
    fn value<F: Fn() -> f32>(&mut self, v: i32, known: Known<F>) -> i32 {
        self.symbols.push(v);
        self.classes.push(class(&known));
        v
    }
}

/// A decoder for what [`Writer`] wrote. Errors: `Truncated`, `Corrupt`.
pub(super) fn reader(bytes: &[u8]) -> Result<RansDecoder<'_>> {
    RansDecoder::new(bytes, CLASSES)
}

impl Coder for RansDecoder<'_> {
    #[inline(always)]
    fn row(&mut self, context: usize, _: bool) -> bool {
        self.next(context as u8) != 0
    }
    #[inline(always)]
    fn value<F: Fn() -> f32>(&mut self, _: i32, known: Known<F>) -> i32 {
        self.next(class(&known))
    }
}
