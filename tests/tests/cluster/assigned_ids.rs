//! A cluster that gives pods ids by namespace, as OpenShift's restricted-v2 does: by admission policies, in the
//! namespace of the test alone. A test that fails leaves them behind; they are for no other namespace.

use crate::harness::{Namespace, PATIENCE, Pipeline, assert_all_acknowledged, until};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/restricted-v2.yaml");

/// First of the namespace's range: no other namespace's, so that its processes can be told from others.
const FIRST: i64 = 1_000_730_000;

/// What admission makes of a pod that says or does not say who it runs as, or why it refuses it.
async fn admitted(namespace: &Namespace, user: Option<i64>) -> Result<Pod, String> {
    let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let pod = json!({"metadata": {"name": "asks"}, "spec": {
        "securityContext": {"runAsNonRoot": true, "runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "asks", "image": "none", "securityContext": context}]}});
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let pods: Api<Pod> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&params, &pod).await.map_err(|error| error.to_string())
}

/// Group of its files, and who its container runs as.
fn ids(pod: &Pod) -> (Option<i64>, Option<i64>) {
    let spec = pod.spec.as_ref().expect("it has a spec");
    let user = spec.containers[0].security_context.as_ref().and_then(|context| context.run_as_user);
    (spec.security_context.as_ref().and_then(|context| context.fs_group), user)
}

/// The policies, in force in the namespace.
async fn restrict(namespace: &Namespace) {
    namespace.kubectl(&["apply", "--server-side", "--filename", POLICIES]);
    let range = format!("openshift.io/sa.scc.uid-range={FIRST}/10000");
    namespace.kubectl(&["annotate", "namespace", &namespace.name, &range]);
    namespace.kubectl(&["label", "namespace", &namespace.name, "scc=restricted-v2"]);
    until("the policies are in force", PATIENCE, async || {
        let refusal = admitted(namespace, Some(65_532)).await.map(|pod| ids(&pod));
        let given = admitted(namespace, None).await.map(|pod| ids(&pod));
        let are_in_force = refusal.is_err() && given == Ok((Some(FIRST), Some(FIRST)));
        if are_in_force { Ok(()) } else { Err(format!("{refusal:?} {given:?}")) }
    })
    .await;
}

/// Programs of this machine, which is the node, that run as the first id of the range.
fn programs() -> BTreeSet<String> {
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let statuses = processes.filter_map(|process| fs::read_to_string(process.path().join("status")).ok());
    let ours = statuses.filter(|status| field(status, "Uid:") == FIRST.to_string());
    ours.map(|status| field(&status, "Name:")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fixed_ids_are_refused_with_the_fix_and_every_program_works_as_the_id_that_the_namespace_gives() {
    let namespace = Namespace::create("assigned-ids").await;
    restrict(&namespace).await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    let words = ["runAsUser must be in the range", "Fix:", "spec.podSecurity: Assigned leaves user ids to the cluster"];
    let is_refused = |object: &Value| {
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|known| {
            let message = known["message"].as_str().unwrap_or_default();
            known["type"] == "Reconciling"
                && known["reason"] == "PodsRefused"
                && words.iter().all(|word| message.contains(word))
        })
    };
    pipeline.until("the refusal is told with its fix", PATIENCE, is_refused).await;
    pipeline.patch(json!({"podSecurity": "Assigned"})).await;
    pipeline.ready().await;
    let pods = pipeline.pods(None).await;
    assert!(!pods.is_empty() && pods.iter().all(|pod| ids(pod) == (Some(FIRST), Some(FIRST))), "{pods:?}");
    assert_eq!(programs(), BTreeSet::from(["api".to_owned(), "worker".to_owned()]));
    let clients = pipeline.clients();
    clients.many(10, 2).await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
    namespace.kubectl(&["delete", "--filename", POLICIES]);
}
