//! ServiceAccounts: the pods have an identity and no token, because they never talk to the API server.
//!
//! Takes: the resource. Gives: one ServiceAccount per component. Does not: grant anything.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::Component,
};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn build(subject: &Subject<'_>, component: Component) -> Child {
    let content = json!({"automountServiceAccountToken": false});
    let given = match component {
        Component::Api => &subject.spec.api.service_account,
        Component::Worker => &subject.spec.worker.service_account,
    };
    child(subject, Kind::ServiceAccount, Some(component), component.child_name(subject.name), content)
        .with(&BTreeMap::new(), &given.annotations)
}
