//! What clients are told.

use super::*;
use serde_json::{Value, json};

fn body(error: &ApiError) -> Value {
    serde_json::to_value(error.body()).expect("JSON")
}

#[test]
fn an_error_without_details_has_no_details_key() {
    assert_eq!(body(&ApiError::NoSuchPath), json!({"code": 5, "message": "Not Found"}));
    assert_eq!(body(&ApiError::NoSuchMethod), json!({"code": 12, "message": "Method Not Allowed"}));
}

#[test]
fn a_cause_is_not_shown_to_the_client() {
    let cause = "connection to 10.0.0.7 refused".into();
    let error = ApiError::Unavailable(Some(cause));
    assert_eq!(body(&error), json!({"code": 14, "message": "database is unavailable, try again"}));
}

#[test]
fn waiting_times_are_rounded_up() {
    for (milliseconds, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (6000, 6)] {
        assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds);
    }
}
