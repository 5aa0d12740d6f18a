//! `fieldpress completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use fieldpress::Result;

use crate::screen::say;

/// Print a completion script for a shell.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "fieldpress", &mut script);
        say(String::from_utf8_lossy(&script))
    }
}
