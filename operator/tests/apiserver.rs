//! The operator against a real API server: the resource's rules, children, conditions, live configuration, scaling, leadership.
//!
//! Feature `apiserver-tests`; needs etcd and kube-apiserver (see harness/api_server.rs).

#[path = "harness/api_server.rs"]
mod api_server;
#[path = "harness/fake_pod.rs"]
mod fake_pod;
#[path = "harness/operator_run.rs"]
mod operator_run;
#[path = "harness/spec_cases.rs"]
mod spec_cases;

#[path = "apiserver/check.rs"]
mod check;
#[path = "apiserver/children.rs"]
mod children;
#[path = "apiserver/definition.rs"]
mod definition;
#[path = "apiserver/image.rs"]
mod image;
#[path = "apiserver/late_kinds.rs"]
mod late_kinds;
#[path = "apiserver/leadership.rs"]
mod leadership;
#[path = "apiserver/live_config.rs"]
mod live_config;
#[path = "apiserver/refused.rs"]
mod refused;
#[path = "apiserver/restart.rs"]
mod restart;
#[path = "apiserver/rules.rs"]
mod rules;
#[path = "apiserver/scaling.rs"]
mod scaling;
#[path = "apiserver/security.rs"]
mod security;
#[path = "apiserver/start.rs"]
mod start;
#[path = "apiserver/stores.rs"]
mod stores;
#[path = "apiserver/taken_back.rs"]
mod taken_back;
#[path = "apiserver/trouble.rs"]
mod trouble;
