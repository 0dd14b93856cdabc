//! What must hold on a real Kubernetes: the image's programs in pods, the operator of the Helm chart, signups through
//! the ingress.
//!
//! Takes: the cluster that `tests/cluster/up.sh` and `deploy.sh` brought up. Each test has a namespace with a database,
//! a Redis index and a mail server of its own; after a load the checker joins what clients were told, what is stored
//! and what arrived. Run: `cargo test -p pipeline-tests --features cluster-tests --test cluster`; `make test-cluster`
//! does it all.

mod api_autoscaled;
mod api_server_stopped;
mod assigned_ids;
mod deletion;
mod harness;
mod leadership;
mod live_config;
mod operator_killed;
mod queue_priorities;
mod rest;
mod retries;
mod rollouts;
mod rotated_secrets;
mod scale;
mod secret_later;
mod secrets_hidden;
mod thread;
