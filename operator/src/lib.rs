//! The operator: it knows the `SignupPipeline` resource, and runs one in a cluster or on this machine.
//!
//! Takes: a resource. Gives: the CRD (`operator crd`), a pipeline in Kubernetes (`operator run`) or without a cluster
//! (`operator local`), the objects that it would apply (`operator render`), what is wrong (`operator check`), and how
//! many workers there should be (`operator plan`).
//! Does not: send mails or touch tasks; `api` and `worker` do.
//!
//! # Layout
//!
//! - [`crd`]: the resource, its schema and rules
//! - [`manifest`]: a file with such a resource, validated
//! - [`build`]: the objects made from it, and the configuration of `api` and `worker`
//! - [`scaling`]: how many workers there should be
//! - [`render`]: those objects, printed
//! - [`plan`]: the arithmetic of that number, printed
//! - [`controller`]: keeps them in a cluster as desired
//! - [`leader`], [`run`]: the process in a cluster, one at a time
//! - [`local`]: a pipeline on this machine, without a cluster
//! - [`check`]: what is wrong with a cluster, a pipeline or a file

pub mod build;
pub mod check;
pub mod controller;
pub mod crd;
pub mod leader;
pub mod local;
pub mod manifest;
pub mod plan;
pub mod render;
pub mod run;
pub mod scaling;
