//! `inbox`: a mail server with a page, for demonstrations and tests.
//!
//! Takes: addresses and files as flags. Gives: one JSON line `listening` with the addresses bound, then runs until
//! SIGTERM or SIGINT. Does not: deliver or keep anything.

use anyhow::Context;
use clap::{Parser, ValueEnum};
use inbox::{Certificates, Credentials, Inbox, Settings, Tls};
use std::{net::SocketAddr, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// A mail server that shows every mail on a page and delivers none.
#[derive(Debug, Parser)]
#[command(version)]
struct Config {
    /// Address for SMTP (`[::]`: every address, of IPv6 and IPv4); port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:1025")]
    smtp: SocketAddr,
    /// Address for the page; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8025")]
    http: SocketAddr,
    /// Transport security of SMTP.
    #[arg(long, value_enum, default_value_t = Security::None)]
    tls: Security,
    /// Folder of ca.pem, server.pem and server.key; they are made when it holds none. Clients trust ca.pem.
    #[arg(long, required_if_eq_any([("tls", "starttls"), ("tls", "implicit")]))]
    cert_dir: Option<PathBuf>,
    /// File holding user:password; mail is taken only after AUTH with them.
    #[arg(long)]
    auth: Option<PathBuf>,
    /// File that gets one JSON line per mail accepted, before its sender hears of it.
    #[arg(long)]
    log: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Security {
    None,
    Starttls,
    Implicit,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Another provider can only have been installed before the first line of main.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let inbox = Inbox::start(settings(Config::parse())?)?;
    let (smtp, http) = (inbox.smtp_addr(), inbox.http_addr());
    println!("{}", serde_json::json!({"message": "listening", "smtp": smtp, "http": http}));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn settings(config: Config) -> anyhow::Result<Settings> {
    let certificates = config.cert_dir.as_deref().map(Certificates::load_or_generate).transpose()?;
    let tls = match (config.tls, certificates) {
        (Security::Starttls, Some(certificates)) => Tls::StartTls(certificates),
        (Security::Implicit, Some(certificates)) => Tls::Implicit(certificates),
        _ => Tls::None,
    };
    let credentials = config.auth.map(|path| {
        let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        Credentials::parse(&text).with_context(|| format!("{} must hold user:password in one line", path.display()))
    });
    let defaults = Settings::default();
    let (smtp, http, log, credentials) = (config.smtp, config.http, config.log, credentials.transpose()?);
    Ok(Settings { smtp, http, tls, credentials, log, ..defaults })
}
