//! The Lua scripts by name. Each file is one state transition and documents its keys, arguments and answers.

use std::sync::LazyLock;

/// One script: its text and the digest by which Redis knows it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    pub(crate) digest: String,
}

macro_rules! scripts {
    ($($constant:ident = $name:literal;)*) => {
        $(pub(crate) static $constant: LazyLock<Script> = LazyLock::new(|| {
            let code = include_str!(concat!("scripts/", $name, ".lua"));
            Script { name: $name, code, digest: redis::Script::new(code).get_hash().to_owned() }
        });)*
    };
}

scripts! {
    ENQUEUE = "enqueue";
    ENQUEUE_UNIQUE = "enqueue_unique";
    SCHEDULE = "schedule";
    SCHEDULE_UNIQUE = "schedule_unique";
    ENSURE = "ensure";
    DEQUEUE = "dequeue";
    RECLAIM = "reclaim";
    EXTEND_LEASE = "extend_lease";
    ACK = "ack";
    COMPLETE = "complete";
    REQUEUE = "requeue";
    RETRY = "retry";
    ARCHIVE = "archive";
    FORWARD = "forward";
    LIST_EXPIRED = "list_expired";
    REPAIR_ACTIVE = "repair_active";
    DROP_DANGLING = "drop_dangling";
    DELETE_EXPIRED = "delete_expired";
    WRITE_SERVER = "write_server";
    LIST_SERVER = "list_server";
    QUEUE_STATE = "queue_state";
    EXCHANGE = "exchange";
    TELL_ENDED = "tell_ended";
    LIST_HELD = "list_held";
    MARK_DRAINING = "mark_draining";
    TELL_PRESENCE = "tell_presence";
}
