//! Black-box tests of `api`: the real program, with real PostgreSQL and Redis, over its own ports.

mod bad_input;
mod bounds;
mod create_user;
mod database;
mod fleet;
mod grpc;
mod grpc_attacks;
mod grpc_bounds;
mod harness;
mod hidden_accounts;
mod idle;
mod live_configuration;
mod logs;
mod own_schema;
mod proxies;
mod relay;
mod start;
mod sweeper;
mod verification;
