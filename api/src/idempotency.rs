//! Requests that are sent again: the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Takes: the header, as a string in quotes (RFC 9651, 3.3.3) or bare, as most clients write it. Gives: the key, and
//! which keys this process works on right now. Does not: remember what was answered; a row beside the user does, so
//! that every process knows it, and what was not committed is not remembered at all.

use crate::error::ApiError;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use parking_lot::Mutex;
use signup::{Keyed, Keys, Once};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// The header, and its name as a field of errors.
const NAME: &str = "Idempotency-Key";

/// Characters of the longest key.
const MAX_LENGTH: usize = 255;

/// A client's key, of 1 to 255 visible characters of ASCII, or that of a page's form and what the form says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    text: String,
    /// How long a request for another mail is known by it; `None`: for a day, as signups are.
    known_for: Option<Duration>,
}

/// The key of a request, if it has one; one that cannot be read is an error.
pub(crate) struct RequestKey(pub(crate) Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for RequestKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        IdempotencyKey::of(&parts.headers).map(Self)
    }
}

impl IdempotencyKey {
    /// Reads the header of a request, or the metadata of a call.
    ///
    /// # Errors
    ///
    /// [`ApiError::Malformed`], naming the header.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(NAME).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().and_then(Self::read).filter(|_| values.next().is_none());
        key.map(Some).ok_or_else(|| ApiError::Malformed {
            field: Some(NAME),
            problem: format!(
                "{NAME} must be given once, with 1 to {MAX_LENGTH} visible ASCII characters, quoted or not"
            ),
        })
    }

    /// Reads a key as it stands in the header; the form of a page has it, too.
    pub(crate) fn read(value: &str) -> Option<Self> {
        read(value).map(|text| Self { text, known_for: None })
    }

    /// That of a form which says this: a page that somebody goes back to and fills in otherwise sends another request.
    /// No header holds such a key, for it has line breaks.
    pub(crate) fn of_form(value: &str, says: &[&str]) -> Option<Self> {
        let says: String = says.iter().map(|said| format!("\n{}\n{said}", said.len())).collect();
        Some(Self { text: read(value)? + &says, known_for: None })
    }

    /// Known for a shorter time than a day by requests for another mail.
    pub(crate) fn known_for(self, known_for: Duration) -> Self {
        Self { known_for: Some(known_for), ..self }
    }

    /// What stands for it in the table and among those that are worked on.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Once::hash(&self.text)
    }

    /// What is stored of it and of a request that says this.
    pub(crate) fn once(&self, says: &[&str], keys: &Keys) -> Once {
        let key_id = keys.current_id().to_owned();
        let fingerprint = self.fingerprint(says, keys, &key_id).unwrap_or_default();
        let once = Once::new(&self.text, fingerprint, key_id);
        match self.known_for {
            Some(known_for) => once.known_for(known_for),
            None => once,
        }
    }

    /// Whether the request that came with this key before said this.
    pub(crate) fn came_with(&self, says: &[&str], keys: &Keys, before: &Keyed) -> bool {
        let ours = self.fingerprint(says, keys, &before.key_id);
        ours.is_some_and(|ours| ours[..] == *before.fingerprint)
    }

    /// Of what a request says, not of its bytes: a client may write its JSON anew.
    fn fingerprint(&self, says: &[&str], keys: &Keys, key_id: &str) -> Option<[u8; 32]> {
        keys.fingerprint(key_id, &[&[self.text.as_str()][..], says].concat())
    }
}

fn read(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    let key = match value.strip_prefix('"') {
        Some(rest) => quoted(rest)?,
        None => value.chars().all(|one| !matches!(one, '"' | '\\' | ',' | ';')).then(|| value.to_owned())?,
    };
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=MAX_LENGTH).contains(&key.len()) && is_visible(&key)).then_some(key)
}

/// The text after an opening quote, without the closing one and without escapes.
fn quoted(rest: &str) -> Option<String> {
    let (mut key, mut rest) = (String::new(), rest.chars());
    loop {
        match rest.next()? {
            '"' => return rest.next().is_none().then_some(key),
            '\\' => key.push(rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            one => key.push(one),
        }
    }
}

/// The keys that this process works on. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<[u8; 32]>>>);

/// A key that is worked on until this is dropped.
pub(crate) struct RunningKey {
    running: Running,
    key: [u8; 32],
}

impl Running {
    /// Begins to work on a key.
    ///
    /// # Errors
    ///
    /// [`ApiError::KeyRunning`].
    pub(crate) fn begin(&self, key: [u8; 32]) -> Result<RunningKey, ApiError> {
        let is_new = self.0.lock().insert(key);
        is_new.then(|| RunningKey { running: self.clone(), key }).ok_or(ApiError::KeyRunning)
    }

    /// Whether one is worked on.
    pub(crate) fn has(&self, key: [u8; 32]) -> bool {
        self.0.lock().contains(&key)
    }
}

impl Drop for RunningKey {
    fn drop(&mut self) {
        self.running.0.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_one_with_and_without_quotes() {
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e\"", "8e03978e"),
            (" \"a\\\"b\\\\c\" ", "a\"b\\c"),
            (&"k".repeat(255), &"k".repeat(255)),
        ] {
            assert_eq!(read(value).as_deref(), Some(key), "{value}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for value in
            ["", " ", "\"\"", "\"a", "a\"", "a b", "\"a b\"", "a,b", "a;p=1", "\"a\";p=1", "\"a\\b\"", "\"a\", \"b\""]
        {
            assert_eq!(read(value), None, "{value}");
        }
        assert_eq!(read(&"k".repeat(256)), None);
        let twice = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("idempotency-key"),
            "a".parse().expect("a value"),
        )]);
        let mut headers = twice.clone();
        headers.append("idempotency-key", "a".parse().expect("a value"));
        assert!(IdempotencyKey::of(&twice).is_ok() && IdempotencyKey::of(&headers).is_err());
    }

    #[test]
    fn the_key_of_a_form_is_another_one_for_whatever_else_it_says() {
        let of = |says: &[&str]| IdempotencyKey::of_form("\"k\"", says).expect("a key").hash();
        let all = [of(&["ab", "c"]), of(&["a", "bc"]), of(&["abc"]), of(&["ab\n1\nc"]), of(&[""]), Once::hash("k")];
        assert_eq!(HashSet::from(all).len(), all.len());
        assert_eq!(of(&["ab", "c"]), all[0]);
        assert!(IdempotencyKey::of_form("a b", &["c"]).is_none());
    }

    #[test]
    fn a_key_runs_once_until_it_is_dropped() {
        let running = Running::default();
        let Ok(first) = running.begin([1; 32]) else { panic!("it is new") };
        assert!(running.begin([1; 32]).is_err() && running.begin([2; 32]).is_ok());
        drop(first);
        assert!(running.begin([1; 32]).is_ok());
    }

    proptest! {
        #[test]
        fn every_header_is_a_key_or_none(value in "[ -~]{0,300}|[\"\\\\a ]{0,10}") {
            if let Some(key) = read(&value) {
                prop_assert!((1..=255).contains(&key.len()));
                let written = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
                prop_assert_eq!(read(&written), Some(key));
            }
        }
    }
}
