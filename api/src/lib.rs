//! The signup service: HTTP, gRPC, and the relay that hands committed mails to the workers.
//!
//! # The life of a request
//!
//! [`accept`] takes a connection, [`access_log`] times it, [`router`] (or [`grpc`]) finds the call, [`request_body`]
//! and [`protojson`] read it, [`signup`] or [`verification`] does the work on one [`service`], [`error`] says what went
//! wrong. A signup is answered after its commit; [`relay`] then hands the mail to Redis, and [`sweeper`] makes sure of
//! it.
//!
//! # Layout
//!
//! - start: [`config`], [`parts`], [`program`], [`schema`], [`keyring`]
//! - both interfaces: [`accept`], [`access_log`], [`error`], [`service`]
//! - HTTP: [`router`], [`cors`], [`request_body`], [`media_type`], [`fields`], [`protojson`], [`query`], [`link`],
//!   [`page`], [`openapi`]
//! - gRPC: [`grpc`], [`pb`]
//! - the work: [`signup`], [`form`], [`denied_domains`], [`mx_check`], [`breach_check`], [`outward`],
//!   [`idempotency`], [`signup_limit`], [`peer`], [`verification`], [`resend`], [`correction`], [`delivery`]
//! - after the commit: [`relay`], [`sweeper`], [`refusal`]; [`housekeeping`], [`webhooks`]
#![allow(rustdoc::private_intra_doc_links, reason = "the layout is for those who read the source")]

mod accept;
mod access_log;
mod breach_check;
mod config;
mod correction;
mod cors;
mod delivery;
mod delivery_lookups;
mod delivery_waiting;
mod denied_domains;
mod error;
mod fields;
mod form;
mod grpc;
mod grpc_methods;
mod housekeeping;
mod idempotency;
mod keyring;
mod link;
mod media_type;
mod mx_check;
mod nesting;
mod openapi;
mod outward;
mod page;
mod parts;
mod peer;
mod program;
mod protojson;
mod query;
mod redaction;
mod refusal;
mod relay;
mod request_body;
mod resend;
mod router;
mod schema;
mod service;
mod signup;
mod signup_limit;
mod sweeper;
mod verification;
mod webhooks;

/// Messages and server trait generated from `proto/simplebank.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; the documentation is in the proto file")]
mod pb {
    tonic::include_proto!("pb");
}

pub use config::Config;
pub use grpc::ReflectionError;
pub use parts::StartError;
pub use program::run;
