//! Tests on the real cluster: namespaces, pipelines, mail servers and clients of their own.
//!
//! Takes: `target/cluster/state`, where `tests/cluster/up.sh` writes how the cluster is reached. Gives: the parts
//! below. Does not: bring the cluster up, build an image, or look inside the programs.
//!
//! # Layout
//!
//! - `cluster`: the client, and whose turn it is; `wait`: conditions with a deadline
//! - [`Namespace`] in `namespace`, with its `stores` (PostgreSQL, Redis; more `logins`) and its `inbox`
//! - [`Pipeline`] in `pipeline`: applied, edited, waited for; `pods`: its pods from outside; `traffic`: its clients and
//!   the checker
//! - [`Shown`] in `shown`: everything that people can read, searched for secrets
//! - [`Operator`] in `operator`: killed, scaled, and who leads; `audit`: what it wrote; [`Outage`] in `api_server`;
//!   [`Sibling`] in `sibling`: a second namespace to lose

mod api_server;
mod audit;
mod cluster;
mod inbox;
mod logins;
mod namespace;
mod operator;
mod pipeline;
mod pods;
mod shown;
mod sibling;
mod stores;
mod traffic;
mod wait;

pub(crate) use api_server::Outage;
pub(crate) use audit::{Write, writes};
pub(crate) use cluster::{OPERATOR, Turn};
pub(crate) use inbox::Mail;
pub(crate) use logins::smtp_with_login;
pub(crate) use namespace::Namespace;
pub(crate) use operator::{Operator, kill};
pub(crate) use pipeline::{Pipeline, holds};
pub(crate) use shown::Shown;
pub(crate) use sibling::Sibling;
pub(crate) use traffic::{acknowledged, assert_all_acknowledged, request};
pub(crate) use wait::{PATIENCE, until};
