//! Waiting for processes.
//!
//! Takes: a process, or admin addresses. Gives: it listens, it is ready, it runs a certain configuration; or why not.
//! Does not: wait for a process that has ended.

use super::{
    LocalError,
    child::{Child, Listening},
    screen::say,
};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Time between polls of processes and their logs.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// After this time a process that is not ready is worth a line.
const SLOW_START: Duration = Duration::from_secs(2);

/// How long a process may take to answer on its admin port.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Processes poll their files every quarter of a second; long after that something is wrong.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Body of `GET /config` on an admin port.
#[derive(Debug, Deserialize)]
struct Config {
    hash: String,
    #[serde(default)]
    refused: Option<String>,
}

/// Waits until a process says where it listens.
pub(super) async fn listening(child: &mut Child) -> Result<Listening, LocalError> {
    loop {
        if let Some(status) = child.ended() {
            return Err(LocalError::Ended { name: child.name().into(), status, tail: child.tail() });
        }
        child.poll(Instant::now()).iter().for_each(|line| say(line));
        if let Some(addresses) = child.listening() {
            return Ok(addresses);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits until a process can do its job and runs the configuration `hash`; says what is missing when that changes.
pub(super) async fn ready(child: &mut Child, client: &reqwest::Client, hash: &str) -> Result<(), LocalError> {
    let (mut said, start) = (String::new(), Instant::now());
    loop {
        let admin = listening(child).await?.admin;
        match missing(client, admin, hash).await {
            None => return Ok(()),
            Some(missing) if start.elapsed() > SLOW_START && missing != said => {
                say(&format!("waiting for {}: {missing}", child.name()));
                said = missing;
            }
            Some(_) => {}
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// What a process still lacks.
async fn missing(client: &reqwest::Client, admin: Option<SocketAddr>, hash: &str) -> Option<String> {
    let admin = admin?;
    let readiness = client.get(format!("http://{admin}/readyz")).timeout(ANSWER_TIMEOUT).send().await;
    match readiness {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => return Some(answer.text().await.unwrap_or_default().trim().to_owned()),
        Err(_) => return Some("it does not answer on its admin port".into()),
    }
    not_applied(client, admin, hash).await
}

/// Why a process does not run the configuration `hash`.
async fn not_applied(client: &reqwest::Client, admin: SocketAddr, hash: &str) -> Option<String> {
    let asked = client.get(format!("http://{admin}/config")).timeout(ANSWER_TIMEOUT).send().await;
    let answer = match asked {
        Ok(answer) => answer.json::<Config>().await.ok(),
        Err(_) => None,
    };
    match answer {
        Some(config) if config.hash == hash => None,
        Some(Config { refused: Some(refused), .. }) => Some(refused),
        Some(_) => Some("it has not taken up the configuration yet".into()),
        None => Some("it does not tell its configuration".into()),
    }
}

/// Waits until all processes run the configuration `hash`, and says so; or which one does not.
pub(super) async fn announce(
    client: reqwest::Client,
    processes: Vec<(String, SocketAddr)>,
    hash: String,
    differences: String,
) {
    let start = Instant::now();
    for (name, admin) in &processes {
        while let Some(reason) = not_applied(&client, *admin, &hash).await {
            if start.elapsed() > APPLY_TIMEOUT {
                say(&format!("{differences}: not applied by {name}: {reason}"));
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
    say(&format!("applied: {differences}"));
}
