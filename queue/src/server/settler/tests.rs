//! Which settlements are given up, by the error that Redis answers with.

use super::*;
use crate::{Connection, Settings, broker::Taken};

#[tokio::test]
async fn only_a_settlement_that_the_data_stands_against_is_ever_given_up() {
    let connection = Connection::open(&servers::redis().fresh_database(), None).expect("a good URI");
    let settings = Settings { queues: Vec::new(), concurrency: 0, ..Settings::default() };
    let (sender, _settlements) = mpsc::unbounded_channel();
    let broker = crate::broker::Broker::new(connection.clone());
    let shared = Shared::new(broker, tokio::sync::watch::channel(settings).1, sender);
    let kept_after = async |reply: &str| {
        let script = "return redis.error_reply(ARGV[1])";
        let error = connection.command(redis::cmd("EVAL").arg(script).arg(0).arg(reply)).await;
        let held = Held {
            number: 1,
            queue: shared.queues.get("default"),
            taken: Taken { id: "a".to_owned(), message: Vec::new(), unread_bytes: None },
            token: "A".into(),
        };
        let long_refused = Settlement {
            held: Arc::new(held),
            ended: shared.broker.now(),
            outcome: Outcome::Ack,
            refused_since: Instant::now().checked_sub(REFUSED_MAX_AGE),
        };
        assert!(long_refused.refused_since.is_some());
        keep(&shared, vec![long_refused], &error.expect_err("an error reply")).len()
    };
    for passing in ["READONLY x", "OOM x", "MISCONF x", "NOREPLICAS x", "LOADING x", "NOAUTH x"] {
        assert_eq!(kept_after(passing).await, 1, "{passing}");
    }
    for lasting in ["WRONGTYPE x", "NOPERM x", "ERR Error running script: @user_script:7: -WRONGTYPE x"] {
        assert_eq!(kept_after(lasting).await, 0, "{lasting}");
    }
}
