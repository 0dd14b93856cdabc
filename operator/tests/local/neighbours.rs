//! Others in a Redis that a local run was given.

use crate::harness::{Local, MINIMAL};
use queue::{Connection, Presence};
use rustix::process::Signal;

/// What a pipeline of a cluster sees of the others, and says of itself.
async fn looks(presence: &Presence, pipeline: &str) -> Vec<String> {
    let others = presence.tell(pipeline).await.expect("Redis answers");
    others.iter().map(|other| other.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_a_cluster_in_the_same_redis_is_told_and_sees_the_run_until_it_ends() {
    let uri = servers::redis().fresh_database();
    let presence = Presence::new(Connection::open(&uri, None).expect("a good URI"));
    assert!(looks(&presence, "shop/signup 5f0c").await.is_empty());
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: app-redis}\nstringData: {uri: URI}\n";
    let mut local = Local::ready(&format!("{MINIMAL}{}", secret.replace("URI", &uri)));
    let output = local.output();
    let told = "pipeline shop/signup uses the same Redis database, so each takes the other's mails for its own. Fix: ";
    let line = output.find(told).unwrap_or_else(|| panic!("{told} in:\n{output}"));
    assert!(line < output.find("is ready").expect("it is"), "it is told before the first mail is taken:\n{output}");
    assert_eq!(looks(&presence, "shop/signup 5f0c").await, ["default/demo"]);
    local.signal(Signal::TERM);
    assert!(local.ended().success(), "{}", local.output());
    assert!(looks(&presence, "shop/signup 5f0c").await.is_empty(), "its name went with it");
}
