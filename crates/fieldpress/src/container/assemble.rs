//! Puts an archive together from loose pieces: every length and checksum is right, and nothing else is looked at. Tests and
//! fuzzing reach what lies behind the checksums with it.

use serde_json::Value;

use super::format;
use crate::bits::{crc32c, put_varint};
use crate::error::Result;

/// An archive with this directory. `groups` holds for each array its parts in the order of the index, then for each blob its
/// one part. Where the directory is a JSON object, the offsets of arrays and blobs and the stored bytes of blobs are put
/// right. The index is made from the lengths of the parts unless one is given. Errors: `Io`.
#[doc(hidden)]
pub fn assemble(directory: &str, index: Option<&[u8]>, groups: &[Vec<&[u8]>]) -> Result<Vec<u8>> {
    let mut out = format::header().to_vec();
    let mut groups = groups.iter();
    let mut lengths = Vec::new();
    let put = |out: &mut Vec<u8>, parts: &[&[u8]]| {
        let at = out.len() as u64;
        for part in parts.iter().filter(|p| !p.is_empty()) {
            out.extend_from_slice(part);
            out.extend_from_slice(&crc32c(part).to_le_bytes());
        }
        at
    };
    let mut text = directory.to_string();
    if let Ok(Value::Object(mut all)) = serde_json::from_str(directory) {
        for array in entries(&mut all, "arrays") {
            let parts = groups.next().map_or(&[][..], Vec::as_slice);
            array.insert("at".into(), put(&mut out, parts).into());
            parts.iter().for_each(|p| put_varint(&mut lengths, p.len() as u64));
        }
        for blob in entries(&mut all, "blobs") {
            let parts = groups.next().map_or(&[][..], Vec::as_slice);
            blob.insert("at".into(), put(&mut out, parts).into());
            blob.insert("stored".into(), parts.first().map_or(0, |p| p.len()).into());
        }
        text = Value::Object(all).to_string();
    }
    for parts in groups {
        put(&mut out, parts);
    }
    out.extend_from_slice(&format::tail(&text, index.unwrap_or(&lengths))?);
    Ok(out)
}

/// The objects in the list `key`.
fn entries<'a>(
    all: &'a mut serde_json::Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut serde_json::Map<String, Value>> {
    all.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}
