//! Which pipeline answers to a host and path that several ask for.
//!
//! Takes: a pipeline, and all that the operator sees. Gives: the older one that keeps the host and path, and those
//! whose paths hold this one's or are held by it. The rule is that of Gateway API for routes in conflict: the older
//! wins, and of two of the same second the first by `namespace/name`. Pure. Does not: see pipelines of other operators.

use super::reason::{Finding, condition::EXPOSED};
use crate::{
    build::child::{Child, Kind},
    crd::{SignupPipeline, exposure::Expose},
};
use jiff::Timestamp;
use kube::ResourceExt;
use std::{borrow::Borrow, cmp::Reverse};

/// The other pipelines of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The older pipeline (`namespace/name`) with the same host and path.
    keeper: Option<String>,
    /// Paths that hold this one's or are held by it, each with its pipeline.
    nested: Vec<(String, String)>,
}

impl Neighbours {
    /// Looks at all pipelines, of which `pipeline` may be one.
    pub fn look<P: Borrow<SignupPipeline>>(pipeline: &SignupPipeline, all: &[P]) -> Self {
        let Some(own) = &pipeline.spec.expose else { return Self::default() };
        let others = all.iter().map(Borrow::borrow).filter_map(|other| Some((other, other.spec.expose.as_ref()?)));
        let of_host: Vec<(&SignupPipeline, &Expose)> =
            others.filter(|(other, expose)| expose.host == own.host && title(other) != title(pipeline)).collect();
        let same = of_host.iter().filter(|(_, expose)| path(expose) == path(own)).map(|(other, _)| *other);
        let keeper = same.chain([pipeline]).min_by_key(|one| seniority(one)).map(title);
        let nested =
            of_host.iter().filter(|(_, expose)| holds(path(expose), path(own)) || holds(path(own), path(expose)));
        let mut nested: Vec<_> = nested.map(|(other, expose)| (expose.path.clone(), title(other))).collect();
        nested.sort_by_key(|(path, title)| (Reverse(path.len()), title.clone()));
        Self { keeper: keeper.filter(|keeper| *keeper != title(pipeline)), nested }
    }

    /// Nothing, or that an older pipeline has this one's host and path, with the kind that is not made for it.
    pub fn finding(&self, pipeline: &SignupPipeline) -> Option<(Kind, Finding)> {
        let (keeper, expose) = (self.keeper.as_ref()?, pipeline.spec.expose.as_ref()?);
        let kind = if expose.ingress.is_some() { Kind::Ingress } else { Kind::HttpRoute };
        Some((kind, Finding::host_shared(keeper, &expose.host, &expose.path)))
    }

    /// Takes out what is not made while another pipeline has the host and path.
    pub fn restrict(&self, children: &mut Vec<Child>) {
        children.retain(|child| self.keeper.is_none() || !child.kind.is_exposure());
    }

    /// What has to be known of paths within paths, to stand after a message; empty when there is nothing.
    pub fn note(&self) -> String {
        let note = |(path, pipeline): &(String, String)| format!("; {path} of this host is pipeline {pipeline}'s");
        self.nested.iter().map(note).collect()
    }
}

/// Whether a change of `pipeline` matters to `other`: they ask for the same host, or the status of `other` names it.
pub fn concerns(other: &SignupPipeline, pipeline: &SignupPipeline) -> bool {
    let Some(own) = &other.spec.expose else { return false };
    let same_host = pipeline.spec.expose.as_ref().is_some_and(|expose| expose.host == own.host);
    let names_it = || {
        let (title, conditions) = (title(pipeline), other.status.iter().flat_map(|status| &status.conditions));
        let exposed = conditions.into_iter().find(|condition| condition.type_ == EXPOSED);
        exposed.is_some_and(|exposed| exposed.message.contains(&title))
    };
    same_host || names_it()
}

fn title(pipeline: &SignupPipeline) -> String {
    format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any())
}

/// The smaller is the older.
fn seniority(pipeline: &SignupPipeline) -> (Option<Timestamp>, String) {
    (pipeline.metadata.creation_timestamp.as_ref().map(|time| time.0), title(pipeline))
}

/// A path as Ingress and HTTPRoute compare it, element by element: `/signup/` is `/signup`, and `/` is nothing.
fn path(expose: &Expose) -> &str {
    expose.path.trim_end_matches('/')
}

fn holds(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    fn pipeline(name: &str, second: i64, path: &str) -> SignupPipeline {
        let text = include_str!("../../../samples/minimal.yaml");
        let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        let metadata = &mut pipeline.metadata;
        (metadata.namespace, metadata.name) = (Some("shop".to_owned()), Some(name.to_owned()));
        metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).expect("a time")));
        let expose = json!({"host": "app.example.com", "path": path, "ingress": {}});
        pipeline.spec.expose = Some(serde_json::from_value(expose).expect("it is valid"));
        pipeline
    }

    fn keeper(all: &[SignupPipeline], of: usize) -> Option<String> {
        Neighbours::look(&all[of], all).keeper
    }

    #[test]
    fn the_oldest_keeps_a_host_and_path_and_of_the_same_second_the_first_by_name() {
        let all = [pipeline("c", 20, "/"), pipeline("b", 10, "/"), pipeline("a", 20, "/")];
        assert_eq!([0, 1, 2].map(|of| keeper(&all, of)), [Some("shop/b".into()), None, Some("shop/b".into())]);
        assert_eq!([0, 1].map(|of| keeper(&[all[0].clone(), all[2].clone()], of)), [Some("shop/a".into()), None]);
        assert_eq!(keeper(&[pipeline("a", 1, "/signup/"), pipeline("b", 2, "/signup")], 1), Some("shop/a".into()));
    }

    #[test]
    fn other_hosts_and_paths_are_free_and_paths_within_paths_are_told_to_both() {
        let mut elsewhere = pipeline("d", 1, "/");
        elsewhere.spec.expose.as_mut().expect("it is exposed").host = "other.example.com".to_owned();
        let all = [pipeline("a", 1, "/"), pipeline("b", 2, "/signup"), pipeline("c", 3, "/signups"), elsewhere];
        let notes = [0, 1, 2, 3].map(|of| {
            let neighbours = Neighbours::look(&all[of], &all);
            assert_eq!(neighbours.keeper, None);
            neighbours.note()
        });
        let [a, b, c, d] = notes;
        assert_eq!(a, "; /signups of this host is pipeline shop/c's; /signup of this host is pipeline shop/b's");
        assert_eq!((b.as_str(), c, d), ("; / of this host is pipeline shop/a's", b.clone(), String::new()));
    }
}
