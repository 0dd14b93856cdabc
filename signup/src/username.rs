//! User names.
//!
//! Takes: text from a request. Gives: a [`Username`] of 3 to 100 bytes out of `a-z0-9_`. Does not: know whether it is
//! taken; the database's constraint `users_pkey` does.

use crate::{
    reserved::is_reserved,
    violation::{Violation, check_length},
};
use pipeline::document::ReservedUsernames;
use std::fmt;

/// A user name that keeps the rule `^[a-z0-9_]+$`, 3 to 100 bytes. Public information: it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// Parses a user name.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `username`: its length first, then its letters.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        check_length("username", text, 3, 100)?;
        if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return Ok(Self(text.to_owned()));
        }
        Err(Violation::new("username", "must contain only lowercase letters, digits, or underscore"))
    }

    /// Parses the name of a new user, who may have a name of the site's (`admin`, `postmaster`) only where that is
    /// allowed.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `username`: as [`Username::parse`], then that the name is reserved.
    pub fn parse_new(text: &str, reserved: ReservedUsernames) -> Result<Self, Violation> {
        let username = Self::parse(text)?;
        if reserved == ReservedUsernames::Refuse && is_reserved(text) {
            return Err(Violation::new("username", "is reserved; choose another one"));
        }
        Ok(username)
    }

    /// The name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_allowed_letters_and_lengths_are_accepted() {
        for name in ["abc", "alice10", "a_1", "___", &"a".repeat(100)] {
            assert_eq!(Username::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn a_wrong_length_is_reported_before_wrong_letters() {
        for name in ["", "ab", "A!", "é", &"a".repeat(101), &"A".repeat(101)] {
            let violation = Username::parse(name).expect_err(name);
            assert_eq!(violation, Violation::new("username", "must contain from 3-100 characters"), "{name}");
        }
    }

    #[test]
    fn a_name_of_the_site_is_refused_unless_it_is_allowed() {
        for name in ["admin", "postmaster", "web_master", "_root_", "no_reply"] {
            let violation = Username::parse_new(name, ReservedUsernames::Refuse).expect_err(name);
            assert_eq!(violation, Violation::new("username", "is reserved; choose another one"));
            assert!(Username::parse_new(name, ReservedUsernames::Allow).is_ok(), "{name}");
        }
        for name in ["alice1", "admin1", "rooted", "sup_port_er", "___"] {
            assert!(Username::parse_new(name, ReservedUsernames::Refuse).is_ok(), "{name}");
        }
    }

    #[test]
    fn other_letters_are_refused() {
        for name in ["Alice", "al ice", "alice\n", "al\0ice", "alïce", "alice-1", "alice.1", "аlice"] {
            let violation = Username::parse(name).expect_err(name);
            assert_eq!(violation.description, "must contain only lowercase letters, digits, or underscore", "{name}");
        }
    }
}
