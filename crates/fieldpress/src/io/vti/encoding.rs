//! Binary payloads: their headers, base64 and compressed blocks, read and written.

use std::io::{Read, Write};

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use super::ascii::Lines;
use super::xml::Span;
use crate::array::{Endian, ReadAt};
use crate::error::{Error, Result};
use crate::io::bytes::Writer;

/// What the blocks of a file are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compressor {
    /// zlib streams (RFC 1950).
    Zlib,
    /// LZ4 blocks, without a frame.
    Lz4,
}

impl Compressor {
    /// The most bytes that one compressed byte can make.
    fn max_ratio(self) -> u64 {
        match self {
            Compressor::Zlib => 1032,
            Compressor::Lz4 => 255,
        }
    }
    fn packer(self) -> Packer {
        match self {
            Compressor::Zlib => Packer::Zlib(ZlibEncoder::new(Vec::new(), flate2::Compression::default())),
            Compressor::Lz4 => Packer::Lz4,
        }
    }
    fn unpacker(self) -> Unpacker<'static> {
        match self {
            Compressor::Zlib => Unpacker::Zlib(ZlibDecoder::new(&[])),
            Compressor::Lz4 => Unpacker::Lz4,
        }
    }
}

/// Compresses one block after another; the tables of zlib, larger than most blocks, are made once.
enum Packer {
    Zlib(ZlibEncoder<Vec<u8>>),
    Lz4,
}

impl Packer {
    fn pack(&mut self, block: &[u8]) -> Result<Vec<u8>> {
        match self {
            Packer::Zlib(z) => {
                z.write_all(block)?;
                Ok(z.reset(Vec::new())?)
            }
            Packer::Lz4 => Ok(lz4_flex::block::compress(block)),
        }
    }
}

/// Decompresses one block after another.
enum Unpacker<'a> {
    Zlib(ZlibDecoder<&'a [u8]>),
    Lz4,
}

impl<'a> Unpacker<'a> {
    /// Fills `out` exactly. Errors: `Corrupt`.
    fn unpack(&mut self, block: &'a [u8], out: &mut [u8]) -> Result<()> {
        let bad = || Error::corrupt("expected a compressed block of the length its header says");
        let filled = match self {
            Unpacker::Zlib(z) => {
                z.reset(block);
                z.read_exact(out).map_err(|_| bad())?;
                // Reading on to the end compares the checksum.
                z.read(&mut [0]).map_err(|_| bad())? == 0
            }
            Unpacker::Lz4 => lz4_flex::block::decompress_into(block, out).map_err(|_| bad())? == out.len(),
        };
        if filled {
            Ok(())
        } else {
            Err(bad())
        }
    }
}

/// How all binary payloads of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Style {
    pub(super) endian: Endian,
    /// Bytes per word of a header: 4 or 8.
    pub(super) word: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) compressor: Option<Compressor>,
}

/// How one payload is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Encoding {
    /// The values alone; the header before them is kept as it is.
    Raw,
    /// A header and the values in base64: joined, in one run.
    Base64 { joined: bool },
    /// Compressed blocks of `block` bytes behind their header.
    Blocks { block: u64, base64: bool },
    /// Decimal text.
    Ascii(Lines),
}

/// Characters of `n` bytes in base64, with padding.
fn chars(n: u64) -> u64 {
    n.div_ceil(3).saturating_mul(4)
}

fn decode64(text: &[u8]) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|e| Error::corrupt(format!("expected base64: {e}")))
}

/// `text` without white space, which may stand between the characters of base64.
fn dense(text: &mut Vec<u8>) {
    text.retain(|b| !b.is_ascii_whitespace());
}

/// `length` bytes of `bytes` from `start`. Errors: `Truncated` before any memory is taken.
fn take(bytes: &dyn ReadAt, start: u64, length: u64) -> Result<Vec<u8>> {
    let size = bytes.size()?;
    if start.checked_add(length).is_none_or(|end| end > size) {
        return Err(Error::truncated(format!("expected {length} bytes from {start}, found the end at {size}")));
    }
    let n = usize::try_from(length).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    out.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for {n} bytes, found too little")))?;
    out.resize(n, 0);
    bytes.read_at(start, &mut out)?;
    Ok(out)
}

impl Style {
    fn words(&self, bytes: &[u8]) -> Vec<u64> {
        let value = |w: &[u8]| {
            let mut a = [0; 8];
            match self.endian {
                Endian::Little => w.iter().zip(&mut a).for_each(|(b, a)| *a = *b),
                Endian::Big => w.iter().rev().zip(&mut a).for_each(|(b, a)| *a = *b),
            }
            u64::from_le_bytes(a)
        };
        bytes.chunks_exact(self.word).map(value).collect()
    }
    fn put_word(&self, v: u64, out: &mut Vec<u8>) -> Result<()> {
        if self.word == 4 && v > u64::from(u32::MAX) {
            return Err(Error::unsupported(format!("expected at most 4294967295 in a header of UInt32, found {v}")));
        }
        match self.endian {
            Endian::Little => out.extend(v.to_le_bytes().iter().take(self.word)),
            Endian::Big => out.extend(v.to_be_bytes().iter().skip(8usize.saturating_sub(self.word))),
        }
        Ok(())
    }
    /// Errors: `Corrupt` unless words have 4 or 8 bytes.
    pub(super) fn check(&self) -> Result<()> {
        match self.word {
            4 | 8 => Ok(()),
            n => Err(Error::corrupt(format!("expected header words of 4 or 8 bytes, found {n}"))),
        }
    }
    /// How the payload of `n` bytes of values at `span` is written, and how many bytes of the file it takes. In the
    /// appended part `span` reaches to the end of the file, in an element around the payload.
    pub(super) fn probe(
        &self,
        bytes: &dyn ReadAt,
        span: Span,
        inline: bool,
        base64: bool,
        n: u64,
    ) -> Result<(Encoding, u64)> {
        let room = span.end.saturating_sub(span.start);
        // Three words fill the groups of base64 exactly, whatever their size.
        let (words, most) = (if self.compressor.is_some() { 3 } else { 1 }, (3 * self.word) as u64);
        let head = if base64 {
            // One more group, to see where padding stands.
            let want = most / 3 * 4;
            let mut text = take(bytes, span.start, room.min(if inline { 4096 } else { want }))?;
            dense(&mut text);
            text.truncate(want as usize);
            text
        } else {
            take(bytes, span.start, (words * self.word) as u64)?
        };
        let (encoding, length) = match self.compressor {
            None => {
                let (encoding, found, length) = if base64 {
                    let split = self.is_split(&head);
                    let group = chars(self.word as u64) as usize;
                    let word = decode64(head.get(..group).unwrap_or(&head))?;
                    let joined = chars((self.word as u64).saturating_add(n));
                    let length = if split { chars(self.word as u64).saturating_add(chars(n)) } else { joined };
                    (Encoding::Base64 { joined: !split }, self.words(&word).first().copied(), length)
                } else {
                    (Encoding::Raw, self.words(&head).first().copied(), n.saturating_add(self.word as u64))
                };
                if found != Some(n) {
                    return Err(Error::corrupt(format!("expected {n} bytes of values, found a header of {found:?}")));
                }
                (encoding, length)
            }
            Some(compressor) => {
                let head = if base64 { decode64(&head)? } else { head };
                let first = self.words(&head);
                let count = blocks(&first, n)?;
                let table = count.saturating_add(3).saturating_mul(self.word as u64);
                let encoding = Encoding::Blocks { block: first.get(1).copied().unwrap_or(0), base64 };
                let length = if inline {
                    room
                } else {
                    let text = take(bytes, span.start, if base64 { chars(table) } else { table })?;
                    let text = if base64 { decode64(&text)? } else { text };
                    let sizes = self.words(&text);
                    let total = sizes.iter().skip(3).fold(0u64, |n, &s| n.saturating_add(s));
                    let body = if base64 { chars(total) } else { total };
                    (if base64 { chars(table) } else { table }).saturating_add(body)
                };
                if n > length.saturating_mul(compressor.max_ratio()) {
                    return Err(Error::corrupt(format!(
                        "expected {n} bytes of values, found {length} compressed ones"
                    )));
                }
                (encoding, length)
            }
        };
        let length = if inline { room } else { length };
        if length > room || (inline && self.compressor.is_none() && room < chars(n)) {
            return Err(Error::truncated(format!("expected a payload for {n} bytes of values, found {room} bytes")));
        }
        Ok((encoding, length))
    }
    /// Whether the header of an uncompressed payload is padded and thus a run of base64 of its own.
    fn is_split(&self, text: &[u8]) -> bool {
        text.get(if self.word == 4 { 6 } else { 11 }) == Some(&b'=')
    }
    /// The `n` bytes of values, in the byte order of the file, of a payload that [`Style::probe`] has seen.
    pub(super) fn decode(&self, mut text: Vec<u8>, encoding: &Encoding, n: usize) -> Result<Vec<u8>> {
        match *encoding {
            Encoding::Base64 { joined } => {
                dense(&mut text);
                let head = if joined { self.word } else { 0 };
                let text =
                    if joined { &text[..] } else { text.get(chars(self.word as u64) as usize..).unwrap_or_default() };
                let mut out = decode64(text)?;
                out.drain(..head.min(out.len()));
                if out.len() != n {
                    return Err(Error::corrupt(format!("expected {n} bytes of values, found {}", out.len())));
                }
                Ok(out)
            }
            Encoding::Blocks { base64, .. } => {
                let compressor = self.compressor.ok_or_else(|| Error::corrupt("expected the name of a compressor"))?;
                if base64 {
                    dense(&mut text);
                }
                let first = text.get(..if base64 { 4 } else { 3 } * self.word).unwrap_or_default();
                let first = self.words(&if base64 { decode64(first)? } else { first.to_vec() });
                let table = blocks(&first, n as u64)?.saturating_add(3).saturating_mul(self.word as u64);
                let cut = usize::try_from(if base64 { chars(table) } else { table }).unwrap_or(usize::MAX);
                let (head, body) = text
                    .split_at_checked(cut)
                    .ok_or_else(|| Error::truncated(format!("expected a header of {table} bytes")))?;
                let (head, body) =
                    if base64 { (decode64(head)?, decode64(body)?) } else { (head.to_vec(), body.to_vec()) };
                self.inflate(compressor, &self.words(&head), &body, n)
            }
            _ => Err(Error::corrupt("expected a binary payload")),
        }
    }
    /// The content of all blocks.
    fn inflate(&self, compressor: Compressor, words: &[u64], body: &[u8], n: usize) -> Result<Vec<u8>> {
        if n as u64 > (body.len() as u64).saturating_mul(compressor.max_ratio()) {
            return Err(Error::corrupt(format!("expected {n} bytes of values, found {} compressed ones", body.len())));
        }
        let mut out = Vec::new();
        out.try_reserve_exact(n)
            .map_err(|_| Error::limit(format!("expected memory for {n} bytes, found too little")))?;
        out.resize(n, 0u8);
        let block = words.get(1).map_or(usize::MAX, |&b| usize::try_from(b).unwrap_or(usize::MAX));
        let (mut rest, mut unpacker) = (body, compressor.unpacker());
        for (part, &size) in out.chunks_mut(block.max(1)).zip(words.get(3..).unwrap_or_default()) {
            let split = usize::try_from(size).ok().and_then(|s| rest.split_at_checked(s));
            let (head, tail) = split.ok_or_else(|| {
                Error::truncated(format!("expected a compressed block of {size} bytes, found {}", rest.len()))
            })?;
            unpacker.unpack(head, part)?;
            rest = tail;
        }
        Ok(out)
    }
    /// Writes `values`, in the byte order of the file, as `encoding` says.
    pub(super) fn encode(&self, values: &[u8], encoding: &Encoding, out: &mut Writer<'_>) -> Result<()> {
        let mut head = Vec::new();
        match *encoding {
            Encoding::Base64 { joined } => {
                self.put_word(values.len() as u64, &mut head)?;
                let mut text = Base64 { out, rest: Vec::new() };
                text.write(&head)?;
                if !joined {
                    text.end()?;
                }
                text.write(values)?;
                text.end()
            }
            Encoding::Blocks { block, base64 } => {
                let compressor = self.compressor.ok_or_else(|| Error::corrupt("expected the name of a compressor"))?;
                // Nobody writes blocks this small; each costs a word.
                let block = usize::try_from(block).unwrap_or(usize::MAX).max(64);
                let count = values.len().div_ceil(block);
                for v in [count, block, values.len() % block] {
                    self.put_word(v as u64, &mut head)?;
                }
                // The sizes of the blocks are known when they are written, so that the header comes last.
                let table = ((3 + count) * self.word) as u64;
                let start = out.at;
                out.at += if base64 { chars(table) } else { table };
                let mut text = Base64 { out, rest: Vec::new() };
                let mut packer = compressor.packer();
                for part in values.chunks(block) {
                    let packed = packer.pack(part)?;
                    self.put_word(packed.len() as u64, &mut head)?;
                    if base64 {
                        text.write(&packed)?;
                    } else {
                        text.out.write_all(&packed)?;
                    }
                }
                text.end()?;
                let end = out.at;
                out.at = start;
                let head = if base64 { STANDARD.encode(&head).into_bytes() } else { head };
                out.write_all(&head)?;
                out.at = end;
                Ok(())
            }
            _ => Err(Error::corrupt("expected a binary payload")),
        }
    }
}

/// How many blocks a header that begins with `first` has. Errors: `Corrupt` unless they make `n` bytes.
fn blocks(first: &[u64], n: u64) -> Result<u64> {
    let &[count, block, last, ..] = first else {
        return Err(Error::truncated("expected the header of compressed blocks"));
    };
    let full = count.saturating_sub(u64::from(last > 0));
    if count.saturating_sub(full) <= 1
        && last <= block
        && full.checked_mul(block).and_then(|b| b.checked_add(last)) == Some(n)
    {
        // Nothing in blocks of nothing could be any number of them.
        if block > 0 || count == 0 {
            return Ok(count);
        }
    }
    Err(Error::corrupt(format!("expected blocks for {n} bytes, found {count} of {block}, the last of {last}")))
}

/// A run of base64, written piece by piece.
struct Base64<'a, 'b> {
    out: &'a mut Writer<'b>,
    /// Bytes that do not fill a group yet.
    rest: Vec<u8>,
}

impl Base64<'_, '_> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let missing = (3 - self.rest.len() % 3) % 3;
        let (head, tail) = bytes.split_at(missing.min(bytes.len()));
        self.rest.extend_from_slice(head);
        bytes = tail;
        if self.rest.len() == 3 {
            self.put()?;
        }
        let (groups, tail) = bytes.split_at(bytes.len() - bytes.len() % 3);
        for part in groups.chunks(3 << 14) {
            self.out.write_all(STANDARD.encode(part).as_bytes())?;
        }
        self.rest.extend_from_slice(tail);
        Ok(())
    }
    fn put(&mut self) -> Result<()> {
        self.out.write_all(STANDARD.encode(&self.rest).as_bytes())?;
        self.rest.clear();
        Ok(())
    }
    /// Ends the run with its padding.
    fn end(&mut self) -> Result<()> {
        self.put()
    }
}
