//! Whether anybody takes mail for a domain.
//!
//! Takes: the domain of an address, and the name servers of the system. Gives: `false` where they say that mail cannot
//! be sent there: no such domain, neither MX nor address records (RFC 5321, 5.1), or a null MX (RFC 7505). Does not:
//! keep a signup for longer than [`TIMEOUT`] or in greater number than [`AT_ONCE`], connect to a mail server, or refuse
//! what nobody says: where the name servers do not answer, addresses are taken, and counted.

mod ask;

use ask::ask;
use hickory_resolver::{TokioResolver, config::ResolveHosts, config::ResolverOpts, net::NetError};
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// For all questions about a domain.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Domains that are asked for at once; a signup beyond them is taken without.
const AT_ONCE: usize = 64;

/// How long an answer is kept, whatever its own time says: whoever mends a record is not refused for long.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Answers that are kept. Whoever signs up chooses what is asked for.
const MAX_KEPT: u64 = 1024;

/// Time between two warnings: one domain whose name servers are broken is no trouble of ours.
const WARN_INTERVAL: Duration = Duration::from_secs(600);

/// Asks the name servers.
#[derive(Default)]
pub(crate) struct MxCheck {
    /// Made when it is first asked for, for most processes never ask; tried again where the system names no server.
    resolver: Mutex<Option<TokioResolver>>,
    warned: Mutex<Option<Instant>>,
    running: Running,
}

/// Permits for questions.
struct Running(Semaphore);

impl Default for Running {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl MxCheck {
    /// Whether mail can be sent to the domain, in ASCII; true, too, when nobody knows.
    pub(crate) async fn takes_mail(&self, domain: &str) -> bool {
        let Ok(_permit) = self.running.0.try_acquire() else {
            count("skipped");
            return true;
        };
        let asked = match self.resolver() {
            Ok(resolver) => {
                tokio::time::timeout(TIMEOUT, ask(&resolver, domain)).await.unwrap_or(Err(NetError::Timeout))
            }
            Err(error) => Err(error),
        };
        count(match asked {
            Ok(true) => "takes_mail",
            Ok(false) => "no_mail",
            Err(_) => "failed",
        });
        asked.inspect_err(|error| self.warn(error)).unwrap_or(true)
    }

    /// The name servers of `/etc/resolv.conf`.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut resolver = self.resolver.lock();
        if let Some(made) = &*resolver {
            return Ok(made.clone());
        }
        let mut builder = TokioResolver::builder_tokio()?;
        set(builder.options_mut());
        Ok(resolver.insert(builder.build()?).clone())
    }

    /// The kind of the error alone: its words may hold the domain.
    fn warn(&self, error: &NetError) {
        let mut warned = self.warned.lock();
        if warned.is_some_and(|before| before.elapsed() < WARN_INTERVAL) {
            return;
        }
        *warned = Some(Instant::now());
        let cause = match error {
            NetError::Timeout => "no answer in time",
            NetError::NoConnections | NetError::Io(_) => "no connection to a name server",
            NetError::Dns(_) => "a name server refused or failed",
            _ => "no name server can be asked, or its answer cannot be read",
        };
        tracing::warn!(
            cause,
            "a check of mail servers (signup.emailDomains.requireMX) failed; addresses are taken without it"
        );
    }
}

fn set(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = MAX_KEPT;
    options.positive_max_ttl = Some(MAX_AGE);
    options.negative_max_ttl = Some(MAX_AGE);
}

fn count(result: &'static str) {
    metrics::counter!("signup_mx_checks_total", "result" => result).increment(1);
}

#[cfg(test)]
mod tests;
