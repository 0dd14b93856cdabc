//! Which pipelines of a server are read when, and with whom.

use super::*;
use queue::Answers;

const FAR: Duration = Duration::from_secs(60);

fn subscribed(database: i64) -> Subscribed {
    let interest = Interest { database, queues: vec!["default".to_owned()], ahead: Duration::ZERO, poll_interval: FAR };
    Subscribed { schedule: Schedule::new(interest), readings: watch::channel(None).0 }
}

/// So many pipelines, each in the database of its id.
fn pipelines(count: u32) -> Pipelines {
    let mut pipelines = Pipelines::default();
    pipelines.subscribed.extend((0..count).map(|id| (id.into(), subscribed(id.into()))));
    pipelines
}

fn ids(due: &[Due]) -> Vec<u64> {
    let mut ids: Vec<u64> = due.iter().map(|due| due.id).collect();
    ids.sort_unstable();
    ids
}

/// The queue changed, in a database that a producer named or in whatever.
fn heard(database: Option<i64>, since: Instant) -> Heard {
    let databases = database.into_iter().collect();
    Heard { all: false, queues: ["default".to_owned()].into(), databases, since: Some(since) }
}

/// Everything was read at that time, and nothing is due before something is heard.
fn at_rest(count: u32) -> (Pipelines, Instant) {
    let (mut pipelines, start) = (pipelines(count), Instant::now());
    let mut read = 0;
    while read < count as usize {
        read += pipelines.due(start).0.len();
    }
    (pipelines, start)
}

#[test]
fn what_a_producer_named_is_read_without_the_others_which_are_not_held_back_for_long() {
    let (mut pipelines, start) = (pipelines(3), Instant::now());
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let due = |pipelines: &mut Pipelines, milliseconds| ids(&pipelines.due(at(milliseconds)).0);
    assert_eq!(due(&mut pipelines, 0), [0, 1, 2], "nothing is known of any");
    pipelines.hear(&heard(Some(1), at(200)));
    assert_eq!(due(&mut pipelines, 210), [1]);
    assert_eq!(due(&mut pipelines, 211), [0, 2]);
    pipelines.hear(&heard(Some(1), at(400)));
    assert_eq!(due(&mut pipelines, 410), [1]);
    pipelines.hear(&heard(Some(1), at(900)));
    assert_eq!(due(&mut pipelines, 910), [0, 1, 2], "the others have waited for 500 ms");
}

#[test]
fn a_burst_waits_for_fifty_queues_at_most_while_a_thousand_of_its_name_are_read() {
    let (mut pipelines, start) = at_rest(1000);
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    pipelines.hear(&heard(None, at(200)));
    let mut read = ids(&pipelines.due(at(210)).0);
    assert_eq!(read.len(), MAX_QUEUES, "the first of a round");
    let late = (0..1000).rev().find(|id| !read.contains(id)).expect("most were not read yet");
    pipelines.hear(&heard(Some(i64::try_from(late).expect("it is small")), at(211)));
    let burst = ids(&pipelines.due(at(217)).0);
    assert_eq!(burst, [late], "alone, and next");
    read.extend(burst);
    loop {
        let due = ids(&pipelines.due(at(218)).0);
        if due.is_empty() {
            break;
        }
        assert!(due.len() <= MAX_QUEUES, "{} at once", due.len());
        read.extend(due);
    }
    read.sort_unstable();
    assert_eq!(read, (0..1000).collect::<Vec<u64>>(), "each once");
}

#[test]
fn a_pipeline_with_more_queues_than_a_round_trip_has_is_read_all_the_same() {
    let (mut pipelines, start) = (pipelines(2), Instant::now());
    let queues = (0..=MAX_QUEUES).map(|number| format!("queue-{number}")).collect();
    let interest = Interest { database: 0, queues, ahead: Duration::ZERO, poll_interval: FAR };
    pipelines.subscribed.get_mut(&0).expect("it is there").schedule = Schedule::new(interest);
    let mut turns: Vec<Vec<u64>> = [start + FAR / 2; 3].map(|at| ids(&pipelines.due(at).0)).into();
    turns.sort();
    assert_eq!(turns, [vec![], vec![0], vec![1]]);
}

/// What Redis answers: so many tasks pending in the queue of each.
fn answered(pending: u64, count: usize) -> Answered {
    let state = QueueState { pending, ..QueueState::default() };
    let reading = QueueReading { state, ..QueueReading::default() };
    Answered::of(Answers { states: vec![Ok(reading); count], untracked: None }).expect("a Redis that answers")
}

#[test]
fn a_burst_into_a_queue_that_is_long_already_is_read_although_no_producer_names_it_and_the_others_rest() {
    let (mut pipelines, start) = at_rest(3);
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    pipelines.paces.possible.spend(start, Duration::from_millis(400));
    pipelines.hear(&heard(Some(1), at(450)));
    let due = pipelines.due(at(460)).0;
    assert_eq!(ids(&due), [1]);
    pipelines.deliver(due, answered(200, 1), at(460));
    // The rest of the tasks that are put in together.
    pipelines.hear(&heard(None, at(470)));
    assert_eq!(ids(&pipelines.due(at(559)).0), [0; 0]);
    let due = pipelines.due(at(560)).0;
    assert_eq!(ids(&due), [1], "after 100 ms, and not after 4 s");
    pipelines.deliver(due, answered(0, 1), at(560));
    pipelines.hear(&heard(None, at(570)));
    assert_eq!(ids(&pipelines.due(at(3999)).0), [0; 0], "it is one of many again");
    assert_eq!(ids(&pipelines.due(at(4000)).0), [0, 1, 2]);
}
