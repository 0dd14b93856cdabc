//! `bench-scaler`: measures how the operator scales workers, beside KEDA, on the same load in the same run.
//!
//! Takes: flags (`arguments`), the program `operator`, etcd, kube-apiserver and kube-controller-manager
//! (tests/cluster/build.sh), KEDA (`keda.sh`), Redis. Gives: a table on standard output and two pictures. The judge is
//! the API server's audit log. Does not: start containers: a simulated kubelet says that a pod is ready after a chosen
//! delay, and starts a process that takes tasks from Redis as a worker does and sleeps in place of sending mails.
//!
//! # Layout
//!
//! - `rows`: what is measured; `site`: all that runs meanwhile
//! - `control_plane`, `objects`, `audit`: Kubernetes; `kubelet`: its simulated part; `worker`: what that starts
//! - `ours`, `keda`: the two that scale
//! - `load`: tasks by time, `dice`: their chances; `record`: what became of them, `figures`: figures of that
//! - `table`, `picture`: what people see

mod arguments;
mod audit;
mod control_plane;
mod dice;
mod figures;
mod keda;
mod kubelet;
mod load;
mod objects;
mod ours;
mod picture;
mod record;
mod rows;
mod site;
mod table;
mod worker;

use arguments::{Arguments, Command};
use clap::Parser;
use tokio::runtime::Builder;

fn main() -> anyhow::Result<()> {
    // Another provider can only have been installed before the first line of main.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    match arguments.command {
        // A process per pod: one thread is enough for what sleeps.
        Some(Command::Worker { concurrency }) => {
            Builder::new_current_thread().enable_all().build()?.block_on(worker::run(concurrency))
        }
        None => Builder::new_multi_thread().enable_all().build()?.block_on(rows::run(&arguments)),
    }
}
