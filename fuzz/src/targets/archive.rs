//! Whole archives: any bytes, and archives with right checksums around any directory, index and parts. Everything in them is
//! read, and their files are put together again.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | 0: the rest is the archive; bit 0: the rest is the pieces below; bit 1: the index is among them |
//! | section | the directory (JSON) |
//! | section | the index, where it is not made from the parts |
//! | 1, then sections | for each array, then each blob: the number of its parts, the parts; up to the end |

use std::sync::Arc;

use fieldpress::array::{Array, Region};
use fieldpress::container::assemble;
use fieldpress::files::restore_file;
use fieldpress::{Archive, Limits};

use super::formats::Limited;
use super::input::{Input, Output};

const LIMITS: Limits =
    Limits { block_bytes: 1 << 18, array_bytes: 1 << 20, directory_bytes: 1 << 20, blob_bytes: 1 << 20 };

pub fn run(data: &[u8]) {
    let mut r = Input::new(data);
    let how = r.u8();
    if how & 1 == 0 {
        read_all(r.rest().to_vec());
        return;
    }
    let directory = String::from_utf8_lossy(r.section());
    let index = (how & 2 != 0).then(|| r.section());
    let mut groups = Vec::new();
    while !r.rest().is_empty() && groups.len() < 64 {
        let parts = r.u8() % 64;
        groups.push((0..parts).map(|_| r.section()).collect());
    }
    read_all(assemble(&directory, index, &groups).expect("an archive in memory"));
}

/// Reads whatever there is. Errors are fine.
fn read_all(bytes: Vec<u8>) {
    let Ok(archive) = Archive::open(Arc::new(bytes), LIMITS) else { return };
    let directory = archive.directory();
    for a in directory.arrays.iter().take(16) {
        let _ = archive.blocks(&a.name);
        let _ = archive.stored_bytes(&a.name);
        let _ = archive.inspect(&a.name);
        let _ = archive.shared_bytes(&a.name);
        let _ = a.fill_bits();
        let Ok(grid) = a.grid() else { continue };
        let whole = archive.read(&a.name);
        // A corner must be the same as in the whole.
        let shape = grid.shape();
        let corner: Vec<usize> = shape.iter().map(|d| d.div_ceil(2)).collect();
        let Ok(region) = Region::new(&shape, &vec![0; shape.rank()], &corner) else { continue };
        let part = archive.read_region(&a.name, &region);
        if let (Ok(whole), Ok(part)) = (&whole, &part) {
            let same = whole.view().gather(&region).expect("a region inside");
            assert!(same.as_slice().same_bits(part.data()), "{:?}: a region differs from the whole", a.name);
        }
        let _ = archive.level_bytes(&a.name);
        for level in [1, 3] {
            // Levels of larger arrays are small, but not so the time they take.
            if a.raw_bytes() > LIMITS.array_bytes as u64 {
                break;
            }
            let Ok(coarse) = archive.read_level(&a.name, level) else { continue };
            let Ok(region) = region.coarse(&shape, level) else { continue };
            let mut part = Array::zeros(a.dtype, region.shape()).expect("less memory than before");
            archive.read_level_into(&a.name, level, &region, &mut part, None).expect("a part of what was read");
            let same = coarse.view().gather(&region).expect("a region inside");
            assert!(same.as_slice().same_bits(part.data()), "{:?}: a region of level {level} differs", a.name);
        }
    }
    for i in 0..directory.blobs.len().min(16) {
        let _ = archive.blob(i);
    }
    for i in 0..directory.files.len().min(4) {
        let _ = restore_file(&archive, i, &mut Limited(Vec::new()), None);
    }
}

/// The case of an archive as it is.
pub fn seed_whole(bytes: &[u8]) -> Vec<u8> {
    Output::default().u8(0).bytes(bytes).0
}

/// The case of the pieces of an archive with small parts: its directory, and the parts of its arrays and blobs.
pub fn seed_pieces(bytes: &[u8]) -> Option<Vec<u8>> {
    let archive = Archive::open(Arc::new(bytes.to_vec()), Limits::default()).ok()?;
    let directory = archive.directory();
    let mut out = Output::default().u8(1).section(serde_json::to_string(directory).ok()?.as_bytes());
    let part = |at: u64, n: u64| bytes.get(at as usize..(at + n) as usize);
    for a in &directory.arrays {
        let blocks = archive.blocks(&a.name).ok()?;
        let shared = archive.shared_bytes(&a.name).ok()?;
        out = out.u8((shared.len() + blocks.len()) as u8);
        let mut at = a.at;
        for n in shared {
            out = out.section(part(at, n)?);
            at += if n > 0 { n + 4 } else { 0 };
        }
        for b in blocks {
            out = out.section(part(b.offset, b.bytes)?);
        }
    }
    for b in &directory.blobs {
        out = out.u8(1).section(part(b.at, b.stored)?);
    }
    Some(out.0)
}
