//! The `fieldpress` command: arguments to library calls to text.
// Nothing is decoded here: numbers that are only printed need not be the same to the last bit.
#![allow(clippy::disallowed_methods)]

mod args;
mod bench;
mod compare;
mod completions;
mod compress;
mod decompress;
mod emulate;
mod files;
mod flow;
mod info;
mod list;
mod look;
mod maps;
mod numbers;
mod plot;
mod progress;
mod scatter;
mod screen;
mod sht;
mod survey;
mod table;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fieldpress::{Error, ErrorKind, Result};

/// What a command came to, for the exit code.
pub(crate) enum Answer {
    /// All is well: 0.
    Yes,
    /// A bound is violated: 1.
    No,
}

/// Compress the arrays of simulations and instruments within an error bound that holds.
#[derive(Parser)]
#[command(name = "fieldpress", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    /// Threads to use; the bytes are the same for any number [default: all cores].
    #[arg(short = 'j', long, global = true, value_name = "N", value_parser = args::positive)]
    threads: Option<usize>,
    /// Show no progress.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done (verify: the bound holds), 1 verify: the bound is violated, 2 error.";

#[derive(Subcommand)]
enum Command {
    Compress(compress::Compress),
    Decompress(decompress::Decompress),
    Verify(verify::Verify),
    Info(info::Info),
    Compare(compare::Compare),
    Bench(bench::Bench),
    Survey(survey::Survey),
    Scatter(scatter::Scatter),
    Emulate(emulate::Emulate),
    Sht(sht::Sht),
    Plot(plot::Plot),
    List(list::List),
    Completions(completions::Completions),
}

fn run(cli: &Cli) -> Result<Answer> {
    if let Some(n) = cli.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build_global()
            .map_err(|e| Error::invalid(format!("expected to start {n} threads: {e}")))?;
    }
    let quiet = cli.quiet;
    match &cli.command {
        Command::Compress(c) => c.run(quiet).map(|()| Answer::Yes),
        Command::Decompress(c) => c.run(quiet).map(|()| Answer::Yes),
        Command::Verify(c) => c.run(quiet),
        Command::Info(c) => c.run().map(|()| Answer::Yes),
        Command::Compare(c) => c.run().map(|()| Answer::Yes),
        Command::Bench(c) => c.run(quiet).map(|()| Answer::Yes),
        Command::Survey(c) => c.run(quiet).map(|()| Answer::Yes),
        Command::Scatter(c) => c.run().map(|()| Answer::Yes),
        Command::Emulate(c) => c.run(quiet).map(|()| Answer::Yes),
        Command::Sht(c) => c.run().map(|()| Answer::Yes),
        Command::Plot(c) => c.run().map(|()| Answer::Yes),
        Command::List(c) => c.run().map(|()| Answer::Yes),
        Command::Completions(c) => c.run().map(|()| Answer::Yes),
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // Whoever read our output has seen enough.
        Err(_) if screen::closed() => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("fieldpress: {}", one_line(&e));
            ExitCode::from(2)
        }
    }
}

/// The message, with the kind where it tells more than the message.
fn one_line(e: &Error) -> String {
    let text = match e.kind() {
        ErrorKind::InvalidArgument | ErrorKind::Io => e.message().to_string(),
        _ => e.to_string(),
    };
    text.replace('\n', " ")
}
