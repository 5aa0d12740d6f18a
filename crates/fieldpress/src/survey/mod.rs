//! Every method on the same velocity distributions, on equal terms: all bytes that decoding needs, moments, values, seconds.

mod published;

use std::sync::Arc;
use std::time::Instant;

use crate::array::{Array, Buffer, Shape};
use crate::bound::Bound;
use crate::codec::{Chain, Limits};
use crate::container::{Archive, ArchiveWriter, ArrayOptions, Plan, Role};
use crate::error::{Error, Result};
use crate::io::vlsv::{CellBlocks, Vlsv};
use crate::vdf::{
    BlockBox, Comparison, Dense, Distribution, Mesh, MomentErrors, Moments, Sparse, ValueErrors, Velocities,
    BLOCK_CELLS, WID,
};

pub use published::{published, Published};

/// Distributions of one file to try methods on.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is called: the population, or the file.
    pub name: String,
    /// Whether values are `f64`; else they are `f32`.
    double: bool,
    cells: Vec<Cell>,
    /// The mesh of all, for sparse ones.
    mesh: Option<Mesh>,
}

#[derive(Clone, Debug)]
struct Cell {
    /// The values of a box, 0 where there is no block.
    dense: Dense<f64>,
    /// The box, and the blocks kept in it in their order, of sparse ones.
    sparse: Option<(BlockBox, Vec<u32>)>,
}

impl Subject {
    /// The boxes of an array `[..., vz, vy, vx]`, on meshes of unit width.
    /// Errors: `InvalidArgument` for another rank, integers and empty arrays.
    pub fn of_array(name: &str, array: &Array) -> Result<Subject> {
        let shape = array.shape();
        let &[.., nz, ny, nx] = shape.dims() else {
            return Err(Error::invalid(format!("expected an array [..., vz, vy, vx], found the shape {shape}")));
        };
        if shape.is_empty() || !array.dtype().is_float() {
            return Err(Error::invalid(format!("expected floats, found {shape} of {}", array.dtype())));
        }
        let mesh = Mesh::unit([nx, ny, nz])?;
        let values = array.data().to_f64();
        let cell = |f: &[f64]| Ok(Cell { dense: Dense::new(mesh, f.to_vec())?, sparse: None });
        Ok(Subject {
            name: name.into(),
            double: array.dtype() == crate::DType::F64,
            cells: values.chunks(nx * ny * nz).map(cell).collect::<Result<_>>()?,
            mesh: None,
        })
    }
    /// The distributions of a population in a VLSV file: those of the cells named, or all. Errors: `InvalidArgument` where a cell keeps
    /// none; those of the file.
    pub fn of_vlsv(file: &Vlsv, population: &str, cells: Option<&[u64]>) -> Result<Subject> {
        let all = file.cells_with_blocks(population)?;
        let chosen: Vec<CellBlocks> = match cells {
            None => all.into_iter().filter(|c| c.count > 0).collect(),
            Some(ids) => ids
                .iter()
                .map(|id| {
                    all.iter().find(|c| c.cell == *id && c.count > 0).copied().ok_or_else(|| {
                        Error::invalid(format!(
                            "expected a cell that keeps a distribution of {population:?}, found {id}"
                        ))
                    })
                })
                .collect::<Result<_>>()?,
        };
        let nodes = file.velocity_mesh(population)?.nodes;
        let mesh = Mesh::from_nodes([&nodes[0], &nodes[1], &nodes[2]])?;
        let mut double = false;
        let mut cells = Vec::with_capacity(chosen.len());
        for c in &chosen {
            let (ids, values) = file.blocks_of(population, c)?;
            double |= values.dtype() == crate::DType::F64;
            let sparse = Sparse::new(mesh, ids, values.data().to_f64())?;
            let bounds = sparse.bounds();
            cells.push(Cell { dense: sparse.to_dense(&bounds)?, sparse: Some((bounds, sparse.ids().to_vec())) });
        }
        Ok(Subject { name: population.into(), double, cells, mesh: Some(mesh) })
    }
    /// How many distributions there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    fn size(&self) -> u64 {
        if self.double {
            8
        } else {
            4
        }
    }
    /// Bytes of the boxes around the distributions, stored plainly.
    pub fn dense_bytes(&self) -> u64 {
        self.cells.iter().map(|c| c.dense.values().len() as u64).sum::<u64>() * self.size()
    }
    /// Bytes of the blocks that are kept, each with an id of 4 bytes; of an array those with a value above the threshold.
    pub fn sparse_bytes(&self, threshold: f64) -> u64 {
        let blocks = |c: &Cell| match &c.sparse {
            Some((_, ids)) => ids.len() as u64,
            None => filled_blocks(&c.dense, threshold),
        };
        self.cells.iter().map(blocks).sum::<u64>() * (BLOCK_CELLS as u64 * self.size() + 4)
    }
    /// The largest value.
    pub fn largest(&self) -> f64 {
        self.cells.iter().flat_map(|c| c.dense.values()).fold(0.0, |m: f64, f| m.max(*f))
    }
    /// As one box, where there is but one distribution.
    pub fn single(&self) -> Option<&Dense<f64>> {
        match self.cells.as_slice() {
            [one] => Some(&one.dense),
            _ => None,
        }
    }
    fn array(&self, shape: &[usize], values: &[f64]) -> Result<Array> {
        match self.double {
            true => Array::new(Shape::new(shape)?, Buffer::F64(values.to_vec())),
            false => Array::new(Shape::new(shape)?, Buffer::F32(values.iter().map(|v| *v as f32).collect())),
        }
    }
}

/// How many blocks of 4^3 cells, the last ones cut off, hold a value above the threshold.
fn filled_blocks(dense: &Dense<f64>, threshold: f64) -> u64 {
    let ([nx, ny, _], [bx, by, bz]) = (dense.mesh().cells(), dense.mesh().blocks());
    let mut filled = vec![false; bx * by * bz];
    for (i, _) in dense.values().iter().enumerate().filter(|(_, f)| **f > threshold) {
        let [x, y, z] = [i % nx, i / nx % ny, i / nx / ny].map(|v| v / WID);
        if let Some(f) = filled.get_mut(x + bx * (y + by * z)) {
            *f = true;
        }
    }
    filled.iter().filter(|f| **f).count() as u64
}

/// A method with parameters, and what is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The chain, as [`Chain::parse`] reads it.
    pub chain: String,
    /// The bound.
    pub bound: Bound,
}

/// What a method came to.
#[derive(Clone, Debug)]
pub struct Row {
    /// The method.
    pub setting: Setting,
    /// All bytes from which the distributions can be decoded: an archive with nothing else in it.
    pub bytes: u64,
    /// How far the decoded distributions are from the original ones: of one, this; of several, the largest errors, and the sums of counts.
    pub errors: Comparison,
    /// Seconds to encode.
    pub compress_seconds: f64,
    /// Seconds to decode.
    pub decompress_seconds: f64,
    /// The decoded boxes, where there is but one distribution.
    pub decoded: Option<Dense<f64>>,
}

/// Tries a method. `threshold` is the sparsity threshold, in the units of the values.
/// Errors: those of the method, such as `InvalidArgument` where it cannot do what is asked.
pub fn survey(subject: &Subject, setting: &Setting, threshold: f64) -> Result<Row> {
    let chain = of_blocks(subject, &setting.chain)?;
    let whole = chain.ids().contains(&BLOCKS) && subject.mesh.is_some();
    let started = Instant::now();
    let mut writer = ArchiveWriter::new(Vec::new())?;
    if subject.mesh.is_some() {
        put_geometry(subject, &mut writer)?;
    }
    if whole {
        put_blocks(subject, chain, &setting.bound, &mut writer)?;
    } else {
        for (i, c) in subject.cells.iter().enumerate() {
            let array = subject.array(&c.dense.mesh().shape(), c.dense.values())?;
            put(&mut writer, &i.to_string(), &array, &setting.bound, Chain::parse(&setting.chain)?, None)?;
        }
    }
    let bytes = writer.finish()?;
    let compress_seconds = started.elapsed().as_secs_f64();
    let size = bytes.len() as u64;
    let started = Instant::now();
    let archive = Archive::open(Arc::new(bytes), Limits::default())?;
    let decoded: Vec<Array> = match whole {
        true => vec![archive.read(BLOCK_VALUES)?],
        false => (0..subject.len()).map(|i| archive.read(&i.to_string())).collect::<Result<_>>()?,
    };
    let decompress_seconds = started.elapsed().as_secs_f64();
    let boxes = if whole { boxes_of_blocks(subject, &decoded)? } else { boxes(subject, &decoded)? };
    let compared = subject.cells.iter().zip(&boxes).map(|(c, d)| compared(&c.dense, d, threshold));
    let errors = compared
        .reduce(|a, b| Ok(worse(a?, b?)))
        .ok_or_else(|| Error::invalid("expected distributions, found none"))??;
    let decoded = match <[Dense<f64>; 1]>::try_from(boxes) {
        Ok([one]) => Some(one),
        Err(_) => None,
    };
    Ok(Row { setting: setting.clone(), bytes: size, errors, compress_seconds, decompress_seconds, decoded })
}

/// The codec that works on sparse blocks as they are.
const BLOCKS: &str = "vlasov";
const BLOCK_VALUES: &str = "values";
const IDS: &str = "ids";
const COUNTS: &str = "counts";
const MESH: &str = "mesh";
const NODES: [&str; 3] = ["x", "y", "z"];

fn put(
    writer: &mut ArchiveWriter<Vec<u8>>,
    name: &str,
    array: &Array,
    bound: &Bound,
    chain: Chain,
    velocities: Option<Velocities>,
) -> Result<()> {
    let plan = Plan::new(&array.view(), bound, None, false)?;
    let velocities = velocities.or((!plan.criterion.quantities.is_empty()).then_some(Velocities::Dense));
    let mut companions = chain.companions();
    companions.extend(velocities.iter().flat_map(Velocities::companions).map(String::from));
    companions.sort_unstable();
    companions.dedup();
    let options = ArrayOptions {
        plan: &plan,
        chains: vec![chain],
        block: None,
        measure: false,
        elements: None,
        progressive: false,
        role: Role::Field,
        attributes: Default::default(),
        keep: bound.is_lossless(),
        velocities,
        companions: companions.into_iter().map(|n| (n.clone(), n)).collect(),
        progress: None,
    };
    writer.put_array(name, &array.view(), options).map(|_| ())
}

/// Which blocks each distribution keeps, losslessly.
fn put_geometry(subject: &Subject, writer: &mut ArchiveWriter<Vec<u8>>) -> Result<()> {
    let Some(mesh) = &subject.mesh else { return Ok(()) };
    let kept = || subject.cells.iter().filter_map(|c| c.sparse.as_ref().map(|(_, ids)| ids));
    let counts: Vec<u32> = kept().map(|ids| ids.len() as u32).collect();
    let ids: Vec<u32> = kept().flatten().copied().collect();
    let mut lossless =
        |name: &str, array: Array, chain: &str| put(writer, name, &array, &Bound::Lossless, Chain::parse(chain)?, None);
    for (axis, name) in NODES.iter().enumerate() {
        let (n, low, width) = (mesh.cells()[axis], mesh.lower()[axis], mesh.width()[axis]);
        lossless(
            name,
            Array::from_vec(&[n + 1], (0..=n).map(|i| low + width * i as f64).collect::<Vec<f64>>())?,
            "pco",
        )?;
    }
    let extents: Vec<u64> = mesh.blocks().iter().map(|n| *n as u64).collect();
    lossless(MESH, Array::from_vec(&[3], extents)?, "raw")?;
    lossless(COUNTS, Array::from_vec(&[counts.len()], counts)?, "pco")?;
    lossless(IDS, Array::from_vec(&[ids.len()], ids)?, &format!("blockset:counts={COUNTS},mesh={MESH}"))
}

/// All blocks as one array.
fn put_blocks(subject: &Subject, chain: Chain, bound: &Bound, writer: &mut ArchiveWriter<Vec<u8>>) -> Result<()> {
    let mut values = Vec::new();
    for c in &subject.cells {
        if let (Some((bounds, ids)), Some(mesh)) = (&c.sparse, subject.mesh) {
            values.extend_from_slice(Sparse::from_dense(mesh, bounds, &c.dense, ids.clone())?.values());
        }
    }
    let array = subject.array(&[values.len() / BLOCK_CELLS, WID, WID, WID], &values)?;
    let name = str::to_string;
    let velocities = Velocities::Blocks { ids: name(IDS), counts: name(COUNTS), nodes: NODES.map(name) };
    put(writer, BLOCK_VALUES, &array, bound, chain, Some(velocities))
}

/// Decoded boxes; what lies outside the blocks that are kept is 0.
fn boxes(subject: &Subject, decoded: &[Array]) -> Result<Vec<Dense<f64>>> {
    let one = |(c, array): (&Cell, &Array)| {
        let dense = Dense::new(*c.dense.mesh(), array.data().to_f64())?;
        match (&c.sparse, subject.mesh) {
            (Some((bounds, ids)), Some(mesh)) => {
                Sparse::from_dense(mesh, bounds, &dense, ids.clone())?.to_dense(bounds)
            }
            _ => Ok(dense),
        }
    };
    subject.cells.iter().zip(decoded).map(one).collect()
}

/// The same from all blocks as one array.
fn boxes_of_blocks(subject: &Subject, decoded: &[Array]) -> Result<Vec<Dense<f64>>> {
    let values = decoded.first().map(|a| a.data().to_f64()).unwrap_or_default();
    let (mut rest, mut found) = (values.as_slice(), Vec::new());
    for c in &subject.cells {
        if let (Some((bounds, ids)), Some(mesh)) = (&c.sparse, subject.mesh) {
            let (own, after) = rest.split_at_checked(ids.len() * BLOCK_CELLS).unwrap_or((rest, &[]));
            found.push(Sparse::new(mesh, ids.clone(), own.to_vec())?.to_dense(bounds)?);
            rest = after;
        }
    }
    Ok(found)
}

/// How far a decoded distribution is from its original; of one of which nothing is left, what is not defined is NaN.
fn compared(original: &Dense<f64>, decoded: &Dense<f64>, threshold: f64) -> Result<Comparison> {
    let (before, after) = (Moments::of(original), Moments::of(decoded));
    let [density, velocity, pressure, heat_flux] = MomentErrors::shares(&before, &after);
    let anisotropy = MomentErrors::between(&before, &after).map_or(f64::NAN, |e| e.anisotropy);
    Ok(Comparison {
        moments: MomentErrors { density, velocity, pressure, anisotropy, heat_flux },
        values: ValueErrors::between(original.values(), decoded.values(), threshold)?,
    })
}

/// The larger errors of both, and the sums of counts.
fn worse(a: Comparison, b: Comparison) -> Comparison {
    let more = |x: f64, y: f64| if !x.is_nan() && (y.abs() > x.abs() || y.is_nan()) { y } else { x };
    let (m, n, v, w) = (a.moments, b.moments, a.values, b.values);
    Comparison {
        moments: MomentErrors {
            density: more(m.density, n.density),
            velocity: more(m.velocity, n.velocity),
            pressure: more(m.pressure, n.pressure),
            anisotropy: more(m.anisotropy, n.anisotropy),
            heat_flux: more(m.heat_flux, n.heat_flux),
        },
        values: ValueErrors {
            l1: more(v.l1, w.l1),
            l2: more(v.l2, w.l2),
            max: more(v.max, w.max),
            rms_log10: more(v.rms_log10, w.rms_log10),
            above: v.above + w.above,
            lost: v.lost + w.lost,
            ghost: v.ghost + w.ghost,
            negative_before: v.negative_before + w.negative_before,
            negative_after: v.negative_after + w.negative_after,
        },
    }
}

/// The methods that are worth a look, each at a few settings; `threshold` is the sparsity threshold.
pub fn settings(subject: &Subject, threshold: f64) -> Vec<Setting> {
    let setting = |chain: &str, bound: Bound| Setting { chain: chain.into(), bound };
    let mut all = vec![
        setting("shuffle+zlib", Bound::Lossless),
        setting("pco", Bound::Lossless),
        setting("lpc", Bound::Lossless),
    ];
    let largest = subject.largest();
    for chain in ["zfp", "interp", "dwt", "lpc", "tucker"] {
        for abs in [0.1 * largest, 0.01 * largest, threshold] {
            all.push(setting(chain, Bound::Abs(abs)));
        }
    }
    for abs in [100.0 * threshold, 10.0 * threshold, threshold] {
        all.push(setting(BLOCKS, Bound::Abs(abs)));
    }
    let decades = |rel: f64| Bound::AbsOrRel { abs: 0.1 * threshold, rel };
    all.push(setting(&format!("log:scale={threshold:e}+lpc"), decades(0.1)));
    for chain in MODELS {
        all.push(setting(chain, Bound::None));
    }
    all
}

/// The chain; where blocks are sparse its codec for them is told which arrays say what they are.
fn of_blocks(subject: &Subject, chain: &str) -> Result<Chain> {
    let parsed = Chain::parse(chain)?;
    if subject.mesh.is_none() || !parsed.companions().is_empty() {
        return Ok(parsed);
    }
    let step = |step: &str| match step.strip_prefix(BLOCKS) {
        Some("") => format!("{BLOCKS}:ids={IDS},counts={COUNTS},mesh={MESH}"),
        Some(parameters) if parameters.starts_with(':') => {
            format!("{BLOCKS}{parameters},ids={IDS},counts={COUNTS},mesh={MESH}")
        }
        _ => step.into(),
    };
    let steps: Vec<String> = crate::codec::split(chain, '+').into_iter().map(step).collect();
    Chain::parse(&steps.join("+"))
}

/// Methods whose parameters alone say how good they are.
const MODELS: &[&str] = &[
    "gmm:components=4",
    "gmm:components=15",
    "gmm:components=30",
    "hermite:order=9",
    "hermite:order=14",
    "hermite:order=24",
    "harmonics:degree=4,shells=16",
    "harmonics:degree=10,shells=25",
    "pca:components=10",
    "pca:components=30",
    "octree:tolerance=0.1",
    "octree:tolerance=0.01",
    "dct:block=8,keep=4,bits=12",
    "wavelet:mode=periodic,levels=2,threshold=1e-3",
    "wavelet:mode=periodic,levels=2,bits=12",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/ipshock.vlsv")).unwrap();
        Subject::of_vlsv(&Vlsv::open(Arc::new(file)).unwrap(), "proton", None).unwrap()
    }

    #[test]
    fn what_is_kept_losslessly_has_no_errors_and_counts_every_byte() {
        let s = subject();
        assert_eq!((s.len(), s.sparse_bytes(1e-15)), (5, 4386 * 260));
        let row = survey(&s, &Setting { chain: "pco".into(), bound: Bound::Lossless }, 1e-15).unwrap();
        assert_eq!((row.errors.values.l2, row.errors.moments.density, row.errors.values.lost), (0.0, 0.0, 0));
        assert!(row.bytes > 200_000 && row.bytes < s.sparse_bytes(1e-15));
        let coarse = survey(&s, &Setting { chain: "interp".into(), bound: Bound::Abs(1e-13) }, 1e-15).unwrap();
        // Of cells of which nothing is left there is no velocity.
        let none = survey(&s, &Setting { chain: "interp".into(), bound: Bound::Abs(1e-6) }, 1e-15).unwrap().errors;
        assert!(none.moments.velocity.is_nan() && none.values.lost == none.values.above && none.values.l2 == 1.0);
        assert!(coarse.bytes < row.bytes / 10 && coarse.errors.values.lost > 100 && coarse.errors.values.l2 > 0.0);
    }

    #[test]
    fn boxes_of_an_array_are_distributions() {
        let values: Vec<f32> =
            (0..2 * 9 * 8 * 7).map(|i| if i % 504 < 30 { 1.0 + (i % 5) as f32 } else { 0.0 }).collect();
        let array = Array::from_vec(&[2, 9, 8, 7], values).unwrap();
        let s = Subject::of_array("boxes", &array).unwrap();
        // Thirty values are four rows and two values more of the first plane: blocks at its first two columns and rows.
        assert_eq!((s.len(), s.dense_bytes(), s.sparse_bytes(0.5)), (2, 4032, 2 * 3 * 260));
        let row = survey(&s, &Setting { chain: "octree".into(), bound: Bound::None }, 0.5).unwrap();
        assert!(row.errors.values.l2.is_finite() && row.decoded.is_none() && row.bytes > 300);
        assert!(Subject::of_array("flat", &Array::from_vec(&[4, 4], vec![1f32; 16]).unwrap()).is_err());
        assert!(Subject::of_array("whole", &Array::from_vec(&[4, 4, 4], vec![1i32; 64]).unwrap()).is_err());
    }

    #[test]
    fn every_setting_is_a_method_of_this_build() {
        let s = subject();
        let all = settings(&s, 1e-15);
        assert!(all.len() > 30);
        for s in all {
            let chain = Chain::parse(&s.chain).unwrap_or_else(|e| panic!("{}: {e}", s.chain));
            assert!(s.bound.validate().is_ok() && (s.bound != Bound::None || chain.needs_bound().is_none()), "{s:?}");
        }
    }
}
