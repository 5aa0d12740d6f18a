//! What keeping distributions compressed costs a solver: a grid is swept step by step, each cell decoded, advected in velocity by a part of a
//! velocity cell, and encoded again; beside it runs the same without compression.
//!
//! `cargo run --release --example vdf_sweep -- FILE.vlsv [STEPS] [BOUND] [THREADS] [conserve]`, for example `... ipshock.vlsv 100 1e-15 1`. With
//! `conserve` density, momentum and energy are those of what was written.

use std::sync::Arc;
use std::time::Instant;

use fieldpress::io::vlsv::Vlsv;
use fieldpress::store::VdfStore;
use fieldpress::vdf::{BlockBox, Dense, Distribution, Mesh, MomentErrors, Moments, Sparse};
use fieldpress::{Bound, Error, Result};
use rayon::prelude::*;

/// The sparsity threshold in s^3/m^6.
const THRESHOLD: f32 = 1e-15;
/// How far distributions move in a step, in velocity cells.
const SHIFT: f32 = 0.25;

/// The blocks with a value above the threshold, and those beside them.
fn content(dense: &Dense<f32>, part: &BlockBox, mesh: &Mesh) -> Vec<u32> {
    let [nx, ny, _] = part.blocks;
    let mut keep = vec![false; part.blocks.iter().product()];
    let width = nx * 4;
    for (row, values) in dense.values().chunks_exact(width.max(1)).enumerate() {
        let (y, z) = (row % (4 * ny) / 4, row / (16 * ny));
        for (x, block) in values.chunks_exact(4).enumerate() {
            keep[x + nx * (y + ny * z)] |= block.iter().any(|f| *f >= THRESHOLD);
        }
    }
    let places: Vec<[usize; 3]> = part.places().collect();
    let near = |p: &[usize; 3]| {
        let [x, y, z] = [0, 1, 2].map(|a| p[a] - part.origin[a]);
        let range = |v: usize, n: usize| v.saturating_sub(1)..(v + 2).min(n);
        range(z, part.blocks[2]).any(|k| range(y, ny).any(|j| range(x, nx).any(|i| keep[i + nx * (j + ny * k)])))
    };
    places.iter().filter(|p| near(p)).filter_map(|p| mesh.block_id(*p)).collect()
}

/// A box with a margin of a block, inside the mesh.
fn margin(part: &BlockBox, mesh: &Mesh) -> BlockBox {
    let origin: [usize; 3] = std::array::from_fn(|a| part.origin[a].saturating_sub(1));
    let end = |a: usize| (part.origin[a] + part.blocks[a] + 1).min(mesh.blocks()[a]);
    BlockBox { origin, blocks: std::array::from_fn(|a| end(a) - origin[a]) }
}

/// First-order upwind advection along an axis; what leaves the box is lost.
fn advect(f: &Sparse<f32>, axis: usize, shift: f32) -> Result<Sparse<f32>> {
    if f.ids().is_empty() {
        return Ok(f.clone());
    }
    let mesh = *f.mesh();
    let part = margin(&f.bounds(), &mesh);
    let mut dense = f.to_dense(&part)?;
    let cells = part.blocks.map(|n| n * 4);
    let stride = [1, cells[0], cells[0] * cells[1]][axis];
    let before = dense.values().to_vec();
    let n = cells[axis];
    for (i, v) in dense.values_mut().iter_mut().enumerate() {
        let at = i / stride % n;
        let from = match shift > 0.0 {
            true if at > 0 => before[i - stride],
            false if at + 1 < n => before[i + stride],
            _ => 0.0,
        };
        *v += shift.abs() * (from - before[i]);
    }
    let ids = content(&dense, &part, &mesh);
    Sparse::from_dense(mesh, &part, &dense, ids)
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or_else(|| Error::invalid("expected a VLSV file"))?;
    let rest: Vec<String> = args.collect();
    let number = |k: usize, default: f64| match rest.get(k) {
        Some(text) => text.parse().map_err(|_| Error::invalid(format!("expected a number, found {text:?}"))),
        None => Ok(default),
    };
    let (steps, abs, threads) = (number(0, 100.0)? as usize, number(1, 1e-15)?, number(2, 1.0)? as usize);
    let bound = match rest.get(3).map(String::as_str) {
        None => Bound::Abs(abs),
        Some("conserve") => Bound::All(vec![Bound::Abs(abs), Bound::Conserve]),
        Some(other) => return Err(Error::invalid(format!("expected conserve or nothing, found {other:?}"))),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::invalid(format!("expected to start {threads} threads: {e}")))?;
    pool.install(|| sweep(&path, steps, bound, threads))
}

fn sweep(path: &str, steps: usize, bound: Bound, threads: usize) -> Result<()> {
    let vlsv = Vlsv::open(Arc::new(std::fs::read(path)?))?;
    let population = vlsv.populations().first().map(|p| p.to_string());
    let population = population.ok_or_else(|| Error::invalid("expected velocity distributions, found none"))?;
    let nodes = vlsv.velocity_mesh(&population)?.nodes;
    let mesh = Mesh::from_nodes([&nodes[0], &nodes[1], &nodes[2]])?;
    let cells = vlsv.cells_with_blocks(&population)?;
    let store = VdfStore::<f32>::new(mesh, cells.len(), bound, 0)?;
    let mut plain = Vec::new();
    for (k, cell) in cells.iter().enumerate() {
        let (ids, values) = vlsv.blocks_of(&population, cell)?;
        let values = values.as_typed::<f32>().ok_or_else(|| Error::unsupported("expected values of type f32"))?;
        let f = Sparse::new(mesh, ids, values.to_vec())?;
        store.put(k, &f)?;
        plain.push(f);
    }
    let memory = store.memory();
    println!(
        "{} cells, {:.1} MB raw, {:.2} MB compressed: {:.1} times less",
        cells.len(),
        memory.raw as f64 / 1e6,
        memory.compressed as f64 / 1e6,
        memory.raw as f64 / memory.compressed as f64
    );
    let (mut coded, mut uncoded, mut bytes) = (0.0, 0.0, 0.0);
    for step in 0..steps {
        let (axis, shift) = (step % 3, if step / 3 % 2 == 0 { SHIFT } else { -SHIFT });
        bytes += store.memory().raw as f64;
        let started = Instant::now();
        (0..plain.len()).into_par_iter().try_for_each(|k| store.modify(k, |f| advect(f, axis, shift)))?;
        coded += started.elapsed().as_secs_f64();
        let started = Instant::now();
        plain.par_iter_mut().try_for_each(|f| {
            *f = advect(f, axis, shift)?;
            Ok::<(), Error>(())
        })?;
        uncoded += started.elapsed().as_secs_f64();
    }
    let mut worst = [0.0f64; 4];
    for (k, f) in plain.iter().enumerate() {
        let errors = MomentErrors::shares(&Moments::of(f), &Moments::of(store.get(k)?.as_ref()));
        worst.iter_mut().zip(errors).for_each(|(w, e)| *w = w.max(e.abs()));
    }
    let memory = store.memory();
    println!(
        "{steps} steps on {threads} threads: {:.1} cells/s, {:.1} MB/s read, changed and written ({:.1} MB/s where nothing is compressed)",
        (steps * plain.len()) as f64 / coded,
        bytes / coded / 1e6,
        bytes / uncoded / 1e6
    );
    println!("then {:.1} times less memory", memory.raw as f64 / memory.compressed as f64);
    let [n, u, p, q] = worst;
    println!("drift of moments: n {n:.2e}, u {u:.2e} v_th, P {p:.2e}, q {q:.2e}");
    Ok(())
}
