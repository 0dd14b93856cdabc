//! `bench`: measures the pipeline against its baselines.
//!
//! Takes: flags (`arguments`), the release programs `api`, `worker` and `inbox`, PostgreSQL, Redis and Go.
//! Gives: one table on standard output: our figure, the baseline's measured in the same run, their ratio, the target.
//! Does not: judge by single runs, remember former figures, or print anything that was not measured.
//!
//! # Layout
//!
//! - `work`: the rows; a file each, `queue_side`: our half of the queue rows, a process of its own
//! - `peers`: runs our half and asynq's; `deployment`: PostgreSQL, Redis, inbox, api and worker; `program`: one of
//!   these
//! - `requests`: an HTTP client that costs next to nothing; `usage`: memory and processor time of processes
//! - `figure`, `statistics`, `outcome`, `table`, `record`, `machine`: from values to the table

mod arguments;
mod deployment;
mod figure;
mod machine;
mod outcome;
mod peers;
mod program;
mod queue_side;
mod record;
mod requests;
mod run;
mod statistics;
mod table;
mod usage;
mod work;

use arguments::{Arguments, Side};
use clap::Parser;
use tokio::runtime::Builder;

// The allocator of `api` and `worker`, so that what this process measures by itself is measured under the same
// conditions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    // Another provider can only have been installed before the first line of main.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    match arguments.side {
        Some(Side::Queue { side }) => side.runtime()?.block_on(queue_side::run(side)),
        None => Builder::new_multi_thread().enable_all().build()?.block_on(run::all(&arguments.run)),
    }
}
