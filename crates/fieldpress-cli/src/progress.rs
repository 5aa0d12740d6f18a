//! A progress bar on standard error, where that is a terminal.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fieldpress::files::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over bytes. Counts no array for more than it holds, however many passes it takes.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Bytes of the arrays that are done, and of the current one: all, and those dealt with.
    at: Mutex<(u64, u64, u64)>,
}

impl Progress {
    pub(crate) fn new(total: u64, quiet: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(
            Some(total),
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) },
        );
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar, at: Mutex::new((0, 0, 0)) }
    }
    /// To be called with every event.
    pub(crate) fn event(&self, e: Event<'_>) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        match e {
            Event::Array { name, bytes } => {
                *at = (at.0 + at.1, bytes, 0);
                self.bar.set_message(name.to_string());
            }
            Event::Bytes(n) => at.2 = (at.2 + n).min(at.1),
        }
        self.bar.set_position(at.0 + at.2);
    }
    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
