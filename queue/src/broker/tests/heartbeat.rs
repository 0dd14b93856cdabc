//! What a server writes of itself, and what readers make of it.

use super::{Fixture, NOW, step_clock};

#[tokio::test]
async fn a_heartbeat_lives_ten_seconds_under_the_names_of_asynq() {
    let fixture = Fixture::new();
    let running = [("T1".to_owned(), b"worker".to_vec())];
    fixture.broker.write_server("pod-1:7:s1", b"info", &running, NOW).await.unwrap();
    let expected = [
        "asynq:servers [(\"asynq:servers:{pod-1:7:s1}\", 1700000010)]",
        "asynq:servers:{pod-1:7:s1} info",
        "asynq:workers [(\"asynq:workers:{pod-1:7:s1}\", 1700000010)]",
        "asynq:workers:{pod-1:7:s1} T1=worker",
    ];
    assert_eq!(fixture.dump().await, expected);
    for key in ["asynq:servers:{pod-1:7:s1}", "asynq:workers:{pod-1:7:s1}"] {
        assert_eq!(fixture.read::<i64>(&["TTL", key]).await, 10);
    }
    fixture.broker.clear_server("pod-1:7:s1").await.unwrap();
    assert!(fixture.dump().await.is_empty());
}

#[tokio::test]
async fn a_heartbeat_takes_out_servers_that_ended_more_than_a_minute_ago() {
    let fixture = Fixture::new();
    for register in ["asynq:servers", "asynq:workers"] {
        fixture.redis(&["ZADD", register, "1699999940", "died", "1699999941", "dying"]).await;
    }
    fixture.broker.write_server("pod-1:7:s1", b"info", &[], NOW).await.unwrap();
    for register in ["asynq:servers", "asynq:workers"] {
        let entry = format!("{register}:{{pod-1:7:s1}}");
        assert_eq!(fixture.read::<Vec<String>>(&["ZRANGE", register, "0", "-1"]).await, ["dying", &entry]);
    }
}

#[tokio::test]
async fn live_servers_are_known_by_the_redis_clock_also_after_the_local_one_has_jumped() {
    let fixture = Fixture::new();
    let connection = fixture.broker.connection();
    connection.measure_clock().await.unwrap();
    fixture.broker.write_server("pod-1:7:s1", b"", &[], fixture.broker.now()).await.unwrap();
    step_clock(connection, 3_600).await;
    assert_eq!(fixture.broker.live_servers().await.unwrap().len(), 1);
}
