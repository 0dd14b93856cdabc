//! What network policies let through, and addresses of Services in a cluster of both families.

use super::operator_run::{MINIMAL, Run};
use k8s_openapi::{
    api::{
        core::v1::Service,
        networking::v1::{NetworkPolicy, NetworkPolicySpec},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;

fn spec(policy: &NetworkPolicy) -> &NetworkPolicySpec {
    policy.spec.as_ref().expect("it has a spec")
}

/// Ports of each rule of egress, with the protocol.
fn reached(policy: &NetworkPolicy) -> Vec<Vec<String>> {
    let rules = spec(policy).egress.iter().flatten();
    let ports = rules.map(|rule| {
        rule.ports.iter().flatten().map(|port| {
            let number = match &port.port {
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(name)) => name.clone(),
                None => "all".to_owned(),
            };
            format!("{number}/{}", port.protocol.as_deref().unwrap_or("none"))
        })
    });
    ports.map(Iterator::collect).collect()
}

/// A policy of `demo`, once its egress is that.
async fn policy_that_reaches(run: &Run, name: &str, expected: &[&[&str]]) -> NetworkPolicy {
    run.wait::<NetworkPolicy>(name, |policy| reached(policy) == expected).await
}

const DNS: &[&str] = &["53/UDP", "53/TCP"];

#[tokio::test]
async fn policies_reach_the_ports_of_the_uris_of_the_mail_server_and_of_the_breach_check_alone() {
    let mut run = Run::new().await;
    let hosts = "postgres://app:canary@[2001:db8::1]:6432,db.test:6433/app";
    run.secret("app-db", &[("uri", hosts)]).await;
    run.secret("app-redis", &[("uri", "redis+sentinel://:canary@[2001:db8::2]:26380/main/0?serverPort=6390")]).await;
    run.pipeline(MINIMAL).await;
    run.start();
    policy_that_reaches(&run, "demo-api", &[DNS, &["6390/TCP", "6432/TCP", "6433/TCP", "26380/TCP"]]).await;
    run.edit(json!({
        "mail": {"smtp": {"port": 2525}},
        "signup": {"password": {"breachCheck": {"url": "https://[2001:db8::3]:8443/range"}}},
    }))
    .await;
    let stores = ["6390/TCP", "6432/TCP", "6433/TCP"];
    let of_worker = [&["2525/TCP"], &stores[..], &["26380/TCP"]].concat();
    policy_that_reaches(&run, "demo-worker", &[DNS, &of_worker]).await;
    let of_api = [&stores[..], &["8443/TCP", "26380/TCP"]].concat();
    policy_that_reaches(&run, "demo-api", &[DNS, &of_api]).await;
    // Another Secret, other ports: no edit of the pipeline.
    run.secret("app-db", &[("uri", "postgres://app:canary@[2001:db8::1]/app")]).await;
    policy_that_reaches(&run, "demo-worker", &[DNS, &["2525/TCP", "5432/TCP", "6390/TCP", "26380/TCP"]]).await;
}

/// The rules leave out what the API server fills in (`protocol`), which must not look like a foreign change.
#[tokio::test]
async fn ports_of_dns_and_rules_of_a_pipelines_own_are_in_both_policies_and_written_once() {
    let run = Run::with_pipeline(MINIMAL).await;
    let (to, from) = (json!([{"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}}]), json!([{}]));
    let egress = json!([{"to": to, "ports": [{"port": 3128}, {"port": 9000, "endPort": 9010}]}]);
    run.edit(json!({"networkPolicy": {"dnsPorts": [53, 5353], "extraEgress": egress, "extraIngress": from}})).await;
    let dns: &[&str] = &["53/UDP", "53/TCP", "5353/UDP", "5353/TCP"];
    let own: &[&str] = &["3128/TCP", "9000/TCP"];
    let mut versions = Vec::new();
    for (name, needed) in [("demo-api", &["1/TCP", "5432/TCP"][..]), ("demo-worker", &["1/TCP", "587/TCP", "5432/TCP"])]
    {
        let policy = policy_that_reaches(&run, name, &[dns, needed, own]).await;
        let egress = serde_json::to_value(spec(&policy).egress.as_ref().expect("rules")).expect("JSON");
        assert_eq!(egress[2]["to"], to);
        let ingress = serde_json::to_value(spec(&policy).ingress.as_ref().expect("rules")).expect("JSON");
        assert_eq!(ingress.as_array().and_then(|rules| rules.last()), Some(&json!({})), "every peer, every port");
        versions.push((name, policy.metadata.resource_version));
    }
    run.edit(json!({"observability": {"logLevel": "debug"}})).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
    for (name, version) in versions {
        let now = run.wait::<NetworkPolicy>(name, |_| true).await.metadata.resource_version;
        assert_eq!(now, version, "another edit writes no policy");
    }
    run.edit(json!({"networkPolicy": {"dnsPorts": null, "extraEgress": null, "extraIngress": null}})).await;
    policy_that_reaches(&run, "demo-api", &[DNS, &["1/TCP", "5432/TCP"]]).await;
}

#[tokio::test]
async fn a_rule_that_is_none_of_kubernetes_is_refused_with_the_name_of_its_field() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<NetworkPolicy>("demo-api", |_| true).await;
    run.edit(json!({"networkPolicy": {"extraEgress": [{"ports": [{"port": 3128, "protokoll": "TCP"}]}]}})).await;
    let ready = run.condition_saying("Ready", "False", "protokoll").await;
    assert!(ready.reason == "ChildRefused" && ready.message.contains("NetworkPolicy demo-api"), "{}", ready.message);
}

#[tokio::test]
async fn the_service_has_an_address_of_each_family_that_the_cluster_has() {
    let run = Run::with_pipeline(MINIMAL).await;
    let families = |service: &Service| {
        let spec = service.spec.as_ref().expect("it has a spec");
        (spec.ip_family_policy.clone().unwrap_or_default(), spec.ip_families.clone().unwrap_or_default().join(" "))
    };
    let first = run.wait::<Service>("demo-api", |_| true).await;
    assert_eq!(families(&first), ("PreferDualStack".into(), "IPv4 IPv6".into()));
    run.edit(json!({"api": {"service": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}}})).await;
    run.wait::<Service>("demo-api", |service| families(service) == ("SingleStack".into(), "IPv4".into())).await;
}
