//! Passwords.
//!
//! Takes: text from a request. Gives: a [`Password`], and from [`Hashing`] its argon2id hash or a comparison with a
//! stored one. Does not: judge how good the password is.

mod argon;
mod hashing;
mod stored;

pub use argon::HashFailure;
pub use hashing::{HashError, HashPermit, Hashing};

use crate::violation::{Violation, length_text};
use secrecy::{ExposeSecret, SecretString};

/// Bytes of the longest password accepted; argon2id has no limit of its own (bcrypt cut at 72).
const MAX_BYTES: usize = 128;

/// The upper bound named in the message stays the Go program's, whose clients compare the text; it is safe advice,
/// unless the lower bound is set above it.
const MAX_BYTES_IN_TEXT: usize = 100;

/// A password of acceptable length. `Debug` hides it, and its memory is wiped when dropped.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

impl Password {
    /// Parses a password of `shortest` to 128 bytes, with any content but NUL (at which implementations of bcrypt end
    /// it).
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `password`: its length first.
    pub fn parse(text: &str, shortest: usize) -> Result<Self, Violation> {
        if !(shortest..=MAX_BYTES).contains(&text.len()) {
            let longest = if shortest > MAX_BYTES_IN_TEXT { MAX_BYTES } else { MAX_BYTES_IN_TEXT };
            return Err(Violation::new("password", length_text(shortest, longest)));
        }
        if text.contains('\0') {
            return Err(Violation::new("password", "must not contain the NUL character"));
        }
        Ok(Self(text.into()))
    }

    fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lectures_password_and_long_ones_are_accepted() {
        for text in ["secret", &"a".repeat(73), &"a".repeat(128), "пароль", "with\nbreak"] {
            assert_eq!(Password::parse(text, 6).expect(text).bytes(), text.as_bytes());
        }
    }

    #[test]
    fn lengths_are_counted_in_bytes_and_named() {
        for text in ["", "short", &"a".repeat(129), "éé"] {
            let violation = Password::parse(text, 6).expect_err(text);
            assert_eq!(violation, Violation::new("password", "must contain from 6-100 characters"));
        }
        let violation = Password::parse("fourteen chars", 15).expect_err("14 bytes");
        assert_eq!(violation.description, "must contain from 15-100 characters");
        let violation = Password::parse("fourteen chars", 120).expect_err("14 bytes");
        assert_eq!(violation.description, "must contain from 120-128 characters");
    }

    #[test]
    fn nul_is_refused_and_debug_hides_the_rest() {
        assert_eq!(Password::parse("secret\0", 6).expect_err("NUL").field, "password");
        let password = Password::parse("hunter2hunter2", 6).expect("valid");
        assert!(!format!("{password:?}").contains("hunter2"));
    }
}
