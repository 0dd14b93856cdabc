//! Does the mail server take mails?
//!
//! Takes: what the workers report on their admin ports. Gives: the condition, with what the server said and, as far as
//! the worker could tell, the setting that mends it. Pure. Does not: read replies; the worker does.

use super::{
    condition::{
        ConditionStatus::{False, True, Unknown},
        UntimedCondition,
    },
    facts::Facts,
};
use crate::{
    controller::{
        observe::pods::Mail,
        reason::{self, Finding, condition as kind},
    },
    crd::mail::Smtp,
};

/// Whether the workers' last dialogues found a working mail server.
pub(super) fn reachable(facts: &Facts<'_>) -> UntimedCondition {
    let condition =
        |status, reason, message: &str| UntimedCondition::new(kind::MAIL_REACHABLE, status, reason, message);
    let told: Vec<&Mail> = facts.reports.iter().filter_map(|report| report.mail.as_ref()).collect();
    let works = told.iter().any(|mail| matches!(mail, Mail::Works { .. }));
    let failing = told.iter().find_map(|mail| match mail {
        Mail::Works { .. } => None,
        Mail::Fails { phase, said, fault } => Some((phase, said.as_deref(), fault.as_deref())),
    });
    match failing {
        None if told.is_empty() => condition(Unknown, reason::NOT_KNOWN, "no worker has sent a mail yet"),
        Some((phase, said, fault)) if !works => {
            let finding = trouble(phase, said, fault, &facts.pipeline.spec.mail.smtp);
            UntimedCondition::from_finding(kind::MAIL_REACHABLE, False, &finding)
        }
        _ => condition(True, reason::ANSWERS, &how_it_works(&told)),
    }
}

/// With the number of connections that the workers learnt, each its own, where the server bounds it.
fn how_it_works(told: &[&Mail]) -> String {
    let learnt = told.iter().filter_map(|mail| match mail {
        Mail::Works { connections } => *connections,
        Mail::Fails { .. } => None,
    });
    match learnt.sum::<u32>() {
        0 => "the mail server takes mails".to_owned(),
        1 => "the mail server takes mails, 1 connection at once".to_owned(),
        number => format!("the mail server takes mails, {number} connections at once"),
    }
}

/// By the step at which dialogues end (the worker's words), with what the server said there and what mends it.
fn trouble(phase: &str, said: Option<&str>, fault: Option<&str>, smtp: &Smtp) -> Finding {
    let Smtp { host, port, tls, .. } = smtp;
    let (reason, what) = match phase {
        "tls" => (reason::TLS_MISMATCH, format!("no TLS connection to the mail server can be made with tls {tls:?}")),
        "greeting" if fault.is_none() => (reason::NO_ANSWER, "the mail server does not greet".to_owned()),
        "auth" if fault == Some("mechanism") => {
            (reason::CREDENTIALS_REFUSED, "the mail server offers no way to sign in that workers know".to_owned())
        }
        "auth" => (reason::CREDENTIALS_REFUSED, "the mail server refuses the user or the password".to_owned()),
        "mail" => (reason::SENDER_REFUSED, "the mail server refuses the sender, or wants credentials".to_owned()),
        "greeting" | "rcpt" | "data" | "dot" => {
            (reason::SENDER_REFUSED, "the mail server does not take our mails".to_owned())
        }
        _ => (reason::NO_ANSWER, "the mail server takes no mails".to_owned()),
    };
    let what = what.replacen("mail server", &format!("mail server {host}:{port}"), 1);
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    let effect = format!("{what}{said}; signups go on, mails are kept and tried again");
    let fix = fault.and_then(|fault| fix_of_fault(fault, smtp)).unwrap_or_else(|| fix_of_step(phase, smtp));
    Finding::new(reason, effect, fix)
}

/// What mends what the server has against us; `None` for a word of a newer worker.
fn fix_of_fault(fault: &str, smtp: &Smtp) -> Option<String> {
    Some(match fault {
        "helo" => "set spec.mail.smtp.helloName to a host name that DNS knows".to_owned(),
        "records" => {
            "publish the records that the reply names (SPF, DKIM, DMARC) for the domain of spec.mail.from, so \
            that they allow this mail server"
                .to_owned()
        }
        "unverified" => {
            "verify the address or the domain of spec.mail.from at the provider, or set it to one that is".to_owned()
        }
        "relay" => format!("{}, or let the mail server relay for the addresses of the workers", credentials(smtp)),
        "host" => "have the address that the workers connect from taken off the list that the reply names and known \
            in DNS, or send through another server (spec.mail.smtp.host)"
            .to_owned(),
        "sender" => {
            "set spec.mail.from, or spec.mail.envelopeFrom, to an address that this user may send as".to_owned()
        }
        "credentials" => credentials(smtp),
        "mechanism" => {
            "name its port for submission in spec.mail.smtp.port (587 with StartTLS, 465 with Implicit), have \
            it offer AUTH PLAIN or LOGIN there (XOAUTH2 for a token), or take spec.mail.smtp.authSecretRef away"
                .to_owned()
        }
        "message" => "ask who runs the mail server which of its rules the mails break; the reply names it".to_owned(),
        "limit" => "wait, or have the provider raise the limit; spec.mail.smtp.maxPerSecond and maxConnections keep \
            below one"
            .to_owned(),
        _ => return None,
    })
}

fn credentials(smtp: &Smtp) -> String {
    match &smtp.auth_secret_ref {
        Some(secret) => format!("correct username and password in Secret {}", secret.name),
        None => "name username and password in spec.mail.smtp.authSecretRef".to_owned(),
    }
}

fn fix_of_step(phase: &str, smtp: &Smtp) -> String {
    match phase {
        "tls" => "set spec.mail.smtp.tls to what that port speaks (StartTLS at 587, Implicit at 465), and name the \
            authority that signed its certificate in spec.mail.smtp.caSecretRef"
            .to_owned(),
        "greeting" => "set spec.mail.smtp.tls to Implicit when that port speaks TLS from the first byte (465), or see \
            that it is a mail server and takes connections from here"
            .to_owned(),
        "auth" => {
            let secret = smtp.auth_secret_ref.as_ref().map(|secret| format!("Secret {}", secret.name));
            format!("correct username and password in {}", secret.as_deref().unwrap_or("spec.mail.smtp.authSecretRef"))
        }
        "mail" => reason::SENDER_REFUSED.fix().unwrap_or_default().to_owned(),
        "rcpt" | "data" | "dot" => "mend what the reply names: spec.mail.from and spec.mail.smtp.authSecretRef, the \
            right to relay, the records of our domain (SPF, DKIM, DMARC), or the quota of the account"
            .to_owned(),
        _ => "check that it runs, that spec.mail.smtp names its host and port, and that network policies let workers \
            reach it; the workers' log has the server's reply"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::names::Component,
        controller::{
            observe::pods::Report,
            status::fixture::{Fixture, report},
        },
    };

    fn told(mails: impl IntoIterator<Item = Mail>) -> UntimedCondition {
        let mut fixture = Fixture::healthy();
        let reports = mails.into_iter().map(|mail| Report { mail: Some(mail), ..report(Component::Worker, Ok(())) });
        fixture.reports = reports.collect();
        reachable(&fixture.facts())
    }

    #[test]
    fn the_condition_says_how_many_connections_the_workers_learnt_that_the_server_takes() {
        for (learnt, shown) in [
            (vec![None, None], "the mail server takes mails"),
            (vec![Some(1)], "the mail server takes mails, 1 connection at once"),
            (vec![Some(2), None, Some(1)], "the mail server takes mails, 3 connections at once"),
        ] {
            let condition = told(learnt.into_iter().map(|connections| Mail::Works { connections }));
            assert_eq!((condition.status, condition.message.as_str()), (True, shown));
        }
    }

    #[test]
    fn a_server_where_nobody_can_sign_in_refuses_no_password() {
        let (said, fault) = (Some("it offers neither".to_owned()), Some("mechanism".to_owned()));
        let condition = told([Mail::Fails { phase: "auth".to_owned(), said, fault }]);
        assert_eq!(condition.reason, reason::CREDENTIALS_REFUSED);
        assert!(condition.message.contains("offers no way to sign in"), "{}", condition.message);
        assert!(condition.message.contains("Fix: name its port for submission"), "{}", condition.message);
    }

    #[test]
    fn the_condition_says_what_the_mail_server_said_and_what_mends_it() {
        let helo = Some("504 5.5.2 <\u{2026}>: Helo command rejected");
        for (phase, said, fault, shown) in [
            ("rcpt", helo, Some("helo"), "(504 5.5.2 <\u{2026}>: Helo command rejected)"),
            ("rcpt", helo, Some("helo"), "Fix: set spec.mail.smtp.helloName"),
            ("dot", Some("550 5.4.5 quota exceeded"), Some("limit"), "Fix: wait, or have the provider raise"),
            ("greeting", Some("554 5.7.1 your IP is listed"), Some("host"), "Fix: have the address that the workers"),
            ("rcpt", Some("550 relay not permitted"), Some("relay"), "Fix: name username and password in spec.mail"),
            ("rcpt", Some("553 5.7.1 not owned"), Some("sender"), "Fix: set spec.mail.from, or spec.mail.envelope"),
            ("dot", Some("554 not verified"), Some("unverified"), "Fix: verify the address or the domain"),
            ("dot", Some("550 5.7.26 no"), Some("records"), "Fix: publish the records that the reply names"),
            ("dot", Some("552 5.3.4 too large"), Some("message"), "Fix: ask who runs the mail server"),
            ("rcpt", Some("550 5.7.0 no"), None, "Fix: mend what the reply names"),
            ("rcpt", Some("550 5.7.0 no"), Some("a word of tomorrow"), "Fix: mend what the reply names"),
            ("rcpt", None, None, "does not take our mails; signups go on"),
        ] {
            let (said, fault) = (said.map(str::to_owned), fault.map(str::to_owned));
            let condition = told([Mail::Fails { phase: phase.to_owned(), said, fault }]);
            assert_eq!((condition.status, condition.reason), (False, reason::SENDER_REFUSED));
            assert!(condition.message.contains(shown), "{}", condition.message);
        }
    }
}
