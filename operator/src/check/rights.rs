//! May the operator do its work?
//!
//! Takes: an operator, and the API server's answers. Gives: the questions, and lines. Pure. Does not: ask. That the
//! chart grants what is asked for here is a test below; that it grants no more is one of the charts'.

use super::{line::Line, process::Operator};
use k8s_openapi::api::authorization::v1::ResourceAttributes;

const ALL: &[&str] = &["get", "list", "watch", "create", "patch"];
const AND_DELETE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// Group, resource with its subresource, verbs: what the operator does in a namespace that it serves.
const WORK: &[(&str, &str, &[&str])] = &[
    ("signup.dev", "signuppipelines", &["get", "list", "watch"]),
    ("signup.dev", "signuppipelines/status", &["patch"]),
    ("signup.dev", "signuppipelines/finalizers", &["update"]),
    ("", "secrets", &["get", "create"]),
    ("", "namespaces", &["get"]),
    ("", "configmaps", ALL),
    ("", "services", ALL),
    ("", "serviceaccounts", ALL),
    ("apps", "deployments", ALL),
    ("apps", "deployments/scale", &["patch"]),
    ("autoscaling", "horizontalpodautoscalers", AND_DELETE),
    ("", "pods", &["list", "watch", "patch"]),
    ("policy", "poddisruptionbudgets", AND_DELETE),
    ("networking.k8s.io", "networkpolicies", AND_DELETE),
    ("networking.k8s.io", "ingresses", AND_DELETE),
    ("gateway.networking.k8s.io", "httproutes", AND_DELETE),
    ("gateway.networking.k8s.io", "gateways", &["get"]),
    ("monitoring.coreos.com", "podmonitors", AND_DELETE),
    ("monitoring.coreos.com", "servicemonitors", &["list", "watch"]),
    ("", "events", &["list"]),
    ("events.k8s.io", "events", &["create", "patch"]),
];

/// What else it does where it watches Secrets.
const SECRETS_WATCHED: (&str, &str, &[&str]) = ("", "secrets", &["list", "watch"]);

/// One question to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) verb: &'static str,
}

impl Right {
    /// As the API server wants to be asked.
    pub(super) fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (self.resource, None),
        };
        ResourceAttributes {
            group: Some(self.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: subresource.map(str::to_owned),
            verb: Some(self.verb.to_owned()),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        }
    }

    fn place(&self) -> String {
        self.namespace.as_ref().map_or("every namespace".to_owned(), |namespace| format!("namespace {namespace}"))
    }
}

/// Everything that an operator needs.
pub(super) fn needed(operator: &Operator) -> Vec<Right> {
    let more = operator.watches_secrets.then_some(&SECRETS_WATCHED);
    let work = WORK.iter().chain(more).flat_map(|(group, resource, verbs)| {
        verbs.iter().map(|verb| Right { namespace: operator.serves.clone(), name: None, group, resource, verb })
    });
    let lease = |verb, name| Right {
        namespace: Some(operator.namespace()),
        name,
        group: "coordination.k8s.io",
        resource: "leases",
        verb,
    };
    let named = |verb| lease(verb, Some(operator.lease.clone()));
    work.chain([lease("create", None), named("get"), named("update")]).collect()
}

/// Name of the operator's account, as the API server knows it.
pub(super) fn user(operator: &Operator) -> String {
    format!("system:serviceaccount:{}:{}", operator.namespace(), operator.account)
}

/// Judges the answers: which of the rights are denied. `None`: the caller may not ask.
pub(super) fn judge(operator: &Operator, denied: Option<&[Right]>) -> Vec<Line> {
    let subject = format!("rights of {}/{}", operator.namespace(), operator.account);
    let Some(denied) = denied else {
        let fix = "look with an account that may create subjectaccessreviews.authorization.k8s.io, or in the \
            operator's pod (`kubectl exec`)";
        return vec![Line::warning(subject, "you may not ask for them", fix)];
    };
    if denied.is_empty() {
        return vec![Line::ok(subject, format!("all {} that it needs", needed(operator).len()))];
    }
    // Rights on one resource stand together.
    denied
        .chunk_by(|one, next| one.resource == next.resource && one.group == next.group)
        .map(|rights| {
            let (first, verbs) = (&rights[0], rights.iter().map(|right| right.verb).collect::<Vec<_>>().join(", "));
            let group = if first.group.is_empty() { String::new() } else { format!(".{}", first.group) };
            let message = format!("it may not {verbs} {}{group} in {}", first.resource, first.place());
            let fix = "upgrade the chart signup-operator with rbac.create true, or grant this to the ServiceAccount";
            Line::error(subject.as_str(), message, fix)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::line::Level;
    use std::collections::BTreeSet;

    fn operator(serves: Option<&str>) -> Operator {
        let mut operator = Operator::new(Default::default());
        operator.deployment.metadata.namespace = Some("system".into());
        operator.serves = serves.map(str::to_owned);
        operator
    }

    #[test]
    fn the_chart_grants_what_is_asked_for() {
        let template = include_str!("../../../charts/signup-operator/templates/_rules.tpl");
        let yaml: String = template
            .lines()
            .skip_while(|line| !line.starts_with("- "))
            .filter(|line| !line.starts_with("{{"))
            // What is granted by default: a value of the chart adds verbs.
            .map(|line| match (line.split_once("{{ if"), line.split_once("{{ end }}")) {
                (Some((before, _)), Some((_, after))) => format!("{before}{after}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let rules: serde_json::Value = serde_yaml::from_str(&yaml).expect("the rules are YAML");
        let texts = |value: &serde_json::Value| {
            value
                .as_array()
                .expect("a list")
                .iter()
                .map(|text| text.as_str().expect("text").to_owned())
                .collect::<Vec<_>>()
        };
        let mut granted = BTreeSet::new();
        for rule in rules.as_array().expect("a list") {
            for resource in texts(&rule["resources"]) {
                granted.extend(
                    texts(&rule["verbs"])
                        .into_iter()
                        .map(|verb| (texts(&rule["apiGroups"])[0].clone(), resource.clone(), verb)),
                );
            }
        }
        let text =
            |(group, resource, verb): (&str, &str, &str)| (group.to_owned(), resource.to_owned(), verb.to_owned());
        let asked: BTreeSet<_> = WORK
            .iter()
            .chain([&SECRETS_WATCHED])
            .flat_map(|(group, resource, verbs)| verbs.iter().map(move |verb| text((group, resource, verb))))
            .collect();
        assert_eq!(asked, granted);
    }

    #[test]
    fn the_right_to_list_secrets_is_asked_for_where_they_are_watched_alone() {
        let mut operator = operator(None);
        let lists = |right: &Right| right.resource == "secrets" && right.verb == "list";
        assert!(!needed(&operator).iter().any(lists));
        operator.watches_secrets = true;
        assert!(needed(&operator).iter().any(lists));
    }

    #[test]
    fn denied_verbs_of_one_resource_stand_in_one_line() {
        let operator = operator(Some("shop"));
        let denied: Vec<Right> = needed(&operator)
            .into_iter()
            .filter(|right| right.resource == "configmaps" || right.resource == "leases")
            .collect();
        let lines = judge(&operator, Some(&denied));
        let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "it may not get, list, watch, create, patch configmaps in namespace shop",
                "it may not create, get, update leases.coordination.k8s.io in namespace system",
            ]
        );
    }

    #[test]
    fn all_rights_are_one_line_and_no_answer_is_a_warning() {
        let operator = operator(None);
        assert_eq!(judge(&operator, Some(&[]))[0].level, Level::Ok);
        assert_eq!(judge(&operator, None)[0].level, Level::Warning);
        assert!(
            needed(&operator).iter().filter(|right| right.resource == "secrets").all(|right| right.namespace.is_none())
        );
    }

    #[test]
    fn a_subresource_is_asked_for_as_such() {
        let right = Right { namespace: None, name: None, group: "apps", resource: "deployments/scale", verb: "patch" };
        let attributes = right.attributes();
        assert_eq!(
            (attributes.resource.as_deref(), attributes.subresource.as_deref()),
            (Some("deployments"), Some("scale"))
        );
    }
}
