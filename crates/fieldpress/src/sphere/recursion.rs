//! Reduced rotation matrices `d^l_mn(theta)` for rising degrees, many colatitudes at a time.
//!
//! Sources: D. A. Varshalovich, A. N. Moskalev, V. K. Khersonskii, "Quantum theory of angular momentum", 1988, sections 4.4, 4.8; the scaling of small values and
//! the rings that are left out: M. Reinecke, D. S. Seljebotn, "Libsharp: spherical harmonic transforms revisited", 2013.

/// Colatitudes that go together.
pub(super) const LANES: usize = 8;
pub(super) type Lanes = [f64; LANES];
/// Groups of colatitudes that are walked together, so that what is in work stays near.
pub(super) const GROUPS: usize = 16;
/// Degrees that are handed on together; even.
pub(super) const ROWS: usize = 16;
/// Values of degrees that follow each other.
pub(super) type Rows = [[Lanes; GROUPS]; ROWS];

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
}

/// What is done with the values.
pub(super) trait Take {
    /// The values of the degrees with the numbers `number` to `number + ROWS` from the first degree, each to be multiplied with its [`Recursion::scales`], at the groups
    /// from `from` on; at those before they are 0. Must be `#[inline(always)]`.
    fn take(&mut self, number: usize, from: usize, rows: &Rows);
}

/// The recursion in `l` for one pair of orders.
pub(super) struct Recursion {
    m: i64,
    n: i64,
    band: usize,
    first: usize,
    /// `q_(l+1) = (a cos - b) q_l - q_(l-1)` for `d^l = s_l q_l`; then zeros, to whole blocks of degrees.
    steps: Vec<[f64; 2]>,
    /// `s_l`.
    scales: Vec<f64>,
    /// `sqrt((2l)! / ((l+b)! (l-b)!)) / 2^(l-|b|)` of the first degree `l`, with its sign, `b` being the lesser order.
    factor: f64,
    lesser: i64,
}

/// Positive numbers as mantissas from 1 to 2 and powers of 2.
#[derive(Clone, Copy)]
struct Wide {
    mantissas: Lanes,
    exponents: [i64; LANES],
}

impl Wide {
    #[inline(always)]
    fn new(v: Lanes) -> Wide {
        Wide { mantissas: v, exponents: [0; LANES] }.normal()
    }
    #[inline(always)]
    fn normal(mut self) -> Wide {
        for (v, e) in self.mantissas.iter_mut().zip(&mut self.exponents) {
            let bits = v.to_bits();
            *e += (bits >> 52 & 0x7ff) as i64 - 1023;
            *v = f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52);
        }
        self
    }
    #[inline(always)]
    fn times(&self, other: &Wide) -> Wide {
        Wide {
            mantissas: std::array::from_fn(|l| self.mantissas[l] * other.mantissas[l]),
            exponents: std::array::from_fn(|l| self.exponents[l] + other.exponents[l]),
        }
        .normal()
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
        // d^(l+1) = (a cos - b) d^l - c d^(l-1); s_(l+1) = c_l s_(l-1).
        let mut parts = vec![[0.0; 3]; len];
        for (i, p) in parts.iter_mut().enumerate() {
            let l = (first as usize + i) as f64;
            let over = (l + 1.0) / roots[i + 1];
            let a = over * (2.0 * l + 1.0);
            let at_least = if l > 0.0 { l } else { 1.0 };
            *p = [a, a * (m * n) as f64 / (at_least * (l + 1.0)), over * roots[i] / at_least];
        }
        let mut scales = vec![1.0; len + 1];
        for i in 1..len {
            scales[i + 1] = parts[i][2] * scales[i - 1];
        }
        let mut steps = vec![[0.0; 2]; len.next_multiple_of(ROWS)];
        for i in 0..len {
            let ratio = scales[i] / scales[i + 1];
            steps[i] = [parts[i][0] * ratio, parts[i][1] * ratio];
        }
        scales.truncate(len);
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
        let factor = if minus { -square.sqrt() } else { square.sqrt() };
        Recursion { m, n, band, first: first as usize, steps, scales, factor, lesser }
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
        let mut all = Wide::new(places.sin.map(|s| s.max(TINY))).power(self.first as u64 - b);
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
        let (mut before, mut now) = ([[0.0; LANES]; GROUPS], [[0.0; LANES]; GROUPS]);
        let mut rows: Rows = [[[0.0; LANES]; GROUPS]; ROWS];
        let mut alone = [Alone { now: [0.0; LANES], before: [0.0; LANES], below: [0; LANES] }; GROUPS];
        for g in alive..count {
            alone[g] = self.seeds(&places[g]);
        }
        // Groups from here on have joined: nothing of them is tiny.
        let mut joined = count;
        for (block, steps) in self.steps.chunks_exact(ROWS).enumerate() {
            while joined > alive && alone[joined - 1].below == [0; LANES] {
                joined -= 1;
                (before[joined], now[joined]) = (alone[joined].before, alone[joined].now);
            }
            let mut from = joined;
            for g in (alive..joined).rev() {
                if alone[g].block(steps, &places[g].cos, g, &mut rows) {
                    from = g;
                }
            }
            for g in joined..count {
                let (cos, mut last, mut x) = (places[g].cos, before[g], now[g]);
                for (row, [a, b]) in rows.iter_mut().zip(steps) {
                    row[g] = x;
                    for l in 0..LANES {
                        let next = a.mul_add(cos[l], -b).mul_add(x[l], -last[l]);
                        (last[l], x[l]) = (x[l], next);
                    }
                }
                (before[g], now[g]) = (last, x);
            }
            if from < count {
                taker.take(block * ROWS, from, &rows);
            }
        }
    }
}

impl Alone {
    /// A block of degrees into the rows of group `g`, with 0 where values are tiny. Says whether anything is not.
    #[inline(always)]
    fn block(&mut self, steps: &[[f64; 2]], cos: &Lanes, g: usize, rows: &mut Rows) -> bool {
        let mut seen = false;
        for (row, [a, b]) in rows.iter_mut().zip(steps) {
            row[g] = [0.0; LANES];
            let (mut down, mut largest) = (0, 0.0);
            for l in 0..LANES {
                let there = self.below[l] == 0;
                seen |= there;
                row[g][l] = if there { self.now[l] } else { 0.0 };
                let next = a.mul_add(cos[l], -b).mul_add(self.now[l], -self.before[l]);
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
        theta.iter().map(|t| Places { theta: *t, cos: t.map(libm::cos), sin: t.map(libm::sin) }).collect()
    }

    struct Each<'a, F>(&'a Recursion, F);

    impl<F: FnMut(usize, &[f64])> Take for Each<'_, F> {
        fn take(&mut self, number: usize, from: usize, rows: &Rows) {
            for (i, row) in rows.iter().enumerate() {
                let Some(scale) = self.0.scales().get(number + i) else { continue };
                let values: Vec<f64> = (0..2 * LANES)
                    .map(|i| if i < from * LANES { 0.0 } else { row[i / LANES][i % LANES] * scale })
                    .collect();
                (self.1)(number + i, &values);
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
