//! Names of domains, as people write them and as DNS and mail servers know them.
//!
//! Takes: `example.com`, `München.example`, `xn--mnchen-3ya.example`. Gives: the form in ASCII (RFC 5890's A-label, by
//! UTS 46), and a [`Domain`] of the configuration, which stands for its sub-domains too. Does not: ask DNS.

use crate::mailbox::is_domain;
use serde::{Deserialize, Serialize};

/// The name in ASCII and small letters; `None` for what is no domain.
pub fn canonical(name: &str) -> Option<String> {
    if name.is_ascii() {
        return is_domain(name).then(|| name.to_ascii_lowercase());
    }
    idna::domain_to_ascii_strict(name).ok().filter(|name| is_domain(name))
}

/// A domain of the configuration with all below it, as it was written; one that is none is refused where the document
/// is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Domain {
    written: String,
    canonical: Option<String>,
}

impl Domain {
    /// Whether it is the name of a domain.
    pub fn is_valid(&self) -> bool {
        self.canonical.is_some()
    }

    /// Whether a domain, given in its [`canonical`] form, is this one or below it.
    pub fn covers(&self, domain: &str) -> bool {
        let above = self.canonical.as_deref().and_then(|own| domain.strip_suffix(own));
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }
}

impl From<String> for Domain {
    fn from(written: String) -> Self {
        Self { canonical: canonical(&written), written }
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_writing_of_a_domain_has_one_canonical_form() {
        for (written, canonical_form) in [
            ("Example.COM", "example.com"),
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
            ("mu\u{308}nchen.de", "xn--mnchen-3ya.de"),
            ("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
            ("straße.example", "xn--strae-oqa.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("ｅｘａｍｐｌｅ.com", "example.com"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(canonical_form), "{written}");
        }
    }

    #[test]
    fn what_is_no_domain_has_none() {
        for text in
            ["", ".", "a..b", "-a.com", "a_b.com", "mün chen.de", "mün/chen.de", "１２７.0.0.1", "ü@b.com", "\u{ad}"]
        {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&format!("{}.de", "ü".repeat(63))), None, "a label is too long");
    }

    #[test]
    fn a_domain_covers_itself_and_what_is_below_it() {
        let domain = Domain::from("München.de".to_owned());
        for (other, is_covered) in [
            ("xn--mnchen-3ya.de", true),
            ("mail.xn--mnchen-3ya.de", true),
            ("evilxn--mnchen-3ya.de", false),
            ("de", false),
            ("example.com", false),
        ] {
            assert_eq!(domain.covers(other), is_covered, "{other}");
        }
        let none = Domain::from("no domain".to_owned());
        assert!(!none.is_valid() && !none.covers("no domain"));
    }

    proptest! {
        #[test]
        fn a_canonical_form_is_its_own(text in prop_oneof![any::<String>(), "[a-zäß一。.A-Z0-9\u{308}-]{0,20}"]) {
            if let Some(name) = canonical(&text) {
                prop_assert_eq!(canonical(&name), Some(name.clone()));
                prop_assert!(Domain::from(text).covers(&name));
            }
        }
    }
}
