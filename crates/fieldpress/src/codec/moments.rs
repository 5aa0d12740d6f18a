//! Finds the [`Repair`] that gives decoded velocity distributions the moments of the original.

use super::repair::{Frame, Polynomial, Repair, Weights, MOST};
use crate::array::{Element, Mask};
use crate::bits::Sum;
use crate::bound::{Criterion, Term};
use crate::error::{Error, Result};
use crate::linalg::solve_definite;
use crate::vdf::{DistributionView, Distributions, Place};

/// What errors may come to, in parts of what is asked: sums depend on their order.
const SHARE: f64 = 0.5;
/// How often values that would leave their bounds are put aside.
const ROUNDS: usize = 12;
/// Values that are set in one step so that nothing is left of density, momentum and energy.
const SETTERS: usize = 18;
/// What small values are, in tolerances.
const SMALL: f64 = 0.75;

/// Monomials in x, y, z.
type Exponents = &'static [[usize; 3]];
/// The polynomials of which repairs are made, and whose integrals are the moments, see the format of [`Repair`].
const BASIS: [Exponents; MOST] = [
    &[[0, 0, 0]],
    &[[1, 0, 0]],
    &[[0, 1, 0]],
    &[[0, 0, 1]],
    &[[2, 0, 0]],
    &[[0, 2, 0]],
    &[[0, 0, 2]],
    &[[0, 1, 1]],
    &[[1, 0, 1]],
    &[[1, 1, 0]],
    &[[3, 0, 0], [1, 2, 0], [1, 0, 2]],
    &[[2, 1, 0], [0, 3, 0], [0, 1, 2]],
    &[[2, 0, 1], [0, 2, 1], [0, 0, 3]],
];
/// Density, momentum and energy.
const CONSERVED: [Exponents; 5] = [BASIS[0], BASIS[1], BASIS[2], BASIS[3], &[[2, 0, 0], [0, 2, 0], [0, 0, 2]]];

/// Powers of coordinates that occur in products of two polynomials of the basis.
const POWERS: usize = 7;

/// Sums of monomials over the cells of a distribution.
struct Integrals([Sum; POWERS * POWERS * POWERS]);

impl Integrals {
    /// Of `density(i)`, for the values `i` of a distribution, times the monomials of a degree of at most `degree`.
    fn of<T>(
        view: &DistributionView<'_, T>,
        frame: &Frame,
        degree: usize,
        mut density: impl FnMut(usize) -> f64,
    ) -> Integrals {
        let mut all = [Sum::default(); POWERS * POWERS * POWERS];
        let (length, starts) = view.runs();
        for (run, start) in starts.enumerate() {
            let mut along = [0.0; POWERS];
            for i in 0..length {
                let (mut p, x) = (density(run * length + i), frame.at(0, start[0] + i));
                for s in along.iter_mut().take(degree + 1) {
                    *s += p;
                    p *= x;
                }
            }
            if along[0] == 0.0 && along[1] == 0.0 {
                continue;
            }
            let (y, z) = (frame.at(1, start[1]), frame.at(2, start[2]));
            let mut of_z = 1.0;
            for c in 0..=degree {
                let mut of_y = of_z;
                for b in 0..=degree - c {
                    for (a, s) in along.iter().enumerate().take(degree + 1 - b - c) {
                        all[(a * POWERS + b) * POWERS + c].add(s * of_y);
                    }
                    of_y *= y;
                }
                of_z *= z;
            }
        }
        Integrals(all)
    }
    fn get(&self, [a, b, c]: [usize; 3]) -> f64 {
        self.0[(a * POWERS + b) * POWERS + c].value()
    }
    /// Of a polynomial of the basis.
    fn one(&self, p: Exponents) -> f64 {
        p.iter().map(|e| self.get(*e)).sum()
    }
    /// Of the product of two.
    fn two(&self, p: Exponents, q: Exponents) -> f64 {
        p.iter().flat_map(|e| q.iter().map(|f| self.get([e[0] + f[0], e[1] + f[1], e[2] + f[2]]))).sum()
    }
}

/// The values of a block that hold distributions, before and after.
pub(super) struct Pair<'a, T> {
    /// The original.
    pub(super) x: &'a [T],
    /// What will be decoded, every value within its bound.
    pub(super) y: &'a mut [T],
    /// Values that are restored apart.
    pub(super) mask: Option<&'a Mask>,
    /// What must hold.
    pub(super) criterion: &'a Criterion,
    /// The tolerance the values were coded with.
    pub(super) hint: Term,
}

/// Repairs `y` where that is needed; `None` where it is not. Errors: `InvalidArgument` where what is asked cannot be had this way.
pub(super) fn repair<T: Element>(
    pair: Pair<'_, T>,
    all: &Distributions,
    places: &[Place],
) -> Result<Option<Repair<T>>> {
    let Pair { x, y, mask, criterion, hint } = pair;
    let masked = |i: usize| mask.is_some_and(|m| m.is_masked(i));
    // What is restored apart adds nothing to either.
    let cleared =
        |v: &[T]| v.iter().enumerate().map(|(i, &v)| if masked(i) { T::default() } else { v }).collect::<Vec<T>>();
    let absolute = hint.rel == 0.0 && !hint.is_free() && hint.abs > 0.0;
    let wanted = &criterion.quantities;
    let mut repair = Repair {
        weights: Weights {
            small: absolute && !criterion.positive,
            reach: if absolute { SMALL * hint.abs } else { f64::MAX },
        },
        double: wanted.conserve,
        stay: Vec::new(),
        set: Vec::new(),
        polynomials: Vec::new(),
    };
    let terms: &[Exponents] = match (wanted.conserve, wanted.moments.orders()) {
        (_, 4) => &BASIS,
        (_, 3) => &BASIS[..10],
        (true, _) => &CONSERVED,
        (_, 2) => &BASIS[..4],
        _ => &BASIS[..1],
    };
    let (original, decoded) = (cleared(x), cleared(y));
    let mut needed = false;
    for place in places {
        let begin = place.values.start;
        let view = all.view(place, &original);
        let mut values = decoded.get(place.values.clone()).unwrap_or_default().to_vec();
        let local = Place { values: 0..values.len(), ..place.clone() };
        if wanted.hold(&view, &all.view(&local, &values), SHARE) {
            repair.polynomials.push(Polynomial::new(Vec::new())?);
            continue;
        }
        needed = true;
        let cell = Cell {
            view,
            width: all.mesh().width(),
            weights: repair.weights,
            criterion,
            masked: &|i| masked(begin + i),
        };
        let (polynomial, stay) = cell.mend(&mut values, terms, wanted.conserve)?;
        let mut set = Vec::new();
        if wanted.conserve {
            set = cell.settle(&mut values);
        }
        if !wanted.hold(&view, &all.view(&local, &values), SHARE) {
            return Err(Error::invalid("expected moments that small changes can restore, found others"));
        }
        repair.polynomials.push(polynomial);
        repair.stay.extend(stay.into_iter().map(|i| begin + i));
        repair.set.extend(set.into_iter().map(|(i, v)| (begin + i, v)));
    }
    if !needed {
        return Ok(None);
    }
    // By the way the decoder takes.
    let repair = Repair::from_bytes(&repair.to_bytes(), x.len(), places.len())?;
    repair.apply(y, all, places);
    Ok(Some(repair))
}

/// A distribution to repair.
struct Cell<'a, T> {
    view: DistributionView<'a, T>,
    width: [f64; 3],
    weights: Weights,
    criterion: &'a Criterion,
    masked: &'a dyn Fn(usize) -> bool,
}

impl<T: Element> Cell<'_, T> {
    /// The polynomial that restores the integrals of `terms`, applied to `values`, and the values that stay as they are.
    fn mend(&self, values: &mut [T], terms: &[Exponents], double: bool) -> Result<(Polynomial, Vec<usize>)> {
        let (x, n) = (self.view.values(), terms.len());
        let frame = Frame::of(&self.view, self.width);
        let before = values.to_vec();
        let weight = |i: usize| if (self.masked)(i) { 0.0 } else { self.weights.of(before[i].to_f64()) };
        let mut stays = vec![false; values.len()];
        let missing = Integrals::of(&self.view, &frame, 3, |i| x[i].to_f64() - before[i].to_f64());
        let mut polynomial = Polynomial::new(Vec::new())?;
        for _ in 0..ROUNDS {
            let products = Integrals::of(&self.view, &frame, 6, |i| if stays[i] { 0.0 } else { weight(i) });
            let matrix: Vec<f64> = (0..n * n).map(|k| products.two(terms[k / n], terms[k % n])).collect();
            let mut c: Vec<f64> = terms.iter().map(|t| missing.one(t)).collect();
            solve_definite(&matrix, &mut c, n);
            if !double {
                c.iter_mut().for_each(|c| *c = f64::from(*c as f32));
            }
            polynomial = Polynomial::new(c)?;
            values.copy_from_slice(&before);
            polynomial.apply(values, &self.view, self.width, self.weights, |i| stays[i]);
            let out = |i: &usize| {
                !(self.masked)(*i)
                    && values[*i].to_bits64() != before[*i].to_bits64()
                    && !self.criterion.allows(x[*i], values[*i])
            };
            let out: Vec<usize> = (0..values.len()).filter(out).collect();
            if out.is_empty() {
                break;
            }
            for i in out {
                stays[i] = true;
                values[i] = before[i];
            }
        }
        // What is restored apart is zero here.
        (0..values.len()).filter(|i| (self.masked)(*i)).for_each(|i| values[i] = before[i]);
        Ok((polynomial, (0..stays.len()).filter(|i| stays[*i]).collect()))
    }

    /// Sets a few small values so that nothing is left of the errors of density, momentum and energy but rounding: corrections to values of which the
    /// last bits are far below what is missing.
    fn settle(&self, values: &mut [T]) -> Vec<(usize, T)> {
        let (x, frame) = (self.view.values(), Frame::of(&self.view, self.width));
        let (length, starts) = self.view.runs();
        let places: Vec<[f64; 3]> = starts
            .flat_map(|s| (0..length).map(move |i| [s[0] + i, s[1], s[2]]))
            .map(|cell| std::array::from_fn(|a| frame.at(a, cell[a])))
            .collect();
        let missing = Integrals::of(&self.view, &frame, 2, |i| x[i].to_f64() - values[i].to_f64());
        let mut missing: [f64; 5] = std::array::from_fn(|k| missing.one(CONSERVED[k]));
        let moments = |w: &[f64; 3]| [1.0, w[0], w[1], w[2], w[0] * w[0] + w[1] * w[1] + w[2] * w[2]];
        let total: f64 = x.iter().map(|v| v.to_f64().abs()).sum();
        let mut set: Vec<(usize, T)> = Vec::new();
        let mut room = 16.0;
        for _ in 0..8 {
            let most = missing.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            if most <= 1e-18 * total {
                break;
            }
            let able = |i: &usize| {
                let y = values[*i].to_f64();
                let fits = |d: f64| self.criterion.allows(x[*i], T::from_f64(y + d));
                y.abs() <= room * most && !(self.masked)(*i) && fits(most) && fits(-most)
            };
            let able: Vec<usize> = (0..values.len()).filter(able).collect();
            let chosen = spread(&able, &places);
            let mut matrix = [0.0; 25];
            for m in chosen.iter().map(|&i| moments(&places[i])) {
                (0..25).for_each(|k| matrix[k] += m[k / 5] * m[k % 5]);
            }
            let mut c = missing;
            solve_definite(&matrix, &mut c, 5);
            for i in chosen {
                let m = moments(&places[i]);
                let old = values[i].to_f64();
                let new = T::from_f64(old + m.iter().zip(&c).map(|(m, c)| m * c).sum::<f64>());
                if self.criterion.allows(x[i], new) {
                    m.iter().zip(&mut missing).for_each(|(m, r)| *r -= m * (new.to_f64() - old));
                    values[i] = new;
                    set.retain(|(at, _)| *at != i);
                    set.push((i, new));
                }
            }
            let now = missing.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            if now > 0.1 * most {
                // Larger values have room where no smaller one has.
                room *= 1e4;
            }
        }
        set.sort_unstable_by_key(|(i, _)| *i);
        set
    }
}

/// Of the values `able`, some that are far apart: those furthest out in many directions, and those furthest in.
fn spread(able: &[usize], places: &[[f64; 3]]) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut take = |score: &dyn Fn(&[f64; 3]) -> f64| {
        let free = able.iter().copied().filter(|i| !chosen.contains(i));
        if let Some(best) = free.max_by(|a, b| score(&places[*a]).total_cmp(&score(&places[*b]))) {
            chosen.push(best);
        }
    };
    for k in 0..SETTERS {
        // Corners, faces, and the middle.
        let sign = |bit: usize| if k >> bit & 1 == 1 { 1.0 } else { -1.0 };
        match k {
            0..8 => take(&|w| sign(0) * w[0] + sign(1) * w[1] + sign(2) * w[2]),
            8..14 => {
                let (axis, s) = ((k - 8) / 2, sign(0));
                take(&|w| s * w[axis] - 0.5 * (w.iter().map(|v| v.abs()).sum::<f64>() - w[axis].abs()));
            }
            _ => take(&|w| -w.iter().map(|v| v * v).sum::<f64>()),
        }
    }
    chosen
}
