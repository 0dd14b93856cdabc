//! The description of the HTTP interface: OpenAPI 3.1, made from the handlers and messages.
//!
//! Takes: what [`crate::router`] collected of its handlers. Gives: `GET /openapi.json`, the proto file beside it, and
//! the answers that many calls share. Does not: describe the pages, which are for people.

use crate::error;
use axum::{Router, body::Bytes, http::header, response::IntoResponse, routing::get};
use std::collections::BTreeMap;
use utoipa::{
    IntoParams, IntoResponses, OpenApi, ToSchema as _,
    openapi::{self, Content, Header, Ref, RefOr, Response, ResponseBuilder, Type, schema::ObjectBuilder},
};

/// The gRPC interface, as clients are generated from it.
const PROTO: &str = include_str!("../proto/simplebank.proto");

/// What stands above the calls.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Signup",
        description = "Signup and verification of an address. Errors are google.rpc.Status; each 429, 503 and 504 says \
                       in Retry-After when to come again. 500 is a defect, and no call is documented to have one.",
    ),
    components(schemas(error::Body))
)]
pub(crate) struct About;

/// Serves what is described.
pub(crate) fn serve<S: Clone + Send + Sync + 'static>(described: &openapi::OpenApi) -> Router<S> {
    // It has no key that is no text, which is all that can fail here.
    let text = Bytes::from(described.to_pretty_json().unwrap_or_default() + "\n");
    let json = move || async { ([(header::CONTENT_TYPE, "application/json")], text).into_response() };
    let proto = || async { ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], PROTO) };
    Router::new().route("/openapi.json", get(json)).route("/simplebank.proto", get(proto))
}

/// The header of a request that may be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the description alone is used; crate::idempotency reads the header")]
pub(crate) struct UnderKey {
    /// Under it the same request has the same answer for 24 hours, however often it is sent.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!#-+\\--:<-\\[\\]-~]+$")]
    key: Option<String>,
}

/// Answers to a request whose body cannot be read.
pub(crate) struct OfBody;

impl IntoResponses for OfBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        answers([
            ("408", error("The body took more than 10 s.")),
            ("413", error("The body has more than 64 KiB.")),
            ("415", error("The body is compressed, or is no JSON and says so.")),
        ])
    }
}

/// Answers to somebody who is to come again.
pub(crate) struct Later;

impl IntoResponses for Later {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let busy = error("Too many signups at once, or the database is away.");
        answers([("503", busy.header("Retry-After", seconds()))])
    }
}

/// Answers to somebody who asks too often.
pub(crate) struct TooMany;

impl IntoResponses for TooMany {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let many = error("Too many requests of one client address, mails to one address, or tries for one name.");
        answers([("429", many.header("Retry-After", seconds()))])
    }
}

fn answers<const N: usize>(answers: [(&str, ResponseBuilder); N]) -> BTreeMap<String, RefOr<Response>> {
    answers.into_iter().map(|(status, answer)| (status.to_owned(), answer.build().into())).collect()
}

fn error(description: &str) -> ResponseBuilder {
    let body = Content::new(Some(Ref::from_schema_name(error::Body::name())));
    ResponseBuilder::new().description(description).content("application/json", body)
}

fn seconds() -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build());
    header.description = Some("Whole seconds until the next try.".to_owned());
    header
}
