//! The task that `api` enqueues and `worker` handles: the contract between the two, and with the Go program.
//!
//! Takes and gives: JSON bytes. Does not: carry the address, the name or the code; the worker reads those from the
//! database, so that a task in Redis holds nothing secret and nothing stale.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// asynq's type of the task, as in the Go program.
pub const KIND: &str = "task:send_verify_email";

/// The payload. The Go program's has only a user name; unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Whose address is to be verified.
    pub username: String,
    /// The intent to settle; absent in tasks of a Go producer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<Uuid>,
}

/// The payload is not ours.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the payload of {KIND}")]
pub struct PayloadError(#[source] serde_json::Error);

impl Payload {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when it is no JSON object with a text `username` or when `intent_id` is no UUID.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PayloadError> {
        serde_json::from_slice(bytes).map_err(PayloadError)
    }

    /// Writes the payload: `{"username":"alice1","intent_id":"0198..."}`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of text fields always has a JSON form")
    }

    /// What logs show of it, the Go program's form: `{"username":"alice1"}`.
    pub fn for_logs(&self) -> String {
        serde_json::json!({ "username": self.username }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_producers_payload_is_read() {
        let payload = Payload::from_json(br#"{"username":"alice1"}"#).expect("valid");
        assert_eq!(payload, Payload { username: "alice1".into(), intent_id: None });
        assert_eq!(payload.to_json(), br#"{"username":"alice1"}"#);
    }

    #[test]
    fn ours_comes_back_and_logs_show_the_username_only() {
        let payload = Payload { username: "alice1".into(), intent_id: Some(Uuid::from_u128(7)) };
        assert_eq!(Payload::from_json(&payload.to_json()).expect("own form"), payload);
        assert_eq!(payload.for_logs(), r#"{"username":"alice1"}"#);
    }

    #[test]
    fn other_bytes_are_an_error() {
        for bytes in [&b""[..], b"null", b"{}", br#"{"username":1}"#, br#"{"username":"a","intent_id":"x"}"#, b"\xff"] {
            assert!(Payload::from_json(bytes).is_err(), "{bytes:?}");
        }
    }
}
