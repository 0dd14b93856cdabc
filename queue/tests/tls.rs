//! Redis over TLS: everything, the subscriptions included, goes through a connection that trusts the given authority alone.

#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod harness;

use std::time::Duration;

use harness::{Bench, settings};
use queue::{Client, Connection, Error, Handler, Job, Server, Task, TaskError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use servers::Redis;
use tokio::sync::{mpsc, watch};

/// An authority and what it signed for 127.0.0.1, as PEM.
struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

fn certificates() -> Certificates {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let signed = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &Issuer::from_params(&authority, &authority_key)).unwrap();
    Certificates { authority: signed.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

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
    let (ours, folder) = (certificates(), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (authority, certificate, key) =
        (file("ca", &ours.authority), file("crt", &ours.certificate), file("key", &ours.key));
    let port = servers::free_port().unwrap();
    let tls_port = port.to_string();
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &authority];
    let redis =
        Redis::start_with(&[&["--tls-port", &*tls_port, "--tls-auth-clients", "no"], &files[..]].concat()).unwrap();
    let plain = redis.uri(0);
    let uri = plain.replace("redis://", "rediss://").replace(&format!(":{}/", redis.port()), &format!(":{port}/"));

    let connect = |pem: &str| Connection::open(&uri, Some(pem.as_bytes())).unwrap();
    let (_keep, live) = watch::channel(settings());
    let (send, mut ran) = mpsc::unbounded_channel();
    let server = Server::start(connect(&ours.authority), live, Duration::from_secs(5), Passing(send));
    let task = Task::new("greet", "{}");
    Client::new(connect(&ours.authority)).enqueue(&task).await.unwrap();
    let id = tokio::time::timeout(harness::DEADLINE, ran.recv()).await.unwrap();
    assert_eq!(id, Some(task.id.clone()));
    Bench::at(plain).until("acked", async |bench| bench.state("default").await.processed == 1).await;
    server.shutdown().await;

    let refused = Client::new(connect(&certificates().authority)).enqueue(&task).await;
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
}
