//! The table in the header of `class.rs` and the function say the same, for every step and every reply.

use super::{
    evidence::{EVIDENCE, about_by},
    *,
};
use crate::mail::reply::Reply;
use proptest::prelude::*;
use std::{collections::HashSet, ops::RangeInclusive};

/// A row of the table in the header.
struct Row {
    line: &'static str,
    phases: Vec<Phase>,
    what: What,
    class: Class,
}

enum What {
    Lost,
    OurStop,
    AnyReply,
    Reply { codes: Vec<RangeInclusive<u16>>, about: Option<About> },
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [place, what, class] = cells[..] else { panic!("three cells: {line}") };
        let phase = |name: &str| Phase::ALL.into_iter().find(|phase| phase.label() == name);
        let phases = match place {
            "anywhere" => Phase::ALL.to_vec(),
            _ => place.split(", ").map(|name| phase(name).unwrap_or_else(|| panic!("a step: {name}"))).collect(),
        };
        let of_class = |of: &Class| of.label().replace('_', " ") == class;
        let class = Class::ALL.into_iter().find(of_class).unwrap_or_else(|| panic!("a class: {line}"));
        Self { line, phases, what: What::parse(what), class }
    }

    fn fits(&self, phase: Phase, cause: &Cause) -> bool {
        let fits = match (&self.what, cause) {
            (What::Lost, Cause::Lost | Cause::TimedOut) => true,
            (What::OurStop, Cause::Unusable(_)) => true,
            (What::AnyReply, Cause::Reply(_)) => true,
            (What::Reply { codes, about: only }, Cause::Reply(reply)) => {
                codes.iter().any(|codes| codes.contains(&reply.code)) && only.is_none_or(|only| only == about(reply))
            }
            _ => false,
        };
        fits && self.phases.contains(&phase)
    }
}

impl What {
    fn parse(what: &str) -> Self {
        let (codes, about) = what.split_once(" about ").map_or((what, None), |(codes, about)| (codes, Some(about)));
        let about = about.map(|about| match about {
            "a limit" => About::Limit,
            "us" => About::Us,
            "the mailbox, by code" => About::Mailbox,
            "the mailbox, in words" => About::MailboxInWords,
            _ => panic!("about whom: {what}"),
        });
        match codes {
            "lost or silent" => Self::Lost,
            "this side stopped" => Self::OurStop,
            "any other reply" => Self::AnyReply,
            _ => Self::Reply { codes: codes.split(", ").map(range).collect(), about },
        }
    }
}

/// `421`, `450-454` or `5xx`.
fn range(codes: &str) -> RangeInclusive<u16> {
    let number = |text: &str| text.parse::<u16>().unwrap_or_else(|_| panic!("a code: {codes}"));
    match (codes.split_once('-'), codes.strip_suffix("xx")) {
        (Some((first, last)), _) => number(first)..=number(last),
        (None, Some(hundreds)) => number(hundreds) * 100..=number(hundreds) * 100 + 99,
        (None, None) => number(codes)..=number(codes),
    }
}

fn table() -> Vec<Row> {
    let lines = include_str!("../class.rs").lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let rows: Vec<Row> = lines.filter(|line| line.starts_with('|')).skip(2).map(Row::parse).collect();
    assert!(rows.len() >= 20, "the header has its table");
    rows
}

fn reply(code: u16, text: &str) -> Cause {
    Cause::Reply(Reply::new(code, text))
}

/// Every way to end, with a text of each kind.
fn causes() -> Vec<Cause> {
    let texts = [
        "",
        "4.7.28 unusual rate of mail",
        "5.2.2 full",
        "5.1.1 gone",
        "no such user",
        "relay not permitted",
        "5.3.0 something else",
    ];
    let ends = [Cause::Lost, Cause::TimedOut, Cause::Unusable("no common mechanism".into())];
    ends.into_iter()
        .chain([220, 250, 354].into_iter().chain(400..=599).flat_map(|code| texts.map(|text| reply(code, text))))
        .collect()
}

#[test]
fn the_table_in_the_header_is_the_whole_truth() {
    let (table, mut used) = (table(), HashSet::new());
    for (phase, cause) in Phase::ALL.into_iter().flat_map(|phase| causes().into_iter().map(move |cause| (phase, cause)))
    {
        let row =
            table.iter().find(|row| row.fits(phase, &cause)).unwrap_or_else(|| panic!("no row: {phase:?} {cause:?}"));
        assert_eq!(class(phase, &cause), row.class, "{phase:?} {cause:?} by the row {}", row.line);
        used.insert(row.line);
    }
    for row in &table {
        assert!(used.contains(row.line), "a row that never decides: {}", row.line);
    }
}

#[test]
fn a_text_of_every_kind_was_tried() {
    let tried: HashSet<About> = causes()
        .iter()
        .filter_map(|cause| if let Cause::Reply(reply) = cause { Some(about(reply)) } else { None })
        .collect();
    let kinds: HashSet<About> = EVIDENCE.iter().map(|(about, ..)| *about).collect();
    assert_eq!(tried, kinds);
}

#[test]
fn every_code_and_phrase_tells_what_its_row_says() {
    for (expected, codes, phrases) in EVIDENCE {
        for pattern in codes.split_whitespace() {
            let code = pattern.replace('*', if pattern.contains('.') { "5" } else { "0" });
            let reply = match code.parse() {
                Ok(code) => Reply::new(code, ""),
                Err(_) => Reply::new(if code.starts_with('4') { 450 } else { 550 }, &format!("{code} see there")),
            };
            assert_eq!(about(&reply), expected, "{pattern}");
        }
        for phrase in phrases.split(", ").filter(|phrase| !phrase.is_empty()) {
            assert_eq!(phrase, phrase.to_lowercase(), "{phrase}");
            assert_eq!(about(&Reply::new(550, &format!("Sorry: {phrase}ed, bye"))), expected, "{phrase}");
        }
    }
}

/// `EVIDENCE` without one code or phrase of one row.
fn without(number: usize, entry: &str) -> [evidence::Row; EVIDENCE.len()] {
    let rest = |list: &str, separator: &str| {
        let rest: Vec<&str> = list.split(separator).filter(|other| *other != entry).collect();
        &*rest.join(separator).leak()
    };
    let mut rows = EVIDENCE;
    let (about, codes, phrases) = rows[number];
    rows[number] = (about, rest(codes, " "), rest(phrases, ", "));
    rows
}

#[test]
fn every_code_and_phrase_decides_a_reply_of_the_table_so_that_none_can_go_unseen() {
    let lines = include_str!("../../../tests/replies/servers.tsv").lines().skip(1);
    let reply = |line: &str| {
        let [_, step, reply, ..] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        let phase = Phase::ALL.into_iter().find(|phase| phase.label() == step)?;
        let (code, text) = reply.split_once(' ')?;
        Some((phase, Reply::new(code.parse().ok()?, text)))
    };
    let replies: Vec<(Phase, Reply)> = lines.filter_map(reply).collect();
    let mut idle = Vec::new();
    for (number, (_, codes, phrases)) in EVIDENCE.into_iter().enumerate() {
        for entry in codes.split(' ').chain(phrases.split(", ")).filter(|entry| !entry.is_empty()) {
            let rows = without(number, entry);
            let class = |phase, reply: &Reply, about| class_of_reply(phase, reply.code, about);
            let is_idle = |(phase, reply): &(Phase, Reply)| {
                class(*phase, reply, about(reply)) == class(*phase, reply, about_by(&rows, reply))
            };
            if replies.iter().all(is_idle) {
                idle.push(entry);
            }
        }
    }
    assert!(idle.is_empty(), "no reply needs {idle:?}");
}

proptest! {
    #[test]
    fn a_mail_is_given_up_only_on_evidence_about_its_mailbox(code in 200u16..600, text in "[ -~]{0,60}") {
        for phase in Phase::ALL {
            let reply = Reply::new(code, &text);
            let is_evidence = match about(&reply) {
                About::Mailbox => code >= 500,
                About::MailboxInWords => code >= 500 && phase == Phase::Rcpt,
                _ => false,
            };
            let is_permanent = class(phase, &Cause::Reply(reply)) == Class::Permanent;
            prop_assert!(!is_permanent || is_evidence, "{:?} {} {}", phase, code, text);
        }
    }

    #[test]
    fn what_others_chose_decides_nothing(local in "[a-z._=+-]{1,20}", host in "[a-z]{1,9}(\\.[a-z]{1,9}){1,2}") {
        for named in [format!("<{local}@{host}>"), format!("({local}@{host})"), format!("<{local}>"), host] {
            let unknown = Reply::new(550, &format!("{named}: Recipient address rejected: User unknown"));
            prop_assert_eq!(about(&unknown), About::MailboxInWords, "{}", named);
            let silent = Reply::new(550, &format!("{named} rejected"));
            prop_assert_eq!(about(&silent), About::Nobody, "{}", named);
        }
    }
}

#[test]
fn trouble_of_the_provider_never_uses_up_a_retry() {
    for phase in Phase::ALL {
        assert!(phase == Phase::Dot || !class(phase, &Cause::Lost).is_counted(), "{phase:?}");
        assert!(!class(phase, &reply(421, "")).is_counted(), "{phase:?}");
    }
}

#[test]
fn what_may_have_been_accepted_waits_a_minute_and_counts() {
    let class = class(Phase::Dot, &Cause::Lost);
    assert!(class.is_counted() && class.shortest_wait() >= Duration::from_secs(60));
}

#[test]
fn labels_are_distinct() {
    let labels: HashSet<_> = Class::ALL.iter().map(|class| class.label()).collect();
    assert_eq!(labels.len(), Class::ALL.len());
}
