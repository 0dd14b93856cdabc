//! What needs no server: the definition, the samples and their children, the pages of docs/, decisions, and `operator
//! check` as a program.
//!
//! `UPDATE_GOLDEN=1 cargo test -p operator --test offline` writes what is generated (see `golden`).

mod admin_port;
mod check;
mod children;
mod crd;
mod docs;
mod golden;
mod plan;
mod pod;
mod samples;
mod scaling;
mod scaling_properties;
#[path = "../harness/spec_cases.rs"]
mod spec_cases;
