//! Numbers as people and programs read them.

use fieldpress::bound::Criterion;
use serde_json::Value;

/// Four significant digits.
pub(crate) fn short(v: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    if !v.is_finite() {
        return if v.is_nan() { "-".into() } else { format!("{v}") };
    }
    let magnitude = v.abs().log10().floor();
    if !(-3.0..6.0).contains(&magnitude) {
        let text = format!("{v:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    trimmed(&format!("{v:.*}", (3.0 - magnitude).max(0.0) as usize)).to_string()
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// A ratio with two decimals.
pub(crate) fn ratio(input: u64, bytes: u64) -> String {
    format!("{:.2}", input as f64 / bytes.max(1) as f64)
}

/// A number for JSON, which has no infinities: those are strings, and NaN is null.
pub(crate) fn json(v: f64) -> Value {
    match v {
        v if v.is_nan() => Value::Null,
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        v => v.into(),
    }
}

/// The largest error allowed, where that is one number in the units of the data; NaN where it is not.
pub(crate) fn tolerance(c: &Criterion) -> f64 {
    if c.is_exact() {
        return 0.0;
    }
    if c.terms.is_empty() || c.terms.iter().any(|t| t.rel > 0.0) {
        return f64::NAN;
    }
    c.terms.iter().fold(f64::MAX, |m, t| m.min(t.abs))
}

/// The criterion for a table; `valid` points share the limit on squares.
pub(crate) fn criterion(c: &Criterion, valid: u64) -> String {
    if c.is_exact() {
        return "0".into();
    }
    let term = |t: &fieldpress::bound::Term| match (t.abs > 0.0, t.rel > 0.0) {
        (_, false) => short(t.abs),
        (false, true) => format!("{}|x|", short(t.rel)),
        (true, true) => format!("max({}, {}|x|)", short(t.abs), short(t.rel)),
    };
    let mut parts: Vec<String> = c.terms.iter().map(term).collect();
    if let Some(s) = c.square_sum {
        parts.push(format!("rmse {}", short((s / valid.max(1) as f64).sqrt())));
    }
    parts.join(", ")
}

/// Seconds, to the millisecond.
pub(crate) fn seconds(s: f64) -> String {
    format!("{s:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_enough() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (1234.56, "1235"),
            (0.001234567, "0.001235"),
            (0.5, "0.5"),
            (-12.3456, "-12.35"),
            (1e-15, "1e-15"),
            (123_456.0, "123456"),
            (1.5e20, "1.5e20"),
            (1e-4, "1e-4"),
        ];
        for (v, text) in cases {
            assert_eq!(short(v), text);
        }
        assert_eq!((short(f64::INFINITY), short(f64::NAN)), ("inf".into(), "-".into()));
    }
}
