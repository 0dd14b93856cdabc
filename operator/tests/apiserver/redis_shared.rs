//! Two pipelines of two operators in one Redis database, which tell each other by a key in it.

use super::{
    api_server::until,
    operator_run::{MINIMAL, Run},
};
use kube::api::DeleteParams;
use operator::crd::SignupPipeline;
use queue::{Connection, Presence};
use serde_json::json;

/// Who uses the database, by a look that leaves nothing behind.
async fn users(uri: &str) -> Vec<String> {
    let presence = Presence::new(Connection::open(uri, None).expect("a good URI"));
    let users = presence.tell("looks").await.expect("it answers");
    presence.leave("looks").await.expect("it answers");
    users.iter().map(|user| user.split(' ').next().unwrap_or_default().to_owned()).collect()
}

async fn use_it(run: &Run, uri: &str, names: &[String]) {
    until(&format!("{names:?} use it"), async || (users(uri).await == names).then_some(())).await;
    run.condition("RedisReachable", "True", "Answers").await;
}

/// Empties the database.
async fn flush(uri: &str) {
    let index = uri.rsplit_once('/').expect("it names a database").1.to_owned();
    let script = "redis.call('SELECT', ARGV[1]) return redis.call('FLUSHDB')";
    let flushed = move || servers::redis().command(&["EVAL", script, "0", &index]);
    tokio::task::spawn_blocking(flushed).await.expect("it does not panic").expect("Redis takes it");
}

/// With an edit an operator looks at once.
async fn edit(run: &Run, pods: i32) {
    run.edit(json!({"api": {"replicas": pods}})).await;
}

#[tokio::test]
async fn pipelines_of_two_operators_in_one_redis_database_are_told_to_both() {
    let (mut first, mut second) = (Run::new().await, Run::new().await);
    let uri = first.secrets_with_redis().await;
    second.secrets().await;
    second.secret("app-redis", &[("uri", &uri)]).await;
    let title = |run: &Run| format!("{}/demo", run.namespace);
    first.pipeline(MINIMAL).await;
    first.start();
    use_it(&first, &uri, &[title(&first)]).await;

    second.pipeline(MINIMAL).await;
    second.start();
    let words = |run: &Run| format!("pipeline {} uses the same Redis database", title(run));
    second.condition_saying("ScalingActive", "False", &words(&first)).await;
    edit(&first, 3).await;
    first.condition_saying("Degraded", "True", &words(&second)).await;

    // A flush takes the key too, and it is written again.
    flush(&uri).await;
    edit(&first, 4).await;
    edit(&second, 4).await;
    second.condition_saying("ScalingActive", "False", &words(&first)).await;
    let mut both = [title(&first), title(&second)];
    both.sort();
    until("both say so again", async || {
        let mut users = users(&uri).await;
        users.sort();
        (users == both).then_some(())
    })
    .await;

    // One that is deleted leaves it to the other.
    second.api::<SignupPipeline>().delete("demo", &DeleteParams::default()).await.expect("it is there");
    use_it(&first, &uri, &[title(&first)]).await;
    edit(&first, 5).await;
    first.condition("ScalingActive", "True", "FollowsQueue").await;
}
