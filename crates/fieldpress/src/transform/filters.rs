//! The filters of the classical wavelets: Daubechies', symlets, coiflets, biorthogonal ones and their reverses, Meyer's cut short.
//!
//! Sources: I. Daubechies, "Orthonormal bases of compactly supported wavelets", 1988: half-band filters with the most zeros at the highest
//! frequency, split into the factor of least phase (db) or of a phase nearest to linear (sym); the same, "Orthonormal bases of compactly
//! supported wavelets II", 1993: vanishing moments of wavelet and scaling function (coif), centred on the value that is the mean of
//! the scaling function; A. Cohen, I. Daubechies, J.-C. Feauveau, "Biorthogonal bases of compactly supported wavelets", 1992: splines with
//! their duals (bior1 to bior3), and factors of like length (bior4.4, bior5.5, bior6.8); Y. Meyer, "Ondelettes et opérateurs", 1990 (dmey).
//!
//! Where factors or unknowns had to be solved for, this was done with 50 digits and more. The choice of factors and the order of values
//! are those in common use, such as in MATLAB and PyWavelets; all but dmey agree with what these print to 2e-11. Their dmey is a filter of 62
//! values that reconstructs to 6e-3 of a value; here it is the ideal low-pass filter, with `nu(x) = x^4 (35 - 84 x + 70 x^2 - 20 x^3)`, cut to
//! its 61 middle values and scaled to a sum of `sqrt(2)`, which differs from theirs by up to 8.5e-4 and reconstructs to 6e-5.
//!
//! # Format
//!
//! Numbers of wavelets: 0 haar, 1 to 19 db2 to db20, 20 to 38 sym2 to sym20, 39 to 43 coif1 to coif5, 44 to 58 bior (1.1 1.3 1.5 2.2 2.4 2.6
//! 2.8 3.1 3.3 3.5 3.7 3.9 4.4 5.5 6.8), 59 to 73 rbio likewise, 74 dmey.
//!
//! With the synthesis low-pass filter `h`, the analysis low-pass filter `d` and their length `L`: those of haar, db, sym and coif have
//! `d[j] = h[L - 1 - j]`, with `h` of two values `sqrt(1/2)` for haar and from `transform/filter_tables.rs` for the others (sym2 and sym3
//! are db2 and db3). For bior of orders `n` and `m`, with `k = (n + m) / 2`, `h` is `sqrt(2)` times the values of `((1 + z) / 2)^n`, and `d` is
//! `sqrt(2)` times those of `((1 + z) / 2)^m` times the sum of `binomial(k - 1 + i, i) ((2 - z - 1/z) / 4)^i` over `i < k`; but for
//! bior4.4, bior5.5, bior6.8 and dmey, which are mirrored from the halves in that file. All are of the even length that holds the longer
//! one, padded with zeros: as many before as after, where that is odd `d` has one more before and `h` one more after. Filters of rbio are
//! those of bior reversed, `d` for `h`. High-pass filters are `(-1)^(j+1) h[j]` for analysis and `(-1)^j d[j]` for synthesis.

use serde::{Deserialize, Serialize};

use super::filter_tables::{BIORTHOGONAL, COIFLETS, DAUBECHIES, MEYER, SYMLETS};
use crate::error::{Error, Result};

/// Orders of the biorthogonal wavelets: zeros at the highest frequency of the synthesis and of the analysis filter. What is known as
/// bior5.5 has 6 and 4 of them.
const ORDERS: [(usize, usize); 15] = [
    (1, 1),
    (1, 3),
    (1, 5),
    (2, 2),
    (2, 4),
    (2, 6),
    (2, 8),
    (3, 1),
    (3, 3),
    (3, 5),
    (3, 7),
    (3, 9),
    (4, 4),
    (5, 5),
    (6, 8),
];
/// Where each family begins among the wavelets.
const SYM: u8 = 20;
const COIF: u8 = 39;
const BIOR: u8 = 44;
const RBIO: u8 = 59;
const DMEY: u8 = 74;

/// One of the wavelets: `haar`, `db2` to `db20`, `sym2` to `sym20`, `coif1` to `coif5`, `bior1.1 1.3 1.5 2.2 2.4 2.6 2.8 3.1 3.3 3.5 3.7 3.9 4.4
/// 5.5 6.8`, as many `rbio`, `dmey`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Named(u8);

impl Named {
    /// Four vanishing moments.
    pub const DB4: Named = Named(3);

    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Named> {
        (0..=DMEY).map(Named)
    }
    /// By number. Errors: `Corrupt`, where there are not as many.
    pub fn new(number: u8) -> Result<Named> {
        if number > DMEY {
            return Err(Error::corrupt(format!("expected a wavelet from 0 to {DMEY}, found {number}")));
        }
        Ok(Named(number))
    }
    /// Its number, from 0.
    pub fn number(self) -> u8 {
        self.0
    }
    /// By name; `db1` is another of `haar`. Errors: `InvalidArgument`.
    pub fn parse(name: &str) -> Result<Named> {
        let name = if name == "db1" { "haar" } else { name };
        Named::all().find(|w| String::from(*w) == name).ok_or_else(|| {
            let kinds =
                "haar, db2 to db20, sym2 to sym20, coif1 to coif5, bior1.1 to bior6.8, rbio1.1 to rbio6.8, dmey";
            Error::invalid(format!("expected a wavelet ({kinds}), found {name:?}"))
        })
    }
    /// Its filters.
    pub fn filters(self) -> Filters {
        let order = |first: u8| usize::from(self.0 - first);
        match self.0 {
            0 => Filters::orthogonal(&[std::f64::consts::FRAC_1_SQRT_2; 2]),
            1..SYM => Filters::orthogonal(part(&DAUBECHIES, 2, 1 + order(0), 2)),
            SYM..COIF if self.0 < SYM + 2 => Filters::orthogonal(part(&DAUBECHIES, 2, 2 + order(SYM), 2)),
            SYM..COIF => Filters::orthogonal(part(&SYMLETS, 2, 2 + order(SYM), 4)),
            COIF..BIOR => Filters::orthogonal(part(&COIFLETS, 6, 1 + order(COIF), 1)),
            BIOR..RBIO => biorthogonal(order(BIOR)),
            RBIO..DMEY => biorthogonal(order(RBIO)).reversed(),
            _ => {
                let whole = mirrored(&MEYER);
                Filters::symmetric(&whole, &whole)
            }
        }
    }
}

impl From<Named> for String {
    fn from(w: Named) -> String {
        let orders = |first: u8| ORDERS.get(usize::from(w.0 - first)).copied().unwrap_or_default();
        match w.0 {
            0 => "haar".into(),
            1..SYM => format!("db{}", w.0 + 1),
            SYM..COIF => format!("sym{}", w.0 - SYM + 2),
            COIF..BIOR => format!("coif{}", w.0 - COIF + 1),
            BIOR..RBIO => format!("bior{}.{}", orders(BIOR).0, orders(BIOR).1),
            RBIO..DMEY => format!("rbio{}.{}", orders(RBIO).0, orders(RBIO).1),
            _ => "dmey".into(),
        }
    }
}

impl TryFrom<String> for Named {
    type Error = Error;
    fn try_from(name: String) -> Result<Named> {
        Named::parse(&name)
    }
}

/// The filter of order `n` in a table that begins with that of order `first`, `unit n` values each.
fn part(table: &'static [f64], unit: usize, n: usize, first: usize) -> &'static [f64] {
    let start: usize = (first..n).map(|k| unit * k).sum();
    table.get(start..start + unit * n).unwrap_or_default()
}

/// The values of a filter that is symmetric about the last of `half`.
fn mirrored(half: &[f64]) -> Vec<f64> {
    half.iter().chain(half.iter().rev().skip(1)).copied().collect()
}

/// The filters of place `which` in [`ORDERS`].
fn biorthogonal(which: usize) -> Filters {
    let splines = ORDERS.len() - BIORTHOGONAL.len();
    if let Some([analysis, synthesis]) = which.checked_sub(splines).and_then(|i| BIORTHOGONAL.get(i)) {
        return Filters::symmetric(&mirrored(analysis), &mirrored(synthesis));
    }
    let (n, dual) = ORDERS.get(which).copied().unwrap_or((1, 1));
    // ((1 + z) / 2)^n, and ((1 + z) / 2)^dual times the sum of binomial(k - 1 + j, j) y^j up to j = k - 1 with y = (2 - z - 1 / z) / 4 and
    // k = (n + dual) / 2: all are dyadic fractions, without an error of rounding.
    let half = |count: usize| (0..count).fold(vec![1.0], |h, _| convolution(&h, &[0.5, 0.5]));
    let k = (n + dual) / 2;
    let mut sum = vec![0.0; 2 * k - 1];
    let (mut power, mut binomial) = (vec![1.0], 1.0);
    for j in 0..k {
        for (i, p) in power.iter().enumerate() {
            sum[k - 1 - j + i] += binomial * p;
        }
        binomial = binomial * (k + j) as f64 / (j + 1) as f64;
        power = convolution(&power, &[-0.25, 0.5, -0.25]);
    }
    let scaled = |h: Vec<f64>| h.iter().map(|v| v * std::f64::consts::SQRT_2).collect::<Vec<_>>();
    Filters::symmetric(&scaled(convolution(&half(dual), &sum)), &scaled(half(n)))
}

fn convolution(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut c = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        c.iter_mut().skip(i).zip(b).for_each(|(c, y)| *c += x * y);
    }
    c
}

/// The filters of a wavelet, all of one even length, padded with zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// Analysis low-pass and high-pass; value `j` applies to the sample `j` places before that of value 0.
    pub analysis: [Vec<f64>; 2],
    /// Synthesis low-pass and high-pass.
    pub synthesis: [Vec<f64>; 2],
}

impl Filters {
    /// With high-pass filters from the low-pass ones of the other side: `g[j] = (-1)^(j+1) synthesis[j]` for analysis, `(-1)^j analysis[j]` for
    /// synthesis.
    fn new(analysis: Vec<f64>, synthesis: Vec<f64>) -> Filters {
        let alternate =
            |h: &[f64], odd: usize| h.iter().enumerate().map(|(j, v)| if j % 2 == odd { -v } else { *v }).collect();
        let high = [alternate(&synthesis, 0), alternate(&analysis, 1)];
        let [analysis_high, synthesis_high] = high;
        Filters { analysis: [analysis, analysis_high], synthesis: [synthesis, synthesis_high] }
    }
    fn orthogonal(synthesis: &[f64]) -> Filters {
        Filters::new(synthesis.iter().rev().copied().collect(), synthesis.to_vec())
    }
    /// From symmetric low-pass filters, both of odd or both of even length.
    fn symmetric(analysis: &[f64], synthesis: &[f64]) -> Filters {
        let n = analysis.len().max(synthesis.len()).next_multiple_of(2);
        let placed = |h: &[f64], at: usize| {
            let mut padded = vec![0.0; n];
            padded.iter_mut().skip(at).zip(h).for_each(|(p, v)| *p = *v);
            padded
        };
        Filters::new(placed(analysis, (n - analysis.len()).div_ceil(2)), placed(synthesis, (n - synthesis.len()) / 2))
    }
    /// Analysis for synthesis and the other way.
    fn reversed(self) -> Filters {
        let [[analysis, _], [synthesis, _]] = [self.analysis, self.synthesis];
        Filters::new(synthesis.into_iter().rev().collect(), analysis.into_iter().rev().collect())
    }
    /// The length of all four.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.analysis[0].len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Filters {
        Named::parse(name).unwrap().filters()
    }
    /// The sum of `a[j] b[j + 2 k]`.
    fn product(a: &[f64], b: &[f64], k: isize) -> f64 {
        let at = |j: usize| j.checked_add_signed(2 * k).and_then(|i| b.get(i)).copied().unwrap_or(0.0);
        a.iter().enumerate().map(|(j, v)| v * at(j)).sum()
    }
    /// The sum of `(j - centre)^p h[j]`, over the length to the power `p`.
    fn moment(h: &[f64], p: i32, centre: f64) -> f64 {
        let power = |j: usize| (0..p).fold(1.0, |v, _| v * (j as f64 - centre) / h.len() as f64);
        h.iter().enumerate().map(|(j, v)| v * power(j)).sum()
    }

    #[test]
    fn names_and_numbers_are_those_of_the_format() {
        let all: Vec<String> = Named::all().map(String::from).collect();
        assert_eq!(all.len(), 75);
        for (i, name) in all.iter().enumerate() {
            assert_eq!(Named::parse(name).unwrap(), Named::new(i as u8).unwrap());
        }
        for (i, name) in [(0, "haar"), (1, "db2"), (19, "db20"), (20, "sym2"), (38, "sym20"), (39, "coif1")] {
            assert_eq!(all[i], name);
        }
        for (i, name) in
            [(43, "coif5"), (44, "bior1.1"), (58, "bior6.8"), (59, "rbio1.1"), (73, "rbio6.8"), (74, "dmey")]
        {
            assert_eq!(all[i], name);
        }
        assert_eq!(Named::parse("db1").unwrap().number(), 0);
        assert!(Named::new(75).is_err() && Named::parse("db21").is_err() && Named::parse("").is_err());
    }

    /// Analysis and synthesis are inverse to each other: sums of products at even distances are those of a unit matrix.
    #[test]
    fn all_reconstruct() {
        for w in Named::all() {
            let (f, name) = (w.filters(), String::from(w));
            assert!(f.len() % 2 == 0 && f.analysis.iter().chain(&f.synthesis).all(|h| h.len() == f.len()), "{name}");
            let close = if name == "dmey" { 7e-5 } else { 5e-15 };
            for (i, a) in f.analysis.iter().enumerate() {
                let a: Vec<f64> = a.iter().rev().copied().collect();
                for (j, s) in f.synthesis.iter().enumerate() {
                    for k in -(f.len() as isize)..=f.len() as isize {
                        let expected = f64::from(u8::from(i == j && k == 0));
                        let found = product(&a, s, k);
                        assert!((found - expected).abs() < close, "{name} {i} {j} {k}: {found}");
                    }
                }
            }
            // A constant stays one.
            for h in [&f.analysis[0], &f.synthesis[0]] {
                assert!((h.iter().sum::<f64>() - std::f64::consts::SQRT_2).abs() < 4e-15, "{name}");
            }
        }
    }

    /// High-pass filters pass nothing of polynomials up to the number of vanishing moments.
    #[test]
    fn moments_vanish() {
        let moments = |name: &str, count: i32, dual: i32| {
            let f = named(name);
            for (h, count) in [(&f.analysis[1], count), (&f.synthesis[1], dual)] {
                for p in 0..count {
                    assert!(moment(h, p, 0.0).abs() < 1e-13, "{name} {p}: {}", moment(h, p, 0.0));
                }
                assert!(moment(h, count, 0.0).abs() > 1e-11, "{name} {count}: {}", moment(h, count, 0.0));
            }
        };
        for n in 2..=10 {
            moments(&format!("db{n}"), n, n);
            moments(&format!("sym{n}"), n, n);
        }
        for k in 1..=4 {
            moments(&format!("coif{k}"), 2 * k, 2 * k);
        }
        for (n, dual) in ORDERS {
            let found = if (n, dual) == (5, 5) { (6, 4) } else { (n, dual) };
            moments(&format!("bior{n}.{dual}"), found.0 as i32, found.1 as i32);
            moments(&format!("rbio{n}.{dual}"), found.1 as i32, found.0 as i32);
        }
        // Longer ones, as far as f64 can tell.
        for name in ["db20", "sym20", "db15", "sym17"] {
            assert!((0..12).all(|p| moment(&named(name).analysis[1], p, 0.0).abs() < 1e-12), "{name}");
        }
        // Scaling functions of coiflets, about their mean.
        for k in 1..=5 {
            let h = &named(&format!("coif{k}")).synthesis[0];
            let centre = (moment(h, 1, 0.0) * h.len() as f64 / std::f64::consts::SQRT_2).round();
            assert!((1..2 * k).all(|p| moment(h, p, centre).abs() < 1e-13), "coif{k}");
        }
    }

    /// Least phase: energy comes as early as it can, earlier than in a symlet, whose energy lies about the middle.
    #[test]
    fn daubechies_come_early_and_symlets_about_the_middle() {
        for n in 4..=20 {
            let mean = |name: &str| {
                let h = &named(&format!("{name}{n}")).synthesis[0];
                h.iter().enumerate().map(|(j, v)| j as f64 * v * v).sum::<f64>() / (h.len() - 1) as f64
            };
            assert!(mean("db") < 0.3 && (mean("sym") - 0.5).abs() < 0.11, "{n}: {} {}", mean("db"), mean("sym"));
        }
    }

    /// Printed by PyWavelets 1.8.
    #[test]
    fn some_values_are_those_in_use() {
        let f = named("db2");
        assert!((f.synthesis[0][0] - 0.48296291314453416).abs() < 1e-15 && f.analysis[0][3] == f.synthesis[0][0]);
        assert!(
            (f.synthesis[1][1] + 0.2241438680420134).abs() < 1e-15 && (f.analysis[1][0] + 0.482962913144).abs() < 1e-12
        );
        assert!((named("coif1").synthesis[0][0] + 0.07273261951252645).abs() < 1e-15);
        let f = named("rbio3.1");
        assert_eq!(f.analysis[0].len(), 4);
        assert!(
            (f.analysis[0][0] - 0.1767766952966369).abs() < 1e-15
                && (f.synthesis[0][0] + 0.3535533905932738).abs() < 1e-15
        );
        let f = named("bior2.4");
        assert!(f.analysis[0][0] == 0.0 && (f.analysis[0][1] - 0.03314563036811942).abs() < 1e-15);
        assert!(f.synthesis[0][..3] == [0.0; 3] && (f.synthesis[0][3] - 0.3535533905932738).abs() < 1e-15);
    }
}
