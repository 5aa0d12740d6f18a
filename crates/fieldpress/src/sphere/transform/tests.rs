use super::*;

fn noise(band: usize) -> Harmonics {
    super::super::testing::noise(band, |_| 1.0)
}

fn apart(a: &Harmonics, b: &Harmonics) -> f64 {
    a.values().iter().zip(b.values()).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max)
}

fn of(sampling: Sampling, band: usize) -> Transform {
    Transform::new(Grid::new(sampling, band).unwrap()).unwrap()
}

const EXACT: [Sampling; 4] = [Sampling::GaussLegendre, Sampling::Mw, Sampling::Mwss, Sampling::DriscollHealy];

#[test]
fn maps_come_back_from_every_exact_sampling() {
    for sampling in EXACT {
        for band in [1, 2, 3, 8, 17, 64, 130] {
            let (t, h) = (of(sampling, band), noise(band));
            let map = t.synthesis(&h).unwrap();
            let error = apart(&t.analysis(&map).unwrap(), &h);
            assert!(error < 1e-12, "{sampling:?} {band}: {error}");
            let sum: f64 = t.grid().rings().iter().map(|r| r.weight * r.points as f64).sum();
            assert!((sum - 4.0 * PI).abs() < 1e-11, "{sampling:?} {band}: {sum}");
        }
    }
}

#[test]
fn many_maps_are_what_each_alone_is() {
    for sampling in EXACT {
        let t = of(sampling, 20);
        let (one, mut two) = (noise(20), noise(20));
        two.order_mut(2).iter_mut().for_each(|v| *v *= -3.0);
        let maps = t.synthesis_many(&[&one, &two]).unwrap();
        assert_eq!(maps, [t.synthesis(&one).unwrap(), t.synthesis(&two).unwrap()]);
        let found = t.analysis_many(&[&maps[0], &maps[1]]).unwrap();
        assert_eq!(found, [t.analysis(&maps[0]).unwrap(), t.analysis(&maps[1]).unwrap()]);
        assert!(t.analysis_many(&[]).unwrap().is_empty());
    }
}

#[test]
fn values_are_those_of_the_harmonics() {
    // Y_00, Y_10, Y_11 and Y_21 by their formulas.
    let band = 3;
    for sampling in EXACT.into_iter().chain([Sampling::Healpix(4)]) {
        let t = of(sampling, band);
        let mut h = Harmonics::zeros(band).unwrap();
        h.order_mut(0)[0] = C::new(0.7, 0.0);
        h.order_mut(0)[1] = C::new(-1.1, 0.0);
        h.order_mut(1)[0] = C::new(0.3, 0.8);
        h.order_mut(1)[1] = C::new(-0.5, 0.2);
        let map = t.synthesis(&h).unwrap();
        for ring in t.grid().rings() {
            for p in 0..ring.points {
                let phi = ring.phi + 2.0 * PI * p as f64 / ring.points as f64;
                let (c, s) = (ring.cos, ring.sin);
                let turn = C::new(libm::cos(phi), libm::sin(phi));
                let expected = 0.7 * (0.25 / PI).sqrt() - 1.1 * (0.75 / PI).sqrt() * c
                    + 2.0 * (h.at(1, 1) * turn).re * -(0.375 / PI).sqrt() * s
                    + 2.0 * (h.at(2, 1) * turn).re * -(1.875 / PI).sqrt() * s * c;
                let found = map[ring.first + p];
                assert!((found - expected).abs() < 1e-14, "{sampling:?} {}: {found} {expected}", ring.theta);
            }
        }
    }
}

#[test]
fn thousands_of_degrees_come_back() {
    // Errors grow with the band-limit where angles near the poles or the equator are known to too few digits, or where the factors of the recursion are.
    for (sampling, band) in [(Sampling::GaussLegendre, 2048), (Sampling::Mw, 1024), (Sampling::DriscollHealy, 700)] {
        let (t, h) = (of(sampling, band), noise(band));
        let error = apart(&t.analysis(&t.synthesis(&h).unwrap()).unwrap(), &h);
        assert!(error < 1e-12, "{sampling:?} {band}: {error}");
        let [mut e, mut b] = [h.clone(), h];
        for h in [&mut e, &mut b] {
            (0..2).for_each(|m| h.order_mut(m).iter_mut().take(2 - m).for_each(|v| *v = C::default()));
        }
        b.order_mut(3).iter_mut().for_each(|v| *v = C::new(v.im, -v.re));
        let [q, u] = t.synthesis_spin(2, [&e, &b]).unwrap();
        let [x, y] = t.analysis_spin(2, [&q, &u]).unwrap();
        let error = apart(&x, &e).max(apart(&y, &b));
        assert!(error < 1e-12, "{sampling:?} {band}, spin 2: {error}");
    }
}

#[test]
fn single_precision_is_rounded_once() {
    for sampling in [Sampling::Mw, Sampling::GaussLegendre, Sampling::Healpix(8)] {
        let (t, h) = (of(sampling, 16), noise(16));
        let (map, short) = (t.synthesis(&h).unwrap(), t.synthesis_f32(&h).unwrap());
        assert!(map.len() == short.len() && map.iter().zip(&short).all(|(a, b)| *a as f32 == *b));
        let wide: Vec<f64> = short.iter().map(|v| f64::from(*v)).collect();
        assert_eq!(t.analysis_f32(&short).unwrap(), t.analysis(&wide).unwrap());
    }
}

#[test]
fn the_adjoint_is_one() {
    for sampling in EXACT.into_iter().chain([Sampling::Healpix(8)]) {
        let t = of(sampling, 20);
        let h = noise(20);
        let map: Vec<f64> = (0..t.grid().len()).map(|i| libm::sin(i as f64 * 1.7) + 0.1).collect();
        let left: f64 = t.synthesis(&h).unwrap().iter().zip(&map).map(|(a, b)| a * b).sum();
        let back = t.adjoint(&map).unwrap();
        let pair = |m: usize| {
            let sum: f64 = h.order(m).iter().zip(back.order(m)).map(|(a, b)| (a * b.conj()).re).sum();
            if m == 0 {
                sum
            } else {
                2.0 * sum
            }
        };
        let right: f64 = (0..20).map(pair).sum();
        assert!((left - right).abs() < 1e-11 * left.abs().max(1.0), "{sampling:?}: {left} {right}");
    }
}

#[test]
fn healpix_comes_back_by_iteration() {
    let t = of(Sampling::Healpix(32), 64);
    assert_eq!(t.grid().len(), 12 * 32 * 32);
    let h = noise(64);
    let map = t.synthesis(&h).unwrap();
    let errors: Vec<f64> = [0, 3].iter().map(|n| apart(&t.iterated(&map, *n).unwrap(), &h)).collect();
    assert!(errors[0] < 0.05 && errors[0] > 1e-4 && errors[1] < 1e-3 * errors[0].max(0.1), "{errors:?}");
}

#[test]
fn threads_change_nothing_and_what_does_not_fit_is_refused() {
    let (t, h) = (of(Sampling::GaussLegendre, 70), noise(70));
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let run = || {
        let map = t.synthesis(&h).unwrap();
        (t.analysis(&map).unwrap(), map)
    };
    assert!(pool(1).install(run) == pool(3).install(run));
    assert!(t.synthesis(&noise(69)).is_err());
    assert!(t.analysis(&[0.0; 5]).is_err() && t.adjoint(&[0.0; 5]).is_err());
    assert!(Grid::new(Sampling::Mw, 0).is_err() && Grid::new(Sampling::Healpix(0), 4).is_err());
    assert!(Grid::new(Sampling::Mw, 1 << 20).is_err() && Harmonics::zeros(1 << 20).is_err());
}

#[test]
fn fields_of_any_spin_come_back_from_every_exact_sampling() {
    for sampling in EXACT {
        for (band, spin) in [(8, 1usize), (17, 2), (24, 3), (24, 5)] {
            let t = of(sampling, band);
            let (mut e, mut b) = (noise(band), noise(band));
            b.order_mut(1).iter_mut().for_each(|v| *v *= -0.3);
            for h in [&mut e, &mut b] {
                for m in 0..band {
                    h.order_mut(m).iter_mut().take(spin.saturating_sub(m)).for_each(|v| *v = C::default());
                }
            }
            let [q, u] = t.synthesis_spin(spin, [&e, &b]).unwrap();
            let [back_e, back_b] = t.analysis_spin(spin, [&q, &u]).unwrap();
            let error = apart(&back_e, &e).max(apart(&back_b, &b));
            assert!(error < 1e-12, "{sampling:?} {band} {spin}: {error}");
        }
    }
}

#[test]
fn the_adjoint_with_spin_is_one() {
    for sampling in EXACT.into_iter().chain([Sampling::Healpix(8)]) {
        let t = of(sampling, 20);
        let (e, b) = (noise(20), noise(20));
        let field = |k: f64| -> Vec<f64> { (0..t.grid().len()).map(|i| libm::sin(i as f64 * k) + 0.1).collect() };
        let (q, u) = (field(1.7), field(0.9));
        let [own_q, own_u] = t.synthesis_spin(2, [&e, &b]).unwrap();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let left = dot(&own_q, &q) + dot(&own_u, &u);
        let [back_e, back_b] = t.adjoint_spin(2, [&q, &u]).unwrap();
        let pair = |a: &Harmonics, b: &Harmonics| -> f64 {
            let order = |m: usize| {
                let sum: f64 = a.order(m).iter().zip(b.order(m)).map(|(a, b)| (a * b.conj()).re).sum();
                sum * if m == 0 { 1.0 } else { 2.0 }
            };
            (0..20).map(order).sum()
        };
        let right = pair(&e, &back_e) + pair(&b, &back_b);
        assert!((left - right).abs() < 1e-11 * left.abs().max(1.0), "{sampling:?}: {left} {right}");
    }
    assert!(of(Sampling::Mw, 4).synthesis_spin(0, [&noise(4), &noise(4)]).is_err());
}

#[test]
fn spin_2_is_the_wavelets_sum() {
    // sum sqrt((2l+1)/4pi) d^l_m2 f_lm e^(i m phi) = - (Q - i U) of E = f.
    let (band, t) = (12, of(Sampling::GaussLegendre, 12));
    let h = noise(band);
    let [q, u] = t.synthesis_spin(2, [&h, &Harmonics::zeros(band).unwrap()]).unwrap();
    let d = |l: i64, m: i64, theta: f64| -> f64 {
        let factorial = |k: i64| (1..=k).fold(1.0, |p, v| p * v as f64);
        let front = (factorial(l + m) * factorial(l - m) * factorial(l + 2) * factorial(l - 2)).sqrt();
        let (c, s) = (libm::cos(theta / 2.0), libm::sin(theta / 2.0));
        let term = |k: i64| {
            let below = [l + 2 - k, k, m - 2 + k, l - m - k];
            if below.iter().any(|v| *v < 0) {
                return 0.0;
            }
            let sign = if (m + k) % 2 == 0 { 1.0 } else { -1.0 };
            let powers = libm::pow(c, (2 * l + 2 - m - 2 * k) as f64) * libm::pow(s, (m - 2 + 2 * k) as f64);
            sign * powers / below.iter().fold(1.0, |p, v| p * factorial(*v))
        };
        front * (0..=2 * l).map(term).sum::<f64>()
    };
    let ring = t.grid().rings()[3];
    for p in [0, 5, 17] {
        let phi = 2.0 * PI * p as f64 / ring.points as f64;
        let mut sum = C::default();
        for l in 2..band as i64 {
            for m in -l..=l {
                let f = h.at(l as usize, m.unsigned_abs() as usize);
                let f = if m >= 0 { f } else { f.conj() * if m % 2 == 0 { 1.0 } else { -1.0 } };
                let turn = C::new(libm::cos(m as f64 * phi), libm::sin(m as f64 * phi));
                sum += f * turn * ((2 * l + 1) as f64 / (4.0 * PI)).sqrt() * d(l, m, ring.theta);
            }
        }
        let at = ring.first + p;
        assert!((sum - C::new(-q[at], u[at])).norm() < 1e-11, "{p}: {sum} {} {}", q[at], u[at]);
    }
}
