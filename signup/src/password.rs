//! Passwords.
//!
//! Takes: text from a request. Gives: a [`Password`], and from [`Hashing`] its argon2id hash or a comparison with a
//! stored one. How easy a password is to guess
//! is said by `strength`. Does not: decide whether that matters.

mod argon;
mod hashing;
mod stored;
mod strength;

pub use argon::HashFailure;
pub use hashing::{HashError, HashPermit, Hashing};

use crate::violation::{Violation, length_text};
use secrecy::{ExposeSecret, SecretString};

/// Characters of the longest password accepted; argon2id has no limit of its own (bcrypt cut at 72 bytes).
const MAX_CHARACTERS: usize = 128;

/// A password of acceptable length. `Debug` hides it, and its memory is wiped when dropped.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

impl Password {
    /// Parses a password of `min` to 128 characters, with any content but NUL (at which implementations of bcrypt end
    /// it). Each code point of Unicode is one character (NIST SP 800-63B, 3.1.1.2), whatever it takes in bytes.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `password`: its length first.
    pub fn parse(text: &str, min: usize) -> Result<Self, Violation> {
        if !(min..=MAX_CHARACTERS).contains(&text.chars().count()) {
            return Err(Violation::new("password", length_text(min, MAX_CHARACTERS)));
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
        for text in
            ["secret", &"a".repeat(73), &"a".repeat(128), "пароль", "with\nbreak", "密码是六个字", &"🔑".repeat(128)]
        {
            assert_eq!(Password::parse(text, 6).expect(text).bytes(), text.as_bytes());
        }
    }

    #[test]
    fn lengths_are_counted_in_characters_and_named() {
        for text in ["", "short", &"a".repeat(129), "ééééé", "🔑🔑🔑", &"é".repeat(129)] {
            let violation = Password::parse(text, 6).expect_err(text);
            assert_eq!(violation, Violation::new("password", "must contain from 6-128 characters"), "{text}");
        }
        let violation = Password::parse("fourteen chars", 15).expect_err("14 characters");
        assert_eq!(violation.description, "must contain from 15-128 characters");
    }

    #[test]
    fn nul_is_refused_and_debug_hides_the_rest() {
        assert_eq!(Password::parse("secret\0", 6).expect_err("NUL").field, "password");
        let password = Password::parse("hunter2hunter2", 6).expect("valid");
        assert!(!format!("{password:?}").contains("hunter2"));
    }
}
