//! The layers of the library, read off its sources: who may know whom, how long a file may be, what no file may say.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the modules of the crate's root may name. Anything they name that is not here is a broken layer.
const LAYERS: &[(&str, &[&str])] = &[
    // L0
    ("error", &[]),
    ("bits", &["error"]),
    ("array", &["bits", "error"]),
    // L1
    ("entropy", &["array", "bits", "error"]),
    ("quantize", &["array", "bits", "error"]),
    // The coefficients of a transform are coded by their places in it, and some are found by least squares.
    ("transform", &["array", "bits", "error", "entropy", "linalg"]),
    ("predict", &["array", "bits", "error"]),
    ("linalg", &["array", "bits", "error"]),
    // The pressure of a distribution has principal axes.
    ("vdf", &["array", "bits", "error", "linalg"]),
    // Coefficients are coded where elements meet.
    ("sem", &["array", "bits", "error", "entropy", "quantize", "linalg"]),
    // Look-alikes are found by minimisation.
    ("sphere", &["bits", "error", "linalg"]),
    // L2: moments of distributions are something to ask of
    ("bound", &["array", "bits", "error", "entropy", "quantize", "transform", "predict", "vdf", "sem"]),
    ("metrics", &["array", "bits", "error", "entropy", "quantize", "transform", "predict", "bound"]),
    (
        "codec",
        &[
            "array",
            "bits",
            "error",
            "entropy",
            "quantize",
            "transform",
            "predict",
            "linalg",
            "vdf",
            "sem",
            "bound",
            "metrics",
        ],
    ),
    // L3
    (
        "codecs",
        &[
            "array",
            "bits",
            "error",
            "entropy",
            "quantize",
            "transform",
            "predict",
            "linalg",
            "vdf",
            "sem",
            "sphere",
            "bound",
            "metrics",
            "codec",
        ],
    ),
    // L4: codecs through the registry only
    ("container", &["array", "bits", "error", "vdf", "sem", "bound", "codec"]),
    // L5
    ("io", &["array", "bits", "error", "vdf", "sem", "bound", "codec", "container"]),
];
/// The modules that may know all others.
const TOP: &[&str] = &["lib", "facade", "select", "files", "store", "survey"];
/// The one file outside `codecs` that names codecs.
const REGISTRY: &str = "codec/registry.rs";

struct Source {
    /// The path below `src/`, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The file's code: no comments, no strings, nothing under `#[cfg(test)]`.
    fn code(&self) -> String {
        let stripped = without_comments_and_strings(&self.text);
        let end = stripped.find("#[cfg(test)]\nmod tests {").unwrap_or(stripped.len());
        stripped[..end].to_string()
    }
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.ends_with("/testing.rs")
    }
    /// Its module path: `io/nek/field.rs` is `io nek field`, `io/nek/mod.rs` is `io nek`.
    fn module(&self) -> Vec<&str> {
        let parts = self.path.trim_end_matches(".rs").split('/');
        parts.filter(|p| !matches!(*p, "mod" | "lib")).collect()
    }
}

fn sources() -> Vec<Source> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    visit(&root, &mut found);
    found.sort();
    assert!(found.len() > 40, "expected the sources of the library, found {} files", found.len());
    let read = |p: PathBuf| Source {
        path: p.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"),
        text: std::fs::read_to_string(&p).unwrap(),
    };
    found.into_iter().map(read).collect()
}

/// Blanks out what is not code. Characters like `'"'` are the only literals that could be taken for the start of a string.
fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find("\"'").unwrap() + 3
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |n| n + 2)
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |n| n + 2)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..skip].chars().filter(|&c| c == '\n'));
        rest = &rest[skip..];
    }
    out
}

/// The names that follow `prefix::` in the code, `{a, b::c}` giving `a` and `b`, each with what follows it.
fn named_after(code: &str, prefix: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        // Part of a longer name?
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        all.extend(paths(&code[at + prefix.len()..]));
    }
    all
}

/// The paths at the head of `text`: one, or those of a group in braces.
fn paths(text: &str) -> Vec<Vec<String>> {
    let ident = |t: &str| t.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else {
        let first = ident(text);
        let Some(rest) = text[first.len()..].strip_prefix("::") else { return vec![vec![first]] };
        return paths(rest).into_iter().map(|p| [vec![first.clone()], p].concat()).collect();
    };
    let mut all = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let part = group[start..i].trim();
                if !part.is_empty() {
                    all.extend(paths(part));
                }
                start = i + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    all
}

/// For every name that the crate's root hands on, the module it comes from.
fn root_names(sources: &[Source]) -> BTreeMap<String, String> {
    let lib = sources.iter().find(|s| s.path == "lib.rs").expect("lib.rs");
    let mut names = BTreeMap::new();
    // Exported macros live at the root too.
    for s in sources {
        for path in named_after(&s.code(), "macro_rules! ") {
            names.insert(path[0].clone(), s.module()[0].to_string());
        }
    }
    for path in named_after(&lib.code(), "pub use ") {
        if let [module, .., name] = path.as_slice() {
            names.insert(name.clone(), module.clone());
        }
    }
    names
}

/// The modules of the crate's root that a file names, with what it names in them.
fn uses(source: &Source, roots: &BTreeMap<String, String>) -> BTreeSet<(String, String)> {
    let code = source.code();
    let mut all = named_after(&code, "crate::");
    // `super` as often as the module is deep is the crate's root too.
    let mut up = "super::".repeat(source.module().len());
    all.extend(named_after(&code, &up));
    up.push_str("super::");
    assert!(!code.contains(&up), "{}: beyond the root", source.path);
    let resolve = |p: Vec<String>| match roots.get(&p[0]) {
        Some(module) => (module.clone(), p[0].clone()),
        None => (p[0].clone(), p.get(1).cloned().unwrap_or_default()),
    };
    all.into_iter().map(resolve).collect()
}

#[test]
fn modules_know_only_the_layers_below_them() {
    let sources = sources();
    let roots = root_names(&sources);
    let mut broken = Vec::new();
    for s in sources.iter().filter(|s| !s.is_test()) {
        let module = s.module();
        let module = module.first().copied().unwrap_or("lib");
        if TOP.contains(&module) {
            continue;
        }
        let Some((_, known)) = LAYERS.iter().find(|(m, _)| *m == module) else {
            broken.push(format!("{}: module {module:?} has no layer", s.path));
            continue;
        };
        for (used, name) in uses(s, &roots) {
            let registry = s.path == REGISTRY && used == "codecs";
            if used != module && !known.contains(&used.as_str()) && !registry {
                broken.push(format!("{}: {module} may not know {used}::{name}", s.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn codecs_do_not_know_each_other() {
    let sources = sources();
    let roots = root_names(&sources);
    let mut broken = Vec::new();
    for s in sources.iter().filter(|s| s.path.starts_with("codecs/") && s.path != "codecs/mod.rs" && !s.is_test()) {
        let own = s.module()[1].to_string();
        let mut others: Vec<String> =
            uses(s, &roots).into_iter().filter(|(m, _)| m == "codecs").map(|(_, name)| name).collect();
        if s.module().len() == 2 {
            others.extend(named_after(&s.code(), "super::").into_iter().map(|p| p[0].clone()));
        }
        broken.extend(others.iter().filter(|o| **o != own).map(|o| format!("{}: knows {o}", s.path)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_codec_is_in_the_registry() {
    let sources = sources();
    let registry = &sources.iter().find(|s| s.path == REGISTRY).expect("the registry").text;
    for s in sources.iter().filter(|s| s.path.starts_with("codecs/") && s.path != "codecs/mod.rs") {
        let name = s.module()[1];
        assert!(registry.contains(&format!("&c::{name}::ENTRY,")), "{}: not in the registry", s.path);
    }
}

#[test]
fn files_are_short_finished_and_safe() {
    for s in sources() {
        let lines = s.text.lines().count();
        assert!(lines <= 600, "{}: expected at most 600 lines, found {lines}", s.path);
        let code = without_comments_and_strings(&s.text);
        for word in ["todo!", "unimplemented!"] {
            assert!(!code.contains(word), "{}: {word}", s.path);
        }
        let is_unsafe = code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
        assert!(!is_unsafe, "{}: unsafe", s.path);
        let first = s.text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//! ") || s.is_test(),
            "{}: expected to open with a sentence, found {first:?}",
            s.path
        );
        assert!(!["utils", "common", "helpers"].contains(s.module().last().unwrap_or(&"")), "{}: name", s.path);
    }
}

#[test]
fn names_are_read_off_code_alone() {
    let code = without_comments_and_strings(
        "use crate::a::{b, c::d}; // crate::no\nlet s = \"crate::no \\\" crate::no\"; let q = '\"'; crate::e!(x)",
    );
    let found = named_after(&code, "crate::");
    let want: [&[&str]; 3] = [&["a", "b"], &["a", "c", "d"], &["e"]];
    assert_eq!(found, want);
    let code = "use crate::{a, b::{c, d}}; use supercrate::x;";
    let want: [&[&str]; 3] = [&["a"], &["b", "c"], &["b", "d"]];
    assert_eq!(named_after(code, "crate::"), want);
}
