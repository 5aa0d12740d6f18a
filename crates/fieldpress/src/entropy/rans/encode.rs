//! The encoder of [`crate::entropy::rans`].

use super::cluster::{cluster, tables};
use super::table::{Table, CONTEXTS, COUNT_CONTEXT, MAP_CONTEXT, SCALE, SCALE_BITS};
use super::token::{raw_bits, token, RARE, SMALL, TOKENS};
use super::{ADAPTIVE, ADAPTIVE_CLASSES, LANES, LOW, STATIC};
use crate::bits::{put_varint, zigzag, BitWriter};
use crate::entropy::{BinaryEncoder, IntModel};

/// Up to this many symbols the adaptive modes are tried: they need no tables, and a few symbols are soon decoded.
const SHORT: usize = 4096;

/// Appends `symbols` to `out`. `classes[i]`, below `n_classes` (1..=256), is the class of symbol `i`; it may be empty when
/// there is one class. The stream holds neither the number of symbols nor its own length: the caller keeps them.
pub fn encode_classes(symbols: &[i32], classes: &[u8], n_classes: usize, out: &mut Vec<u8>) {
    debug_assert!((1..=256).contains(&n_classes) && (classes.len() == symbols.len() || n_classes == 1));
    if symbols.is_empty() {
        return;
    }
    let n_classes = n_classes.clamp(1, 256);
    let class = |i: usize| classes.get(i).copied().unwrap_or(0);
    let mut best = encode_static(symbols, class, n_classes);
    if symbols.len() <= SHORT {
        for mode in [ADAPTIVE, ADAPTIVE_CLASSES] {
            if mode == ADAPTIVE || n_classes > 1 {
                let bytes = encode_adaptive(symbols, class, n_classes, mode);
                if bytes.len() < best.len() {
                    best = bytes;
                }
            }
        }
    }
    out.extend_from_slice(&best);
}

fn encode_adaptive(symbols: &[i32], class: impl Fn(usize) -> u8, n_classes: usize, mode: u8) -> Vec<u8> {
    let contexts = if mode == ADAPTIVE { 1 } else { n_classes };
    let mut enc = BinaryEncoder::new();
    let mut model = IntModel::new(contexts);
    for (i, &v) in symbols.iter().enumerate() {
        model.encode(&mut enc, i64::from(v), usize::from(class(i)));
    }
    let mut out = vec![mode];
    out.extend(enc.finish());
    out
}

/// What coding one token with one table takes.
#[derive(Clone, Copy, Default)]
struct Step {
    /// `ceil(2^(63 + shift) / f)`: division by `f` is a multiplication.
    reciprocal: u64,
    shift: u32,
    /// `2^12 - f`.
    others: u32,
    start: u32,
    /// `f`; 0 for a token that is not in the table.
    freq: u32,
}

fn steps(table: &Table) -> [Step; 256] {
    let mut steps = [Step::default(); 256];
    let mut start = 0;
    for (step, &f) in steps.iter_mut().zip(&table.freqs) {
        if f > 0 {
            let freq = u32::from(f);
            let shift = 32 - (freq - 1).leading_zeros();
            let reciprocal = (1u128 << (63 + shift)).div_ceil(u128::from(freq)) as u64;
            *step = Step { reciprocal, shift, others: SCALE - freq, start, freq };
            start += freq;
        }
    }
    steps
}

fn encode_static(symbols: &[i32], class: impl Fn(usize) -> u8, n_classes: usize) -> Vec<u8> {
    let tokens: Vec<u8> = symbols.iter().map(|&v| token(v)).collect();
    let mut histograms = vec![[0u32; TOKENS]; n_classes];
    for (i, &t) in tokens.iter().enumerate() {
        if let Some(h) = histograms.get_mut(usize::from(class(i))) {
            h[usize::from(t)] += 1;
        }
    }
    let (map, counts) = cluster(&histograms);
    let (tables, _) = tables(&counts);

    let mut out = vec![STATIC];
    out.extend(write_header(&map, &tables));

    let mut table_of = [0u8; 256];
    table_of[..map.len()].copy_from_slice(&map);
    let steps: Vec<[Step; 256]> = tables.iter().map(steps).collect();

    let mut raw = BitWriter::new();
    for (i, &t) in tokens.iter().enumerate() {
        let rare = steps[usize::from(table_of[usize::from(class(i))])][usize::from(t)].freq == 0;
        if rare {
            raw.put(u64::from(t), 8);
        }
        if t >= SMALL {
            let n = raw_bits(t);
            raw.put(u64::from(zigzag(symbols[i]) & ((1 << n) - 1)), n);
        }
    }

    // Last in, first out: the tokens go backwards, and the words are written backwards.
    let mut words: Vec<u32> = Vec::with_capacity(symbols.len() / 8);
    let mut lanes = [LOW; LANES];
    for (i, &t) in tokens.iter().enumerate().rev() {
        let table = &steps[usize::from(table_of[usize::from(class(i))])];
        let mut step = table[usize::from(t)];
        if step.freq == 0 {
            step = table[usize::from(RARE)];
        }
        let mut x = lanes[i % LANES];
        if x >= u64::from(step.freq) << (63 - SCALE_BITS) {
            words.push(x as u32);
            x >>= 32;
        }
        let quotient = ((u128::from(x << 1) * u128::from(step.reciprocal)) >> 64) as u64 >> step.shift;
        lanes[i % LANES] = x + u64::from(step.start) + quotient * u64::from(step.others);
    }
    put_varint(&mut out, words.len() as u64);
    for x in lanes {
        out.extend_from_slice(&x.to_le_bytes());
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
