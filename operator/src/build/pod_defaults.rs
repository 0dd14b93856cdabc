//! What pods have when the resource does not say: numbered, because a new default would restart every pod of every
//! pipeline at the next upgrade of the operator. Pods keep the defaults that they were made with until they are
//! replaced for another reason (docs/decisions/0005).
//!
//! Takes: an observed Deployment. Gives: the number of its defaults, and what depends on it. Does not: decide when pods
//! are replaced (`controller::apply::restarts` does).

use super::names::{self, Component, POD_DEFAULTS};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::{Value, json};

/// Those of Deployments that tell no number.
const FIRST: u32 = 1;
/// Pods spread over nodes and zones.
const SPREAD: u32 = 2;
/// Those of new Deployments.
pub const NEWEST: u32 = SPREAD;

/// The defaults that the pods of a Deployment keep; `None`: the newest.
pub fn kept(deployment: &DynamicObject) -> Option<u32> {
    let told = deployment.annotations().get(POD_DEFAULTS).and_then(|number| number.parse().ok());
    Some(told.unwrap_or(FIRST)).filter(|number| *number < NEWEST)
}

/// What tells the number; the first have none, so that an upgrade writes nothing.
pub(super) fn annotation(defaults: u32) -> Option<(String, String)> {
    (defaults > FIRST).then(|| (POD_DEFAULTS.to_owned(), defaults.to_string()))
}

/// Spread over nodes and zones where that is possible: one that is lost takes as few pods as can be. Pods of another
/// template are not counted, so that a roll-out ends as even as it began.
pub(super) fn topology_spread_constraints(defaults: u32, pipeline: &str, component: Component) -> Option<Value> {
    let spread = |key| {
        json!({
            "topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": names::selector(pipeline, component)},
            "matchLabelKeys": ["pod-template-hash"],
        })
    };
    (defaults >= SPREAD).then(|| json!([spread("kubernetes.io/hostname"), spread("topology.kubernetes.io/zone")]))
}
