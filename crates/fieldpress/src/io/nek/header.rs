//! The text headers of Nek field files.
//!
//! # Format
//!
//! Blank-padded ASCII. The header of `.f%05d` files has 132 columns and was written by the Fortran format
//! `'#std',1x,i1,1x,i2,1x,i2,1x,i2,1x,i10,1x,i10,1x,e20.13,1x,i9,1x,i6,1x,i6,1x,10a,1pe15.7,1x,l1,1x,a4`:
//! bytes per value (4 or 8), lx, ly, lz, elements in this file, elements in all, time, step, number of this file, number
//! of files, code of what is stored. The rest came in over the years and may be missing: the mean pressure `p0th`,
//! whether the pressure lies on its own mesh, the refinement schedule. Columns are read where they should be; where
//! they are not, the header is read word by word, as the codes themselves do.
//!
//! The legacy header has 80 columns in one of three forms, with elements, lx, ly, lz, time, step, code:
//! `4i4,1pe14.7,i5,1x,30a1,1x,a12` (ends in ` 4 NELT,NX,N`, the 4 being bytes per value),
//! `i10,3i4,1pe18.9,i9,1x,30a1` and `i10,1x,i2,1x,i2,1x,i2,1x,1pe18.9,1x,i9,1x,a`.

use serde_json::{Map, Value};

use crate::array::DType;
use crate::error::{Error, Result};

/// Columns in the header of a `.f%05d` file.
pub(super) const STANDARD: usize = 132;
/// Columns in the header of a legacy file.
pub(super) const LEGACY: usize = 80;
/// The largest number of nodes along an edge: the header has two columns for it.
pub(super) const MAX_EDGE: usize = 99;

/// First column and width of each number of the standard header, and of the code.
const STANDARD_COLUMNS: [(usize, usize); 12] =
    [(0, 4), (5, 1), (7, 2), (10, 2), (13, 2), (16, 10), (27, 10), (38, 20), (59, 9), (69, 6), (76, 6), (83, 10)];
/// The same for the three legacy headers.
const LEGACY_COLUMNS: [[(usize, usize); 7]; 3] = [
    [(0, 4), (4, 4), (8, 4), (12, 4), (16, 14), (30, 5), (36, 30)],
    [(0, 10), (10, 4), (14, 4), (18, 4), (22, 18), (40, 9), (50, 30)],
    [(0, 10), (11, 2), (14, 2), (17, 2), (20, 18), (39, 9), (49, 30)],
];

/// What the header of a field file says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// The type of the values.
    pub(super) word: DType,
    /// Nodes of an element along z, y, x.
    pub(super) nodes: [usize; 3],
    /// Elements in this file.
    pub(super) elements: u64,
    /// Names of the arrays; those of a group lie interleaved by element.
    pub(super) groups: Vec<Vec<String>>,
    /// All that the header says, for the user.
    pub(super) attributes: Map<String, Value>,
}

impl Header {
    /// Parses the header of a `.f%05d` file. Errors: `Corrupt`.
    pub(super) fn standard(bytes: &[u8]) -> Result<Header> {
        let text = printable(bytes);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let columns = cut(&text, &STANDARD_COLUMNS).filter(|found| !found[11].contains(' '));
        let (found, tail) = match columns {
            Some(found) => (found, text.get(93..).unwrap_or_default().split_ascii_whitespace().collect()),
            None => match words.split_at_checked(11) {
                Some((numbers, rest)) => {
                    // Without any field the code is blank, and the next word is the mean pressure.
                    let code = rest.first().filter(|w| w.starts_with(|c: char| c.is_ascii_alphabetic()));
                    let found = numbers.iter().copied().chain([code.copied().unwrap_or_default()]).collect();
                    (found, rest.iter().copied().skip(usize::from(code.is_some())).collect::<Vec<_>>())
                }
                None => {
                    return Err(Error::corrupt(format!("expected a header of 12 words, found {:?}", text.trim_end())))
                }
            },
        };
        let [magic, word, lx, ly, lz, elements, all, time, step, fid, nfiles, code] = words_of(&found)?;
        if magic != "#std" {
            return Err(Error::corrupt(format!("expected a header that begins with #std, found {magic:?}")));
        }
        let mut header = Header::new([lx, ly, lz], word, elements, time, step, code)?;
        header.groups = groups(code, header.dimensions(), false)?;
        let all: u64 = number("number of elements in all", all)?;
        if header.elements > all {
            return Err(Error::corrupt(format!(
                "expected at most {all} elements, found {} in a part",
                header.elements
            )));
        }
        let a = &mut header.attributes;
        a.insert("nelgt".into(), all.into());
        a.insert("fid".into(), number::<i64>("number of this file", fid)?.into());
        a.insert("nfiles".into(), number::<i64>("number of files", nfiles)?.into());
        let mut tail = tail.into_iter().peekable();
        if let Some(p0th) = tail.next_if(|w| real(w).is_some()).and_then(real) {
            a.insert("p0th".into(), p0th.into());
        }
        if let Some(flag) = tail.next_if(|w| matches!(*w, "T" | "F")) {
            a.insert("if_press_mesh".into(), (flag == "T").into());
            if let Some(cuts) = tail.next() {
                a.insert("hrefcuts".into(), cuts.into());
            }
        }
        Ok(header)
    }
    /// Parses a legacy header. Errors: `Corrupt`; `Unsupported` for values of other than 4 or 8 bytes.
    pub(super) fn legacy(bytes: &[u8]) -> Result<Header> {
        let text = printable(bytes.get(..LEGACY).unwrap_or(bytes));
        let cut_any = LEGACY_COLUMNS.iter().find_map(|columns| {
            let found = cut(&text, columns)?;
            // Only the first form says how long values are, after the code.
            let word = text.get(66..69).map(str::trim).filter(|w| columns[0].1 == 4 && w.parse::<u32>().is_ok());
            Some((found, word.unwrap_or("4")))
        });
        let (found, word) =
            cut_any.ok_or_else(|| Error::corrupt(format!("expected a field file header, found {text:?}")))?;
        let [elements, lx, ly, lz, time, step, code] = words_of(&found)?;
        let mut header = Header::new([lx, ly, lz], word, elements, time, step, code)?;
        // All fields of an element lie together.
        header.groups = vec![groups(code, header.dimensions(), true)?.into_iter().flatten().collect()];
        header.attributes.insert("nelgt".into(), header.elements.into());
        Ok(header)
    }
    fn new(edges: [&str; 3], word: &str, elements: &str, time: &str, step: &str, code: &str) -> Result<Header> {
        let word = match word {
            "4" => DType::F32,
            "8" => DType::F64,
            _ => return Err(Error::corrupt(format!("expected 4 or 8 bytes per value, found {word:?}"))),
        };
        let mut a = Map::new();
        let time = real(time).ok_or_else(|| Error::corrupt(format!("expected a time, found {time:?}")))?;
        a.insert("time".into(), time.into());
        a.insert("istep".into(), number::<i64>("time step", step)?.into());
        a.insert("rdcode".into(), code.into());
        let mut nodes = [0; 3];
        for ((text, n), name) in edges.iter().zip(nodes.iter_mut().rev()).zip(["lx", "ly", "lz"]) {
            *n = number(name, text)?;
            if !(1..=MAX_EDGE).contains(n) {
                return Err(Error::corrupt(format!(
                    "expected 1 to {MAX_EDGE} nodes along an edge, found {name} = {n}"
                )));
            }
            a.insert(name.into(), (*n).into());
        }
        let elements = number("number of elements", elements)?;
        Ok(Header { word, nodes, elements, groups: Vec::new(), attributes: a })
    }
    /// 2 or 3.
    pub(super) fn dimensions(&self) -> usize {
        if self.nodes[0] > 1 {
            3
        } else {
            2
        }
    }
}

/// The text of a header, blanks for all that cannot be printed (some writers pad with zeros).
fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| if b.is_ascii_graphic() { char::from(b) } else { ' ' }).collect()
}

/// The words in the given columns, of which the last may be blank or of several words; `None` unless all others are
/// single words and everything between the columns is blank.
fn cut<'a>(text: &'a str, columns: &[(usize, usize)]) -> Option<Vec<&'a str>> {
    let mut at = 0;
    let mut out = Vec::with_capacity(columns.len());
    for (k, &(start, width)) in columns.iter().enumerate() {
        let word = text.get(start..start + width)?.trim();
        let single = !word.is_empty() && !word.contains(' ');
        if !text.get(at..start)?.trim().is_empty() || !(single || k + 1 == columns.len()) {
            return None;
        }
        out.push(word);
        at = start + width;
    }
    Some(out)
}

fn words_of<'a, const N: usize>(words: &[&'a str]) -> Result<[&'a str; N]> {
    words.try_into().map_err(|_| Error::corrupt(format!("expected {N} words in a header, found {}", words.len())))
}

fn number<T: std::str::FromStr>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::corrupt(format!("expected a {what}, found {text:?}")))
}

/// A finite number as Fortran writes it: also with the exponent letter D, or with none before a three-digit exponent.
fn real(text: &str) -> Option<f64> {
    let text = text.replace(['d', 'D'], "E");
    let parsed = text.parse().ok().or_else(|| {
        let at = text.rfind(['+', '-']).filter(|&at| at > 0)?;
        let (digits, exponent) = text.split_at_checked(at)?;
        format!("{digits}E{exponent}").parse().ok()
    });
    parsed.filter(|v: &f64| v.is_finite())
}

/// The arrays that a code such as `XUPTS02` names (legacy codes: `X Y Z U P T 1 2`), group by group.
/// Errors: `Corrupt` for unknown letters, and letters twice or out of order.
fn groups(code: &str, dimensions: usize, legacy: bool) -> Result<Vec<Vec<String>>> {
    let bad = || Error::corrupt(format!("expected a code of X U P T and Snn in this order, found {code:?}"));
    let vector = |names: [&str; 3]| names[..dimensions].iter().map(|n| n.to_string()).collect();
    let scalar = |k: u32| vec![format!("s{k:02}")];
    let mut out: Vec<Vec<String>> = Vec::new();
    let mut last = 0;
    let mut rest = code.chars().filter(|c| !c.is_whitespace()).peekable();
    while let Some(c) = rest.next() {
        let rank = match c {
            'X' => 1,
            'U' => 2,
            'P' => 3,
            'T' => 4,
            'S' => 5,
            '1'..='9' if legacy => 6 + c.to_digit(10).ok_or_else(bad)?,
            _ => return Err(bad()),
        };
        if rank <= last {
            return Err(bad());
        }
        last = rank;
        match c {
            'X' => {
                if legacy && rest.next_if_eq(&'Y').is_some() {
                    rest.next_if_eq(&'Z');
                }
                out.push(vector(["x", "y", "z"]));
            }
            'U' => out.push(vector(["ux", "uy", "uz"])),
            'P' => out.push(vec!["p".into()]),
            'T' => out.push(vec!["t".into()]),
            'S' => {
                let mut n = 0;
                let mut digits = 0;
                while let Some(d) = rest.peek().and_then(|c| c.to_digit(10)).filter(|_| digits < 2) {
                    n = 10 * n + d;
                    digits += 1;
                    rest.next();
                }
                if digits == 0 {
                    return Err(bad());
                }
                out.extend((1..=n).map(scalar));
            }
            _ => out.push(scalar(rank - 6)),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &str, n: usize) -> Vec<u8> {
        let mut b = text.as_bytes().to_vec();
        b.resize(n, b' ');
        b
    }

    #[test]
    fn standard_headers_of_every_age() {
        let old = "#std 4  8  7  6        216        300  9.0000000000000E+00       720      0      1 XU";
        let h = Header::standard(&padded(old, STANDARD)).unwrap();
        assert_eq!((h.word, h.nodes, h.elements, h.dimensions()), (DType::F32, [6, 7, 8], 216, 3));
        assert_eq!(h.groups, [["x", "y", "z"], ["ux", "uy", "uz"]]);
        let a = |h: &Header, k: &str| h.attributes.get(k).cloned().unwrap_or_default();
        assert_eq!((a(&h, "time"), a(&h, "istep"), a(&h, "nelgt")), (9.0.into(), 720.into(), 300.into()));
        assert!(!h.attributes.contains_key("p0th"));

        let new = "#std 8 12 12  1          3          3   .3141592653590E-01       720     12     64 XUPTS11     \
                   1.5000000E+00 T 0201 more";
        let h = Header::standard(&padded(new, STANDARD)).unwrap();
        assert_eq!((h.word, h.nodes, h.dimensions()), (DType::F64, [1, 12, 12], 2));
        assert_eq!((a(&h, "fid"), a(&h, "nfiles"), a(&h, "time")), (12.into(), 64.into(), 0.0314159265359.into()));
        assert_eq!((a(&h, "p0th"), a(&h, "if_press_mesh")), (1.5.into(), true.into()));
        assert_eq!((a(&h, "hrefcuts"), a(&h, "rdcode")), ("0201".into(), "XUPTS11".into()));
        assert_eq!(h.groups.len(), 4 + 11);
        assert_eq!(h.groups[14], ["s11"]);
    }

    #[test]
    fn headers_out_of_their_columns_are_read_by_words() {
        let h = Header::standard(&padded("#std 4 8 8 8 20 20 0.1D+01 7 1 1 UPS1 2.0 F", STANDARD)).unwrap();
        assert_eq!((h.elements, h.groups.len()), (20, 3));
        assert_eq!(h.attributes["time"], 1.0);
        assert_eq!(h.attributes["if_press_mesh"], false);
        // Shifted by one column: no number may be cut in two.
        let shifted = "#std  4  8  7  6        216        300  9.0000000000000E+00       720      0      1 XU";
        assert_eq!(Header::standard(&padded(shifted, STANDARD)).unwrap().elements, 216);
        let none = Header::standard(b"#std 4 8 8 8 20 20 1.0-101 7 1 1 2.0 F").unwrap();
        assert!(none.groups.is_empty() && none.attributes["p0th"] == 2.0 && none.attributes["time"] == 1e-101);
        let mut zeros = padded("#std 4 8 8 8 20 20 0.1 7 1 1 P", 40);
        zeros.resize(STANDARD, 0);
        assert_eq!(Header::standard(&zeros).unwrap().groups, [["p"]]);
    }

    #[test]
    fn legacy_headers_in_all_three_forms() {
        let first = "  36   6   5   4 3.1415927E+00    0 X Y Z U P T 1 2                 4 NELT,NX,N ";
        let h = Header::legacy(&padded(first, LEGACY)).unwrap();
        assert_eq!((h.elements, h.nodes, h.word), (36, [4, 5, 6], DType::F32));
        assert_eq!(h.groups, [["x", "y", "z", "ux", "uy", "uz", "p", "t", "s01", "s02"]]);
        let negative = "   9   6   6   1-3.2500000E+00 9999 U 2                             8 NELT,NX,N ";
        let h = Header::legacy(&padded(negative, LEGACY)).unwrap();
        assert_eq!((h.groups[0].join(" "), h.word), ("ux uy s02".into(), DType::F64));
        assert_eq!(h.attributes["time"], -3.25);
        let second = "     20000   8   8   8   3.141592700E+00       12 X Y Z U P T 1";
        let h = Header::legacy(&padded(second, LEGACY)).unwrap();
        assert_eq!((h.elements, h.groups[0].len()), (20000, 9));
        let third = "     20000  8  8  1    3.141592700E+00        12 XUS02";
        let h = Header::legacy(&padded(third, LEGACY)).unwrap();
        assert_eq!((h.elements, h.groups[0].join(" ")), (20000, "x y ux uy s01 s02".into()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            "#std 4 8 8 8 20 20 0.1 7 1",
            "#std 2 8 8 8 20 20 0.1 7 1 1 X",
            "#std 4 0 8 8 20 20 0.1 7 1 1 X",
            "#std 4 100 8 8 20 20 0.1 7 1 1 X",
            "#std 4 8 8 8 21 20 0.1 7 1 1 X",
            "#std 4 8 8 8 -1 20 0.1 7 1 1 X",
            "#std 4 8 8 8 20 99999999999999999999 0.1 7 1 1 X",
            "#std 4 8 8 8 20 20 nan 7 1 1 X",
            "#std 4 8 8 8 20 20 0.1 7 1 1 XX",
            "#std 4 8 8 8 20 20 0.1 7 1 1 UX",
            "#std 4 8 8 8 20 20 0.1 7 1 1 XS",
            "#std 4 8 8 8 20 20 0.1 7 1 1 XS123",
            "#std 4 8 8 8 20 20 0.1 7 1 1 X1",
            "#std 4 8 8 8 20 20 0.1 7 1 1 Q",
            "#ste 4 8 8 8 20 20 0.1 7 1 1 X",
        ] {
            assert!(Header::standard(&padded(bad, STANDARD)).is_err(), "{bad}");
        }
        for bad in ["", "  36   6   6   6 3.1415927E+00    0 X Y Z U P T 2 1", "****   6   6   6 3.1415927E+00    0 X"]
        {
            assert!(Header::legacy(&padded(bad, LEGACY)).is_err(), "{bad}");
        }
    }
}
