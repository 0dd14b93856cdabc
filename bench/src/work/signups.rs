//! Signups per second through the real `api` and PostgreSQL, against argon2id alone on the same cores.
//!
//! Both use all cores. They alternate in slices of about two seconds within a round. Besides the rates: the processor
//! time of a signup outside the hashing threads (api, PostgreSQL and Redis, the relay's work included) as a share of a
//! hash.

use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    program::Program,
    requests::{Answer, Requests},
    usage,
};
use anyhow::{Context, ensure};
use signup::password::{Hashing, Password};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

pub(super) const GOALS: [Goal; 2] = [
    Goal {
        key: "signups",
        work: "signups over HTTP, against argon2id alone",
        unit: Unit::PerSecond,
        better: Better::Higher,
        target: Target::TimesBaseline(0.97),
    },
    Goal {
        key: "signup_share",
        work: "processor time of a signup besides its hash, in % of a hash",
        unit: Unit::Percent,
        better: Better::Lower,
        target: Target::AtMost(5.0),
    },
];

/// Slices of each kind in a round.
const SLICES: usize = 4;
/// Hashes or signups in a slice: about two seconds on two cores.
const SLICE: usize = 320;
/// Clients at once, and callers of argon2id alone: enough that no core ever waits for one.
const CLIENTS: usize = 16;
/// Late enough that no mail is due, early enough that the relay hands every task to Redis (it hands over what is due
/// within 60 s).
const DELAY: Duration = Duration::from_secs(50);
/// The relay has then handed over what the slice left (it polls three times a second).
const HAND_OVER: Duration = Duration::from_millis(500);

/// Sums over the slices of a round.
#[derive(Debug, Default)]
struct Sums {
    /// Hashes, and as many signups.
    done: usize,
    hashing: Duration,
    hash_processor: Duration,
    signing_up: Duration,
    besides: Besides,
}

/// Processor time that is not hashing.
#[derive(Debug, Default, Clone, Copy)]
struct Besides {
    api: Duration,
    postgresql: Duration,
    redis: Duration,
}

pub(super) async fn measure(programs: &Path) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: DELAY, concurrency: 16 })?;
    let api = deployment.api().await?;
    let address = api.address("http")?;
    let hashing = Hashing::new(cores(), CLIENTS);
    hash(&hashing, CLIENTS).await?;
    sign_up(address, 0, CLIENTS * 4).await?;
    tokio::time::sleep(HAND_OVER).await;
    let mut sums = Sums::default();
    for slice in 1..=SLICES {
        let before = usage::on_processor_in_all(std::process::id())?;
        sums.hashing += hash(&hashing, SLICE).await?;
        sums.hash_processor += usage::on_processor_in_all(std::process::id())?.saturating_sub(before);
        let before = Besides::so_far(&api)?;
        sums.signing_up += sign_up(address, slice * 100_000, SLICE).await?;
        tokio::time::sleep(HAND_OVER).await;
        sums.besides.add(Besides::so_far(&api)?, before);
        sums.done += SLICE;
    }
    let Besides { api, postgresql, redis } = sums.besides;
    let [hash, api, postgresql, redis] = [sums.hash_processor, api, postgresql, redis].map(|sum| sums.each_ms(sum));
    eprintln!(
        "bench:   processor time each: hash {hash:.2} ms; \
         signup besides it: api {api:.3}, PostgreSQL {postgresql:.3}, Redis {redis:.3} ms"
    );
    Ok(vec![
        Measured::against("signups", 1000.0 / sums.each_ms(sums.signing_up), 1000.0 / sums.each_ms(sums.hashing)),
        Measured::alone("signup_share", 100.0 * (api + postgresql + redis) / hash),
    ])
}

impl Sums {
    fn each_ms(&self, total: Duration) -> f64 {
        1000.0 * total.as_secs_f64() / self.done as f64
    }
}

impl Besides {
    /// Processor time so far of api without its hashing threads, which are named so, of PostgreSQL and of Redis.
    fn so_far(api: &Program) -> anyhow::Result<Self> {
        let threads = usage::threads(api.pid()?)?;
        let (hashing, others): (Vec<_>, Vec<_>) = threads.into_iter().partition(|thread| thread.name == "hashing");
        ensure!(hashing.len() == cores(), "the threads of api are named otherwise than expected");
        let api = others.iter().map(|thread| thread.on_processor).sum();
        Ok(Self { api, postgresql: usage::of_postgresql()?, redis: usage::of_redis()? })
    }

    /// Adds what passed between two moments.
    fn add(&mut self, now: Self, before: Self) {
        self.api += now.api.saturating_sub(before.api);
        self.postgresql += now.postgresql.saturating_sub(before.postgresql);
        self.redis += now.redis.saturating_sub(before.redis);
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Hashes `count` passwords, [`CLIENTS`] callers at once.
async fn hash(hashing: &Hashing, count: usize) -> anyhow::Result<Duration> {
    let password = Password::parse("correct horse battery", 6).ok().context("the password is too short")?;
    let start = Instant::now();
    let callers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (hashing, password) = (hashing.clone(), password.clone());
            tokio::spawn(async move {
                for _ in 0..count / CLIENTS {
                    hashing.hash(password.clone()).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(start.elapsed())
}

/// Signs up `count` users, [`CLIENTS`] connections at once; `first` makes their names different from those before.
pub(super) async fn sign_up(address: SocketAddr, first: usize, count: usize) -> anyhow::Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Requests::open(address).await?);
    }
    let start = Instant::now();
    let clients: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(client, requests)| {
            let numbers = (first + client..first + count).step_by(CLIENTS);
            tokio::spawn(sign_up_in_turn(requests, numbers))
        })
        .collect();
    for client in clients {
        client.await??;
    }
    Ok(start.elapsed())
}

/// One signup, of the user with that number.
pub(super) async fn post(requests: &mut Requests, number: usize) -> anyhow::Result<Answer> {
    let who = format!(r#""username":"user_{number}","full_name":"Bench User","email":"user{number}@example.com""#);
    requests.post_json("/v1/create_user", &format!(r#"{{{who},"password":"correct horse battery"}}"#)).await
}

async fn sign_up_in_turn(mut requests: Requests, numbers: impl Iterator<Item = usize>) -> anyhow::Result<()> {
    for number in numbers {
        let answer = post(&mut requests, number).await?;
        ensure!(
            answer.status == 200,
            "a signup was answered {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
    }
    Ok(())
}
