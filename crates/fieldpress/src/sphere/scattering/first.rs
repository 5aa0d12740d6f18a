//! The first layer: the fields of a map at a scale, the moduli of their sums in every direction, and the coefficients of those.

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::super::legendre::{Down, Orders, Sums, Up, ZERO};
use super::super::line;
use super::super::recursion::{Lanes, LANES};
use super::super::Harmonics;
use super::masked::ScaleMask;
use super::plan::Scale;
use super::{Coefficients, Scattering};
use crate::bits::{widest, Work};
use crate::error::Result;

type C = Complex<f64>;
type Line = line::Line<LANES>;

/// What comes of a scale.
pub(super) struct Layer {
    pub(super) s1: Vec<f64>,
    pub(super) p00: Vec<f64>,
    /// The coefficients of the modulus in each direction, as far as smaller scales ask for them.
    pub(super) moduli: Vec<Harmonics>,
    /// The basis fields of each group of rings, if they are kept: lines of each spin.
    fields: Vec<Vec<Vec<Line>>>,
}

/// Points of the north and of the south of one direction, from lines of each spin.
#[inline(always)]
fn direction(fields: &[Vec<Line>], spins: &[usize], turns: &[f64], p: usize) -> [Lanes; 2] {
    let mut out = [[0.0; LANES]; 2];
    let mut x = 0;
    for (lines, spin) in fields.iter().zip(spins) {
        let (a, b) = if *spin == 0 { (turns[x], 0.0) } else { (turns[x], turns[x + 1]) };
        x += if *spin == 0 { 1 } else { 2 };
        for half in 0..2 {
            if *spin == 0 {
                let v = &lines[0][p][half];
                for l in 0..LANES {
                    out[half][l] += a * v[l];
                }
            } else {
                let [re, im] = &lines[half][p];
                for l in 0..LANES {
                    out[half][l] += a * re[l] + b * im[l];
                }
            }
        }
    }
    out
}

/// A group of rings, forward.
struct Forward<'a, F> {
    plan: &'a Scattering,
    scale: &'a Scale,
    g: usize,
    /// Orders of the moduli that are needed.
    band: usize,
    phases: F,
    /// Weights of the points of the group.
    mask: Option<&'a [[Lanes; 2]]>,
}

/// Of a group: the sums of the modulus in each direction by order, `S1` and `P00` times the area, the fields.
struct Forwarded {
    orders: Vec<Vec<Sums>>,
    s1: Vec<f64>,
    p00: Vec<f64>,
    fields: Vec<Vec<Line>>,
}

fn total(v: &Lanes) -> f64 {
    v.iter().fold(0.0, |s, x| s + x)
}

impl<F: Fn(usize, usize) -> [Sums; 2]> Work for Forward<'_, F> {
    type Output = Forwarded;
    #[inline(always)]
    fn run(self) -> Forwarded {
        let Forward { plan, scale, g, band, phases, mask } = self;
        // Loops and not closures: those are not always compiled for wide vectors.
        let mut fields: Vec<Vec<Line>> = Vec::new();
        for (i, spin) in plan.spins.iter().enumerate() {
            fields.push(scale.rings.lines(*spin, scale.band, |m| phases(i, m)));
        }
        let points = 2 * scale.band - 1;
        let weights = &scale.weights[g];
        let mut out = Forwarded { orders: Vec::new(), s1: Vec::new(), p00: Vec::new(), fields: Vec::new() };
        for turns in &plan.turns {
            let mut line = Line::zeros(points);
            let (mut size, mut square) = ([0.0; LANES], [0.0; LANES]);
            for (p, v) in line.iter_mut().enumerate() {
                let field = direction(&fields, &plan.spins, turns, p);
                let mut weights = *weights;
                if let Some(mask) = mask {
                    for half in 0..2 {
                        for l in 0..LANES {
                            weights[half][l] *= mask[p][half][l];
                        }
                    }
                }
                for half in 0..2 {
                    for l in 0..LANES {
                        let x = field[half][l];
                        v[half][l] = x.abs() * weights[half][l];
                        size[l] += v[half][l];
                        square[l] += x * x * weights[half][l];
                    }
                }
            }
            out.s1.push(total(&size));
            out.p00.push(total(&square));
            if band > 0 {
                out.orders.push(scale.rings.orders(0, band, vec![line]));
            }
        }
        out.fields = fields;
        out
    }
}

/// A group of rings, backward: from the derivatives by the moduli's coefficients, as sums, to those of the fields.
struct Backward<'a, F> {
    plan: &'a Scattering,
    scale: &'a Scale,
    g: usize,
    fields: &'a [Vec<Line>],
    /// Of the modulus in a direction, by order.
    phases: F,
    band: usize,
    /// Derivatives by `S1` and `P00`, over `4 pi`.
    s1: &'a [f64],
    p00: &'a [f64],
}

impl<F: Fn(usize, usize) -> Sums> Work for Backward<'_, F> {
    /// For each spin the sums of each order, then for its negative.
    type Output = Vec<Vec<Sums>>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        let Backward { plan, scale, g, fields, phases, band, s1, p00 } = self;
        let points = 2 * scale.band - 1;
        let weights = &scale.weights[g];
        let mut slopes: Vec<Vec<Line>> =
            fields.iter().map(|lines| lines.iter().map(|_| Line::zeros(points)).collect()).collect();
        for (d, turns) in plan.turns.iter().enumerate() {
            let moduli = if band > 0 { scale.rings.lines(0, band, |m| [phases(d, m), ZERO]) } else { Vec::new() };
            let moduli = moduli.first();
            for p in 0..points {
                let field = direction(fields, &plan.spins, turns, p);
                let modulus = if let Some(line) = moduli { line[p] } else { [[0.0; LANES]; 2] };
                let mut slope = [[0.0; LANES]; 2];
                for half in 0..2 {
                    for l in 0..LANES {
                        let x = field[half][l];
                        let sign = if x > 0.0 {
                            1.0
                        } else if x < 0.0 {
                            -1.0
                        } else {
                            0.0
                        };
                        let by_size = modulus[half][l] + s1[d];
                        slope[half][l] = weights[half][l] * (by_size * sign + 2.0 * p00[d] * x);
                    }
                }
                let mut x = 0;
                for (lines, spin) in slopes.iter_mut().zip(&plan.spins) {
                    let (a, b) = if *spin == 0 { (turns[x], 0.0) } else { (turns[x], turns[x + 1]) };
                    x += if *spin == 0 { 1 } else { 2 };
                    for half in 0..2 {
                        for l in 0..LANES {
                            if *spin == 0 {
                                lines[0][p][half][l] += a * slope[half][l];
                            } else {
                                lines[half][p][0][l] += a * slope[half][l];
                                lines[half][p][1][l] += b * slope[half][l];
                            }
                        }
                    }
                }
            }
        }
        let mut out = Vec::new();
        for (lines, spin) in slopes.into_iter().zip(&plan.spins) {
            let mut orders = scale.rings.orders(*spin, scale.band, lines);
            if *spin == 0 {
                // An order stands for its negative as well.
                for sums in orders.iter_mut().skip(1) {
                    sums.iter_mut().flatten().flatten().for_each(|v| *v *= 2.0);
                }
            }
            out.push(orders);
        }
        out
    }
}

impl Scattering {
    /// The signs of a spin whose sums are needed.
    pub(super) fn signed(spin: usize) -> Vec<i64> {
        if spin == 0 {
            vec![0]
        } else {
            vec![spin as i64, -(spin as i64)]
        }
    }
    pub(super) fn first_layer(
        &self,
        place: usize,
        map: &Harmonics,
        keep: bool,
        mask: Option<&ScaleMask>,
    ) -> Result<Layer> {
        let scale = &self.scales[place];
        let count = scale.rings.len();
        let mut phases: Vec<Vec<Vec<Sums>>> = Vec::new();
        for (i, spin) in self.spins.iter().enumerate() {
            let one = |n: i64| {
                let mut all = vec![ZERO; scale.band * count];
                all.par_chunks_mut(count).enumerate().for_each(|(m, sums)| {
                    let orders = Orders { m, n, band: scale.band, weights: &scale.wavelets[i] };
                    widest(Up { orders, places: &scale.rings.places, columns: &[map.order(m)], sums });
                });
                all
            };
            phases.push(Scattering::signed(*spin).into_iter().map(one).collect());
        }
        let band = if place > 0 { self.scales[place - 1].band } else { 0 };
        let group = |g: usize| {
            let at = |i: usize, m: usize| {
                let of = |s: usize| phases[i].get(s).map_or(ZERO, |p| p[m * count + g]);
                [of(0), of(1)]
            };
            let mut out =
                widest(Forward { plan: self, scale, g, band, phases: at, mask: mask.map(|m| m.groups[g].as_slice()) });
            if !keep {
                out.fields.clear();
            }
            out
        };
        let groups: Vec<Forwarded> = (0..count).into_par_iter().map(group).collect();
        drop(phases);
        let area = mask.map_or(4.0 * std::f64::consts::PI, |m| m.area);
        let share = |of: fn(&Forwarded) -> &[f64]| -> Vec<f64> {
            let sum = |d: usize| groups.iter().fold(0.0, |s, g| s + of(g)[d]) / area;
            (0..self.directions()).map(sum).collect()
        };
        let (s1, p00) = (share(|g| &g.s1), share(|g| &g.p00));
        let order = |m: usize| {
            let mut columns = vec![vec![C::default(); band - m]; self.directions()];
            let mut sums: Vec<Sums> =
                (0..self.directions()).flat_map(|d| groups.iter().map(move |g| g.orders[d][m])).collect();
            let orders = Orders { m, n: 0, band, weights: &scale.norms };
            let mut slices: Vec<&mut [C]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
            widest(Down { orders, places: &scale.rings.places, sums: &mut sums, columns: &mut slices });
            columns
        };
        let orders: Vec<Vec<Vec<C>>> = (0..band).into_par_iter().map(order).collect();
        let mut moduli = Vec::new();
        for d in 0..if band > 0 { self.directions() } else { 0 } {
            let mut all = Harmonics::zeros(band)?;
            orders.iter().enumerate().for_each(|(m, o)| all.order_mut(m).copy_from_slice(&o[d]));
            moduli.push(all);
        }
        Ok(Layer { s1, p00, moduli, fields: groups.into_iter().map(|g| g.fields).collect() })
    }
    /// Adds to the gradient what comes through the fields of a scale; `moduli` are the derivatives by the coefficients of the moduli.
    pub(super) fn first_layer_back(
        &self,
        place: usize,
        layer: &Layer,
        moduli: &[Harmonics],
        weights: &Coefficients,
        gradient: &mut Harmonics,
    ) {
        let scale = &self.scales[place];
        let count = scale.rings.len();
        let band = moduli.first().map_or(0, Harmonics::band);
        let mut phases = vec![ZERO; band * moduli.len() * count];
        phases.par_chunks_mut((moduli.len() * count).max(1)).enumerate().for_each(|(m, sums)| {
            // Synthesis takes an order for its negative as well; the derivatives already do.
            let factor = if m > 0 { 0.5 } else { 1.0 };
            let halved: Vec<Vec<C>> = moduli.iter().map(|h| h.order(m).iter().map(|v| v * factor).collect()).collect();
            let columns: Vec<&[C]> = halved.iter().map(Vec::as_slice).collect();
            let orders = Orders { m, n: 0, band, weights: &scale.norms };
            widest(Up { orders, places: &scale.rings.places, columns: &columns, sums });
        });
        let at = place * self.directions();
        let over = |v: &[f64]| -> Vec<f64> {
            v[at..at + self.directions()].iter().map(|v| v / (4.0 * std::f64::consts::PI)).collect()
        };
        let (s1, p00) = (over(&weights.s1), over(&weights.p00));
        let group = |g: usize| {
            let phases = |d: usize, m: usize| phases[(m * moduli.len() + d) * count + g];
            widest(Backward { plan: self, scale, g, fields: &layer.fields[g], phases, band, s1: &s1, p00: &p00 })
        };
        let groups: Vec<Vec<Vec<Sums>>> = (0..count).into_par_iter().map(group).collect();
        let order = |m: usize| {
            let mut column = vec![C::default(); scale.band - m];
            for (i, spin) in self.spins.iter().enumerate() {
                for (s, n) in Scattering::signed(*spin).into_iter().enumerate() {
                    let mut sums: Vec<Sums> = groups.iter().map(|g| g[i][s * scale.band + m]).collect();
                    let orders = Orders { m, n, band: scale.band, weights: &scale.wavelets[i] };
                    widest(Down { orders, places: &scale.rings.places, sums: &mut sums, columns: &mut [&mut column] });
                }
            }
            column
        };
        let found: Vec<Vec<C>> = (0..scale.band).into_par_iter().map(order).collect();
        for (m, column) in found.iter().enumerate() {
            gradient.order_mut(m).iter_mut().zip(column).for_each(|(g, c)| *g += c);
        }
    }
}
