//! Redis over TLS: everything, the subscriptions included, goes through connections that trust the given authority
//! alone; one server, the master that sentinels name, or the nodes of a cluster.

use crate::harness::{Fixture, settings};
use queue::{Certificates, Client, Connection, Error, Handler, Job, QueuePriority, Server, Task, TaskError};
use servers::{Authority, Redis, RedisCluster, RedisSentinel};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

struct Passing(mpsc::UnboundedSender<String>);

impl Handler for Passing {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        let _ = self.0.send(job.task.id);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_flow_over_tls_and_an_unknown_authority_is_refused() {
    // Another test of this process may have installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ours = Authority::make().unwrap();
    let [ca, certificate, key] = [ours.ca(), ours.certificate(), ours.key()].map(|path| path.display().to_string());
    let port = servers::free_port().unwrap();
    let tls_port = port.to_string();
    let port_flags = ["--tls-port", &tls_port, "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let redis = Redis::start_with(&[&port_flags[..], &files].concat()).unwrap();
    let plain = redis.uri(0);
    let uri = plain.replace("redis://", "rediss://").replace(&format!(":{}/", redis.port()), &format!(":{port}/"));

    let connect =
        |authority: &Authority| Connection::open(&uri, Some(&std::fs::read(authority.ca()).unwrap())).unwrap();
    let (_keep, live) = watch::channel(settings());
    let (send, mut ran) = mpsc::unbounded_channel();
    let server = Server::start(connect(&ours), live, Duration::from_secs(5), Passing(send));
    let task = Task::new("mail:send", "{}");
    Client::new(connect(&ours)).enqueue(&task).await.unwrap();
    let id = tokio::time::timeout(crate::harness::DEADLINE, ran.recv()).await.unwrap();
    assert_eq!(id, Some(task.id.clone()));
    Fixture::at(plain).until("acked", async |fixture| fixture.state("default").await.processed == 1).await;
    server.shutdown().await;

    let refused = Client::new(connect(&Authority::make().unwrap())).enqueue(&task).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_certificate_is_shown_the_clients() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ours = Authority::make().unwrap();
    let [ca, certificate, key] = [ours.ca(), ours.certificate(), ours.key()].map(|path| path.display().to_string());
    let tls_port = servers::free_port().unwrap().to_string();
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let redis =
        Redis::start_with(&[&["--tls-port", &tls_port, "--tls-auth-clients", "yes"][..], &files].concat()).unwrap();
    let uri = redis.uri(0).replace("redis://", "rediss://").replace(&redis.port().to_string(), &tls_port);
    let [ca, certificate, key] = [ca, certificate, key].map(|path| std::fs::read(path).unwrap());
    let enqueue = async |client: Option<(&[u8], &[u8])>| {
        let certificates = Certificates { authority: Some(&ca), client };
        let connection = Connection::open_with(&uri, certificates).unwrap();
        Client::new(connection).enqueue(&Task::new("mail:send", "{}")).await
    };
    enqueue(Some((&certificate, &key))).await.unwrap();
    let refused = enqueue(None).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}

/// Runs a task for each queue on servers that speak TLS alone; then `disturb`s them and does it again.
async fn tasks_flow(uri: &str, authority: &Authority, queues: [&str; 3], disturb: impl FnOnce()) {
    let connect = |authority: &Authority| {
        let ca = std::fs::read(authority.ca()).unwrap();
        Connection::open(uri, Some(&ca)).unwrap()
    };
    let mut settings = settings();
    settings.queues = queues.map(|name| QueuePriority { name: name.to_owned(), priority: 1, paused: false }).to_vec();
    let (_keep, live) = watch::channel(settings);
    let (send, mut ran) = mpsc::unbounded_channel();
    let server = Server::start(connect(authority), live, Duration::from_secs(5), Passing(send));
    let client = Client::new(connect(authority));
    let mut disturb = Some(disturb);
    for round in ["before", "after"] {
        for queue in queues {
            let task = Task { queue: queue.to_owned(), id: format!("{round}-{queue}"), ..Task::new("mail:send", "{}") };
            let taken = async || client.enqueue(&task).await.map_err(|error| error.to_string());
            servers::until("the task is taken", crate::harness::DEADLINE, taken).await;
            let id = tokio::time::timeout(crate::harness::DEADLINE, ran.recv()).await.unwrap();
            assert_eq!(id, Some(task.id));
        }
        disturb.take().into_iter().for_each(|disturb| disturb());
    }
    server.shutdown().await;
    let stranger = Client::new(connect(&Authority::make().unwrap())).enqueue(&Task::new("mail:send", "{}")).await;
    assert!(matches!(stranger, Err(Error::Unreachable(_))), "{stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_the_masters_that_they_name_are_spoken_to_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Arc::new(Authority::make().unwrap());
    let mut sentinel = RedisSentinel::start_with_tls(&authority).unwrap();
    let (uri, old) = (sentinel.uri(1), sentinel.master_port().unwrap());
    tasks_flow(&uri, &authority, ["a", "b", "c"], || sentinel.master().unwrap().kill()).await;
    assert_ne!(sentinel.master_port().unwrap(), old, "the tasks of the second round are at the next master");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_a_cluster_are_spoken_to_over_tls_wherever_they_send_one() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Arc::new(Authority::make().unwrap());
    let cluster = RedisCluster::start_with_tls(0, &authority).unwrap();
    let owners = ["a", "b", "c"].map(|queue| cluster.owner(&format!("asynq:{{{queue}}}:pending")).unwrap());
    assert_eq!(owners.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "each on a node of its own");
    // Where the client knew it before, the slot is no more: the old owner sends it on, to a port that speaks TLS.
    let moved = || cluster.begin_move("asynq:{a}:pending").unwrap().end().unwrap();
    tasks_flow(&cluster.uri(), &authority, ["a", "b", "c"], moved).await;
}
