//! Distributions with a value in every cell of their mesh.

use super::mesh::Mesh;
use crate::array::{Array, Element};
use crate::dispatch;
use crate::error::{Error, Result};

/// A distribution on a uniform mesh, as integrals over velocity space see it.
pub trait Distribution {
    /// The mesh.
    fn mesh(&self) -> &Mesh;
    /// Calls `visit` with runs of cells along vx: the first cell of a run and its values. Each cell comes at most once;
    /// those that do not come hold 0.
    fn for_each_run(&self, visit: impl FnMut([usize; 3], &[f64]));
}

/// A distribution as the values of all cells of a mesh, in C order `[vz][vy][vx]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense<T> {
    mesh: Mesh,
    values: Vec<T>,
}

impl<T: Element> Dense<T> {
    /// Errors: `InvalidArgument` unless there is one value a cell.
    pub fn new(mesh: Mesh, values: Vec<T>) -> Result<Dense<T>> {
        if mesh.shape().len() != values.len() {
            let found = values.len();
            return Err(Error::invalid(format!("expected a value for each of {} cells, found {found}", mesh.shape())));
        }
        Ok(Dense { mesh, values })
    }
    /// Zeros. Errors: `LimitExceeded` when the memory cannot be had.
    pub fn zeros(mesh: Mesh) -> Result<Dense<T>> {
        let mut values = Vec::new();
        values.try_reserve_exact(mesh.shape().len()).map_err(|_| {
            Error::limit(format!("expected memory for {} velocity cells, found too little", mesh.shape()))
        })?;
        values.resize(mesh.shape().len(), T::default());
        Ok(Dense { mesh, values })
    }
    /// The values in C order.
    pub fn values(&self) -> &[T] {
        &self.values
    }
    /// The values in C order, mutable.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
    /// As an array of shape `[vz, vy, vx]`.
    pub fn into_array(self) -> Result<Array> {
        Array::new(self.mesh.shape(), T::into_buffer(self.values))
    }
}

impl Dense<f64> {
    /// The values of an array of shape `[vz, vy, vx]` on a mesh of unit width; see [`Mesh::unit`].
    /// Errors: `InvalidArgument` unless the array has three axes.
    pub fn of_array(array: &Array) -> Result<Dense<f64>> {
        let &[nz, ny, nx] = array.shape().dims() else {
            return Err(Error::invalid(format!("expected an array [vz, vy, vx], found the shape {}", array.shape())));
        };
        let mut dense = Dense::zeros(Mesh::unit([nx, ny, nz])?)?;
        fn widen<T: Element>(from: &[T], to: &mut [f64]) {
            to.iter_mut().zip(from).for_each(|(t, f)| *t = f.to_f64());
        }
        dispatch!(Slice, array.data(), v => widen(v, &mut dense.values));
        Ok(dense)
    }
}

impl<T: Element> Distribution for Dense<T> {
    fn mesh(&self) -> &Mesh {
        &self.mesh
    }
    fn for_each_run(&self, mut visit: impl FnMut([usize; 3], &[f64])) {
        let [nx, ny, _] = self.mesh.cells();
        let mut run = Vec::with_capacity(nx);
        for (i, row) in self.values.chunks_exact(nx.max(1)).enumerate() {
            run.clear();
            run.extend(row.iter().map(|f| f.to_f64()));
            visit([0, i % ny.max(1), i / ny.max(1)], &run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_an_array_in_c_order() {
        let array = Array::from_vec(&[2, 3, 4], (0..24i16).collect()).unwrap();
        let dense = Dense::of_array(&array).unwrap();
        let mut seen = Vec::new();
        dense.for_each_run(|[x, y, z], row| {
            assert_eq!((x, row.len(), row[0]), (0, 4, (4 * (y + 3 * z)) as f64));
            seen.extend_from_slice(row);
        });
        assert_eq!(seen, dense.values());
        let back = dense.clone().into_array().unwrap();
        assert_eq!((back.shape(), back.data().to_f64()), (array.shape(), array.data().to_f64()));
        assert!(Dense::of_array(&Array::from_vec(&[24], vec![0u8; 24]).unwrap()).is_err());
        assert!(Dense::new(*dense.mesh(), vec![0f32; 23]).is_err());
        Dense::new(Mesh::unit([0, 3, 2]).unwrap(), vec![0f32; 0]).unwrap().for_each_run(|_, _| panic!("no cells"));
    }
}
