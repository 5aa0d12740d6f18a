use super::*;
use crate::sem::testing::Mesh;

fn vertices(mesh: &Mesh) -> Vertices {
    Vertices::new(&mesh.slices(), mesh.points).unwrap()
}

fn same(x: [f64; 3]) -> [f64; 3] {
    x
}

fn wave(x: [f64; 3]) -> f64 {
    libm::sin(3.0 * x[0] + 1.0) + libm::cos(5.0 * x[1]) * (1.0 + x[2]) + x[2] * x[2]
}

#[test]
fn points_of_boxes_are_counted_and_continuous_whatever_way_elements_are_turned() {
    for (counts, d) in [([3, 4, 2], 3), ([3, 5, 1], 2), ([1, 1, 1], 3)] {
        for n in [2, 3, 4, 7] {
            for turn in [false, true] {
                let mesh = Mesh::of_box(counts, d, n, turn, same);
                let t = Topology::new(&vertices(&mesh), n).unwrap();
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
    let size = mesh.points.pow(mesh.coordinates.len() as u32);
    let values: Vec<f64> = (0..t.points().len()).map(|i| (i / size) as f64).collect();
    t.points().len() == size || t.jump(&values) >= 1.0
}

#[test]
fn periodic_ends_are_one() {
    let mesh = Mesh::of_box([3, 4, 3], 3, 4, true, same);
    let mut v = vertices(&mesh);
    let mut expected = [10, 13, 10];
    for axis in 0..3 {
        v = v.periodic(axis).unwrap();
        expected[axis] -= 1;
        let t = Topology::new(&v, 4).unwrap();
        assert_eq!(t.len(), expected.iter().product::<usize>(), "{axis}");
    }
    let turn = std::f64::consts::TAU;
    let wave = |x: [f64; 3]| libm::sin(turn * x[0]) + libm::cos(turn * x[1]) * libm::sin(turn * x[2]);
    let t = Topology::new(&v, 4).unwrap();
    assert!(t.jump(&mesh.values(wave)) < 1e-12);
    assert!(t.jump(&mesh.values(|x| x[0])) > 0.9, "the two ends are not one for this");
    // One element would meet itself; the ends of a wedge do not fit.
    assert!(vertices(&Mesh::of_box([1, 3, 3], 3, 4, false, same)).periodic(0).is_none());
    let wedge = Mesh::of_box([3, 3, 3], 3, 4, false, |x| [x[0], x[1] * (1.0 + x[0]), x[2]]);
    assert!(vertices(&wedge).periodic(0).is_none() && vertices(&wedge).periodic(2).is_some());
    assert!(vertices(&mesh).periodic(3).is_none());
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
    let t = Topology::new(&vertices(&mesh), 5).unwrap();
    assert_eq!(t.len(), 9 * 9 * 13);
    assert!(t.jump(&mesh.values(wave)) < 1e-12);
    let mesh = Mesh::of_box([5, 2, 2], 3, 5, true, ring);
    let t = Topology::new(&vertices(&mesh), 5).unwrap();
    assert_eq!(t.len(), 20 * 9 * 9);
    assert!(t.jump(&mesh.values(wave)) < 1e-12);
    // Coordinates in single precision, on a mesh that is thin in one direction.
    let thin = Mesh::of_box([3, 3, 3], 3, 6, true, |x| {
        [10.0 + f64::from(x[0] as f32), f64::from(1e-3f32 * x[1] as f32), x[2]]
    });
    assert_eq!(Topology::new(&vertices(&thin), 6).unwrap().len(), 16 * 16 * 16);
}

#[test]
fn a_pipe_has_a_square_in_the_middle() {
    for turn in [false, true] {
        let mesh = Mesh::pipe(3, 6, turn);
        let t = Topology::new(&vertices(&mesh), 6).unwrap();
        // Each layer of points: a square of 6 x 6, and five more rings of 20.
        assert_eq!(t.len(), (36 + 5 * 20) * 16, "{turn}");
        assert!(t.jump(&mesh.values(wave)) < 1e-12);
        let around = vertices(&mesh).periodic(2).unwrap();
        assert_eq!(Topology::new(&around, 6).unwrap().len(), (36 + 5 * 20) * 15);
        assert!(vertices(&mesh).periodic(0).is_none());
    }
}

#[test]
fn averages_are_continuous_and_keep_the_mean() {
    let mesh = Mesh::of_box([3, 2, 2], 3, 4, true, same);
    let t = Topology::new(&vertices(&mesh), 4).unwrap();
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
