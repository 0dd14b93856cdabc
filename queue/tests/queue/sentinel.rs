//! A master that dies or is deposed while tasks come and go: the next one is found, and found at once.

use crate::harness::{DEADLINE, Fixture, ok};
use queue::Task;
use servers::RedisSentinel;
use std::collections::BTreeSet;

fn task(number: usize) -> Task {
    Task { id: format!("{number:05}"), ..Task::new("mail:send", "{}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_death_of_the_master_tasks_go_on_at_the_next_one() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let fixture = Fixture::at(sentinel.uri(2));
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    fixture.client.enqueue(&task(0)).await.unwrap();
    jobs.next().await;
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 1).await;
    let old = sentinel.master().unwrap();
    let old_port = old.port();
    old.kill();
    // Some are refused until the next master is there; none that it has taken may be lost.
    let (mut taken, mut number) = (BTreeSet::new(), 0);
    let ten_more = async || {
        let tasks: Vec<Task> = (1..=10).map(|more| task(number + more)).collect();
        number += 10;
        fixture.client.enqueue_many(&tasks).await.map_err(|error| error.to_string())?;
        taken.extend(tasks.into_iter().map(|task| task.id));
        (taken.len() == 100).then_some(()).ok_or_else(|| taken.len().to_string())
    };
    servers::until("the next master has taken 100 tasks", DEADLINE, ten_more).await;
    assert_ne!(sentinel.master_port().unwrap(), old_port);
    while !taken.is_empty() {
        taken.remove(&jobs.next().await.task.id);
    }
    assert!(server.healthy());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_master_is_left_while_it_still_takes_writes() {
    let sentinel = RedisSentinel::start().unwrap();
    let fixture = Fixture::at(sentinel.uri(0));
    fixture.client.enqueue(&task(0)).await.unwrap();
    let old_port = sentinel.master_port().unwrap();
    sentinel.depose().unwrap();
    let mut number = 0;
    let is_at_the_next = async || {
        number += 1;
        fixture.client.enqueue(&task(number)).await.map_err(|error| error.to_string())?;
        let master = sentinel.master_port().map_err(|error| error.to_string())?;
        let has = sentinel.command_at(master, &["EXISTS", &format!("asynq:{{default}}:t:{}", task(number).id)]);
        let has = has.map_err(|error| error.to_string())?;
        (master != old_port && has.trim() == "1").then_some(()).ok_or(has)
    };
    servers::until("a task is at the next master", DEADLINE, is_at_the_next).await;
    // The sentinels tell the old one some 8 s later, which ends its connections; until then only they know.
    let role = sentinel.command_at(old_port, &["ROLE"]).unwrap();
    assert!(role.starts_with("master"), "it was left only after it had become a replica: {role}");
}
