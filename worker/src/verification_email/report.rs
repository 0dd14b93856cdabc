//! Log lines and metrics of finished tasks.
//!
//! Takes: an outcome. Gives: the Go program's lines `processed task` and `process task failed`, and counters.
//! Does not: show addresses (but for `observability.logPersonalData`), codes, links, or what mail servers wrote.

use super::outcome::{Outcome, PutOff};
use crate::mail::Class;
use queue::Job;
use signup::task::{KIND, Payload};

/// The class of a task about a user that is not there (yet): no attempt, so none of [`Class`].
const UNKNOWN_USER: &str = "unknown_user";

/// Describes the metrics and makes them visible before the first mail: a rate needs its zero.
pub(crate) fn begin() {
    describe_mails();
    describe_server();
    metrics::counter!("signup_mail_sent_total").increment(0);
    metrics::counter!("signup_mail_links_remade_total").increment(0);
    for why in PutOff::ALL {
        metrics::counter!("signup_mail_put_off_total", "reason" => why.label()).increment(0);
    }
    metrics::counter!("signup_mail_taken_back_total").increment(0);
    metrics::gauge!("signup_mail_breaker_open").set(0.0);
    metrics::gauge!("signup_mail_connections_allowed").set(f64::INFINITY);
    for class in Class::ALL.map(Class::label).into_iter().chain([UNKNOWN_USER]) {
        metrics::counter!("signup_mail_outcomes_total", "class" => class).increment(0);
    }
}

fn describe_mails() {
    metrics::describe_counter!(
        "signup_mail_sent_total",
        "Mails that the mail server accepted and PostgreSQL recorded."
    );
    metrics::describe_counter!("signup_mail_outcomes_total", "Attempts that did not end in a mail, by class.");
    metrics::describe_counter!("signup_mail_put_off_total", "Tasks that were put off with nothing used up, by reason.");
    metrics::describe_counter!(
        "signup_mail_links_remade_total",
        "Links of owed mails whose row was deleted, made again."
    );
    metrics::describe_counter!(
        "signup_mail_taken_back_total",
        "Permanent verdicts taken back, because the mail server refuses everybody."
    );
}

fn describe_server() {
    metrics::describe_gauge!("signup_mail_breaker_open", "1 while no tasks are taken because the mail server is down.");
    metrics::describe_gauge!("signup_mail_reachable", "1 when the last dialogue found a working mail server, else 0.");
    metrics::describe_gauge!(
        "signup_mail_connections_allowed",
        "Connections at once that the mail server takes from this worker, or its share; +Inf: no limit is known."
    );
    metrics::describe_gauge!(
        "signup_mail_failing",
        "1 at the step that ended the last dialogue when the mail server does not work, else 0."
    );
    metrics::describe_gauge!(
        "signup_mail_last_reply_code",
        "Code of the mail server's last reply that ended a dialogue."
    );
    metrics::describe_histogram!(
        "signup_smtp_phase_duration_seconds",
        metrics::Unit::Seconds,
        "Time of each step of a dialogue, by phase."
    );
}

pub(super) fn report(outcome: &Outcome, payload: &Payload, job: &Job, show_personal_data: bool) {
    let (payload, id) = (payload.for_logs(), job.task.id.as_str());
    match outcome {
        Outcome::Sent { email } => {
            let email = if show_personal_data { email.clone() } else { signup::mask(email) };
            metrics::counter!("signup_mail_sent_total").increment(1);
            tracing::info!("type" = KIND, payload, email, task.id = id, "processed task");
        }
        Outcome::Settled(state) => tracing::debug!("type" = KIND, payload, task.id = id, state, "nothing owed"),
        Outcome::Later { after, why } => {
            metrics::counter!("signup_mail_put_off_total", "reason" => why.label()).increment(1);
            let (after_ms, is_usual, why) = (after.as_millis() as u64, why.is_usual(), why.as_str());
            if is_usual {
                tracing::debug!("type" = KIND, payload, task.id = id, after_ms, why, "task put off");
            } else {
                tracing::warn!("type" = KIND, payload, task.id = id, after_ms, why, "task put off");
            }
        }
        Outcome::Again { class, is_counted, cause, .. } => {
            failed(payload, id, class.map_or(UNKNOWN_USER, Class::label), cause, Some(*is_counted));
        }
        Outcome::Over { class, cause } => failed(payload, id, class.label(), cause, None),
    }
}

/// `is_counted`: whether the attempt used up a retry; `None`: the mail is given up.
fn failed(payload: String, id: &str, class: &'static str, cause: &str, is_counted: Option<bool>) {
    metrics::counter!("signup_mail_outcomes_total", "class" => class).increment(1);
    let given_up = is_counted.is_none().then_some(true);
    tracing::error!(
        error = cause,
        "type" = KIND,
        payload,
        task.id = id,
        class,
        counted = is_counted,
        given_up,
        "process task failed"
    );
}

/// A verdict, and those of `others` before it, is the server's state and no news about mailboxes.
pub(super) fn taken_back(others: u64) {
    metrics::counter!("signup_mail_taken_back_total").increment(others + 1);
    if others > 0 {
        tracing::warn!(others, "the mail server refuses everybody; what it refused is owed again");
    }
}
