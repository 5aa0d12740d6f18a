//! Reduced rotation matrices `d^l_mn(theta)` for rising degrees, many colatitudes at a time.
//!
//! Sources: D. A. Varshalovich, A. N. Moskalev, V. K. Khersonskii, "Quantum theory of angular momentum", 1988, sections 4.4, 4.8; the scaling of small values and
//! the rings that are left out: M. Reinecke, D. S. Seljebotn, "Libsharp: spherical harmonic transforms revisited", 2013.

use super::line::Aligned;

/// Colatitudes that go together.
pub(super) const LANES: usize = 8;
pub(super) type Lanes = [f64; LANES];
/// Groups of colatitudes that are walked together, so that what is in work stays near.
pub(super) const GROUPS: usize = 16;
/// Degrees that are handed on together; even.
pub(super) const ROWS: usize = 8;
/// Values of degrees that follow each other, for each group; one more, so that rows of groups lie apart.
pub(super) type Rows = [[Lanes; ROWS + 1]; GROUPS];

/// Values are kept in parts of so many powers of 2 where they are tiny.
const SCALE: i32 = 800;
/// Beyond it a value that is scaled goes up by one part.
const LARGE: f64 = f64::from_bits((1023 + 300) << 52);
const DOWN: f64 = f64::from_bits((1023 - SCALE as u64) << 52);

/// Colatitudes with their cosines and sines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Places {
    pub(super) theta: Lanes,
    pub(super) cos: Lanes,
    pub(super) sin: Lanes,
    /// Cosines of twice the colatitudes.
    pub(super) double: Lanes,
}

/// What is done with the values.
pub(super) trait Take {
    /// The values of the degrees with the numbers `number` to `number + ROWS` from the first degree, each to be multiplied with its [`Recursion::scales`], at the groups
    /// from `from` on; at those before they are 0. Must be `#[inline(always)]`.
    fn take(&mut self, number: usize, from: usize, rows: &Rows);
}

/// What the factor of a recursion is linear in: `q_next = (a y + b) q - q_before`. In forms that differ by a number, so that `y` is small and has digits to spare: what is lost of it by
/// rounding adds up from degree to degree.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Variable {
    /// `cos - 1`, `cos`, and `cos + 1`.
    Cosine,
    /// `-sin^2`, `cos^2 - 1/2`, and `cos^2`.
    Square,
}

impl Variable {
    /// `y` at these colatitudes, and the form.
    #[inline(always)]
    fn at(self, Places { cos, sin, double, .. }: &Places) -> (Lanes, usize) {
        match self {
            Variable::Cosine if cos.iter().all(|c| *c > 0.5) => {
                (std::array::from_fn(|l| -(sin[l] * sin[l]) / (1.0 + cos[l])), 0)
            }
            Variable::Cosine if cos.iter().all(|c| *c < -0.5) => {
                (std::array::from_fn(|l| sin[l] * sin[l] / (1.0 - cos[l])), 2)
            }
            Variable::Cosine => (*cos, 1),
            Variable::Square if double.iter().all(|d| *d > 0.5) => (sin.map(|s| -(s * s)), 0),
            Variable::Square if double.iter().all(|d| *d < -0.5) => (cos.map(|c| c * c), 2),
            Variable::Square => (double.map(|d| 0.5 * d), 1),
        }
    }
}

/// `a`, and `b` of each of three forms, side by side; each then zeros, to whole blocks.
pub(super) struct Steps(Vec<f64>);

impl Steps {
    /// Zeros for so many steps.
    pub(super) fn zeros(count: usize) -> Steps {
        Steps(vec![0.0; 4 * count.next_multiple_of(ROWS)])
    }
    /// `a` and `b` of the first `count` steps.
    #[inline(always)]
    pub(super) fn parts(&mut self, count: usize) -> [&mut [f64]; 4] {
        let len = self.0.len() / 4;
        split(&mut self.0, len).map(|part| &mut part[..count])
    }
    /// `a`, or `b` of form `part - 1`.
    #[inline(always)]
    fn part(&self, part: usize) -> &[f64] {
        let len = self.0.len() / 4;
        &self.0[part * len..][..len]
    }
}

/// `N` parts of `len` values each.
#[inline(always)]
pub(super) fn split<const N: usize>(values: &mut [f64], len: usize) -> [&mut [f64]; N] {
    let mut rest = values;
    std::array::from_fn(|_| {
        let (part, more) = std::mem::take(&mut rest).split_at_mut(len);
        rest = more;
        part
    })
}

/// The recursion in `l` for one pair of orders.
pub(super) struct Recursion {
    m: i64,
    n: i64,
    band: usize,
    first: usize,
    variable: Variable,
    steps: Steps,
    /// `s_l`: `d^l = s_l q_l`.
    scales: Vec<f64>,
    /// `sqrt((2l)! / ((l+b)! (l-b)!)) / 2^(l-|b|)` of the first degree `l`, with its sign, `b` being the lesser order.
    factor: f64,
    lesser: i64,
}

/// Positive numbers as mantissas from 1 to 2 with what they lack, and powers of 2.
#[derive(Clone, Copy)]
struct Wide {
    mantissas: Lanes,
    rests: Lanes,
    exponents: [i64; LANES],
}

impl Wide {
    #[inline(always)]
    fn new(v: Lanes) -> Wide {
        Wide::of(v, [0.0; LANES])
    }
    #[inline(always)]
    fn of(v: Lanes, rests: Lanes) -> Wide {
        Wide { mantissas: v, rests, exponents: [0; LANES] }.normal()
    }
    #[inline(always)]
    fn normal(mut self) -> Wide {
        for l in 0..LANES {
            let bits = self.mantissas[l].to_bits();
            let exponent = (bits >> 52 & 0x7ff) as i64 - 1023;
            self.exponents[l] += exponent;
            self.mantissas[l] = f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52);
            self.rests[l] *= f64::from_bits(((1023 - exponent) as u64) << 52);
        }
        self
    }
    #[inline(always)]
    fn times(&self, v: &Wide) -> Wide {
        let mut out = *self;
        for l in 0..LANES {
            let (x, y) = (self.mantissas[l], v.mantissas[l]);
            out.mantissas[l] = x * y;
            out.rests[l] = x.mul_add(y, -out.mantissas[l]) + (x * v.rests[l] + self.rests[l] * y);
            out.exponents[l] += v.exponents[l];
        }
        out.normal()
    }
    #[inline(always)]
    fn power(&self, mut n: u64) -> Wide {
        let (mut base, mut all) = (*self, Wide::new([1.0; LANES]));
        while n > 0 {
            if n & 1 == 1 {
                all = all.times(&base);
            }
            n >>= 1;
            if n > 0 {
                base = base.times(&base);
            }
        }
        all
    }
}

/// Stands for 0 where only positive numbers can be: no power of it is ever seen.
const TINY: f64 = 1e-300;

/// A group that is walked alone, since some of its values are still tiny.
#[derive(Clone, Copy)]
struct Alone {
    now: Lanes,
    before: Lanes,
    /// How many parts each is down.
    below: [i32; LANES],
}

impl Recursion {
    /// For the degrees below `band`, of which the first is the larger of `m` and `|n|`.
    #[inline(always)]
    pub(super) fn new(m: usize, n: i64, band: usize) -> Recursion {
        let m = m as i64;
        let first = m.max(n.abs());
        let len = (band as i64 - first).max(0) as usize;
        // sqrt((l^2 - m^2) (l^2 - n^2)), from the first degree to the band-limit.
        let mut roots = vec![0.0; len + 1];
        let (mm, nn) = ((m * m) as f64, (n * n) as f64);
        for (i, r) in roots.iter_mut().enumerate() {
            let l = (first as usize + i) as f64;
            *r = ((l * l - mm) * (l * l - nn)).sqrt();
        }
        // d^(l+1) = (a cos - b) d^l - c d^(l-1); s_(l+1) = c_l s_(l-1). Of b what is to be multiplied with a.
        let mut work = vec![0.0; 3 * len];
        let [a, b, c] = split(&mut work, len);
        let (here, next, product) = (&roots[..len], &roots[1..=len], (m * n) as f64);
        for (i, (((a, b), c), (here, next))) in
            a.iter_mut().zip(&mut *b).zip(&mut *c).zip(here.iter().zip(next)).enumerate()
        {
            let l = (first as usize + i) as f64;
            let at_least = if l > 0.0 { l } else { 1.0 };
            let over = (l + 1.0) / next;
            (*a, *b, *c) = (over * (2.0 * l + 1.0), product / (at_least * (l + 1.0)), over * here / at_least);
        }
        let mut scales = vec![1.0; len + 1];
        let (mut before, mut now) = (1.0, 1.0);
        for (s, c) in scales.iter_mut().skip(2).zip(c.iter().skip(1)) {
            *s = c * before;
            (before, now) = (now, *s);
        }
        let mut steps = Steps::zeros(len);
        let [outs, near, middle, far] = steps.parts(len);
        let forms = near.iter_mut().zip(middle).zip(far).zip(outs);
        let ratios = scales.iter().zip(&scales[1..]);
        for ((((near, middle), far), out), ((a, b), (here, next))) in forms.zip(a.iter().zip(&*b).zip(ratios)) {
            let a = a * (here / next);
            let b = a * b;
            (*out, *near, *middle, *far) = (a, a - b, -b, -a - b);
        }
        scales.truncate(len);
        let (factor, lesser) = Recursion::beginning(m, n);
        Recursion { m, n, band, first: first as usize, variable: Variable::Cosine, steps, scales, factor, lesser }
    }
    /// One of an order `m` and 0 in steps of two degrees: the first value is that of `d^m_m0` times `factor`.
    #[inline(always)]
    pub(super) fn in_twos(m: usize, band: usize, steps: Steps, factor: f64) -> Recursion {
        let (own, lesser) = Recursion::beginning(m as i64, 0);
        let (m, n, first, variable) = (m as i64, 0, m, Variable::Square);
        Recursion { m, n, band, first, variable, steps, scales: Vec::new(), factor: factor * own, lesser }
    }
    /// The factor and the lesser order.
    #[inline(always)]
    fn beginning(m: i64, n: i64) -> (f64, i64) {
        let first = m.max(n.abs());
        // The orders so that the first degree is the first: d_mn = (-1)^(m-n) d_nm = d_(-n)(-m).
        let odd = |v: i64| v.rem_euclid(2) == 1;
        let (mut lesser, mut minus) = (n, false);
        if m < n.abs() {
            (lesser, minus) = (m, odd(m - n));
            if n < 0 {
                (lesser, minus) = (-m, minus != odd(n - m));
            }
        }
        minus = minus != odd(first - lesser);
        // (2l)! / (l! l! 4^l), then l! l! / ((l+b)! (l-b)!).
        let mut square = (1..=first).fold(1.0, |p, k| p * ((2 * k - 1) as f64 / (2 * k) as f64));
        for i in 0..lesser.abs() {
            square *= (first - i) as f64 / (first + i + 1) as f64 * 4.0;
        }
        (if minus { -square.sqrt() } else { square.sqrt() }, lesser)
    }
    /// The first degree.
    pub(super) fn first(&self) -> usize {
        self.first
    }
    /// What the values of each degree from the first on are to be multiplied with.
    pub(super) fn scales(&self) -> &[f64] {
        &self.scales
    }
    /// Whether no degree has values worth adding at these colatitudes.
    #[inline(always)]
    fn negligible(&self, places: &Places) -> bool {
        let (m, n) = (self.m as f64, self.n as f64);
        let margin = (0.01 * self.band as f64).max(100.0);
        (0..LANES).all(|l| {
            let most = (self.band as f64 - 1.0) * places.sin[l] + margin;
            m * m + n * n - 2.0 * m * n * places.cos[l] > most * most
        })
    }
    #[inline(always)]
    fn seeds(&self, places: &Places) -> Alone {
        let b = self.lesser.unsigned_abs();
        let mut all = Wide::new([1.0; LANES]);
        if self.variable == Variable::Square {
            // As the recursion has it, whatever y lost: sin^2 is 0, 1/2 or 1 less y.
            let (y, form) = self.variable.at(places);
            let from = 0.5 * form as f64;
            let square = y.map(|v| (from - v).max(TINY));
            let rest: Lanes = std::array::from_fn(|l| (from - square[l]) - y[l]);
            let rest = std::array::from_fn(|l| if square[l] > TINY { rest[l] } else { 0.0 });
            all = Wide::of(square, rest).power(self.first as u64 / 2);
            if self.first % 2 == 1 {
                let root = square.map(f64::sqrt);
                let of = |l: usize| ((-root[l]).mul_add(root[l], square[l]) + rest[l]) / (2.0 * root[l]);
                all = all.times(&Wide::of(root, std::array::from_fn(of)));
            }
        } else {
            all = all.times(&Wide::new(places.sin.map(|s| s.max(TINY))).power(self.first as u64 - b));
        }
        if b > 0 {
            let half = |t: f64| if self.lesser >= 0 { libm::cos(0.5 * t) } else { libm::sin(0.5 * t) }.max(TINY);
            all = all.times(&Wide::new(places.theta.map(half)).power(2 * b));
        }
        let mut alone = Alone { now: [0.0; LANES], before: [0.0; LANES], below: [0; LANES] };
        for l in 0..LANES {
            let parts = (-all.exponents[l] - 500).max(0) as u64;
            let parts = parts.div_ceil(SCALE as u64);
            let exponent = all.exponents[l] + parts as i64 * i64::from(SCALE);
            alone.now[l] = self.factor * all.mantissas[l] * f64::from_bits(((exponent + 1023) as u64) << 52);
            alone.below[l] = parts as i32;
        }
        alone
    }
    /// Hands on the values of every degree from the first on at up to [`GROUPS`] groups of colatitudes. Those before the first that is not negligible are left out: groups sorted
    /// from the pole to the equator gain most.
    #[inline(always)]
    pub(super) fn walk(&self, places: &[Places], taker: &mut impl Take) {
        let count = places.len().min(GROUPS);
        let places = &places[..count];
        let Some(alive) = places.iter().position(|p| !self.negligible(p)) else { return };
        // Two rows before the block, the block itself.
        let mut state = Aligned([[[0.0; LANES]; GROUPS]; 3]);
        let [before, now, variables] = &mut state.0;
        let mut rows: Aligned<Rows> = Aligned([[[0.0; LANES]; ROWS + 1]; GROUPS]);
        let rows = &mut rows.0;
        let mut alone = [Alone { now: [0.0; LANES], before: [0.0; LANES], below: [0; LANES] }; GROUPS];
        for g in alive..count {
            alone[g] = self.seeds(&places[g]);
        }
        // Groups from here on have joined: nothing of them is tiny.
        let mut joined = count;
        let mut forms = [0; GROUPS];
        for g in alive..count {
            (variables[g], forms[g]) = self.variable.at(&places[g]);
        }
        for (block, a) in self.steps.part(0).chunks_exact(ROWS).enumerate() {
            let b = |form: usize| &self.steps.part(form + 1)[block * ROWS..][..ROWS];
            while joined > alive && alone[joined - 1].below == [0; LANES] {
                joined -= 1;
                (before[joined], now[joined]) = (alone[joined].before, alone[joined].now);
            }
            let mut from = joined;
            for g in (alive..joined).rev() {
                if alone[g].block(a, b(forms[g]), &variables[g], &mut rows[g]) {
                    from = g;
                }
            }
            let mut g = joined;
            while g < count {
                // Of a form in a row: its coefficients stay in registers.
                let form = forms[g];
                let end = (g..count).find(|k| forms[*k] != form).unwrap_or(count);
                let (mut a_here, mut b_here) = ([[0.0; LANES]; ROWS], [[0.0; LANES]; ROWS]);
                for i in 0..ROWS {
                    (a_here[i], b_here[i]) = ([a[i]; LANES], [b(form)[i]; LANES]);
                }
                for k in g..end {
                    let (y, mut last, mut x) = (variables[k], before[k], now[k]);
                    for i in 0..ROWS {
                        rows[k][i] = x;
                        for l in 0..LANES {
                            let next = a_here[i][l].mul_add(y[l], b_here[i][l]).mul_add(x[l], -last[l]);
                            (last[l], x[l]) = (x[l], next);
                        }
                    }
                    (before[k], now[k]) = (last, x);
                }
                g = end;
            }
            if from < count {
                taker.take(block * ROWS, from, rows);
            }
        }
    }
}

impl Alone {
    /// A block of degrees into the rows of group `g`, with 0 where values are tiny. Says whether anything is not.
    #[inline(always)]
    fn block(&mut self, a: &[f64], b: &[f64], y: &Lanes, rows: &mut [Lanes; ROWS + 1]) -> bool {
        let mut seen = false;
        for (row, (a, b)) in rows.iter_mut().zip(a.iter().zip(b)) {
            *row = [0.0; LANES];
            let (mut down, mut largest) = (0, 0.0);
            for l in 0..LANES {
                let there = self.below[l] == 0;
                seen |= there;
                row[l] = if there { self.now[l] } else { 0.0 };
                let next = a.mul_add(y[l], *b).mul_add(self.now[l], -self.before[l]);
                (self.before[l], self.now[l]) = (self.now[l], next);
                down |= self.below[l];
                largest = if next.abs() > largest { next.abs() } else { largest };
            }
            if down > 0 && largest > LARGE {
                for l in 0..LANES {
                    let up = self.below[l] > 0 && self.now[l].abs() > LARGE;
                    self.below[l] -= i32::from(up);
                    let factor = if up { DOWN } else { 1.0 };
                    self.now[l] *= factor;
                    self.before[l] *= factor;
                }
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values for one colatitude, from the explicit sum of Wigner.
    fn wigner(l: i64, m: i64, n: i64, theta: f64) -> f64 {
        let factorial = |k: i64| (1..=k).fold(1.0, |p, v| p * v as f64);
        let front = (factorial(l + m) * factorial(l - m) * factorial(l + n) * factorial(l - n)).sqrt();
        let (c, s) = (libm::cos(theta / 2.0), libm::sin(theta / 2.0));
        let mut sum = 0.0;
        for k in 0..=2 * l {
            let below = [l + n - k, k, m - n + k, l - m - k];
            if below.iter().any(|v| *v < 0) {
                continue;
            }
            let sign = if (m - n + k).rem_euclid(2) == 1 { -1.0 } else { 1.0 };
            let powers = libm::pow(c, (2 * l + n - m - 2 * k) as f64) * libm::pow(s, (m - n + 2 * k) as f64);
            sum += sign * powers / below.iter().fold(1.0, |p, v| p * factorial(*v));
        }
        front * sum
    }

    fn places(f: impl Fn(usize) -> f64) -> Vec<Places> {
        let theta: [Lanes; 2] = std::array::from_fn(|g| std::array::from_fn(|l| f(g * LANES + l)));
        theta
            .iter()
            .map(|t| Places {
                theta: *t,
                cos: t.map(libm::cos),
                sin: t.map(libm::sin),
                double: t.map(|t| libm::cos(2.0 * t)),
            })
            .collect()
    }

    struct Each<'a, F>(&'a Recursion, F);

    impl<F: FnMut(usize, &[f64])> Take for Each<'_, F> {
        fn take(&mut self, number: usize, from: usize, rows: &Rows) {
            for (i, scale) in self.0.scales().iter().enumerate().skip(number).take(ROWS) {
                let row = |g: usize| if g < from { [0.0; LANES] } else { rows[g][i - number].map(|v| v * scale) };
                (self.1)(i, [row(0), row(1)].as_flattened());
            }
        }
    }

    fn walk(r: &Recursion, places: &[Places], f: impl FnMut(usize, &[f64])) {
        r.walk(places, &mut Each(r, f));
    }

    #[test]
    fn values_are_those_of_the_explicit_sum() {
        let places = places(|l| 0.05 + 0.19 * l as f64);
        for m in 0..6usize {
            for n in -4..=4i64 {
                let r = Recursion::new(m, n, 9);
                assert_eq!(r.first() as i64, (m as i64).max(n.abs()));
                let mut count = 0;
                walk(&r, &places, |number, found| {
                    let l = (r.first() + number) as i64;
                    for (t, f) in places.iter().flat_map(|p| &p.theta).zip(found) {
                        let expected = wigner(l, m as i64, n, *t);
                        assert!((f - expected).abs() < 1e-13, "{l} {m} {n} {t}: {f} {expected}");
                    }
                    count += 1;
                });
                assert_eq!(count, 9 - r.first());
            }
        }
    }

    #[test]
    fn tiny_beginnings_do_not_vanish() {
        // Near the pole the first value is far below the smallest number; sums of squares over the orders are 1.
        let places = places(|l| 0.02 + 0.08 * l as f64);
        let band = 1200;
        let l = band - 1;
        let mut sums = [0.0; 2 * LANES];
        for m in 0..band {
            let r = Recursion::new(m, 0, band);
            walk(&r, &places, |number, found| {
                if r.first() + number == l {
                    sums.iter_mut().zip(found).for_each(|(s, f)| *s += if m == 0 { f * f } else { 2.0 * f * f });
                }
            });
        }
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 4e-12), "{sums:?}");
    }
}
