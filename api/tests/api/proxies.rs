//! Real proxies before `api`: none of their clients is told 502, whatever connections are kept, by whom, and which of
//! two replicas stops.

use crate::harness::{Setup, TestApi};
use futures::future::join_all;
use servers::{Distance, Haproxy, Nginx, free_port};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// Connections of the load, and how many requests it makes a second over all of them.
const CLIENTS: usize = 30;
const PER_SECOND: f64 = 900.0;
const REQUESTS: usize = 10_000;
/// The replica stops when so many were answered.
const BEFORE_THE_STOP: usize = 4_000;

/// A POST that no proxy repeats; it is refused before PostgreSQL is asked.
async fn post(client: &reqwest::Client, port: u16) -> u16 {
    let request = client.post(format!("http://127.0.0.1:{port}/v1/create_user")).body("{}");
    match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let _ = answer.bytes().await;
            status
        }
        Err(_) => 0,
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn counted(statuses: impl IntoIterator<Item = u16>) -> BTreeMap<u16, usize> {
    statuses.into_iter().fold(BTreeMap::new(), |mut counted, status| {
        *counted.entry(status).or_default() += 1;
        counted
    })
}

/// [`REQUESTS`] through a proxy; one of the two replicas behind it is told to stop amid them.
async fn stop_one_of_two(proxy: impl FnOnce(u16, [u16; 2])) {
    let (stopping, staying) = tokio::join!(TestApi::spawn(), TestApi::spawn());
    let port = free_port().expect("a port");
    proxy(port, [stopping.http.port(), staying.http.port()]);
    let answered = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let clients = (0..CLIENTS).map(|number| {
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            let client = client();
            let mut statuses = Vec::new();
            for request in (number..REQUESTS).step_by(CLIENTS) {
                sleep_until(start + Duration::from_secs_f64(request as f64 / PER_SECOND)).await;
                statuses.push(post(&client, port).await);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            statuses
        })
    });
    let clients: Vec<_> = clients.collect();
    stopping.until("amid the load", async || answered.load(Ordering::Relaxed) >= BEFORE_THE_STOP).await;
    stopping.terminate();
    let statuses = join_all(clients).await.into_iter().flat_map(|client| client.expect("no panic"));
    assert_eq!(counted(statuses), BTreeMap::from([(400, REQUESTS)]));
    stopping.until("stopped", async || !stopping.is_running()).await;
    let [of_stopped, of_other] = [&stopping, &staying].map(|api| api.lines("received a HTTP request").len());
    assert!(of_stopped > BEFORE_THE_STOP / 4 && of_stopped + of_other >= REQUESTS, "{of_stopped} and {of_other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_a_replica_stops_and_no_request_fails() {
    let mut nginx = None;
    stop_one_of_two(|port, replicas| nginx = Some(start_nginx(port, &replicas, "60s"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_haproxy_a_replica_stops_and_no_request_fails() {
    let mut haproxy = None;
    stop_one_of_two(|port, replicas| haproxy = Some(start_haproxy(port, replicas))).await;
}

fn start_nginx(port: u16, replicas: &[u16], keepalive: &str) -> Nginx {
    let servers: String = replicas.iter().map(|replica| format!("server 127.0.0.1:{replica};")).collect();
    let http = format!(
        "upstream api {{ {servers} keepalive 512; keepalive_timeout {keepalive}; }}
         server {{
           listen 127.0.0.1:{port};
           keepalive_requests 100000;
           location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
         }}"
    );
    Nginx::start(port, &http).expect("nginx starts")
}

fn start_haproxy(port: u16, [one, two]: [u16; 2]) -> Haproxy {
    let configuration = format!(
        "global
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  retries 3
  option redispatch 1
frontend clients
  bind 127.0.0.1:{port}
  default_backend api
backend api
  default-server check inter 1s
  server one 127.0.0.1:{one}
  server two 127.0.0.1:{two}
"
    );
    Haproxy::start(port, &configuration).expect("HAProxy starts")
}

/// 300 requests through nginx 2 ms before `api`, each `pause`, give or take 50 ms, after the last one of its client.
async fn with_pauses(setup: Setup, keepalive: &str, pause: Duration) {
    let api = TestApi::spawn_with(setup).await;
    let far = Distance::to(api.http.port(), Duration::from_millis(4)).await.expect("a proxy");
    let port = free_port().expect("a port");
    let _nginx = start_nginx(port, &[far.port()], keepalive);
    let clients = (0..300).map(async |number: u64| {
        let client = client();
        assert_eq!(post(&client, port).await, 400);
        sleep(pause - Duration::from_millis(50) + Duration::from_millis(number / 3)).await;
        post(&client, port).await
    });
    assert_eq!(counted(join_all(clients).await), BTreeMap::from([(400, 300)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_far_away_requests_on_idle_connections_do_not_fail() {
    with_pauses(Setup::new(), "60s", Duration::from_secs(15)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_timeout_just_above_the_proxys_is_enough() {
    let setup = Setup::new().with(|document| document.api.http.idle_timeout = Duration::from_secs(2));
    with_pauses(setup, "1s", Duration::from_secs(1)).await;
}
