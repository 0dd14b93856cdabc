//! A namespace's part of the PostgreSQL and Redis servers beside the cluster.
//!
//! Takes: the URIs that tests/cluster/servers.sh wrote. Gives: an empty database and an unused Redis index, as pods and
//! as this process reach them. Does not: remove them; the next run of the same test empties its database, and
//! `cluster-down` removes all.

use super::cluster::state;
use pipeline_tests::Database;
use std::process::Command;

/// The servers as this machine reaches them.
pub(crate) const HOST: &str = "10.244.0.1";
/// Index of the Redis database that counts which indexes are given away; the servers have 1024.
const REGISTRY: u32 = 1023;

/// One database and one index.
#[derive(Debug)]
pub(crate) struct Stores {
    /// The database, from this process.
    pub(crate) database: Database,
    /// The database's URI for pods.
    pub(crate) database_uri: String,
    /// The Redis index's URI for pods.
    pub(crate) redis_uri: String,
    /// The Redis index.
    pub(crate) redis_index: u32,
}

impl Stores {
    /// An empty database called `name`, and an empty index that no other test has.
    pub(crate) async fn create(name: &str) -> Self {
        let (database, redis) = (uri("database-uri"), uri("redis-uri"));
        let server = Database::new(&from_here(&database)).expect("a valid URI");
        for statement in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
            server.run(&statement).await.expect("PostgreSQL answers");
        }
        let given: u32 = redis_command(REGISTRY, &["INCR", "given"]).parse().expect("a number");
        let redis_index = 1 + given % (REGISTRY - 1);
        redis_command(redis_index, &["FLUSHDB"]);
        let database_uri = at_path(&database, name);
        let database = Database::new(&from_here(&database_uri)).expect("a valid URI");
        Self { database, database_uri, redis_uri: at_path(&redis, &redis_index.to_string()), redis_index }
    }

    /// Runs a command on the namespace's index.
    pub(crate) fn redis(&self, command: &[&str]) -> String {
        redis_command(self.redis_index, command)
    }
}

fn uri(file: &str) -> String {
    let path = state().join("servers").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

/// Pods ask DNS for `postgres.test` and `redis.test`.
fn from_here(uri: &str) -> String {
    uri.replace("postgres.test", HOST).replace("redis.test", HOST)
}

fn at_path(uri: &str, path: &str) -> String {
    let (server, _) = uri.trim().rsplit_once('/').expect("a URI with a path");
    format!("{server}/{path}")
}

/// Runs a command with the client that Redis' package brings; the password is no argument.
pub(crate) fn redis_command(index: u32, command: &[&str]) -> String {
    let uri = from_here(&uri("redis-uri"));
    let (password, server) = uri.trim().trim_start_matches("redis://:").split_once('@').expect("a password");
    let (host, port) = server.split_once('/').and_then(|(server, _)| server.split_once(':')).expect("a port");
    let index = index.to_string();
    let mut client = Command::new("redis-cli");
    client.env("REDISCLI_AUTH", password).args(["-e", "--no-auth-warning", "-h", host, "-p", port, "-n", &index]);
    let output = client.args(command).output().expect("`redis-cli` runs; install it with `make setup`");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
