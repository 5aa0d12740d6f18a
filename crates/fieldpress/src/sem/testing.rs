//! Meshes for tests.

use super::Gll;

/// Points of elements, from maps of the reference element.
pub(crate) struct Mesh {
    pub(crate) points: usize,
    pub(crate) coordinates: Vec<Vec<f64>>,
}

impl Mesh {
    /// `elements` in `d` dimensions, whose points `place` gives from the element's number and the place in `[0, 1]^d`. With `turn` the axes of each element
    /// are others, and run the other way.
    pub(crate) fn new(
        elements: usize,
        d: usize,
        n: usize,
        turn: bool,
        place: impl Fn(usize, [f64; 3]) -> [f64; 3],
    ) -> Mesh {
        let gll = Gll::new(n).unwrap();
        let mut coordinates = vec![Vec::new(); d];
        for e in 0..elements {
            let k = if turn { e * 7 + 3 } else { 0 };
            let order: [usize; 3] = match (d, k % 6) {
                (2, odd) => [odd % 2, 1 - odd % 2, 2],
                (_, 0) => [0, 1, 2],
                (_, 1) => [1, 2, 0],
                (_, 2) => [2, 0, 1],
                (_, 3) => [1, 0, 2],
                (_, 4) => [0, 2, 1],
                _ => [2, 1, 0],
            };
            let flip = [k / 6 % 2 == 1, k / 12 % 2 == 1, k / 24 % 2 == 1];
            for p in 0..n.pow(d as u32) {
                let mut r = [0.0; 3];
                for a in 0..d {
                    let v = gll.nodes()[p / n.pow(a as u32) % n];
                    r[order[a]] = 0.5 * (1.0 + if flip[a] { -v } else { v });
                }
                coordinates.iter_mut().zip(place(e, r)).for_each(|(c, v)| c.push(v));
            }
        }
        Mesh { points: n, coordinates }
    }
    /// `counts` elements of the box `[0, 1]^d`, bent by `bend`.
    pub(crate) fn of_box(
        counts: [usize; 3],
        d: usize,
        n: usize,
        turn: bool,
        bend: impl Fn([f64; 3]) -> [f64; 3],
    ) -> Mesh {
        let elements: usize = counts[..d].iter().product();
        Mesh::new(elements, d, n, turn, |e, r| {
            let place = [e % counts[0], e / counts[0] % counts[1], e / (counts[0] * counts[1])];
            let mut x = [0.0; 3];
            (0..d).for_each(|a| x[a] = (place[a] as f64 + r[a]) / counts[a] as f64);
            bend(x)
        })
    }
    /// A pipe of radius 1 along z: in each of `layers` a square in the middle and four elements between it and the wall.
    pub(crate) fn pipe(layers: usize, n: usize, turn: bool) -> Mesh {
        Mesh::new(5 * layers, 3, n, turn, |e, r| {
            let (part, z) = (e % 5, ((e / 5) as f64 + r[2]) / layers as f64);
            let half = 0.45;
            if part == 4 {
                return [half * (2.0 * r[0] - 1.0), half * (2.0 * r[1] - 1.0), z];
            }
            // From a side of the square to the arc beyond it, turned by quarters.
            let along = 2.0 * r[0] - 1.0;
            let (s, c) = (std::f64::consts::FRAC_PI_4 * along).sin_cos();
            let (inner, outer) = ([half, half * along], [c, s]);
            let p = [0, 1].map(|k| inner[k] + (outer[k] - inner[k]) * r[1]);
            match part {
                0 => [p[0], p[1], z],
                1 => [-p[1], p[0], z],
                2 => [-p[0], -p[1], z],
                _ => [p[1], -p[0], z],
            }
        })
    }
    pub(crate) fn slices(&self) -> Vec<&[f64]> {
        self.coordinates.iter().map(Vec::as_slice).collect()
    }
    /// Values of a function of the place.
    pub(crate) fn values(&self, f: impl Fn([f64; 3]) -> f64) -> Vec<f64> {
        let at = |i: usize| std::array::from_fn(|a| self.coordinates.get(a).map_or(0.0, |c| c[i]));
        (0..self.coordinates[0].len()).map(|i| f(at(i))).collect()
    }
    /// The shape of an array of values.
    pub(crate) fn shape(&self) -> Vec<usize> {
        let (n, d) = (self.points, self.coordinates.len());
        let mut shape = vec![self.coordinates[0].len() / n.pow(d as u32)];
        shape.extend(vec![n; d]);
        shape
    }
}
