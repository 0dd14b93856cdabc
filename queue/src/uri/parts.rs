//! Pieces of a URI: user and password, hosts, database index, query.
//!
//! Takes: text between the delimiters. Gives: values, decoded. Does not: repeat in an error what may be secret: a
//! password with an unencoded `/` or `?` ends up where a host or port is expected.

use super::{FORMS, Host, Login, UriError};
use percent_encoding::percent_decode_str;

/// The fix of what is most often a password with special characters.
const ENCODE: &str = "check host and port; special characters of a password are percent-encoded (@ is %40, / is %2F, \
    # is %23, ? is %3F)";

/// Decodes percent-escapes.
pub(super) fn decoded(text: &str, what: &str) -> Result<String, UriError> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded =
        decoded.map_err(|_| UriError::new(format!("its {what} is not UTF-8"), "percent-encode UTF-8 bytes"))?;
    Ok(decoded.into_owned())
}

/// `user:password`, `:password` or nothing.
pub(super) fn userinfo(text: &str) -> Result<Login, UriError> {
    let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
    let given = |text: &str, what| (!text.is_empty()).then(|| decoded(text, what)).transpose();
    Ok(Login { user: given(user, "user")?, password: given(password.unwrap_or_default(), "password")? })
}

/// `host[:port],host[:port],...`, at least one.
pub(super) fn hosts(text: &str, default_port: u16) -> Result<Vec<Host>, UriError> {
    text.split(',').map(|text| host(text.trim(), default_port)).collect()
}

fn host(text: &str, default_port: u16) -> Result<Host, UriError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or_else(|| UriError::new("a [ has no ]", ENCODE))?;
            (name, (!port.is_empty()).then(|| port.strip_prefix(':').unwrap_or(port)))
        }
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    if port.is_some_and(|port| port.contains(':')) {
        let fix = "write an IPv6 address in brackets: redis://[::1]:6379/0";
        return Err(UriError::new("a host has several colons", fix));
    }
    // Before the name: what stands there may be the beginning of a password.
    let port = port.map_or(Ok(default_port), parsed_port)?;
    let name = decoded(name, "host")?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    if name.is_empty() {
        return Err(UriError::new("it names no host", FORMS));
    }
    if !name.bytes().all(is_name) {
        return Err(UriError::new("a host has a character that no name has", ENCODE));
    }
    if matches!(&*name, "0.0.0.0" | "::") {
        let fix = "name the address at which the server is reached, 127.0.0.1 or [::1] for this machine";
        return Err(UriError::new("a server listens at 0.0.0.0 or ::, but nobody reaches it there", fix));
    }
    Ok(Host { name, port })
}

fn parsed_port(text: &str) -> Result<u16, UriError> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| UriError::new("a port is no number from 1 to 65535", ENCODE))
}

/// The index in the path or, where there is none, in the query; 0 without.
pub(super) fn database(path: &str, query: &Query) -> Result<i64, UriError> {
    let of_query = query.get(&["db", "database"]).unwrap_or_default();
    let index = if path.is_empty() { &*of_query } else { path };
    if index.is_empty() {
        return Ok(0);
    }
    let digits = index.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = index.parse::<i64>().ok().filter(|_| digits);
    parsed.ok_or_else(|| UriError::new("its database index is no number", "end it with the index, like /0"))
}

/// The fix of what would switch the check of a certificate off, in whatever way.
pub(super) const CHECKED: &str = "remove it, and give the authority's certificate (redis.caSecretRef)";

/// What follows the `?`. Names that are not known are left alone, but for those that ask for TLS, or for less of it.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decoded(name, "query")?, decoded(value, "query")?));
        }
        let query = Self(pairs);
        let asks_for_tls = |value: String| !matches!(&*value.to_ascii_lowercase(), "false" | "0" | "no" | "none");
        if query.get(&["ssl", "tls"]).is_some_and(asks_for_tls) {
            let fix = "write rediss:// (or rediss+sentinel://, rediss+cluster://) instead";
            return Err(UriError::new("TLS is not asked for by ?ssl or ?tls", fix));
        }
        Ok(query)
    }

    /// What would leave the server's certificate or its name unchecked (go-redis, redis-py and Celery know such
    /// words) is refused: passed over, it would end in a failed handshake that nobody understands.
    pub(super) fn demand_checks(&self) -> Result<(), UriError> {
        let says = |name: &'static str, words: &[&str]| {
            self.get(&[name]).is_some_and(|value| words.contains(&&*value.to_ascii_lowercase()))
        };
        for (name, words) in [
            ("insecure", &["", "true", "1", "yes"][..]),
            ("skip_verify", &["", "true", "1", "yes"]),
            ("ssl_cert_reqs", &["none", "optional", "cert_none", "cert_optional"]),
            ("ssl_check_hostname", &["false", "0", "no"]),
        ] {
            if says(name, words) {
                let problem = format!("?{name} would switch off a check of the server's certificate, unsupported here");
                return Err(UriError::new(problem, CHECKED));
            }
        }
        Ok(())
    }

    /// The value of the first of these names that is there.
    pub(super) fn get(&self, names: &[&str]) -> Option<String> {
        self.0.iter().find(|(name, _)| names.contains(&&**name)).map(|(_, value)| value.clone())
    }

    pub(super) fn port(&self, name: &str) -> Result<Option<u16>, UriError> {
        self.get(&[name]).map(|value| parsed_port(&value)).transpose()
    }

    /// Whether RESP2 is asked for.
    pub(super) fn is_resp2(&self) -> Result<bool, UriError> {
        match self.get(&["protocol"]).as_deref() {
            None | Some("3" | "resp3") => Ok(false),
            Some("2" | "resp2") => Ok(true),
            Some(_) => Err(UriError::new("its protocol is unknown", "write protocol=2, protocol=3 or none")),
        }
    }
}
