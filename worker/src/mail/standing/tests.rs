//! Each row of the header, with a breaker whose timer stands still.

use super::*;
use crate::mail::reply::{Cause, Reply};
use std::time::Duration;

const ALONE: bool = true;
const AMONG_OTHERS: bool = false;

fn standing() -> Standing {
    Standing::new(Breaker::new(|_, _| Duration::from_secs(30)))
}

impl Standing {
    fn accept(&self, domain: &str) {
        self.observe(&Sent::Accepted(Reply::new(250, "ok")), domain, ALONE, |_| unreachable!("nothing failed"));
    }

    fn hear(&self, phase: Phase, reply: (u16, &str), domain: &str, is_alone: bool) {
        let failure = Failure::new(phase, Cause::Reply(Reply::new(reply.0, reply.1)));
        self.observe(&Sent::Failed(failure), domain, is_alone, |failure| failure.for_people(&[]));
    }

    fn works(&self) -> Option<bool> {
        self.report().map(|report| report.works)
    }
}

fn report(phase: Option<&'static str>, said: Option<String>, fault: Option<&'static str>) -> Report {
    Report { works: phase.is_none(), phase, said, fault, connections: None }
}

const HELO: (u16, &str) = (504, "5.5.2 <worker>: Helo command rejected");
const UNKNOWN: (u16, &str) = (550, "5.1.1 unknown");
const NO_SUCH_USER: (u16, &str) = (550, "no such user");

#[test]
fn the_operator_is_told_where_it_fails_and_what_the_server_said() {
    let standing = standing();
    assert_eq!(standing.report(), None);
    standing.hear(Phase::Rcpt, HELO, "one.example", ALONE);
    let said = "504 5.5.2 <\u{2026}>: Helo command rejected".to_owned();
    let fails = report(Some("rcpt"), Some(said), Some("helo"));
    assert_eq!(standing.report(), Some(fails));
    standing.accept("one.example");
    assert_eq!(standing.report(), Some(report(None, None, None)));
}

#[test]
fn one_domain_alone_never_opens_the_breaker_and_is_not_reported_where_others_get_through() {
    let standing = standing();
    standing.accept("good.example");
    for _ in 0..20 {
        standing.hear(Phase::Rcpt, HELO, "hostile.example", ALONE);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(true), false));
    standing.accept("good.example");
    standing.accept("hostile.example");
    standing.hear(Phase::Dot, HELO, "hostile.example", ALONE);
    assert_eq!(standing.works(), Some(true), "it took one, and refuses the next");
}

#[test]
fn one_domain_alone_is_reported_where_no_other_was_ever_accepted() {
    let standing = standing();
    standing.accept("only.example");
    for _ in 0..20 {
        standing.hear(Phase::Rcpt, HELO, "only.example", ALONE);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(false), false));
}

#[test]
fn two_domains_in_a_row_are_the_servers_doing() {
    let standing = standing();
    standing.accept("good.example");
    standing.hear(Phase::Rcpt, HELO, "one.example", ALONE);
    assert_eq!(standing.works(), Some(true));
    for _ in 0..4 {
        standing.hear(Phase::Rcpt, HELO, "two.example", ALONE);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(false), false));
    standing.hear(Phase::Rcpt, HELO, "three.example", ALONE);
    assert!(standing.breaker.is_open());
    standing.accept("four.example");
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(true), false));
}

#[test]
fn an_accepted_mail_between_two_domains_ends_the_row() {
    let standing = standing();
    for _ in 0..10 {
        standing.accept("good.example");
        standing.hear(Phase::Rcpt, HELO, "one.example", ALONE);
        standing.accept("good.example");
        standing.hear(Phase::Rcpt, HELO, "two.example", ALONE);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(true), false));
}

#[test]
fn what_fails_before_rcpt_opens_the_breaker_whatever_the_domain() {
    for (phase, reply) in
        [(Phase::Greeting, (554, "no service")), (Phase::Auth, (535, "no")), (Phase::Mail, (550, "no"))]
    {
        let standing = standing();
        standing.accept("good.example");
        for _ in 0..5 {
            standing.hear(phase, reply, "one.example", AMONG_OTHERS);
        }
        assert_eq!((standing.works(), standing.breaker.is_open()), (Some(false), true), "{phase:?}");
    }
}

#[test]
fn a_limit_is_no_failure_while_a_mail_may_get_through() {
    let standing = standing();
    for _ in 0..100 {
        standing.hear(Phase::Greeting, (421, "too many connections"), "one.example", AMONG_OTHERS);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (None, false));
    for _ in 0..100 {
        standing.accept("good.example");
        for _ in 0..4 {
            standing.hear(Phase::Mail, (451, "busy"), "one.example", ALONE);
        }
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(true), false));
}

#[test]
fn a_server_that_is_always_full_is_down_although_it_calls_that_a_limit() {
    let standing = standing();
    for _ in 0..4 {
        standing.hear(Phase::Greeting, (421, "too many connections"), "one.example", ALONE);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (None, false));
    standing.hear(Phase::Greeting, (421, "too many connections"), "one.example", ALONE);
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(false), true));
}

#[test]
fn a_quota_that_is_used_up_is_reported_and_leaves_the_breaker_closed() {
    let standing = standing();
    for _ in 0..3 {
        standing.accept("good.example");
        for _ in 0..4 {
            standing.hear(Phase::Dot, (550, "5.4.5 quota"), "one.example", ALONE);
        }
        assert_eq!(standing.works(), Some(true));
    }
    for _ in 0..20 {
        standing.hear(Phase::Dot, (550, "5.4.5 quota"), "one.example", ALONE);
    }
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(false), false));
}

#[test]
fn a_refused_mailbox_shows_a_server_that_works_unless_it_refuses_everybody() {
    let standing = standing();
    for _ in 0..5 {
        standing.hear(Phase::Greeting, (554, "no service"), "one.example", ALONE);
    }
    standing.hear(Phase::Rcpt, UNKNOWN, "one.example", ALONE);
    assert_eq!((standing.works(), standing.breaker.is_open()), (Some(true), false));
    standing.hear(Phase::Rcpt, NO_SUCH_USER, "two.example", ALONE);
    standing.refuses_everybody(true);
    let said = Some("550 no such user".to_owned());
    let report = Some(report(Some("rcpt"), said, None));
    assert_eq!(standing.report(), report);
    standing.hear(Phase::Rcpt, NO_SUCH_USER, "three.example", ALONE);
    assert_eq!(standing.report(), report);
    standing.accept("four.example");
    assert_eq!(standing.works(), Some(true));
    standing.hear(Phase::Greeting, (554, "no service"), "one.example", ALONE);
    standing.hear(Phase::Rcpt, NO_SUCH_USER, "three.example", ALONE);
    assert_eq!(standing.works(), Some(true), "it refuses one again");
}

#[test]
fn nothing_is_learnt_from_a_message_whose_answer_was_lost() {
    let standing = standing();
    standing.observe(&Sent::Failed(Failure::new(Phase::Dot, Cause::Lost)), "one.example", ALONE, |_| "lost".into());
    assert_eq!(standing.report(), None);
}
