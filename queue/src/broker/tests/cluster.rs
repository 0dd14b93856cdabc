//! What one silent node of a cluster leaves of the answers of the others.

use super::with_id;
use crate::{
    Task,
    broker::Broker,
    connection::Connection,
    keys::{self, QueueKeys},
};
use servers::RedisCluster;
use std::time::Duration;

/// The first of many names whose key, as `key` makes it, that node has, or has not.
fn name(cluster: &RedisCluster, node: usize, has: bool, key: impl Fn(&str) -> String) -> String {
    let mut names = (0..).map(|number| format!("n{number}"));
    names.find(|name| (cluster.owner(&key(name)).unwrap() == node) == has).unwrap()
}

#[tokio::test]
async fn tasks_of_other_nodes_are_forwarded_and_no_server_is_left_out_in_silence() {
    let mut cluster = RedisCluster::start(0).unwrap();
    let owners = [keys::SERVERS, keys::QUEUES].map(|key| cluster.owner(key).unwrap());
    let dead = (0..3).find(|node| !owners.contains(node)).unwrap();
    let queue = |has| QueueKeys::new(&name(&cluster, dead, has, |name| QueueKeys::new(name).pending));
    let (living, silent) = (queue(false), queue(true));
    let identities = [false, true].map(|has| name(&cluster, dead, has, keys::server));
    let broker = Broker::new(Connection::open(&cluster.uri(), None).unwrap());
    broker.connection().measure_clock().await.unwrap();
    for identity in &identities {
        broker.write_server(identity, b"", &[], broker.now()).await.unwrap();
    }
    assert_eq!(broker.live_servers().await.unwrap().len(), 2);
    let due = broker.now().plus(Duration::from_secs(1));
    for keys in [&living, &silent] {
        let task = Task { queue: keys.name.clone(), process_at: Some(due.timestamp()), ..with_id("T1") };
        broker.enqueue(&task, broker.now()).await.unwrap();
    }
    cluster.nodes()[dead].kill();
    let done = broker.forward(&[&living, &silent], due).await.unwrap();
    let forwarded: Vec<Option<usize>> = done.iter().map(|done| done.as_ref().ok().map(|done| done.forwarded)).collect();
    assert_eq!(forwarded, [Some(1), Some(0), None, None]);
    assert!(broker.live_servers().await.is_err(), "a server that is alive would not be counted");
}
