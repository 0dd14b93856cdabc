use super::*;
use crate::manifest::objects::Content;

const EVERY: Duration = Duration::from_secs(60);

fn key(name: &str) -> Key {
    Key { source: Source::Secret, namespace: "app".to_owned(), name: name.to_owned() }
}

fn pipeline(name: &str) -> Name {
    Name::new(name).within("app")
}

fn found(value: &str) -> Resolved {
    Resolved::Found([("uri", value)].into_iter().collect::<Content>())
}

/// A table in which pipelines `a` and `b` name the Secrets `db` and `redis` each, as a clock goes on.
struct Clock {
    table: Table,
    began: Instant,
    now: Instant,
}

impl Clock {
    fn start() -> Self {
        let (mut table, now) = (Table::new(EVERY), Instant::now());
        for name in ["a", "b"] {
            table.name(&pipeline(name), &[key("db"), key("redis")]);
        }
        for name in ["db", "redis"] {
            assert_eq!(table.store(&key(name), found("1"), Some("1".to_owned()), now), [], "the first read is no news");
        }
        Self { table, began: now, now }
    }

    /// Reads whatever is due for so many seconds, and finds it as it was; seconds at which that Secret was read.
    fn reads(&mut self, secret: &str, seconds: u64) -> Vec<u64> {
        let mut reads = Vec::new();
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            for due in self.table.due(self.now) {
                self.table.store(&due, found("1"), Some("1".to_owned()), self.now);
                reads.extend((due == key(secret)).then(|| self.now.duration_since(self.began).as_secs()));
            }
        }
        reads
    }
}

#[test]
fn at_rest_each_object_is_read_once_a_minute_for_all_that_name_it() {
    let mut clock = Clock::start();
    let reads = clock.reads("db", 600);
    assert!((10..=12).contains(&reads.len()), "{reads:?}");
    let waits: Vec<u64> = reads.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| (54..=61).contains(wait)), "{waits:?}");
}

#[test]
fn trouble_of_a_pipeline_makes_what_it_names_be_read_at_once_and_then_ever_more_rarely() {
    let mut clock = Clock::start();
    clock.reads("db", 5);
    clock.table.doubt(&pipeline("b"), clock.now);
    let reads = clock.reads("db", 200);
    assert_eq!(reads[0], 6);
    let waits: Vec<u64> = reads.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let bounds = [(2, 2), (4, 4), (8, 8), (15, 16), (29, 33), (54, 61), (54, 61)];
    for (wait, (least, most)) in waits.iter().zip(bounds) {
        assert!((least..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_change_is_news_to_all_that_name_the_object_and_to_nobody_else() {
    let mut clock = Clock::start();
    clock.table.name(&pipeline("c"), &[key("redis")]);
    let mut tell = clock.table.store(&key("db"), found("2"), Some("2".to_owned()), clock.now);
    tell.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(tell, [pipeline("a"), pipeline("b")]);
    // Another label of the Secret is another version of the same content.
    assert_eq!(clock.table.store(&key("db"), found("2"), Some("3".to_owned()), clock.now), []);
    assert_eq!(clock.table.store(&key("db"), Resolved::Missing, None, clock.now).len(), 2);
}

#[test]
fn what_nobody_names_any_more_is_not_kept() {
    let mut clock = Clock::start();
    clock.table.name(&pipeline("a"), &[key("redis")]);
    assert_eq!(clock.table.known(&key("db"), None), Some(found("1")));
    clock.table.name(&pipeline("b"), &[]);
    assert_eq!(clock.table.known(&key("db"), None), None);
    clock.table.store(&key("db"), found("1"), None, clock.now);
    assert_eq!(clock.table.known(&key("db"), None), None, "a read that was under way");
    assert_eq!(clock.table.objects.len(), 1);
}

#[test]
fn what_is_watched_is_read_when_its_version_is_another_and_never_at_rest() {
    let mut clock = Clock::start();
    let seen: HashSet<Key> = ["db", "redis"].map(key).into();
    for name in &seen {
        assert!(clock.table.see(name, Some("1"), clock.now));
    }
    clock.table.listed(Source::Secret, &seen, clock.now);
    clock.table.doubt(&pipeline("a"), clock.now);
    assert_eq!(clock.reads("db", 3600), Vec::<u64>::new());
    assert!(!clock.table.see(&key("another"), Some("1"), clock.now), "nobody names it");
    clock.table.see(&key("db"), Some("2"), clock.now);
    assert_eq!(clock.table.due(clock.now), [key("db")]);
    clock.table.store(&key("db"), found("2"), Some("2".to_owned()), clock.now);
    clock.table.see(&key("db"), None, clock.now);
    assert_eq!(clock.table.due(clock.now), [key("db")], "it is gone");
}

#[test]
fn what_a_list_does_not_show_after_a_gap_is_gone() {
    let mut clock = Clock::start();
    let seen: HashSet<Key> = [key("redis")].into();
    clock.table.listed(Source::Secret, &seen, clock.now);
    assert_eq!(clock.table.due(clock.now), [key("db")]);
}

#[test]
fn after_an_edit_only_a_new_read_counts() {
    let clock = Clock::start();
    assert_eq!(clock.table.known(&key("db"), Some(clock.began)), Some(found("1")));
    assert_eq!(clock.table.known(&key("db"), Some(clock.began + Duration::from_secs(1))), None);
}

#[test]
fn trouble_of_many_pipelines_at_once_is_looked_into_one_after_the_other() {
    let mut clock = Clock::start();
    let name = |number: usize| format!("p{number}");
    for number in 0..200 {
        clock.table.name(&pipeline(&name(number)), &[key(&name(number))]);
        clock.table.store(&key(&name(number)), found("1"), Some("1".to_owned()), clock.now);
    }
    clock.now += Duration::from_secs(5);
    (0..200).for_each(|number| clock.table.doubt(&pipeline(&name(number)), clock.now));
    let looks = [0, 1].map(|seconds| clock.table.due(clock.now + Duration::from_secs(seconds)).len());
    assert_eq!(looks, [50, 50]);
}
