//! Chains: any number of filters, one codec, any number of byte codecs; Zarr's shape.
//!
//! # Format
//! The encoding of a block by a chain: for each filter, a section (varint length, bytes) with its side information;
//! then the codec's bytes, passed through the byte codecs in order, up to the end.

use std::sync::Arc;

use serde_json::{json, Map, Value};

use super::contract::{Block, BlockCodec, ByteCodec, Claim, Codec, Filter, Levels, Site, Spec};
use super::registry;
use crate::array::{Buffer, DType, Mask, Shape, SliceMut, Source};
use crate::bits::{put_section, ByteReader};
use crate::bound::Term;
use crate::entropy::{Head, Reach};
use crate::error::{Error, Result};

/// A configured chain. Its steps are shared between clones.
#[derive(Clone, Debug)]
pub struct Chain {
    filters: Vec<Arc<dyn Filter>>,
    codec: Arc<dyn Codec>,
    bytes: Vec<Arc<dyn ByteCodec>>,
}

/// A step of a chain by kind, as the registry makes it.
#[derive(Debug)]
pub enum Step {
    /// Array to array.
    Filter(Box<dyn Filter>),
    /// Array to bytes.
    Codec(Box<dyn Codec>),
    /// Bytes to bytes.
    Bytes(Box<dyn ByteCodec>),
}

/// Most steps of a chain.
const MAX_STEPS: usize = 32;

impl Chain {
    /// A chain of one codec.
    pub fn of(codec: Box<dyn Codec>) -> Chain {
        Chain { filters: Vec::new(), codec: codec.into(), bytes: Vec::new() }
    }
    /// From steps in order, at most 32. Without a codec among them, the plain bytes of the values are taken.
    /// Errors: `InvalidArgument` when the kinds are out of order.
    pub fn from_steps(steps: Vec<Step>) -> Result<Chain> {
        at_most(steps.len())?;
        let (mut filters, mut codec, mut bytes) = (Vec::new(), None::<Arc<dyn Codec>>, Vec::new());
        for step in steps {
            match step {
                Step::Filter(f) if codec.is_none() && bytes.is_empty() => filters.push(f.into()),
                Step::Codec(c) if codec.is_none() && bytes.is_empty() => codec = Some(c.into()),
                Step::Bytes(b) => bytes.push(b.into()),
                Step::Filter(f) => return Err(out_of_order(f.id(), "filters before the codec")),
                Step::Codec(c) => return Err(out_of_order(c.id(), "one codec, before any byte codec")),
            }
        }
        let codec = match codec {
            Some(c) => c,
            None => Arc::new(super::registry::plain()),
        };
        Ok(Chain { filters, codec, bytes })
    }
    /// From text: steps joined by `+`, each `name` or `name:key=value,key=value`; for example `log:scale=1e-15+interp` or
    /// `transpose:order=[2,0,1]+zstd`. A value is JSON where it parses as such, else a string; inside brackets, braces and
    /// double quotes neither `+` nor `,` separates. Errors: `InvalidArgument`.
    pub fn parse(text: &str) -> Result<Chain> {
        let step = |part: &str| {
            let (name, params) = part.split_once(':').unwrap_or((part, ""));
            let mut config = Map::new();
            for p in split(params, ',').into_iter().filter(|p| !p.trim().is_empty()) {
                let (k, v) = p
                    .split_once('=')
                    .ok_or_else(|| Error::invalid(format!("expected key=value after {name:?}, found {p:?}")))?;
                let value = serde_json::from_str(v).unwrap_or_else(|_| Value::String(v.into()));
                config.insert(k.trim().into(), value);
            }
            registry::make(name.trim(), &Value::Object(config))
        };
        Chain::from_steps(split(text, '+').into_iter().map(step).collect::<Result<_>>()?)
    }
    /// From JSON: a list of steps, each a name or an object with `id` and parameters; or one such step.
    /// Errors: `InvalidArgument`; `Unsupported` for names this build does not know.
    pub fn from_json(value: &Value) -> Result<Chain> {
        let step = |v: &Value| match v {
            Value::String(name) => registry::make(name, &json!({})),
            Value::Object(o) => {
                let mut config = o.clone();
                match config.shift_remove("id") {
                    Some(Value::String(name)) => registry::make(&name, &Value::Object(config)),
                    _ => Err(Error::invalid(format!("expected an \"id\" in every step of a chain, found {v}"))),
                }
            }
            _ => Err(Error::invalid(format!("expected the name of a codec or an object, found {v}"))),
        };
        match value {
            Value::Array(steps) => {
                at_most(steps.len())?;
                Chain::from_steps(steps.iter().map(step).collect::<Result<_>>()?)
            }
            one => Chain::from_steps(vec![step(one)?]),
        }
    }
    /// As JSON, such that [`Chain::from_json`] makes the same chain again.
    pub fn to_json(&self) -> Value {
        fn entry(id: &str, config: Value) -> Value {
            match config {
                Value::Object(o) if !o.is_empty() => {
                    let mut all = Map::new();
                    all.insert("id".into(), id.into());
                    all.extend(o);
                    Value::Object(all)
                }
                _ => id.into(),
            }
        }
        let filters = self.filters.iter().map(|f| entry(f.id(), f.config()));
        let codec = std::iter::once(entry(self.codec.id(), self.codec.config()));
        let bytes = self.bytes.iter().map(|b| entry(b.id(), b.config()));
        Value::Array(filters.chain(codec).chain(bytes).collect())
    }
    /// The names of the steps joined by `+`; the plain codec is left out where byte codecs follow it.
    pub fn name(&self) -> String {
        let plain = self.codec.id() == registry::PLAIN && !self.bytes.is_empty();
        let ids = self.filters.iter().map(|f| f.id());
        let ids = ids.chain((!plain).then(|| self.codec.id())).chain(self.bytes.iter().map(|b| b.id()));
        ids.collect::<Vec<_>>().join("+")
    }
    /// The ids of all steps.
    pub fn ids(&self) -> Vec<&'static str> {
        let f = self.filters.iter().map(|f| f.id());
        f.chain([self.codec.id()]).chain(self.bytes.iter().map(|b| b.id())).collect()
    }
    /// The first step that cannot be used with [`Bound::None`](crate::Bound::None), if there is one.
    pub fn needs_bound(&self) -> Option<&'static str> {
        let needs = |id: &&str| registry::find(id).is_ok_and(|e| !e.unbounded);
        self.ids().into_iter().find(needs)
    }
    /// Whether the array should be one block, as far as that is possible.
    pub fn wants_whole(&self) -> bool {
        self.codec.wants_whole() || self.filters.iter().any(|f| f.wants_whole())
    }
    /// The names of all companions the steps ask for, without repetition.
    pub fn companions(&self) -> Vec<String> {
        let mut names: Vec<String> = self.filters.iter().flat_map(|f| f.companions()).collect();
        names.extend(self.codec.companions());
        let mut seen = std::collections::HashSet::new();
        names.retain(|n| seen.insert(n.clone()));
        names
    }
    /// The side information shared by all blocks of `field`. A codec behind filters sees no field and gets none.
    pub fn prepare(&self, field: &dyn Source, hint: &Term) -> Result<Vec<u8>> {
        if self.filters.is_empty() {
            self.codec.prepare(field, hint)
        } else {
            Ok(Vec::new())
        }
    }
    /// Whether coarser levels can be decoded from a part of what it writes, if its codec offers them.
    fn keeps_levels(&self) -> bool {
        self.bytes.is_empty() && self.filters.iter().all(|f| f.is_pointwise())
    }
    /// Readies the chain for blocks of one kind. Errors: as [`Codec::bind`].
    pub fn bind(&self, shared: &[u8], spec: &Spec) -> Result<BoundChain<'_>> {
        let mut specs = vec![*spec];
        for f in &self.filters {
            let last = specs.last().copied().unwrap_or(*spec);
            specs.push(f.output(&last)?);
        }
        let inner = specs.last().copied().unwrap_or(*spec);
        Ok(BoundChain { chain: self, specs, codec: self.codec.bind(shared, &inner)? })
    }
}

/// The parts of `text` between separators that lie outside brackets, braces and double quotes. A plus sign inside a number
/// (1e+3) does not separate.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0i32, false, false);
    for (i, c) in text.char_indices() {
        let (before, after) = text.split_at(i);
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            '+' if before.ends_with(['e', 'E'])
                && before.trim_end_matches(['e', 'E']).ends_with(|c: char| c.is_ascii_digit() || c == '.')
                && after.get(1..).is_some_and(|a| a.starts_with(|c: char| c.is_ascii_digit())) => {}
            _ if c == separator && depth <= 0 => {
                parts.push(text.get(start..i).unwrap_or_default());
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// Errors: `InvalidArgument` for more steps than a chain may have.
fn at_most(steps: usize) -> Result<()> {
    if steps > MAX_STEPS {
        return Err(Error::invalid(format!("expected a chain of at most {MAX_STEPS} steps, found {steps}")));
    }
    Ok(())
}

fn out_of_order(id: &str, expected: &str) -> Error {
    Error::invalid(format!("expected {expected}, found {id:?} out of place"))
}

/// A chain bound to blocks of one element type and shape.
pub struct BoundChain<'a> {
    chain: &'a Chain,
    /// The input of each filter, then of the codec; never empty.
    specs: Vec<Spec>,
    codec: Box<dyn BlockCodec>,
}

impl BoundChain<'_> {
    fn spec(&self, i: usize) -> Spec {
        self.specs.get(i).or(self.specs.last()).copied().unwrap_or(Spec { dtype: DType::U8, shape: Shape::default() })
    }
    /// Appends the encoding of `x`; see the module's format.
    pub fn encode(&self, x: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        let mut hint = *hint;
        let mut values: Option<Buffer> = None;
        let mut mask: Option<Mask> = None;
        for (i, f) in self.chain.filters.iter().enumerate() {
            let block = self.block(i, x, &values, &mask);
            let moved = block.site.mask.map(|m| f.map_mask(m, &self.spec(i)));
            let r = f.forward(&block, &hint).map_err(|e| e.at(f.id()))?;
            if r.values.dtype() != self.spec(i + 1).dtype || r.values.len() != self.spec(i + 1).shape.len() {
                return Err(Error::invalid(format!("{}: expected the output it announced, found another", f.id())));
            }
            put_section(out, &r.side);
            // Where nothing is asked, nothing is asked of the next.
            hint = if hint.is_free() && !r.hint.is_exact() { Term::FREE } else { r.hint };
            values = Some(r.values);
            mask = moved;
        }
        let block = self.block(self.chain.filters.len(), x, &values, &mask);
        let start = out.len();
        let claim = self.codec.encode(&block, &hint, out).map_err(|e| e.at(self.chain.codec.id()))?;
        let element = self.spec(self.chain.filters.len()).dtype.size();
        for b in &self.chain.bytes {
            let packed = b.encode(out.get(start..).unwrap_or_default(), element).map_err(|e| e.at(b.id()))?;
            out.truncate(start);
            out.extend_from_slice(&packed);
        }
        // Claims are about what the codec was handed.
        Ok(if self.chain.filters.is_empty() { claim } else { Claim::Unchecked })
    }
    fn block<'b>(&self, i: usize, x: &Block<'b>, values: &'b Option<Buffer>, mask: &'b Option<Mask>) -> Block<'b> {
        match values {
            None => *x,
            Some(v) => {
                Block { shape: self.spec(i).shape, values: v.as_slice(), site: Site { mask: mask.as_ref(), ..x.site } }
            }
        }
    }
    /// Fills `out`. Total on all inputs.
    pub fn decode(&self, bytes: &[u8], site: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let (sides, inner_bytes) = self.sides(bytes)?;
        let mut masks: Vec<Option<Mask>> = Vec::new();
        for (i, f) in self.chain.filters.iter().enumerate() {
            let before = if i == 0 { site.mask } else { masks.last().and_then(Option::as_ref) };
            masks.push(before.map(|m| f.map_mask(m, &self.spec(i))));
        }
        let site_of = |i: usize| Site { mask: if i == 0 { site.mask } else { masks[i - 1].as_ref() }, ..*site };
        let depth = self.chain.filters.len();
        let inner = self.spec(depth);
        let limit = inner.raw_bytes().saturating_mul(4).saturating_add(1 << 20);
        let mut packed = std::borrow::Cow::Borrowed(inner_bytes);
        for b in self.chain.bytes.iter().rev() {
            packed = b.decode(&packed, inner.dtype.size(), limit).map_err(|e| e.at(b.id()))?.into();
        }
        let at = |e: Error| e.at(self.chain.codec.id());
        if depth == 0 {
            return self.codec.decode(&packed, site, out).map_err(at);
        }
        let mut values = Buffer::zeros(inner.dtype, inner.shape.len())?;
        self.codec.decode(&packed, &site_of(depth), values.as_mut()).map_err(at)?;
        for (i, f) in self.chain.filters.iter().enumerate().rev() {
            values = f.inverse(values.as_slice(), sides[i], &self.spec(i), &site_of(i)).map_err(|e| e.at(f.id()))?;
        }
        let mut out = out;
        out.copy_from(values.as_slice()).map_err(|e| Error::corrupt(e.message()))
    }
    /// As [`BlockCodec::levels`]: those of the codec, where all filters are pointwise and no byte codec follows.
    pub fn levels(&self, bytes: &[u8]) -> Result<Option<Levels>> {
        if !self.chain.keeps_levels() {
            return Ok(None);
        }
        let (_, inner) = self.sides(bytes)?;
        let before = bytes.len() - inner.len();
        let levels = self.codec.levels(inner).map_err(|e| e.at(self.chain.codec.id()))?;
        Ok(levels.map(|l| Levels { split: l.split.saturating_add(before), ..l }))
    }
    /// As [`BlockCodec::decode_level`]. Errors: `Unsupported` too where the chain has no levels.
    pub fn decode_level(&self, head: Head<'_>, level: u32, site: &Site<'_>, out: SliceMut<'_>) -> Result<Reach> {
        if !self.chain.keeps_levels() {
            return Err(Error::unsupported(format!("expected a chain with levels, found {}", self.chain.name())));
        }
        let at = |e: Error| e.at(self.chain.codec.id());
        let (sides, inner) = self.sides(head.lead)?;
        let before = head.lead.len() - inner.len();
        let head = head.skip(before);
        let depth = self.chain.filters.len();
        if depth == 0 {
            return self.codec.decode_level(head, level, site, out).map_err(at);
        }
        let coarse = |spec: Spec| Spec { shape: spec.shape.coarse(level), ..spec };
        let mut values = Buffer::zeros(self.spec(depth).dtype, out.len())?;
        let reach = self.codec.decode_level(head, level, site, values.as_mut()).map_err(at)?;
        for (i, (f, side)) in self.chain.filters.iter().zip(sides).enumerate().rev() {
            let spec = coarse(self.spec(i));
            values = f.inverse(values.as_slice(), side, &spec, &Site::default()).map_err(|e| e.at(f.id()))?;
        }
        let mut out = out;
        out.copy_from(values.as_slice()).map_err(|e| Error::corrupt(e.message()))?;
        Ok(reach.after(before))
    }
    /// The side information of each filter, and what follows.
    fn sides<'b>(&self, bytes: &'b [u8]) -> Result<(Vec<&'b [u8]>, &'b [u8])> {
        let mut r = ByteReader::new(bytes);
        let sides = self.chain.filters.iter().map(|_| r.section()).collect::<Result<Vec<_>>>()?;
        Ok((sides, r.rest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_separates_outside_brackets_and_quotes_only() {
        assert_eq!(split("a:x=1e+3,y=2.e+1+b+c", '+'), ["a:x=1e+3,y=2.e+1", "b", "c"]);
        assert_eq!(
            split("order=[2,1,0],deep={\"a\":[1,2]},name=\"x,\\\",+y\",last", ','),
            ["order=[2,1,0]", "deep={\"a\":[1,2]}", "name=\"x,\\\",+y\"", "last"]
        );
        assert_eq!(split("difference:from=\"a+b\"+zstd", '+'), ["difference:from=\"a+b\"", "zstd"]);
        assert_eq!(split("some+1", '+'), ["some", "1"]);
        assert_eq!(split("", '+'), [""]);
    }

    #[test]
    fn chains_have_an_end() {
        let steps = |n: usize| Value::Array(vec!["zstd".into(); n]);
        assert!(Chain::from_json(&steps(32)).is_ok() && Chain::from_json(&steps(33)).is_err());
    }

    #[test]
    fn text_and_json_make_the_same_chains() {
        for (text, json) in [
            (
                "transpose:order=[2,1,0]+shuffle:element=4+zstd:level=5",
                r#"[{"id":"transpose","order":[2,1,0]},"raw",{"id":"shuffle","element":4},{"id":"zstd","level":5}]"#,
            ),
            ("log:scale=1e+3 + pco", r#"[{"id":"log","scale":1000.0},{"id":"pco","level":8}]"#),
            (
                "difference:from=\"rho, old\",ordered=true+lz4",
                r#"[{"id":"difference","from":"rho, old","ordered":true},"raw","lz4"]"#,
            ),
            ("spatial_delta:axis=-2,astype=i8", r#"[{"id":"spatial_delta","axis":-2,"astype":"i8"},"raw"]"#),
        ] {
            let chain = Chain::parse(text).unwrap();
            assert_eq!(chain.to_json().to_string(), json);
            let again = Chain::from_json(&serde_json::from_str(json).unwrap()).unwrap();
            assert_eq!(again.to_json().to_string(), json);
        }
        for text in ["", "+zstd", "zstd+", "zstd:level", "transpose:order=[0,1", "zstd+pco", "shuffle+log", "nothing"] {
            assert!(Chain::parse(text).is_err(), "{text:?}");
        }
    }
}
