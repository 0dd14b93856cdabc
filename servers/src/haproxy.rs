//! One HAProxy, as a proxy before what is tested.
//!
//! Takes: its configuration (HAProxy's configuration manual, 2.6), and `haproxy`, which Debian's package brings. Gives:
//! a running server, and its log where the configuration says `log stdout format raw local0`. Does not: choose ports:
//! the configuration names them.

use crate::{
    port::answers,
    process::{Process, ServerError, daemon},
};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

/// A running HAProxy; dropped, it ends.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
}

impl Haproxy {
    /// Starts a server and blocks until it listens on `port` of 127.0.0.1, as the configuration has to say.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when the package is not installed, [`ServerError::NotReady`] with what HAProxy says of
    /// a wrong configuration, else what went wrong.
    pub fn start(port: u16, configuration: &str) -> Result<Self, ServerError> {
        let mut process = Process::new("haproxy", Signal::TERM)?;
        let file = process.folder().join("haproxy.cfg");
        let written = fs::write(&file, configuration);
        written.map_err(|source| ServerError::Io { action: "write a configuration", source })?;
        let mut command = daemon("haproxy");
        command.current_dir(process.folder()).arg("-db").arg("-f").arg(&file);
        process.spawn_program("haproxy", command)?;
        process.until("haproxy", || answers(port))?;
        Ok(Self { process })
    }

    /// Gives an order to its administration socket, such as `disable server name/old`, and returns the answer; the
    /// configuration has to say `stats socket unix@socket level admin`.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`].
    pub fn order(&self, order: &str) -> Result<String, ServerError> {
        let io = |source| ServerError::Io { action: "give haproxy an order", source };
        let mut stream = UnixStream::connect(self.process.folder().join("socket")).map_err(io)?;
        writeln!(stream, "{order}").map_err(io)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(io)?;
        Ok(answer)
    }
}
