//! What becomes of workers that were asked to leave, or should have been, when something comes in between.

use super::{
    drain::{TWO, count, edit, heartbeats, told_once, wanted, with_cost},
    operator_run::{FakePod, Run},
    scaling::{autoscaler, replicas, with_redis},
    signal::own_redis,
    worker_process::{Tasks, Worker},
};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::api::{DeleteParams, Patch, PatchParams};
use queue::{Connection, Supervisor};
use serde_json::json;
use std::time::{Duration, Instant};

/// Two workers that each run a task, of which one is too many.
struct Busy {
    run: Run,
    uri: String,
    tasks: Tasks,
    workers: [Worker; 2],
}

impl Busy {
    async fn start() -> Self {
        let ((run, uri), tasks) = (wanted(2).await, Tasks::new());
        let mut workers = Vec::new();
        for name in ["a", "b"] {
            let worker = Worker::start(&run, &uri, "critical", 1).await;
            tasks.enqueue(&uri, name).await;
            assert_eq!(tasks.runs(name).await, worker.pod);
            workers.push(worker);
        }
        let workers = <[Worker; 2]>::try_from(workers).ok().expect("there are two");
        let busy = Self { run, uri, tasks, workers };
        busy.both_take().await;
        busy
    }

    async fn both_take(&self) {
        heartbeats(&self.uri, &[(&self.workers[0].pod, "active", 1), (&self.workers[1].pod, "active", 1)]).await;
    }

    async fn the_younger_stops(&self) {
        heartbeats(&self.uri, &[(&self.workers[0].pod, "active", 1), (&self.workers[1].pod, "stopped", 1)]).await;
    }

    async fn replicas(&self) -> Option<i32> {
        replicas(&self.run.wait::<Deployment>("demo-worker", |_| true).await)
    }

    /// Whom the operator has asked to leave.
    async fn marked(&self) -> Vec<String> {
        let supervisor = Supervisor::new(Connection::open(&self.uri, None).expect("a URI"));
        supervisor.draining(&format!("{}/demo", self.run.namespace)).await.expect("Redis answers")
    }
}

#[tokio::test]
async fn a_pause_or_another_mode_lets_the_chosen_workers_take_tasks_again() {
    let busy = Busy::start().await;
    edit(&busy.run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    busy.the_younger_stops().await;
    busy.run.edit(json!({"paused": true})).await;
    told_once(&busy.run, "DrainCancelled", "Normal").await;
    assert!(busy.marked().await.is_empty());
    busy.both_take().await;
    busy.run.edit(json!({"paused": false})).await;
    busy.the_younger_stops().await;
    busy.run.edit(json!({"worker": {"autoscaling": {"mode": "External"}}})).await;
    busy.run.condition("AbleToScale", "False", "NotInModeAuto").await;
    // Marks end by themselves after a minute, and not before.
    let began = Instant::now();
    busy.both_take().await;
    assert!(began.elapsed() < Duration::from_secs(30), "they ended by themselves: {:?}", began.elapsed());
    assert_eq!(busy.replicas().await, Some(2));
}

#[tokio::test]
async fn after_another_had_the_number_workers_are_asked_before_one_goes() {
    let busy = Busy::start().await;
    autoscaler(&busy.run, 2).await;
    busy.run.condition("AbleToScale", "False", "ForeignWriter").await;
    edit(&busy.run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    busy.run.condition("AbleToScale", "False", "ForeignWriter").await;
    assert!(busy.marked().await.is_empty(), "nobody is asked while another has the number");
    busy.run.api::<HorizontalPodAutoscaler>().delete("workers", &DeleteParams::default()).await.expect("it was there");
    busy.the_younger_stops().await;
    assert_eq!(busy.replicas().await, Some(2), "a task was cut");
    busy.tasks.release("b");
    count(&busy.run, 1).await;
    with_cost(&busy.run, &busy.workers[1].pod, Some("-1000")).await;
}

#[tokio::test]
async fn an_error_of_redis_is_waited_for_and_told() {
    let redis = own_redis().await;
    let run = with_redis(&redis.uri(1), TWO).await;
    count(&run, 2).await;
    redis.command(&["-n", "1", "SET", "asynq:draining", "somebody else's"]).expect("Redis does so");
    edit(&run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    run.condition("AbleToScale", "False", "QueueUnreadable").await;
    assert_eq!(replicas(&run.wait::<Deployment>("demo-worker", |_| true).await), Some(2));
    redis.command(&["-n", "1", "DEL", "asynq:draining"]).expect("Redis does so");
    count(&run, 1).await;
    run.condition("AbleToScale", "True", "ReadyForNewScale").await;
}

#[tokio::test]
async fn an_access_list_that_forbids_to_ask_holds_nobody_and_is_told() {
    let redis = own_redis().await;
    let keys = ["~asynq:{*", "~asynq:servers*", "~asynq:workers*", "~asynq:queues", "~asynq:presence"];
    let user = ["ACL", "SETUSER", "guarded", "on", ">secret", "&*", "+@all"];
    redis.command(&[&user[..], &keys[..]].concat()).expect("a user");
    let uri = redis.uri(1);
    let (_, place) = uri.split_once('@').expect("it has a user");
    let run = with_redis(&format!("redis://guarded:secret@{place}"), TWO).await;
    count(&run, 2).await;
    edit(&run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    count(&run, 1).await;
    run.condition_saying("AbleToScale", "True", "~asynq:draining").await;
}

#[tokio::test]
async fn a_worker_that_redis_knows_nothing_of_is_waited_for_and_goes_before_one_that_works() {
    let ((run, uri), tasks) = (wanted(1).await, Tasks::new());
    let busy = Worker::start(&run, &uri, "critical", 1).await;
    tasks.enqueue(&uri, "first").await;
    assert_eq!(tasks.runs("first").await, busy.pod);
    heartbeats(&uri, &[(&busy.pod, "active", 1)]).await;
    let answers = FakePod::new().await;
    let silent = run.pod("demo-worker", &answers).await;
    let began = Instant::now();
    edit(&run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    count(&run, 1).await;
    assert!(began.elapsed() > Duration::from_secs(14), "it was not waited for: {:?}", began.elapsed());
    with_cost(&run, &silent, Some("-1000")).await;
    with_cost(&run, &busy.pod, None).await;
    heartbeats(&uri, &[(&busy.pod, "active", 1)]).await;
}

#[tokio::test]
async fn a_cost_that_a_drain_left_behind_is_taken_back_by_the_next_operator() {
    let (mut run, _uri) = wanted(1).await;
    let answers = FakePod::new().await;
    let pod = run.pod("demo-worker", &answers).await;
    run.kill().await;
    let cost = json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1000"}}});
    run.api::<Pod>().patch(&pod, &PatchParams::default(), &Patch::Merge(cost)).await.expect("it is there");
    run.start();
    with_cost(&run, &pod, None).await;
}
