//! Black-box tests of `api`: the real program, with real PostgreSQL and Redis, over its own ports.

mod addresses;
mod bad_input;
mod bounds;
mod browsers;
mod create_user;
mod database;
mod fleet;
mod grpc;
mod grpc_attacks;
mod grpc_bounds;
mod harness;
mod hidden_accounts;
mod idle;
mod limits;
mod live_configuration;
mod logs;
mod media_types;
mod own_schema;
mod proxies;
mod relay;
mod start;
mod sweeper;
mod verification;
