//! Every flag and environment variable of `api`.
//!
//! Takes: the command line and the environment. Gives: a [`Config`]. Does not: hold what can change while the program
//! runs; that is in `pipeline.yaml`, which `--config` names.

use std::{net::SocketAddr, path::PathBuf};

/// Answers signups over HTTP and gRPC and hands their verification mails to the workers.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "api", version)]
pub struct Config {
    /// The configuration document; followed while the program runs.
    #[arg(long, env = "CONFIG", value_name = "FILE", default_value = "/etc/signup/pipeline.yaml")]
    pub config: PathBuf,

    /// Address of the HTTP interface; `[::]` and `0.0.0.0` both mean every address, of IPv6 and IPv4. Port 0 picks a
    /// free one, which the log line `listening` names.
    #[arg(long, env = "HTTP_ADDR", value_name = "ADDR", default_value = "[::]:8080")]
    pub http: SocketAddr,

    /// Address of the gRPC interface (HTTP/2 without TLS), as that of HTTP.
    #[arg(long, env = "GRPC_ADDR", value_name = "ADDR", default_value = "[::]:9090")]
    pub grpc: SocketAddr,

    /// Address of /livez, /readyz, /metrics and /config, as that of HTTP.
    #[arg(long, env = "ADMIN_ADDR", value_name = "ADDR", default_value = "[::]:8081")]
    pub admin: SocketAddr,

    /// Open connections per interface; for a further client the longest idle one goes, and where none idles the client
    /// waits. Also the gRPC calls that are read at once. Keep it below `ulimit -n`.
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "N", default_value_t = 800,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections: u32,

    /// Signups per core that may wait for their password to be hashed, which bounds memory; more are answered 503, and
    /// so is who would wait for more than a second.
    #[arg(long, env = "MAX_WAITING_PER_CORE", value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub max_waiting_per_core: u32,
}
