//! The operator: it knows the `SignupPipeline` resource, and runs one on this machine.
//!
//! Takes: a resource. Gives: the CRD (`operator crd`), and a running pipeline without a cluster (`operator local`).
//! Does not: send mails or touch tasks; `api` and `worker` do.
//!
//! # Layout
//!
//! - [`crd`]: the resource, its schema and rules
//! - [`manifest`]: a file with such a resource, validated
//! - [`build`]: the configuration of `api` and `worker` made from it
//! - [`scaling`]: how many workers there should be
//! - [`local`]: a pipeline on this machine, without a cluster

pub mod build;
pub mod crd;
pub mod local;
pub mod manifest;
pub mod scaling;
