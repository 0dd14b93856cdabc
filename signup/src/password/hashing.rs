//! Hashing within bounds: the only work of a signup that is measured in milliseconds of a core.
//!
//! Takes: passwords, as many at a time as it has threads (one per core); others wait, as many as begin within a second
//! (see `admission`) and no more than a given number, so neither waits nor memory can grow. The rest is refused with
//! [`HashError::QueueFull`] at once. Gives: PHC strings. Does not: allocate per hash; the
//! 19 MiB argon2 works on are kept and used again, because allocators give such blocks back late or never.
//!
//! The threads are its own (see [`threads`]): each takes the next password itself, so that no core waits between two
//! hashes for the runtime to notice that the first one is done.

mod admission;
mod threads;

use self::{admission::HashTime, threads::Threads};
use super::{
    Password,
    argon::{HashFailure, Memory, fill},
    stored,
};
use argon2::{
    Algorithm, Params, Version,
    password_hash::phc::{ParamsString, PasswordHash, Salt},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// argon2id with m = 19 MiB, t = 2, p = 1: the first choice of OWASP's password storage cheat sheet.
const PARAMS: Params = Params::DEFAULT;

/// Bytes of a salt (RFC 9106, section 3.1).
const SALT_BYTES: usize = 16;

/// A thread without work for this long is small again; a busy process never waits for memory.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Hashes and compares passwords, one per thread, each in memory that its thread keeps until it has been without work
/// for two seconds. Clones share the threads.
#[derive(Clone)]
pub struct Hashing {
    /// For the passwords that are hashed and those that wait.
    permits: Arc<Semaphore>,
    waiting_limit: usize,
    workers: usize,
    time: Arc<HashTime>,
    threads: Threads,
}

/// The right to have one password hashed, now or after those that wait. Dropped unused, it is free again.
pub struct HashPermit {
    permit: OwnedSemaphorePermit,
    time: Arc<HashTime>,
    threads: Threads,
}

/// A password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// As many wait as may wait.
    #[error("too many passwords wait to be hashed")]
    QueueFull {
        /// Until those have begun, as far as hashes have been measured.
        after: Duration,
    },
    /// The machine or the stored hash does not allow it.
    #[error("failed to hash the password")]
    Failed(#[source] HashFailure),
}

impl Hashing {
    /// Runs `workers` hashes at a time (one per core), with at most `waiting_limit` others waiting and none that would
    /// wait for more than a second.
    pub fn new(workers: usize, waiting_limit: usize) -> Self {
        let workers = workers.max(1);
        Self {
            permits: Arc::new(Semaphore::new(workers + waiting_limit)),
            waiting_limit,
            workers,
            time: Arc::default(),
            threads: Threads::start(workers, IDLE_TIMEOUT),
        }
    }

    /// Whether passwords wait because every thread has one: more hashes end within milliseconds.
    pub fn is_saturated(&self) -> bool {
        self.waiting() > 0
    }

    fn waiting(&self) -> usize {
        self.waiting_limit.saturating_sub(self.permits.available_permits())
    }

    /// Takes a permit for one password, for callers that have something to do or to refuse before it is hashed.
    ///
    /// # Errors
    ///
    /// [`HashError::QueueFull`] at once when too many wait.
    pub fn permit(&self) -> Result<HashPermit, HashError> {
        let (waiting, hash) = (self.waiting(), self.time.mean());
        admission::admit(waiting, self.workers, hash).map_err(|after| HashError::QueueFull { after })?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            let after = admission::wait(waiting, self.workers, hash);
            HashError::QueueFull { after }
        })?;
        Ok(HashPermit { permit, time: Arc::clone(&self.time), threads: self.threads.clone() })
    }

    /// Hashes a password, as [`HashPermit::hash`] does.
    ///
    /// # Errors
    ///
    /// [`HashError::QueueFull`] at once when too many wait; [`HashError::Failed`] otherwise.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.permit()?.hash(password).await
    }

    /// Compares a password with a stored hash: argon2id, or bcrypt (`$2a$`, `$2b$`, `$2y$`) from the Go program.
    ///
    /// # Errors
    ///
    /// As [`hash`](Self::hash), also when the stored hash is of another kind or costs too much.
    pub async fn verify(&self, password: Password, stored: &str) -> Result<bool, HashError> {
        self.permit()?.verify(password, stored).await
    }
}

impl HashPermit {
    /// Hashes a password into a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$...`.
    ///
    /// # Errors
    ///
    /// [`HashError::Failed`].
    ///
    /// # Cancel safety
    ///
    /// A hash that started runs to its end and keeps its permit until then; one that waits is left out.
    pub async fn hash(self, password: Password) -> Result<String, HashError> {
        self.run(move |memory| argon2id(&password, memory)).await
    }

    /// Compares a password with a stored hash, as [`Hashing::verify`] does.
    ///
    /// # Errors
    ///
    /// [`HashError::Failed`].
    pub async fn verify(self, password: Password, stored: &str) -> Result<bool, HashError> {
        let stored = stored.to_owned();
        self.run(move |memory| stored::verify(&password, &stored, memory)).await
    }

    /// Hashes a password unless it is common ([`Password::is_common`]): `None`. Both are work of one thread.
    ///
    /// # Errors
    ///
    /// [`HashError::Failed`].
    pub async fn hash_unless_common(self, password: Password) -> Result<Option<String>, HashError> {
        let hash = move |memory: &mut Memory| {
            if password.is_common() { Ok(None) } else { argon2id(&password, memory).map(Some) }
        };
        self.run(hash).await
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Memory) -> Result<T, HashFailure> + Send + 'static,
    ) -> Result<T, HashError> {
        let Self { permit, time, threads } = self;
        let (sender, receiver) = oneshot::channel();
        threads.run(Box::new(move |memory| {
            if sender.is_closed() {
                return;
            }
            let begin = Instant::now();
            let result = work(memory);
            time.record(begin.elapsed());
            drop(permit);
            // The caller may have left meanwhile.
            let _ = sender.send(result);
        }));
        let result = receiver.await.map_err(|_| HashError::Failed(HashFailure::Interrupted))?;
        result.map_err(HashError::Failed)
    }
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("free_permits", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HashPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashPermit").finish_non_exhaustive()
    }
}

fn argon2id(password: &Password, memory: &mut Memory) -> Result<String, HashFailure> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(HashFailure::Salt)?;
    let output = fill(password, &PARAMS, Algorithm::Argon2id, &salt, Params::DEFAULT_OUTPUT_LEN, memory)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&PARAMS).map_err(|_| HashFailure::Unsupported)?,
        salt: Some(Salt::new(&salt).map_err(HashFailure::Format)?),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests;
