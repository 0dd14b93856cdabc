//! Redis over TLS: everything, the subscriptions included, goes through a connection that trusts the given authority
//! alone.

use crate::harness::{Fixture, settings};
use queue::{Certificates, Client, Connection, Error, Handler, Job, Server, Task, TaskError};
use servers::{Authority, Redis};
use std::time::Duration;
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
