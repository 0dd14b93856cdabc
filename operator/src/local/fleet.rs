//! The api and worker processes of a local run.
//!
//! Takes: how many workers there should be. Gives: that many, the api beside them, and lines about what changes.
//! Does not: cut a worker that sends: one too many is asked to end and finishes first.

use super::{
    LocalError,
    child::{Child, Listening, Recipe},
    options::Programs,
};
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Instant};

/// All processes that follow `pipeline.yaml`.
pub(super) struct Fleet {
    programs: Programs,
    config: PathBuf,
    api: Child,
    workers: Vec<Child>,
    leaving: Vec<Child>,
    lost: Vec<String>,
}

fn started<T>(name: &str, result: Result<T, servers::ServerError>) -> Result<T, LocalError> {
    result.map_err(|source| LocalError::Server { name: name.into(), source })
}

impl Fleet {
    /// Starts the api; no worker yet.
    pub(super) fn start(
        programs: Programs,
        config: PathBuf,
        http: SocketAddr,
        grpc: SocketAddr,
    ) -> Result<Self, LocalError> {
        let document = config.clone();
        let arguments = move |before: Option<Listening>| {
            // A new start keeps the ports that were found free at first.
            let http = before.and_then(|before| before.http).unwrap_or(http);
            let grpc = before.and_then(|before| before.grpc).unwrap_or(grpc);
            let addresses = [("--http", http), ("--grpc", grpc), ("--admin", free_port())];
            let addresses = addresses.into_iter().flat_map(|(flag, address)| [flag.into(), address.to_string().into()]);
            [OsString::from("--config"), document.clone().into()].into_iter().chain(addresses).collect()
        };
        let recipe = Recipe { program: programs.api.clone(), arguments: Box::new(arguments) };
        let api = started("api", Child::start("api", recipe))?;
        Ok(Self { programs, config, api, workers: Vec::new(), leaving: Vec::new(), lost: Vec::new() })
    }

    pub(super) fn api(&mut self) -> &mut Child {
        &mut self.api
    }

    /// The workers that are not leaving.
    pub(super) fn workers(&mut self) -> &mut [Child] {
        &mut self.workers
    }

    /// Number of workers that are not leaving.
    pub(super) fn worker_count(&self) -> u32 {
        // Bounded by `maxReplicas`, which the schema keeps at 1000.
        u32::try_from(self.workers.len()).unwrap_or(u32::MAX)
    }

    /// Number of those among them that say where they listen, which they do when they have started.
    pub(super) fn listening_workers(&self) -> u32 {
        let listening = self.workers.iter().filter(|worker| worker.listening().is_some()).count();
        u32::try_from(listening).unwrap_or(u32::MAX)
    }

    /// Names and admin ports of the processes that say where they listen.
    pub(super) fn admin_addresses(&self) -> Vec<(String, SocketAddr)> {
        let all = std::iter::once(&self.api).chain(&self.workers);
        all.filter_map(|child| Some((child.name().to_owned(), child.listening()?.admin?))).collect()
    }

    /// What the workers that are not leaving are called in the queue.
    pub(super) fn servers(&self) -> Vec<String> {
        self.workers.iter().filter_map(|worker| worker.server().map(str::to_owned)).collect()
    }

    /// What workers were called that have ended otherwise than they should, since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lost)
    }

    /// Asks workers to leave: these, by what they are called in the queue, and up to `unknown` that take no tasks yet.
    pub(super) fn dismiss(&mut self, servers: &[String], mut unknown: usize) {
        let leaves = |worker: &Child| match worker.server() {
            Some(server) => servers.iter().any(|leaving| leaving == server),
            None => {
                let leaves = unknown > 0;
                unknown = unknown.saturating_sub(1);
                leaves
            }
        };
        let (mut leaving, staying): (Vec<_>, Vec<_>) = std::mem::take(&mut self.workers).into_iter().partition(leaves);
        leaving.iter_mut().for_each(Child::stop);
        self.leaving.append(&mut leaving);
        self.workers = staying;
    }

    /// Starts workers that are missing.
    pub(super) fn grow_to(&mut self, wanted: u32) -> Result<(), LocalError> {
        while self.worker_count() < wanted {
            let taken = |name: &str| self.workers.iter().chain(&self.leaving).any(|worker| worker.name() == name);
            let name =
                (1..).map(|number: u32| format!("worker-{number}")).find(|name| !taken(name)).unwrap_or_default();
            let config = self.config.clone();
            let arguments = move |_| {
                vec!["--config".into(), config.clone().into(), "--admin".into(), free_port().to_string().into()]
            };
            let recipe = Recipe { program: self.programs.worker.clone(), arguments: Box::new(arguments) };
            self.workers.push(started(&name, Child::start(&name, recipe))?);
        }
        Ok(())
    }

    /// Looks at every process; gives lines for the screen.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<String> {
        let all = std::iter::once(&mut self.api).chain(&mut self.workers).chain(&mut self.leaving);
        let lines = all.flat_map(|child| child.poll(now)).collect();
        self.lost.extend(self.workers.iter_mut().chain(&mut self.leaving).filter_map(Child::lost_server));
        self.leaving.retain_mut(|worker| worker.ended().is_none());
        lines
    }

    /// Asks the api to end.
    pub(super) fn stop_api(&mut self) {
        self.api.stop();
    }

    /// Asks all workers to end; they finish what they send.
    pub(super) fn stop_workers(&mut self) {
        self.workers.iter_mut().for_each(Child::stop);
        self.leaving.append(&mut self.workers);
    }

    /// True when the api has ended.
    pub(super) fn api_has_ended(&mut self) -> bool {
        self.api.ended().is_some()
    }

    /// True when no worker is left.
    pub(super) fn workers_have_ended(&mut self) -> bool {
        self.leaving.retain_mut(|worker| worker.ended().is_none());
        self.leaving.is_empty() && self.workers.is_empty()
    }

    /// Ends everything at once.
    pub(super) fn kill(&mut self) {
        let all = std::iter::once(&mut self.api).chain(&mut self.workers).chain(&mut self.leaving);
        all.for_each(Child::kill);
    }
}

/// Any free port of this machine.
pub(super) fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
