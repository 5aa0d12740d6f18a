//! Velocity distributions: one sparse set of velocity blocks for each spatial cell that saves one.
//!
//! # Format
//! For each population P (attribute `name`), concatenated over the cells in the order of `CELLSWITHBLOCKS`:
//!
//! | array | per | values |
//! |---|---|---|
//! | `CELLSWITHBLOCKS` | cell | `u64`, the id of the spatial cell |
//! | `BLOCKSPERCELL` | cell | `u32`, how many blocks it has |
//! | `BLOCKIDS` | block | `u32`, bx + Nx (by + Ny bz), where Nx, Ny, Nz blocks make the velocity mesh |
//! | `BLOCKVARIABLE` | block | W^3 floats, the phase-space density f in s^3/m^6, vx fastest, then vy, then vz |
//!
//! The velocity mesh (attribute `mesh` = P) is `MESH_BBOX`, six integers Nx, Ny, Nz, W, W, W, and
//! `MESH_NODE_CRDS_X`, `_Y`, `_Z`, the W N + 1 cell boundaries along each axis in m/s. Files older than version 3 have one
//! population, named `avgs` or not at all, and a uniform mesh from the parameters `vxblocks_ini`, `vxmin`, `vxmax`, ...

use super::footer::Tag;
use super::reader::Vlsv;
use crate::array::Array;
use crate::error::{Error, Result};

/// The population of files that do not name theirs.
const UNNAMED: &str = "avgs";
/// The most velocity cells along an axis; real meshes have a few hundred.
const MAX_CELLS: f64 = 1e6;

/// The mesh on which the velocity distributions of a population lie. Axes are in the order vx, vy, vz.
#[derive(Clone, Debug, PartialEq)]
pub struct VelocityMesh {
    /// The number of blocks along each axis.
    pub blocks: [usize; 3],
    /// The width of a block in cells (WID).
    pub width: usize,
    /// The boundaries of the cells along each axis in m/s; one more than there are cells.
    pub nodes: [Vec<f64>; 3],
}

impl VelocityMesh {
    /// The place of a block in the mesh of blocks, as (bx, by, bz); `None` for an id outside the mesh.
    pub fn block_index(&self, id: u32) -> Option<[usize; 3]> {
        let [nx, ny, nz] = self.blocks;
        let id = id as usize;
        let row = id.checked_div(nx)?;
        let index = [id % nx, row % ny.max(1), row.checked_div(ny)?];
        (index[2] < nz).then_some(index)
    }
    /// The widths of the cells along `axis` in m/s; empty for an axis above 2.
    pub fn cell_widths(&self, axis: usize) -> Vec<f64> {
        let widths = |n: &Vec<f64>| n.windows(2).map(|w| w[1] - w[0]).collect();
        self.nodes.get(axis).map(widths).unwrap_or_default()
    }
}

/// The blocks of one spatial cell among all blocks of a population.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellBlocks {
    /// The id of the spatial cell.
    pub cell: u64,
    /// The index of its first block in `BLOCKIDS` and `BLOCKVARIABLE`.
    pub first: usize,
    /// The number of its blocks.
    pub count: usize,
}

impl Vlsv {
    /// The populations that have velocity distributions, in the order of the file; `avgs` for one without a name.
    pub fn populations(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for t in self.tags().iter().filter(|t| t.tag == "BLOCKVARIABLE") {
            let name = t.name().unwrap_or(UNNAMED);
            if !found.contains(&name) {
                found.push(name);
            }
        }
        found
    }
    /// The array `tag` of a population. Files with one population may leave it unnamed, or name it after the mesh.
    pub(super) fn of_population(&self, tag: &str, population: &str) -> Result<&Tag> {
        match self.find(tag, Some(population), None) {
            Some(t) => Ok(t),
            None if population == UNNAMED => self.require(tag, None, None),
            None => self.require(tag, Some(population), None),
        }
    }
    /// The velocity mesh of a population. Errors: `InvalidArgument` when the file has none; `Corrupt`.
    pub fn velocity_mesh(&self, population: &str) -> Result<VelocityMesh> {
        let Some(bbox) = self.find("MESH_BBOX", None, Some(population)) else {
            return self.uniform_mesh(population);
        };
        let shape = self.integers(bbox)?;
        let count = |k: usize| shape.get(k).and_then(|&n| usize::try_from(n).ok()).filter(|&n| n > 0);
        let (Some(nx), Some(ny), Some(nz), Some(width)) = (count(0), count(1), count(2), count(3)) else {
            return Err(Error::corrupt(format!("expected the extents of a mesh, found {shape:?}")).at(bbox));
        };
        if shape.get(3..6) != Some(&[width as u64; 3]) {
            return Err(Error::corrupt(format!("expected blocks as wide along every axis, found {shape:?}")).at(bbox));
        }
        let blocks = [nx, ny, nz];
        let nodes = |axis: usize, tag: &str| {
            let tag = self.require(tag, None, Some(population))?;
            let nodes = self.reals(tag)?;
            let expected = blocks[axis].checked_mul(width).and_then(|n| n.checked_add(1));
            if expected != Some(nodes.len()) {
                let n = blocks[axis];
                return Err(Error::corrupt(format!(
                    "expected the boundaries of {n} blocks of {width} cells, found {}",
                    nodes.len()
                ))
                .at(tag));
            }
            Ok(nodes)
        };
        let nodes = [nodes(0, "MESH_NODE_CRDS_X")?, nodes(1, "MESH_NODE_CRDS_Y")?, nodes(2, "MESH_NODE_CRDS_Z")?];
        Ok(VelocityMesh { blocks, width, nodes })
    }
    /// The velocity mesh that the parameters of old files describe.
    fn uniform_mesh(&self, population: &str) -> Result<VelocityMesh> {
        let block = self.of_population("BLOCKVARIABLE", population)?.shape()?;
        let width = if block.rank() == 4 { block[3] } else { 4 };
        let mut mesh = VelocityMesh { blocks: [0; 3], width, nodes: Default::default() };
        for (k, axis) in ["x", "y", "z"].into_iter().enumerate() {
            let blocks = self.parameter(&format!("v{axis}blocks_ini"))?;
            let (low, high) = (self.parameter(&format!("v{axis}min"))?, self.parameter(&format!("v{axis}max"))?);
            let cells = blocks * width as f64;
            if !(1.0..=MAX_CELLS).contains(&cells) || !low.is_finite() || !high.is_finite() {
                return Err(Error::corrupt(format!(
                    "expected a velocity mesh, found {blocks} blocks from {low} to {high} m/s along {axis}"
                )));
            }
            mesh.blocks[k] = blocks as usize;
            let n = mesh.blocks[k] * width;
            let step = (high - low) / n as f64;
            mesh.nodes[k] = (0..=n).map(|i| low + step * i as f64).collect();
        }
        Ok(mesh)
    }
    /// The spatial cells that save a distribution of `population`, in the order of the file.
    /// Errors: `InvalidArgument` when the file has none; `Corrupt`.
    pub fn cells_with_blocks(&self, population: &str) -> Result<Vec<CellBlocks>> {
        let ids = self.integers(self.of_population("CELLSWITHBLOCKS", population)?)?;
        let counts = self.integers(self.of_population("BLOCKSPERCELL", population)?)?;
        if ids.len() != counts.len() {
            return Err(Error::corrupt(format!(
                "expected a number of blocks for each of {} cells of {population:?}, found {}",
                ids.len(),
                counts.len()
            )));
        }
        let mut first = 0usize;
        let place = |(cell, count): (u64, u64)| {
            let start = first;
            let count = usize::try_from(count).ok();
            match count.and_then(|c| Some((c, first.checked_add(c)?))) {
                Some((count, next)) => {
                    first = next;
                    Ok(CellBlocks { cell, first: start, count })
                }
                None => Err(Error::corrupt(format!("expected a number of blocks, found one too large in cell {cell}"))),
            }
        };
        ids.into_iter().zip(counts).map(place).collect()
    }
    /// The distribution of a population in one spatial cell: the ids of its blocks, and their values of shape
    /// `[n, w, w, w]` with the axes block, vz, vy, vx. To read many cells, use [`Vlsv::blocks_of`].
    /// Errors: `InvalidArgument` when the cell saves none; `Unsupported` when the blocks are compressed; `Corrupt`.
    pub fn blocks(&self, population: &str, cell: u64) -> Result<(Vec<u32>, Array)> {
        let cells = self.cells_with_blocks(population)?;
        let found = cells.iter().find(|c| c.cell == cell);
        let found = found.ok_or_else(|| {
            Error::invalid(format!("expected a cell that saves a distribution of {population:?}, found {cell}"))
        })?;
        self.blocks_of(population, found)
    }
    /// The distribution that [`Vlsv::cells_with_blocks`] found for a cell; as [`Vlsv::blocks`].
    pub fn blocks_of(&self, population: &str, cell: &CellBlocks) -> Result<(Vec<u32>, Array)> {
        let values = self.of_population("BLOCKVARIABLE", population)?;
        let float = values.dtype().is_some_and(|d| d.is_float());
        if !float || values.shape()?.rank() != 4 {
            let found = values.attribute("compression").unwrap_or("another type");
            return Err(Error::unsupported(format!("expected blocks of floats, found {found}")).at(values));
        }
        let ids = self.of_population("BLOCKIDS", population)?;
        let read = self.read_part(ids, cell.first, cell.count)?;
        let values = self.read_part(values, cell.first, cell.count)?;
        let narrow = |&x: &u64| u32::try_from(x).ok();
        let found = match read.as_typed::<u32>() {
            Some(ids) => Some(ids.to_vec()),
            None => read.as_typed::<u64>().and_then(|v| v.iter().map(narrow).collect()),
        };
        let found = found.filter(|f| f.len() == cell.count);
        let found =
            found.ok_or_else(|| Error::corrupt("expected one identifier of 32 bits a block, found others").at(ids))?;
        Ok((found, values))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sample::File;
    use super::*;
    use crate::array::{Buffer, Endian};
    use crate::error::ErrorKind;
    use crate::io::testing::shared;

    /// The largest differences between density and velocity of the file and those of f, over all cells, relative to
    /// density and speed. The velocity tells the axes apart.
    fn moment_errors(file: Vec<u8>) -> (f64, f64) {
        let v = Vlsv::open(Arc::new(file)).unwrap();
        assert_eq!(v.populations(), ["proton"]);
        let mesh = v.velocity_mesh("proton").unwrap();
        let widths = [0, 1, 2].map(|k| mesh.cell_widths(k));
        let variable = |name| v.find("VARIABLE", Some(name), None).unwrap();
        let cell_ids = v.integers(variable("CellID")).unwrap();
        let density = v.reals(variable("proton/vg_rho")).unwrap();
        let velocity = v.reals(variable("proton/vg_v")).unwrap();
        let cells = v.cells_with_blocks("proton").unwrap();
        assert!(!cells.is_empty());
        let (mut of_density, mut of_velocity) = (0f64, 0f64);
        for c in &cells {
            let (ids, values) = v.blocks("proton", c.cell).unwrap();
            assert_eq!((ids.len(), values.shape().dims()), (c.count, &[c.count, 4, 4, 4][..]));
            let f = values.data().to_f64();
            let (mut n, mut flux) = (0.0, [0.0; 3]);
            for (id, block) in ids.iter().zip(f.chunks_exact(64)) {
                let b = mesh.block_index(*id).unwrap();
                for (i, f) in block.iter().enumerate() {
                    let at = [4 * b[0] + i % 4, 4 * b[1] + i / 4 % 4, 4 * b[2] + i / 16];
                    let mass = f * widths[0][at[0]] * widths[1][at[1]] * widths[2][at[2]];
                    n += mass;
                    for k in 0..3 {
                        flux[k] += mass * (mesh.nodes[k][at[k]] + widths[k][at[k]] / 2.0);
                    }
                }
            }
            let row = cell_ids.iter().position(|&id| id == c.cell).unwrap();
            let stored = &velocity[3 * row..3 * row + 3];
            let speed = stored.iter().map(|v| v * v).sum::<f64>().sqrt();
            of_density = of_density.max((n - density[row]).abs() / density[row]);
            of_velocity = stored.iter().zip(flux).fold(of_velocity, |w, (v, f)| w.max((f / n - v).abs() / speed));
        }
        (of_density, of_velocity)
    }

    #[test]
    fn distributions_integrate_to_the_moments_of_the_file() {
        let sample = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/ipshock.vlsv")).unwrap();
        // In a changing cell, the velocity that the simulation saves is not quite that of the f it saves.
        let near = |(density, velocity): (f64, f64)| assert!(density < 1e-6 && velocity < 1e-2, "{density} {velocity}");
        near(moment_errors(sample));
        shared("vdf/ipshock_t12.vlsv").map(moment_errors).into_iter().for_each(near);
        if let Some(file) = shared("vdf/bulk.1d.vlsv") {
            let (density, velocity) = moment_errors(file);
            assert!(density < 1e-12 && velocity < 1e-12, "{density} {velocity}");
        }
    }

    /// Two populations on different meshes, the second with blocks of 2^3 cells.
    fn two_populations(endian: Endian) -> File {
        let mut f = File::new(endian);
        for (p, w, n) in [("proton", 4usize, 2usize), ("helium", 2, 3)] {
            let (name, mesh) = ([("name", p), ("mesh", "SpatialGrid")], [("mesh", p)]);
            let values = (0..n * w * w * w).map(|i| i as f32 + n as f32).collect();
            f = f
                .array("CELLSWITHBLOCKS", &name, 1, Buffer::U64(vec![7, 9, 3]))
                .array("BLOCKSPERCELL", &name, 1, Buffer::U32(vec![1, 0, n as u32 - 1]))
                .array("BLOCKIDS", &name, 1, Buffer::U32((0..n as u32).map(|i| 5 + i).collect()))
                .array("BLOCKVARIABLE", &name, w * w * w, Buffer::F32(values))
                .array("MESH_BBOX", &mesh, 1, Buffer::U64([2, 3, 2, w, w, w].map(|x| x as u64).into()));
            for (tag, n) in [("MESH_NODE_CRDS_X", 2), ("MESH_NODE_CRDS_Y", 3), ("MESH_NODE_CRDS_Z", 2)] {
                f = f.array(tag, &mesh, 1, Buffer::F64((0..=n * w).map(|i| i as f64 - 4.0).collect()));
            }
        }
        f
    }

    #[test]
    fn populations_are_kept_apart() {
        for endian in [Endian::Little, Endian::Big] {
            let v = Vlsv::open(Arc::new(two_populations(endian).finish())).unwrap();
            assert_eq!(v.populations(), ["proton", "helium"]);
            let mesh = v.velocity_mesh("helium").unwrap();
            assert_eq!((mesh.blocks, mesh.width, mesh.nodes[1].len()), ([2, 3, 2], 2, 7));
            assert_eq!((mesh.block_index(5), mesh.block_index(11)), (Some([1, 2, 0]), Some([1, 2, 1])));
            assert_eq!((mesh.block_index(12), mesh.cell_widths(0)), (None, vec![1.0; 4]));
            let cells = v.cells_with_blocks("helium").unwrap();
            assert_eq!(cells[2], CellBlocks { cell: 3, first: 1, count: 2 });
            let (ids, f) = v.blocks("helium", 3).unwrap();
            assert_eq!((ids, f.shape().dims()), (vec![6, 7], &[2, 2, 2, 2][..]));
            assert_eq!(f.as_typed::<f32>().unwrap()[..2], [11.0, 12.0]);
            assert_eq!(v.blocks("helium", 9).unwrap().1.shape().dims(), [0, 2, 2, 2]);
            assert_eq!(v.blocks("helium", 4).unwrap_err().kind(), ErrorKind::InvalidArgument);
            assert_eq!(v.blocks("oxygen", 3).unwrap_err().kind(), ErrorKind::InvalidArgument);
            assert_eq!(v.velocity_mesh("oxygen").unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn old_files_have_one_population_without_a_name() {
        let mut f = File::new(Endian::Little)
            .array("CELLSWITHBLOCKS", &[("name", "SpatialGrid")], 1, Buffer::U64(vec![1]))
            .array("BLOCKSPERCELL", &[("name", "SpatialGrid")], 1, Buffer::U32(vec![1]))
            .array("BLOCKIDS", &[("name", "SpatialGrid")], 1, Buffer::U32(vec![3]))
            .array("BLOCKVARIABLE", &[("name", "avgs")], 64, Buffer::F64(vec![0.5; 64]));
        for axis in ["x", "y", "z"] {
            let values = [("blocks_ini", "2"), ("min", "-8"), ("max", "8.0")];
            for (what, v) in values {
                f = f.element(&format!("<PARAMETERS name=\"v{axis}{what}\" value=\"{v}\"/>"));
            }
        }
        let v = Vlsv::open(Arc::new(f.clone().finish())).unwrap();
        assert_eq!(v.populations(), ["avgs"]);
        let mesh = v.velocity_mesh("avgs").unwrap();
        assert_eq!((mesh.blocks, mesh.width, &mesh.nodes[2][..3]), ([2; 3], 4, &[-8.0, -6.0, -4.0][..]));
        let (ids, f) = v.blocks("avgs", 1).unwrap();
        assert_eq!((ids, f.shape().dims()), (vec![3], &[1, 4, 4, 4][..]));
    }

    #[test]
    fn wrong_counts_are_refused() {
        let name = [("name", "p")];
        let file = |per_cell: u32, width: u64, compressed: bool| {
            let f = File::new(Endian::Little)
                .array("CELLSWITHBLOCKS", &name, 1, Buffer::U64(vec![1]))
                .array("BLOCKSPERCELL", &name, 1, Buffer::U32(vec![per_cell]))
                .array("BLOCKIDS", &name, 1, Buffer::U32(vec![0]))
                .array("MESH_BBOX", &[("mesh", "p")], 1, Buffer::U64(vec![1, 1, 1, width, width, width]))
                .array("MESH_NODE_CRDS_X", &[("mesh", "p")], 1, Buffer::F64(vec![0.0; 5]))
                .array("MESH_NODE_CRDS_Y", &[("mesh", "p")], 1, Buffer::F64(vec![0.0; 5]))
                .array("MESH_NODE_CRDS_Z", &[("mesh", "p")], 1, Buffer::F64(vec![0.0; 5]));
            let f = if compressed {
                f.array("BLOCKVARIABLE", &[("name", "p"), ("compression", "ZFP")], 1, Buffer::U8(vec![0; 9]))
            } else {
                f.array("BLOCKVARIABLE", &name, 64, Buffer::F32(vec![0.0; 64]))
            };
            Vlsv::open(Arc::new(f.finish())).unwrap()
        };
        assert!(file(1, 4, false).blocks("p", 1).is_ok() && file(1, 4, false).velocity_mesh("p").is_ok());
        assert_eq!(file(2, 4, false).blocks("p", 1).unwrap_err().kind(), ErrorKind::Corrupt);
        for width in [0, 3, u64::MAX] {
            assert_eq!(file(1, width, false).velocity_mesh("p").unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(file(1, 4, true).blocks("p", 1).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
