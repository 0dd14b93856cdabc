//! Flags and environment of the worker; everything else is in `pipeline.yaml`.
//!
//! Takes: the command line. Gives: a [`Config`]. Does not: read the file it names.

use crate::{intents::arguments::Arguments, render, users};
use clap::{Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// Takes due tasks from Redis and sends the verification mails.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
pub struct Config {
    /// The configuration file, followed while it changes.
    #[arg(long, global = true, env = "CONFIG", value_name = "FILE", default_value = "/etc/signup/pipeline.yaml")]
    pub config: PathBuf,
    /// Where health, metrics and the configuration in force are served; `[::]` and `0.0.0.0` both mean every address,
    /// of IPv6 and IPv4. Port 0 takes a free one.
    #[arg(long, env = "ADMIN_ADDR", value_name = "ADDR", default_value = "[::]:9091")]
    pub admin: SocketAddr,
    /// What to do instead of sending mails.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done instead of sending mails.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists, shows, puts back and cancels mails
    Intents(Arguments),
    /// Deletes users
    Users(users::Arguments),
    /// Shows a mail as it would be sent, for whoever writes templates
    RenderMail(render::Arguments),
}
