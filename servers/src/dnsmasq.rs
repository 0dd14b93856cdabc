//! One DNS server, with the names that a test gives it.
//!
//! Takes: options of `dnsmasq` (its manual page), which Debian's package brings without a service. Gives: a running
//! server on UDP and TCP. Does not: ask another server; a name that no option covers is refused.

use crate::{
    port::{answers, free_port},
    process::{Process, ServerError, daemon},
};
use rustix::process::Signal;

/// A running dnsmasq; dropped, it ends.
#[derive(Debug)]
pub struct Dnsmasq {
    _process: Process,
    port: u16,
}

impl Dnsmasq {
    /// Starts a server at a free port and blocks until it listens.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when the package is not installed, else what went wrong.
    pub fn start(options: &[&str]) -> Result<Self, ServerError> {
        Self::start_at(free_port()?, options)
    }

    /// Starts a server at a port of 127.0.0.1, of which 53 takes root.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_at(port: u16, options: &[&str]) -> Result<Self, ServerError> {
        let mut process = Process::new("dnsmasq", Signal::TERM)?;
        let mut command = daemon("dnsmasq");
        command
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--group=root"])
            .args(["--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", "--cache-size=0"])
            .arg(format!("--port={port}"))
            .args(options);
        process.spawn_program("dnsmasq", command)?;
        process.until("dnsmasq", || answers(port))?;
        Ok(Self { _process: process, port })
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}
