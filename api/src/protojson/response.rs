//! Answers as grpc-gateway v2.10 writes them.
//!
//! Takes: a message. Gives: its JSON: snake_case, zero values omitted, timestamps as RFC 3339 with 0, 3, 6 or 9 digits.
//! Does not: read any.

use super::ProtoJson;
use crate::pb;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

impl IntoResponse for ProtoJson<pb::CreateUserResponse> {
    fn into_response(self) -> Response {
        Json(self.0.user.as_ref().map_or_else(|| json!({}), |user| json!({"user": self::user(user)}))).into_response()
    }
}

impl IntoResponse for ProtoJson<pb::CorrectEmailResponse> {
    fn into_response(self) -> Response {
        Json(self.0.user.as_ref().map_or_else(|| json!({}), |user| json!({"user": self::user(user)}))).into_response()
    }
}

impl IntoResponse for ProtoJson<pb::ResendVerificationResponse> {
    fn into_response(self) -> Response {
        Json(json!({})).into_response()
    }
}

impl IntoResponse for ProtoJson<pb::VerifyEmailResponse> {
    fn into_response(self) -> Response {
        Json(verification(self.0.is_verified)).into_response()
    }
}

impl IntoResponse for ProtoJson<pb::VerifyCodeResponse> {
    fn into_response(self) -> Response {
        Json(verification(self.0.is_verified)).into_response()
    }
}

fn verification(is_verified: bool) -> Value {
    if is_verified { json!({"is_verified": true}) } else { json!({}) }
}

fn user(user: &pb::User) -> Value {
    let mut object = Map::new();
    for (name, text) in [("username", &user.username), ("full_name", &user.full_name), ("email", &user.email)] {
        if !text.is_empty() {
            object.insert(name.into(), text.as_str().into());
        }
    }
    let times = [("password_changed_at", &user.password_changed_at), ("created_at", &user.created_at)];
    for (name, time) in times {
        if let Some(time) = time.as_ref().and_then(timestamp) {
            object.insert(name.into(), time.into());
        }
    }
    object.into()
}

/// RFC 3339 in UTC with as few digits as the value needs, in groups of three; `None` outside the years 1 to 9999.
fn timestamp(time: &prost_types::Timestamp) -> Option<String> {
    let instant = jiff::Timestamp::new(time.seconds, time.nanos).ok()?;
    let digits = match time.nanos {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1_000 == 0 => 6,
        _ => 9,
    };
    Some(format!("{instant:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_zero_three_six_or_nine_digits() {
        for (seconds, nanos, text) in [
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (1_674_463_519, 123_456_000, "2023-01-23T08:45:19.123456Z"),
            (1_674_463_519, 120_000_000, "2023-01-23T08:45:19.120Z"),
            (1_674_463_519, 1, "2023-01-23T08:45:19.000000001Z"),
        ] {
            assert_eq!(timestamp(&prost_types::Timestamp { seconds, nanos }).as_deref(), Some(text));
        }
    }

    #[test]
    fn zero_values_are_omitted() {
        assert_eq!(verification(false), json!({}));
        assert_eq!(user(&pb::User { username: "a".into(), ..Default::default() }), json!({"username": "a"}));
    }
}
