//! `fieldpress list`.

use clap::Args;
use fieldpress::codec::registry::{Entry, Make, REGISTRY};
use fieldpress::io::FORMATS;
use fieldpress::metrics::METRICS;
use fieldpress::Result;
use serde_json::{json, Value};

use crate::screen::say;

/// List codecs, filters, byte codecs, file formats and metrics.
#[derive(Args)]
pub(crate) struct List {
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

type Of = fn(&Make) -> bool;
const KINDS: [(&str, &str, Of); 3] = [
    ("codecs", "Codecs (array to bytes)", |m| matches!(m, Make::Codec(_))),
    ("filters", "Filters (array to array, before the codec)", |m| matches!(m, Make::Filter(_))),
    ("byte_codecs", "Byte codecs (bytes to bytes, after the codec)", |m| matches!(m, Make::Bytes(_))),
];

fn entries(of: Of) -> impl Iterator<Item = &'static Entry> {
    REGISTRY.iter().copied().filter(move |e| of(&e.make))
}

impl List {
    pub(crate) fn run(&self) -> Result<()> {
        if self.json {
            return say(to_json().to_string());
        }
        let mut text = String::new();
        for (_, title, of) in KINDS {
            text += &format!("{title}:\n");
            for e in entries(of) {
                text += &format!("  {:16} {}\n", e.id, e.doc);
                for (name, doc) in e.params {
                    text += &format!("  {:16}   {name}: {doc}\n", "");
                }
            }
            text.push('\n');
        }
        text += "File formats:\n";
        FORMATS.iter().for_each(|f| text += &format!("  {:16} {}\n", f.id(), f.doc()));
        text += "\nMetrics:\n";
        METRICS.iter().for_each(|(name, doc)| text += &format!("  {name:20} {doc}\n"));
        say(text)
    }
}

fn to_json() -> Value {
    let entry = |e: &Entry| {
        let params: Vec<_> = e.params.iter().map(|(n, d)| json!({ "name": n, "doc": d })).collect();
        json!({ "id": e.id, "doc": e.doc, "params": params, "idempotent": e.idempotent })
    };
    let mut all = serde_json::Map::new();
    for (key, _, of) in KINDS {
        all.insert(key.into(), entries(of).map(entry).collect());
    }
    all.insert("formats".into(), FORMATS.iter().map(|f| json!({ "id": f.id(), "doc": f.doc() })).collect());
    all.insert("metrics".into(), METRICS.iter().map(|(n, d)| json!({ "id": n, "doc": d })).collect());
    Value::Object(all)
}
