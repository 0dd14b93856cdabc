//! A bounded place for hashing: the only work of a signup that is measured in milliseconds of a core.
//!
//! Takes: passwords, as many at a time as it has permits (one per core); a bounded number wait, the rest is told
//! [`HashError::Busy`] at once, so memory cannot grow. Gives: PHC strings. Does not: allocate per hash; the 19 MiB argon2
//! works on are kept and used again, because allocators give such blocks back late or never.

use super::{Password, stored};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// argon2id with m = 19 MiB, t = 2, p = 1: the first choice of OWASP's password storage cheat sheet.
const PARAMS: Params = Params::DEFAULT;

/// Bytes of a salt (RFC 9106, section 3.1).
const SALT_BYTES: usize = 16;

/// The memory of one hash.
type Memory = Vec<Block>;

/// Hashes and compares passwords, one per permit. Clones share the permits and the memory.
#[derive(Clone)]
pub struct Hashing {
    /// Permits to be here at all: running and waiting.
    places: Arc<Semaphore>,
    /// Permits to run.
    running: Arc<Semaphore>,
    memory: Arc<Mutex<Kept>>,
}

/// Memory of hashes that ended, for the next ones.
#[derive(Default)]
struct Kept {
    free: Vec<Memory>,
    /// Whether a hash ended since [`Hashing::release_unused`] looked last.
    used: bool,
}

/// A password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// As many wait as may wait; come back in a second.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The machine or the stored hash does not allow it.
    #[error("failed to hash the password")]
    Failed(#[source] HashFailure),
}

/// What went wrong in a hash.
#[derive(Debug, thiserror::Error)]
pub enum HashFailure {
    /// The operating system gives no random bytes.
    #[error("failed to make a salt")]
    Salt(#[source] getrandom::Error),
    /// argon2 refuses.
    #[error("failed to run argon2")]
    Argon2(#[source] argon2::Error),
    /// The result cannot be written as text, or a stored text is no hash of a known kind.
    #[error("failed to read or write a password hash")]
    Format(#[source] argon2::password_hash::phc::Error),
    /// bcrypt refuses the stored hash.
    #[error("failed to run bcrypt")]
    Bcrypt(#[source] bcrypt::BcryptError),
    /// The stored hash asks for more than this service is willing to spend, or is of an unknown kind.
    #[error("the stored password hash is of an unknown kind or costs too much to verify")]
    Unsupported,
    /// The thread that hashed was stopped.
    #[error("the hashing thread ended early")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl Hashing {
    /// Makes a place for `workers` hashes at a time (one per core) with at most `waiting_limit` others waiting.
    pub fn new(workers: usize, waiting_limit: usize) -> Self {
        let workers = workers.max(1);
        Self {
            places: Arc::new(Semaphore::new(workers + waiting_limit)),
            running: Arc::new(Semaphore::new(workers)),
            memory: Arc::default(),
        }
    }

    /// Hashes a password into a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$...`.
    ///
    /// # Errors
    ///
    /// [`HashError::Busy`] at once when too many wait; [`HashError::Failed`] otherwise.
    ///
    /// # Cancel safety
    ///
    /// A hash that started runs to its end and keeps its permit until then.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.run(move |memory| argon2id(&password, memory)).await
    }

    /// Compares a password with a stored hash: argon2id, or bcrypt (`$2a$`, `$2b$`, `$2y$`) from the Go program.
    ///
    /// # Errors
    ///
    /// As [`hash`](Self::hash), also when the stored hash is of another kind or costs too much.
    pub async fn verify(&self, password: Password, stored: &str) -> Result<bool, HashError> {
        let stored = stored.to_owned();
        self.run(move |memory| stored::verify(&password, &stored, memory)).await
    }

    /// Gives the kept memory back to the system, unless a hash ended since the last call: call it now and then, and a
    /// process at rest is small while a busy one never waits for memory.
    pub fn release_unused(&self) {
        let mut kept = kept(&self.memory);
        if !std::mem::take(&mut kept.used) {
            kept.free = Vec::new();
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, HashFailure> + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| HashError::Busy)?;
        let shared = Arc::clone(&self.memory);
        let task = tokio::task::spawn_blocking(move || {
            let mut memory = kept(&shared).free.pop().unwrap_or_default();
            let result = work(&mut memory);
            let mut kept = kept(&shared);
            kept.free.push(memory);
            kept.used = true;
            drop(kept);
            drop((permit, place));
            result
        });
        let result = task.await.map_err(|error| HashError::Failed(HashFailure::Interrupted(error)))?;
        result.map_err(HashError::Failed)
    }
}

/// No code panics while it holds the lock.
fn kept(memory: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("free", &self.running.available_permits()).finish_non_exhaustive()
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

/// Runs argon2 in memory that is kept; it grows to the largest hash ever asked for.
pub(super) fn fill(
    password: &Password,
    params: &Params,
    algorithm: Algorithm,
    salt: &[u8],
    output_length: usize,
    memory: &mut Memory,
) -> Result<Output, HashFailure> {
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    let mut output = vec![0; output_length];
    Argon2::new(algorithm, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password.bytes(), salt, &mut output, &mut memory[..params.block_count()])
        .map_err(HashFailure::Argon2)?;
    Output::new(&output).map_err(HashFailure::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text, 6).expect("a valid test password")
    }

    #[tokio::test]
    async fn a_hash_names_the_parameters_and_verifies() {
        let hashing = Hashing::new(1, 4);
        let hash = hashing.hash(password("secret")).await.expect("hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hashing.verify(password("secret"), &hash).await.expect("verify"));
        assert!(!hashing.verify(password("secreT"), &hash).await.expect("verify"));
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ_and_use_the_same_memory() {
        let hashing = Hashing::new(1, 4);
        let first = hashing.hash(password("secret")).await.expect("hash");
        let second = hashing.hash(password("secret")).await.expect("hash");
        assert_ne!(first, second);
        assert_eq!(sizes(&hashing), [PARAMS.block_count()]);
    }

    #[tokio::test]
    async fn memory_is_given_back_once_nobody_used_it_between_two_calls() {
        let hashing = Hashing::new(1, 4);
        hashing.hash(password("secret")).await.expect("hash");
        hashing.release_unused();
        assert_eq!(sizes(&hashing), [PARAMS.block_count()]);
        hashing.release_unused();
        assert!(sizes(&hashing).is_empty());
        hashing.hash(password("secret")).await.expect("hash");
    }

    fn sizes(hashing: &Hashing) -> Vec<usize> {
        kept(&hashing.memory).free.iter().map(Vec::len).collect()
    }

    #[tokio::test]
    async fn when_the_places_are_taken_the_next_is_told_busy() {
        let hashing = Hashing::new(1, 1);
        let running = hashing.running.clone().acquire_owned().await.expect("permit");
        let mut waiting = Box::pin(hashing.hash(password("secret")));
        let second_place = hashing.places.clone().acquire_owned().await.expect("place");
        assert!(futures_poll_once(&mut waiting).is_none(), "the first waits for the permit");
        assert!(matches!(hashing.hash(password("secret")).await, Err(HashError::Busy)));
        drop((running, second_place));
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn a_hash_whose_caller_left_still_gives_its_permit_back() {
        let hashing = Hashing::new(1, 0);
        let mut started = Box::pin(hashing.hash(password("secret")));
        assert!(futures_poll_once(&mut started).is_none());
        drop(started);
        let permit = hashing.running.clone().acquire_owned().await.expect("given back");
        drop(permit);
    }

    fn futures_poll_once<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
