//! Files and standard streams as inputs and outputs.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fieldpress::array::ReadAt;
use fieldpress::files::Input;
use fieldpress::io::{Output, PendingFile};
use fieldpress::{Archive, Error, Limits, Result};

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

/// [`input`], with the velocity distributions of these cells alone, if any are given.
pub(crate) fn input_of(path: &Path, cells: &[u64]) -> Result<Input> {
    let all = input(path)?;
    if cells.is_empty() {
        return Ok(all);
    }
    all.of_cells(cells).map_err(|e| e.at(shown(path)))
}

/// Whether both paths lead to one existing file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| if is_stream(p) { None } else { p.canonicalize().ok() };
    real(a).is_some() && real(a) == real(b)
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
        return write(&mut std::io::BufWriter::new(std::io::stdout()));
    }
    let mut file = PendingFile::create(path, force)?;
    let value = write(&mut std::io::BufWriter::with_capacity(1 << 20, &mut file))?;
    file.commit()?;
    Ok(value)
}

/// Restored files, none of which appears before all are complete.
#[derive(Default)]
pub(crate) struct Outputs {
    files: Vec<PendingFile>,
    /// A folder made for them.
    made: Option<PathBuf>,
}

impl Outputs {
    /// Makes the folder at `path` if there is none; it goes again unless files are committed to it.
    pub(crate) fn folder(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            std::fs::create_dir_all(path).map_err(|e| Error::from(e).at(path.display()))?;
            self.made = Some(path.into());
        }
        Ok(())
    }
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
            let mut out = std::io::stdout();
            return Ok(out.write_all(&bytes).and_then(|()| out.flush())?);
        }
        let mut file = PendingFile::create(path, force)?;
        fill(&mut file)?;
        self.files.push(file);
        Ok(())
    }
    /// Gives all files their names.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.files.drain(..).try_for_each(PendingFile::commit)
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.files.clear();
        if let Some(folder) = &self.made {
            // Only a folder in which nothing is can be removed.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// `path` with the ending of archives behind it.
pub(crate) fn with_ending(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}
