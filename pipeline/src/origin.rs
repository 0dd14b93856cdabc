//! Web origins, as configurations write them.
//!
//! Takes: `https://app.example.com`, `http://localhost:3000`, `https://*.example.com`. Gives: an [`Origin`] that says
//! whether the value of a header `Origin` (RFC 6454, section 7) is one of them. Does not: let everybody in; there is no
//! `*` alone, and `null`, which any sandboxed frame sends, is nobody's.

use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv6Addr, str::FromStr};

/// One origin, or those of all hosts below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    /// With its colon and slashes.
    scheme: String,
    /// What stands before `host` is any name.
    is_wildcard: bool,
    /// With the port, where it is not that of the scheme.
    host: String,
}

/// The text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin; write one like https://app.example.com, http://localhost:3000 or https://*.example.com: a \
     scheme, a host in small letters and perhaps a port, with no path and no slash at the end"
)]
pub struct NoOrigin(String);

impl Origin {
    /// Whether a browser's header names it. Browsers write origins in one way alone: small letters, `xn--`, no port of
    /// the scheme's own.
    pub fn admits(&self, header: &[u8]) -> bool {
        let host = header.strip_prefix(self.scheme.as_bytes());
        let before = host.and_then(|host| host.strip_suffix(self.host.as_bytes()));
        match before {
            Some(before) if self.is_wildcard => before.strip_suffix(b".").is_some_and(is_name),
            Some(before) => before.is_empty(),
            None => false,
        }
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        read(text).ok_or_else(|| NoOrigin(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.split_once("://")?;
    let (is_wildcard, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
    let (host, port) = match rest.split_once(']') {
        Some((address, after)) if !is_wildcard => (ipv6(address)?, after),
        Some(_) => return None,
        None => {
            let (name, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
            (is_name(name.as_bytes()).then(|| name.to_owned())?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(number) if number.parse::<u16>().ok()?.to_string() == number => port,
        None if port.is_empty() => port,
        _ => return None,
    };
    let is_own_port = [("http", ":80"), ("https", ":443")].contains(&(scheme, port));
    let host = if is_own_port { host } else { host + port };
    is_scheme(scheme).then(|| Origin { scheme: format!("{scheme}://"), is_wildcard, host })
}

/// As browsers write it (RFC 5952).
fn ipv6(text: &str) -> Option<String> {
    let address: Ipv6Addr = text.strip_prefix('[')?.parse().ok()?;
    Some(format!("[{address}]"))
}

fn is_scheme(text: &str) -> bool {
    let is_mark = |byte: u8| matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_mark(byte))
}

/// Labels of small letters, digits, `-` and `_`, with single dots between them.
fn is_name(text: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(is_letter))
}

impl TryFrom<String> for Origin {
    type Error = NoOrigin;

    fn try_from(text: String) -> Result<Self, NoOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.scheme, if self.is_wildcard { "*." } else { "" }, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admits(origin: &str, header: &str) -> bool {
        origin.parse::<Origin>().expect(origin).admits(header.as_bytes())
    }

    #[test]
    fn an_exact_origin_admits_itself_alone() {
        for (origin, header) in [
            ("https://app.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert!(admits(origin, header), "{origin}");
        }
        for header in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.test",
            "https://evil-app.example.com",
            "https://APP.example.com",
            "https://app.example.com/",
            "null",
            "*",
            "",
        ] {
            assert!(!admits("https://app.example.com", header), "{header}");
        }
    }

    #[test]
    fn a_wildcard_admits_hosts_below_the_domain_and_neither_the_domain_nor_its_neighbours() {
        for header in ["https://a.example.com", "https://a.b.example.com", "https://xn--mnchen-3ya.example.com"] {
            assert!(admits("https://*.example.com", header), "{header}");
        }
        for header in [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "https://evil.test/.example.com",
            "https://evil.test?.example.com",
            "https://user@.example.com",
            "https://evil.test:1.example.com",
            "https://a.example.com:8443",
            "http://a.example.com",
            "https://a.example.com.evil.test",
        ] {
            assert!(!admits("https://*.example.com", header), "{header}");
        }
        assert!(admits("https://*.example.com:8443", "https://a.example.com:8443"));
    }

    #[test]
    fn what_is_no_origin_is_named_with_the_fix() {
        for text in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://*",
            "https://*.",
            "https://a.*.example.com",
            "https://*example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://App.example.com",
            "https://user@app.example.com",
            "https://app.example.com:",
            "https://app.example.com:0443",
            "https://app.example.com:65536",
            "https://münchen.example",
            "https://[::1",
            "https://*.[::1]",
            "://app.example.com",
            "https://a..example.com",
            " https://app.example.com",
        ] {
            let error = text.parse::<Origin>().expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("https://app.example.com"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn an_origin_that_is_read_is_written_as_itself(text in "[a-z:/.*\\[\\]0-9]{0,24}|\\PC{0,12}") {
            if let Ok(origin) = text.parse::<Origin>() {
                let again: Origin = origin.to_string().parse().expect("what is written is an origin");
                prop_assert_eq!(&again, &origin);
                prop_assert_eq!(origin.admits(origin.to_string().as_bytes()), !origin.is_wildcard);
            }
        }

        #[test]
        fn a_wildcard_admits_no_header_of_another_domain(header in prop::collection::vec(any::<u8>(), 0..40)) {
            let origin: Origin = "https://*.example.com".parse().expect("an origin");
            let with = [b"https://".as_slice(), &header, b".example.com"].concat();
            prop_assert!(!origin.admits(&header));
            prop_assert_eq!(origin.admits(&with), is_name(&header));
        }
    }
}
