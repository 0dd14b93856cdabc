//! The nodes of a Redis Cluster: one connection each, and which of them holds which slot.
//!
//! Takes: commands whose keys share a slot. Gives: raw replies, in the order of the commands. Does not: repeat a
//! command that may have been carried out: a redirection (MOVED, ASK) says that it was not, anything else is the
//! caller's to judge. That is why it is not the client library's cluster connection, which sends a whole pipeline again
//! when one reply of it is an error, and the commands of a lost connection to another node.
//!
//! What has no key goes to one node, that of `asynq:queues`, so that all processes follow the same clock. A message
//! published on one node reaches subscribers on all.

mod redirect;
mod slots;

use super::{
    dial::{Dialer, Target, timed_out},
    first_answers::first_answers,
    link::{Link, Origin},
};
use crate::{clock::Clock, error::Error, keys, uri::Host};
use parking_lot::{Mutex, RwLock};
use redirect::{MAX_REDIRECTS, Redirect};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};
use slots::{Range, View, slot_of, slot_of_key, view};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The nodes are asked at most this often which slots they hold.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);
/// As many nodes are asked; any of them knows all.
const MAX_ASKED: usize = 8;

pub(super) struct Cluster {
    dialer: Arc<Dialer>,
    /// Where to ask first which node holds which slot.
    seeds: Vec<Host>,
    links: Mutex<HashMap<Host, Arc<Link>>>,
    owners: RwLock<Vec<Range<Arc<Link>>>>,
    /// An answer said, or suggests, that slots have moved.
    is_stale: AtomicBool,
    /// Serialises refreshes; holds the time of the last.
    refreshed: tokio::sync::Mutex<Option<Instant>>,
    clock: Arc<Clock>,
}

impl Cluster {
    pub(super) fn new(dialer: Arc<Dialer>, seeds: Vec<Host>, clock: Arc<Clock>) -> Self {
        Self {
            dialer,
            seeds,
            links: Mutex::default(),
            owners: RwLock::default(),
            is_stale: AtomicBool::new(true),
            refreshed: tokio::sync::Mutex::default(),
            clock,
        }
    }

    /// Which connections stand: the number of the youngest.
    pub(super) fn number(&self) -> Option<u64> {
        self.links.lock().values().filter_map(|link| link.number()).max()
    }

    /// Runs one command. A reply that is an error is an error here.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, Error> {
        let link = self.owner(slot_of(command)).await?;
        let reply = link.ask(command).await;
        self.follow(command, link, reply).await
    }

    /// Runs a pipeline, the commands for one node in one round trip. An error only where no node answered.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Error>>, Error> {
        let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
        let mut results: Vec<Result<Value, Error>> = vec![Err(timed_out()); commands.len()];
        let mut parts: Vec<(Arc<Link>, Vec<usize>)> = Vec::new();
        for (at, command) in commands.iter().enumerate() {
            match self.owner(slot_of(command)).await {
                Ok(link) => match parts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &link)) {
                    Some((_, indices)) => indices.push(at),
                    None => parts.push((link, vec![at])),
                },
                Err(error) => results[at] = Err(error),
            }
        }
        let answers = parts.iter().map(|(link, indices)| self.ask_all(link, &commands, indices));
        let answers = futures::future::join_all(answers).await;
        for ((link, indices), answers) in parts.iter().zip(answers) {
            for (&at, answer) in indices.iter().zip(answers) {
                results[at] = self.follow(commands[at], Arc::clone(link), answer).await;
            }
        }
        let is_away = |result: &Result<Value, Error>| result.as_ref().is_err_and(Error::is_unreachable);
        match results.iter().position(|result| !is_away(result)) {
            None if !results.is_empty() => Err(results.swap_remove(0).err().unwrap_or_else(timed_out)),
            _ => Ok(results),
        }
    }

    /// Measures how far the local clock is from that of the node that all processes follow.
    pub(super) async fn measure(&self) -> Result<(), Error> {
        let link = self.owner(slot_of_key(keys::QUEUES.as_bytes())).await?;
        let live = link.live().await.inspect_err(|_| self.doubt())?;
        link.measure(live, &self.clock).await
    }

    /// What opens a connection to a node that answers, for subscriptions.
    pub(super) async fn client(&self) -> Result<redis::Client, Error> {
        let first = self.owner(slot_of_key(keys::QUEUES.as_bytes())).await?;
        let mut failure = match first.client().await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        self.doubt();
        let others: Vec<Arc<Link>> = self.links.lock().values().cloned().collect();
        for link in others {
            match link.client().await {
                Ok(client) => return Ok(client),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The commands at `indices`, which are one node's.
    async fn ask_all(&self, link: &Link, commands: &[&Cmd], indices: &[usize]) -> Vec<Result<Value, Error>> {
        let mut pipeline = Pipeline::with_capacity(indices.len());
        indices.iter().for_each(|&at| {
            pipeline.add_command(commands[at].clone());
        });
        let asked = async { link.pipeline(link.live().await?, &pipeline).await };
        asked.await.unwrap_or_else(|error| vec![Err(error); indices.len()])
    }

    /// Sends a command again where the reply of `link` says that another node is the one to ask.
    async fn follow(
        &self,
        command: &Cmd,
        mut link: Arc<Link>,
        mut reply: Result<Value, Error>,
    ) -> Result<Value, Error> {
        for _ in 0..MAX_REDIRECTS {
            let Err(error) = &reply else { return reply };
            let Some(redirect) = Redirect::of(error, link.host()) else {
                if error.is_unreachable() {
                    self.doubt();
                }
                return reply;
            };
            link = self.link(redirect.host);
            reply = if redirect.is_for_good {
                self.doubt();
                link.ask(command).await
            } else {
                link.ask_importing(command).await
            };
        }
        reply
    }

    fn doubt(&self) {
        self.is_stale.store(true, Ordering::Relaxed);
    }

    fn link(&self, host: Host) -> Arc<Link> {
        let new = |host: &Host| Link::new(Arc::clone(&self.dialer), Origin::Server(Target::Tcp(host.clone())), None);
        Arc::clone(self.links.lock().entry(host).or_insert_with_key(|host| Arc::new(new(host))))
    }

    async fn owner(&self, slot: u16) -> Result<Arc<Link>, Error> {
        if self.is_stale.load(Ordering::Relaxed) {
            self.refresh().await?;
        }
        self.holder(slot).ok_or_else(|| {
            self.doubt();
            no_holder()
        })
    }

    fn holder(&self, slot: u16) -> Option<Arc<Link>> {
        let owners = self.owners.read();
        let range = owners.iter().find(|range| (range.first..=range.last).contains(&slot));
        range.map(|range| Arc::clone(&range.owner))
    }

    /// Learns which node holds which slot. What was known before stays where nobody answers.
    async fn refresh(&self) -> Result<(), Error> {
        let mut refreshed = self.refreshed.lock().await;
        let is_known = refreshed.is_some();
        if !self.is_stale.load(Ordering::Relaxed) || refreshed.is_some_and(|at| at.elapsed() < REFRESH_INTERVAL) {
            return Ok(());
        }
        // Before the question: what is doubted from now on is asked again.
        self.is_stale.store(false, Ordering::Relaxed);
        let mut hosts = self.seeds.clone();
        hosts.extend(self.links.lock().keys().filter(|host| !self.seeds.contains(host)).cloned());
        let questions = hosts.into_iter().take(MAX_ASKED).map(|host| self.ask_view(host));
        let (views, failure) = first_answers(questions).await;
        *refreshed = Some(Instant::now());
        match views.into_iter().max_by_key(View::rank) {
            Some(view) => self.take_over(view),
            None => {
                self.doubt();
                *refreshed = is_known.then(Instant::now);
                if !is_known {
                    return Err(failure.unwrap_or_else(timed_out));
                }
            }
        }
        match self.holder(slot_of_key(keys::QUEUES.as_bytes())) {
            Some(link) if !is_known => link.measure(link.live().await?, &self.clock).await,
            _ => Ok(()),
        }
    }

    async fn ask_view(&self, host: Host) -> Result<View, Error> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLUSTER").arg("SLOTS");
        pipeline.cmd("CLUSTER").arg("INFO");
        let link = self.link(host.clone());
        let mut replies = link.pipeline(link.live().await?, &pipeline).await?.into_iter();
        let mut next = || replies.next().unwrap_or_else(|| Err(timed_out()));
        view(&host, next()?, next()?)
    }

    fn take_over(&self, view: View) {
        let owners: Vec<Range<Arc<Link>>> =
            view.ranges.into_iter().map(|range| range.map(|host| self.link(host))).collect();
        // A seed is asked at each refresh, also one that holds no slot or goes by another name in the answers.
        let is_owner = |link: &Arc<Link>| owners.iter().any(|range| Arc::ptr_eq(&range.owner, link));
        self.links.lock().retain(|host, link| is_owner(link) || self.seeds.contains(host));
        *self.owners.write() = owners;
    }
}

/// As a node says it of a cluster that has lost some.
fn no_holder() -> Error {
    Error::from(RedisError::from((ErrorKind::Server(ServerErrorKind::ClusterDown), "no node holds the slot")))
}
