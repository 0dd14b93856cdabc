//! 100 connections of 128 streams whose windows are closed, and somebody else's calls meanwhile.
//!
//! Gives: the most memory that `api` had resident, and the 99th percentile of health checks before and during it. A
//! check that fails counts as one of a minute. Does not: let go: connections that the server ends are opened again.

use crate::{deployment::Deployment, statistics::percentile, usage::resident_mib};
use anyhow::Context;
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet};

const CONNECTIONS: usize = 100;
const STREAMS: usize = 128;
/// Somebody else's calls, one at a time, and the pause after each.
const CALLS: usize = 300;
const PAUSE: Duration = Duration::from_millis(10);
const FAILED: f64 = 60_000.0;
/// Before a connection that was ended is opened again.
const AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Held {
    pub(super) most_mib: f64,
    pub(super) p99_ms: f64,
    pub(super) p99_before_ms: f64,
}

pub(super) async fn measure(deployment: &Deployment) -> anyhow::Result<Held> {
    let api = deployment.api().await?;
    let (address, pid) = (api.address("grpc")?, api.pid()?);
    let mut other = open(address, None).await?;
    let (p99_before_ms, _) = calls(&mut other, pid).await?;
    let mut attack = JoinSet::new();
    for _ in 0..CONNECTIONS {
        attack.spawn(hold(address));
    }
    let (p99_ms, most_mib) = calls(&mut other, pid).await?;
    attack.abort_all();
    Ok(Held { most_mib, p99_ms, p99_before_ms })
}

async fn open(address: SocketAddr, window: Option<u32>) -> anyhow::Result<SendRequest<Bytes>> {
    let mut builder = Builder::new();
    if let Some(window) = window {
        builder.initial_window_size(window);
    }
    let (requests, connection) = builder.handshake(TcpStream::connect(address).await?).await?;
    tokio::spawn(connection);
    Ok(requests)
}

async fn check(requests: &SendRequest<Bytes>) -> anyhow::Result<h2::client::ResponseFuture> {
    let mut ready = requests.clone().ready().await?;
    let request = hyper::Request::post("http://api/grpc.health.v1.Health/Check");
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(())?;
    let (answer, mut message) = ready.send_request(request, false)?;
    message.send_data(Bytes::from_static(&[0; 5]), true)?;
    Ok(answer)
}

async fn hold(address: SocketAddr) {
    loop {
        if let Ok(requests) = open(address, Some(0)).await {
            let mut held = Vec::new();
            while held.len() < STREAMS {
                let Ok(answer) = check(&requests).await else { break };
                held.push(answer);
            }
            // Ends when the server ends the connection.
            while requests.clone().ready().await.is_ok() {
                tokio::time::sleep(AGAIN).await;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The 99th percentile in milliseconds, and the most memory meanwhile.
async fn calls(requests: &mut SendRequest<Bytes>, pid: u32) -> anyhow::Result<(f64, f64)> {
    let (mut times, mut most) = (Vec::new(), 0.0_f64);
    for _ in 0..CALLS {
        let start = Instant::now();
        let answered = async {
            let mut answer = check(requests).await?.await?;
            while answer.body_mut().data().await.transpose()?.is_some() {}
            anyhow::Ok(answer.status() == 200)
        };
        let answered = answered.await.unwrap_or(false);
        times.push(if answered { 1000.0 * start.elapsed().as_secs_f64() } else { FAILED });
        most = most.max(resident_mib(pid)?);
        tokio::time::sleep(PAUSE).await;
    }
    Ok((percentile(&times, 0.99).context("no calls")?, most))
}
