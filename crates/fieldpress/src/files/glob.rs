//! Patterns for the names of arrays.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A pattern: `*` stands for any characters, `/` included, `?` for one; everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // Where to go on after the last `*`, and up to where it reaches so far.
        let mut star: Option<(usize, usize)> = None;
        let (mut p, mut n) = (0, 0);
        while n < name.len() {
            match self.0.get(p) {
                Some('*') => {
                    star = Some((p + 1, n));
                    p += 1;
                }
                Some(c) if *c == '?' || name.get(n) == Some(c) => {
                    p += 1;
                    n += 1;
                }
                _ => match &mut star {
                    Some((after, reach)) => {
                        *reach += 1;
                        (p, n) = (*after, *reach);
                    }
                    None => return false,
                },
            }
        }
        self.0.get(p..).unwrap_or_default().iter().all(|&c| c == '*')
    }
}

impl FromStr for Glob {
    type Err = Error;
    /// Errors: `InvalidArgument` for the empty pattern.
    fn from_str(s: &str) -> Result<Glob> {
        if s.is_empty() {
            return Err(Error::invalid("expected the name of an array or a pattern, found nothing"));
        }
        Ok(Glob(s.chars().collect()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|c| write!(f, "{c}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let m = |p: &str, n: &str| p.parse::<Glob>().unwrap().matches(n);
        assert!(m("ux", "ux") && !m("ux", "ux1") && !m("ux1", "ux"));
        assert!(m("u?", "ux") && !m("u?", "u") && m("*", "") && m("*", "a/b"));
        assert!(m("VARIABLE/*/vg_rho*", "VARIABLE/proton/vg_rho_v") && !m("*rho", "rho_v"));
        assert!(m("*a*b*c", "xaybzabc") && !m("*a*b*c", "xaybzab") && m("a**b", "ab"));
        assert!("".parse::<Glob>().is_err());
        assert_eq!("a*é".parse::<Glob>().unwrap().to_string(), "a*é");
    }
}
