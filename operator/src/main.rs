//! The program `operator`: `operator run`, `operator local`, `operator render`, `operator check`,
//! `operator plan` and `operator crd`.
//!
//! Takes: the command line. Gives: what [`operator`] does. Does not: hold logic.

use clap::Parser;
use operator::{
    check,
    local::{self, options::Options},
    plan, render, run,
};
use std::{error::Error, process::ExitCode};
use tokio::runtime::Builder;

/// Runs SignupPipeline resources, in a cluster or on this machine.
#[derive(Debug, Parser)]
#[command(name = "operator", version)]
enum Command {
    /// Print the CustomResourceDefinition as YAML.
    Crd,
    /// Run the operator in a cluster, until SIGTERM or Ctrl-C.
    Run(run::Options),
    /// Print every object that a pipeline becomes in a cluster, without one.
    Render(render::Options),
    /// Find what is wrong with a cluster, a pipeline or a file, and say what to do. Changes nothing.
    Check(check::Options),
    /// Print how the number of workers is computed, now or for a recorded series. Changes nothing.
    Plan(plan::Options),
    /// Run a pipeline on this machine, without a cluster, until SIGTERM or Ctrl-C.
    Local(Options),
}

fn main() -> ExitCode {
    lifecycle::exit::code(start())
}

fn start() -> Result<ExitCode, Box<dyn Error>> {
    // Fails only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let command = Command::parse();
    let mut runtime = match &command {
        Command::Local(_) => Builder::new_multi_thread(),
        // Nearly all of the time is waiting, and each thread more would have memory of its own that it never gives
        // back.
        _ => Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(perform(command))
}

async fn perform(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Crd => print!("{}", operator::crd::to_yaml()?),
        Command::Run(options) => run::run(options).await?,
        Command::Render(options) => print!("{}", render::run(&options)?),
        Command::Local(options) => local::run(options).await?,
        Command::Plan(options) => print!("{}", plan::run(&options).await?),
        Command::Check(options) => return Ok(check::main(&options).await),
    }
    Ok(ExitCode::SUCCESS)
}
