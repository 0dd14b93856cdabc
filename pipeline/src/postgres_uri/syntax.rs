//! From text to pairs of a keyword and a value, in the two grammars of libpq.
//!
//! Takes: a URI or `keyword=value` pairs. Gives: the pairs in the order of the text, decoded; a later one replaces an
//! earlier one. Does not: know keywords.
//!
//! Wider than libpq in two places where it would fail later: the scheme may have capital letters, and an `@` of the
//! password that is not percent-encoded does not become a part of the host.

use super::PostgresUriError;
use std::{iter::Peekable, str::Chars};

/// Keywords and values.
pub(super) type Pairs = Vec<(String, String)>;

/// Reads either grammar; libpq takes for pairs what has no scheme and an `=`.
pub(super) fn pairs(text: &str) -> Result<Pairs, PostgresUriError> {
    if text.is_empty() {
        return Err(PostgresUriError::Empty);
    }
    if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("jdbc:")) {
        return Err(PostgresUriError::Jdbc);
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    {
        return match scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => uri(rest),
            other if other.starts_with("postgres+") || other.starts_with("postgresql+") => {
                Err(PostgresUriError::Dialect)
            }
            _ => Err(PostgresUriError::Scheme),
        };
    }
    // A line of an environment file with its quotes, or JSON, as AWS stores credentials: no keyword begins so.
    let is_wrapped = text.starts_with(['"', '\'', '`', '{']);
    if text.contains('=') && !is_wrapped { keyword_value(text) } else { Err(PostgresUriError::NoUri) }
}

fn uri(text: &str) -> Result<Pairs, PostgresUriError> {
    let mut pairs = Pairs::new();
    let rest = match user_end(text) {
        None => text,
        Some(end) => {
            let (user, password) = text[..end].split_once(':').unwrap_or((&text[..end], ""));
            for (keyword, value) in [("user", user), ("password", password)] {
                store(&mut pairs, keyword, value)?;
            }
            &text[end + 1..]
        }
    };
    let rest = servers(rest, &mut pairs)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    store(&mut pairs, "dbname", path.strip_prefix('/').unwrap_or_default())?;
    if !query.is_empty() {
        query_pairs(query, &mut pairs)?;
    }
    Ok(pairs)
}

/// Where the `@` behind user and password is. libpq takes the first; a host never has one, so a further one before the
/// host's end belongs to the password.
fn user_end(text: &str) -> Option<usize> {
    let start = text.split('/').next().unwrap_or_default();
    let mut end = start.find('@')?;
    loop {
        let host = start[end + 1..].split('?').next().unwrap_or_default();
        match host.rfind('@') {
            None => return Some(end),
            Some(further) => end += 1 + further,
        }
    }
}

/// Reads `host:port,[address]:port`; gives what follows them.
fn servers<'a>(text: &'a str, pairs: &mut Pairs) -> Result<&'a str, PostgresUriError> {
    let (mut hosts, mut ports) = (String::new(), String::new());
    let mut rest = text;
    loop {
        let (host, after) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (address, after) = inside.split_once(']').ok_or(PostgresUriError::Brackets)?;
                if address.is_empty() || !(after.is_empty() || after.starts_with([':', '/', '?', ','])) {
                    return Err(PostgresUriError::Brackets);
                }
                (address, after)
            }
            None => rest.split_at(rest.find([':', '/', '?', ',']).unwrap_or(rest.len())),
        };
        hosts.push_str(host);
        rest = after;
        if let Some(port) = after.strip_prefix(':') {
            let (port, after) = port.split_at(port.find(['/', '?', ',']).unwrap_or(port.len()));
            ports.push_str(port);
            rest = after;
        }
        let Some(next) = rest.strip_prefix(',') else { break };
        hosts.push(',');
        ports.push(',');
        rest = next;
    }
    store(pairs, "host", &hosts)?;
    store(pairs, "port", &ports)?;
    Ok(rest)
}

/// Nothing is stored for what is left empty.
fn store(pairs: &mut Pairs, keyword: &str, value: &str) -> Result<(), PostgresUriError> {
    if !value.is_empty() {
        pairs.push((keyword.to_owned(), decode(value)?));
    }
    Ok(())
}

fn query_pairs(query: &str, pairs: &mut Pairs) -> Result<(), PostgresUriError> {
    let is_last_empty = query.ends_with('&');
    let query = if is_last_empty { &query[..query.len() - 1] } else { query };
    for parameter in query.split('&') {
        let (keyword, value) = parameter.split_once('=').ok_or(PostgresUriError::Separator)?;
        if value.contains('=') {
            return Err(PostgresUriError::Separator);
        }
        let (keyword, value) = (decode(keyword)?, decode(value)?);
        // JDBC's way to ask for TLS, which libpq understands in URIs.
        let is_jdbc_tls = keyword == "ssl" && value == "true";
        pairs.push(if is_jdbc_tls { ("sslmode".into(), "require".into()) } else { (keyword, value) });
    }
    Ok(())
}

/// Replaces `%41` by `A`; a `+` stays one.
fn decode(text: &str) -> Result<String, PostgresUriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(PostgresUriError::Escape) };
        match u8::try_from(high * 16 + low) {
            Ok(0) | Err(_) => return Err(PostgresUriError::Escape),
            Ok(decoded) => bytes.push(decoded),
        }
    }
    String::from_utf8(bytes).map_err(|_| PostgresUriError::Escape)
}

/// `host=db user = 'app' password='it\'s'`.
fn keyword_value(text: &str) -> Result<Pairs, PostgresUriError> {
    let mut pairs = Pairs::new();
    let mut rest = text.chars().peekable();
    loop {
        skip_space(&mut rest);
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let mut keyword = String::new();
        while let Some(next) = rest.next_if(|next| *next != '=' && !is_space(*next)) {
            keyword.push(next);
        }
        skip_space(&mut rest);
        if rest.next() != Some('=') {
            return Err(PostgresUriError::Separator);
        }
        skip_space(&mut rest);
        pairs.push((keyword, value(&mut rest)?));
    }
}

/// A value in quotes or up to the next white space; a backslash keeps the character behind it.
fn value(rest: &mut Peekable<Chars<'_>>) -> Result<String, PostgresUriError> {
    let is_quoted = rest.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    while let Some(next) = rest.next() {
        match next {
            '\\' => value.extend(rest.next()),
            '\'' if is_quoted => return Ok(value),
            next if !is_quoted && is_space(next) => return Ok(value),
            next => value.push(next),
        }
    }
    if is_quoted { Err(PostgresUriError::Quote) } else { Ok(value) }
}

fn skip_space(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|next| is_space(*next)).is_some() {}
}

/// C's `isspace`.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}
