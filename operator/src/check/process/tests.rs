//! Operators that work, do not, and get in each other's way.

use super::*;
use serde_json::json;

fn operator(replicas: i32, ready: i32) -> Operator {
    let container =
        json!({"name": "operator", "args": ["run", "--image=r/signup:1", "--lease-name=op-shop", "--namespace=shop"]});
    let pod = json!({"serviceAccountName": "op", "containers": [container]});
    let object = json!({"metadata": {"name": "op-shop", "namespace": "system"}, "status": {"readyReplicas": ready},
        "spec": {"replicas": replicas, "selector": {}, "template": {"spec": pod}}});
    Operator::new(serde_json::from_value(object).expect("a Deployment"))
}

fn held(holder: &str, second: i64) -> Seen<Lease> {
    let renewed = Timestamp::from_second(second).expect("a time").to_string();
    let spec =
        json!({"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed.replace('Z', ".000000Z")});
    Seen::There(serde_json::from_value(json!({"spec": spec})).expect("a Lease"))
}

#[test]
fn the_flags_of_the_deployment_say_where_the_operator_works() {
    let Operator { serves, lease, image, account, .. } = operator(1, 1);
    assert_eq!((serves.as_deref(), lease.as_str()), (Some("shop"), "op-shop"));
    assert_eq!((image.as_deref(), account.as_str()), (Some("r/signup:1"), "op"));
}

#[test]
fn an_operator_that_is_scaled_to_zero_or_not_ready_is_an_error_with_its_fix() {
    let line = deployment(&operator(0, 0), &[], Timestamp::UNIX_EPOCH);
    assert_eq!(line.fix.as_deref(), Some("`kubectl -n system scale deployment op-shop --replicas 1`"));
    assert!(deployment(&operator(1, 0), &[], Timestamp::UNIX_EPOCH).message.contains("0 of 1 pods are ready"));
    assert_eq!(deployment(&operator(2, 1), &[], Timestamp::UNIX_EPOCH).level, Level::Ok);
}

#[test]
fn a_pipeline_is_told_of_the_operators_of_its_own_namespace_when_they_do_not_work() {
    let now = Timestamp::from_second(1000).expect("a time");
    let running =
        |replicas| Running { operator: operator(replicas, replicas), pods: Vec::new(), lease: held("op-1_a", 999) };
    let told = |operators: Vec<Running>, namespace: &str| serving(&Seen::There(operators), namespace, now);
    assert_eq!(told(vec![running(1)], "shop"), []);
    assert!(told(vec![running(0)], "shop")[0].message.contains("scaled to zero"));
    assert!(told(vec![running(1)], "forum")[0].message.contains("serves this namespace"));
    assert_eq!(serving(&Seen::Forbidden, "shop", now), []);
}

#[test]
fn operators_that_serve_one_namespace_at_the_same_time_are_named() {
    let now = Timestamp::from_second(1000).expect("a time");
    let named = |name: &str, serves: Option<&str>, lease: &str, replicas| {
        let mut operator = operator(replicas, replicas);
        operator.deployment.metadata.name = Some(name.to_owned());
        (operator.serves, operator.lease) = (serves.map(str::to_owned), lease.to_owned());
        Running { operator, pods: Vec::new(), lease: held("op-1_a", 999) }
    };
    let told = |second| serving(&Seen::There(vec![named("op-shop", Some("shop"), "a", 1), second]), "shop", now);
    let lines = told(named("op-all", None, "b", 1));
    assert_eq!((lines.len(), lines[0].level), (1, Level::Error), "{lines:?}");
    assert!(lines[0].message.starts_with("system/op-shop and system/op-all serve this namespace"), "{lines:?}");
    assert_eq!(told(named("op-forum", Some("forum"), "b", 1)), [], "another namespace");
    assert_eq!(told(named("op-shop-2", Some("shop"), "a", 1)), [], "they take turns by their Lease");
    let idle = told(named("op-all", None, "b", 0));
    assert!(idle.len() == 1 && idle[0].message.contains("scaled to zero"), "{idle:?}");
}

#[test]
fn the_trouble_of_the_operators_pod_is_named() {
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
    let container =
        json!({"name": "operator", "image": "r/x", "imageID": "", "ready": false, "restartCount": 0, "state": waiting});
    let pod = json!({"metadata": {"name": "op-1"}, "status": {"containerStatuses": [container]}});
    let line =
        deployment(&operator(1, 0), &[Arc::new(serde_json::from_value(pod).expect("a pod"))], Timestamp::UNIX_EPOCH);
    assert!(line.message.contains("cannot fetch the image r/x: no such image"), "{}", line.message);
}

#[test]
fn a_lease_must_be_held_and_renewed() {
    let now = Timestamp::from_second(1000).expect("a time");
    let level = |seen| lease(&operator(1, 1), &seen, now).level;
    assert_eq!(level(held("op-1_a", 996)), Level::Ok);
    assert_eq!(level(held("op-1_a", 1010)), Level::Ok);
    assert_eq!(level(held("op-1_a", 900)), Level::Error);
    assert_eq!(level(held("", 999)), Level::Error);
    assert_eq!(level(Seen::Absent), Level::Error);
    assert_eq!(level(Seen::Forbidden), Level::Warning);
}
