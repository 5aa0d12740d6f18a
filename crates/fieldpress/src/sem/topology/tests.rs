use super::*;
use crate::sem::Gll;

/// Points of elements along each axis, from a map of the reference elements.
struct Mesh {
    n: usize,
    coordinates: Vec<Vec<f64>>,
}

impl Mesh {
    /// `counts` elements of a box `[0, 1]^d`, bent by `bend`, each turned so that its axes are others.
    fn of_box(counts: [usize; 3], d: usize, n: usize, turn: bool, bend: impl Fn([f64; 3]) -> [f64; 3]) -> Mesh {
        let gll = Gll::new(n).unwrap();
        let mut coordinates = vec![Vec::new(); d];
        let elements: usize = counts[..d].iter().product();
        for e in 0..elements {
            let place = [e % counts[0], e / counts[0] % counts[1], e / (counts[0] * counts[1])];
            // A rotation or reflection of the axes, another for each element.
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
                let mut x = [0.0; 3];
                for a in 0..d {
                    let i = p / n.pow(a as u32) % n;
                    let r = if flip[a] { -gll.nodes()[i] } else { gll.nodes()[i] };
                    let axis = order[a];
                    x[axis] = (place[axis] as f64 + 0.5 * (1.0 + r)) / counts[axis] as f64;
                }
                let x = bend(x);
                coordinates.iter_mut().zip(x).for_each(|(c, v)| c.push(v));
            }
        }
        Mesh { n, coordinates }
    }
    fn vertices(&self) -> Vertices {
        Vertices::new(&self.coordinates.iter().map(Vec::as_slice).collect::<Vec<_>>(), self.n).unwrap()
    }
    /// Values of a function of the place.
    fn values(&self, f: impl Fn([f64; 3]) -> f64) -> Vec<f64> {
        let at = |i: usize| std::array::from_fn(|a| self.coordinates.get(a).map_or(0.0, |c| c[i]));
        (0..self.coordinates[0].len()).map(|i| f(at(i))).collect()
    }
}

fn same(x: [f64; 3]) -> [f64; 3] {
    x
}

fn wave(x: [f64; 3]) -> f64 {
    (3.0 * x[0] + 1.0).sin() + (5.0 * x[1]).cos() * (1.0 + x[2]) + x[2] * x[2]
}

#[test]
fn points_of_boxes_are_counted_and_continuous_whatever_way_elements_are_turned() {
    for (counts, d) in [([3, 4, 2], 3), ([3, 5, 1], 2), ([1, 1, 1], 3)] {
        for n in [2, 3, 4, 7] {
            for turn in [false, true] {
                let mesh = Mesh::of_box(counts, d, n, turn, same);
                let t = Topology::new(&mesh.vertices(), n).unwrap();
                let expected: usize = counts[..d].iter().map(|c| c * (n - 1) + 1).product();
                assert_eq!(t.len(), expected, "{counts:?} {n} {turn}");
                assert!(t.jump(&mesh.values(wave)) < 1e-12, "{counts:?} {n} {turn}");
                // All numbers below the count are used.
                let mut used = vec![false; t.len()];
                t.points().iter().for_each(|p| used[*p as usize] = true);
                assert!(used.iter().all(|u| *u));
                assert!(elements_differ(&mesh, &t), "a value that is not of one place jumps");
            }
        }
    }
}

/// Whether a function that differs in each element is seen to jump.
fn elements_differ(mesh: &Mesh, t: &Topology) -> bool {
    let size = mesh.n.pow(mesh.coordinates.len() as u32);
    let values: Vec<f64> = (0..t.points().len()).map(|i| (i / size) as f64).collect();
    t.points().len() == size || t.jump(&values) >= 1.0
}

#[test]
fn periodic_ends_are_one() {
    let mesh = Mesh::of_box([3, 4, 3], 3, 4, true, same);
    let mut v = mesh.vertices();
    let mut expected = [10, 13, 10];
    for axis in 0..3 {
        v = v.periodic(axis).unwrap();
        expected[axis] -= 1;
        let t = Topology::new(&v, 4).unwrap();
        assert_eq!(t.len(), expected.iter().product::<usize>(), "{axis}");
    }
    let turn = std::f64::consts::TAU;
    let wave = |x: [f64; 3]| (turn * x[0]).sin() + (turn * x[1]).cos() * (turn * x[2]).sin();
    let t = Topology::new(&v, 4).unwrap();
    assert!(t.jump(&mesh.values(wave)) < 1e-12);
    assert!(t.jump(&mesh.values(|x| x[0])) > 0.9, "the two ends are not one for this");
    // One element would meet itself; the ends of a wedge do not fit.
    assert!(Mesh::of_box([1, 3, 3], 3, 4, false, same).vertices().periodic(0).is_none());
    let wedge = Mesh::of_box([3, 3, 3], 3, 4, false, |x| [x[0], x[1] * (1.0 + x[0]), x[2]]);
    assert!(wedge.vertices().periodic(0).is_none() && wedge.vertices().periodic(2).is_some());
    assert!(mesh.vertices().periodic(3).is_none());
}

#[test]
fn curved_meshes_are_as_good_as_straight_ones() {
    // A twisted box, and a ring that closes on itself.
    let twisted = |x: [f64; 3]| {
        let (s, c) = (1.3 * x[2]).sin_cos();
        [c * (x[0] - 0.5) - s * (x[1] - 0.5), s * (x[0] - 0.5) + c * (x[1] - 0.5), x[2]]
    };
    let ring = |x: [f64; 3]| {
        let (s, c) = (std::f64::consts::TAU * x[0]).sin_cos();
        [(1.0 + x[1]) * c, (1.0 + x[1]) * s, x[2]]
    };
    let mesh = Mesh::of_box([2, 2, 3], 3, 5, true, twisted);
    let t = Topology::new(&mesh.vertices(), 5).unwrap();
    assert_eq!(t.len(), 9 * 9 * 13);
    assert!(t.jump(&mesh.values(wave)) < 1e-12);
    let mesh = Mesh::of_box([5, 2, 2], 3, 5, true, ring);
    let t = Topology::new(&mesh.vertices(), 5).unwrap();
    assert_eq!(t.len(), 20 * 9 * 9);
    assert!(t.jump(&mesh.values(wave)) < 1e-12);
    // Coordinates in single precision, on a mesh that is thin in one direction.
    let thin = Mesh::of_box([3, 3, 3], 3, 6, true, |x| {
        [10.0 + f64::from(x[0] as f32), f64::from(1e-3f32 * x[1] as f32), x[2]]
    });
    assert_eq!(Topology::new(&thin.vertices(), 6).unwrap().len(), 16 * 16 * 16);
}

#[test]
fn averages_are_continuous_and_keep_the_mean() {
    let mesh = Mesh::of_box([3, 2, 2], 3, 4, true, same);
    let t = Topology::new(&mesh.vertices(), 4).unwrap();
    let mut s = 7u64;
    let mut noise = || {
        s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (s >> 40) as f64 / f64::from(1 << 24)
    };
    let mut values: Vec<f64> = t.points().iter().map(|_| noise()).collect();
    let weights: Vec<f64> = t.points().iter().map(|_| 0.5 + noise()).collect();
    let sum = |v: &[f64]| v.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>();
    let (before, jump) = (sum(&values), t.jump(&values));
    t.average(&mut values, &weights);
    assert!(jump > 0.5 && t.jump(&values) == 0.0);
    assert!((sum(&values) - before).abs() < 1e-12 * before);
}

#[test]
fn what_is_no_mesh_is_refused_or_shares_nothing() {
    assert!(Vertices::new(&[&[0.0; 8]], 2).is_err());
    assert!(Vertices::new(&[&[0.0; 8], &[0.0; 7], &[0.0; 8]], 2).is_err());
    assert!(Vertices::new(&[&[f64::NAN; 8], &[0.0; 8], &[0.0; 8]], 2).is_err());
    assert!(Vertices::new(&[&[0.0; 9], &[0.0; 9], &[0.0; 9]], 2).is_err());
    let all_one = Vertices::new(&[&[0.0; 27], &[0.0; 27], &[0.0; 27]], 3).unwrap();
    assert_eq!(Topology::new(&all_one, 3).unwrap().len(), 27);
    assert!(Topology::new(&all_one, 1).is_err());
}
