//! A worker server.

use std::time::Duration;

use tokio::sync::watch;

use crate::connection::Connection;
use crate::handler::Handler;
use crate::settings::Settings;

/// A running worker server.
pub struct Server {}

/// What a shutdown did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Attempts that ended between the call and the end of the shutdown.
    pub finished: usize,
    /// Tasks handed back to pending without using up a retry.
    pub requeued: usize,
}

impl Server {
    /// Starts.
    pub fn start(connection: Connection, settings: watch::Receiver<Settings>, shutdown_grace: Duration, handler: impl Handler) -> Self {
        let _ = (connection, settings, shutdown_grace, handler);
        Self {}
    }

    /// Takes no more tasks; running ones go on.
    pub fn stop_taking(&self) {}

    /// Stops: takes no more tasks, lets running ones finish within the grace period, requeues what never started.
    pub async fn shutdown(self) -> ShutdownReport {
        ShutdownReport { finished: 0, requeued: 0 }
    }

    /// Attempts running now.
    pub fn running(&self) -> usize {
        0
    }

    /// True while Redis answers.
    pub fn healthy(&self) -> bool {
        true
    }
}
