//! The verbs, one file each, and the way to them.

mod bench;
mod cache;
mod check;
mod compare;
mod completions;
mod convert;
mod device;
mod doc;
mod explain;
mod graph;
mod infer;
mod init;
mod inspect;
mod list;
mod man;
pub mod optimize;
mod plan;
mod provenance;
mod report;
mod run;
mod schema;
mod verify;

use std::time::Instant;

use clap::Parser as _;

use crate::args::{Cli, Everywhere, Verb};
use crate::exit::{Exit, Failure, Outcome};
use crate::problems::{Format, ProblemArgs};
use crate::progress;
use crate::signals;
use crate::terminal::Terminal;

/// Reads the command line, does what it says and tells what went wrong.
pub fn main() -> Exit {
    let started = Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let on_stdout = matches!(&cli.verb, Verb::Run(run) if run.events.as_deref().is_some_and(progress::is_stdout));
    let format = cli.verb.problems().map_or(Format::Text, ProblemArgs::format);
    let terminal = Terminal::new(cli.everywhere.volume(), on_stdout, format);
    if on_stdout && format.takes_stdout() {
        terminal
            .say("error: --events - and this --output-format want stdout to themselves; write the events to a file");
        return Exit::Invalid;
    }
    // Without them the system ends the process all the same, with a code of its own.
    let _ = signals::take();
    let exit = match dispatch(cli.verb, &cli.everywhere, &terminal, started) {
        Ok(exit) | Err(Failure::Told(exit)) => exit,
        Err(Failure::Error(exit, error)) => {
            terminal.error(&error);
            exit
        }
    };
    match terminal.finish(exit) {
        Ok(()) => exit,
        Err(error) => {
            terminal.error(&error.into());
            Exit::Environment
        }
    }
}

fn dispatch(verb: Verb, everywhere: &Everywhere, terminal: &Terminal, started: Instant) -> Outcome {
    match verb {
        Verb::Run(args) => run::run(&args, everywhere, terminal, started),
        Verb::Check(args) => check::check(&args, terminal),
        Verb::Plan(args) => plan::plan(&args, everywhere, terminal),
        Verb::Graph(args) => graph::graph(&args, terminal),
        Verb::Explain(args) => explain::explain(&args, everywhere, terminal),
        Verb::Report(args) => report::report(args, everywhere, terminal, started),
        Verb::Provenance(args) => provenance::provenance(&args, everywhere, terminal),
        Verb::Compare(args) => compare::compare(&args, terminal),
        Verb::Optimize(args) => optimize::optimize(&args, everywhere, terminal, started),
        Verb::Inspect(args) => inspect::inspect(&args, terminal),
        Verb::Convert(args) => convert::convert(&args, terminal),
        Verb::Verify(args) => verify::verify(&args, terminal),
        Verb::Bench(args) => bench::bench(&args, terminal),
        Verb::Infer(args) => infer::infer(&args, terminal),
        Verb::Cache(verb) => cache::cache(&verb, everywhere, terminal),
        Verb::List { what } => list::list(what, terminal),
        Verb::Doc(args) => doc::doc(&args, terminal),
        Verb::Init(args) => init::init(&args, terminal),
        Verb::Schema { what } => schema::schema(what, terminal),
        Verb::Man { dir } => man::man(&dir, terminal),
        Verb::Completions { shell } => completions::completions(shell, terminal),
    }
}

/// Prints help, version or what is wrong with the command line.
fn usage(error: &clap::Error) -> Exit {
    // Whoever asked for help and does not read it is not to be told.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Invalid
    } else {
        Exit::Success
    }
}
