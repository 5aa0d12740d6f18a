use super::*;

fn map(band: usize, seed: u64) -> crate::sphere::Harmonics {
    let spectrum: Vec<f64> = (0..band).map(|l| 1.0 / (1.0 + l as f64).powi(2)).collect();
    noise(&spectrum, 0.3, seed).unwrap()
}

fn every(settings: &mut Vec<Settings>, band: usize) {
    for directions in 1..=5 {
        for (first_scale, reach) in [(0, None), (1, Some(1)), (2, Some(2))] {
            if Scattering::new(band, Settings { directions, first_scale, reach }).is_ok() {
                settings.push(Settings { directions, first_scale, reach });
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for band in [9, 16] {
        let mut all = Vec::new();
        every(&mut all, band);
        assert!(all.len() >= 13, "{}", all.len());
        for settings in all {
            let plan = Scattering::new(band, settings).unwrap();
            let (own, target) = (map(band, 1), plan.coefficients(&map(band, 2)).unwrap());
            let loss =
                |m: &crate::sphere::Harmonics| plan.coefficients(m).unwrap().loss(&target, Some(&target)).unwrap().0;
            let (_, slopes) = plan.gradient(&own, |c| Ok(c.loss(&target, Some(&target))?.1)).unwrap();
            for (l, m) in [(0, 0), (3, 0), (3, 3), (5, 2), (8, 7)] {
                for part in 0..if m > 0 { 2 } else { 1 } {
                    let h = 1e-6;
                    let moved = |by: f64| {
                        let mut x = own.clone();
                        let v = &mut x.order_mut(m)[l - m];
                        if part == 0 {
                            v.re += by;
                        } else {
                            v.im += by;
                        }
                        loss(&x)
                    };
                    let expected = (moved(h) - moved(-h)) / (2.0 * h);
                    let found = if part == 0 { slopes.at(l, m).re } else { slopes.at(l, m).im };
                    let error = (found - expected).abs();
                    assert!(error < 1e-6 * expected.abs().max(1e-2), "{settings:?} {l} {m} {part}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn symmetric_numbers_are_symmetric_and_come_back_from_the_distinct_ones() {
    let mut all = Vec::new();
    every(&mut all, 32);
    for settings in all {
        let found = Scattering::new(32, settings).unwrap().coefficients(&map(32, 3)).unwrap();
        let compact = found.compact();
        assert!(compact.len() < 2 + found.blocks().iter().map(|b| b.len()).sum::<usize>() || settings.directions == 1);
        let back = Coefficients::expand(32, settings, &compact).unwrap();
        let scale = found.c11.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(found.c11.iter().zip(&back.c11).all(|(a, b)| (a - b).abs() <= 1e-13 * scale), "{settings:?}");
        assert!(Coefficients::expand(32, settings, &compact[1..]).is_err());
        assert_eq!(found.index().len(), found.blocks().iter().map(|b| b.len()).sum::<usize>());
    }
}

#[test]
fn the_index_tells_what_each_number_is() {
    let settings = Settings { directions: 2, first_scale: 0, reach: None };
    let found = Scattering::new(8, settings).unwrap().coefficients(&map(8, 1)).unwrap();
    let index = found.index();
    // Scales 0 to 3, three directions.
    assert_eq!(index[4].block, Block::S1);
    assert_eq!((index[4].scale, index[4].direction), (1, Some(1)));
    let c01 = &index[24..];
    assert_eq!((c01[10].block, c01[10].scale), (Block::C01, 0));
    assert_eq!(
        (c01[10].moduli.as_slice(), c01[10].turned.as_slice(), c01[10].direction),
        (&[2][..], &[0][..], Some(1))
    );
    let c11 = &c01[found.c01.len()..];
    // [a, b, j, k, n] = [1, 2, 0, 2, 1] of scale 0, which has three later ones.
    let at = (((3 + 2) * 3) * 3 + 2) * 3 + 1;
    assert_eq!(
        (c11[at].moduli.as_slice(), c11[at].turned.as_slice(), c11[at].direction),
        (&[2, 3][..], &[0, 2][..], Some(1))
    );
}

#[test]
fn rotations_about_the_axis_change_nothing_and_threads_neither() {
    let plan = Scattering::new(24, Settings::default()).unwrap();
    let own = map(24, 4);
    let mut turned = own.clone();
    for m in 0..24 {
        let angle = 0.7 * m as f64;
        let turn = rustfft::num_complex::Complex::new(libm::cos(angle), libm::sin(angle));
        turned.order_mut(m).iter_mut().for_each(|v| *v *= turn);
    }
    let (a, b) = (plan.coefficients(&own).unwrap(), plan.coefficients(&turned).unwrap());
    // Products of fields are integrated exactly.
    assert!(a.p00.iter().zip(&b.p00).all(|(x, y)| (x - y).abs() < 1e-12 * x.abs()));
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let run = || plan.gradient(&own, |c| Ok(c.clone())).unwrap();
    assert!(pool(1).install(run) == pool(3).install(run));
}

#[test]
fn look_alikes_have_the_numbers_of_the_map_and_follow_the_seed() {
    let plan = Scattering::new(16, Settings { directions: 2, first_scale: 1, reach: None }).unwrap();
    let portrait = plan.portrait(&map(16, 7)).unwrap();
    let drawing = Drawing { seed: 3, evaluations: 400, enough: 1e-4 };
    let mut told = 0;
    let drawn = plan.draw(&portrait, drawing, |count, _| told = count).unwrap();
    assert!(drawn.loss < 1e-3 * drawn.first_loss && told == drawn.evaluations, "{drawn:?}");
    assert_eq!(plan.draw(&portrait, drawing, |_, _| ()).unwrap(), drawn);
    let other = plan.draw(&portrait, Drawing { seed: 4, ..drawing }, |_, _| ()).unwrap();
    assert!(other.map != drawn.map);
    let smaller = Scattering::new(8, plan.settings()).unwrap();
    assert!(smaller.draw(&portrait, drawing, |_, _| ()).is_err());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let of = |band, directions, first_scale, reach| Scattering::new(band, Settings { directions, first_scale, reach });
    assert!(of(16, 0, 0, None).is_err() && of(16, 6, 0, None).is_err());
    assert!(of(16, 3, 4, None).is_err() && of(16, 3, 3, None).is_ok());
    assert!(of(0, 3, 0, None).is_err() && of(1 << 20, 3, 0, None).is_err() && of(16, 3, 0, Some(0)).is_err());
    assert!(of(16, 3, 0, None).unwrap().coefficients(&map(8, 1)).is_err());
}

#[test]
fn a_map_has_its_own_numbers_in_common_with_itself() {
    let near = |a: &[f64], b: &[f64]| {
        let scale = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12 * scale)
    };
    for settings in [Settings::default(), Settings { directions: 2, first_scale: 1, reach: Some(2) }] {
        let plan = Scattering::new(24, settings).unwrap();
        let (own, other) = (map(24, 1), map(24, 2));
        let (found, alone) = (plan.cross(&own, &own).unwrap(), plan.coefficients(&own).unwrap());
        assert!(near(&found.p00, &alone.p00) && near(&found.c01, &alone.c01) && near(&found.c11, &alone.c11));
        // Fields are linear in the second map where only it is there.
        let mut sum = own.clone();
        sum.add(&other);
        let (a, b) = (plan.cross(&other, &own).unwrap(), plan.cross(&other, &other).unwrap());
        let both = plan.cross(&other, &sum).unwrap();
        let added: Vec<f64> = a.c01.iter().zip(&b.c01).map(|(a, b)| a + b).collect();
        assert!(near(&both.c01, &added));
    }
}

#[test]
fn a_mask_of_ones_changes_nothing_and_others_hide_what_is_behind_them() {
    use crate::sphere::{Grid, Sampling};
    let near = |a: &[f64], b: &[f64], part: f64| {
        let scale = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < part * scale)
    };
    let grid = Grid::new(Sampling::Healpix(16), 1).unwrap();
    for (band, directions) in [(16, 3), (17, 2), (16, 1)] {
        let plan = Scattering::new(band, Settings { directions, first_scale: 1, reach: None }).unwrap();
        let own = map(band, 1);
        let (found, alone) =
            (plan.masked(&own, &grid, &vec![1.0; grid.len()]).unwrap(), plan.coefficients(&own).unwrap());
        assert!(found.blocks().iter().zip(alone.blocks()).all(|(a, b)| near(a, b, 1e-12)), "{band} {directions}");
        assert!((found.mean - alone.mean).abs() < 1e-12 && (found.variance - alone.variance).abs() < 1e-12);
        // Weights count relatively; moduli are multiplied with them.
        let half = plan.masked(&own, &grid, &vec![0.5; grid.len()]).unwrap();
        let doubled: Vec<f64> = half.c01.iter().map(|v| 2.0 * v).collect();
        assert!(near(&half.p00, &alone.p00, 1e-12) && near(&doubled, &alone.c01, 1e-12));
    }
    let plan = Scattering::new(16, Settings::default()).unwrap();
    // A map that is rough in the north alone, and a mask that shows the south.
    let north = |theta: f64| if theta < 1.2 { 1.0 } else { 0.0 };
    let t = crate::sphere::Transform::new(Grid::new(Sampling::GaussLegendre, 16).unwrap()).unwrap();
    let mut values = t.synthesis(&map(16, 1)).unwrap();
    for ring in t.grid().rings() {
        values[ring.first..ring.first + ring.points].iter_mut().for_each(|v| *v *= north(ring.theta));
    }
    let own = t.analysis(&values).unwrap();
    let shown = |sign: f64| -> Vec<f64> {
        let ring = |r: &crate::sphere::Ring| vec![if sign * (r.theta - 1.9) > 0.0 { 1.0 } else { 0.0 }; r.points];
        grid.rings().iter().flat_map(ring).collect()
    };
    let (south, rest) =
        (plan.masked(&own, &grid, &shown(1.0)).unwrap(), plan.masked(&own, &grid, &shown(-1.0)).unwrap());
    assert!(south.p00.iter().zip(&rest.p00).skip(5).all(|(s, r)| *s < 0.2 * r), "{:?} {:?}", south.p00, rest.p00);
    assert!(plan.masked(&own, &grid, &[1.0; 3]).is_err() && plan.masked(&own, &grid, &vec![0.0; grid.len()]).is_err());
    assert!(plan.masked(&own, &grid, &vec![1.5; grid.len()]).is_err());
}

/// `d^l_mn(theta)` from the explicit sum of Wigner.
fn wigner(l: i64, m: i64, n: i64, theta: f64) -> f64 {
    let factorial = |k: i64| (1..=k).fold(1.0, |p, v| p * v as f64);
    let front = (factorial(l + m) * factorial(l - m) * factorial(l + n) * factorial(l - n)).sqrt();
    let (c, s) = (libm::cos(theta / 2.0), libm::sin(theta / 2.0));
    let term = |k: i64| {
        let below = [l + n - k, k, m - n + k, l - m - k];
        if below.iter().any(|v| *v < 0) {
            return 0.0;
        }
        let sign = if (m - n + k).rem_euclid(2) == 1 { -1.0 } else { 1.0 };
        let powers = libm::pow(c, (2 * l + n - m - 2 * k) as f64) * libm::pow(s, (m - n + 2 * k) as f64);
        sign * powers / below.iter().fold(1.0, |p, v| p * factorial(*v))
    };
    front * (0..=2 * l).map(term).sum::<f64>()
}

#[test]
fn numbers_of_the_first_layer_are_those_of_the_definition() {
    use std::f64::consts::PI;

    use rustfft::num_complex::Complex;
    type C = Complex<f64>;
    let turn = |angle: f64| C::new(libm::cos(angle), libm::sin(angle));
    let band = 8usize;
    let own = map(band, 6);
    let at = |l: usize, m: i64| {
        let f = own.at(l, m.unsigned_abs() as usize);
        let sign = if m % 2 == 0 { 1.0 } else { -1.0 };
        if m < 0 {
            f.conj() * sign
        } else {
            f
        }
    };
    for directions in 1..=5usize {
        let plan = Scattering::new(band, Settings { directions, first_scale: 2, reach: None }).unwrap();
        let found = plan.coefficients(&own).unwrap();
        let count = 2 * directions - 1;
        // F_n = sum f_lm conj(psi_ln) d^l_mn(theta) e^(i m phi), W_g = sum F_n e^(i n gamma_g), at scale 2, whose grid is that of the map.
        let kappa = &wavelet_spectra(band)[2];
        let grid = crate::sphere::Grid::new(crate::sphere::Sampling::GaussLegendre, band).unwrap();
        let (mut s1, mut p00) = (vec![0.0; count], vec![0.0; count]);
        for ring in grid.rings() {
            for p in 0..ring.points {
                let phi = 2.0 * PI * p as f64 / ring.points as f64;
                let mut fields = vec![C::default(); count];
                for (k, n) in (1 - directions as i64..directions as i64).enumerate() {
                    for (l, kappa) in kappa.iter().enumerate().skip(2) {
                        let zeta = directionality(directions, l, n.unsigned_abs() as usize);
                        let psi = ((2 * l + 1) as f64 / (8.0 * PI * PI)).sqrt() * kappa * zeta;
                        // The factor i of even N, conjugated.
                        let psi = if directions % 2 == 0 { C::new(0.0, -psi) } else { C::new(psi, 0.0) };
                        for m in -(l as i64)..=l as i64 {
                            fields[k] += at(l, m) * psi * wigner(l as i64, m, n, ring.theta) * turn(m as f64 * phi);
                        }
                    }
                }
                for g in 0..count {
                    let gamma = 2.0 * PI * g as f64 / count as f64;
                    let n = |k: usize| k as f64 + 1.0 - directions as f64;
                    let w = fields.iter().enumerate().fold(C::default(), |w, (k, f)| w + f * turn(n(k) * gamma));
                    assert!(w.im.abs() < 1e-12, "fields of real maps are real");
                    s1[g] += ring.weight * w.re.abs() / (4.0 * PI);
                    p00[g] += ring.weight * w.re * w.re / (4.0 * PI);
                }
            }
        }
        for g in 0..count {
            assert!((found.s1[g] - s1[g]).abs() < 1e-13, "N = {directions}: {} {}", found.s1[g], s1[g]);
            assert!((found.p00[g] - p00[g]).abs() < 1e-13, "N = {directions}: {} {}", found.p00[g], p00[g]);
        }
    }
}
