//! `fieldpress decompress`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use fieldpress::files::{
    export_array, export_npz, read_portrait, restore_cells, restore_file, restore_points, ArrayFormat, Glob, Selection,
};
use fieldpress::io::PendingFile;
use fieldpress::{Archive, Error, Result};

use crate::emulate;
use crate::files::{archive, is_stream, same_file, shown, Outputs, ENDING};
use crate::maps::write_npy;
use crate::progress::Progress;

/// Put the files of an archive together again, or take arrays out of it.
///
/// Of the statistics that `fieldpress scatter` keeps, a map that looks like the original is drawn, which cannot be had back: see `fieldpress emulate`.
///
/// A file comes back in its own format. Where --arrays, --region or --level are given, or OUT ends in .npy, .npz or .raw though the file
/// had another format, arrays are written instead: one to .npy or .raw, any number to .npz.
#[derive(Args)]
pub(crate) struct Decompress {
    /// The archive; - for standard input.
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,
    /// The file, a folder for several files, or - for standard output [default: ARCHIVE without .fpz].
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Overwrite existing files.
    #[arg(short, long)]
    force: bool,
    /// Take out the arrays of these names; * and ? stand for any characters and for one.
    #[arg(long, value_name = "PATTERN,...", value_delimiter = ',')]
    arrays: Vec<Glob>,
    /// Take out a part of one array, as in 0:10,:,5: ranges a:b, : for all, single indices, negative ones from the end.
    #[arg(long, value_name = "RANGES", allow_hyphen_values = true)]
    region: Option<String>,
    /// Take out a coarser array: every 2^K-th point along each axis, from the first. Archives made with --progressive give it from a part of
    /// their bytes, see `fieldpress info`; --region then counts in its points.
    #[arg(long, value_name = "K")]
    level: Option<u32>,
    /// Put a VLSV file together with the velocity distributions of these spatial cells alone, by their ids; the others are not decoded.
    #[arg(long, value_name = "ID,...", value_delimiter = ',', conflicts_with_all = ["arrays", "region", "level"])]
    cells: Vec<u64>,
    /// Put a file of spectral elements together with N points along each axis of its elements.
    #[arg(long, value_name = "N", conflicts_with_all = ["arrays", "region", "level", "cells"])]
    lx: Option<usize>,
}

/// Look-alikes of larger maps are drawn only when asked for: an archive of a few kilobytes may ask for hours.
const LARGEST_DRAWN: usize = 512;

/// What an output path asks for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    One(ArrayFormat),
    Npz,
}

impl Decompress {
    pub(crate) fn run(&self, quiet: bool) -> Result<()> {
        let archive = Arc::new(archive(&self.archive)?);
        let output = self.output()?;
        let place = |e: Error| e.at(shown(&self.archive));
        let mut outputs = Outputs::default();
        let parts = !self.arrays.is_empty() || self.region.is_some() || self.level.is_some();
        let other = self.lx.is_some() || !self.cells.is_empty();
        let npy = matches!(kind(&output), None | Some(Kind::One(ArrayFormat::Npy)));
        if let Some((portrait, origin)) = read_portrait(&archive).map_err(place)?.filter(|_| npy && !parts && !other) {
            // What was kept is not the map: what comes is one that looks like it.
            self.spare_archive(std::slice::from_ref(&output))?;
            if portrait.coefficients.band() > LARGEST_DRAWN {
                let band = portrait.coefficients.band();
                let most = format!("expected statistics of a band-limit of at most {LARGEST_DRAWN}, found {band}");
                return Err(place(Error::invalid(format!("{most}; draw with `fieldpress emulate`, which takes long"))));
            }
            if !is_stream(&output) {
                drop(PendingFile::create(&output, self.force)?);
            }
            let (shape, values) = emulate::look_alike(&portrait, &origin, quiet)?;
            return write_npy(&output, self.force, &shape, values);
        }
        if self.takes_arrays(&archive, &output) {
            self.spare_archive(std::slice::from_ref(&output))?;
            self.export(&archive, &output, quiet, &mut outputs).map_err(place)?;
        } else {
            let total = archive.directory().arrays.iter().map(|a| a.raw_bytes()).sum();
            let progress = Progress::new(total, quiet);
            let paths = destinations(&archive, &output).map_err(place)?;
            self.spare_archive(&paths)?;
            if paths.first().is_some_and(|p| *p != output) {
                outputs.folder(&output)?;
            }
            for (i, path) in paths.iter().enumerate() {
                let watch = |e: fieldpress::files::Event<'_>| progress.event(e);
                outputs.fill(path, self.force, |out| {
                    let done = match (self.lx, self.cells.as_slice()) {
                        (Some(points), _) => restore_points(&archive, i, points, out, Some(&watch)),
                        (None, []) => restore_file(&archive, i, out, Some(&watch)),
                        (None, cells) => restore_cells(&archive, i, cells, out, Some(&watch)),
                    };
                    done.map_err(place)
                })?;
            }
        }
        outputs.commit()
    }
    /// Whatever `-f` says, the archive is not replaced by what is in it.
    fn spare_archive(&self, paths: &[PathBuf]) -> Result<()> {
        match paths.iter().find(|p| same_file(p, &self.archive)) {
            Some(own) => Err(Error::invalid("expected another output than the archive itself").at(own.display())),
            None => Ok(()),
        }
    }
    fn output(&self) -> Result<PathBuf> {
        if let Some(o) = &self.output {
            return Ok(o.clone());
        }
        let name = self.archive.to_string_lossy();
        match name.strip_suffix(ENDING).filter(|n| !n.is_empty() && !n.ends_with('/')) {
            Some(n) => Ok(n.into()),
            None if is_stream(&self.archive) => Ok("-".into()),
            None => {
                Err(Error::invalid(format!("expected -o, or an archive ending in {ENDING}")).at(shown(&self.archive)))
            }
        }
    }
    fn takes_arrays(&self, archive: &Archive, output: &Path) -> bool {
        let own = match archive.directory().files.as_slice() {
            [] => return true,
            [one] => one.format.as_str(),
            _ => "",
        };
        let other = match kind(output) {
            Some(Kind::One(ArrayFormat::Npy)) => own != "npy",
            Some(Kind::One(ArrayFormat::Raw)) => own != "raw",
            Some(Kind::Npz) => own != "npz",
            None => false,
        };
        other || !self.arrays.is_empty() || self.region.is_some() || self.level.is_some()
    }
    fn export(&self, archive: &Archive, output: &Path, quiet: bool, outputs: &mut Outputs) -> Result<()> {
        let names = self.names(archive)?;
        let level = self.level.unwrap_or(0);
        let size = |n: &String| Ok((archive.level_shape(n, level)?.len() * archive.array(n)?.dtype.size()) as u64);
        let sizes = names.iter().map(size).collect::<Result<Vec<u64>>>()?;
        let progress = Progress::new(sizes.iter().sum(), quiet);
        let watch = |e: fieldpress::files::Event<'_>| progress.event(e);
        let kind = match kind(output) {
            Some(k) => k,
            None if is_stream(output) => Kind::One(ArrayFormat::Npy),
            None => {
                let what = if self.level.is_some() { "coarser arrays, which no file was made of" } else { "arrays" };
                return Err(Error::invalid(format!(
                    "expected an output (-o) ending in .npy, .npz or .raw for {what}, found {}",
                    output.display()
                )));
            }
        };
        let format = match kind {
            Kind::Npz if self.region.is_none() => {
                return outputs
                    .fill(output, self.force, |out| export_npz(archive, &names, level, false, out, Some(&watch)));
            }
            Kind::Npz => return Err(Error::invalid("expected .npy or .raw with --region, found .npz")),
            Kind::One(f) => f,
        };
        let [name] = names.as_slice() else {
            return Err(Error::invalid(format!(
                "expected one array for this output (name it with --arrays, or write .npz), found {}: {}",
                names.len(),
                list(&names)
            )));
        };
        let shape = archive.level_shape(name, level)?;
        let selection = match &self.region {
            Some(text) => Selection::parse(text, &shape)?,
            None => Selection::all(shape),
        };
        outputs
            .fill(output, self.force, |out| export_array(archive, name, level, &selection, format, out, Some(&watch)))
    }
    fn names(&self, archive: &Archive) -> Result<Vec<String>> {
        let all: Vec<String> = archive.directory().arrays.iter().map(|a| a.name.clone()).collect();
        if self.arrays.is_empty() {
            return Ok(all);
        }
        if let Some(g) = self.arrays.iter().find(|g| !all.iter().any(|n| g.matches(n))) {
            return Err(Error::invalid(format!("expected a pattern that fits an array ({}), found {g}", list(&all))));
        }
        Ok(all.into_iter().filter(|n| self.arrays.iter().any(|g| g.matches(n))).collect())
    }
}

/// The first names of a list.
fn list(names: &[String]) -> String {
    let more = if names.len() > 12 { " ..." } else { "" };
    names.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(" ") + more
}

fn kind(output: &Path) -> Option<Kind> {
    match output.extension()?.to_str()? {
        "npy" => Some(Kind::One(ArrayFormat::Npy)),
        "raw" => Some(Kind::One(ArrayFormat::Raw)),
        "npz" => Some(Kind::Npz),
        _ => None,
    }
}

/// Where each file of the archive goes.
fn destinations(archive: &Archive, output: &Path) -> Result<Vec<PathBuf>> {
    let files = &archive.directory().files;
    if let ([_], false) = (files.as_slice(), output.is_dir()) {
        return Ok(vec![output.into()]);
    }
    if is_stream(output) {
        return Err(Error::invalid(format!("expected a folder for {} files, found standard output", files.len())));
    }
    let paths = files.iter().map(|f| Ok(output.join(plain(&f.name)?))).collect::<Result<Vec<_>>>()?;
    Ok(paths)
}

/// The name of a file in a folder; archives may come from anywhere.
fn plain(name: &str) -> Result<&str> {
    // Elsewhere these two are letters like others; model output is named by times with colons.
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
    let bad = bad || cfg!(windows) && name.contains(['\\', ':']);
    if bad {
        return Err(Error::corrupt(format!("expected the name of a file without folders, found {name:?}")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        for bad in ["", ".", "..", "../a", "/etc/passwd", "a/b", "a\0"] {
            assert!(plain(bad).is_err(), "{bad:?}");
        }
        assert_eq!(plain("tgv0.f00001").ok(), Some("tgv0.f00001"));
        assert_eq!(plain("c:\\x").is_err(), cfg!(windows));
        assert_eq!(plain("wrfout_d01_2000-01-24_12:00:00").is_err(), cfg!(windows));
    }
}
