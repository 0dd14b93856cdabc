//! A Redis Cluster of three masters, on request with a replica each, and over TLS.
//!
//! Takes: `redis-server` and `redis-cli` on `PATH`. Gives: a cluster whose slots can be moved and whose masters can be
//! killed. Does not: have databases: tests that share one would meet.

use crate::{
    authority::Authority,
    port::free_pair,
    process::{ServerError, random_hex, run},
    redis::{Access, Redis},
};
use std::sync::Arc;

const MASTERS: usize = 3;
/// Nodes speak with each other at a port so far above that of clients.
const BUS_DISTANCE: u16 = 10_000;

/// The nodes; dropped, all of them end.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters, and `replicas` of each; blocks until they agree (about 2 s).
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start(replicas: usize) -> Result<Self, ServerError> {
        Self::start_as(replicas, None)
    }

    /// The same, whose nodes speak TLS alone, with clients and with each other, with the certificate of `authority`.
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start_with_tls(replicas: usize, authority: &Arc<Authority>) -> Result<Self, ServerError> {
        Self::start_as(replicas, Some(Arc::clone(authority)))
    }

    fn start_as(replicas: usize, authority: Option<Arc<Authority>>) -> Result<Self, ServerError> {
        let any = Access { port: 0, password: random_hex()?, authority };
        let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
        for _ in 0..MASTERS * (1 + replicas) {
            let flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            // A node that dies stops its own slots alone.
            let flags = [&flags[..], &["--cluster-require-full-coverage", "no"]].concat();
            let node = Redis::start_as(Access { port: free_pair(BUS_DISTANCE)?, ..any.clone() }, &flags)?;
            addresses.push(format!("127.0.0.1:{}", node.port()));
            nodes.push(node);
        }
        let mut create = any.client();
        create.args(["--cluster", "create"]).args(addresses);
        create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        run("redis-cli", &mut create)?;
        let (count, mut cluster) = (nodes.len(), Self { nodes });
        for node in &mut cluster.nodes {
            node.until(|access| is_whole(access, count))?;
        }
        Ok(cluster)
    }

    /// URI that names all nodes.
    pub fn uri(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        let access = self.nodes[0].access();
        format!("{}+cluster://default:{}@{}", access.scheme(), access.password, hosts.join(","))
    }

    /// The nodes, in the order of their start: the masters first.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// The index of the master that has the slot of `key`.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when no node answers.
    pub fn owner(&self, key: &str) -> Result<usize, ServerError> {
        let is_there = |node: &Redis| node.command(&["EXISTS", key]).is_ok();
        let at = self.nodes[..MASTERS].iter().position(is_there);
        at.ok_or_else(|| ServerError::Failed { program: "redis-cli", output: "no master has the slot".to_owned() })
    }

    /// Begins to move the slot of `key` from its owner to another master, as `redis-cli --cluster reshard` does; gives
    /// both. From now on the owner sends those who ask for absent keys to the other.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when a node refuses.
    pub fn begin_move(&self, key: &str) -> Result<Move<'_>, ServerError> {
        let at = self.owner(key)?;
        let (from, to) = (&self.nodes[at], &self.nodes[(at + 1) % MASTERS]);
        let slot = from.command(&["CLUSTER", "KEYSLOT", key])?.trim().to_owned();
        let id = |node: &Redis| Ok::<_, ServerError>(node.command(&["CLUSTER", "MYID"])?.trim().to_owned());
        let (from_id, to_id) = (id(from)?, id(to)?);
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])?;
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])?;
        Ok(Move { from, to, to_id, slot })
    }
}

/// A slot on its way.
#[derive(Debug)]
pub struct Move<'a> {
    from: &'a Redis,
    to: &'a Redis,
    to_id: String,
    slot: String,
}

impl Move<'_> {
    /// Moves the keys that are there, and the slot.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when a node refuses.
    pub fn end(self) -> Result<(), ServerError> {
        loop {
            let keys = self.from.command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"])?;
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            let port = self.to.port().to_string();
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "AUTH", &self.to.access().password, "KEYS"];
            self.from.command(&[&migrate[..], &keys].concat())?;
        }
        for node in [self.to, self.from] {
            node.command(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.to_id])?;
        }
        Ok(())
    }
}

fn is_whole(node: &Access, nodes: usize) -> bool {
    let info = node.command(&["CLUSTER", "INFO"]).unwrap_or_default();
    info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{nodes}\r"))
}
