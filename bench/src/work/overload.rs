//! Far more signups than can be hashed: what those that are accepted wait, and what becomes of everything else.
//!
//! The baseline is what `api` does when sixteen clients ask in turn. Then forty times as many are offered (3,000
//! signups a second where two cores hash 75), whatever is answered, and beside them 20 verifications a second. `api`
//! has one core and the load generator the others, so that neither takes from the other what it measures. Does not:
//! count signups of the first two seconds, in which the line grows.

use super::signups::{self, sign_up};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
    requests::Requests,
    statistics::percentile,
    usage,
};
use anyhow::{Context, ensure};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

pub(super) const GOALS: [Goal; 6] = [
    Goal {
        key: "overload_goodput",
        work: "signups accepted of forty times as many as can be hashed, against sixteen clients in turn",
        unit: Unit::PerSecond,
        better: Better::Higher,
        target: Target::TimesBaseline(0.95),
    },
    goal("overload_accepted_p99", "time of an accepted signup amid forty times as many: p99", Target::AtMost(1500.0)),
    goal("overload_refused_p99", "time of a refused signup amid forty times as many: p99", Target::Nothing),
    share("overload_refusing", Better::Lower, "processor time of that core that refusing them takes"),
    share(
        "overload_hashing",
        Better::Higher,
        "processor time of that core that is left for hashing, against sixteen clients in turn",
    ),
    goal("overload_verify_p99", "time of a verification amid forty times as many signups: p99", Target::AtMost(100.0)),
];

const fn goal(key: &'static str, work: &'static str, target: Target) -> Goal {
    Goal { key, work, unit: Unit::Milliseconds, better: Better::Lower, target }
}

/// What explains the goodput: of 100 % that `api` has.
const fn share(key: &'static str, better: Better, work: &'static str) -> Goal {
    Goal { key, work, unit: Unit::Percent, better, target: Target::Nothing }
}

/// Signups offered for each that can be hashed.
const OFFERED: f64 = 40.0;
const TICK: Duration = Duration::from_millis(1);
const VERIFY_INTERVAL: Duration = Duration::from_millis(50);
const WARM_UP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(10);
/// Signups of the baseline.
const BASELINE: usize = 400;

/// One answered signup: when it ended after the start, and what it took.
#[derive(Debug, Clone, Copy)]
struct Answered {
    status: u16,
    end: Duration,
    took: Duration,
}

pub(super) async fn measure(programs: &Path) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: Duration::from_secs(50), concurrency: 16 })?;
    let api = deployment.api().await?;
    let address = api.address("http")?;
    let cores = std::thread::available_parallelism()?.get();
    if cores > 1 {
        usage::keep_on(api.pid()?, "0")?;
        usage::keep_on(std::process::id(), &format!("1-{}", cores - 1))?;
    }
    let measured = offered(address, api.pid()?).await;
    usage::keep_on(std::process::id(), &format!("0-{}", cores - 1))?;
    measured
}

async fn offered(address: SocketAddr, pid: u32) -> anyhow::Result<Vec<Measured>> {
    sign_up(address, 0, BASELINE / 4).await?;
    let unhurried = Work::of(pid)?;
    let took = sign_up(address, 100_000, BASELINE).await?;
    let (unhurried, capacity) = (unhurried.since(pid, took)?, BASELINE as f64 / took.as_secs_f64());
    let verifying = tokio::spawn(verify(address));
    let (flooded, start) = (Work::of(pid)?, Instant::now());
    let answered = flood(address, OFFERED * capacity).await?;
    let flooded = flooded.since(pid, start.elapsed())?;
    let verified = verifying.await??;
    let accepted = |one: &&Answered| one.status == 200;
    let counted = (WARM_UP..WARM_UP + LENGTH, LENGTH.as_secs_f64());
    let goodput =
        answered.iter().filter(accepted).filter(|one| counted.0.contains(&one.end)).count() as f64 / counted.1;
    let times = |is_accepted: bool| -> Vec<f64> {
        let of = answered.iter().filter(|one| (one.status == 200) == is_accepted && one.end >= WARM_UP);
        of.map(|one| one.took.as_secs_f64() * 1000.0).collect()
    };
    let p99 = |times: &[f64]| percentile(times, 0.99).context("nothing was answered");
    let refused = answered.iter().filter(|one| one.status == 503).count();
    eprintln!("bench:   {} signups answered, {refused} of them 503", answered.len());
    Ok(vec![
        Measured::against("overload_goodput", goodput, capacity),
        Measured::alone("overload_accepted_p99", p99(&times(true))?),
        Measured::alone("overload_refused_p99", p99(&times(false))?),
        Measured::alone("overload_refusing", flooded.rest),
        Measured::against("overload_hashing", flooded.hashing, unhurried.hashing),
        Measured::alone("overload_verify_p99", p99(&verified)?),
    ])
}

/// Processor time of `api`: of its hashing threads, and of the rest, which reads requests and answers them.
struct Work {
    hashing: f64,
    rest: f64,
}

impl Work {
    /// Seconds since it started.
    fn of(pid: u32) -> anyhow::Result<Self> {
        let (hashing, rest): (Vec<_>, Vec<_>) =
            usage::threads(pid)?.into_iter().partition(|thread| thread.name == "hashing");
        let seconds =
            |threads: Vec<usage::Thread>| threads.iter().map(|thread| thread.on_processor.as_secs_f64()).sum();
        Ok(Self { hashing: seconds(hashing), rest: seconds(rest) })
    }

    /// Percent of a core during a time that ends now.
    fn since(self, pid: u32, time: Duration) -> anyhow::Result<Self> {
        let (now, of) = (Self::of(pid)?, |seconds: f64| seconds / time.as_secs_f64() * 100.0);
        Ok(Self { hashing: of(now.hashing - self.hashing), rest: of(now.rest - self.rest) })
    }
}

/// Begins `rate` signups a second at their times, on a connection that is free or a new one.
async fn flood(address: SocketAddr, rate: f64) -> anyhow::Result<Vec<Answered>> {
    let idle: Arc<Mutex<Vec<Requests>>> = Arc::default();
    let (mut tick, start) = (tokio::time::interval(TICK), Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut signups, mut begun) = (JoinSet::new(), 0);
    while start.elapsed() < WARM_UP + LENGTH {
        tick.tick().await;
        while (begun as f64) < start.elapsed().as_secs_f64() * rate {
            begun += 1;
            signups.spawn(sign_up_once(address, Arc::clone(&idle), 1_000_000 + begun, start));
        }
    }
    signups.join_all().await.into_iter().collect()
}

async fn sign_up_once(
    address: SocketAddr,
    idle: Arc<Mutex<Vec<Requests>>>,
    number: usize,
    start: Instant,
) -> anyhow::Result<Answered> {
    let begin = Instant::now();
    let free = idle.lock().pop();
    let mut requests = match free {
        Some(requests) => requests,
        None => Requests::open(address).await?,
    };
    let answer = signups::post(&mut requests, number).await?;
    idle.lock().push(requests);
    Ok(Answered { status: answer.status, end: start.elapsed(), took: begin.elapsed() })
}

/// Milliseconds of each of the verifications that run beside the flood; the link is unknown, which PostgreSQL has to
/// say.
async fn verify(address: SocketAddr) -> anyhow::Result<Vec<f64>> {
    let mut requests = Requests::open(address).await?;
    let (mut tick, start, mut times) = (tokio::time::interval(VERIFY_INTERVAL), Instant::now(), Vec::new());
    while start.elapsed() < WARM_UP + LENGTH {
        tick.tick().await;
        let begin = Instant::now();
        let path = format!("/v1/verify_email?email_id=1&secret_code={}", "a".repeat(32));
        let answer = requests.get(&path).await?;
        ensure!(answer.status == 404, "a verification was answered {}", answer.status);
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}
