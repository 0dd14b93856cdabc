//! The program `operator`: `operator crd` and `operator local`.
//!
//! Takes: the command line. Gives: what [`operator`] does. Does not: hold logic.

use clap::Parser;

/// Knows the SignupPipeline resource, and runs one on this machine.
#[derive(Debug, Parser)]
#[command(name = "operator", version)]
enum Command {
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Crd => print!("{}", operator::crd::to_yaml()?),
    }
    Ok(())
}
