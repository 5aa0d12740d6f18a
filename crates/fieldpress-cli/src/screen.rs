//! Standard output, which may close at any time.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use fieldpress::Result;

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of our text has gone away. Data that could not be written is another matter.
pub(crate) fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Prints `text` and a line end to standard output. Remembers when its reader has gone.
pub(crate) fn say(text: impl AsRef<str>) -> Result<()> {
    let mut line = text.as_ref().trim_end_matches('\n').to_string();
    line.push('\n');
    let mut out = io::stdout();
    let done = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    if done.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        CLOSED.store(true, Ordering::Relaxed);
    }
    Ok(done?)
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
