//! Follows one pod for as long as it lives.
//!
//! Takes: its address, and what the kubelet says of it. Gives: the newest report, and a turn for its pipeline at each
//! other one. Does not: ask a pod of our own version more than once a minute while nothing changes.

use super::{
    Report,
    ask::{Answer, Asker},
};
use crate::controller::turns::{Name, Turns};
use parking_lot::Mutex;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

/// How long a pod holds a request, plus up to [`SPREAD`] by its address, so that not all are asked anew at once.
const HOLD: Duration = Duration::from_secs(60);
const SPREAD: u8 = 16;

/// Between two answers that differ: a pod that always has news is not asked without end.
const MIN_PAUSE: Duration = Duration::from_millis(250);

/// Between two requests to a pod that holds none, at first; it doubles while nothing changes.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Up to this where the pod answers: its image is older than `GET /state`.
const MAX_INTERVAL_OLD: Duration = Duration::from_secs(16);
/// Up to this where it does not; the kubelet's news make it be asked at once.
const MAX_INTERVAL_SILENT: Duration = Duration::from_secs(60);

/// Where a pod is, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub(super) uid: String,
    pub(super) address: SocketAddr,
    pub(super) pipeline: Name,
    /// What is reported while it does not answer.
    pub(super) silent: Report,
}

/// A pod that is followed until this is dropped.
pub(super) struct Followed {
    uid: String,
    address: SocketAddr,
    readiness: Mutex<(bool, i32)>,
    news: Arc<Notify>,
    report: watch::Receiver<Option<Report>>,
    _task: AbortOnDropHandle<()>,
}

impl Followed {
    pub(super) fn start(pod: Pod, readiness: (bool, i32), asker: Asker, turns: Arc<Turns>) -> Self {
        let (sender, report) = watch::channel(None);
        let news = Arc::new(Notify::new());
        let (uid, address) = (pod.uid.clone(), pod.address);
        let task = Task { pod, asker, turns, sender, interval: MIN_INTERVAL, since: None, is_old: false };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run(Arc::clone(&news))));
        Self { uid, address, readiness: Mutex::new(readiness), news, report, _task: task }
    }

    /// Whether this is that pod, at that address.
    pub(super) fn is_of(&self, pod: &Pod) -> bool {
        self.uid == pod.uid && self.address == pod.address
    }

    /// What the kubelet says; news make the pod be asked at once, held request or not.
    pub(super) fn see(&self, readiness: (bool, i32)) {
        if std::mem::replace(&mut *self.readiness.lock(), readiness) != readiness {
            self.news.notify_one();
        }
    }

    /// The newest report; `None` before the first one.
    pub(super) fn answer(&self) -> watch::Receiver<Option<Report>> {
        self.report.clone()
    }
}

struct Task {
    pod: Pod,
    asker: Asker,
    turns: Arc<Turns>,
    sender: watch::Sender<Option<Report>>,
    interval: Duration,
    /// The version that the pod would hold a request for.
    since: Option<String>,
    /// It holds none. Another image is another pod.
    is_old: bool,
}

impl Task {
    async fn run(mut self, news: Arc<Notify>) {
        loop {
            tokio::select! {
                () = self.ask_and_pause() => {}
                () = news.notified() => (self.since, self.interval) = (None, MIN_INTERVAL),
            }
        }
    }

    async fn ask_and_pause(&mut self) {
        if self.is_old {
            return self.ask_old().await;
        }
        let Pod { address, silent, .. } = &self.pod;
        let hold = HOLD + Duration::from_secs(u64::from(spread(*address)));
        let (since, began) = (self.since.take(), Instant::now());
        match self.asker.ask(*address, silent, since.as_deref(), hold).await {
            Answer::State(report, version) => {
                let (is_news, was_held) = (self.publish(*report), began.elapsed() >= hold / 2);
                let is_other = since.as_ref() != Some(&version);
                self.since = Some(version);
                if is_news || is_other {
                    sleep(MIN_PAUSE).await;
                } else if !was_held {
                    self.pause(is_news, MAX_INTERVAL_SILENT).await;
                }
            }
            Answer::Old => {
                self.is_old = true;
                self.ask_old().await;
            }
            // The request was held, and its connection broke: the next one says whether the pod is gone.
            Answer::Silent if since.is_some() => {}
            Answer::Silent => {
                let is_news = self.publish(self.pod.silent.clone());
                self.pause(is_news, MAX_INTERVAL_SILENT).await;
            }
        }
    }

    async fn ask_old(&mut self) {
        let report = self.asker.old.ask(self.pod.address, &self.pod.silent).await;
        let is_news = self.publish(report);
        self.pause(is_news, MAX_INTERVAL_OLD).await;
    }

    /// Whether it says something new.
    fn publish(&self, report: Report) -> bool {
        let is_news = self.sender.send_if_modified(|known| {
            let is_news = known.as_ref() != Some(&report);
            *known = Some(report);
            is_news
        });
        if is_news {
            self.turns.changed(self.pod.pipeline.clone());
        }
        is_news
    }

    async fn pause(&mut self, is_news: bool, most: Duration) {
        if is_news {
            self.interval = MIN_INTERVAL;
        }
        let interval = self.interval.min(most);
        self.interval = (interval * 2).min(most);
        sleep(interval).await;
    }
}

/// Less than [`SPREAD`], by the end of the address.
fn spread(address: SocketAddr) -> u8 {
    let last = match address.ip() {
        std::net::IpAddr::V4(address) => address.octets()[3],
        std::net::IpAddr::V6(address) => address.octets()[15],
    };
    last % SPREAD
}

#[cfg(test)]
mod tests;
