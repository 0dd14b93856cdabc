//! The loop that joins the parts of a local run.
//!
//! Takes: a manifest and its plan. Gives: everything started in order, followed while it runs, and stopped in order: api,
//! workers (they finish what they send), inbox, Redis, PostgreSQL. Does not: give up when a part dies.

use super::{
    LocalError,
    child::{Child, Listening, Recipe},
    edits::{self, Source},
    figures::{self, Figures, Question},
    files::Files,
    fleet::{Fleet, free_port},
    options::{Options, Programs},
    plan::{Plan, StandIn},
    screen::{Addresses, Screen},
    stores::Stores,
};
use crate::{
    manifest::Manifest,
    scaling::{self, Recommendations},
};
use queue::{Connection, Inspector};
use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often processes and their logs are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How often the file and the stores are looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// A running pipeline. Fields are dropped in this order: processes, then stores, then files.
pub(super) struct Running {
    fleet: Fleet,
    inbox: Option<Child>,
    stores: Stores,
    files: Files,
    manifest: Manifest,
    plan: Plan,
    send_mail: bool,
    stand_in: Option<StandIn>,
    question: watch::Sender<Question>,
    figures: watch::Receiver<Figures>,
    recommendations: Recommendations,
    screen: Screen,
}

impl Running {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start(
        options: &Options,
        programs: Programs,
        manifest: Manifest,
        plan: Plan,
    ) -> Result<Self, LocalError> {
        let (screen, client) = (Screen::default(), reqwest::Client::new());
        screen.explain(&plan, &manifest.pipeline.spec);
        let stores = start_stores(plan.clone()).await?;
        let files = Files::new()?;
        let mut inbox = plan.uses_inbox().then(|| start_inbox(&programs, options.inbox_addr)).transpose()?;
        let inbox_addresses = match &mut inbox {
            Some(inbox) => Some(listening(inbox, &screen).await?),
            None => None,
        };
        let smtp = inbox_addresses.and_then(|addresses| addresses.smtp);
        let mut stand_in = smtp.map(|smtp| StandIn { smtp, api: reachable(options.api_addr) });
        files.write(&manifest.pipeline, &plan, &stores, stand_in.as_ref())?;
        let mut fleet = Fleet::start(programs, files.config(), options.api_addr, options.grpc_addr)?;
        let api = listening(fleet.api(), &screen).await?;
        if let (Some(stand_in), Some(http)) = (&mut stand_in, api.http) {
            // Known only now when the port was left open.
            stand_in.api = reachable(http);
        }
        files.write(&manifest.pipeline, &plan, &stores, stand_in.as_ref())?;
        ready(fleet.api(), &client, &screen).await?;
        let workers = scaling::decide(None, &(&manifest.pipeline.spec.worker).into(), 0, 0).desired;
        fleet.set_worker_count(workers)?;
        for worker in fleet.workers() {
            listening(worker, &screen).await?;
            ready(worker, &client, &screen).await?;
        }
        let (question, asked) = watch::channel(Question::default());
        let (answers, figures) = watch::channel(Figures::default());
        tokio::spawn(figures::watch(inspector(&plan, &stores)?, client, asked, answers));
        let addresses = Addresses {
            api: reachable(api.http.unwrap_or(options.api_addr)),
            grpc: reachable(api.grpc.unwrap_or(options.grpc_addr)),
            inbox: inbox_addresses.and_then(|addresses| addresses.http).map(reachable),
            postgres: stores.postgres_uri().map(str::to_owned),
            redis: stores.redis_uri(),
        };
        screen.ready(
            manifest.pipeline.metadata.name.as_deref().unwrap_or_default(),
            &addresses,
            &manifest.pipeline.spec,
        );
        let (send_mail, recommendations) = (options.send_mail, Recommendations::default());
        Ok(Self {
            fleet,
            inbox,
            stores,
            files,
            manifest,
            plan,
            send_mail,
            stand_in,
            question,
            figures,
            recommendations,
            screen,
        })
    }

    /// Keeps it running; never returns by itself.
    pub(super) async fn follow(&mut self, mut source: Source) {
        let (mut look, mut glance) = (tokio::time::interval(LOOK), tokio::time::interval(GLANCE));
        loop {
            tokio::select! {
                _ = look.tick() => self.look(Instant::now()),
                _ = glance.tick() => self.glance(&mut source),
            }
        }
    }

    fn look(&mut self, now: Instant) {
        let mut lines = self.fleet.poll(now);
        lines.extend(self.inbox.iter_mut().flat_map(|inbox| inbox.poll(now)));
        lines.iter().for_each(|line| self.screen.say(line));
        self.ask();
        if self.figures.has_changed().unwrap_or(false) {
            let figures = self.figures.borrow_and_update().clone();
            self.scale(&figures, now);
            self.screen.table(figures.counts, self.fleet.worker_count(), now);
        }
    }

    fn glance(&mut self, source: &mut Source) {
        // Blocks only while a store that died is started again; nothing else could be done without it.
        let lines = tokio::task::block_in_place(|| self.stores.revive());
        lines.iter().for_each(|line| self.screen.say(line));
        match source.changed() {
            None => {}
            Some(Err(error)) => self.refuse(&error),
            Some(Ok(manifest)) => {
                if let Err(error) = self.apply(manifest) {
                    self.refuse(&error);
                }
            }
        }
    }

    fn refuse(&self, error: &LocalError) {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        self.screen.say(&format!("{error}{source}\nthe edit is not applied; what ran before runs on"));
    }

    fn apply(&mut self, manifest: Manifest) -> Result<(), LocalError> {
        let plan = Plan::new(&manifest, self.send_mail)?;
        if let Some(part) = self.plan.differs_in_kind(&plan) {
            self.screen.say(&format!("the edit changes {part}, which needs a new start; what ran before runs on"));
            return Ok(());
        }
        self.files.write(&manifest.pipeline, &plan, &self.stores, self.stand_in.as_ref())?;
        let differences = edits::differences(&self.manifest, &manifest);
        if !differences.is_empty() {
            self.screen.say(&format!("applied: {}", differences.join(", ")));
        }
        (self.manifest, self.plan) = (manifest, plan);
        Ok(())
    }

    /// Tells the task that asks Redis and the api what to ask for.
    fn ask(&mut self) {
        let spec = &self.manifest.pipeline.spec;
        let look_ahead = &spec.worker.autoscaling.look_ahead;
        let question = Question {
            queues: spec.queues.iter().map(|queue| (queue.name.clone(), queue.paused)).collect(),
            look_ahead: if look_ahead.enabled { look_ahead.startup_time.get() } else { Duration::ZERO },
            api_admin: self.fleet.api().listening().and_then(|addresses| addresses.admin),
        };
        self.question.send_if_modified(|asked| std::mem::replace(asked, question.clone()) != question);
    }

    fn scale(&mut self, figures: &Figures, now: Instant) {
        let worker = &self.manifest.pipeline.spec.worker;
        let recent = self.recommendations.most_within(worker.autoscaling.cooldown_period.get(), now);
        let running = self.fleet.worker_count();
        let decision = scaling::decide(figures.depths.as_deref(), &worker.into(), running, recent);
        if figures.depths.is_some() {
            self.recommendations.add(decision.recommended, now);
        }
        if decision.desired == running {
            return;
        }
        self.screen.say(&format!("workers: {running} -> {} ({})", decision.desired, decision.explanation));
        if let Err(error) = self.fleet.set_worker_count(decision.desired) {
            self.screen.say(&format!("{error}; it is tried again"));
        }
    }

    /// Stops everything in order, or at once when `hard` says so; then nothing is left.
    pub(super) async fn stop(mut self, hard: CancellationToken) {
        self.screen.say(
            "stopping: api, workers (they finish what they send), inbox, Redis, PostgreSQL; Ctrl-C again: at once",
        );
        tokio::select! {
            () = self.stop_processes() => {}
            () = hard.cancelled() => {
                self.fleet.kill();
                self.inbox.iter_mut().for_each(Child::kill);
            }
        }
        let screen = std::mem::take(&mut self.screen);
        // Dropping waits for the servers to end.
        tokio::task::block_in_place(|| drop(self));
        screen.say("stopped; nothing is left");
    }

    async fn stop_processes(&mut self) {
        self.fleet.stop_api();
        while !self.fleet.api_has_ended() {
            tokio::time::sleep(LOOK).await;
        }
        self.fleet.stop_workers();
        while !self.fleet.workers_have_ended() {
            tokio::time::sleep(LOOK).await;
        }
        if let Some(inbox) = &mut self.inbox {
            inbox.stop();
            while inbox.ended().is_none() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

async fn start_stores(plan: Plan) -> Result<Stores, LocalError> {
    let started = tokio::task::spawn_blocking(move || Stores::start(&plan)).await;
    started.map_err(|error| LocalError::Io { action: "start PostgreSQL and Redis", source: error.into() })?
}

fn start_inbox(programs: &Programs, http: SocketAddr) -> Result<Child, LocalError> {
    let arguments = move |before: Option<Listening>| -> Vec<OsString> {
        let smtp = before.and_then(|before| before.smtp).unwrap_or(free_port());
        let http = before.and_then(|before| before.http).unwrap_or(http);
        ["--smtp".into(), smtp.to_string().into(), "--http".into(), http.to_string().into()].into()
    };
    let recipe = Recipe { program: programs.inbox.clone(), arguments: Box::new(arguments) };
    Child::start("inbox", recipe).map_err(|source| LocalError::Server { name: "inbox".into(), source })
}

fn inspector(plan: &Plan, stores: &Stores) -> Result<Inspector, LocalError> {
    let (uri, ca) = plan.redis.access(stores.redis_uri());
    Ok(Inspector::new(Connection::open(String::from_utf8_lossy(&uri).trim_end(), ca)?))
}

/// Waits until a process says where it listens.
async fn listening(child: &mut Child, screen: &Screen) -> Result<Listening, LocalError> {
    loop {
        if let Some(status) = child.ended() {
            return Err(LocalError::Ended { name: child.name().into(), status, tail: child.tail() });
        }
        child.poll(Instant::now()).iter().for_each(|line| screen.say(line));
        if let Some(addresses) = child.listening() {
            return Ok(addresses);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until a process can do its job; says what is missing when that changes.
async fn ready(child: &mut Child, client: &reqwest::Client, screen: &Screen) -> Result<(), LocalError> {
    let mut said = String::new();
    loop {
        let addresses = listening(child, screen).await?;
        let admin = addresses.admin.unwrap_or(free_port());
        let asked = client.get(format!("http://{admin}/readyz")).timeout(Duration::from_secs(5)).send().await;
        let missing = match asked {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.text().await.unwrap_or_default().trim().to_owned(),
            // It has just started or just ended; the next look tells.
            Err(_) => String::new(),
        };
        if !missing.is_empty() && missing != said {
            screen.say(&format!("waiting for {}: {missing}", child.name()));
            said = missing;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An address to connect to: one that means "every interface" is replaced by this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        _ => address,
    }
}
