//! One operator at a time, by a Lease.
//!
//! Takes: a Lease's name and our identity. Gives: [`Leader::acquire`], which returns when the Lease is ours, and
//! [`Leader::hold`], which returns when it no longer surely is, before anybody else can take it. The age of another's
//! Lease is counted on our own monotonic clock from the moment we saw it change, so clocks need not agree (the rules of
//! client-go's `leaderelection`). Every write names the version it replaces, so of two writers one gets a conflict.
//! Does not: end the process; the caller does, because a reconcile under way may be about to write.

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

#[cfg(test)]
mod tests;

/// Times of a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a Lease that is not renewed is respected; whole seconds.
    pub lease: Duration,
    /// How long the holder goes on without a successful renewal; shorter than `lease` by more than one request takes.
    pub renew_within: Duration,
    /// Time between attempts to acquire or renew.
    pub retry: Duration,
}

impl Default for Timing {
    /// client-go's: 15 s, 10 s, 2 s.
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), renew_within: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// A candidate, or the leader.
pub struct Leader {
    leases: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    seen: Option<Seen>,
    /// The moment before the request that made the Lease ours, or renewed it last.
    renewed: Option<Instant>,
}

/// Another's Lease as we saw it, and when.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    version: Option<String>,
    at: Instant,
}

impl Leader {
    /// A candidate for Lease `namespace/name`. `identity` must be unique among all processes, restarts included.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, timing: Timing) -> Self {
        let leases = Api::namespaced(client, namespace);
        Self { leases, name: name.to_owned(), identity: identity.to_owned(), timing, seen: None, renewed: None }
    }

    /// Returns when the Lease is ours. Trouble with the API server is logged and tried again.
    pub async fn acquire(&mut self) {
        loop {
            match timeout(self.timing.renew_within, self.try_acquire()).await {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the Lease could not be acquired"),
                Err(_) => tracing::warn!(lease = self.name, "the API server does not answer"),
            }
            sleep(self.timing.retry).await;
        }
    }

    /// Renews until renewing has failed for too long, or another operator holds the Lease.
    pub async fn hold(&mut self) {
        // Counted from before the request that was answered: others may have seen the Lease change at any time since.
        while let Some(left) = self.renewed.and_then(|renewed| self.left(renewed)) {
            let next = timeout(left, async {
                sleep(self.timing.retry).await;
                self.renew().await
            });
            match next.await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the Lease could not be renewed"),
            }
        }
    }

    /// How long the Lease is surely ours without another renewal.
    fn left(&self, renewed: Instant) -> Option<Duration> {
        self.timing.renew_within.checked_sub(renewed.elapsed()).filter(|left| !left.is_zero())
    }

    /// Gives the Lease up, so that the next leader need not wait.
    pub async fn step_down(&mut self) {
        let given_up = timeout(self.timing.retry, async {
            let mut lease = self.leases.get(&self.name).await?;
            if holder(&lease) == Some(&self.identity) {
                let spec = lease.spec.get_or_insert_default();
                (spec.holder_identity, spec.lease_duration_seconds) = (None, Some(1));
                self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        });
        if !matches!(given_up.await, Ok(Ok(()))) {
            tracing::warn!(lease = self.name, "the Lease could not be given up; it runs out by itself");
        }
    }

    async fn try_acquire(&mut self) -> Result<bool, kube::Error> {
        let lease = self.leases.get_opt(&self.name).await?;
        let ours = |lease: &Lease| holder(lease).is_none_or(|holder| *holder == self.identity);
        if let Some(lease) = lease.as_ref().filter(|lease| !ours(lease))
            && !self.has_expired(lease, Instant::now())
        {
            return Ok(false);
        }
        self.write(lease).await
    }

    async fn renew(&mut self) -> Result<bool, kube::Error> {
        let lease = self.leases.get_opt(&self.name).await?;
        // Deleted by hand: the one that creates it anew leads, and that may be another operator already.
        if lease.as_ref().is_some_and(|lease| holder(lease) != Some(&self.identity)) {
            return Ok(false);
        }
        self.write(lease).await
    }

    /// Takes or extends the Lease. False: another operator was faster.
    async fn write(&mut self, before: Option<Lease>) -> Result<bool, kube::Error> {
        let (is_new, began) = (before.is_none(), Instant::now());
        let (lease, params) = (self.renewal(before), PostParams::default());
        let written = if is_new {
            self.leases.create(&params, &lease).await
        } else {
            self.leases.replace(&self.name, &params, &lease).await
        };
        let won = won(written)?;
        if won {
            self.renewed = Some(began);
        }
        Ok(won)
    }

    /// True when the Lease has not changed for as long as it says it lasts, on our clock: `now` is after `lease` was
    /// answered.
    fn has_expired(&mut self, lease: &Lease, now: Instant) -> bool {
        let version = lease.metadata.resource_version.clone();
        let seen = match &self.seen {
            Some(seen) if seen.version == version => seen.at,
            _ => {
                self.seen = Some(Seen { version, at: now });
                now
            }
        };
        let lasts =
            lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
        now.duration_since(seen) > lasts.map_or(self.timing.lease, Duration::from_secs)
    }

    fn renewal(&self, before: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = before.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() != Some(&self.identity) {
            spec.lease_transitions =
                Some(spec.lease_transitions.map_or(0, |transitions| transitions.saturating_add(1)));
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.timing.lease.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

/// A conflict means that another operator was faster.
fn won(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}
