//! Golden bytes written by asynq v0.26.0, and properties of the encoding.

use super::*;
use proptest::prelude::*;

const TASK: &str = "\
    0a0c656d61696c3a766572696679120e7b22757365725f6964223a34327d1a2431313131313131312d323232322d33333333\
    2d343434342d3535353535353535353535352208637269746963616c281940880e";
const TASK_OF_ALL_FIELDS: &str = "\
    0a0c656d61696c3a766572696679120e7b22757365725f6964223a34327d1a2431313131313131312d323232322d33333333\
    2d343434342d3535353535353535353535352208637269746963616c280530023a08736d747020343531401e4890fecfaa06\
    52456173796e713a7b637269746963616c7d3a756e697175653a656d61696c3a7665726966793a3131383166383933303766\
    6132373130373263303935373437643538313363635880e2cfaa0660901c68e4e2cfaa06720267317a460a0b747261636570\
    6172656e74123730302d30616637363531393136636434336464383434386562323131633830333139632d62376164366237\
    3136393230333333312d3031";
const SERVER: &str = "\
    0a05706f642d3110071a2461616161616161612d626262622d636363632d646464642d656565656565656565656565200a2a\
    0c0a08637269746963616c10063a06616374697665420b0880e2cfaa0610c0a9d33a4801";
const WORKER: &str = "\
    0a05706f642d3110071a2461616161616161612d626262622d636363632d646464642d656565656565656565656565222431\
    313131313131312d323232322d333333332d343434342d3535353535353535353535352a0c656d61696c3a76657269667932\
    0e7b22757365725f6964223a34327d3a08637269746963616c42060880e2cfaa064a060888f0cfaa06";
const ENTRY: &str = "\
    0a026531120940657665727920316d1a01742a0c517565756528226c6f7722292a0b4d617852657472792833292a0c54696d\
    656f75742833307329320608bce2cfaa063a0b088092b8c398feffffff01";
const EVENT: &str = "\
    0a2431313131313131312d323232322d333333332d343434342d353535353535353535353535120808bce2cfaa061005";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn task() -> Task {
    let mut task = Task::new("email:verify", r#"{"user_id":42}"#);
    task.id = "11111111-2222-3333-4444-555555555555".to_owned();
    task.queue = "critical".to_owned();
    task
}

#[test]
fn a_task_with_defaults_is_encoded_as_by_go() {
    assert_eq!(hex(&encode(&task(), "")), TASK);
    assert_eq!(Stored::decode(&unhex(TASK)).unwrap().into_task(), task());
}

#[test]
fn a_task_of_all_fields_is_encoded_as_by_go() {
    let bytes = unhex(TASK_OF_ALL_FIELDS);
    let stored = Stored::decode(&bytes).unwrap();
    let known = &stored.known;
    assert_eq!((known.retry, known.retried, known.error_msg.as_str()), (5, 2, "smtp 451"));
    assert_eq!(
        (known.last_failed_at, known.completed_at, known.group_key.as_str()),
        (1_700_000_000, 1_700_000_100, "g1")
    );
    assert_eq!(known.unique_key, crate::keys::unique("critical", "email:verify", br#"{"user_id":42}"#));
    assert_eq!(hex(&stored.encode()), TASK_OF_ALL_FIELDS);

    let mut full = task();
    full.max_retries = 5;
    full.timeout = Duration::from_secs(30);
    full.deadline = Some(Timestamp::from_second(1_700_003_600).unwrap());
    full.retention = Duration::from_secs(3600);
    full.headers.insert("traceparent".to_owned(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    assert_eq!(stored.into_task(), full);
}

#[test]
fn server_and_worker_records_are_encoded_as_by_go() {
    let server_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee".to_owned();
    let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let server = wire::ServerInfo {
        host: "pod-1".to_owned(),
        pid: 7,
        server_id: server_id.clone(),
        concurrency: 10,
        queues: priorities([("critical", 6)].into_iter()),
        strict_priority: false,
        status: "active".to_owned(),
        start_time: at(1_700_000_000, 123_000_000),
        active_worker_count: 1,
    };
    assert_eq!(hex(&server.encode_to_vec()), SERVER);
    let worker = wire::WorkerInfo {
        host: "pod-1".to_owned(),
        pid: 7,
        server_id,
        task_id: task().id,
        task_type: task().kind,
        task_payload: task().payload,
        queue: task().queue,
        start_time: at(1_700_000_000, 0),
        deadline: at(1_700_001_800, 0),
    };
    assert_eq!(hex(&worker.encode_to_vec()), WORKER);
}

#[test]
fn records_of_gos_periodic_scheduler_can_be_read() {
    let entry = wire::SchedulerEntry::decode(&*unhex(ENTRY)).unwrap();
    assert_eq!((entry.id.as_str(), entry.spec.as_str(), entry.enqueue_options.len()), ("e1", "@every 1m", 3));
    assert_eq!(entry.prev_enqueue_time.unwrap().seconds, -62_135_596_800, "never enqueued is Go's zero time");
    let event = wire::SchedulerEnqueueEvent::decode(&*unhex(EVENT)).unwrap();
    assert_eq!(event.enqueue_time.unwrap(), prost_types::Timestamp { seconds: 1_700_000_060, nanos: 5 });
}

#[test]
fn neither_timeout_nor_deadline_becomes_30_minutes() {
    let mut endless = task();
    endless.timeout = Duration::ZERO;
    assert_eq!(hex(&encode(&endless, "")), TASK);
}

#[test]
fn an_attempt_ends_at_the_earlier_of_timeout_and_deadline() {
    let now = Now(1_700_000_000_000_000_000);
    let ends = |timeout: u64, deadline: Option<i64>| {
        let deadline = deadline.map(|seconds| Timestamp::from_second(seconds).unwrap());
        let task = Task { timeout: Duration::from_secs(timeout), deadline, ..task() };
        Stored::decode(&encode(&task, "")).unwrap().times().attempt_ends(now).seconds() - now.seconds()
    };
    assert_eq!(ends(30, None), 30);
    assert_eq!(ends(30, Some(1_700_000_010)), 10);
    assert_eq!(ends(30, Some(1_700_000_100)), 30);
    assert_eq!(ends(0, Some(1_700_000_100)), 100);
    assert_eq!(ends(0, None), 1800);
}

#[test]
fn an_end_is_the_deadlines_where_the_timeout_alone_would_be_later() {
    let now = Now(1_700_000_000_000_000_000);
    for (timeout, deadline, expected) in [(30, 0, true), (30, 1_700_000_010, false), (30, 1_700_000_100, true)] {
        let times = Times { timeout, deadline };
        assert_eq!(times.is_before_deadline(times.attempt_ends(now)), expected, "{times:?}");
    }
}

#[test]
fn a_long_cause_is_cut_between_characters() {
    let cause = "é".repeat(5_000) + "x";
    let stored = Stored::decode(&unhex(TASK)).unwrap();
    let failed = Stored::decode(&stored.failed(&cause, Now(0), true)).unwrap();
    assert_eq!(failed.known.error_msg.len(), MAX_CAUSE_BYTES);
    assert_eq!(failed.retried(), 1);
}

proptest! {
    #[test]
    fn every_task_survives_the_round_trip(
        id in "[a-z0-9-]{1,40}",
        kind in "\\PC{1,20}",
        payload: Vec<u8>,
        max_retries in 0..=i32::MAX as u32,
        timeout in 1..u64::from(u32::MAX),
        header in "\\PC{0,20}",
    ) {
        let timeout = Duration::from_secs(timeout);
        let mut task = Task { id, kind, payload, max_retries, timeout, ..task() };
        task.headers.insert("h".to_owned(), header);
        prop_assert_eq!(Stored::decode(&encode(&task, "")).unwrap().into_task(), task);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        let _ = Stored::decode(&bytes);
    }
}
