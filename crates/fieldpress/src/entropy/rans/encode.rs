//! The encoder of [`crate::entropy::rans`].

use super::cluster::{cluster, tables};
use super::table::{Table, CONTEXTS, COUNT_CONTEXT, MAP_CONTEXT, SCALE, SCALE_BITS};
use super::token::{raw_bits, token, RARE, SMALL, TOKENS};
use super::{ADAPTIVE, ADAPTIVE_CLASSES, LANES, LOW, LOW_BITS, STATE_BYTES, STATIC};
use crate::bits::{put_varint, zigzag, BitWriter};
use crate::entropy::{BinaryEncoder, IntModel};
use std::iter::repeat;

/// Up to this many symbols only the adaptive modes are tried: a table would cost more than it saves.
const TINY: usize = 512;
/// Up to this many symbols all modes are tried: there are so few that the slower decoding does not matter.
const SHORT: usize = 4096;

/// Appends `symbols` to `out`. `classes[i]`, below `n_classes` (1..=256), is the class of symbol `i`; it may be empty when
/// there is one class. The stream holds neither the number of symbols nor its own length: the caller keeps them.
pub fn encode_classes(symbols: &[i32], classes: &[u8], n_classes: usize, out: &mut Vec<u8>) {
    debug_assert!((1..=256).contains(&n_classes) && (classes.len() == symbols.len() || n_classes == 1));
    if symbols.is_empty() {
        return;
    }
    let n_classes = n_classes.clamp(1, 256);
    let mut best = Vec::new();
    if symbols.len() > TINY {
        best = encode_static(symbols, classes, n_classes);
    }
    if symbols.len() <= SHORT {
        for mode in [ADAPTIVE, ADAPTIVE_CLASSES] {
            if mode == ADAPTIVE || n_classes > 1 {
                let bytes = encode_adaptive(symbols, classes, n_classes, mode);
                if best.is_empty() || bytes.len() < best.len() {
                    best = bytes;
                }
            }
        }
    }
    out.extend_from_slice(&best);
}

fn encode_adaptive(symbols: &[i32], classes: &[u8], n_classes: usize, mode: u8) -> Vec<u8> {
    let contexts = if mode == ADAPTIVE { 1 } else { n_classes };
    let mut enc = BinaryEncoder::new();
    let mut model = IntModel::new(contexts);
    for (&v, class) in symbols.iter().zip(classes.iter().copied().chain(repeat(0))) {
        model.encode(&mut enc, i64::from(v), usize::from(class));
    }
    let mut out = vec![mode];
    out.extend(enc.finish());
    out
}

/// What coding one token with one table takes.
#[derive(Clone, Copy, Default)]
struct Step {
    /// `ceil(2^(63 + shift) / f)`: division of a state below `2^63` by `f` is a multiplication (Granlund and Montgomery,
    /// "Division by invariant integers using multiplication", 1994).
    reciprocal: u64,
    /// `f`; 0 for a token that is not in the table.
    freq: u16,
    /// `2^12 - f`.
    others: u16,
    start: u16,
    shift: u16,
}

impl Step {
    /// The state that gives back the token and the state `x`, a word of which may go to `words`.
    #[inline(always)]
    fn push(&self, mut x: u64, words: &mut Vec<u32>) -> u64 {
        if x >= u64::from(self.freq) << (LOW_BITS + 32 - SCALE_BITS) {
            words.push(x as u32);
            x >>= 32;
        }
        let quotient = ((u128::from(x << 1) * u128::from(self.reciprocal)) >> 64) as u64 >> self.shift;
        x + u64::from(self.start) + quotient * u64::from(self.others)
    }
}

/// The steps of a table's tokens. Tokens that are not in it share the step of [`RARE`], but for `dropped`, which is true.
fn steps(table: &Table) -> ([Step; 256], [bool; 256]) {
    let mut steps = [Step::default(); 256];
    let mut start = 0;
    for (step, &freq) in steps.iter_mut().zip(&table.freqs) {
        if freq > 0 {
            let shift = 32 - (u32::from(freq) - 1).leading_zeros();
            let reciprocal = (1u128 << (63 + shift)).div_ceil(u128::from(freq)) as u64;
            *step = Step { reciprocal, freq, others: SCALE as u16 - freq, start, shift: shift as u16 };
            start += freq;
        }
    }
    let dropped = steps.map(|s| s.freq == 0);
    let rare = steps[usize::from(RARE)];
    for step in steps.iter_mut().filter(|s| s.freq == 0) {
        *step = rare;
    }
    (steps, dropped)
}

fn encode_static(symbols: &[i32], classes: &[u8], n_classes: usize) -> Vec<u8> {
    // Class and token of each symbol, and how often each pair occurs. Two counters, as the same one twice in turn is slow.
    let mut pairs: Vec<u16> = Vec::with_capacity(symbols.len());
    if n_classes == 1 {
        pairs.extend(symbols.iter().map(|&v| u16::from(token(v))));
    } else {
        let classes = classes.iter().map(|&c| u16::from(c)).chain(repeat(0));
        pairs.extend(symbols.iter().zip(classes).map(|(&v, c)| c << 8 | u16::from(token(v))));
    }
    let mut counts = [vec![0u32; n_classes << 8], vec![0u32; n_classes << 8]];
    let [even, odd] = &mut counts;
    for pair in pairs.chunks(2) {
        for (counts, &p) in [&mut *even, &mut *odd].into_iter().zip(pair) {
            if let Some(c) = counts.get_mut(usize::from(p)) {
                *c += 1;
            }
        }
    }
    let mut histograms = vec![[0u32; TOKENS]; n_classes];
    for ((h, even), odd) in histograms.iter_mut().zip(even.chunks(256)).zip(odd.chunks(256)) {
        for ((h, even), odd) in h.iter_mut().zip(even).zip(odd) {
            *h = even + odd;
        }
    }
    let (map, histograms) = cluster(&histograms);
    let tables = tables(&histograms);

    let mut out = vec![STATIC];
    out.extend(write_header(&map, &tables));

    let (steps, dropped): (Vec<[Step; 256]>, Vec<[bool; 256]>) = tables.iter().map(steps).unzip();
    let mut table_of = [0u8; 256];
    table_of[..map.len()].copy_from_slice(&map);
    let split = |pair: u16| (usize::from(table_of[usize::from(pair >> 8)]), usize::from(pair & 0xff));

    let mut raw = BitWriter::new();
    for (&v, &pair) in symbols.iter().zip(&pairs) {
        let (table, token) = split(pair);
        if dropped[table][token] {
            raw.put(token as u64, 8);
        }
        if token >= usize::from(SMALL) {
            let n = raw_bits(token as u8);
            raw.put(u64::from(zigzag(v) & ((1 << n) - 1)), n);
        }
    }

    // Last in, first out: the tokens go backwards, and the words are written backwards.
    let mut words: Vec<u32> = Vec::with_capacity(symbols.len() / 8);
    let mut lanes = [LOW; LANES];
    let groups = pairs.chunks_exact(LANES);
    for (lane, &pair) in lanes.iter_mut().zip(groups.remainder()).rev() {
        let (table, token) = split(pair);
        *lane = steps[table][token].push(*lane, &mut words);
    }
    for group in groups.rev() {
        for (lane, &pair) in lanes.iter_mut().zip(group).rev() {
            let (table, token) = split(pair);
            *lane = steps[table][token].push(*lane, &mut words);
        }
    }
    put_varint(&mut out, words.len() as u64);
    for x in lanes {
        out.extend(x.to_le_bytes().iter().take(STATE_BYTES));
    }
    out.reserve(4 * words.len());
    for w in words.iter().rev() {
        out.extend_from_slice(&w.to_le_bytes());
    }
    out.extend(raw.finish());
    out
}

fn write_header(map: &[u8], tables: &[Table]) -> Vec<u8> {
    let mut enc = BinaryEncoder::new();
    let mut model = IntModel::new(CONTEXTS);
    if map.len() > 1 {
        model.encode(&mut enc, tables.len() as i64 - 1, COUNT_CONTEXT);
        if tables.len() > 1 {
            let (mut last, mut next) = (0, 0);
            for &m in map {
                // 0 for the table before, 1 for the next new one, others by their number.
                let m = i64::from(m);
                let code = if m == next {
                    1
                } else if m == last {
                    0
                } else {
                    2 + m
                };
                model.encode(&mut enc, code, MAP_CONTEXT);
                next += i64::from(m == next);
                last = m;
            }
        }
    }
    for table in tables {
        table.write(&mut enc, &mut model);
    }
    enc.finish()
}
