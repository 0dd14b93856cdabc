//! E-mail addresses of users.
//!
//! Takes: text from a request. Gives: an [`EmailAddress`] whose canonical form is unique among users. Does not: ask DNS
//! whether anybody lives there.
//!
//! Read by [`pipeline::Address`], as the worker reads it again before it sends: what is accepted here is mailed, to
//! exactly what is stored. Stricter than the Go program (`net/mail.ParseAddress`), which stores `Name <a@b>` as it
//! came and then cannot tell two writings of one mailbox apart: only the bare address is accepted, and `"bob"@x` is
//! stored as `bob@x`. A domain in Unicode is stored, compared and mailed to in its form in ASCII (`xn--`). Also refused
//! is what cannot be delivered by every SMTP server or names a machine instead of a domain: letters outside ASCII
//! before the `@`, local parts that need quotes, and `user@[192.0.2.1]`.

use crate::violation::{Violation, check_length};
use pipeline::{Address, domain, mailbox::AddressError};
use std::{borrow::Cow, fmt};

/// A bare e-mail address of 3 to 200 bytes. Personal: `Display` and `Debug` mask it as `a***@e***.com`.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress {
    address: Address,
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
        let text = in_ascii(text);
        check_length("email", &text, 3, 200)?;
        let address = Address::parse(&text).map_err(|error| match error {
            AddressError::Form => Violation::new("email", "is not a valid email address"),
            AddressError::NeedsQuotes => Violation::new("email", "must be an address that needs no quotes"),
        })?;
        Ok(Self { canonical: address.canonical(), address })
    }

    /// The address in the user's letter case: what is stored, and what mails are sent to.
    pub fn as_str(&self) -> &str {
        self.address.as_str()
    }

    /// The address in lower case: two users never share it.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The domain of the canonical address.
    pub fn domain(&self) -> &str {
        self.canonical.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// The address with its domain in ASCII, where it has one in Unicode.
fn in_ascii(text: &str) -> Cow<'_, str> {
    let domain = text.rsplit_once('@').filter(|(_, domain)| !domain.is_ascii());
    let written = domain.and_then(|(local, domain)| Some(format!("{local}@{}", domain::canonical(domain)?)));
    written.map_or(Cow::Borrowed(text), Cow::Owned)
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
        f.write_str(&mask(self.as_str()))
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
    fn every_writing_of_an_internationalised_domain_is_one_mailbox_in_ascii() {
        for address in ["Bob@münchen.de", "Bob@MÜNCHEN.de", "Bob@mu\u{308}nchen.de", "\"Bob\"@ｍünchen.de"] {
            let parsed = EmailAddress::parse(address).expect(address);
            assert_eq!((parsed.as_str(), parsed.canonical()), ("Bob@xn--mnchen-3ya.de", "bob@xn--mnchen-3ya.de"));
            assert_eq!(parsed.domain(), "xn--mnchen-3ya.de");
        }
        let long =
            EmailAddress::parse(&format!("bob@{}.example", ["üü"; 45].join("."))).expect_err("251 bytes in ASCII");
        assert_eq!(long.description, "must contain from 3-200 characters");
    }

    #[test]
    fn quotes_that_nothing_needs_are_not_part_of_the_address() {
        for address in ["\"Bob\"@x.com", "\"B\\ob\"@x.com", "Bob@x.com"] {
            let parsed = EmailAddress::parse(address).expect(address);
            assert_eq!((parsed.as_str(), parsed.canonical()), ("Bob@x.com", "bob@x.com"), "{address}");
        }
    }

    #[test]
    fn an_address_that_needs_quotes_is_refused_and_told_so() {
        for address in ["\"b ob\"@x.com", "\"a@b\"@x.com", "\"b\\\\ob\"@x.com", "\".bob\"@x.com"] {
            let violation = EmailAddress::parse(address).expect_err(address);
            assert_eq!(violation, Violation::new("email", "must be an address that needs no quotes"), "{address}");
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
        let unsendable = ["a..b@x.com", ".a@x.com", "a.@x.com", "josé@x.com", "josé@münchen.de", "a@[127.0.0.1]"];
        let machines = ["a@127.0.0.1", "a@exam_ple.com", "a@１２７.0.0.1", "a@mün_chen.de", "a@mün chen.de"];
        let injected =
            ["a@b.com\r\nBcc: c@d.com", "a\n@b.com", "a@b\0.com", "\"a\r\nb\"@x.com", "a@b.com\n", "a\t@b.com"];
        for address in forms.into_iter().chain(unsendable).chain(machines).chain(injected) {
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
        fn what_is_stored_is_read_again_as_itself_and_holds_no_line_break(
            text in prop_oneof![
                any::<String>(),
                "[a-zA-Z0-9.\"<> @\\[\\]\r\n\0é_+-]{0,30}",
                "[a-z.\"\\\\]{1,5}@[a-z.]{1,8}",
                "[a-z]{1,5}@[a-zü例。.\u{308}-]{1,8}"
            ]
        ) {
            if let Ok(parsed) = EmailAddress::parse(&text) {
                let again = EmailAddress::parse(parsed.as_str()).expect("what is stored is an address");
                prop_assert_eq!(again.as_str(), parsed.as_str());
                let lower = EmailAddress::parse(parsed.canonical()).expect("so is this");
                prop_assert_eq!(lower.as_str(), parsed.canonical());
                prop_assert!(parsed.as_str().bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control()));
            }
        }

        #[test]
        fn a_mask_never_shows_more_than_the_first_letters(local in "[a-w]{2,10}", domain in "[a-w]{2,10}") {
            let masked = mask(&format!("{local}@{domain}.xyz"));
            prop_assert!(!masked.contains(&local) && !masked.contains(&domain));
        }
    }
}
