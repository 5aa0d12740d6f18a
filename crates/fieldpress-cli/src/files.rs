//! Files and standard streams as inputs and outputs.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldpress::array::ReadAt;
use fieldpress::files::Input;
use fieldpress::io::{Output, PendingFile};
use fieldpress::{Archive, Error, Limits, Result};

use crate::screen::Stdout;

/// The ending of archives.
pub(crate) const ENDING: &str = ".fpz";

/// Whether `path` stands for a standard stream.
pub(crate) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The file at `path`, or all of standard input for `-`.
pub(crate) fn input(path: &Path) -> Result<Input> {
    if !is_stream(path) {
        return Input::open(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|e| Error::from(e).at("standard input"))?;
    Ok(Input::from_bytes("stdin", bytes))
}

/// The name of `path` in messages.
pub(crate) fn shown(path: &Path) -> String {
    if is_stream(path) {
        "standard input".into()
    } else {
        path.display().to_string()
    }
}

/// The archive at `path`. Errors name it.
pub(crate) fn archive(path: &Path) -> Result<Archive> {
    let bytes: Arc<dyn ReadAt> = input(path)?.bytes;
    Archive::open(bytes, Limits::default()).map_err(|e| e.at(shown(path)))
}

/// Writes to a file that appears when all went well, or to standard output.
pub(crate) fn write_to<T>(path: &Path, force: bool, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    if is_stream(path) {
        if std::io::stdout().is_terminal() && !force {
            return Err(Error::invalid(
                "expected a file or a pipe for an archive, found a terminal; write there with -f",
            ));
        }
        return write(&mut std::io::BufWriter::new(Stdout));
    }
    let mut file = PendingFile::create(path, force)?;
    let value = write(&mut std::io::BufWriter::with_capacity(1 << 20, &mut file))?;
    file.commit()?;
    Ok(value)
}

/// Restored files, none of which appears before all are complete.
#[derive(Default)]
pub(crate) struct Outputs(Vec<PendingFile>);

impl Outputs {
    /// Fills the file at `path`, or standard output for `-`.
    pub(crate) fn fill(
        &mut self,
        path: &Path,
        force: bool,
        fill: impl FnOnce(&mut dyn Output) -> Result<()>,
    ) -> Result<()> {
        if is_stream(path) {
            let mut bytes = Vec::new();
            fill(&mut bytes)?;
            Stdout.write_all(&bytes)?;
            return Ok(Stdout.flush()?);
        }
        let mut file = PendingFile::create(path, force)?;
        fill(&mut file)?;
        self.0.push(file);
        Ok(())
    }
    /// Gives all files their names.
    pub(crate) fn commit(self) -> Result<()> {
        self.0.into_iter().try_for_each(PendingFile::commit)
    }
}

/// `path` with the ending of archives behind it.
pub(crate) fn with_ending(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}
