//! Reads archives: the directory first, then any block of any array.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::directory::{ArrayHeader, Directory};
use super::format;
use super::writer::Kinds;
use crate::array::{Array, Buffer, Grid, ReadAt, Region, Sink};
use crate::bits::{crc32c, ByteReader};
use crate::codec::{decode_block, Chain, Limits, Task};
use crate::error::{Error, Result};
use crate::vdf::Distributions;

/// Features of archives this reader knows.
const KNOWN: &[&str] = &[format::LEVELS, format::CUTS, format::REPAIRS];

/// Where a block lies.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockInfo {
    /// Its number in C order of the grid.
    pub index: usize,
    /// The part of the array it covers.
    pub region: Region,
    /// The offset of its payload.
    pub offset: u64,
    /// The bytes of its payload, without the checksum.
    pub bytes: u64,
}

/// Where the parts of an array lie: lengths of shared parts, then offset and length of blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) shared: Vec<(u64, u64)>,
    pub(super) blocks: Vec<(u64, u64)>,
}

/// An open archive. Reading is thread-safe and decodes blocks in parallel, in the current rayon pool.
pub struct Archive {
    pub(super) bytes: Arc<dyn ReadAt>,
    size: u64,
    pub(super) limits: Limits,
    version: (u16, u16),
    directory: Directory,
    numbers: HashMap<String, usize>,
    pub(super) parts: Vec<Parts>,
    pub(super) decoded: AtomicU64,
    companions: Mutex<Decoded>,
}

/// Bytes of companions that are kept for arrays to come, beyond those that one needs.
const CACHED: u64 = 1 << 30;

/// Decoded arrays by their names.
type Known = HashMap<String, Arc<Array>>;

/// The companions decoded so far, and their bytes.
#[derive(Default)]
struct Decoded {
    arrays: Known,
    bytes: u64,
}

impl Archive {
    /// The version of the format it was written in: major, minor.
    pub fn format_version(&self) -> (u16, u16) {
        self.version
    }
    /// Whether `bytes` begin as archives do. Errors: `Io`.
    pub fn is_one(bytes: &dyn ReadAt) -> Result<bool> {
        let mut start = format::MAGIC;
        let have = bytes.size()?.min(start.len() as u64) as usize;
        bytes.read_at(0, start.get_mut(..have).unwrap_or_default())?;
        Ok(have == start.len() && start == format::MAGIC)
    }
    /// Reads the directory. Errors: `Corrupt`, `Truncated`, `Unsupported`, `LimitExceeded`, `Io`.
    pub fn open(bytes: Arc<dyn ReadAt>, limits: Limits) -> Result<Archive> {
        let size = bytes.size()?;
        let mut header = [0; format::HEADER_BYTES];
        let have = size.min(header.len() as u64) as usize;
        bytes.read_at(0, header.get_mut(..have).unwrap_or_default())?;
        let version = format::check_header(header.get(..have).unwrap_or_default())?;
        let body = size
            .checked_sub((format::HEADER_BYTES + format::FOOTER_BYTES) as u64)
            .ok_or_else(|| Error::truncated(format!("expected a header and a footer, found only {size} bytes")))?;
        let mut footer = [0; format::FOOTER_BYTES];
        bytes.read_at(size - footer.len() as u64, &mut footer)?;
        let (length, crc) = format::check_footer(&header, &footer)?;
        if length > limits.directory_bytes as u64 {
            let most = limits.directory_bytes;
            return Err(Error::limit(format!("expected a directory of at most {most} bytes, found {length}")));
        }
        if length > body {
            return Err(Error::corrupt(format!("expected a directory of at most {body} bytes, found {length}")));
        }
        let mut tail = vec![0; length as usize];
        bytes.read_at(size - footer.len() as u64 - length, &mut tail)?;
        let (text, index) = format::open_tail(&tail, crc, &limits)?;
        let directory: Directory =
            serde_json::from_str(&text).map_err(|e| Error::corrupt(format!("expected a directory in JSON: {e}")))?;
        if let Some(unknown) = directory.requires.iter().find(|r| !KNOWN.contains(&r.as_str())) {
            return Err(Error::unsupported(format!(
                "expected only known features, found {unknown:?}; a newer fieldpress may read it"
            )));
        }
        let mut numbers = HashMap::new();
        for (i, a) in directory.arrays.iter().enumerate() {
            if numbers.insert(a.name.clone(), i).is_some() {
                return Err(Error::corrupt(format!("expected arrays with different names, found {:?} twice", a.name)));
            }
        }
        let end = size - footer.len() as u64 - length;
        let parts = locate(&directory, &index, end)?;
        Ok(Archive {
            bytes,
            version,
            size,
            limits,
            directory,
            numbers,
            parts,
            decoded: AtomicU64::new(0),
            companions: Mutex::default(),
        })
    }
    /// What the archive holds.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    /// Bytes of the whole archive.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// How many blocks were decoded so far.
    pub fn blocks_decoded(&self) -> u64 {
        self.decoded.load(Ordering::Relaxed)
    }
    pub(super) fn find(&self, name: &str) -> Result<(usize, &ArrayHeader)> {
        let number = self.numbers.get(name).copied();
        number.and_then(|i| Some((i, self.directory.arrays.get(i)?))).ok_or_else(|| {
            let names: Vec<_> = self.directory.arrays.iter().take(8).map(|a| a.name.as_str()).collect();
            Error::invalid(format!("expected an array of the archive ({} ...), found {name:?}", names.join(", ")))
        })
    }
    /// The header of an array. Errors: `InvalidArgument` when there is none of this name.
    pub fn array(&self, name: &str) -> Result<&ArrayHeader> {
        self.find(name).map(|(_, a)| a)
    }
    /// Where the blocks of an array lie.
    pub fn blocks(&self, name: &str) -> Result<Vec<BlockInfo>> {
        let (i, header) = self.find(name)?;
        let grid = header.grid()?;
        let parts = self.parts.get(i).map_or(&[][..], |p| &p.blocks);
        let info = |(index, &(offset, bytes)): (usize, &(u64, u64))| BlockInfo {
            index,
            region: grid.region(index),
            offset,
            bytes,
        };
        Ok(parts.iter().enumerate().map(info).collect())
    }
    /// Bytes of the array's parts with their checksums.
    pub fn stored_bytes(&self, name: &str) -> Result<u64> {
        let (i, _) = self.find(name)?;
        let parts = self.parts.get(i).map(|p| p.shared.iter().chain(&p.blocks));
        Ok(parts.map_or(0, |p| p.filter(|(_, n)| *n > 0).map(|(_, n)| n + format::CRC_BYTES as u64).sum()))
    }
    pub(super) fn part(&self, offset: u64, length: u64, what: impl Fn() -> String) -> Result<Vec<u8>> {
        let n = length as usize + format::CRC_BYTES;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(n).map_err(|_| Error::limit(format!("expected memory for a part of {n} bytes")))?;
        bytes.resize(n, 0);
        self.bytes.read_at(offset, &mut bytes).map_err(|e| e.at(what()))?;
        let crc = bytes.split_off(length as usize);
        if crc32c(&bytes).to_le_bytes() != *crc {
            return Err(Error::corrupt("expected a part with a matching checksum").at(what()));
        }
        Ok(bytes)
    }
    /// Verbatim bytes by their number in the directory. Errors: `Corrupt`, `LimitExceeded`, `Io`.
    pub fn blob(&self, index: usize) -> Result<Vec<u8>> {
        let header = self.directory.blobs.get(index);
        let header = header.ok_or_else(|| Error::corrupt(format!("expected blob {index} in the directory")))?;
        let end = header.at.checked_add(header.stored).and_then(|e| e.checked_add(format::CRC_BYTES as u64));
        if end.is_none_or(|e| e > self.size) {
            return Err(Error::corrupt(format!("expected blob {:?} inside the archive", header.name)));
        }
        if header.bytes > self.limits.blob_bytes as u64 {
            return Err(Error::limit(format!(
                "expected a blob of at most {} bytes, found {}",
                self.limits.blob_bytes, header.bytes
            )));
        }
        let stored = self.part(header.at, header.stored, || format!("blob {:?}", header.name))?;
        let plain = if header.packed {
            // The frame's own claim decides the allocation, so it must agree first.
            let claimed = zstd::zstd_safe::get_frame_content_size(&stored).ok().flatten();
            if claimed != Some(header.bytes) {
                return Err(Error::corrupt(format!("expected a frame of {} bytes, found {claimed:?}", header.bytes)));
            }
            zstd::bulk::decompress(&stored, header.bytes as usize)
                .map_err(|e| Error::corrupt(format!("blob {:?}: expected a Zstandard frame: {e}", header.name)))?
        } else {
            stored
        };
        if plain.len() as u64 != header.bytes {
            return Err(Error::corrupt(format!("expected {} bytes, found {}", header.bytes, plain.len())));
        }
        Ok(plain)
    }
    /// Decodes an array into memory. Errors: `LimitExceeded` above the limit for arrays, and as [`Archive::read_into`].
    pub fn read(&self, name: &str) -> Result<Array> {
        let shape = self.find(name)?.1.grid()?.shape();
        self.read_region(name, &Region::all(shape))
    }
    /// Decodes a rectangle of an array; only blocks that touch it are read.
    pub fn read_region(&self, name: &str, region: &Region) -> Result<Array> {
        let (_, header) = self.find(name)?;
        let bytes = region.shape().len().saturating_mul(header.dtype.size());
        if bytes > self.limits.array_bytes {
            return Err(Error::limit(format!(
                "expected at most {} bytes, found an array of {bytes}",
                self.limits.array_bytes
            )));
        }
        let grid = header.grid()?;
        if grid.len() == 1 && *region == Region::all(grid.shape()) {
            // The only block is the array.
            let values = self.with_decoder(name, |decoder, kinds, _| decoder.block(self, kinds, 0))?;
            return Array::new(grid.shape(), values);
        }
        let mut out = Array::zeros(header.dtype, region.shape())?;
        self.read_into(name, region, &mut out, None)?;
        Ok(out)
    }
    /// Decodes a rectangle of an array block by block; `sink` sees indices counted from the rectangle's origin. `progress` is
    /// called with the bytes decoded. Errors: `Corrupt`, `Truncated`, `Unsupported`, `LimitExceeded`, `Io`, those of `sink`.
    pub fn read_into(
        &self,
        name: &str,
        region: &Region,
        sink: &mut dyn Sink,
        progress: Option<&(dyn Fn(u64) + Sync)>,
    ) -> Result<()> {
        let header = self.array(name)?;
        let grid = header.grid().map_err(|e| e.at(format!("array {name:?}")))?;
        Region::new(&grid.shape(), region.origin(), &region.shape())?;
        self.with_decoder(name, |decoder, kinds, batch| {
            let decode = |i: usize| -> Result<(Region, Buffer)> {
                let values = decoder.block(self, kinds, i)?;
                let covered = grid.region(i);
                let shared = covered.intersect(region).unwrap_or(covered);
                if shared == covered {
                    return Ok((shared, values));
                }
                let block = Array::new(covered.shape(), values)?;
                Ok((shared, block.view().gather(&shared.relative_to(covered.origin()))?))
            };
            let touched: Vec<usize> = grid.touching(region).collect();
            stream(&touched, batch, decode, |done| hand_on(sink, region, done, progress))
        })
    }
    /// Calls `f` with what decodes the blocks of an array, and how many of them may be in flight. Errors name the array.
    pub(super) fn with_decoder<R>(
        &self,
        name: &str,
        f: impl FnOnce(&Decoder, &Kinds<'_>, usize) -> Result<R>,
    ) -> Result<R> {
        let (number, header) = self.find(name)?;
        let place = |e: Error| e.at(format!("array {name:?}"));
        let grid = header.grid().map_err(place)?;
        let batch = self.limits.blocks(grid.block().len()).map_err(place)?;
        let decoder = self.decoder(number, header, &grid).map_err(place)?;
        let kinds =
            Kinds::new(&decoder.chains, &decoder.shared, &grid, header.dtype).map_err(not_the_caller).map_err(place)?;
        f(&decoder, &kinds, batch)
    }
    /// Decodes all that array `number` needs, companions of companions first, by a list: a chain of them may be longer than
    /// a stack is deep. What is not needed makes room where they are too many for the limit.
    fn decode_companions(&self, number: usize) -> Result<Known> {
        let cache = || self.companions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = Known::new();
        let mut needed = BTreeSet::new();
        let mut todo = vec![number];
        while let Some(n) = todo.pop() {
            for (_, stored) in self.directory.arrays.get(n).map_or(&[][..], |a| &a.companions) {
                let (earlier, _) = self.find(stored).map_err(not_the_caller)?;
                if earlier >= n {
                    return Err(Error::corrupt(format!(
                        "expected companion {stored:?} before the array that needs it"
                    )));
                }
                match cache().arrays.get(stored) {
                    Some(array) => drop(known.insert(stored.clone(), array.clone())),
                    None if needed.insert(earlier) => todo.push(earlier),
                    None => {}
                }
            }
        }
        // How many of the arrays to come need each one.
        let names = |n: usize| self.directory.arrays.get(n).map_or(&[][..], |a| &a.companions);
        let mut users: HashMap<&str, usize> = HashMap::new();
        for (_, stored) in needed.iter().copied().chain([number]).flat_map(names) {
            *users.entry(stored).or_default() += 1;
        }
        let bytes = |a: &Array| (a.shape().len() * a.dtype().size()) as u64;
        let mut total = known.values().fold(0u64, |s, a| s.saturating_add(bytes(a)));
        let most = self.limits.array_bytes as u64;
        for n in needed {
            let Some(header) = self.directory.arrays.get(n) else { continue };
            total = total.saturating_add(header.raw_bytes());
            if total > most {
                return Err(Error::limit(format!("expected at most {most} bytes of companions, found {total}")));
            }
            let array = Arc::new(self.read(&header.name)?);
            known.insert(header.name.clone(), array.clone());
            {
                let mut cache = cache();
                if cache.bytes.saturating_add(header.raw_bytes()) > CACHED.min(most) {
                    cache.arrays.retain(|name, _| known.contains_key(name));
                    cache.bytes = cache.arrays.values().fold(0u64, |s, a| s.saturating_add(bytes(a)));
                }
                if cache.arrays.insert(header.name.clone(), array).is_none() {
                    cache.bytes = cache.bytes.saturating_add(header.raw_bytes());
                }
            }
            for (_, stored) in names(n) {
                let left = users.entry(stored).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    total -= known.remove(stored).map_or(0, |a| bytes(&a).min(total));
                }
            }
        }
        Ok(known)
    }
    fn decoder(&self, number: usize, header: &ArrayHeader, grid: &Grid) -> Result<Decoder> {
        let parts = self.parts.get(number).cloned().unwrap_or_default();
        let chains =
            header.chains.iter().map(|c| Chain::from_json(c).map_err(not_the_caller)).collect::<Result<Vec<_>>>()?;
        let read =
            |&(at, n): &(u64, u64)| if n == 0 { Ok(Vec::new()) } else { self.part(at, n, || "shared part".into()) };
        let shared = parts.shared.iter().map(read).collect::<Result<Vec<_>>>()?;
        let known = self.decode_companions(number)?;
        let companions = header.companions.iter().map(|(used, stored)| {
            let array = known.get(stored).cloned();
            array.map(|a| (used.clone(), a)).ok_or_else(|| Error::corrupt(format!("expected companion {stored:?}")))
        });
        let companions = companions.collect::<Result<Vec<_>>>()?;
        let distributions = header.velocities.as_ref().map(|v| v.of(&grid.shape(), &companions)).transpose();
        Ok(Decoder {
            distributions: distributions.map_err(not_the_caller)?,
            header: header.clone(),
            grid: grid.clone(),
            fill: header.fill_bits()?,
            chains,
            shared,
            companions,
            blocks: parts.blocks,
        })
    }
}

/// What is needed to decode the blocks of one array.
pub(super) struct Decoder {
    pub(super) header: ArrayHeader,
    pub(super) grid: Grid,
    fill: Option<u64>,
    chains: Vec<Chain>,
    shared: Vec<Vec<u8>>,
    companions: Vec<(String, Arc<Array>)>,
    distributions: Option<Distributions>,
    pub(super) blocks: Vec<(u64, u64)>,
}

impl Decoder {
    /// How blocks that begin at `origin` were encoded.
    pub(super) fn task<'a>(&'a self, origin: &'a [usize]) -> Task<'a> {
        Task {
            norm: None,
            criterion: &self.header.criterion,
            hint: self.header.hint,
            fill: self.fill,
            measure: false,
            origin,
            companions: &self.companions,
            distributions: self.distributions.as_ref(),
        }
    }
    pub(super) fn block(&self, archive: &Archive, kinds: &Kinds<'_>, index: usize) -> Result<Buffer> {
        let region = self.grid.region(index);
        let shape = region.shape();
        let &(at, n) = self.blocks.get(index).ok_or_else(|| Error::corrupt("expected an entry in the index"))?;
        let payload = archive.part(at, n, || format!("array {:?}: block {index}", self.header.name))?;
        let mut values = Buffer::zeros(self.header.dtype, shape.len())?;
        let task = self.task(region.origin());
        decode_block(&payload, &shape, kinds.of(&shape), &task, values.as_mut())
            .map_err(|e| e.at(format!("array {:?}: block {index}", self.header.name)))?;
        archive.decoded.fetch_add(1, Ordering::Relaxed);
        Ok(values)
    }
}

/// Decodes the blocks `todo` in the current rayon pool and hands them on in order; the next ones are decoded while `take` is busy with those
/// before. No more than `batch` are in memory, or two. Errors: those of both.
pub(super) fn stream<T: Send>(
    todo: &[usize],
    batch: usize,
    decode: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(Vec<T>) -> Result<()> + Send,
) -> Result<()> {
    let all = |some: &[usize]| some.par_iter().map(|&i| decode(i)).collect::<Result<Vec<T>>>();
    let mut batches = todo.chunks(batch.div_ceil(2).max(1));
    let mut ready = batches.next().map_or(Ok(Vec::new()), all)?;
    while !ready.is_empty() {
        let next = batches.next().unwrap_or_default();
        let (taken, decoded) = rayon::join(|| take(std::mem::take(&mut ready)), || all(next));
        taken?;
        ready = decoded?;
    }
    Ok(())
}

/// Gives parts of an array to `sink`, which counts from the origin of `region`, and tells `progress` their bytes.
pub(super) fn hand_on(
    sink: &mut dyn Sink,
    region: &Region,
    parts: Vec<(Region, Buffer)>,
    progress: Option<&(dyn Fn(u64) + Sync)>,
) -> Result<()> {
    let bytes: usize = parts.iter().map(|(_, values)| values.len() * values.dtype().size()).sum();
    let place = |(part, values): (Region, Buffer)| (part.relative_to(region.origin()), values);
    sink.write_all(&parts.into_iter().map(place).collect::<Vec<_>>())?;
    if let Some(p) = progress {
        p(bytes as u64);
    }
    Ok(())
}

/// What a caller could be blamed for elsewhere is the archive's fault here.
fn not_the_caller(e: Error) -> Error {
    match e.kind() {
        crate::ErrorKind::InvalidArgument => Error::corrupt(e.message()),
        _ => e,
    }
}

/// The places of all parts, from the lengths in the index. Errors: `Corrupt` when they do not lie inside the archive.
fn locate(directory: &Directory, index: &[u8], end: u64) -> Result<Vec<Parts>> {
    let mut r = ByteReader::new(index);
    let mut all = Vec::new();
    for header in &directory.arrays {
        let place = |e: Error| e.at(format!("array {:?}", header.name));
        let grid = header.grid().map_err(place)?;
        let mut at = header.at;
        let mut next = |r: &mut ByteReader<'_>| -> Result<(u64, u64)> {
            let n = r.varint()?;
            let from = at;
            if n > 0 {
                let to = at.checked_add(n).and_then(|e| e.checked_add(format::CRC_BYTES as u64)).filter(|&e| e <= end);
                at = to.ok_or_else(|| {
                    Error::corrupt(format!("expected a part inside the archive, found one of {n} bytes at {from}"))
                })?;
            }
            Ok((from, n))
        };
        let mut parts = Parts::default();
        for _ in &header.chains {
            parts.shared.push(next(&mut r).map_err(place)?);
        }
        // Every block has an entry of at least one byte, so the index bounds how many there are.
        if grid.len() > r.remaining() {
            return Err(place(Error::corrupt(format!(
                "expected {} blocks in the index, found at most {}",
                grid.len(),
                r.remaining()
            ))));
        }
        for _ in 0..grid.len() {
            parts.blocks.push(next(&mut r).map_err(place)?);
        }
        all.push(parts);
    }
    r.end()?;
    Ok(all)
}
