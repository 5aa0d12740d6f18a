//! Coarser levels of arrays, read from as few bytes as their blocks allow.

use std::sync::atomic::Ordering;

use super::format;
use super::inspect::Payload;
use super::reader::{hand_on, stream, Archive, Decoder};
use super::writer::Kinds;
use crate::array::{every, Array, Buffer, ReadAt, Region, Shape, Sink};
use crate::codec::{decode_level, inspect_levels, Table, TABLE_BYTES};
use crate::error::{Error, ErrorKind, Result};

impl Archive {
    /// The shape of level `level` of an array: every `2^level`-th point along each axis, from the first.
    /// Errors: `InvalidArgument` when there is no array of this name, `Corrupt`.
    pub fn level_shape(&self, name: &str, level: u32) -> Result<Shape> {
        Ok(self.array(name)?.grid()?.shape().coarse(level))
    }
    /// Decodes level `level` of an array into memory: every `2^level`-th point along each axis, from the first; level 0 is all of it.
    /// Of blocks that were stored in the order of levels only the beginning is read, others are decoded and thinned out.
    ///
    /// What a codec with exact levels (`interp`) decoded is the same, bit for bit, as in the whole array, and so within the bound.
    /// Wavelets (`dwt`) give a smoothed field whose samples are centred on the same points; no bound is known of it.
    /// Errors: as [`Archive::read`].
    pub fn read_level(&self, name: &str, level: u32) -> Result<Array> {
        if level == 0 {
            return self.read(name);
        }
        let (dtype, shape) = (self.array(name)?.dtype, self.level_shape(name, level)?);
        let bytes = shape.len().saturating_mul(dtype.size());
        if bytes > self.limits.array_bytes {
            let most = self.limits.array_bytes;
            return Err(Error::limit(format!("expected at most {most} bytes, found an array of {bytes}")));
        }
        let mut out = Array::zeros(dtype, shape)?;
        self.read_level_into(name, level, &Region::all(shape), &mut out, None)?;
        Ok(out)
    }
    /// Decodes a rectangle of level `level` of an array, given in the indices of that level, block by block; `sink` sees indices counted
    /// from the rectangle's origin. `progress` is called with the bytes decoded. Errors: as [`Archive::read_into`].
    pub fn read_level_into(
        &self,
        name: &str,
        level: u32,
        region: &Region,
        sink: &mut dyn Sink,
        progress: Option<&(dyn Fn(u64) + Sync)>,
    ) -> Result<()> {
        if level == 0 {
            return self.read_into(name, region, sink, progress);
        }
        let header = self.array(name)?;
        let grid = header.grid().map_err(|e| e.at(format!("array {name:?}")))?;
        let shape = grid.shape();
        let wanted = region.fine(&shape, level)?;
        self.with_decoder(name, |decoder, kinds, batch| {
            let decode = |i: usize| -> Result<Option<(Region, Buffer)>> {
                let covered = grid.region(i).coarse(&shape, level)?;
                let Some(shared) = covered.intersect(region) else { return Ok(None) };
                let place = |e: Error| e.at(format!("array {name:?}: block {i}"));
                let values = self.block_level(decoder, kinds, i, level).map_err(place)?;
                let block = Array::new(covered.shape(), values)?;
                Ok(Some((shared, block.view().gather(&shared.relative_to(covered.origin()))?)))
            };
            let touched: Vec<usize> = grid.touching(&wanted).collect();
            stream(&touched, batch, decode, |done| {
                hand_on(sink, region, done.into_iter().flatten().collect(), progress)
            })
        })
    }
    /// The points of level `level` >= 1 that block `index` has.
    fn block_level(&self, decoder: &Decoder, kinds: &Kinds<'_>, index: usize, level: u32) -> Result<Buffer> {
        let region = decoder.grid.region(index);
        let (shape, dtype) = (region.shape(), decoder.header.dtype);
        let &(offset, bytes) =
            decoder.blocks.get(index).ok_or_else(|| Error::corrupt("expected an entry in the index"))?;
        // As coarse as the block's own grid of levels agrees with that of the array.
        let own = own_level(&region, level);
        let payload = Payload { archive: &self.bytes, offset, bytes };
        let prefix = if own > 0 && self.has_levels() { read_prefix(&payload, own)? } else { None };
        let coarse = prefix.map(|bytes| -> Result<Buffer> {
            let mut values = Buffer::zeros(dtype, shape.coarse(own).len())?;
            let task = decoder.task(region.origin());
            decode_level(&bytes, own, &shape, kinds.of(&shape), &task, values.as_mut())?;
            self.decoded.fetch_add(1, Ordering::Relaxed);
            Ok(values)
        });
        let (values, have) = match coarse {
            // A later version may have levels of codecs of which this one has none.
            Some(Err(e)) if e.kind() == ErrorKind::Unsupported => (decoder.block(self, kinds, index)?, 0),
            Some(values) => (values?, own),
            None => (decoder.block(self, kinds, index)?, 0),
        };
        if have == level {
            return Ok(values);
        }
        // Where the first point of the level lies among those there are.
        let first: Vec<usize> = region
            .origin()
            .iter()
            .map(|&o| (o.wrapping_neg() & low_bits(level)).checked_shr(have).unwrap_or(0))
            .collect();
        every(values.as_slice(), &shape.coarse(have), &first, &vec![level - have; first.len()])
    }
    /// Whether any block of the archive is in the order of levels.
    fn has_levels(&self) -> bool {
        self.directory().requires.iter().any(|r| r == format::LEVELS)
    }
    /// How many bytes of an array's parts are read for each of its levels, from level 1 up to the last that takes fewer than the one before;
    /// nothing where all levels take all bytes. Errors: as [`Archive::inspect`].
    pub fn level_bytes(&self, name: &str) -> Result<Vec<u64>> {
        let whole = self.stored_bytes(name)?;
        let mut totals: Vec<u64> = Vec::new();
        if !self.has_levels() {
            return Ok(totals);
        }
        let shape = self.level_shape(name, 0)?;
        let blocks = self.blocks(name)?;
        let tables = blocks.iter().map(|b| {
            let payload = Payload { archive: &self.bytes, offset: b.offset, bytes: b.bytes };
            inspect_levels(&payload).map_err(|e| e.at(format!("array {name:?}: block {}", b.index)))
        });
        let tables = tables.collect::<Result<Vec<_>>>()?;
        let crc = format::CRC_BYTES as u64;
        let shared = whole - blocks.iter().filter(|b| b.bytes > 0).map(|b| b.bytes + crc).sum::<u64>();
        for level in 1..=usize::BITS {
            let mut total = shared;
            for (b, table) in blocks.iter().zip(&tables) {
                if b.region.coarse(&shape, level)?.shape().is_empty() {
                    continue;
                }
                let own = (own_level(&b.region, level) as usize).min(table.len());
                total += own.checked_sub(1).and_then(|i| table.get(i).copied()).unwrap_or(b.bytes + crc);
            }
            if total >= totals.last().copied().unwrap_or(whole) {
                break;
            }
            totals.push(total);
        }
        Ok(totals)
    }
}

/// A number with the `level` lowest bits set.
fn low_bits(level: u32) -> usize {
    1usize.checked_shl(level).map_or(usize::MAX, |n| n - 1)
}

/// The coarsest level up to `level` whose points in the block `region` are those that the block itself has: its origin is a point of it.
fn own_level(region: &Region, level: u32) -> u32 {
    // Zero is a point of every level.
    region.origin().iter().map(|o| if *o == 0 { level } else { o.trailing_zeros() }).fold(level, u32::min)
}

/// The first bytes of a payload, as many as level `level` needs; `None` where it has no levels.
fn read_prefix(payload: &Payload<'_>, level: u32) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; payload.bytes.min(TABLE_BYTES as u64) as usize];
    payload.read_at(0, &mut bytes)?;
    let Some(table) = Table::read(&bytes)? else { return Ok(None) };
    let (have, needed) = (bytes.len(), table.prefix(level));
    if needed > payload.bytes {
        return Err(Error::truncated(format!(
            "expected a payload of at least {needed} bytes, found {}",
            payload.bytes
        )));
    }
    let needed = needed as usize;
    if needed > have {
        let more = needed - have;
        bytes.try_reserve_exact(more).map_err(|_| Error::limit(format!("expected memory for {needed} bytes")))?;
        bytes.resize(needed, 0);
        payload.read_at(have as u64, bytes.get_mut(have..).unwrap_or_default())?;
    }
    Ok(Some(bytes))
}
