//! The mail servers measured, and how much is sent to each.
//!
//! Gives: [`CASES`] and a running server for each. Does not: tune a server for speed; Postfix and Exim log and queue as
//! they come, and throw away what they took.

use servers::{Exim, OpenSmtpd, Postfix, Security};
use std::time::Duration;

/// One row: a server, a distance, and as many mails as take about ten seconds.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) key: &'static str,
    pub(super) server: Server,
    /// Time to the server and back, if it is not here.
    pub(super) round_trip: Option<Duration>,
    /// That the server takes at once, or the worker has slots for; as many as smtp-source has.
    pub(super) connections: u32,
    /// That the server takes on one connection, if that is bounded.
    pub(super) mails_per_connection: Option<u32>,
    pub(super) workers: u32,
    pub(super) mails: usize,
    pub(super) baseline_mails: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Server {
    /// With this many connections from one client.
    Postfix(&'static str),
    /// With ten connections from one host and twenty mails on each.
    Exim,
    OpenSmtpd,
}

const FAR: Option<Duration> = Some(Duration::from_millis(50));
const THREE: Server = Server::Postfix("smtpd_client_connection_count_limit = 3");
const TEN: Server = Server::Postfix("smtpd_client_connection_count_limit = 10");
const ANY: Server = Server::Postfix("smtpd_client_connection_count_limit = 0");

const fn case(key: &'static str, server: Server, connections: u32, mails: usize, baseline_mails: u32) -> Case {
    let (round_trip, mails_per_connection) = (None, None);
    Case { key, server, round_trip, connections, mails_per_connection, workers: 1, mails, baseline_mails }
}

pub(super) const CASES: [Case; 7] = [
    case("postfix-3", THREE, 3, 5000, 8000),
    Case { mails_per_connection: Some(20), ..case("exim-10", Server::Exim, 10, 1000, 1600) },
    Case { workers: 4, ..case("postfix-10-shared", TEN, 10, 5000, 8000) },
    Case { round_trip: FAR, ..case("postfix-far", ANY, 16, 1500, 800) },
    Case { round_trip: FAR, ..case("postfix-3-far", THREE, 3, 300, 150) },
    Case { round_trip: FAR, mails_per_connection: Some(20), ..case("exim-10-far", Server::Exim, 10, 800, 400) },
    Case { mails_per_connection: Some(100), ..case("opensmtpd", Server::OpenSmtpd, 16, 2000, 1600) },
];

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(super) enum Running {
    Postfix(Postfix),
    Exim(Exim),
    OpenSmtpd(OpenSmtpd),
}

impl Running {
    pub(super) fn start(server: Server) -> anyhow::Result<Self> {
        const LIMITS: [&str; 2] = ["smtp_accept_max_per_host = 10", "smtp_accept_max_per_connection = 20"];
        Ok(match server {
            Server::Postfix(parameter) => Self::Postfix(Postfix::start(Security::Plain, &[parameter])?),
            Server::Exim => Self::Exim(Exim::start(Security::Plain, &LIMITS, &[])?),
            Server::OpenSmtpd => Self::OpenSmtpd(OpenSmtpd::start(&[], &[])?),
        })
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Postfix(server) => server.port(),
            Self::Exim(server) => server.port(),
            Self::OpenSmtpd(server) => server.port(),
        }
    }
}
