//! Comparison with a stored hash.
//!
//! Takes: a password and the text of `users.hashed_password`. Gives: whether they belong together. Does not: trust the
//! stored parameters blindly; a row written by somebody else must not make this process use gigabytes or minutes.

use super::{
    Password,
    argon::{self, HashFailure, Memory},
};
use argon2::{Algorithm, Params, password_hash::phc::PasswordHash};

/// KiB of memory a stored argon2 hash may ask for: 64 MiB, RFC 9106's second recommended option.
const MAX_MEMORY_KIB: u32 = 64 * 1024;

/// Passes over the memory a stored argon2 hash may ask for.
const MAX_PASSES: u32 = 8;

/// The cost a stored bcrypt hash may ask for: 14, about a second; the Go program writes 10.
const MAX_BCRYPT_COST: u32 = 14;

pub(super) fn verify(password: &Password, stored: &str, memory: &mut Memory) -> Result<bool, HashFailure> {
    if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| stored.starts_with(prefix)) {
        return verify_bcrypt(password, stored);
    }
    let parsed = PasswordHash::new(stored).map_err(HashFailure::Format)?;
    let algorithm = Algorithm::new(parsed.algorithm.as_str()).map_err(HashFailure::Argon2)?;
    let params = Params::try_from(&parsed).map_err(|_| HashFailure::Unsupported)?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || parsed.version != Some(19) {
        return Err(HashFailure::Unsupported);
    }
    let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else { return Err(HashFailure::Unsupported) };
    let actual = argon::fill(password, &params, algorithm, salt.as_ref(), expected.len(), memory)?;
    // `Output` compares in constant time.
    Ok(actual == expected)
}

/// bcrypt looks at the first 72 bytes only; so did the Go program when it made these hashes.
fn verify_bcrypt(password: &Password, stored: &str) -> Result<bool, HashFailure> {
    let cost = stored.get(4..6).and_then(|digits| digits.parse::<u32>().ok()).ok_or(HashFailure::Unsupported)?;
    if cost > MAX_BCRYPT_COST {
        return Err(HashFailure::Unsupported);
    }
    bcrypt::verify(password.bytes(), stored).map_err(HashFailure::Bcrypt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, stored: &str) -> Result<bool, HashFailure> {
        verify(&Password::parse(text, 6).expect("a valid test password"), stored, &mut Memory::new())
    }

    #[test]
    fn bcrypt_hashes_of_existing_users_verify() {
        let parts = bcrypt::hash_with_result("secret", 4).expect("bcrypt");
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let stored = parts.format_for_version(version);
            assert!(check("secret", &stored).expect("known"), "{stored}");
            assert!(!check("secreT", &stored).expect("known"), "{stored}");
        }
    }

    #[test]
    fn foreign_hashes_that_cost_too_much_are_refused_before_the_work() {
        let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for stored in [
            format!("$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA${hash}"),
            format!("$argon2id$v=19$m=19456,t=4000,p=1$AAAAAAAAAAAAAAAAAAAAAA${hash}"),
            "$2a$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy".to_owned(),
        ] {
            assert!(matches!(check("secret", &stored), Err(HashFailure::Unsupported)), "{stored}");
        }
    }

    #[test]
    fn texts_that_are_no_hash_are_an_error() {
        for stored in ["", "secret", "$1$abc$def", "$argon2id$", "$2a$", "$2a$xx$", "$argon2id$v=19$m=19456,t=2,p=1$"] {
            assert!(check("secret", stored).is_err(), "{stored}");
        }
    }
}
