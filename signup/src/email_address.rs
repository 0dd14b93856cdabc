//! E-mail addresses.
//!
//! Takes: text from a request. Gives: an [`EmailAddress`] that the mail library can send to, with a canonical form that
//! is unique among users. Does not: ask DNS whether anybody lives there.
//!
//! Stricter than the Go program (`net/mail.ParseAddress`), which stores `Name <a@b>` as it came and then cannot tell
//! two writings of one mailbox apart: only the bare address is accepted. Also refused is what cannot be delivered by
//! every SMTP server or names a machine instead of a domain: letters outside ASCII (an internationalised domain is
//! welcome in its `xn--` form), control characters, and `user@[192.0.2.1]`.

use crate::violation::{Violation, check_length};
use lettre::Address;
use std::fmt;

/// A bare e-mail address of 3 to 200 bytes. Personal: `Display` and `Debug` mask it as `a***@e***.com`.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress {
    address: String,
    canonical: String,
}

impl EmailAddress {
    /// Parses a bare address.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `email`: its length first, then its form.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        check_length("email", text, 3, 200)?;
        let sendable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.ends_with(']');
        match text.parse::<Address>() {
            Ok(_) if sendable => Ok(Self { address: text.to_owned(), canonical: text.to_ascii_lowercase() }),
            _ => Err(Violation::new("email", "is not a valid email address")),
        }
    }

    /// The address as the user wrote it: what mails are sent to.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The address in lower case: two users never share it. RFC 5321 (2.4) lets a server tell local parts apart by
    /// case; none in use does.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// Masks an address for logs: first letters and the top-level domain stay, as in `a***@e***.com`.
pub fn mask(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    let top = domain.rsplit_once('.').map(|(_, top)| format!(".{top}")).unwrap_or_default();
    format!("{}***@{}***{top}", first(local), first(domain))
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.address))
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bare_addresses_are_accepted_as_written_and_made_canonical() {
        for address in ["alice1@email.com", "A.B+tag@Example.COM", "a@localhost", "x_y-z@xn--mnchen-3ya.de"] {
            let parsed = EmailAddress::parse(address).expect(address);
            assert_eq!((parsed.as_str(), parsed.canonical()), (address, address.to_lowercase().as_str()));
        }
    }

    #[test]
    fn a_wrong_length_is_reported_before_a_wrong_form() {
        for address in ["", "a@", &format!("{}@example.com", "a".repeat(200))] {
            let violation = EmailAddress::parse(address).expect_err(address);
            assert_eq!(violation, Violation::new("email", "must contain from 3-200 characters"), "{address}");
        }
    }

    #[test]
    fn everything_but_a_bare_ascii_address_is_refused() {
        let forms = ["Name <a@b.com>", "<a@b.com>", " a@b.com", "a@b.com ", "a@b.com, c@d.com", "abc", "a@@b.com"];
        let unsendable = ["a..b@x.com", ".a@x.com", "a.@x.com", "josé@x.com", "a@münchen.de", "a@[127.0.0.1]"];
        let injected =
            ["a@b.com\r\nBcc: c@d.com", "a\n@b.com", "a@b\0.com", "\"a\r\nb\"@x.com", "a@b.com\n", "a\t@b.com"];
        for address in forms.into_iter().chain(unsendable).chain(injected) {
            let violation = EmailAddress::parse(address).expect_err(address);
            assert_eq!(violation, Violation::new("email", "is not a valid email address"), "{address:?}");
        }
    }

    #[test]
    fn logs_see_a_mask_only() {
        let parsed = EmailAddress::parse("alice1@email.com").expect("valid");
        assert_eq!(parsed.to_string(), "a***@e***.com");
        assert_eq!(format!("{parsed:?}"), "EmailAddress(a***@e***.com)");
        assert_eq!(mask("no address"), "n***@***");
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be_sent_to_and_holds_no_line_break(
            text in prop_oneof![any::<String>(), "[a-zA-Z0-9.\"<> @\\[\\]\r\n\0é_+-]{0,30}", "[a-z.]{1,5}@[a-z.]{1,8}"]
        ) {
            if let Ok(parsed) = EmailAddress::parse(&text) {
                prop_assert!(parsed.as_str().parse::<Address>().is_ok());
                prop_assert!(parsed.canonical().parse::<Address>().is_ok());
                prop_assert!(parsed.as_str().bytes().all(|byte| !byte.is_ascii_control()));
            }
        }

        #[test]
        fn a_mask_never_shows_more_than_the_first_letters(local in "[a-w]{2,10}", domain in "[a-w]{2,10}") {
            let masked = mask(&format!("{local}@{domain}.xyz"));
            prop_assert!(!masked.contains(&local) && !masked.contains(&domain));
        }
    }
}
