//! Flags and variables of `operator local`.
//!
//! Takes: the command line. Gives: [`Options`]. Does not: read the file it names.

use super::LocalError;
use clap::Args;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Flags of `operator local`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// File with a SignupPipeline, and perhaps Secrets and ConfigMaps; edits are applied while it runs.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Folder of Secrets: DIR/NAME/KEY. A Secret that is neither here nor in the file is stood in for.
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// Use the file's mail server, though no Secret for it is given. Mails leave this machine!
    #[arg(long)]
    pub send_mail: bool,
    /// Address of HTTP.
    #[arg(long, env = "API_ADDR", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub api_addr: SocketAddr,
    /// Address of gRPC.
    #[arg(long, env = "GRPC_ADDR", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    pub grpc_addr: SocketAddr,
    /// Address of the page that shows the mails.
    #[arg(long, env = "INBOX_ADDR", default_value = "127.0.0.1:8025", value_name = "ADDR")]
    pub inbox_addr: SocketAddr,
    /// Folder with the programs `api`, `worker` and `inbox`. Default: the folder of this program.
    #[arg(long, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) api: PathBuf,
    pub(super) worker: PathBuf,
    pub(super) inbox: PathBuf,
}

impl Options {
    /// Finds the programs; `inbox` only when it is going to be used.
    pub(super) fn programs(&self, with_inbox: bool) -> Result<Programs, LocalError> {
        let own = || std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
        let folder = self.bin_dir.clone().or_else(own).unwrap_or_default();
        let find = |name: &str, needed: bool| {
            let path = folder.join(name);
            if !needed || path.is_file() { Ok(path) } else { Err(LocalError::ProgramMissing { path }) }
        };
        Ok(Programs { api: find("api", true)?, worker: find("worker", true)?, inbox: find("inbox", with_inbox)? })
    }
}
