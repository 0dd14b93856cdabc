//! The operator against a real API server: the resource's rules, children, conditions, live configuration, scaling,
//! leadership.
//!
//! Feature `apiserver-tests`; needs etcd and kube-apiserver (see harness/api_server.rs).

#[path = "../harness/api_server.rs"]
mod api_server;
mod fake_pod;
mod operator_run;
#[path = "../harness/spec_cases.rs"]
mod spec_cases;

mod api_number;
mod assigned_ids;
mod at_rest;
mod check;
mod children;
mod definition;
mod drain;
mod drain_ends;
mod edge;
mod faults;
mod flux;
mod foreign_writes;
mod gitops;
mod held_up;
mod image;
mod late_kinds;
mod leadership;
mod live_config;
mod mistakes;
mod names;
mod networks;
mod others;
mod pod_defaults;
mod pod_template;
mod redis_shared;
mod refused;
mod restart;
mod rules;
mod scaling;
mod security;
mod signal;
mod start;
mod store_secrets;
mod stores;
mod taken_back;
mod trouble;
mod two_operators;
mod two_pipelines;
mod watched_secrets;
mod webhooks;
mod worker_process;
