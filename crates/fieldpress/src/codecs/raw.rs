//! `raw`: the values as little-endian bytes in C order.
//!
//! # Format
//! | bytes | content |
//! |---|---|
//! | n * size | the values, little-endian, C order |

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::array::SliceMut;
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{parse_config, Block, BlockCodec, Claim, Codec, Site, Spec};
use crate::error::{Error, Result};

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "raw",
    doc: "The values themselves; byte codecs may follow.",
    params: &[],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Raw>("raw", v)?))),
    idempotent: true,
    unbounded: true,
};

/// The configuration: there is nothing to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {}

impl Codec for Raw {
    fn id(&self) -> &'static str {
        "raw"
    }
    fn config(&self) -> Value {
        json!({})
    }
    fn bind(&self, _shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        Ok(Box::new(BoundRaw(*spec)))
    }
}

struct BoundRaw(Spec);

impl BlockCodec for BoundRaw {
    fn encode(&self, x: &Block<'_>, _hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        x.values.put_le_bytes(out);
        Ok(Claim::Bounded)
    }
    fn decode(&self, bytes: &[u8], _site: &Site<'_>, mut out: SliceMut<'_>) -> Result<()> {
        let expected = self.0.raw_bytes();
        if bytes.len() != expected {
            let message = format!("expected {expected} bytes, found {}", bytes.len());
            return Err(if bytes.len() < expected { Error::truncated(message) } else { Error::corrupt(message) });
        }
        out.copy_from_le_bytes(bytes);
        Ok(())
    }
}
