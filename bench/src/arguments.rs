//! The command line.
//!
//! Takes: the process's arguments. Gives: [`Arguments`]. Does not: start anything.

use crate::{queue_side::QueueSide, work::Work};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures the pipeline against its baselines and prints one table.
///
/// Baseline and pipeline are measured in turn, round by round, on the same machine. PostgreSQL, Redis and the mail
/// server are started for the run, on free ports of 127.0.0.1, and removed after it. Progress goes to standard error.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: Run,

    #[command(subcommand)]
    pub(crate) side: Option<Side>,
}

/// What to measure, how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Rounds; the table shows minimum, median and maximum over them.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,

    /// Measure only these, separated by commas.
    #[arg(long, value_name = "WORK", value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Work>,

    /// Also write everything measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// In the first round of `recovery`, also wait for asynq (one to three minutes).
    #[arg(long)]
    pub(crate) asynq_recovery: bool,

    /// Folder of the programs `api`, `worker` and `inbox`; by default that of this program.
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
}

/// The other end of a measurement, run by this program as a process of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum Side {
    /// One side of a queue measurement, as the asynq program of the same commands is the other.
    #[command(hide = true)]
    Queue {
        #[command(subcommand)]
        side: QueueSide,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn five_rounds_of_everything_is_the_default() {
        let arguments = Arguments::parse_from(["bench"]);
        assert_eq!((arguments.run.rounds, arguments.run.only.len()), (5, 0));
        assert!(arguments.side.is_none());
    }

    #[test]
    fn works_are_named_and_separated_by_commas() {
        let arguments = Arguments::parse_from(["bench", "--only", "latency,memory", "--rounds", "1"]);
        assert_eq!(arguments.run.only, [Work::Latency, Work::Memory]);
    }

    #[test]
    fn help_does_not_show_the_inner_commands() {
        let help = Arguments::command().render_help().to_string();
        assert!(help.contains("--only") && !help.contains("queue measurement"), "{help}");
    }
}
