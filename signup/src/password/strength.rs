//! What makes a password easy to guess.
//!
//! Takes: a [`Password`]. Gives: whether it is one that many people have or that follows from a pattern (zxcvbn, whose
//! lists hold 30 000 passwords and common words), whether it holds its user's name or address, and the digest by which
//! lists of breached passwords know it. Does not: count kinds of characters (NIST SP 800-63B-4, 3.1.1.2, advises
//! against such rules).

use super::Password;
use crate::{EmailAddress, Username};
use secrecy::ExposeSecret as _;
use sha1::{Digest as _, Sha1};
use zxcvbn::{Score, zxcvbn};

/// Characters that are judged: what is hard to guess is not made easy by more of them.
const JUDGED: usize = 32;

/// A part of an address that is shorter stands in many words.
const MIN_PART_LENGTH: usize = 3;

impl Password {
    /// Whether fewer than a million guesses find it, by the order in which people choose passwords. Takes less than a
    /// millisecond of a core for most, more for some: callers do it where hashes are made.
    pub fn is_common(&self) -> bool {
        let text = self.0.expose_secret();
        let beginning: String = text.chars().take(JUDGED).collect();
        zxcvbn(&beginning, &[]).score() < Score::Two
    }

    /// Whether it holds the name, the address, or what stands before the `@` of the address, in any letter case.
    pub fn holds(&self, username: &Username, email: &EmailAddress) -> bool {
        let text = self.0.expose_secret().to_lowercase();
        let local = email.canonical().rsplit_once('@').map_or("", |(local, _)| local);
        let parts = [username.as_str(), email.canonical(), local];
        parts.into_iter().any(|part| part.len() >= MIN_PART_LENGTH && text.contains(part))
    }

    /// SHA-1 in capital hexadecimal digits, as the lists of breached passwords have it. Secret like the password.
    pub fn breach_digest(&self) -> String {
        Sha1::digest(self.bytes()).iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn password(text: &str) -> Password {
        Password::parse(text, 6).expect("a valid password")
    }

    #[test]
    fn what_many_people_have_and_what_follows_a_pattern_is_common() {
        for text in [
            "123456",
            "secret",
            "password1",
            "P@ssw0rd",
            "qwertyuiop",
            "aaaaaaaaaaaaaaaaaaaa",
            "123456789012345678",
            "letmeinletmein",
            &"a".repeat(128),
        ] {
            assert!(password(text).is_common(), "{text}");
        }
        for text in ["correct horse battery", "xK9#mQ2$vL7&pR4!", "fünfzehn Zeichen Zebra", "пароль которого нет нигде"]
        {
            assert!(!password(text).is_common(), "{text}");
        }
    }

    #[test]
    fn a_password_that_holds_its_users_name_or_address_is_found_in_any_letter_case() {
        let username = Username::parse("alice_1").expect("a name");
        let email = EmailAddress::parse("Wonder.Land@example.com").expect("an address");
        for text in ["my Alice_1 password", "ALICE_1", "wonder.land rocks", "x-WONDER.LAND@EXAMPLE.COM"] {
            assert!(password(text).holds(&username, &email), "{text}");
        }
        for text in ["alice in chains", "wonderful landscape", "example.com"] {
            assert!(!password(text).holds(&username, &email), "{text}");
        }
        let short = EmailAddress::parse("al@example.com").expect("an address");
        assert!(!password("also walking").holds(&username, &short));
    }

    #[test]
    fn the_digest_is_that_of_the_published_lists() {
        assert_eq!(password("password").breach_digest(), "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
    }

    proptest! {
        #[test]
        fn every_password_is_judged(text in ".{6,128}") {
            if let Ok(password) = Password::parse(&text, 6) {
                password.is_common();
            }
        }
    }
}
