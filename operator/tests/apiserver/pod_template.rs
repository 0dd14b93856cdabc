//! What people set of pods and of the objects beside them: taken by the real API server in Kubernetes' own shapes,
//! beside what is ours.

use super::operator_run::{FakePod, MINIMAL, Run};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{PodSpec, Service, ServiceAccount},
        networking::v1::Ingress,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;
use serde_json::{Value, json};

/// All of it, as somebody writes it who is at home in Kubernetes.
const POD: &str = "
  topologySpreadConstraints: [{maxSkew: 2, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]
  env:
  - {name: HTTPS_PROXY, value: 'http://proxy.example.com:3128'}
  - {name: SSL_CERT_FILE, value: /etc/company/ca.crt}
  - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  envFrom: [{configMapRef: {name: proxies, optional: true}, prefix: TEAM_}]
  securityContext: {supplementalGroups: [4000], seLinuxOptions: {level: 's0:c1,c2'}}
  containerSecurityContext: {seLinuxOptions: {level: 's0:c1,c3'}}
  schedulerName: batch
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.53], searches: [example.com], options: [{name: ndots, value: '2'}]}
  hostAliases: [{ip: 192.0.2.7, hostnames: [smtp.example.com]}]
  volumes: [{name: company, configMap: {name: company-ca}}, {name: cache, emptyDir: {sizeLimit: 64Mi}}]
  volumeMounts: [{name: company, mountPath: /etc/company, readOnly: true}, {name: cache, mountPath: /cache}]
";

fn pod() -> Value {
    serde_yaml::from_str(POD).expect("it is YAML")
}

fn pod_spec(deployment: &Deployment) -> PodSpec {
    deployment.spec.clone().expect("it has one").template.spec.expect("it has one")
}

fn is_given(deployment: &Deployment) -> bool {
    pod_spec(deployment).scheduler_name.as_deref() == Some("batch")
}

#[tokio::test]
async fn what_is_set_of_pods_reaches_both_components_beside_ours_and_passes_pod_security_restricted() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    run.edit(json!({"api": {"pod": pod(), "terminationGracePeriodSeconds": 120}, "worker": {"pod": pod()}})).await;
    for (name, component) in [("demo-api", "api"), ("demo-worker", "worker")] {
        let deployment = run.wait::<Deployment>(name, is_given).await;
        let spec = pod_spec(&deployment);
        let constraint = &spec.topology_spread_constraints.as_ref().expect("one")[0];
        let selector = constraint.label_selector.as_ref().and_then(|selector| selector.match_labels.as_ref());
        assert_eq!(selector.expect("ours was filled in")["app.kubernetes.io/component"], component);
        let container = &spec.containers[0];
        let variables: Vec<_> = container.env.iter().flatten().map(|variable| variable.name.as_str()).collect();
        assert_eq!(variables, ["HTTPS_PROXY", "SSL_CERT_FILE", "NODE"]);
        assert_eq!(container.env_from.as_ref().map(Vec::len), Some(1));
        let context = spec.security_context.clone().expect("it has one");
        assert_eq!((context.supplemental_groups, context.run_as_non_root), (Some(vec![4000]), Some(true)));
        let context = container.security_context.clone().expect("it has one");
        assert!(context.se_linux_options.is_some() && context.read_only_root_filesystem == Some(true));
        assert_eq!(spec.dns_config.clone().and_then(|dns| dns.nameservers), Some(vec!["192.0.2.53".into()]));
        assert_eq!(spec.host_aliases.as_ref().map(Vec::len), Some(1));
        let mounted = |path: &str| container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == path);
        assert!(mounted("/etc/company") && mounted("/cache") && mounted("/etc/signup"));
        run.pod(name, &FakePod::new().await).await;
    }
    let api = run.wait::<Deployment>("demo-api", is_given).await;
    assert_eq!(pod_spec(&api).termination_grace_period_seconds, Some(120));
    run.edit(json!({"api": {"pod": null, "terminationGracePeriodSeconds": null}})).await;
    let api = run.wait::<Deployment>("demo-api", |deployment| !is_given(deployment)).await;
    assert_eq!(pod_spec(&api).containers[0].env, None, "what is taken back goes");
}

#[tokio::test]
async fn a_shape_that_the_api_server_refuses_is_told_with_its_own_words() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.edit(json!({"api": {"pod": {"dnsPolicy": "Sometimes", "hostAliases": [{"hostnames": "a"}]}}})).await;
    run.condition_saying("Stalled", "True", "hostAliases").await;
    run.edit(json!({"api": {"pod": {"hostAliases": null}}})).await;
    run.condition_saying("Stalled", "True", "dnsPolicy").await;
    run.edit(json!({"api": {"pod": {"dnsPolicy": null}}})).await;
    run.condition("Stalled", "False", "AsDesired").await;
}

#[tokio::test]
async fn the_service_and_the_accounts_are_as_the_resource_says_and_go_back() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let spec = |service: &Service| service.spec.clone().expect("it has one");
    let service = json!({"type": "LoadBalancer", "annotations": {"lb.example.com/internal": "true"},
        "labels": {"team": "a"}, "trafficDistribution": "PreferClose", "externalTrafficPolicy": "Local",
        "loadBalancerClass": "example.com/lb", "loadBalancerSourceRanges": ["192.0.2.0/24"]});
    let account = json!({"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/signup"}});
    run.edit(json!({"api": {"service": service, "serviceAccount": account}})).await;
    let made = |service: &Service| spec(service).type_.as_deref() == Some("LoadBalancer");
    let made = run.wait::<Service>("demo-api", made).await;
    assert_eq!((made.annotations()["lb.example.com/internal"].as_str(), made.labels()["team"].as_str()), ("true", "a"));
    let of = spec(&made);
    let version = run.client.apiserver_version().await.expect("it answers");
    if version.minor.trim_end_matches('+').parse::<u32>().expect("a number") >= 31 {
        assert_eq!(of.traffic_distribution.as_deref(), Some("PreferClose"), "from Kubernetes 1.31 on");
    }
    assert_eq!(of.external_traffic_policy.as_deref(), Some("Local"));
    assert_eq!(of.load_balancer_source_ranges, Some(vec!["192.0.2.0/24".to_owned()]));
    let annotated = |account: &ServiceAccount| account.annotations().contains_key("eks.amazonaws.com/role-arn");
    run.wait::<ServiceAccount>("demo-api", annotated).await;
    run.edit(json!({"api": {"service": null, "serviceAccount": null}})).await;
    let plain = |service: &Service| spec(service).type_.as_deref() == Some("ClusterIP");
    let plain = run.wait::<Service>("demo-api", plain).await;
    assert!(spec(&plain).ports.into_iter().flatten().all(|port| port.node_port.is_none()));
    assert!(!plain.annotations().contains_key("lb.example.com/internal"));
    run.wait::<ServiceAccount>("demo-api", |account| !annotated(account)).await;
}

#[tokio::test]
async fn the_budget_and_the_ingress_are_as_the_resource_says() {
    let expose = "spec:\n  expose: {host: app.example.com, ingress: {labels: {team: a, app.kubernetes.io/name: b}}}\n";
    let run = Run::with_pipeline_and_redis(&MINIMAL.replace("spec:\n", expose)).await;
    let ingress = run.wait::<Ingress>("demo", |_| true).await;
    let label = |name: &str| ingress.labels()[name].as_str();
    assert_eq!((label("team"), label("app.kubernetes.io/name")), ("a", "signup-pipeline"), "ours stay");
    let spec = |budget: &PodDisruptionBudget| budget.spec.clone().expect("it has one");
    let values = |spec: PodDisruptionBudgetSpec| (spec.max_unavailable, spec.min_available);
    let budget = run.wait::<PodDisruptionBudget>("demo-api", |_| true).await;
    assert_eq!(values(spec(&budget)), (Some(IntOrString::Int(1)), None));
    run.edit(json!({"api": {"podDisruptionBudget": {"minAvailable": "50%"}},
        "worker": {"podDisruptionBudget": {"maxUnavailable": 3, "unhealthyPodEvictionPolicy": "IfHealthyBudget"}}}))
        .await;
    let share = Some(IntOrString::String("50%".into()));
    run.wait::<PodDisruptionBudget>("demo-api", |budget| values(spec(budget)) == (None, share.clone())).await;
    let worker = run.wait::<PodDisruptionBudget>("demo-worker", |_| true).await;
    assert_eq!(spec(&worker).max_unavailable, Some(IntOrString::Int(3)));
    assert_eq!(spec(&worker).unhealthy_pod_eviction_policy.as_deref(), Some("IfHealthyBudget"));
}
