//! The small text beside the field files of a run that tells visualisation tools their names.
//!
//! # Format
//! Lines `filetemplate: NAME`, `firsttimestep: N`, `numtimesteps: N` in any order; others are not looked at. In `NAME` of `%0Wd` twice the first is the number of the
//! file in a set, from 0, and the second the step; once it is the step; numbers have at least `W` digits.

use std::sync::Arc;

use serde_json::{json, Value};

use crate::array::ReadAt;
use crate::error::{Error, Result};
use crate::io::format::{Arrays, Dataset, Format, OpenOptions};
use crate::io::output::Output;

/// The longest such text; real ones have a hundred bytes.
const LONGEST: u64 = 1 << 16;

/// The text itself, kept as it is.
pub static NEK_SERIES: &dyn Format = &Meta;

struct Meta;

impl Format for Meta {
    fn id(&self) -> &'static str {
        "nek5000"
    }
    fn doc(&self) -> &'static str {
        "the text that names the field files of a Nek5000, NekRS or Neko run (.nek5000), kept as it is"
    }
    fn matches(&self, name: &str, _: &[u8]) -> bool {
        name.rsplit_once('.').is_some_and(|(_, end)| matches!(end, "nek5000" | "nek3d" | "nek2d"))
    }
    fn open(&self, _: &str, bytes: Arc<dyn ReadAt>, _: &OpenOptions) -> Result<Dataset> {
        let text = read(&bytes)?;
        Series::parse(&text)?;
        Ok(Dataset { format: self.id(), template: json!({}), verbatim: text, arrays: Vec::new() })
    }
    fn restore(&self, _: &Value, verbatim: &[u8], _: &dyn Arrays, out: &mut dyn Output) -> Result<()> {
        out.write_at(0, verbatim)
    }
}

fn read(bytes: &dyn ReadAt) -> Result<Vec<u8>> {
    let size = bytes.size()?;
    if size > LONGEST {
        return Err(Error::limit(format!("expected at most {LONGEST} bytes that name files, found {size}")));
    }
    let mut text = vec![0; size as usize];
    bytes.read_at(0, &mut text)?;
    Ok(text)
}

/// The names of the field files of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// What stands before, between and after the numbers.
    parts: Vec<String>,
    /// The least digits of each number.
    digits: Vec<usize>,
    /// The first step.
    pub first: u64,
    /// How many steps.
    pub steps: u64,
}

impl Series {
    /// From the text. Errors: `Corrupt` unless it has a template with one or two numbers, the first step and how many there are.
    pub fn parse(text: &[u8]) -> Result<Series> {
        let text = String::from_utf8_lossy(text);
        let value = |key: &str| {
            let found = text.lines().find_map(|l| l.trim().strip_prefix(key)?.trim_start().strip_prefix(':'));
            found.map(str::trim).ok_or_else(|| Error::corrupt(format!("expected a line {key}, found none")))
        };
        let number = |key: &str| {
            let v = value(key)?;
            v.parse::<u64>().map_err(|_| Error::corrupt(format!("expected a number as {key}, found {v:?}")))
        };
        let template = value("filetemplate")?;
        let (mut parts, mut digits) = (Vec::new(), Vec::new());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('%') {
            let bad = || Error::corrupt(format!("expected numbers such as %05d in a template, found {template:?}"));
            let (width, after) = after.split_once('d').ok_or_else(bad)?;
            parts.push(before.to_string());
            digits.push(if width.is_empty() { 0 } else { width.parse().ok().filter(|w| *w < 20).ok_or_else(bad)? });
            rest = after;
        }
        parts.push(rest.to_string());
        if !(1..=2).contains(&digits.len()) {
            return Err(Error::corrupt(format!("expected one or two numbers in a template, found {template:?}")));
        }
        Ok(Series { parts, digits, first: number("firsttimestep")?, steps: number("numtimesteps")? })
    }
    /// Whether each step has several files.
    pub fn is_of_sets(&self) -> bool {
        self.digits.len() == 2
    }
    /// The name of file number `file` of a set, from 0, at a step.
    pub fn name(&self, file: u64, step: u64) -> String {
        let numbers = if self.is_of_sets() { vec![file, step] } else { vec![step] };
        let mut name = String::new();
        for (k, part) in self.parts.iter().enumerate() {
            name += part;
            if let (Some(n), Some(w)) = (numbers.get(k), self.digits.get(k)) {
                name += &format!("{n:0w$}", w = *w);
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::testing::restored;

    #[test]
    fn names_of_files_are_told() {
        let text = b"filetemplate: tgv%01d.f%05d\n firsttimestep: 3\nnumtimesteps: 12\n";
        let s = Series::parse(text).unwrap();
        assert_eq!((s.first, s.steps, s.is_of_sets()), (3, 12, true));
        assert_eq!((s.name(0, 3), s.name(11, 123_456)), ("tgv0.f00003".into(), "tgv11.f123456".into()));
        let one = Series::parse(b"numtimesteps: 1\nfirsttimestep: 1\nfiletemplate: a/case.fld%02d").unwrap();
        assert_eq!((one.name(7, 4), one.is_of_sets()), ("a/case.fld04".into(), false));
        for bad in [
            &b""[..],
            b"filetemplate: a\nfirsttimestep: 1\nnumtimesteps: 1",
            b"filetemplate: a%d%d%d\nfirsttimestep: 1\nnumtimesteps: 1",
            b"filetemplate: a%05x\nfirsttimestep: 1\nnumtimesteps: 1",
            b"filetemplate: a%99d\nfirsttimestep: 1\nnumtimesteps: 1",
            b"filetemplate: a%d\nfirsttimestep: x\nnumtimesteps: 1",
        ] {
            assert!(Series::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(restored(&Meta, "a.nek5000", text, &OpenOptions::default(), |_, a| a).unwrap(), text);
    }
}
