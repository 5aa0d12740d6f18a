//! Finds the [`Repair`] that gives decoded velocity distributions the moments of the original.

use super::repair::{Frame, Polynomial, Repair, Room, MOST};
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
/// What small values are, in tolerances, and how far they may be moved.
const SMALL: f64 = 0.75;
const LIMIT: f64 = 0.5;

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
            if along.iter().all(|s| *s == 0.0) {
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
        room: match absolute {
            true => Room { small: true, floor: criterion.positive, reach: SMALL * hint.abs, limit: LIMIT * hint.abs },
            // Less than all of it: signs stay.
            false => Room { small: false, floor: false, reach: f64::MAX, limit: 0.9 },
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
            repair.polynomials.push((Polynomial::new(Vec::new())?, false));
            continue;
        }
        needed = true;
        let cell = Cell {
            view,
            frame: Frame::of(&view, all.mesh().width()),
            room: repair.room,
            criterion,
            masked: &|i| masked(begin + i),
        };
        let before = values.clone();
        let mut done = None;
        // More values can be moved further, but more of them would leave their bounds.
        for wide in [false, true].into_iter().take(if repair.room.small { 2 } else { 1 }) {
            let cell = if wide { Cell { room: cell.room.wide(), ..cell } } else { cell };
            values.copy_from_slice(&before);
            let (polynomial, stay) = cell.mend(&mut values, terms, wanted.conserve)?;
            let set = if wanted.conserve { cell.settle(&mut values) } else { Vec::new() };
            if wanted.hold(&view, &all.view(&local, &values), SHARE) {
                done = Some((polynomial, wide, stay, set));
                break;
            }
        }
        let Some((polynomial, wide, stay, set)) = done else {
            return Err(Error::invalid("expected moments that small changes can restore, found others"));
        };
        repair.polynomials.push((polynomial, wide));
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
#[derive(Clone, Copy)]
struct Cell<'a, T> {
    view: DistributionView<'a, T>,
    frame: Frame,
    room: Room,
    criterion: &'a Criterion,
    masked: &'a dyn Fn(usize) -> bool,
}

impl<T: Element> Cell<'_, T> {
    /// The polynomial that restores the integrals of `terms`, applied to `values`, and the values that stay as they are: Newton's method, where
    /// values at their limits do not count, nor those that would leave their bounds.
    fn mend(&self, values: &mut [T], terms: &[Exponents], double: bool) -> Result<(Polynomial, Vec<usize>)> {
        let (x, n) = (self.view.values(), terms.len());
        let before = values.to_vec();
        let mut stays: Vec<bool> = (0..values.len()).map(|i| (self.masked)(i)).collect();
        let (mut c, mut polynomial) = (vec![0.0; n], Polynomial::new(Vec::new())?);
        let mut at = vec![0.0; values.len()];
        for round in 0..ROUNDS {
            let missing = Integrals::of(&self.view, &self.frame, 3, |i| x[i].to_f64() - values[i].to_f64());
            let products = Integrals::of(&self.view, &self.frame, 6, |i| {
                let y = before[i].to_f64();
                if stays[i] || !self.room.is_free(y, at[i]) {
                    0.0
                } else {
                    self.room.weight(y)
                }
            });
            let matrix: Vec<f64> = (0..n * n).map(|k| products.two(terms[k / n], terms[k % n])).collect();
            let mut step: Vec<f64> = terms.iter().map(|t| missing.one(t)).collect();
            solve_definite(&matrix, &mut step, n);
            c.iter_mut().zip(&step).for_each(|(c, s)| *c += s);
            if !double {
                c.iter_mut().for_each(|c| *c = f64::from(*c as f32));
            }
            polynomial = Polynomial::new(c.clone())?;
            polynomial.for_each(&self.view, &self.frame, |i, p| at[i] = p);
            let mut out = 0;
            for i in 0..values.len() {
                values[i] = before[i];
                if !stays[i] && self.room.weight(before[i].to_f64()) != 0.0 {
                    let new = T::from_f64(self.room.moved(before[i].to_f64(), at[i]));
                    if self.criterion.allows(x[i], new) {
                        values[i] = new;
                    } else {
                        (stays[i], out) = (true, out + 1);
                    }
                }
            }
            let small = |s: &f64| s.abs() <= 1e-6 * self.room.limit;
            if out == 0 && (round > 0 && step.iter().all(small) || round + 1 == ROUNDS) {
                break;
            }
        }
        Ok((polynomial, (0..stays.len()).filter(|i| stays[*i] && !(self.masked)(*i)).collect()))
    }

    /// Sets a few small values so that nothing is left of the errors of density, momentum and energy but rounding: corrections to values of which the
    /// last bits are far below what is missing.
    fn settle(&self, values: &mut [T]) -> Vec<(usize, T)> {
        let (x, frame) = (self.view.values(), &self.frame);
        let (length, starts) = self.view.runs();
        let places: Vec<[f64; 3]> = starts
            .flat_map(|s| (0..length).map(move |i| [s[0] + i, s[1], s[2]]))
            .map(|cell| std::array::from_fn(|a| frame.at(a, cell[a])))
            .collect();
        let missing = Integrals::of(&self.view, frame, 2, |i| x[i].to_f64() - values[i].to_f64());
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
