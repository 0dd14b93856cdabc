//! The works measured, one file each.
//!
//! Takes: the [`Programs`] a work may use and the [`Round`]. Gives: [`Measured`] values for the work's [`Goal`]s.
//! Does not: keep servers between works; every measurement starts with empty ones.

mod delayed;
mod enqueueing;
mod failover;
mod growth;
mod journal;
mod latency;
mod mail_servers;
mod mails;
mod memory;
mod overload;
mod owed;
mod pooler;
mod privacy;
mod processing;
mod proxy;
mod recovery;
mod signups;

use crate::{
    figure::{Goal, Measured},
    peers::Peers,
};
use std::path::PathBuf;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// Enqueue to handler on an idle worker, against asynq.
    Latency,
    /// Lateness of delayed tasks, against asynq.
    Delayed,
    /// No-op tasks processed per second, against asynq.
    Processing,
    /// Tasks enqueued per second, against asynq.
    Enqueueing,
    /// A killed worker's task runs elsewhere.
    Recovery,
    /// Signups per second over HTTP, against argon2id alone.
    Signups,
    /// Mails per second over STARTTLS, against one lettre connection.
    Mails,
    /// Mails per second to real mail servers with limits, against Postfix' smtp-source.
    MailServers,
    /// Failures behind nginx and HAProxy, and what clients of gRPC can hold.
    Proxy,
    /// Resident memory of api and worker.
    Memory,
    /// Whether signups tell taken addresses from free ones where accounts are hidden; in the first round.
    Privacy,
    /// Far more signups than can be hashed.
    Overload,
    /// Signups through PgBouncer, against straight to PostgreSQL.
    Pooler,
    /// Signups after PostgreSQL's name has moved to its standby, against a client that connects anew each time.
    Failover,
    /// Signups and PostgreSQL at rest by the number of old signups and waiting mails; in the first round.
    Growth,
}

/// Programs a work may start.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) peers: Peers,
    /// Folder of `api`, `worker` and `inbox`.
    pub(crate) folder: PathBuf,
}

/// Which round it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// From 0. In odd rounds ours goes first, in even ones the baseline, so that neither always finds the warmer
    /// machine.
    pub(crate) number: u32,
    /// Whether asynq's recovery is waited for.
    pub(crate) asynq_recovery: bool,
}

impl Round {
    pub(crate) fn baseline_first(self) -> bool {
        self.number.is_multiple_of(2)
    }
}

impl Work {
    pub(crate) fn goals(self) -> &'static [Goal] {
        match self {
            Self::Latency => &latency::GOALS,
            Self::Delayed => &delayed::GOALS,
            Self::Processing => &processing::GOALS,
            Self::Enqueueing => &enqueueing::GOALS,
            Self::Recovery => &recovery::GOALS,
            Self::Signups => &signups::GOALS,
            Self::Mails => &mails::GOALS,
            Self::MailServers => &mail_servers::GOALS,
            Self::Proxy => &proxy::GOALS,
            Self::Memory => &memory::GOALS,
            Self::Privacy => &privacy::GOALS,
            Self::Overload => &overload::GOALS,
            Self::Pooler => &pooler::GOALS,
            Self::Failover => &failover::GOALS,
            Self::Growth => &growth::GOALS,
        }
    }

    pub(crate) fn needs_asynq(self) -> bool {
        matches!(self, Self::Latency | Self::Delayed | Self::Processing | Self::Enqueueing | Self::Recovery)
    }

    pub(crate) async fn measure(self, programs: &Programs, round: Round) -> anyhow::Result<Vec<Measured>> {
        match self {
            Self::Latency => latency::measure(&programs.peers, round).await,
            Self::Delayed => delayed::measure(&programs.peers, round).await,
            Self::Processing => processing::measure(&programs.peers, round).await,
            Self::Enqueueing => enqueueing::measure(&programs.peers, round).await,
            Self::Recovery => recovery::measure(&programs.peers, &programs.folder, round).await,
            Self::Signups => signups::measure(&programs.folder).await,
            Self::Mails => mails::measure(&programs.folder, round).await,
            Self::MailServers => mail_servers::measure(&programs.folder, round).await,
            Self::Proxy => proxy::measure(&programs.folder, round).await,
            Self::Memory => memory::measure(&programs.folder).await,
            Self::Privacy => privacy::measure(&programs.folder, round).await,
            Self::Overload => overload::measure(&programs.folder).await,
            Self::Pooler => pooler::measure(&programs.folder, round).await,
            Self::Failover => failover::measure(&programs.folder).await,
            Self::Growth => growth::measure(&programs.folder, round).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let keys: Vec<&str> =
            Work::value_variants().iter().flat_map(|work| work.goals()).map(|goal| goal.key).collect();
        let distinct: BTreeSet<&str> = keys.iter().copied().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
