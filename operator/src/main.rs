//! The program `operator`: `operator crd` and `operator local`.
//!
//! Takes: the command line. Gives: what [`operator`] does. Does not: hold logic.

use clap::Parser;
use operator::local::{self, options::Options};

/// Knows the SignupPipeline resource, and runs one on this machine.
#[derive(Debug, Parser)]
#[command(name = "operator", version)]
enum Command {
    /// Print the CustomResourceDefinition as YAML.
    Crd,
    /// Run a pipeline on this machine, without a cluster, until SIGTERM or Ctrl-C.
    Local(Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Command::parse() {
        Command::Crd => print!("{}", operator::crd::to_yaml()?),
        Command::Local(options) => local::run(options).await?,
    }
    Ok(())
}
