//! The operator against a real API server: children, conditions, live configuration, scaling, leadership.
//!
//! Feature `apiserver-tests`; needs etcd and kube-apiserver (see harness/api_server.rs).

#[path = "harness/api_server.rs"]
mod api_server;
#[path = "harness/operator_run.rs"]
mod operator_run;

#[path = "apiserver/children.rs"]
mod children;
#[path = "apiserver/leadership.rs"]
mod leadership;
#[path = "apiserver/live_config.rs"]
mod live_config;
#[path = "apiserver/scaling.rs"]
mod scaling;
#[path = "apiserver/trouble.rs"]
mod trouble;
