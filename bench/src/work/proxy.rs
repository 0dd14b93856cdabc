//! `api` behind nginx and HAProxy, and under clients that hold its streams.
//!
//! Requests per second through nginx, against the same requests straight to `api`; requests of 10,000 that fail while
//! one of two replicas stops; requests that fail after 15 s of idleness with a proxy 2 ms away; memory, and the 99th
//! percentile of somebody else's calls, while 100 connections hold 128 streams each, against the same calls before.
//! Requests are refused before PostgreSQL is asked, for it is not what is measured.

mod held;
mod load;

use super::Round;
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    program::Program,
};
use anyhow::Context;
use load::Load;
use servers::{Distance, Haproxy, Nginx, free_port};
use std::{path::Path, time::Duration};

const fn failures(key: &'static str, work: &'static str) -> Goal {
    Goal { key, work, unit: Unit::Count, better: Better::Lower, target: Target::AtMost(0.0) }
}

pub(super) const GOALS: [Goal; 6] = [
    Goal {
        key: "proxy_rate",
        work: "requests through nginx, against the same straight to api",
        unit: Unit::PerSecond,
        better: Better::Higher,
        target: Target::Nothing,
    },
    failures("proxy_stop_nginx", "requests of 10,000 through nginx that failed while one of two replicas stopped"),
    failures("proxy_stop_haproxy", "requests of 10,000 through HAProxy that failed while one of two replicas stopped"),
    failures("proxy_idle", "requests of 300 through nginx that failed 15 s after the last ones"),
    Goal {
        key: "held_memory",
        work: "resident memory of api while 12,800 streams are held",
        unit: Unit::Mebibytes,
        better: Better::Lower,
        target: Target::AtMost(64.0),
    },
    Goal {
        key: "held_p99",
        work: "p99 of somebody else's calls meanwhile, against before",
        unit: Unit::Milliseconds,
        better: Better::Lower,
        target: Target::AtMost(100.0),
    },
];

/// Connections of the load.
const CLIENTS: usize = 30;
/// Requests of a rate.
const RATE_REQUESTS: usize = 20_000;
/// Requests while a replica stops, how many a second, and after how many it does.
const STOP: (usize, f64, usize) = (10_000, 900.0, 4_000);
/// Requests after a pause.
const IDLE_REQUESTS: usize = 300;
const IDLE: Duration = Duration::from_secs(15);
/// There and back between nginx and `api`.
const ROUND_TRIP: Duration = Duration::from_millis(4);

pub(super) async fn measure(programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(60), concurrency: 16 })?;
    let api = deployment.api().await?;
    let mut measured = vec![rate(&api, round).await?];
    for (key, proxy) in [("proxy_stop_nginx", Proxy::Nginx), ("proxy_stop_haproxy", Proxy::Haproxy)] {
        measured.push(Measured::alone(key, stop(&deployment, &api, proxy).await?));
    }
    measured.push(Measured::alone("proxy_idle", idle(&api).await?));
    let held = held::measure(&deployment).await?;
    measured.push(Measured::alone("held_memory", held.most_mib));
    measured.push(Measured::against("held_p99", held.p99_ms, held.p99_before_ms));
    Ok(measured)
}

/// A proxy that runs until it is dropped.
#[derive(Debug, Clone, Copy)]
enum Proxy {
    Nginx,
    Haproxy,
}

/// Only kept until it is dropped.
#[derive(Debug)]
struct Running {
    port: u16,
    _nginx: Option<Nginx>,
    _haproxy: Option<Haproxy>,
}

impl Proxy {
    fn start(self, replicas: &[u16]) -> anyhow::Result<Running> {
        let port = free_port()?;
        let (nginx, haproxy) = match self {
            Self::Nginx => (Some(Nginx::start(port, &nginx(port, replicas))?), None),
            Self::Haproxy => (None, Some(Haproxy::start(port, &haproxy(port, replicas))?)),
        };
        Ok(Running { port, _nginx: nginx, _haproxy: haproxy })
    }
}

/// The lines of docs/deploying.md.
fn nginx(port: u16, replicas: &[u16]) -> String {
    let servers: String = replicas.iter().map(|replica| format!("server 127.0.0.1:{replica};")).collect();
    format!(
        "upstream api {{ {servers} keepalive 512; }}
         server {{
           listen 127.0.0.1:{port};
           keepalive_requests 1000000;
           location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
         }}"
    )
}

fn haproxy(port: u16, replicas: &[u16]) -> String {
    let server = |replica: &u16| format!("  server api{replica} 127.0.0.1:{replica}\n");
    let servers: String = replicas.iter().map(server).collect();
    format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  retries 3\n  \
         option redispatch 1\nfrontend clients\n  bind 127.0.0.1:{port}\n  default_backend api\nbackend api\n  \
         default-server check inter 1s\n{servers}"
    )
}

async fn rate(api: &Program, round: Round) -> anyhow::Result<Measured> {
    let direct = api.address("http")?.port();
    let nginx = Proxy::Nginx.start(&[direct])?;
    let order = if round.baseline_first() { [direct, nginx.port] } else { [nginx.port, direct] };
    let mut rates = Vec::new();
    for port in order {
        let load = Load { port, clients: CLIENTS, requests: RATE_REQUESTS, per_second: None };
        let done = load.run().await?;
        anyhow::ensure!(done.failures == 0, "{} requests to port {port} failed", done.failures);
        rates.push(RATE_REQUESTS as f64 / done.took.as_secs_f64());
    }
    let [first, second] = rates[..] else { anyhow::bail!("two rates were measured") };
    let (through, straight) = if round.baseline_first() { (second, first) } else { (first, second) };
    Ok(Measured::against("proxy_rate", through, straight))
}

async fn stop(deployment: &Deployment, staying: &Program, proxy: Proxy) -> anyhow::Result<f64> {
    let stopping = deployment.api().await?;
    let replicas = [stopping.address("http")?.port(), staying.address("http")?.port()];
    let proxy = proxy.start(&replicas)?;
    let (requests, per_second, before) = STOP;
    let load = Load { port: proxy.port, clients: CLIENTS, requests, per_second: Some(per_second) };
    let running = tokio::spawn(async move { load.run().await });
    tokio::time::sleep(Duration::from_secs_f64(before as f64 / per_second)).await;
    // Dropped, a program is told to end and waited for, which must not stop the load.
    tokio::task::spawn_blocking(move || drop(stopping)).await?;
    Ok(running.await??.failures as f64)
}

async fn idle(api: &Program) -> anyhow::Result<f64> {
    let far = Distance::to(api.address("http")?.port(), ROUND_TRIP).await?;
    let nginx = Proxy::Nginx.start(&[far.port()])?;
    let mut connections = Vec::new();
    for _ in 0..IDLE_REQUESTS {
        connections.push(crate::requests::Requests::open(([127, 0, 0, 1], nginx.port).into()).await?);
    }
    let requests = connections.into_iter().enumerate().map(|(number, mut connection)| {
        tokio::spawn(async move {
            load::post(&mut connection).await.context("failed before the pause")?;
            let spread = Duration::from_micros(100_000 * number as u64 / IDLE_REQUESTS as u64);
            tokio::time::sleep(IDLE - Duration::from_millis(50) + spread).await;
            anyhow::Ok(load::post(&mut connection).await.is_err())
        })
    });
    let mut failures = 0;
    for request in requests.collect::<Vec<_>>() {
        failures += u32::from(request.await??);
    }
    Ok(f64::from(failures))
}
