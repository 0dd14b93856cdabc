//! One connection reads queues of several databases of a real Redis, and hears what others change in them.

use crate::harness::{DEADLINE, Fixture};
use jiff::Timestamp;
use queue::{
    Certificates, Client, Connection, Error, Heard, Question, QueueReading, RedisUri, Task, Tracker, Untracked,
};
use servers::{Redis, RedisCluster};
use std::time::Duration;

fn parsed(uri: &str) -> RedisUri {
    RedisUri::parse(uri).unwrap()
}

fn tracker(uri: &str) -> Tracker {
    Tracker::open(parsed(uri), Certificates::default()).unwrap()
}

fn question(uri: &str, queue: &str) -> Question {
    Question { database: parsed(uri).database(), queue: queue.to_owned(), due_within: Duration::from_secs(300) }
}

async fn read(tracker: &Tracker, questions: &[Question]) -> Vec<QueueReading> {
    let answers = tracker.read(questions).await.unwrap();
    answers.states.into_iter().collect::<Result<_, Error>>().unwrap()
}

async fn heard(tracker: &Tracker) -> Heard {
    tokio::time::timeout(DEADLINE, tracker.changed()).await.expect("nothing is heard")
}

/// Also of other tests on this Redis, which have other queues.
async fn hears_of(tracker: &Tracker, queue: &str) {
    while !heard(tracker).await.queues.contains(queue) {}
}

fn task(queue: &str, in_seconds: i64) -> Task {
    let at = (in_seconds > 0).then(|| Timestamp::now() + jiff::SignedDuration::from_secs(in_seconds));
    Task { queue: queue.to_owned(), process_at: at, ..Task::new("test", Vec::new()) }
}

#[tokio::test]
async fn queues_of_two_databases_are_read_together_and_a_change_of_either_is_heard() {
    let (one, two) = (Fixture::new(), Fixture::new());
    let tracker = tracker(&one.uri);
    let questions = [question(&one.uri, "heard"), question(&two.uri, "heard"), question(&one.uri, "other")];
    let pending = async || {
        let states = read(&tracker, &questions).await.into_iter().map(|reading| reading.state.pending);
        <[u64; 3]>::try_from(states.collect::<Vec<_>>()).unwrap()
    };
    assert_eq!(pending().await, [0, 0, 0]);
    two.client.enqueue(&task("heard", 0)).await.unwrap();
    hears_of(&tracker, "heard").await;
    assert_eq!(pending().await, [0, 1, 0]);
    // As a Go program writes: without a wake-up.
    one.redis::<i64>(&["LPUSH", "asynq:{other}:pending", "1"]).await;
    hears_of(&tracker, "other").await;
    assert_eq!(pending().await, [0, 1, 1]);
}

#[tokio::test]
async fn a_wake_up_names_the_database_whatever_was_read() {
    let fixture = Fixture::new();
    let tracker = tracker(&fixture.uri);
    read(&tracker, &[]).await;
    fixture.client.enqueue(&task("woken", 0)).await.unwrap();
    let database = parsed(&fixture.uri).database();
    while !heard(&tracker).await.databases.contains(&database) {}
}

#[tokio::test]
async fn all_databases_share_one_connection_also_after_redis_was_away() {
    let mut redis = Redis::start().unwrap();
    let uris: Vec<String> = (1..=50).map(|database| redis.uri(database)).collect();
    let questions: Vec<Question> = uris.iter().map(|uri| question(uri, "default")).collect();
    let tracker = tracker(&uris[0]);
    assert_eq!(read(&tracker, &questions).await.len(), 50);
    let fixture = Fixture::at(redis.uri(0));
    let clients: String = fixture.redis(&["CLIENT", "LIST"]).await;
    // The other asks for the list.
    assert_eq!(clients.lines().count(), 2, "{clients}");
    redis.kill();
    assert!(heard(&tracker).await.all);
    assert!(tracker.read(&questions).await.is_err_and(|error| error.is_unreachable()));
    redis.start_again().unwrap();
    let back = async || tracker.read(&questions).await.map(drop).map_err(|error| error.to_string());
    servers::until("Redis answers again", DEADLINE, back).await;
    let client = Client::new(Connection::open(&uris[49], None).unwrap());
    client.enqueue(&task("default", 0)).await.unwrap();
    hears_of(&tracker, "default").await;
    assert_eq!(read(&tracker, &questions).await[49].state.pending, 1);
}

#[tokio::test]
async fn a_database_that_is_not_there_keeps_no_other_from_being_read() {
    let fixture = Fixture::new();
    fixture.client.enqueue(&task("default", 0)).await.unwrap();
    let beyond = Question { database: 5000, ..question(&fixture.uri, "default") };
    let answers = tracker(&fixture.uri).read(&[beyond, question(&fixture.uri, "default")]).await.unwrap();
    assert!(matches!(answers.states[0], Err(Error::InvalidUri(_))), "{:?}", answers.states[0]);
    assert_eq!(answers.states[1].as_ref().unwrap().state.pending, 1);
}

#[tokio::test]
async fn the_first_task_beyond_the_look_ahead_is_known_with_the_time_of_redis() {
    let fixture = Fixture::new();
    for seconds in [60, 600, 900] {
        fixture.client.enqueue(&task("ahead", seconds)).await.unwrap();
    }
    let reading = read(&tracker(&fixture.uri), &[question(&fixture.uri, "ahead")]).await.remove(0);
    assert_eq!((reading.state.scheduled, reading.state.due_within), (3, 1));
    let beyond = reading.next_beyond_at.unwrap().duration_since(reading.at).as_secs_f64();
    assert!((595.0..=600.0).contains(&beyond), "{beyond}");
}

#[tokio::test]
async fn whoever_is_told_nothing_learns_why_and_is_answered_all_the_same() {
    let fixture = Fixture::new();
    let user = "untracked";
    fixture.redis::<String>(&["ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all", "-client"]).await;
    let (_, place) = fixture.uri.split_once('@').unwrap();
    for (uri, expected) in [
        (fixture.uri.clone(), None),
        (format!("redis://{user}:secret@{place}"), Some(Untracked::Forbidden)),
        (format!("{}?protocol=2", fixture.uri), Some(Untracked::Resp2)),
    ] {
        let answers = tracker(&uri).read(&[question(&uri, "default")]).await.unwrap();
        assert_eq!(answers.untracked, expected);
        assert!(answers.states[0].is_ok(), "{:?}", answers.states[0]);
    }
    fixture.redis::<i64>(&["ACL", "DELUSER", user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_read_node_by_node_and_told_to_be_one() {
    let cluster = RedisCluster::start(0).unwrap();
    let fixture = Fixture::at(cluster.uri());
    for queue in ["default", "low", "critical"] {
        fixture.client.enqueue(&task(queue, 0)).await.unwrap();
    }
    let questions = ["default", "low", "critical"].map(|queue| question(&fixture.uri, queue));
    let answers = tracker(&fixture.uri).read(&questions).await.unwrap();
    assert_eq!(answers.untracked, Some(Untracked::Cluster));
    let pending: Vec<u64> = answers.states.into_iter().map(|reading| reading.unwrap().state.pending).collect();
    assert_eq!(pending, [1, 1, 1]);
}
