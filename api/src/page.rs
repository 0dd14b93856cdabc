//! The pages behind the link in a mail.
//!
//! Takes: `GET /verify_email?email_id=..&secret_code=..`, as mails link to it. Gives: a page with one button that POSTs
//! to the same path, and the page that says how that went. Does not: verify on GET: mail scanners fetch links, and a
//! scanner must neither verify for a stranger nor use the code up.
//!
//! The address of the first page holds the code, so nothing of these pages is cached, framed, indexed or sent as
//! referrer.

use crate::{error::ApiError, link::MailLink, pb::VerifyEmailRequest, service::Service};
use askama::Template;
use axum::{
    extract::{OriginalUri, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use std::sync::Arc;

/// Headers of every page. Styles are inline; scripts, images and everything else are forbidden.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The page with the button.
#[derive(Template)]
#[template(path = "verify_email.html")]
struct Question {
    email_id: i64,
    secret_code: String,
    /// Where the button leads, from the page's own address: a proxy may have put a path before it.
    action: &'static str,
}

/// The page with the result.
#[derive(Template)]
#[template(path = "verify_email_result.html")]
struct Answer {
    title: &'static str,
    text: &'static str,
}

/// `GET /verify_email`: asks.
pub(crate) async fn ask(uri: OriginalUri, link: Result<MailLink, ApiError>) -> Response {
    let action = if uri.path().ends_with('/') { "../verify_email" } else { "verify_email" };
    match link {
        Ok(MailLink(VerifyEmailRequest { email_id, secret_code })) => {
            page(StatusCode::OK, &Question { email_id, secret_code, action })
        }
        Err(error) => refuse(&error),
    }
}

/// `POST /verify_email`: verifies and answers with the result.
pub(crate) async fn answer(State(service): State<Arc<Service>>, link: Result<MailLink, ApiError>) -> Response {
    let verified = async { service.verify_email(link?.0).await };
    match verified.await {
        Ok(_verified) => page(
            StatusCode::OK,
            &Answer { title: "Your email address is verified", text: "Thank you. You can close this page." },
        ),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &ApiError) -> Response {
    error.log_cause();
    let (title, text) = match error {
        ApiError::LinkExpired => ("This link has expired", "Ask for a new verification email and use its link."),
        ApiError::LinkUsed => ("This link was used before", "Ask for a new verification email and use its link."),
        ApiError::AddressChanged => {
            ("This link is no longer valid", "Your account has another email address by now. Use the newest email.")
        }
        error if error.is_temporary() => ("Please try again", "We could not answer just now. Your link stays valid."),
        error => ("This link is not valid", what_is_wrong(error)),
    };
    let mut response = page(error.status(), &Answer { title, text });
    error.write_headers(response.headers_mut());
    response
}

/// In words for the person who opened it; parts are named as they stand in the link.
fn what_is_wrong(error: &ApiError) -> &'static str {
    let is_wrong = |field| matches!(error, ApiError::Invalid(wrong) if wrong.iter().any(|one| one.field == field));
    match (is_wrong("email_id") || matches!(error, ApiError::EmailId), is_wrong("secret_code"), error) {
        (true, true, _) => {
            "Its end is missing, from email_id= on. Copy the whole link out of the email, down to its last letter."
        }
        (true, false, _) => {
            "The number after email_id= is missing or is no number. Copy the link again, exactly as it is in the email."
        }
        (false, true, _) => {
            "The 32 letters after secret_code= are not all there, or there are more. Where the email breaks the link \
             into two lines, put both into the address bar, with nothing between them."
        }
        (_, _, ApiError::Malformed { .. }) => {
            "A part of it is there twice, or holds signs that no link of ours has. Copy the link again out of the \
             email."
        }
        _ => {
            "It is whole, but no email of ours has this one: a letter of it may have changed, or a newer email \
             replaced it. Open the newest email, and copy the link out of it."
        }
    }
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => return ApiError::Internal(Some(Box::new(error))).into_response(),
    };
    let mut response = (status, Html(html)).into_response();
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
