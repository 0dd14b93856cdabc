//! Who uses a database.

use super::Fixture;
use crate::{Connection, Presence, keys};

fn at(uri: &str) -> (Presence, Connection) {
    let connection = Connection::open(uri, None).unwrap();
    (Presence::new(connection.clone()), connection)
}

async fn int(connection: &Connection, words: &[&str]) -> i64 {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    redis::from_redis_value(connection.command(&command).await.unwrap()).unwrap()
}

#[tokio::test]
async fn those_who_use_a_database_see_each_other_until_they_leave_and_again_after_a_flush() {
    let fixture = Fixture::new();
    let ((one, connection), (other, _)) = (at(&fixture.uri), at(&fixture.uri));
    assert_eq!(one.tell("shop/a 1").await.unwrap(), Vec::<String>::new());
    assert_eq!(other.tell("shop/b 2").await.unwrap(), ["shop/a 1"]);
    assert_eq!(one.tell("shop/a 1").await.unwrap(), ["shop/b 2"]);
    connection.command(&redis::cmd("FLUSHDB")).await.unwrap();
    assert_eq!(one.tell("shop/a 1").await.unwrap(), Vec::<String>::new());
    assert_eq!(other.tell("shop/b 2").await.unwrap(), ["shop/a 1"]);
    other.leave("shop/b 2").await.unwrap();
    assert_eq!(one.tell("shop/a 1").await.unwrap(), Vec::<String>::new());
    assert_eq!(int(&connection, &["SCARD", keys::QUEUES]).await, 0, "asynq's tools see no queue");
}

#[tokio::test]
async fn it_is_written_when_half_of_its_time_is_over_and_forgotten_after_it() {
    let fixture = Fixture::new();
    let (presence, connection) = at(&fixture.uri);
    presence.tell("a").await.unwrap();
    let life = i64::try_from(Presence::LIFE.as_millis()).unwrap();
    let left = int(&connection, &["PTTL", keys::PRESENCE]).await;
    assert!((life - 60_000..=life).contains(&left), "{left}");
    let score = async || int(&connection, &["ZSCORE", keys::PRESENCE, "a"]).await;
    // What it would be after 10 and after 40 minutes, and that of another whose time is over.
    for (passed, is_written) in [(600_000, false), (2_400_000, true)] {
        presence.leave("a").await.unwrap();
        presence.tell("a").await.unwrap();
        let aged = score().await - passed;
        int(&connection, &["ZADD", keys::PRESENCE, "XX", "CH", &aged.to_string(), "a"]).await;
        int(&connection, &["ZADD", keys::PRESENCE, "1", "gone"]).await;
        assert_eq!(presence.tell("a").await.unwrap(), Vec::<String>::new());
        assert_eq!(score().await != aged, is_written, "{passed} ms later");
    }
    assert_eq!(int(&connection, &["ZCARD", keys::PRESENCE]).await, 1, "a write takes away what is over");
}

#[tokio::test]
async fn a_key_that_the_access_list_forbids_is_told_as_such() {
    let fixture = Fixture::new();
    let (_, connection) = at(&fixture.uri);
    let user = uuid::Uuid::new_v4().to_string();
    let mut make = redis::cmd("ACL");
    make.arg(&["SETUSER", &user, "on", "nopass", "~asynq:{*", "&*", "+@all"]);
    connection.command(&make).await.unwrap();
    let address = fixture.uri.rsplit_once('@').unwrap().1;
    let (presence, _) = at(&format!("redis://{user}:none@{address}"));
    let error = presence.tell("a").await.unwrap_err();
    assert!(error.is_forbidden(), "{error:?}");
}
