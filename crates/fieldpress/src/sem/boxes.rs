//! Meshes that are boxes: as many elements along each axis, all turned alike, whatever their shapes.

use std::collections::HashMap;

use super::Vertices;

/// A box of elements: how many along each axis, x first, and where each element of the mesh lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementBox {
    /// Elements along each axis; 1 along the third in two dimensions.
    pub extents: [usize; 3],
    /// The place of each element.
    pub places: Vec<[usize; 3]>,
}

impl ElementBox {
    /// The box that a mesh is: from its first element on, those that share a face follow each other along the axis across it, so that all have a place of
    /// their own and none is left free. `None` where it is no box, or where elements are turned.
    pub fn of(vertices: &Vertices) -> Option<ElementBox> {
        let d = vertices.dimensions();
        let corners = 1usize << d;
        let elements: Vec<&[u32]> = vertices.ids().chunks_exact(corners).collect();
        // The corners of a face, those of the element in their order.
        let face = |ids: &[u32], axis: usize, high: bool| {
            let mut key = [u32::MAX; 4];
            let own = (0..corners).filter(|c| (c >> axis & 1 == 1) == high).filter_map(|c| ids.get(c));
            key.iter_mut().zip(own).for_each(|(k, id)| *k = *id);
            key
        };
        let mut lower: HashMap<(usize, [u32; 4]), usize> = HashMap::new();
        let mut upper: HashMap<(usize, [u32; 4]), usize> = HashMap::new();
        for (e, ids) in elements.iter().enumerate() {
            for axis in 0..d {
                let twice = lower.insert((axis, face(ids, axis, false)), e).is_some();
                if twice || upper.insert((axis, face(ids, axis, true)), e).is_some() {
                    return None;
                }
            }
        }
        let mut places: Vec<Option<[i64; 3]>> = vec![None; elements.len()];
        *places.first_mut()? = Some([0; 3]);
        let mut todo = vec![0];
        while let Some(e) = todo.pop() {
            let (ids, at) = (elements.get(e)?, places.get(e).copied().flatten()?);
            for axis in 0..d {
                let above = lower.get(&(axis, face(ids, axis, true))).map(|n| (*n, 1));
                let below = upper.get(&(axis, face(ids, axis, false))).map(|n| (*n, -1));
                for (next, by) in above.into_iter().chain(below) {
                    let mut there = at;
                    there[axis] += by;
                    match places.get_mut(next)? {
                        Some(known) if *known != there => return None,
                        Some(_) => {}
                        free => {
                            *free = Some(there);
                            todo.push(next);
                        }
                    }
                }
            }
        }
        let places = places.into_iter().collect::<Option<Vec<_>>>()?;
        let least = |a: usize| places.iter().map(|p| p[a]).min().unwrap_or(0);
        let first: [i64; 3] = std::array::from_fn(least);
        let places: Vec<[usize; 3]> =
            places.iter().map(|p| std::array::from_fn(|a| usize::try_from(p[a] - first[a]).unwrap_or(0))).collect();
        let extents = std::array::from_fn(|a| places.iter().map(|p| p[a] + 1).max().unwrap_or(1));
        let count = extents.iter().try_fold(1usize, |n, e| n.checked_mul(*e))?;
        let mut taken = vec![false; elements.len()];
        let [nx, ny, _] = extents;
        let mut free = |p: &[usize; 3]| {
            let slot = taken.get_mut(p[0] + nx * (p[1] + ny * p[2]));
            slot.is_some_and(|t| !std::mem::replace(t, true))
        };
        (count == elements.len() && places.iter().all(&mut free)).then_some(ElementBox { extents, places })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sem::testing::Mesh;

    fn of(mesh: &Mesh) -> Option<ElementBox> {
        ElementBox::of(&Vertices::new(&mesh.slices(), mesh.points).unwrap())
    }

    #[test]
    fn boxes_are_found_in_any_order_and_shape() {
        for (extents, d) in [([4, 3, 2], 3), ([1, 1, 1], 3), ([5, 2, 1], 2), ([1, 6, 1], 2)] {
            let mesh =
                Mesh::of_box(extents, d, 3, false, |x| [x[0] + 0.2 * x[1] * x[1], x[1] + 0.1 * x[2], x[2] * 3.0]);
            let found = of(&mesh).unwrap();
            assert_eq!(found.extents, extents);
            let size = 3usize.pow(d as u32);
            let count = found.places.len();
            // The first element of the grid is where the coordinates are least, and so on.
            for (e, p) in found.places.iter().enumerate() {
                assert_eq!(*p, [e % extents[0], e / extents[0] % extents[1], e / extents[0] / extents[1]], "{e}");
            }
            // In the order of steps of 7.
            let order: Vec<usize> = (0..count).map(|e| e * 7 % count.max(1)).collect();
            if count.is_multiple_of(7) {
                continue;
            }
            let shuffled: Vec<Vec<f64>> = mesh
                .coordinates
                .iter()
                .map(|c| order.iter().flat_map(|e| c[e * size..(e + 1) * size].to_vec()).collect())
                .collect();
            let slices: Vec<&[f64]> = shuffled.iter().map(Vec::as_slice).collect();
            let other = ElementBox::of(&Vertices::new(&slices, 3).unwrap()).unwrap();
            assert_eq!(other.extents, extents);
            assert!(order.iter().zip(&other.places).all(|(e, p)| found.places[*e] == *p));
        }
    }

    #[test]
    fn what_is_no_box_is_none() {
        assert_eq!(of(&Mesh::of_box([3, 3, 2], 3, 3, true, |x| x)), None, "turned");
        assert_eq!(of(&Mesh::pipe(2, 4, false)), None, "a pipe");
        let mut mesh = Mesh::of_box([3, 2, 1], 2, 3, false, |x| x);
        mesh.coordinates.iter_mut().for_each(|c| c.truncate(5 * 9));
        assert_eq!(of(&mesh), None, "a corner is missing");
        // Two that do not touch.
        let mut mesh = Mesh::of_box([2, 1, 1], 2, 3, false, |x| x);
        mesh.coordinates[0][9..].iter_mut().for_each(|x| *x += 1.0);
        assert_eq!(of(&mesh), None, "apart");
    }
}
