//! The body of an error answer.
//!
//! Takes: code, message, and what is known about the fields or the reason. Gives: the JSON that grpc-gateway writes,
//! and its schema. Does not: decide what an error says.

use serde::Serialize;
use tonic::Code;
use utoipa::ToSchema;

/// The `domain` of google.rpc.ErrorInfo details.
pub(super) const DOMAIN: &str = "signup.dev";

// Here and below, keys are in the order of the alphabet, as they have always been sent.
/// An error (google.rpc.Status).
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Body {
    /// The gRPC code.
    code: i32,
    /// At most one; absent where nothing more is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    details: Option<[Detail; 1]>,
    /// For people, in English.
    message: String,
}

/// What a program can act on: the fields that break their rules, or the reason of a refusal.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ErrorDetail)]
enum Detail {
    /// Fields that break their rules, all of them (google.rpc.BadRequest).
    Fields(WrongFields),
    /// Why it is refused (google.rpc.ErrorInfo).
    Reason(Reason),
}

#[derive(Serialize, ToSchema)]
#[schema(as = BadRequest)]
struct WrongFields {
    /// The type of the detail.
    #[serde(rename = "@type")]
    #[schema(pattern = "/google\\.rpc\\.BadRequest$")]
    kind: &'static str,
    /// One for each field.
    field_violations: Vec<WrongField>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FieldViolation)]
struct WrongField {
    /// What the field must be; never its value.
    description: String,
    /// The name of the field in the request.
    field: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorInfo)]
struct Reason {
    /// The type of the detail.
    #[serde(rename = "@type")]
    #[schema(pattern = "/google\\.rpc\\.ErrorInfo$")]
    kind: &'static str,
    /// Whose reasons these are.
    domain: &'static str,
    /// Capital letters and underscores, such as LINK_EXPIRED.
    reason: &'static str,
}

impl Body {
    pub(super) fn new(code: Code, message: String) -> Self {
        Self { code: code as i32, details: None, message }
    }

    /// With the fields that break their rules, if there are some.
    pub(super) fn with_fields(mut self, violations: Vec<(&'static str, &str)>) -> Self {
        let violation = |(field, description): (_, &str)| WrongField { description: description.to_owned(), field };
        let field_violations: Vec<WrongField> = violations.into_iter().map(violation).collect();
        if !field_violations.is_empty() {
            let kind = "type.googleapis.com/google.rpc.BadRequest";
            self.details = Some([Detail::Fields(WrongFields { kind, field_violations })]);
        }
        self
    }

    /// With the reason, if there is one and nothing better is known.
    pub(super) fn with_reason(mut self, reason: Option<&'static str>) -> Self {
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        let reason = reason.map(|reason| [Detail::Reason(Reason { kind, domain: DOMAIN, reason })]);
        self.details = self.details.or(reason);
        self
    }
}
