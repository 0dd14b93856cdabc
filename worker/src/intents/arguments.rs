//! The command line of `worker intents`.
//!
//! Takes: words. Gives: [`Arguments`]. Does not: read the database or the clock.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use signup::State;
use std::{str::FromStr, time::Duration};
use uuid::Uuid;

/// The mails that are owed or over.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Lists intents, the newest signups first
    List {
        /// Which.
        #[command(flatten)]
        selection: Selection,
        /// In which form.
        #[command(flatten)]
        form: Form,
    },
    /// Shows everything known of one intent
    Show {
        /// Its id, which is also that of its task
        id: Uuid,
        /// In which form.
        #[command(flatten)]
        form: Form,
    },
    /// Puts mails back that were refused, given up or cancelled by hand: same id, Message-ID and code, attempts 0,
    /// due at once
    Retry(Change),
    /// Gives up mails that are owed and not being sent
    Cancel(Change),
}

/// A change of several intents.
#[derive(Debug, Args)]
pub struct Change {
    /// Ids of intents; without any, those that the flags choose
    pub ids: Vec<Uuid>,
    /// Which.
    #[command(flatten)]
    pub selection: Selection,
    /// Says what would be changed and changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// In which form.
    #[command(flatten)]
    pub form: Form,
}

/// Which intents; every flag narrows the choice.
#[derive(Debug, Args)]
pub struct Selection {
    /// In one of these states: waiting, dispatched, sending, sent, refused, dead, cancelled
    #[arg(long, value_delimiter = ',', value_name = "STATES")]
    pub state: Vec<State>,
    /// Whose last attempt ended with this class, such as permanent
    #[arg(long)]
    pub class: Option<String>,
    /// Whose user signed up since: a duration such as 2h, or a time such as 2026-05-01T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Since>,
    /// For an address of this domain
    #[arg(long)]
    pub domain: Option<String>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

impl Selection {
    /// True: nothing narrows it but the number.
    pub(crate) fn is_everything(&self) -> bool {
        self.state.is_empty() && self.class.is_none() && self.since.is_none() && self.domain.is_none()
    }
}

/// How it is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Form {
    /// JSON in the place of a table
    #[arg(long)]
    pub json: bool,
    /// Addresses in full, also in replies of mail servers
    #[arg(long)]
    pub show_addresses: bool,
}

/// A moment, or how long it is ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Since {
    /// The moment, for somebody who asks at `now`.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = || {
            text.parse().map(Self::At).map_err(|_| "write a duration such as 2h or a time such as 2026-05-01T12:00:00Z")
        };
        pipeline::duration::parse(text).map(Self::Ago).or_else(|_| at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_a_duration_or_as_a_time() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().expect("a time");
        for (text, expected) in [("2h", "2026-05-01T10:00:00Z"), ("2026-04-30T00:00:00Z", "2026-04-30T00:00:00Z")] {
            let since: Since = text.parse().expect(text);
            assert_eq!(since.before(now).to_string(), expected, "{text}");
        }
        assert!("yesterday".parse::<Since>().is_err());
    }
}
