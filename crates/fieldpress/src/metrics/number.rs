//! Numbers in JSON: finite ones as they are, infinities as `"Infinity"` and `"-Infinity"`, NaN as `null`.

use serde::ser::{SerializeSeq, Serializer};
use serde::Serialize;

struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            v if v.is_nan() => s.serialize_none(),
            f64::INFINITY => s.serialize_str("Infinity"),
            f64::NEG_INFINITY => s.serialize_str("-Infinity"),
            v => s.serialize_f64(v),
        }
    }
}

/// One number, for `#[serde(serialize_with)]`.
pub(super) fn one<S: Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
    Number(*v).serialize(s)
}

/// A number or `null`, for `#[serde(serialize_with)]`.
pub(super) fn maybe<S: Serializer>(v: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
    v.map(Number).serialize(s)
}

/// A list of numbers, for `#[serde(serialize_with)]`.
pub(super) fn many<S: Serializer>(v: &[f64], s: S) -> Result<S::Ok, S::Error> {
    let mut seq = s.serialize_seq(Some(v.len()))?;
    for &x in v {
        seq.serialize_element(&Number(x))?;
    }
    seq.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_finite_numbers_stay_readable() {
        #[derive(Serialize)]
        struct All {
            #[serde(serialize_with = "one")]
            a: f64,
            #[serde(serialize_with = "maybe")]
            b: Option<f64>,
            #[serde(serialize_with = "many")]
            c: Vec<f64>,
        }
        let all = All { a: f64::NEG_INFINITY, b: None, c: vec![1.5, f64::NAN, f64::INFINITY] };
        assert_eq!(serde_json::to_string(&all).unwrap(), r#"{"a":"-Infinity","b":null,"c":[1.5,null,"Infinity"]}"#);
        let all = All { a: 1e-300, b: Some(f64::INFINITY), c: vec![] };
        assert_eq!(serde_json::to_string(&all).unwrap(), r#"{"a":1e-300,"b":"Infinity","c":[]}"#);
    }
}
