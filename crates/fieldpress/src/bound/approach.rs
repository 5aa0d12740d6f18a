//! Finding the tolerance at which the sum of squared errors comes close to its limit from below.

/// As close as 0.05 dB.
const CLOSE: f64 = 0.988_6;
/// What is aimed at, in parts of the limit.
const AIM: f64 = 0.995;

/// Tells which scale of the tolerance to try next. With the logarithm of the scale that of the sum grows by about two, and less where
/// most values are approximated by nothing: steps are those of the secant between the closest scales on either side.
#[derive(Debug)]
pub(crate) struct Approach {
    limit: f64,
    /// Logarithms of the scale, and of the sum in parts of what is aimed at.
    below: Option<(f64, f64)>,
    above: Option<(f64, f64)>,
    last: Option<(f64, f64)>,
}

impl Approach {
    /// For a limit above 0.
    pub(crate) fn new(limit: f64) -> Approach {
        Approach { limit, below: None, above: None, last: None }
    }
    /// The scale to try after `scale` gave `sum`; none when that is close enough, or no scale is between those tried.
    pub(crate) fn next(&mut self, scale: f64, sum: f64) -> Option<f64> {
        if (CLOSE * self.limit..=self.limit).contains(&sum) {
            return None;
        }
        let x = libm::log(scale);
        // Not below what is not a number.
        let y = libm::log((sum / (AIM * self.limit)).clamp(1e-9, 1e9));
        let y = if y.is_nan() { 20.0 } else { y };
        if sum <= self.limit {
            self.below = Some(self.below.filter(|b| b.0 > x).unwrap_or((x, y)));
        } else {
            self.above = Some(self.above.filter(|a| a.0 < x).unwrap_or((x, y)));
        }
        let slope = self.last.map_or(2.0, |(a, b)| (y - b) / (x - a));
        self.last = Some((x, y));
        let next = match (self.below, self.above) {
            (Some((a, low)), Some((b, high))) if a < b => a + (b - a) * (low / (low - high)).clamp(0.1, 0.9),
            // Nothing is known on the other side.
            _ => x - (y / if slope.is_nan() { 2.0 } else { slope.clamp(0.5, 2.0) }).clamp(-2.0, 2.0),
        };
        ((next - x).abs() > 1e-4).then(|| libm::exp(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scales tried for a sum that is `f` of the scale, and the last sum.
    fn tries(limit: f64, f: impl Fn(f64) -> f64) -> (usize, f64) {
        let (mut approach, mut scale) = (Approach::new(limit), 1.0);
        for n in 1..30 {
            let sum = f(scale);
            match approach.next(scale, sum) {
                None => return (n, sum / limit),
                Some(s) => scale = s,
            }
        }
        panic!("no end");
    }

    #[test]
    fn limits_are_reached_from_below_in_a_few_steps() {
        // Squares, errors that level off, errors that jump.
        let cases: [(&dyn Fn(f64) -> f64, usize); 5] = [
            (&|s| 7.0 * s * s, 2),
            (&|s| 0.01 * s * s, 3),
            (&|s| 900.0 * s * s / (1.0 + s * s), 8),
            (&|s| libm::pow(s, 0.7), 8),
            (&|s| s * s * if s > 2.0 { 1.3 } else { 1.0 }, 8),
        ];
        for (f, most) in cases {
            for limit in [0.5, 3.0, 100.0] {
                let (n, part) = tries(limit, f);
                let decibels = -10.0 * libm::log10(part);
                assert!(n <= most + 2 && (0.0..0.05).contains(&decibels), "{limit}: {n} {decibels}");
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_has_an_end() {
        // No scale gives a sum between 1 and 4.
        let (n, _) = tries(2.0, |s| if s < 1.5 { 1.0 } else { 4.0 });
        assert!(n < 29);
        assert!(Approach::new(1.0).next(1.0, f64::NAN).unwrap() < 1.0);
        assert!(Approach::new(1.0).next(1.0, f64::INFINITY).unwrap() < 1.0);
        assert!(Approach::new(1.0).next(1.0, 0.0).unwrap() > 1.0);
    }
}
