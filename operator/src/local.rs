//! `operator local`: a pipeline on this machine, without a cluster.
//!
//! Takes: a file with a SignupPipeline and perhaps its Secrets. Gives: the same api and worker processes that run in a
//! cluster, with real PostgreSQL, Redis and SMTP beside them, until SIGTERM or SIGINT; then nothing is left.
//! Does not: keep any data of what it started itself.
//!
//! # Layout
//!
//! - [`options`]: flags and variables
//! - `plan`: what stands in for what (pure)
//! - `addresses`: are they free?
//! - `stores`: PostgreSQL and Redis
//! - `files`: `pipeline.yaml` and the secret files
//! - `child`, `fleet`: processes, restarted when they die
//! - `figures`: what the queue and the api report; `supervise`: what is said of workers in the queue
//! - `edits`: the file changed
//! - `start`, `running`: all of it started in order; the loop that joins it
//! - `neighbours`: who else uses a Redis that was given
//! - `wait`: until processes are ready and configured
//! - `screen`: what the person sees

mod addresses;
mod child;
mod edits;
mod error;
mod figures;
mod files;
mod fleet;
mod neighbours;
pub mod options;
mod plan;
mod running;
mod screen;
mod start;
mod stores;
mod supervise;
mod wait;

pub use error::LocalError;

use edits::Source;
use lifecycle::shutdown::Shutdown;
use options::Options;
use plan::Plan;

/// Runs the pipeline of `options.file` until a signal stops it.
///
/// # Errors
///
/// [`LocalError`] when it cannot be started; what was started by then is stopped.
pub async fn run(options: Options) -> Result<(), LocalError> {
    let mut source = Source::new(&options);
    let manifest = source.read()?;
    let plan = Plan::new(&manifest, options.send_mail)?;
    let programs = options.programs(plan.uses_inbox())?;
    addresses::check(&options, plan.uses_inbox())?;
    let shutdown = Shutdown::on_signals().map_err(|source| LocalError::Io { action: "listen for signals", source })?;
    let (soft, hard) = (shutdown.soft(), shutdown.hard());
    let started = tokio::select! {
        started = start::start(&options, programs, manifest, plan) => Some(started?),
        () = soft.cancelled() => None,
    };
    if let Some(mut running) = started {
        tokio::select! {
            () = running.follow(source) => {}
            () = soft.cancelled() => {}
        }
        running.stop(hard).await;
    }
    Ok(())
}
