//! Standard output, which may close at any time.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use fieldpress::Result;

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of standard output has gone away.
pub(crate) fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Standard output; remembers when its reader has gone.
pub(crate) struct Stdout;

fn noted<T>(r: io::Result<T>) -> io::Result<T> {
    if r.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        CLOSED.store(true, Ordering::Relaxed);
    }
    r
}

impl Write for Stdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        noted(io::stdout().write(buf))
    }
    fn flush(&mut self) -> io::Result<()> {
        noted(io::stdout().flush())
    }
}

/// Prints `text` and a line end to standard output.
pub(crate) fn say(text: impl AsRef<str>) -> Result<()> {
    let mut line = text.as_ref().trim_end_matches('\n').to_string();
    line.push('\n');
    Stdout.write_all(line.as_bytes())?;
    Ok(Stdout.flush()?)
}

/// Prints `text` where people look: standard output, or standard error when that carries data.
pub(crate) fn tell(text: impl AsRef<str>, data_on_stdout: bool) -> Result<()> {
    if data_on_stdout {
        // Nobody may be there to read it, and that is no reason to fail.
        let _ = writeln!(io::stderr(), "{}", text.as_ref().trim_end_matches('\n'));
        return Ok(());
    }
    say(text)
}
