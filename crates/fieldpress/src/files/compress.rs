//! Files into an archive.

use std::collections::HashMap;
use std::io::Write;

use serde_json::{json, Value};

use super::elements;
use super::input::{Event, Input, Watch};
use super::order::order;
use super::Glob;
use crate::array::{Array, Region, Source};
use crate::bound::Bound;
use crate::codec::Chain;
use crate::container::{ArchiveWriter, ArrayOptions, ArrayReport, FileHeader, Plan, Role};
use crate::error::{Error, Result};
use crate::facade::{Choice, Options};
use crate::io::{self, FileArray, OpenOptions};
use crate::sem::OnElements;
use crate::vdf::Velocities;

/// Arrays below this many bytes are stored without a chain when they are lossless: naming one would cost more than it saves.
const TINY: usize = 256;
/// Arrays of up to so many bytes are read from the file once.
const HELD: usize = 64 << 20;

/// How files are compressed.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// For the arrays that may be lossy. The block is used for arrays of its rank, others take the default.
    pub lossy: Options,
    /// Which arrays may be lossy: those whose name, in the file or in the archive, fits one of the patterns. Empty: the
    /// floating-point arrays that are fields, and in a file with velocity distributions these alone. All others are stored losslessly.
    pub arrays: Vec<Glob>,
    /// What is known of files that do not describe themselves.
    pub open: OpenOptions,
    /// A file with the coordinates of the spectral elements of those that have none of their own. They are stored, losslessly, as `mesh:x` and so on.
    pub mesh: Option<Input>,
}

impl FileOptions {
    /// The default options for `bound`.
    pub fn new(bound: Bound) -> FileOptions {
        FileOptions { lossy: Options::new(bound), arrays: Vec::new(), open: OpenOptions::default(), mesh: None }
    }
    fn selects(&self, array: &FileArray, prefix: &str, has_velocities: bool) -> bool {
        if self.arrays.is_empty() {
            let of_interest = !has_velocities || array.velocities.is_some();
            return array.role == Role::Field && array.source.dtype().is_float() && of_interest;
        }
        let full = format!("{prefix}{}", array.name);
        self.arrays.iter().any(|g| g.matches(&array.name) || g.matches(&full))
    }
    fn lossless(&self) -> Options {
        let choice = match self.lossy.choice {
            Choice::Tier(t) => Choice::Tier(t),
            _ => Choice::Auto,
        };
        Options { choice, detect_fill: false, ..Options::new(Bound::Lossless) }
    }
}

/// What became of the files.
#[derive(Clone, Debug)]
pub struct FilesReport {
    /// Every array, in the order of the archive.
    pub arrays: Vec<ArrayReport>,
    /// Bytes of the files, that of the mesh included.
    pub input_bytes: u64,
    /// Bytes of the archive.
    pub bytes: u64,
}

/// One array to be stored.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) array: FileArray,
    pub(super) lossy: bool,
    /// Whether the file knows which of its arrays are velocity distributions, and this is none.
    apart: bool,
    /// How its values lie on spectral elements, by the names of this archive.
    pub(super) elements: Option<OnElements>,
    /// The same field of the file before.
    pub(super) previous: Option<String>,
    companions: Vec<(String, String)>,
    keep: bool,
}

impl Job {
    fn new(prefix: &str, array: FileArray, lossy: bool, file_tells: bool) -> Job {
        Job {
            name: format!("{prefix}{}", array.name),
            prefix: prefix.into(),
            lossy,
            apart: file_tells && array.velocities.is_none(),
            elements: None,
            previous: None,
            array,
            companions: Vec::new(),
            keep: false,
        }
    }
    fn uses_mesh(&self) -> bool {
        let mut names = self.elements.iter().flat_map(|e| &e.coordinates);
        self.lossy && names.any(|n| n.starts_with(elements::MESH))
    }
}

/// Writes an archive with all arrays of `inputs` to `out`, in the current rayon pool. Where there are several files, the
/// arrays of the file `NAME` are called `NAME:array`. Companions of chains are looked for in the array's own file, then among
/// all names of the archive.
/// Errors: those of [`io::open`] and of the sources; `InvalidArgument` for a pattern that fits no array, a block whose rank fits
/// none, two files of one name, companions that are missing or need each other, and as [`ArchiveWriter::put_array`]; `Io`.
pub fn compress_files(
    inputs: &[Input],
    out: impl Write,
    options: &FileOptions,
    watch: Option<Watch<'_>>,
) -> Result<FilesReport> {
    let mut writer = ArchiveWriter::new(Counted { out, bytes: 0 })?;
    let mut jobs = Vec::new();
    let mut input_bytes = 0;
    for (i, input) in inputs.iter().enumerate() {
        if inputs.iter().take(i).any(|other| other.name == input.name) {
            return Err(Error::invalid(format!("expected files of different names, found {:?} twice", input.name)));
        }
        input_bytes += input.bytes.size()?;
        let place = |e: Error| if inputs.len() > 1 { e.at(&input.name) } else { e };
        let dataset = io::open(&input.name, input.bytes.clone(), &options.open).map_err(place)?;
        let prefix = if inputs.len() > 1 { format!("{}:", input.name) } else { String::new() };
        let verbatim = match dataset.verbatim.is_empty() {
            true => None,
            false => Some(writer.put_blob(&format!("file {i}"), &dataset.verbatim)?),
        };
        writer.put_file(FileHeader {
            name: input.name.clone(),
            prefix: prefix.clone(),
            format: dataset.format.into(),
            template: dataset.template,
            verbatim,
        });
        let tells = dataset.arrays.iter().any(|a| a.velocities.is_some());
        jobs.extend(dataset.arrays.into_iter().map(|array| {
            let lossy = options.selects(&array, &prefix, tells);
            Job::new(&prefix, array, lossy, tells)
        }));
    }
    check_patterns(options, &jobs)?;
    if let Some(mesh) = &options.mesh {
        if jobs.iter().any(|j| j.prefix == elements::MESH) {
            return Err(Error::invalid("expected no file of the name \"mesh\" beside a mesh, found one"));
        }
        input_bytes += mesh.bytes.size()?;
        let dataset = io::open(&mesh.name, mesh.bytes.clone(), &options.open).map_err(|e| e.at(&mesh.name))?;
        let of_mesh = dataset.arrays.into_iter().filter(|a| matches!(a.role, Role::Coordinate | Role::Id));
        jobs.extend(of_mesh.map(|array| Job::new(elements::MESH, array, false, false)));
    }
    check_block(options, &jobs)?;
    elements::locate(&mut jobs)?;
    let uses_mesh = !options.lossy.bound.is_lossless() && jobs.iter().any(Job::uses_mesh);
    if let Some(mesh) = options.mesh.as_ref().filter(|_| !uses_mesh) {
        return Err(Error::invalid("expected a lossy field that fits the mesh and has no coordinates, found none")
            .at(&mesh.name));
    }
    let (order, needs) = find_companions(options, &mut jobs)?;
    let mut users: HashMap<usize, usize> = HashMap::new();
    needs.iter().flatten().for_each(|place| *users.entry(*place).or_default() += 1);
    let mut meshes = elements::Meshes::default();
    let lossless = options.lossless();
    let mut reports = Vec::with_capacity(jobs.len());
    for i in order {
        let Some(job) = jobs.get(i) else { continue };
        let options = if job.lossy { &options.lossy } else { &lossless };
        let stored = put(&mut writer, job, &jobs, &mut meshes, options, watch);
        reports.push(stored.map_err(|e| e.at(format!("array {:?}", job.name)))?);
        for place in needs.get(i).into_iter().flatten() {
            let left = users.entry(*place).or_default();
            *left = left.saturating_sub(1);
            if let Some(done) = jobs.get(*place).filter(|_| *left == 0) {
                writer.forget(&done.name);
            }
        }
    }
    let out = writer.finish()?;
    Ok(FilesReport { arrays: reports, input_bytes, bytes: out.bytes })
}

/// Stores one array.
fn put<W: Write>(
    writer: &mut ArchiveWriter<W>,
    job: &Job,
    jobs: &[Job],
    meshes: &mut elements::Meshes,
    options: &Options,
    watch: Option<Watch<'_>>,
) -> Result<ArrayReport> {
    let source = job.array.source.as_ref();
    let (dtype, shape) = (source.dtype(), source.shape());
    let bytes = shape.len() * dtype.size();
    // Values are looked at more than once.
    let held = match bytes <= HELD {
        true => Some(Array::new(shape, source.read(&Region::all(shape))?)?),
        false => None,
    };
    let source: &dyn Source = held.as_ref().map_or(source, |a| a);
    if let Some(w) = watch {
        w(Event::Array { name: &job.name, bytes: bytes as u64 });
    }
    let bound = if job.apart { options.bound.of_values() } else { options.bound.clone() };
    let (on, norm) = match job.elements.as_ref().filter(|_| job.lossy && bound.is_of_norms()) {
        Some(on) => meshes.norm(on, &shape, jobs, bound.is_of_gradients())?,
        None if job.lossy && bound.is_of_gradients() => {
            return Err(Error::invalid(format!(
                "expected a field on spectral elements for a bound on its gradient, found {shape}"
            )));
        }
        None => (None, None),
    };
    let plan = Plan::on_elements(source, &bound, options.fill, options.detect_fill, norm)?;
    let chains = match elements::chains(job, jobs, meshes, options, &plan, source)? {
        Some(chains) => chains,
        None => match (suited(job, options, &plan), bytes < TINY && !job.lossy) {
            (_, true) => Vec::new(),
            // Another takes its place where it refuses a block.
            (Some(own), _) if plan.hint.is_exact() => {
                let others = options.choice.chains(source, &plan, options.progressive)?;
                std::iter::once(own).chain(others).collect()
            }
            (Some(own), _) => vec![own],
            (None, false) => options.choice.chains(source, &plan, options.progressive)?,
        },
    };
    let needed: Vec<String> = chains.iter().flat_map(Chain::companions).collect();
    let told = job.array.velocities.iter().flat_map(Velocities::companions).map(String::from);
    let needed: Vec<String> = needed.into_iter().chain(told).collect();
    let progress = |n: u64| {
        if let Some(w) = watch {
            w(Event::Bytes(n));
        }
    };
    let settings = ArrayOptions {
        plan: &plan,
        chains,
        velocities: job.array.velocities.clone().filter(|_| job.lossy).or_else(|| options.velocities(&plan)),
        block: options.block.clone().filter(|b| b.len() == shape.rank()),
        measure: options.measure,
        progressive: options.progressive,
        role: job.array.role,
        attributes: job.array.attributes.clone(),
        elements: on,
        companions: job.companions.iter().filter(|(used, _)| needed.contains(used)).cloned().collect(),
        keep: job.keep,
        progress: Some(&progress),
    };
    writer.put_array(&job.name, source, settings)
}

/// The chain made for such an array, where the choice is ours and it can do what is asked: what is not lossy, or has a floor.
fn suited(job: &Job, options: &Options, plan: &Plan) -> Option<Chain> {
    let own = job.array.suits.as_ref().filter(|_| elements::are_ours(options))?;
    let hint = plan.hint;
    let chain = match (job.lossy, hint.is_exact(), hint.rel > 0.0) {
        (false, ..) if job.array.role == Role::Field => return None,
        (false, ..) => own.clone(),
        (true, true, _) => return None,
        // Integers of 32 bits do not tell the largest values within the tolerance.
        (true, false, false) if plan.stats.max.max(-plan.stats.min) > hint.abs * f64::from(1 << 29) => return None,
        (true, false, false) => own.clone(),
        (true, false, true) if hint.abs > 0.0 => {
            let steps = own.as_array().cloned().unwrap_or_default();
            let log = json!({ "id": "log", "scale": hint.abs / hint.rel });
            Value::Array(std::iter::once(log).chain(steps).collect())
        }
        _ => return None,
    };
    Chain::from_json(&chain).ok()
}

/// Errors unless every pattern fits an array.
fn check_patterns(options: &FileOptions, jobs: &[Job]) -> Result<()> {
    for g in &options.arrays {
        if !jobs.iter().any(|j| g.matches(&j.array.name) || g.matches(&j.name)) {
            let names: Vec<&str> = jobs.iter().take(12).map(|j| j.name.as_str()).collect();
            let more = if jobs.len() > names.len() { " ..." } else { "" };
            return Err(Error::invalid(format!(
                "expected a pattern that fits an array ({}{more}), found {g}",
                names.join(" ")
            )));
        }
    }
    Ok(())
}

/// Errors where a block was given and no lossy array has its rank.
fn check_block(options: &FileOptions, jobs: &[Job]) -> Result<()> {
    let Some(block) = &options.lossy.block else { return Ok(()) };
    let mut lossy = jobs.iter().filter(|j| j.lossy).peekable();
    let Some(first) = lossy.peek().map(|j| j.array.source.shape()) else { return Ok(()) };
    if lossy.any(|j| j.array.source.shape().rank() == block.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("expected a block of {} extents for shape {first}, found {block:?}", first.rank())))
}

/// Fills in which arrays the chains need, marks those as kept, and returns the order to store in, and what each needs.
fn find_companions(options: &FileOptions, jobs: &mut [Job]) -> Result<(Vec<usize>, Vec<Vec<usize>>)> {
    let of_chains: Vec<String> = match &options.lossy.choice {
        Choice::Chains(chains) => chains.iter().flat_map(|c| c.companions()).collect(),
        _ => Vec::new(),
    };
    let places: HashMap<String, usize> = jobs.iter().enumerate().map(|(i, j)| (j.name.clone(), i)).collect();
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(jobs.len());
    for job in jobs.iter_mut() {
        let mut of = Vec::new();
        let told = job.array.velocities.iter().flat_map(Velocities::companions).map(String::from);
        let mut used: Vec<String> = of_chains.iter().cloned().chain(told).filter(|_| job.lossy).collect();
        let own = job.array.suits.as_ref().and_then(|s| Chain::from_json(s).ok());
        used.extend(own.iter().flat_map(Chain::companions));
        if job.lossy && elements::are_ours(&options.lossy) {
            used.extend(job.elements.iter().flat_map(|e| e.coordinates.clone()));
            used.extend(job.previous.clone().filter(|_| !options.lossy.bound.is_lossless()));
        }
        used.sort_unstable();
        used.dedup();
        for name in &used {
            let own = format!("{}{name}", job.prefix);
            let found = places.get_key_value(&own).or_else(|| places.get_key_value(name));
            let (stored, &place) = found.ok_or_else(|| {
                Error::invalid(format!("expected the companion {name:?} of array {:?}, found no such array", job.name))
            })?;
            of.push(place);
            job.companions.push((name.clone(), stored.clone()));
        }
        needs.push(of);
    }
    for &place in needs.iter().flatten() {
        if let Some(j) = jobs.get_mut(place) {
            j.keep = true;
        }
    }
    let order = order(&needs).map_err(|cycle| {
        let names: Vec<_> = cycle.iter().filter_map(|&i| jobs.get(i)).map(|j| j.name.as_str()).collect();
        Error::invalid(format!(
            "expected companions that do not need each other, found a circle among {}; name the arrays to be lossy",
            names.join(", ")
        ))
    })?;
    Ok((order, needs))
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::array::{DType, Region, Shape, SliceMut};
    use crate::bound::Term;
    use crate::codec::{Block, BlockCodec, Chain, Claim, Codec, Limits, Site, Spec};
    use crate::container::Archive;
    use crate::io::npy;

    fn file(name: &str, shape: &[usize], values: &[f32]) -> Input {
        let mut bytes = npy::header(DType::F32, &Shape::new(shape).unwrap());
        values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        Input::from_bytes(name, bytes)
    }

    /// Stores differences from its companion.
    #[derive(Debug)]
    struct Beside(&'static str);

    impl Codec for Beside {
        fn id(&self) -> &'static str {
            "beside"
        }
        fn config(&self) -> serde_json::Value {
            json!({})
        }
        fn bind(&self, _: &[u8], _: &Spec) -> Result<Box<dyn BlockCodec>> {
            Ok(Box::new(BoundBeside))
        }
        fn companions(&self) -> Vec<String> {
            vec![self.0.into()]
        }
    }

    struct BoundBeside;

    impl BlockCodec for BoundBeside {
        fn encode(&self, x: &Block<'_>, _: &Term, out: &mut Vec<u8>) -> Result<Claim> {
            let other = x.site.companions[0].1.data().to_f64();
            let same = x.values.to_f64() == other;
            out.push(u8::from(same));
            Ok(Claim::Unchecked)
        }
        fn decode(&self, bytes: &[u8], site: &Site<'_>, mut out: SliceMut<'_>) -> Result<()> {
            if bytes == [1] {
                out.copy_from(site.companions[0].1.data())?;
            }
            Ok(())
        }
    }

    fn with(codec: Beside, arrays: &[&str]) -> FileOptions {
        let mut options = FileOptions::new(Bound::Abs(0.0));
        options.lossy.choice = Choice::Chains(vec![Chain::of(Box::new(codec))]);
        options.arrays = arrays.iter().map(|a| a.parse().unwrap()).collect();
        options
    }

    #[test]
    fn companions_are_stored_first_and_handed_over_decoded() {
        let noise: Vec<f32> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32).collect();
        let inputs = [file("a.npy", &[4000], &noise), file("b.npy", &[4000], &noise)];
        let mut out = Vec::new();
        let options = with(Beside("b.npy:data"), &["a.npy:*"]);
        let report = compress_files(&inputs, &mut out, &options, None).unwrap();
        let names: Vec<_> = report.arrays.iter().map(|a| a.header.name.as_str()).collect();
        assert_eq!(names, ["b.npy:data", "a.npy:data"]);
        let a = &report.arrays[1];
        assert_eq!(a.header.companions, [("b.npy:data".to_string(), "b.npy:data".to_string())]);
        assert!(a.bytes < 20, "{} bytes: the companion was not used", a.bytes);
        assert_eq!((report.bytes, report.input_bytes), (out.len() as u64, 2 * (128 + 16_000)));

        let message = |o: &FileOptions| compress_files(&inputs, Vec::new(), o, None).unwrap_err().message().to_string();
        assert!(message(&with(Beside("c"), &["a.npy:*"])).contains("companion \"c\""));
        assert!(message(&with(Beside("data"), &["data"])).contains("a circle"));
    }

    #[test]
    fn roles_patterns_and_blocks_decide_how_arrays_are_stored() {
        let values: Vec<f32> = (0..6000).map(|i| libm::sinf(i as f32 * 0.01)).collect();
        let inputs = [file("a.npy", &[60, 100], &values), file("b.npy", &[6000], &values)];
        let mut options = FileOptions::new(Bound::Abs(1e-3));
        options.lossy.block = Some(vec![32, 32]);
        let mut out = Vec::new();
        let report = compress_files(&inputs, &mut out, &options, None).unwrap();
        assert_eq!(
            (&report.arrays[0].header.block[..], &report.arrays[1].header.block[..]),
            (&[32, 32][..], &[6000][..])
        );
        assert!(report.arrays.iter().all(|a| a.header.bound == Bound::Abs(1e-3)));
        options.arrays = vec!["b*".parse().unwrap()];
        assert!(compress_files(&inputs, Vec::new(), &options, None).unwrap_err().message().contains("1 extents"));
        options.lossy.block = None;
        let report = compress_files(&inputs, &mut Vec::new(), &options, None).unwrap();
        assert_eq!(
            (&report.arrays[0].header.bound, &report.arrays[1].header.bound),
            (&Bound::Lossless, &Bound::Abs(1e-3))
        );
        let same = [inputs[0].clone(), inputs[0].clone()];
        assert!(compress_files(&same, Vec::new(), &options, None).unwrap_err().message().contains("twice"));
        // The archive holds both files, and each comes back.
        let archive = Archive::open(Arc::new(out), Limits::default()).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            let mut back = Vec::new();
            super::super::restore_file(&archive, i, &mut back, None).unwrap();
            let (x, y) = (&inputs[i], npy::read_npy(&back).unwrap());
            let mut bytes = vec![0; x.bytes.size().unwrap() as usize];
            x.bytes.read_at(0, &mut bytes).unwrap();
            let x = npy::read_npy(&bytes).unwrap();
            assert_eq!((x.shape(), input.name.len()), (y.shape(), 5));
            let pairs = x.as_typed::<f32>().unwrap().iter().zip(y.as_typed::<f32>().unwrap());
            assert!(pairs.into_iter().all(|(x, y)| (x - y).abs() <= 1e-3));
            assert!(super::super::verify_file(input, &archive, i, None).unwrap().holds());
        }
        let all = Region::all(Shape::new(&[60, 100]).unwrap());
        assert_eq!(archive.read_region("a.npy:data", &all).unwrap().shape(), all.shape());
    }
}
