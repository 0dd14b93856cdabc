//! A whole pipeline for tests: the real programs on real servers, and a checker that finds what was lost, invented or
//! doubled.
//!
//! Takes: [`Options`]. Gives: a [`Pipeline`] with `api` and `worker` as child processes, PostgreSQL and Redis of its
//! own, and an [`inbox::Inbox`] as mail server in this process; verbs to sign up, kill, stop and edit;
//! [`Pipeline::check`]. For pipelines that run elsewhere (tests/cluster): [`Signups`], [`Database`], [`check()`] and
//! [`canary`] alone. Does not: reach into the programs. Faults come from outside: signals, locks, outages, rules of the
//! mail server.
//!
//! # Layout
//!
//! - `pipeline`: [`Pipeline`] and its start, `verbs`: what tests do with it; `options`; `files`: what the programs read
//! - `place`: where it all listens
//! - `program`: one child process
//! - `signups`: clients that sign up, and what they were told
//! - `database`: what is stored; `gate`: statements held at a chosen point; `slow_commit`
//! - `mails`: what the mail server wrote down
//! - `until`: waiting; `check`: joins the three; `report`: what it found; `canary`: secrets in logs and metrics

pub mod canary;
mod check;
mod database;
mod files;
mod gate;
mod mails;
mod options;
mod pipeline;
mod place;
mod program;
mod report;
mod signups;
mod slow_commit;
mod until;
mod verbs;

pub use self::pipeline::Pipeline;
pub use check::check;
pub use database::{Database, Intent, Row};
pub use gate::{Gate, Point};
pub use mails::Line;
pub use options::Options;
pub use program::Program;
pub use report::{Duplicate, Report};
pub use signups::{Attempt, Load, Outcome, Signups};
pub use until::{PATIENCE, until};
