//! The decoder of [`crate::entropy::rans`].

use super::cluster::MAX_TABLES;
use super::table::{Freqs, Table, CONTEXTS, COUNT_CONTEXT, MAP_CONTEXT, SCALE, SCALE_BITS};
use super::token::{raw_bits, value, RARE, SMALL, VALUE_TOKENS};
use super::{ADAPTIVE, ADAPTIVE_CLASSES, LANES, LOW, STATE_BYTES, STATIC};
use crate::bits::{unzigzag, ByteReader};
use crate::entropy::{BinaryDecoder, Head, IntModel, Reach};
use crate::error::{Error, Result};

const SLOTS: usize = SCALE as usize;

/// For each slot of the state: bits 24..=31 the small value, or the token minus 16 when that is at least 16; bits
/// 12..=23 the frequency minus one; bits 0..=11 the slot's offset from the token's first slot.
type Lookup = [u32; SLOTS];

fn lookup(freqs: &Freqs) -> Lookup {
    let mut slots = [0; SLOTS];
    let mut rest = &mut slots[..];
    for (t, &f) in freqs.iter().enumerate() {
        let (own, tail) = rest.split_at_mut(usize::from(f).min(rest.len()));
        rest = tail;
        let small = if t < usize::from(SMALL) { unzigzag(t as u32) } else { t as i32 - 16 };
        let entry = (small as u32) << 24 | u32::from(f.max(1) - 1) << 12;
        for (offset, slot) in own.iter_mut().enumerate() {
            *slot = entry | offset as u32;
        }
    }
    slots
}

/// Reads what [`encode_classes`](super::encode_classes) wrote, one symbol at a time. Any bytes give some symbols;
/// [`RansDecoder::finish`] tells whether they were the right ones.
#[derive(Clone, Debug)]
pub struct RansDecoder<'a> {
    lanes: [u64; LANES],
    tables: Vec<Lookup>,
    /// The table of each class.
    map: [u8; 256],
    words: &'a [u8],
    /// How many bytes lie before the words; all there are in the adaptive modes.
    start: usize,
    at: usize,
    raw: RawBits<'a>,
    /// The stream of the adaptive modes, which have no tables; or nothing, for no symbols.
    adaptive: Option<(BinaryDecoder<'a>, IntModel)>,
    /// A symbol was asked for that no encoder wrote.
    broken: bool,
}

impl<'a> RansDecoder<'a> {
    /// A decoder of the stream that is all of `bytes`, with the `n_classes` of its encoder.
    /// Errors: `Truncated` or `Corrupt` when its header is; `InvalidArgument` for other than 1 to 256 classes.
    pub fn new(bytes: &'a [u8], n_classes: usize) -> Result<Self> {
        RansDecoder::read(bytes, None, n_classes)
    }

    /// A decoder of the first symbols of a stream that falls into words and raw bits at [`RansDecoder::split`]; what is missing at
    /// the ends of both is not asked for if [`RansDecoder::reach`] is used in place of [`RansDecoder::finish`].
    /// Errors: as [`RansDecoder::new`].
    pub fn of_head(head: Head<'a>, n_classes: usize) -> Result<Self> {
        RansDecoder::read(head.lead, Some(head.trail), n_classes)
    }

    /// Reads what comes before the first symbol; `raw` are the raw bits where they do not follow the words.
    fn read(bytes: &'a [u8], raw: Option<&'a [u8]>, n_classes: usize) -> Result<Self> {
        if !(1..=256).contains(&n_classes) {
            return Err(Error::invalid(format!("rans: expected 1 to 256 classes, found {n_classes}")));
        }
        let mut this = RansDecoder {
            lanes: [LOW; LANES],
            tables: Vec::new(),
            map: [0; 256],
            words: &[],
            start: bytes.len(),
            at: 0,
            raw: RawBits::new(&[]),
            adaptive: None,
            broken: false,
        };
        let Some((&mode, rest)) = bytes.split_first() else { return Ok(this) };
        match mode {
            STATIC => this.read_static(rest, raw, n_classes)?,
            ADAPTIVE => this.adaptive = Some((BinaryDecoder::new(rest), IntModel::new(1))),
            ADAPTIVE_CLASSES => this.adaptive = Some((BinaryDecoder::new(rest), IntModel::new(n_classes))),
            _ => return Err(Error::corrupt(format!("rans: expected a mode of at most 2, found {mode}"))),
        }
        Ok(this)
    }

    fn read_static(&mut self, bytes: &'a [u8], raw: Option<&'a [u8]>, n_classes: usize) -> Result<()> {
        let mut dec = BinaryDecoder::new(bytes);
        let header = self.read_header(&mut dec, n_classes);
        // Bytes that are missing are the reason for whatever else was found wrong.
        let len = match dec.end() {
            Ok(len) => header.map(|()| len)?,
            Err(e) if dec.is_determined() => return Err(header.err().unwrap_or(e)),
            Err(e) => return Err(e),
        };
        let mut r = ByteReader::new(bytes.get(len..).unwrap_or_default());
        let n_words = r.varint()?;
        for lane in &mut self.lanes {
            *lane = r.take(STATE_BYTES)?.iter().rev().fold(0, |x, &b| x << 8 | u64::from(b));
            if *lane < LOW {
                return Err(Error::corrupt("rans: expected a state of at least 2^24"));
            }
        }
        let n_bytes = usize::try_from(n_words).ok().and_then(|n| n.checked_mul(4)).unwrap_or(usize::MAX);
        self.start -= r.remaining();
        self.words = r.take(if raw.is_some() { n_bytes.min(r.remaining()) } else { n_bytes })?;
        self.raw = RawBits::new(raw.unwrap_or(r.rest()));
        Ok(())
    }

    fn read_header(&mut self, dec: &mut BinaryDecoder<'_>, n_classes: usize) -> Result<()> {
        let mut model = IntModel::new(CONTEXTS);
        let mut n_tables = 1;
        if n_classes > 1 {
            let n = model.decode(dec, COUNT_CONTEXT);
            if !(0..MAX_TABLES as i64).contains(&n) {
                return Err(Error::corrupt(format!("rans: expected at most {MAX_TABLES} tables")));
            }
            n_tables = n + 1;
            if n_tables > 1 {
                let (mut last, mut next) = (0, 0);
                for m in self.map.iter_mut().take(n_classes) {
                    let table = match model.decode(dec, MAP_CONTEXT) {
                        0 => last,
                        1 => next,
                        code => code.saturating_sub(2),
                    };
                    if !(0..n_tables).contains(&table) {
                        return Err(Error::corrupt(format!("rans: expected a table below {n_tables}, found {table}")));
                    }
                    next += i64::from(table == next);
                    last = table;
                    *m = table as u8;
                }
            }
        }
        for _ in 0..n_tables {
            self.tables.push(lookup(&Table::read(dec, &mut model)?));
        }
        Ok(())
    }

    /// The next symbol, which has class `class`. Never fails: see [`RansDecoder::finish`].
    #[inline(always)]
    pub fn next(&mut self, class: u8) -> i32 {
        let [x, x1, x2, x3] = self.lanes;
        let Some(table) = self.tables.get(usize::from(self.map[usize::from(class)])) else {
            return self.next_adaptive(class);
        };
        let entry = table[x as usize & (SLOTS - 1)];
        let freq = u64::from(entry >> 12 & 0xfff) + 1;
        let mut x = freq * (x >> SCALE_BITS) + u64::from(entry & 0xfff);
        if x < LOW {
            x = x << 32 | u64::from(self.word());
        }
        self.lanes = [x1, x2, x3, x];
        let small = entry as i32 >> 24;
        if small < 16 {
            small
        } else {
            self.large((small + 16) as u8)
        }
    }

    /// Four symbols at a time, while the lane whose turn it is is the first: after any multiple of four symbols.
    pub fn four(&mut self) -> Four<'_, 'a> {
        Four { lanes: self.lanes, at: self.at, decoder: self }
    }

    #[inline(always)]
    fn word(&mut self) -> u32 {
        match self.words.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(b) => {
                self.at += 4;
                u32::from_le_bytes(*b)
            }
            None => {
                self.broken = true;
                // Keeps the state in its range.
                1
            }
        }
    }

    #[inline(always)]
    fn large(&mut self, token: u8) -> i32 {
        if token == RARE {
            self.rare()
        } else {
            value(token, self.raw.get(raw_bits(token)))
        }
    }

    #[cold]
    fn rare(&mut self) -> i32 {
        let token = self.raw.get(8) as u8;
        if usize::from(token) < VALUE_TOKENS {
            value(token, self.raw.get(raw_bits(token)))
        } else {
            self.broken = true;
            0
        }
    }

    #[cold]
    fn next_adaptive(&mut self, class: u8) -> i32 {
        let Some((dec, model)) = &mut self.adaptive else {
            self.broken = true;
            return 0;
        };
        let v = model.decode(dec, usize::from(class));
        i32::try_from(v).unwrap_or_else(|_| {
            self.broken = true;
            0
        })
    }

    /// Where the raw bits begin, which are read beside all that is before them; the length of the stream where there are none.
    pub fn split(&self) -> usize {
        self.start + self.words.len()
    }

    /// How much of words and raw bits, and of all that is before them, the symbols so far came from.
    /// Errors: `Truncated` when bytes were missing or are not those of an encoder.
    pub fn reach(&self) -> Result<Reach> {
        self.raw.check()?;
        let determined = self.adaptive.as_ref().is_none_or(|(dec, _)| dec.is_determined());
        if self.broken || !determined {
            return Err(Error::truncated("rans: expected more symbols, found the end of their bytes"));
        }
        let lead = self.adaptive.as_ref().map_or(self.start + self.at, |(dec, _)| 1 + dec.taken());
        Ok(Reach { lead, trail: self.raw.taken() })
    }

    /// Checks, after the last symbol, that exactly what was written has been read. Errors: `Truncated` for every strict
    /// prefix of a stream (if [`RansDecoder::new`] has not said so), `Corrupt` when no encoder wrote this.
    pub fn finish(&self) -> Result<()> {
        if let Some((dec, _)) = &self.adaptive {
            dec.finish()?;
        }
        if self.adaptive.is_none() && self.tables.is_empty() && self.broken {
            return Err(Error::truncated("rans: expected symbols, found no bytes"));
        }
        // Bits that are missing are the reason for whatever else is wrong.
        self.raw.check()?;
        if self.broken || self.at != self.words.len() || self.lanes != [LOW; LANES] {
            return Err(Error::corrupt("rans: expected the state the encoder began with, found another"));
        }
        self.raw.finish()
    }
}

/// A decoder whose state is at hand, in registers.
#[derive(Debug)]
pub struct Four<'d, 'a> {
    lanes: [u64; LANES],
    at: usize,
    decoder: &'d mut RansDecoder<'a>,
}

impl Four<'_, '_> {
    /// The next four symbols, as four calls of [`RansDecoder::next`] would give them.
    #[inline(always)]
    pub fn next(&mut self, classes: [u8; LANES]) -> [i32; LANES] {
        let d = &mut *self.decoder;
        let mut entries = [0u32; LANES];
        for ((e, x), class) in entries.iter_mut().zip(&mut self.lanes).zip(classes) {
            let Some(table) = d.tables.get(usize::from(d.map[usize::from(class)])) else {
                return classes.map(|c| d.next_adaptive(c));
            };
            *e = table[*x as usize & (SLOTS - 1)];
            *x = (u64::from(*e >> 12 & 0xfff) + 1) * (*x >> SCALE_BITS) + u64::from(*e & 0xfff);
        }
        if let Some(words) = d.words.get(self.at..).and_then(<[u8]>::first_chunk::<{ 4 * LANES }>) {
            // Whether a lane wants a word cannot be foretold: no branches, but shifts and masks.
            let mut at = 0;
            for x in &mut self.lanes {
                let b = [words[at], words[at + 1], words[at + 2], words[at + 3]];
                let wants = u64::from(*x < LOW);
                *x = *x << (32 * wants) | u64::from(u32::from_le_bytes(b)) & wants.wrapping_neg();
                at += 4 * wants as usize;
            }
            self.at += at;
        } else {
            d.at = self.at;
            for x in &mut self.lanes {
                if *x < LOW {
                    *x = *x << 32 | u64::from(d.word());
                }
            }
            self.at = d.at;
        }
        let mut values = entries.map(|e| e as i32 >> 24);
        for v in &mut values {
            if *v >= 16 {
                *v = d.large((*v + 16) as u8);
            }
        }
        values
    }
    /// Hands the state back to the decoder.
    pub fn done(self) {
        self.decoder.lanes = self.lanes;
        self.decoder.at = self.at;
    }
}

/// Reads bits, least significant first, as [`crate::bits::BitReader`] does; eight bytes at a time.
#[derive(Clone, Debug)]
struct RawBits<'a> {
    bytes: &'a [u8],
    /// Bytes wholly or partly in `acc`.
    at: usize,
    acc: u64,
    have: u32,
    overrun: bool,
}

impl<'a> RawBits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        RawBits { bytes, at: 0, acc: 0, have: 0, overrun: false }
    }
    /// The next `n` bits, at most 32.
    #[inline(always)]
    fn get(&mut self, n: u32) -> u32 {
        if self.have < n {
            match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
                Some(b) => {
                    // Fewer than 32 bits are left, so at least four whole bytes fit.
                    self.acc |= u64::from(u32::from_le_bytes(*b)) << self.have;
                    self.at += 4;
                    self.have += 32;
                }
                None => self.refill(n),
            }
        }
        let v = self.acc & ((1 << n) - 1);
        self.acc >>= n;
        self.have -= n;
        v as u32
    }
    #[cold]
    fn refill(&mut self, n: u32) {
        while let (true, Some(&b)) = (self.have < n, self.bytes.get(self.at)) {
            self.acc |= u64::from(b) << self.have;
            self.at += 1;
            self.have += 8;
        }
        if self.have < n {
            self.overrun = true;
            self.have = n;
        }
    }
    /// Bytes of which bits were given out.
    fn taken(&self) -> usize {
        self.at - self.have as usize / 8
    }
    fn check(&self) -> Result<()> {
        match self.overrun {
            true => Err(Error::truncated("rans: expected more raw bits, found the end")),
            false => Ok(()),
        }
    }
    fn finish(&self) -> Result<()> {
        self.check()?;
        if self.have + 8 * (self.bytes.len() - self.at).min(2) as u32 >= 8 || self.acc != 0 {
            return Err(Error::corrupt("rans: expected the end of the raw bits, found more"));
        }
        Ok(())
    }
}

/// Decodes `out.len()` symbols from the stream that is all of `bytes`. `classes` gives the class of each symbol and the
/// number of classes; `None` stands for one class. Errors as [`RansDecoder::new`] and [`RansDecoder::finish`].
pub fn decode_all(bytes: &[u8], classes: Option<(&[u8], usize)>, out: &mut [i32]) -> Result<()> {
    match classes {
        None => {
            let mut dec = RansDecoder::new(bytes, 1)?;
            for v in out.iter_mut() {
                *v = dec.next(0);
            }
            dec.finish()
        }
        Some((classes, _)) if classes.len() != out.len() => {
            Err(Error::invalid(format!("rans: expected {} classes, found {}", out.len(), classes.len())))
        }
        Some((classes, n_classes)) => {
            let mut dec = RansDecoder::new(bytes, n_classes)?;
            for (v, &class) in out.iter_mut().zip(classes) {
                *v = dec.next(class);
            }
            dec.finish()
        }
    }
}
