//! Which of libpq's parameters work, and with which values.
//!
//! Takes: pairs. Gives: a [`PostgresUri`]. Does not: pass anything over in silence: what would weaken or change a
//! connection, and is not done here, is refused by name.
//!
//! The keywords are those of the PostgreSQL 17 manual, 34.1.2; other spellings are those of sqlx. Those of Prisma and
//! JDBC that say what a field of ours says are refused with that field.

use super::{PostgresUri, PostgresUriError, TargetSessionAttrs, hosts::hosts, syntax::Pairs};
use secrecy::SecretString;
use std::{collections::BTreeMap, time::Duration};

/// What becomes of a parameter.
enum Use {
    /// It is the driver's.
    Passed,
    /// It changes nothing here: the system's own settings hold.
    Nothing,
    /// It works with these values alone, which are what is done anyway.
    Only(&'static [&'static str], &'static str),
    /// It cannot be used.
    Refused(&'static str),
}

const TLS_FIX: &str = "leave it out; sslmode=verify-full and an authority say who the server has to be";
const OWN_FIX: &str = "leave it out, and write host, user, password and database here";
const SCHEMA_FIX: &str = "leave it out, and name the schema in database.schema";
const POOL_FIX: &str = "leave it out; database.maxConnectionsPerPod says how many connections there are";
const POOLER_FIX: &str = "leave it out; that a pooler stands before PostgreSQL is found out";

#[rustfmt::skip]
const PARAMETERS: [(&str, Use); 52] = {
    use Use::{Nothing, Only, Passed, Refused};
    [
        ("user", Passed), ("password", Passed), ("dbname", Passed), ("application_name", Passed), ("options", Passed),
        ("sslmode", Passed), ("sslrootcert", Passed), ("sslcert", Passed), ("sslkey", Passed),
        ("statement-cache-capacity", Passed),
        ("keepalives", Nothing), ("keepalives_idle", Nothing), ("keepalives_interval", Nothing),
        ("keepalives_count", Nothing), ("tcp_user_timeout", Nothing), ("sslcompression", Nothing),
        ("krbsrvname", Nothing), ("gsslib", Nothing), ("gssdelegation", Nothing),
        ("client_encoding", Only(&["auto", "utf8", "UTF8", "utf-8", "UTF-8"], "leave it out; it is UTF8")),
        ("gssencmode", Only(&["disable", "prefer"], "leave it out; sslmode=require encrypts by TLS")),
        ("channel_binding", Only(&["disable", "prefer"], TLS_FIX)),
        ("sslnegotiation", Only(&["postgres"], "leave it out; the server's port has to take PostgreSQL's own start")),
        ("sslsni", Only(&["1"], "leave it out; the server's name is sent")),
        ("sslcertmode", Only(&["allow"], "leave it out; a certificate is shown when one is given and asked for")),
        ("ssl_min_protocol_version", Only(&["TLSv1", "TLSv1.1", "TLSv1.2"], "write TLSv1.2, or leave it out")),
        ("ssl_max_protocol_version", Only(&["TLSv1.3"], "write TLSv1.3, or leave it out")),
        ("load_balance_hosts", Only(&["disable"], "leave it out; hosts are tried in the order in which they stand")),
        ("replication", Only(&["false", "off", "no", "0"], "leave it out")),
        ("min_protocol_version", Only(&["3.0"], "write 3.0, or leave it out")),
        ("max_protocol_version", Only(&["3.0", "3.2", "latest"], "leave it out")),
        ("service", Refused(OWN_FIX)), ("servicefile", Refused(OWN_FIX)), ("passfile", Refused(OWN_FIX)),
        ("sslpassword", Refused("store the key without a passphrase, and leave it out")),
        ("sslcrl", Refused(TLS_FIX)), ("sslcrldir", Refused(TLS_FIX)), ("requirepeer", Refused(TLS_FIX)),
        ("require_auth", Refused(TLS_FIX)),
        ("scram_client_key", Refused("write the password in its place")),
        ("scram_server_key", Refused("write the password in its place")),
        ("oauth_issuer", Refused("write user and password in its place")),
        ("oauth_client_id", Refused("write user and password in its place")),
        ("schema", Refused(SCHEMA_FIX)), ("currentSchema", Refused(SCHEMA_FIX)), ("search_path", Refused(SCHEMA_FIX)),
        ("connection_limit", Refused(POOL_FIX)), ("pool_timeout", Refused(POOL_FIX)),
        ("pgbouncer", Refused(POOLER_FIX)), ("prepareThreshold", Refused(POOLER_FIX)),
        ("sslaccept", Refused("write sslmode=require, or sslmode=verify-full with an authority, in its place")),
        ("ssl", Refused("write sslmode=require, or sslmode=verify-full with an authority, in its place")),
    ]
};

/// Other spellings.
const ALIASES: [(&str, &str); 6] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("fallback_application_name", "application_name"),
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// `host`, `hostaddr`, `port`, `target_session_attrs`, `connect_timeout`.
    own: BTreeMap<&'static str, String>,
    passed: BTreeMap<&'static str, String>,
}

const OWN: [&str; 5] = ["host", "hostaddr", "port", "target_session_attrs", "connect_timeout"];

/// Reads all pairs, a later one in the place of an earlier one.
pub(super) fn read(pairs: Pairs) -> Result<PostgresUri, PostgresUriError> {
    let mut reading = Reading::default();
    let is_account = |keyword: &str| matches!(keyword, "user" | "password");
    // What follows a password, or stands before an @ that ends no user, may be a part of a password that is not
    // percent-encoded, and is not repeated.
    let has_at = pairs.iter().any(|(keyword, value)| !is_account(keyword) && value.contains('@'));
    let mut is_after_password = false;
    for (keyword, value) in pairs {
        let may_be_named = !has_at && !is_after_password;
        is_after_password = keyword == "password";
        reading.take(&keyword, value, may_be_named)?;
    }
    reading.finish()
}

impl Reading {
    fn take(&mut self, keyword: &str, value: String, may_be_named: bool) -> Result<(), PostgresUriError> {
        if let Some(own) = OWN.into_iter().find(|own| *own == keyword) {
            self.own.insert(own, value);
            return Ok(());
        }
        if let Some(setting) = keyword.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
            self.add_setting(setting, &value);
            return Ok(());
        }
        let alias = ALIASES.iter().find(|(other, _)| *other == keyword).map(|(_, name)| *name);
        let Some((name, what)) = PARAMETERS.iter().find(|(name, _)| *name == alias.unwrap_or(keyword)) else {
            return Err(PostgresUriError::Unknown(
                Some(keyword.to_owned()).filter(|name| may_be_named && is_word(name)),
            ));
        };
        match what {
            Use::Passed if keyword == "fallback_application_name" => {
                self.passed.entry(name).or_insert(value);
            }
            Use::Passed => {
                self.passed.insert(name, value);
            }
            Use::Nothing => {}
            Use::Only(values, _) if values.contains(&value.as_str()) || value.is_empty() => {}
            Use::Only(_, fix) => return Err(PostgresUriError::Value { parameter: name, fix: (*fix).to_owned() }),
            Use::Refused(fix) => return Err(PostgresUriError::Unsupported { parameter: name, fix }),
        }
        Ok(())
    }

    /// `options[work_mem]=4MB` is `options=-c work_mem=4MB`, with the white space of the value kept.
    fn add_setting(&mut self, setting: &str, value: &str) {
        let options = self.passed.entry("options").or_default();
        let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
        let space = if options.is_empty() { "" } else { " " };
        options.push_str(&format!("{space}-c {setting}={value}"));
    }

    fn finish(mut self) -> Result<PostgresUri, PostgresUriError> {
        self.passed.retain(|_, value| !value.is_empty());
        let own = |keyword| self.own.get(keyword).map_or("", String::as_str);
        let hosts = hosts(own("host"), own("hostaddr"), own("port"))?;
        let target_session_attrs = target_session_attrs(own("target_session_attrs"))?;
        let connect_timeout = connect_timeout(own("connect_timeout"))?;
        let is_checked_by_name = self.passed.get("sslmode").is_some_and(|mode| mode == "verify-full");
        if !own("hostaddr").is_empty() && is_checked_by_name {
            let fix = "leave it out, and let the name in host be resolved: verify-full checks that name";
            return Err(PostgresUriError::Unsupported { parameter: "hostaddr", fix });
        }
        self.check_tls()?;
        let parameters = self.passed.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
        Ok(PostgresUri { hosts, target_session_attrs, connect_timeout, parameters })
    }

    fn check_tls(&mut self) -> Result<(), PostgresUriError> {
        if let Some(mode) = self.passed.get_mut("sslmode") {
            *mode = mode.to_ascii_lowercase();
            one_of("sslmode", mode, SSL_MODES)?;
        }
        // The public authorities are those that are trusted when none is named (manual, sslrootcert).
        if self.passed.get("sslrootcert").is_some_and(|root| root == "system") {
            self.passed.remove("sslrootcert");
            let mode = self.passed.entry("sslmode").or_insert_with(|| "verify-full".to_owned());
            one_of("sslmode", mode, ["verify-full"])?;
        }
        for (given, needed) in [("sslcert", "sslkey"), ("sslkey", "sslcert")] {
            if self.passed.contains_key(given) && !self.passed.contains_key(needed) {
                let fix = format!("give {needed} as well, or leave {given} out");
                return Err(PostgresUriError::Value { parameter: given, fix });
            }
        }
        match self.passed.get("statement-cache-capacity").map(|count| count.parse::<usize>()) {
            Some(Err(_)) => {
                Err(PostgresUriError::Value { parameter: "statement-cache-capacity", fix: "write a number".into() })
            }
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

fn target_session_attrs(text: &str) -> Result<TargetSessionAttrs, PostgresUriError> {
    let all = TargetSessionAttrs::ALL;
    let known = all.into_iter().find(|(word, _)| *word == text || text.is_empty()).map(|(_, attrs)| attrs);
    known.ok_or_else(|| value_error("target_session_attrs", all.map(|(word, _)| word)))
}

/// Whole seconds; 0 and less stand for no limit.
fn connect_timeout(text: &str) -> Result<Option<Duration>, PostgresUriError> {
    let invalid = || PostgresUriError::Value { parameter: "connect_timeout", fix: "write whole seconds".into() };
    match text.trim() {
        "" => Ok(None),
        text => {
            let seconds: i32 = text.parse().map_err(|_| invalid())?;
            Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
        }
    }
}

fn one_of<const N: usize>(name: &'static str, value: &str, allowed: [&str; N]) -> Result<(), PostgresUriError> {
    if allowed.contains(&value) { Ok(()) } else { Err(value_error(name, allowed)) }
}

fn value_error<const N: usize>(parameter: &'static str, allowed: [&str; N]) -> PostgresUriError {
    PostgresUriError::Value { parameter, fix: format!("write {}", allowed.join(", ")) }
}

/// What a parameter's name looks like.
fn is_word(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=40).contains(&name.len()) && name.bytes().all(is_letter)
}
