//! Minimisation of smooth functions of many variables.
//!
//! Source: J. Nocedal, S. J. Wright, "Numerical optimization", 2nd edition, 2006: algorithm 7.4 (two-loop recursion), 3.5 and 3.6 (line search with the strong Wolfe
//! conditions), equation 3.59 (cubic interpolation).

use std::collections::VecDeque;

/// When to stop, and what to remember.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lbfgs {
    /// Pairs of steps that are remembered.
    pub memory: usize,
    /// Most evaluations of the function.
    pub evaluations: usize,
    /// Stops once the function is at most this.
    pub enough: f64,
}

/// A minimum, or the best that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// Where.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// How often the function was evaluated.
    pub evaluations: usize,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |s, (a, b)| s + a * b)
}

/// A place with value and gradient.
#[derive(Clone)]
struct Place {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step along a line: how far, the value, the slope.
#[derive(Clone, Copy)]
struct Step {
    length: f64,
    value: f64,
    slope: f64,
}

impl Lbfgs {
    /// Goes down from `start`. `f` gives the value and the gradient; an error of it ends the search and is handed on.
    pub fn minimise<E>(
        &self,
        start: Vec<f64>,
        mut f: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
    ) -> Result<Minimum, E> {
        let (value, gradient) = f(&start)?;
        let mut now = Place { x: start, value, gradient };
        let mut evaluations = 1;
        let mut pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
        while evaluations < self.evaluations && now.value > self.enough {
            let mut direction = self.direction(&now.gradient, &pairs);
            let mut slope = dot(&direction, &now.gradient);
            if slope.is_nan() || slope >= 0.0 {
                pairs.clear();
                direction = now.gradient.iter().map(|g| -g).collect();
                slope = dot(&direction, &now.gradient);
            }
            if slope == 0.0 || !slope.is_finite() {
                break;
            }
            let first = if pairs.is_empty() { 1.0 / dot(&now.gradient, &now.gradient).sqrt().max(1e-300) } else { 1.0 };
            let mut line = Line { f: &mut f, from: &now, direction: &direction, found: None };
            let left = self.evaluations - evaluations;
            let used = line.search(Step { length: 0.0, value: now.value, slope }, first, left)?;
            evaluations += used;
            let Some(next) = line.found else {
                if pairs.is_empty() {
                    break;
                }
                pairs.clear();
                continue;
            };
            let s: Vec<f64> = next.x.iter().zip(&now.x).map(|(a, b)| a - b).collect();
            let y: Vec<f64> = next.gradient.iter().zip(&now.gradient).map(|(a, b)| a - b).collect();
            let sy = dot(&s, &y);
            if sy > 1e-14 * dot(&y, &y) {
                if pairs.len() >= self.memory.max(1) {
                    pairs.pop_front();
                }
                pairs.push_back((s, y, 1.0 / sy));
            }
            now = next;
        }
        Ok(Minimum { x: now.x, value: now.value, evaluations })
    }
    /// The two-loop recursion.
    fn direction(&self, gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
        let mut q = gradient.to_vec();
        let mut alphas = Vec::with_capacity(pairs.len());
        for (s, y, rho) in pairs.iter().rev() {
            let alpha = rho * dot(s, &q);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
            alphas.push(alpha);
        }
        if let Some((_, y, rho)) = pairs.back() {
            let scale = 1.0 / (rho * dot(y, y));
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for ((s, y, rho), alpha) in pairs.iter().zip(alphas.iter().rev()) {
            let beta = rho * dot(y, &q);
            q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
        }
        q.iter_mut().for_each(|q| *q = -*q);
        q
    }
}

struct Line<'a, F> {
    f: &'a mut F,
    from: &'a Place,
    direction: &'a [f64],
    /// The best that went down far enough.
    found: Option<Place>,
}

/// Values have to fall by this part of what the slope promises.
const FALL: f64 = 1e-4;
/// Slopes have to fall to this part.
const FLATTEN: f64 = 0.9;

impl<E, F: FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>> Line<'_, F> {
    fn at(&mut self, length: f64, start: &Step) -> Result<Step, E> {
        let x: Vec<f64> = self.from.x.iter().zip(self.direction).map(|(x, d)| x + length * d).collect();
        let (value, gradient) = (self.f)(&x)?;
        let slope = dot(&gradient, self.direction);
        let fell = value <= start.value + FALL * length * start.slope;
        if fell && self.found.as_ref().is_none_or(|f| value <= f.value) {
            self.found = Some(Place { x, value, gradient });
        }
        Ok(Step { length, value, slope })
    }
    /// Leaves in `found` a place that is low enough, if there is one. Gives the evaluations it took.
    fn search(&mut self, start: Step, first: f64, most: usize) -> Result<usize, E> {
        let (mut before, mut length) = (start, first);
        for used in 1..=most.min(20) {
            let step = self.at(length, &start)?;
            let low = step.value <= start.value + FALL * step.length * start.slope;
            if !low || (used > 1 && step.value >= before.value) || !step.value.is_finite() {
                return Ok(used + self.zoom(start, before, step, most.saturating_sub(used))?);
            }
            if step.slope.abs() <= -FLATTEN * start.slope {
                return Ok(used);
            }
            if step.slope >= 0.0 {
                return Ok(used + self.zoom(start, step, before, most.saturating_sub(used))?);
            }
            (before, length) = (step, 2.0 * length);
        }
        Ok(most.min(20))
    }
    fn zoom(&mut self, start: Step, mut low: Step, mut high: Step, most: usize) -> Result<usize, E> {
        for used in 1..=most.min(20) {
            let step = self.at(between(&low, &high), &start)?;
            let falls = step.value <= start.value + FALL * step.length * start.slope;
            if !falls || step.value >= low.value {
                high = step;
            } else {
                if step.slope.abs() <= -FLATTEN * start.slope {
                    return Ok(used);
                }
                if step.slope * (high.length - low.length) >= 0.0 {
                    high = low;
                }
                low = step;
            }
            if (high.length - low.length).abs() <= 1e-12 * high.length.abs() {
                return Ok(used);
            }
        }
        Ok(most.min(20))
    }
}

/// The minimum of the cubic through two steps, kept away from both ends.
fn between(a: &Step, b: &Step) -> f64 {
    let (low, high) = (a.length.min(b.length), a.length.max(b.length));
    let margin = 0.1 * (high - low);
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.length - b.length);
    let root = d1 * d1 - a.slope * b.slope;
    let d2 = root.max(0.0).sqrt() * if b.length >= a.length { 1.0 } else { -1.0 };
    let at = b.length - (b.length - a.length) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    if at.is_finite() && root >= 0.0 {
        at.clamp(low + margin, high - margin)
    } else {
        0.5 * (low + high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        // Rosenbrock's function in twenty variables.
        let f = |x: &[f64]| -> Result<(f64, Vec<f64>), ()> {
            let mut gradient = vec![0.0; x.len()];
            let mut value = 0.0;
            for i in 0..x.len() - 1 {
                let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
                value += 100.0 * a * a + b * b;
                gradient[i] += -400.0 * a * x[i] - 2.0 * b;
                gradient[i + 1] += 200.0 * a;
            }
            Ok((value, gradient))
        };
        let search = Lbfgs { memory: 10, evaluations: 1000, enough: 1e-20 };
        let found = search.minimise(vec![-1.2; 20], f).unwrap_or_else(|()| unreachable!());
        assert!(found.value < 1e-18 && found.evaluations < 400, "{} {}", found.value, found.evaluations);
        assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-8), "{:?}", found.x);
        let refused = search.minimise(vec![0.0; 3], |_| Err("no"));
        assert_eq!(refused, Err("no"));
    }
}
