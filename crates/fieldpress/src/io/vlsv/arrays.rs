//! VLSV files as datasets: the name and the role of every array, and the file put back to the byte.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{json, Map, Value};

use super::footer::Tag;
use super::reader::Vlsv;
use crate::array::{DType, Placement, ReadAt, Shape};
use crate::error::Result;
use crate::io::{Arrays, Dataset, FileArray, Format, Layout, OpenOptions, Output, Role};
use crate::vdf::Velocities;

/// The format of the Vlasiator plasma simulation (file name `*.vlsv`).
///
/// Every element of the footer with an array of a known type becomes an array named `TAG/name`, or `TAG/mesh` where it
/// has no name: `VARIABLE/proton/vg_rho`, `PARAMETER/time`, `MESH_NODE_CRDS_X/proton`, `BLOCKVARIABLE/proton`. Where that
/// is not unique, `@mesh` and then `#2`, `#3`, ... are appended. The attributes of an array are those of its element, as
/// strings, and `tag`, the element's name. Everything else, the footer too, stays verbatim.
#[derive(Clone, Copy, Debug, Default)]
pub struct VlsvFormat;

/// The format, for the list of formats.
pub static VLSV: VlsvFormat = VlsvFormat;

impl Format for VlsvFormat {
    fn id(&self) -> &'static str {
        "vlsv"
    }
    fn doc(&self) -> &'static str {
        "VLSV files of the Vlasiator plasma simulation, old and new, with velocity distributions"
    }
    fn matches(&self, name: &str, head: &[u8]) -> bool {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        match file.rsplit_once('.') {
            Some((_, extension)) => extension.eq_ignore_ascii_case("vlsv"),
            // Without an extension the header must speak: a byte order, seven zeros, an offset of less than 2^48.
            None => match head.first_chunk::<16>() {
                Some([0, 0, 0, 0, 0, 0, 0, 0, offset @ .., 0, 0] | [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, offset @ ..]) => {
                    offset.iter().any(|&b| b != 0)
                }
                _ => false,
            },
        }
    }
    fn open(&self, _: &str, bytes: Arc<dyn ReadAt>, _: &OpenOptions) -> Result<Dataset> {
        let file = Vlsv::open(bytes)?;
        let found = find(&file)?;
        let names = names(found.iter().map(|f| f.tag));
        let special = |f: &Found<'_>| (suits(f, &found, &names), velocities(f, &found, &names));
        let special: Vec<_> = found.iter().map(special).collect();
        let mut layout = Layout::new(file.bytes().size()?);
        let mut arrays = Vec::with_capacity(found.len());
        for ((Found { tag, dtype, shape, at, role }, name), (suits, velocities)) in
            found.into_iter().zip(names).zip(special)
        {
            let source = layout.add(&name, dtype, shape, at, file.bytes())?;
            arrays.push(FileArray {
                name,
                role,
                attributes: attributes(tag),
                suits,
                velocities,
                elements: None,
                source,
            });
        }
        Ok(Dataset {
            format: self.id(),
            template: layout.to_template()?,
            verbatim: layout.verbatim(file.bytes())?,
            arrays,
        })
    }
    fn restore(&self, template: &Value, verbatim: &[u8], arrays: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        Layout::from_template(template)?.restore(verbatim, arrays, out)
    }
}

/// An element that becomes an array.
struct Found<'a> {
    tag: &'a Tag,
    dtype: DType,
    shape: Shape,
    at: Placement,
    role: Role,
}

/// The arrays of a file, in the order of its footer. Of elements that share bytes only the first becomes an array.
fn find(file: &Vlsv) -> Result<Vec<Found<'_>>> {
    let mut found: Vec<Found<'_>> = Vec::new();
    // Start of each stretch that is taken -> (its end, index of its array).
    let mut taken: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    for tag in file.tags() {
        let Some(dtype) = tag.dtype() else { continue };
        let (shape, at) = tag.place(dtype, file.endian(), file.end())?;
        let role = role(tag, dtype);
        let end = at.offset + (shape.len() * dtype.size()) as u64;
        let overlaps: Vec<usize> =
            taken.range(..end).rev().take_while(|(_, (e, _))| *e > at.offset).map(|(_, (_, index))| *index).collect();
        if overlaps.is_empty() {
            if !shape.is_empty() {
                taken.insert(at.offset, (end, found.len()));
            }
            found.push(Found { tag, dtype, shape, at, role });
            continue;
        }
        for i in overlaps {
            let Some(other) = found.get_mut(i) else { continue };
            // Fields may be lossy, but not where the same bytes mean something else too.
            let same = role == Role::Field && other.dtype == dtype && other.at.offset == at.offset;
            if other.role == Role::Field && !same {
                other.role = if role == Role::Field { Role::Id } else { role };
            }
        }
    }
    Ok(found)
}

/// The names of the arrays of a population: that of a tag `tag` with the same `of` attribute as `array` has a name, or the only one.
fn beside(
    array: &Found<'_>,
    all: &[Found<'_>],
    names: &[String],
    tag: &str,
    of: fn(&Tag) -> Option<&str>,
) -> Option<String> {
    let mut fits = all.iter().zip(names).filter(|(f, _)| f.tag.tag == tag);
    let own = fits.clone().find(|(f, _)| of(f.tag) == array.tag.name());
    own.or_else(|| fits.next().filter(|_| fits.next().is_none())).map(|(_, name)| name.clone())
}

/// What the values of velocity blocks are.
fn velocities(array: &Found<'_>, all: &[Found<'_>], names: &[String]) -> Option<Velocities> {
    if array.tag.tag != "BLOCKVARIABLE" || !array.dtype.is_float() || array.shape.rank() != 4 {
        return None;
    }
    let [x, y, z] = ["X", "Y", "Z"].map(|axis| beside(array, all, names, &format!("MESH_NODE_CRDS_{axis}"), Tag::mesh));
    Some(Velocities::Blocks {
        ids: beside(array, all, names, "BLOCKIDS", Tag::name)?,
        counts: beside(array, all, names, "BLOCKSPERCELL", Tag::name)?,
        nodes: [x?, y?, z?],
    })
}

/// The chain made for velocity blocks and their ids.
fn suits(array: &Found<'_>, all: &[Found<'_>], names: &[String]) -> Option<Value> {
    let counts = beside(array, all, names, "BLOCKSPERCELL", Tag::name)?;
    let mesh = beside(array, all, names, "MESH_BBOX", Tag::mesh)?;
    match array.tag.tag.as_str() {
        "BLOCKIDS" => Some(json!([{ "id": "blockset", "counts": counts, "mesh": mesh }])),
        "BLOCKVARIABLE" => {
            let ids = beside(array, all, names, "BLOCKIDS", Tag::name)?;
            Some(json!([{ "id": "vlasov", "ids": ids, "counts": counts, "mesh": mesh }]))
        }
        _ => None,
    }
}

/// What an array is to its file. Only floating-point variables and velocity blocks are fields.
fn role(tag: &Tag, dtype: DType) -> Role {
    match tag.tag.as_str() {
        "PARAMETER" | "PARAMETERS" | "CONFIG" | "VERSION" => Role::Parameter,
        _ if !dtype.is_float() => Role::Id,
        "BLOCKVARIABLE" => Role::Field,
        "VARIABLE" => variable_role(tag.name().unwrap_or_default()),
        _ => Role::Coordinate,
    }
}

/// What a floating-point variable is, by its name without population (`proton/`), mesh (`vg_`, `fg_`, `ig_`) and case:
/// some flags, ranks, positions and settings of the solver are stored as floats too.
fn variable_role(name: &str) -> Role {
    let local = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let local = ["vg_", "fg_", "ig_"].iter().find_map(|p| local.strip_prefix(p)).unwrap_or(&local).replace('_', "");
    match local.as_str() {
        "x" | "y" | "z" | "dx" | "dy" | "dz" => Role::Coordinate,
        "cellid" | "rank" | "mpirank" | "fsgridrank" | "boundarytype" | "boundarylayer" | "blocks" | "fsaved"
        | "reflevel" | "amrlevel" => Role::Id,
        "effectivesparsitythreshold" | "minvalue" | "loadbalanceweight" | "lbweight" => Role::Parameter,
        _ => Role::Field,
    }
}

/// The attributes of an element and its name, for the archive.
fn attributes(tag: &Tag) -> Map<String, Value> {
    let all = tag.attributes.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    all.chain([("tag".to_owned(), Value::from(tag.tag.as_str()))]).collect()
}

/// A different name for each element; see [`VlsvFormat`].
fn names<'a>(tags: impl Iterator<Item = &'a Tag> + Clone) -> Vec<String> {
    let short = |t: &Tag| match t.name().or(t.mesh()) {
        Some(name) => format!("{}/{name}", t.tag),
        None => t.tag.clone(),
    };
    let mut uses: HashMap<String, usize> = HashMap::new();
    tags.clone().for_each(|t| *uses.entry(short(t)).or_default() += 1);
    let mut counters: HashMap<String, usize> = HashMap::new();
    let mut used: HashSet<String> = HashSet::new();
    let mut unique = |t: &Tag| {
        let mut base = short(t);
        if let (Some(_), Some(mesh), true) = (t.name(), t.mesh(), uses.get(&base).is_some_and(|&n| n > 1)) {
            base = format!("{base}@{mesh}");
        }
        let counter = counters.entry(base.clone()).or_insert(1);
        let mut name = base.clone();
        while !used.insert(name.clone()) {
            *counter += 1;
            name = format!("{base}#{counter}");
        }
        name
    };
    tags.map(&mut unique).collect()
}

#[cfg(test)]
mod tests;
