//! `fieldpress info`.

use std::path::PathBuf;

use clap::Args;
use fieldpress::array::coarse_extent;
use fieldpress::codec::{Chain, Outcome, StageBytes};
use fieldpress::container::{ArrayHeader, StoredBlock};
use fieldpress::{Archive, Limits, Result, Shape};
use serde_json::{json, Map, Value};

use crate::files::{input, shown};
use crate::look::Look;
use crate::numbers::{criterion, ratio};
use crate::screen::say;
use crate::table::Table;

/// Show what an archive holds, without decoding it; or what a file of data is like.
///
/// Of a file of data, samples are looked at: whether values were unpacked from integers, how smooth they are along each axis, how
/// noisy. With a bound, also what each method that may suit makes of the samples, and which `compress` would take.
#[derive(Args)]
pub(crate) struct Info {
    /// The archive, or a file in any format of `fieldpress list`; - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show every block of an archive too.
    #[arg(long)]
    blocks: bool,
    #[command(flatten)]
    look: Look,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// An array and how it is stored.
struct Stored<'a> {
    header: &'a ArrayHeader,
    blocks: Vec<StoredBlock>,
    /// Bytes of all parts, with checksums.
    bytes: u64,
    shared: u64,
    /// Bytes read for levels 1, 2, ...
    levels: Vec<u64>,
    stages: StageBytes,
    chains: Vec<String>,
}

impl<'a> Stored<'a> {
    fn new(archive: &Archive, header: &'a ArrayHeader) -> Result<Stored<'a>> {
        let blocks = archive.inspect(&header.name)?;
        let mut stages = StageBytes::default();
        blocks.iter().for_each(|b| stages.add(&b.stages));
        // A chain this build does not have is shown as it is written.
        let name = |c: &Value| Chain::from_json(c).map_or_else(|_| c.to_string(), |c| c.name());
        Ok(Stored {
            bytes: archive.stored_bytes(&header.name)?,
            shared: archive.shared_bytes(&header.name)?.iter().sum(),
            levels: archive.level_bytes(&header.name)?,
            chains: header.chains.iter().map(name).collect(),
            header,
            blocks,
            stages,
        })
    }
    fn outcome(&self, o: Outcome) -> String {
        match o {
            Outcome::Plain => "plain".into(),
            Outcome::Packed => "packed".into(),
            Outcome::Constant => "constant".into(),
            Outcome::Chain(i) => self.chains.get(i).cloned().unwrap_or_else(|| format!("chain {i}")),
        }
    }
    /// How many blocks are stored in which way.
    fn outcomes(&self) -> Vec<(String, usize)> {
        let mut all: Vec<(String, usize)> = Vec::new();
        for b in &self.blocks {
            let name = self.outcome(b.outcome);
            match all.iter_mut().find(|(n, _)| *n == name) {
                Some((_, k)) => *k += 1,
                None => all.push((name, 1)),
            }
        }
        all
    }
}

impl Info {
    pub(crate) fn run(&self) -> Result<()> {
        let input = input(&self.file)?;
        if !Archive::is_one(&*input.bytes)? {
            return self.look.run(input, &shown(&self.file), self.json);
        }
        self.look.refuse()?;
        let archive = Archive::open(input.bytes, Limits::default()).map_err(|e| e.at(shown(&self.file)))?;
        let place = |e: fieldpress::Error| e.at(shown(&self.file));
        let arrays = archive.directory().arrays.iter().map(|h| Stored::new(&archive, h));
        let arrays = arrays.collect::<Result<Vec<_>>>().map_err(place)?;
        if self.json {
            return say(self.to_json(&archive, &arrays).to_string());
        }
        let d = archive.directory();
        let raw: u64 = arrays.iter().map(|a| a.header.raw_bytes()).sum();
        let mut text = format!(
            "{}: {} bytes, {} arrays of {raw} bytes, written by {}\n",
            shown(&self.file),
            archive.size(),
            arrays.len(),
            d.generator
        );
        for f in &d.files {
            text += &format!("file {} ({})\n", f.name, f.format);
        }
        text += &format!("\n{}\n\n{}\n", array_table(&arrays).text(), stage_table(&archive, &arrays).text());
        if arrays.iter().any(|a| !a.levels.is_empty()) {
            text += &format!("\n{}\n", level_table(&arrays).text());
        }
        if self.blocks {
            text += &format!("\n{}\n", block_table(&arrays).text());
        }
        say(text)
    }
    fn to_json(&self, archive: &Archive, arrays: &[Stored<'_>]) -> Value {
        let d = archive.directory();
        let array = |a: &Stored<'_>| {
            let mut v = json!({
                "name": a.header.name,
                "dtype": a.header.dtype,
                "shape": a.header.shape,
                "block": a.header.block,
                "blocks": a.blocks.len(),
                "role": a.header.role,
                "attributes": a.header.attributes,
                "companions": a.header.companions.iter().map(|c| &c.1).collect::<Vec<_>>(),
                "fill": fill(a.header),
                "chains": a.header.chains,
                "outcomes": a.outcomes().into_iter().map(|(n, k)| (n, json!(k))).collect::<Map<_, _>>(),
                "bound": a.header.bound,
                "criterion": a.header.criterion,
                "input_bytes": a.header.raw_bytes(),
                "bytes": a.bytes,
                "ratio": a.header.raw_bytes() as f64 / a.bytes.max(1) as f64,
                "levels": a.levels.iter().zip(1..).map(|(b, l)| level_json(a.header, l, *b)).collect::<Vec<_>>(),
                "stages": stages_json(&a.stages, a.shared),
            });
            if let (true, Value::Object(o)) = (self.blocks, &mut v) {
                o.insert("block_list".into(), a.blocks.iter().map(|b| block_json(a, b)).collect());
            }
            v
        };
        json!({
            "file": shown(&self.file),
            "bytes": archive.size(),
            "format_version": format!("{}.{}", archive.format_version().0, archive.format_version().1),
            "generator": d.generator,
            "files": d.files.iter().map(|f| json!({ "name": f.name, "format": f.format })).collect::<Vec<_>>(),
            "verbatim": d.blobs.iter().map(|b| json!({ "name": b.name, "input_bytes": b.bytes, "bytes": b.stored })).collect::<Vec<_>>(),
            "directory_bytes": directory_bytes(archive, arrays),
            "arrays": arrays.iter().map(array).collect::<Vec<_>>(),
        })
    }
}

/// Bytes that belong to no part: header, directory, index and footer; and the checksums of blobs.
fn directory_bytes(archive: &Archive, arrays: &[Stored<'_>]) -> u64 {
    let blobs: u64 = archive.directory().blobs.iter().map(|b| b.stored).sum();
    archive.size().saturating_sub(blobs + arrays.iter().map(|a| a.bytes).sum::<u64>())
}

fn stages_json(s: &StageBytes, shared: u64) -> Value {
    json!({
        "shared": shared,
        "specials": s.specials,
        "values": s.values,
        "correction": s.correction,
        "framing": s.framing,
    })
}

fn block_json(a: &Stored<'_>, b: &StoredBlock) -> Value {
    json!({
        "index": b.info.index,
        "origin": b.info.region.origin(),
        "shape": b.info.region.shape().dims(),
        "offset": b.info.offset,
        "bytes": b.info.bytes,
        "stored": a.outcome(b.outcome),
        "stages": stages_json(&b.stages, 0),
    })
}

/// The fill value as a number.
fn fill(header: &ArrayHeader) -> Value {
    let Ok(Some(bits)) = header.fill_bits() else { return Value::Null };
    // Integers of 64 bits are not all numbers of `f64`.
    match header.dtype.is_float() {
        true => crate::numbers::json(header.dtype.value_of(bits)),
        false => json!(header.fill),
    }
}

fn shape(dims: &[usize]) -> String {
    Shape::new(dims).map_or_else(|_| format!("{dims:?}"), |s| s.to_string())
}

fn array_table(arrays: &[Stored<'_>]) -> Table {
    let head = ["array", "type", "shape", "block", "stored", "bound", "tolerance", "blocks", "bytes", "ratio"];
    let mut table = Table::new(&head, 7);
    for a in arrays {
        let how: Vec<String> =
            a.outcomes().into_iter().map(|(n, k)| if k > 1 { format!("{n} x{k}") } else { n }).collect();
        table.push(vec![
            a.header.name.clone(),
            a.header.dtype.to_string(),
            shape(&a.header.shape),
            shape(&a.header.block),
            if how.is_empty() { "-".into() } else { how.join(" ") },
            a.header.bound.to_string(),
            criterion(&a.header.criterion, a.header.shape.iter().product::<usize>() as u64),
            a.blocks.len().to_string(),
            a.bytes.to_string(),
            ratio(a.header.raw_bytes(), a.bytes),
        ]);
    }
    table
}

fn stage_table(archive: &Archive, arrays: &[Stored<'_>]) -> Table {
    let mut s = StageBytes::default();
    arrays.iter().for_each(|a| s.add(&a.stages));
    let shared: u64 = arrays.iter().map(|a| a.shared).sum();
    let parts: u64 = arrays.iter().map(|a| a.bytes).sum();
    let blobs: u64 = archive.directory().blobs.iter().map(|b| b.stored).sum();
    let rows = [
        ("values", s.values),
        ("corrections", s.correction),
        ("special values", s.specials),
        ("shared by blocks", shared),
        ("framing and checksums", parts - s.values - s.correction - s.specials - shared),
        ("outside arrays", blobs),
        ("directory and index", directory_bytes(archive, arrays)),
    ];
    let mut table = Table::new(&["stage", "bytes", "%"], 1);
    for (name, bytes) in rows {
        let share = 100.0 * bytes as f64 / archive.size().max(1) as f64;
        table.push(vec![name.into(), bytes.to_string(), format!("{share:.1}")]);
    }
    table
}

/// The shape of level `level` of an array.
fn level_shape(header: &ArrayHeader, level: u32) -> Vec<usize> {
    header.shape.iter().map(|&n| coarse_extent(n, level)).collect()
}

fn level_json(header: &ArrayHeader, level: u32, bytes: u64) -> Value {
    json!({ "level": level, "shape": level_shape(header, level), "bytes": bytes })
}

/// What each level takes; coarser ones are decoded from the bytes of the last.
fn level_table(arrays: &[Stored<'_>]) -> Table {
    let mut table = Table::new(&["array", "shape", "level", "bytes", "% of all"], 2);
    for a in arrays {
        for (&bytes, level) in a.levels.iter().zip(1..) {
            let share = 100.0 * bytes as f64 / a.bytes.max(1) as f64;
            let dims = shape(&level_shape(a.header, level));
            table.push(vec![a.header.name.clone(), dims, level.to_string(), bytes.to_string(), format!("{share:.1}")]);
        }
    }
    table
}

fn block_table(arrays: &[Stored<'_>]) -> Table {
    let head = ["array", "origin", "shape", "stored", "block", "offset", "bytes", "specials", "values", "correction"];
    let mut table = Table::new(&head, 4);
    for a in arrays {
        for b in &a.blocks {
            table.push(vec![
                a.header.name.clone(),
                format!("{:?}", b.info.region.origin()).replace(' ', ""),
                b.info.region.shape().to_string(),
                a.outcome(b.outcome),
                b.info.index.to_string(),
                b.info.offset.to_string(),
                b.info.bytes.to_string(),
                b.stages.specials.to_string(),
                b.stages.values.to_string(),
                b.stages.correction.to_string(),
            ]);
        }
    }
    table
}
