//! Fields of a child that somebody else writes, too.
//!
//! Takes: fields that differ from what is desired, and who wrote each. Gives: which are to be set back, and which are
//! left alone: a foreign write is undone once, and at the second by the same writer within a minute the operator
//! yields, until the resource says otherwise or nobody has differed for ten minutes. Does not: read or write anything.

use super::drift::Path;
use crate::controller::reason::{self, Finding};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Two writes of one writer within this time are a fight.
pub(in crate::controller) const FIGHT: Duration = Duration::from_secs(60);

/// What was given up is the operator's again after this time: a field, when it has been as desired for so long.
pub(in crate::controller) const PEACE: Duration = Duration::from_secs(600);

/// A field that differs, and who wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Foreign {
    pub(super) path: Path,
    pub(super) writer: String,
}

/// A field that is left to somebody else.
#[derive(Debug)]
struct Left {
    path: Path,
    writer: String,
    /// What was desired; another desire is another matter.
    desired: Option<Value>,
    /// When it differed last.
    at: Instant,
    differs: bool,
}

/// The fields of one child.
#[derive(Debug, Default)]
pub(super) struct Contest {
    uid: Option<String>,
    undone: Vec<(String, Instant)>,
    left: Vec<Left>,
}

impl Contest {
    /// The fields to leave alone of a child that is observed like this. One that was made anew is nobody's yet.
    pub(super) fn left(&mut self, uid: Option<String>, desired: &Value, differing: &[Path], now: Instant) -> Vec<Path> {
        if self.uid != uid {
            *self = Self { uid, ..Self::default() };
        }
        for left in &mut self.left {
            left.differs = differing.contains(&left.path);
            if left.differs {
                left.at = now;
            }
        }
        self.left.retain(|left| left.path.get(desired) == left.desired.as_ref() && now - left.at < PEACE);
        self.left.iter().map(|left| left.path.clone()).collect()
    }

    /// Those to set back; the others are left alone from now on.
    pub(super) fn judge(&mut self, desired: &Value, foreign: Vec<Foreign>, now: Instant) -> Vec<Foreign> {
        self.undone.retain(|(_, at)| now - *at < FIGHT);
        let fights = |writer: &str| self.undone.iter().any(|(undone, _)| undone == writer);
        let (left, undo): (Vec<_>, Vec<_>) = foreign.into_iter().partition(|one| fights(&one.writer));
        self.left.extend(left.into_iter().map(|Foreign { path, writer }| {
            let desired = path.get(desired).cloned();
            Left { path, writer, desired, at: now, differs: true }
        }));
        undo
    }

    /// They were set back.
    pub(super) fn undone(&mut self, foreign: &[Foreign], now: Instant) {
        for one in foreign {
            self.undone.retain(|(writer, _)| *writer != one.writer);
            self.undone.push((one.writer.clone(), now));
        }
    }

    /// What is told of the fields that others set; `child`: kind and name.
    pub(super) fn finding(&self, child: &str) -> Option<Finding> {
        let differing: Vec<&Left> = self.left.iter().filter(|left| left.differs).collect();
        let writer = &differing.first()?.writer;
        let paths: Vec<String> =
            differing.iter().filter(|left| left.writer == *writer).map(|left| left.path.to_string()).collect();
        let problem = format!(
            "{writer} (a field manager) sets {} of {child} again and again, so the operator leaves that as it is",
            paths.join(", ")
        );
        let fix = "end that writer and set the field back, or write the pipeline so that both want the same";
        Some(Finding::new(reason::FOREIGN_WRITER, problem, fix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn foreign(writer: &str, field: &str) -> Foreign {
        Foreign { path: Path::of_spec(field), writer: writer.to_owned() }
    }

    fn after(seconds: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
    }

    /// Who is undone, when these write one after the other.
    fn undone(contest: &mut Contest, writes: &[(&str, u64)]) -> Vec<bool> {
        let desired = json!({"spec": {"replicas": 2}});
        let undone = |(writer, second): &(&str, u64)| {
            let undo = contest.judge(&desired, vec![foreign(writer, "replicas")], after(*second));
            contest.undone(&undo, after(*second));
            !undo.is_empty()
        };
        writes.iter().map(undone).collect()
    }

    #[test]
    fn a_write_is_undone_once_and_the_second_of_the_same_writer_within_a_minute_is_not() {
        let writes = [("a", 0), ("b", 10), ("a", 59), ("c", 60), ("b", 71), ("c", 121)];
        assert_eq!(undone(&mut Contest::default(), &writes), [true, true, false, true, true, true]);
    }

    #[test]
    fn what_is_left_alone_is_told_while_it_differs_and_until_the_resource_says_otherwise() {
        let (desired, path) = (json!({"spec": {"replicas": 2}}), Path::of_spec("replicas"));
        let begun = || {
            let mut contest = Contest::default();
            undone(&mut contest, &[("a", 0), ("a", 1)]);
            contest
        };
        let mut contest = begun();
        assert_eq!(contest.left(None, &desired, std::slice::from_ref(&path), after(2)), std::slice::from_ref(&path));
        let told = contest.finding("Deployment demo-api").expect("it is told").message;
        assert!(told.starts_with("a (a field manager) sets spec.replicas of Deployment demo-api again"), "{told}");
        assert_eq!(contest.left(None, &desired, &[], after(600)), std::slice::from_ref(&path));
        assert_eq!(contest.finding("Deployment demo-api"), None, "the two agree");
        assert!(contest.left(None, &desired, &[], after(602)).is_empty(), "for ten minutes");
        let edited = json!({"spec": {"replicas": 3}});
        assert!(begun().left(None, &edited, std::slice::from_ref(&path), after(2)).is_empty());
        assert!(begun().left(Some("new".into()), &desired, &[path], after(2)).is_empty());
    }
}
