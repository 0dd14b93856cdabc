//! The checker: what was promised, what is stored, and what arrived must agree.
//!
//! Takes: what clients were told, the rows, the journal. Gives: a [`Report`]. Does not: ask anybody; pure.

use crate::{
    database::{Intent, Row},
    mails::Line,
    report::{Duplicate, Report},
    signups::{Attempt, Outcome},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Joins the three.
pub fn check(attempts: &[Attempt], rows: &[Row], accepted: &[&Line]) -> Report {
    let mut report = Report { users: rows.len(), mails: accepted.len(), ..Report::default() };
    let users: HashSet<&str> = rows.iter().map(|row| row.username.as_str()).collect();
    for attempt in attempts.iter().filter(|attempt| attempt.outcome == Outcome::Acknowledged) {
        report.acknowledged += 1;
        if !users.contains(attempt.username.as_str()) {
            report.lost.push(format!("{}: acknowledged and not stored", attempt.username));
        }
    }
    let mut by_id: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for &line in accepted {
        by_id.entry(&line.message_id).or_default().push(line);
    }
    let mut known: HashMap<&str, &str> = HashMap::new();
    for row in rows {
        let Some(intent) = &row.intent else {
            report.lost.push(format!("{}: a user without an intent", row.username));
            continue;
        };
        known.insert(&intent.message_id, &row.email);
        *report.states.entry(intent.state.clone()).or_default() += 1;
        let copies = by_id.get(intent.message_id.as_str()).map_or(&[][..], Vec::as_slice);
        look_at(row, intent, copies, &mut report);
    }
    let is_ghost = |line: &&&Line| known.get(line.message_id.as_str()).is_none_or(|email| line.to != [*email]);
    report.ghosts =
        accepted.iter().filter(is_ghost).map(|line| format!("{} to {:?}", line.message_id, line.to)).collect();
    report
}

fn look_at(row: &Row, intent: &Intent, copies: &[&Line], report: &mut Report) {
    let name = &row.username;
    match intent.state.as_str() {
        "waiting" | "dispatched" | "sending" => report.lost.push(format!("{name}: still {}", intent.state)),
        "sent" if copies.is_empty() => report.lost.push(format!("{name}: sent and never accepted")),
        _ => {}
    }
    let early = copies.iter().filter(|copy| copy.received_at_unix_ns < intent.run_at_unix_ns);
    report.early.extend(early.map(|copy| {
        let by_ms = (intent.run_at_unix_ns - copy.received_at_unix_ns) / 1_000_000;
        format!("{name}: {by_ms} ms before it was due")
    }));
    let first = copies.iter().map(|copy| copy.received_at_unix_ns).min();
    // The journal's clock has nanoseconds, PostgreSQL's microseconds.
    if intent.sent_at_unix_ns.zip(first).is_some_and(|(sent, first)| sent + 1_000 < first) {
        report.premature.push(name.clone());
    }
    if let [first, others @ ..] = copies
        && !others.is_empty()
    {
        report.duplicates.push(Duplicate {
            message_id: intent.message_id.clone(),
            copies: copies.len(),
            is_identical: others.iter().all(|copy| copy.fingerprint == first.fingerprint),
            failures: usize::try_from(intent.failures).unwrap_or(0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(name: &str, outcome: Outcome) -> Attempt {
        Attempt { username: name.into(), email: format!("{name}@example.com"), outcome }
    }

    fn row(name: &str, state: &str, failures: i32) -> Row {
        let intent = Intent {
            message_id: format!("{name}@id"),
            state: state.into(),
            run_at_unix_ns: 10_000,
            sent_at_unix_ns: (state == "sent").then_some(30_000),
            attempts: failures + 1,
            failures,
            crash_count: 0,
            max_retries: 10,
            queue: "critical".into(),
            last_class: None,
            last_reply: None,
        };
        Row { username: name.into(), email: format!("{name}@example.com"), is_verified: false, intent: Some(intent) }
    }

    fn mail(name: &str, received_at_unix_ns: i64, fingerprint: &str) -> Line {
        Line {
            phase: "accepted".into(),
            received_at_unix_ns,
            mail: 1,
            message_id: format!("{name}@id"),
            to: vec![format!("{name}@example.com")],
            fingerprint: fingerprint.into(),
        }
    }

    #[test]
    fn one_mail_each_is_sound() {
        let report = check(&[attempt("a", Outcome::Acknowledged)], &[row("a", "sent", 0)], &[&mail("a", 20_000, "x")]);
        report.assert_exactly_one_mail_each();
    }

    #[test]
    fn whatever_is_lost_is_found() {
        let promised = [attempt("a", Outcome::Acknowledged), attempt("b", Outcome::Unknown)];
        assert_eq!(check(&promised, &[], &[]).lost, ["a: acknowledged and not stored"]);
        assert_eq!(check(&[], &[row("a", "sent", 0)], &[]).lost, ["a: sent and never accepted"]);
        assert_eq!(check(&[], &[row("a", "waiting", 0)], &[]).lost, ["a: still waiting"]);
        let without = Row { intent: None, ..row("a", "sent", 0) };
        assert_eq!(check(&[], &[without], &[]).lost, ["a: a user without an intent"]);
    }

    #[test]
    fn ghosts_early_and_premature_mails_are_found() {
        let rows = [row("a", "sent", 0)];
        assert_eq!(check(&[], &rows, &[&mail("a", 20_000, "x"), &mail("b", 20_000, "x")]).ghosts.len(), 1);
        let elsewhere = Line { to: vec!["b@example.com".into()], ..mail("a", 20_000, "x") };
        assert_eq!(check(&[], &rows, &[&elsewhere]).ghosts.len(), 1);
        assert_eq!(check(&[], &rows, &[&mail("a", 9_999, "x")]).early.len(), 1);
        assert_eq!(check(&[], &rows, &[&mail("a", 31_001, "x")]).premature, ["a"]);
    }

    #[test]
    fn copies_must_be_identical_and_explained() {
        let copies = [mail("a", 20_000, "x"), mail("a", 21_000, "x"), mail("a", 22_000, "y")];
        let sound = |failures, copies: &[&Line]| {
            let report = check(&[], &[row("a", "sent", failures)], copies);
            std::panic::catch_unwind(|| report.assert_sound()).is_ok()
        };
        assert!(sound(1, &[&copies[0], &copies[1]]));
        assert!(!sound(0, &[&copies[0], &copies[1]]), "nobody explains the second copy");
        assert!(!sound(1, &[&copies[0], &copies[2]]), "another text");
    }
}
