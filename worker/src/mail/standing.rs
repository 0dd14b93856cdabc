//! How we stand with the mail server, as far as the last dialogues tell.
//!
//! Takes: how each dialogue ended, to which domain its mail went, and whether another connection is served. Gives: the
//! circuit breaker what it counts, the operator a [`Report`], and the gauges. Does not: decide what becomes of the mail
//! ([`class`] does).
//!
//! | a dialogue ended with | and so the server |
//! |---|---|
//! | the mail accepted | works |
//! | transient, permanent | works, unless it is known to refuse everybody |
//! | relay down; misconfigured before RCPT | fails |
//! | misconfigured at RCPT or later | fails if two domains hear that in a row, or no other was ever accepted |
//! | limited before RCPT | fails for the breaker if no other connection is served, and is reported once that is open |
//! | limited at RCPT or later | is reported as failing after five in a row, each with no other connection served |
//! | unknown, internal | nothing is known |
//!
//! What the server has against us at RCPT may come from the recipient's own server behind it. So one domain alone never
//! opens the breaker, and does not count where others' mails get through. A limit is no failure while any mail gets
//! through: those that do end the row of failures, and those that may are on the connections that are served.
//!
//! [`class`]: super::class

use super::{
    Sent,
    breaker::Breaker,
    class::Class,
    reply::{Failure, Phase},
};
use parking_lot::Mutex;
use serde::Serialize;

/// What the operator is told, and through it the condition `MailReachable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// False: mails wait for a change at the server or in the settings.
    pub works: bool,
    /// The step at which it fails; absent when it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    /// Code, enhanced code and text without addresses and names, or what happened; absent when it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What the server has against us, where its reply tells: `helo`, `sender`, `relay`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// As many connections as the server takes from this process at once; absent when it has refused none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
}

/// A failure as it may be shown.
#[derive(Debug, Clone)]
struct Trouble {
    phase: Phase,
    said: String,
    fault: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Known {
    /// The last two domains whose mail was accepted, the last one first.
    accepted: Vec<String>,
    /// Domains, two at most, that heard something against us since a mail was accepted.
    against_us: Vec<String>,
    /// The last permanent verdict.
    refusal: Option<Trouble>,
    refuses_everybody: bool,
    /// Limits met in a row at RCPT or later, by dialogues that were alone.
    limits: u32,
    report: Option<Report>,
}

/// Limits in a row that are worth a report.
const LIMITS: u32 = 5;

/// One per process.
pub(super) struct Standing {
    breaker: Breaker,
    known: Mutex<Known>,
}

/// What a dialogue says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Works,
    Fails,
    /// It takes nothing from us now, which is a failure if it stays so.
    IsFull,
    /// It has something against us, which is worth a report; taking fewer tasks would not help.
    IsAgainstUs,
    Unknown,
}

impl Standing {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self { breaker, known: Mutex::default() }
    }

    pub(super) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// `None` before the first dialogue.
    pub(super) fn report(&self) -> Option<Report> {
        self.known.lock().report.clone()
    }

    /// Learns from the end of a dialogue. `said` is the failure as it may be shown.
    pub(super) fn observe(&self, sent: &Sent, domain: &str, is_alone: bool, said: impl FnOnce(&Failure) -> String) {
        let (verdict, failure) = {
            let mut known = self.known.lock();
            match sent {
                Sent::Accepted(_) => (known.accept(domain), None),
                Sent::Failed(failure) => (known.fail(failure, domain, is_alone), Some(failure)),
                Sent::Interrupted(_) | Sent::Withheld | Sent::Crowded => return,
            }
        };
        let trouble =
            failure.map(|failure| Trouble { phase: failure.phase, said: said(failure), fault: failure.fault() });
        if failure.is_some_and(|failure| failure.class() == Class::Permanent) {
            self.known.lock().refusal.clone_from(&trouble);
        }
        self.conclude(verdict, trouble);
        if let Some(code) = code(sent) {
            metrics::gauge!("signup_mail_last_reply_code").set(f64::from(code));
        }
    }

    /// The fleet found that permanent verdicts are the server's state and no news about mailboxes, or that they are
    /// not.
    pub(super) fn refuses_everybody(&self, everybody: bool) {
        let mut known = self.known.lock();
        known.refuses_everybody = everybody;
        let trouble = known.refusal.clone().filter(|_| everybody);
        drop(known);
        if let Some(trouble) = trouble {
            self.tell(Some(&trouble));
        }
    }

    fn conclude(&self, verdict: Verdict, trouble: Option<Trouble>) {
        match verdict {
            Verdict::Works => {
                self.breaker.record(true);
                self.tell(None);
            }
            Verdict::Fails => {
                self.breaker.record(false);
                self.tell(trouble.as_ref());
            }
            Verdict::IsFull => {
                self.breaker.record(false);
                if self.breaker.is_open() {
                    self.tell(trouble.as_ref());
                }
            }
            Verdict::IsAgainstUs => self.tell(trouble.as_ref()),
            Verdict::Unknown => {}
        }
    }

    /// `None`: it works.
    fn tell(&self, trouble: Option<&Trouble>) {
        metrics::gauge!("signup_mail_reachable").set(if trouble.is_none() { 1.0 } else { 0.0 });
        for phase in Phase::ALL {
            let fails_here = trouble.is_some_and(|trouble| trouble.phase == phase);
            metrics::gauge!("signup_mail_failing", "phase" => phase.label()).set(if fails_here { 1.0 } else { 0.0 });
        }
        self.known.lock().report = Some(Report {
            works: trouble.is_none(),
            phase: trouble.map(|trouble| trouble.phase.label()),
            said: trouble.map(|trouble| trouble.said.clone()),
            fault: trouble.and_then(|trouble| trouble.fault),
            connections: None,
        });
    }
}

impl Known {
    fn accept(&mut self, domain: &str) -> Verdict {
        self.refuses_everybody = false;
        self.limits = 0;
        self.against_us.clear();
        if self.accepted.first().is_none_or(|last| last != domain) {
            self.accepted.retain(|other| other != domain);
            self.accepted.insert(0, domain.to_owned());
            self.accepted.truncate(2);
        }
        Verdict::Works
    }

    fn fail(&mut self, failure: &Failure, domain: &str, is_alone: bool) -> Verdict {
        match (failure.class(), failure.phase) {
            (Class::Permanent, _) if self.refuses_everybody => Verdict::Unknown,
            (Class::Transient | Class::Permanent, _) => Verdict::Works,
            (Class::Misconfigured, Phase::Rcpt | Phase::Data | Phase::Dot) => self.hear_against_us(domain),
            (Class::RelayDown | Class::Misconfigured, _) => Verdict::Fails,
            (Class::Limited, phase) if is_alone => self.meet_limit(phase),
            (Class::Limited | Class::Unknown | Class::Internal, _) => Verdict::Unknown,
        }
    }

    fn meet_limit(&mut self, phase: Phase) -> Verdict {
        if !matches!(phase, Phase::Rcpt | Phase::Data | Phase::Dot) {
            return Verdict::IsFull;
        }
        self.limits = self.limits.saturating_add(1);
        if self.limits < LIMITS { Verdict::Unknown } else { Verdict::IsAgainstUs }
    }

    fn hear_against_us(&mut self, domain: &str) -> Verdict {
        if self.against_us.len() < 2 && self.against_us.iter().all(|other| other != domain) {
            self.against_us.push(domain.to_owned());
        }
        if self.against_us.len() == 2 {
            return Verdict::Fails;
        }
        let others_get_through = self.accepted.iter().any(|other| other != domain);
        if others_get_through { Verdict::Unknown } else { Verdict::IsAgainstUs }
    }
}

fn code(sent: &Sent) -> Option<u16> {
    match sent {
        Sent::Accepted(reply) => Some(reply.code),
        Sent::Failed(failure) => failure.code(),
        Sent::Interrupted(_) | Sent::Withheld | Sent::Crowded => None,
    }
}

#[cfg(test)]
mod tests;
