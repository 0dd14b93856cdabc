//! What the queue and the api report about the work.
//!
//! Takes: Redis and the api's admin port. Gives: [`Figures`] once a second. The number of sent mails is the api's,
//! which counts the intents in PostgreSQL every few seconds: it is true, and a little late. Does not: decide or print.

use crate::{crd::task::Queue, scaling::Depth};
use queue::{Inspector, QueueReading, QueueState};
use std::{net::SocketAddr, time::Duration};
use tokio::sync::watch;

/// How often Redis and the api are asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long an answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What to ask for; it changes with the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// The queues of the file.
    pub(super) queues: Vec<Queue>,
    /// Tasks that come due within this time count as due soon.
    pub(super) look_ahead: Duration,
    /// The api's admin port.
    pub(super) api_admin: Option<SocketAddr>,
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Figures {
    /// For the decision; `None` when Redis does not answer.
    pub(super) depths: Option<Vec<Depth>>,
    /// For the person.
    pub(super) counts: Counts,
}

/// Sums over the queues, and the api's counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Tasks whose time has come.
    pub(super) due: u64,
    /// Tasks in Redis whose time will come, and mails that are not in Redis yet.
    pub(super) scheduled: u64,
    /// Tasks that wait for another attempt.
    pub(super) retry: u64,
    /// Tasks that run.
    pub(super) active: u64,
    /// Tasks given up.
    pub(super) archived: u64,
    /// Mails that the mail server accepted.
    pub(super) sent: u64,
}

/// Asks until the receiver is dropped.
pub(super) async fn watch(
    inspector: Inspector,
    client: reqwest::Client,
    question: watch::Receiver<Question>,
    answers: watch::Sender<Figures>,
) {
    let mut tick = tokio::time::interval(POLL_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = answers.closed() => return,
        }
        let question = question.borrow().clone();
        let queues = tokio::time::timeout(ANSWER_TIMEOUT, ask_queues(&inspector, &question)).await.ok().flatten();
        let metrics = match question.api_admin {
            Some(address) => ask_api(&client, address).await.unwrap_or_default(),
            None => String::new(),
        };
        answers.send_modify(|figures| *figures = put_together(&question, queues, &metrics, &figures.counts));
    }
}

async fn ask_queues(inspector: &Inspector, question: &Question) -> Option<Vec<QueueReading>> {
    let mut states = Vec::new();
    for queue in &question.queues {
        states.push(inspector.reading(&queue.name, question.look_ahead).await.ok()?);
    }
    Some(states)
}

async fn ask_api(client: &reqwest::Client, address: SocketAddr) -> Option<String> {
    client.get(format!("http://{address}/metrics")).timeout(ANSWER_TIMEOUT).send().await.ok()?.text().await.ok()
}

fn put_together(question: &Question, queues: Option<Vec<QueueReading>>, metrics: &str, before: &Counts) -> Figures {
    let sent = gauge(metrics, "signup_intents", "sent").unwrap_or(before.sent);
    let Some(states) = queues else { return Figures { depths: None, counts: Counts { sent, ..*before } } };
    let sum = |figure: fn(&QueueState) -> u64| {
        states.iter().map(|reading| figure(&reading.state)).fold(0, u64::saturating_add)
    };
    let waiting = gauge(metrics, "signup_intents", "waiting").unwrap_or(0);
    let due = sum(|state| state.pending + state.due);
    let counts = Counts {
        due,
        scheduled: sum(|state| state.scheduled).saturating_add(waiting),
        retry: sum(|state| state.retry),
        active: sum(|state| state.active),
        archived: sum(|state| state.archived),
        sent,
    };
    Figures {
        depths: Some(states.iter().zip(&question.queues).map(|(state, queue)| Depth::new(state, queue)).collect()),
        counts,
    }
}

/// Value of `name{state="..."}` in Prometheus' text format.
fn gauge(metrics: &str, name: &str, state: &str) -> Option<u64> {
    let series = format!("{name}{{state=\"{state}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series))?;
    // Counts are whole numbers far below 2^53.
    value.trim().parse::<f64>().ok().map(|value| value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_the_queues_and_the_api_tells_what_was_sent() {
        let queue = |name: &str, paused| Queue { name: name.into(), priority: 1, paused, target_latency: None };
        let question = Question { queues: vec![queue("a", false), queue("b", true)], ..Question::default() };
        let state = |pending, scheduled, due_within| QueueReading {
            state: QueueState { pending, scheduled, due_within, ..QueueState::default() },
            ..QueueReading::default()
        };
        let metrics =
            "# TYPE signup_intents gauge\nsignup_intents{state=\"waiting\"} 2\nsignup_intents{state=\"sent\"} 7\n";
        let figures = put_together(&question, Some(vec![state(1, 5, 3), state(4, 0, 0)]), metrics, &Counts::default());
        let counts = Counts { due: 5, scheduled: 7, sent: 7, ..Counts::default() };
        assert_eq!(figures.counts, counts);
        assert_eq!(figures.depths.as_ref().map(|depths| (depths[0].due_soon, depths[1].paused)), Some((3, true)));
    }

    #[test]
    fn without_answers_the_last_figures_stay_and_no_depth_is_claimed() {
        let before = Counts { due: 3, sent: 9, ..Counts::default() };
        let figures = put_together(&Question::default(), None, "", &before);
        assert_eq!(figures, Figures { depths: None, counts: before });
    }
}
