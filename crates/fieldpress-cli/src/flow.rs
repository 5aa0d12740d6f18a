//! What becomes of a flow on spectral elements: part of `fieldpress compare`.

use fieldpress::array::Region;
use fieldpress::sem::{extents, FlowErrors, Geometry, Topology, Vertices};
use fieldpress::{Error, Result};
use serde_json::{json, Value};

use crate::compare::Named;
use crate::numbers::{json as number, short};
use crate::table::Table;

/// Errors of what is made of a velocity, and jumps of each field between elements, before and after.
pub(crate) struct Flow {
    errors: Option<FlowErrors>,
    jumps: Vec<(String, f64, f64)>,
}

impl Flow {
    /// Of the arrays `b` against `a`, with the coordinates in `mesh`.
    pub(crate) fn new(mesh: &[Named], a: &[Named], b: &[Named]) -> Result<Flow> {
        let x = mesh.iter().find(|n| n.name == "x");
        let shape =
            x.ok_or_else(|| Error::invalid("expected coordinates x, y, z for --mesh, found none"))?.source.shape();
        let (_, points, dimensions) = extents(&shape)?;
        let names = |all: [&'static str; 3]| all.into_iter().take(dimensions);
        let read = |from: &[Named], name: &str| -> Result<Option<Vec<f64>>> {
            match from.iter().find(|n| n.name == name && n.source.shape() == shape) {
                Some(n) => Ok(Some(n.source.read(&Region::all(shape))?.as_slice().to_f64())),
                None => Ok(None),
            }
        };
        let all = |from: &[Named], wanted: [&'static str; 3]| -> Result<Option<Vec<Vec<f64>>>> {
            names(wanted).map(|n| read(from, n)).collect()
        };
        let coordinates = all(mesh, ["x", "y", "z"])?;
        let coordinates =
            coordinates.ok_or_else(|| Error::invalid(format!("expected {dimensions} coordinates for --mesh")))?;
        let borrowed: Vec<&[f64]> = coordinates.iter().map(Vec::as_slice).collect();
        let velocities = ["ux", "uy", "uz"];
        let errors = match (all(a, velocities)?, all(b, velocities)?) {
            (Some(u), Some(v)) => {
                let geometry = Geometry::new(&borrowed, points, true)?;
                let u: Vec<&[f64]> = u.iter().map(Vec::as_slice).collect();
                let v: Vec<&[f64]> = v.iter().map(Vec::as_slice).collect();
                Some(FlowErrors::new(&geometry, &u, &v)?)
            }
            _ => None,
        };
        let topology = Topology::new(&Vertices::new(&borrowed, points)?, points)?;
        let mut jumps = Vec::new();
        for name in a.iter().map(|n| n.name.as_str()).filter(|n| !["x", "y", "z"].contains(n)) {
            if let (Some(u), Some(v)) = (read(a, name)?, read(b, name)?) {
                jumps.push((name.to_string(), topology.jump(&u), topology.jump(&v)));
            }
        }
        Ok(Flow { errors, jumps })
    }
    pub(crate) fn to_json(&self) -> Value {
        let errors = self.errors.map(|e| {
            json!({
                "velocity": number(e.velocity),
                "gradient": number(e.gradient),
                "vorticity": number(e.vorticity),
                "q": number(e.q),
                "dissipation": number(e.dissipation),
            })
        });
        let jumps = self.jumps.iter().map(|(n, a, b)| json!({ "name": n, "before": number(*a), "after": number(*b) }));
        json!({ "errors": errors, "jumps": jumps.collect::<Vec<_>>() })
    }
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        if let Some(e) = &self.errors {
            let mut table = Table::new(&["over the domain", "relative error"], 1);
            let rows = [
                ("velocity, L2", e.velocity),
                ("gradient, L2", e.gradient),
                ("vorticity, L2", e.vorticity),
                ("Q, L2", e.q),
                ("dissipation", e.dissipation),
            ];
            rows.iter().for_each(|(name, v)| table.push(vec![name.to_string(), short(*v)]));
            text += &format!("\n{}\n", table.text());
        }
        let mut table = Table::new(&["largest jump between elements", "original", "decoded"], 1);
        self.jumps.iter().for_each(|(n, a, b)| table.push(vec![n.clone(), short(*a), short(*b)]));
        text + &format!("\n{}", table.text())
    }
}
