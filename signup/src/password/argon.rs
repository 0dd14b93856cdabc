//! argon2, in memory that is kept.
//!
//! Takes: a password, parameters, a salt. Gives: the hash's bytes, or a [`HashFailure`]. Does not: choose parameters or
//! salts, read or write the text of a hash.

use super::Password;
use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash::phc::Output};

/// The memory of one hash.
pub(super) type Memory = Vec<Block>;

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
    /// The hash panicked, or no thread could be started.
    #[error("the hashing thread ended early")]
    Interrupted,
}

/// Runs argon2; the memory grows to the largest hash ever asked for.
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
