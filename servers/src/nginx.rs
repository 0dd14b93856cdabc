//! One nginx, as a proxy before what is tested.
//!
//! Takes: the content of its block `http` (nginx' documentation, ngx_http_core_module), and `nginx`, which Debian's
//! package brings. Gives: a running server, and its log of errors. Does not: choose ports; the configuration has them.

use crate::{
    port::answers,
    process::{Process, ServerError, daemon},
};
use rustix::process::Signal;
use std::fs;

/// Everything in its own folder, in the foreground; as root its processes stay root, for others may not enter the
/// folder.
const FRAME: &str = "daemon off;
user root;
worker_processes 2;
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
";

/// A running nginx; dropped, it ends.
#[derive(Debug)]
pub struct Nginx {
    /// Dropped, it ends.
    _process: Process,
}

impl Nginx {
    /// Starts a server and blocks until it listens on `port` of 127.0.0.1, as `http` has to say.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when the package is not installed, [`ServerError::NotReady`] with what nginx says of a
    /// wrong configuration, else what went wrong.
    pub fn start(port: u16, http: &str) -> Result<Self, ServerError> {
        let mut process = Process::new("nginx", Signal::TERM)?;
        let folder = process.folder().to_owned();
        let written = fs::write(folder.join("nginx.conf"), format!("{FRAME}{http}\n}}\n"));
        written.map_err(|source| ServerError::Io { action: "write a configuration", source })?;
        let mut command = daemon("nginx");
        command.arg("-p").arg(&folder).args(["-e", "stderr", "-c", "nginx.conf"]);
        process.spawn_program("nginx", command)?;
        process.until("nginx", || answers(port))?;
        Ok(Self { _process: process })
    }
}
