//! ServiceAccounts: the pods have an identity and no token, because they never talk to the API server.
//!
//! Takes: the resource. Gives: one ServiceAccount per part. Does not: grant anything.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::Part,
};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, part: Part) -> Child {
    let content = json!({"automountServiceAccountToken": false});
    child(subject, Kind::ServiceAccount, Some(part), part.child_name(subject.name), content)
}
