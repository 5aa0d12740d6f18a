//! `docs/format.md` says what the sources say.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// At the beginning of a line.
const BEGIN: &str = "\n<!-- from ";
const END: &str = "<!-- end -->";

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The section `# Format` of the documentation at the head of a source, without the links.
fn section(source: &str) -> Option<String> {
    let head = source.lines().map_while(|l| l.strip_prefix("//!")).map(|l| l.strip_prefix(' ').unwrap_or(l));
    let lines: Vec<&str> = head.skip_while(|l| *l != "# Format").skip(1).take_while(|l| !l.starts_with("# ")).collect();
    let text = lines.join("\n");
    (!text.trim().is_empty()).then(|| without_links(text.trim()))
}

/// Rust documentation links to items; the document does not.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("[`") {
        let (before, link) = rest.split_at(at);
        out.push_str(before);
        let Some((name, after)) = link[1..].split_once(']') else {
            rest = link;
            break;
        };
        out.push_str(&name.replace("crate::", ""));
        rest = match after.strip_prefix('(').and_then(|a| a.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    // Words in brackets with a target in parentheses.
    let mut plain = String::new();
    out.push_str(rest);
    let mut rest = out.as_str();
    while let Some(at) = rest.find("](") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        match (before.rfind('['), after.find(')')) {
            (Some(open), Some(close)) => {
                plain.push_str(&before[..open]);
                plain.push_str(&before[open + 1..]);
                rest = &after[close + 1..];
            }
            _ => break,
        }
    }
    plain.push_str(rest);
    plain.replace("\\[", "[").replace("\\]", "]")
}

/// The document with every copied part as the sources have it, and the sources named.
fn copied(document: &str) -> (String, BTreeSet<String>) {
    let mut named = BTreeSet::new();
    let mut out = String::new();
    let mut rest = document;
    while let Some(at) = rest.find(BEGIN) {
        let line = 1 + rest[at + 1..].find('\n').unwrap();
        let name = rest[at + BEGIN.len()..at + line].trim_end_matches(" -->").to_string();
        let source = std::fs::read_to_string(src().join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let text = section(&source).unwrap_or_else(|| panic!("{name}: expected a section \"# Format\""));
        out.push_str(&rest[..at + line]);
        out.push_str(&format!("\n{text}\n"));
        rest = &rest[at + line..];
        rest = &rest[rest.find(END).unwrap_or_else(|| panic!("{name}: expected its end"))..];
        named.insert(name);
    }
    out.push_str(rest);
    (out, named)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_document_is_what_the_sources_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (current, named) = copied(&document);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
    } else {
        assert!(document == current, "docs/format.md is not what the sources say: write it with UPDATE_DOCS=1");
    }
    let mut found = Vec::new();
    sources(&src(), &mut found);
    for file in found {
        let name = file.strip_prefix(src()).unwrap().to_str().unwrap().replace('\\', "/");
        // File formats of others are described where they are read.
        if !name.starts_with("io/") && section(&std::fs::read_to_string(&file).unwrap()).is_some() {
            assert!(named.contains(&name), "docs/format.md does not have the format of {name}");
        }
    }
}

#[test]
fn links_become_words() {
    let text = "as [`a::b`](crate::a::b) in [`crate::c`], [d](e::f) and \\[3\\] of x[1]";
    assert_eq!(without_links(text), "as `a::b` in `c`, d and [3] of x[1]");
}
