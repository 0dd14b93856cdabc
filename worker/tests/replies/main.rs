//! What mail servers really answer, and what each answer means.
//!
//! `servers.tsv`: server, step, reply (its code and facts, in words of ours where its own do not matter), class,
//! source. A reply that is met and read wrongly becomes a row first.

use std::collections::{BTreeMap, HashSet};
use worker::mail::{
    Failure, Phase,
    reply::{Cause, Reply},
};

struct Row {
    server: &'static str,
    failure: Failure,
    class: &'static str,
    line: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("servers.tsv").lines().skip(1);
    lines.map(|line| row(line).unwrap_or_else(|| panic!("server, step, reply, class, source: {line}"))).collect()
}

fn row(line: &'static str) -> Option<Row> {
    let [server, step, reply, class, source] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
    let phase = Phase::ALL.into_iter().find(|phase| phase.label() == step)?;
    let (code, text) = reply.split_once(' ').unwrap_or((reply, ""));
    let cause = Cause::Reply(Reply::new(code.parse().ok()?, text));
    (!source.is_empty()).then_some(Row { server, failure: Failure { phase, cause }, class, line })
}

#[test]
fn every_reply_means_what_its_row_says() {
    let wrong = |row: &Row| {
        let class = row.failure.class().label();
        (class != row.class).then(|| format!("{class} instead of {}", row.line))
    };
    let wrong: Vec<String> = rows().iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_reply_is_there_twice_and_enough_servers_are() {
    let mut by_server: BTreeMap<&str, u32> = BTreeMap::new();
    let mut seen = HashSet::new();
    for row in rows() {
        assert!(seen.insert(row.line), "twice: {}", row.line);
        *by_server.entry(row.server).or_default() += 1;
    }
    assert!(seen.len() >= 60 && by_server.len() >= 10, "{by_server:?}");
    for server in [
        "Amazon SES",
        "Exchange Online",
        "Exchange Server",
        "Exim",
        "Gmail",
        "Mailgun",
        "OpenSMTPD",
        "Postfix",
        "SendGrid",
        "Sendmail",
    ] {
        assert!(by_server.contains_key(server), "{server}");
    }
}
