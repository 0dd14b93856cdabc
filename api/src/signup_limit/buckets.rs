//! How many signups each client still has.
//!
//! Takes: admissions of this process, and what the fleet says that all processes admitted. Gives: admission or the time
//! until one, after GCRA (ITU-T I.371): n at once, then one every 60 s / n, as a debt that is paid off with time. Does
//! not: talk to anybody, or know the clock; pure.
//!
//! Between two exchanges a process cannot know what the others admit, so it takes for granted that each of them admits
//! as much of the same client as it does itself: an admission is charged once for every process. The next exchange
//! puts the real debt in its place, and where there is room for one, one is admitted. All processes together so never
//! admit more than n at once and one for each other process, which is a debt like all others; and a process that hears
//! nothing any more goes on with its part, n / processes.

use std::{collections::HashMap, net::IpAddr, num::NonZeroU32, time::Duration};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Until when the debt of one client is paid off.
#[derive(Debug, Clone, Copy)]
struct Client {
    /// By what the fleet told, and what was admitted here since.
    known: Instant,
    /// The same, if every other process admitted as much since.
    charged: Instant,
    /// Admitted here, and not told yet.
    untold: u32,
    /// The fleet told of it since the last admission here.
    heard: bool,
}

/// The clients of one limit.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) per_minute: NonZeroU32,
    processes: u32,
    clients: HashMap<IpAddr, Client>,
}

impl Buckets {
    /// Nobody owes anything. `processes` share the limit.
    pub(super) fn new(per_minute: NonZeroU32, processes: u32) -> Self {
        Self { per_minute, processes, clients: HashMap::new() }
    }

    /// What one signup costs.
    pub(super) fn cost(&self) -> Duration {
        MINUTE / self.per_minute.get()
    }

    /// Processes that share the limit.
    pub(super) fn processes(&self) -> u32 {
        self.processes
    }

    /// Admits a signup.
    ///
    /// # Errors
    ///
    /// How long to wait: where only the others stand against it that there may be, no longer than `exchange`, the time
    /// until that is known.
    pub(super) fn admit(&mut self, client: IpAddr, exchange: Duration, now: Instant) -> Result<(), Duration> {
        let (cost, charge) = (self.cost(), self.charge());
        let nobody = Client { known: now, charged: now, untold: 0, heard: false };
        let client = self.clients.entry(client).or_insert(nobody);
        let (known, charged) = (client.known.max(now) + cost, client.charged.max(now) + charge);
        let one_of_its_own = known <= now + MINUTE && (client.heard || client.charged <= now);
        if charged > now + MINUTE && !one_of_its_own {
            let wait = |until: Instant| until.saturating_duration_since(now + MINUTE);
            return Err(wait(charged).min(wait(known).max(exchange)));
        }
        *client = Client { known, charged, untold: client.untold.saturating_add(1), heard: false };
        Ok(())
    }

    /// How many signups of a client would be admitted one after the other, and the time until all of them are again.
    pub(super) fn left(&self, client: IpAddr, now: Instant) -> (u32, Duration) {
        let Some(client) = self.clients.get(&client) else { return (self.per_minute.get(), Duration::ZERO) };
        let owed = client.charged.saturating_duration_since(now);
        let room = MINUTE.saturating_sub(owed).as_nanos() / self.charge().as_nanos().max(1);
        let left = u32::try_from(room).unwrap_or(u32::MAX).min(self.per_minute.get());
        (left, owed.max(client.known.saturating_duration_since(now)))
    }

    /// Takes out what was not told yet: of whom, and how many.
    pub(super) fn untold(&mut self) -> Vec<(IpAddr, u32)> {
        let untold = self.clients.iter_mut().filter(|(_, client)| client.untold > 0);
        untold.map(|(address, client)| (*address, std::mem::take(&mut client.untold))).collect()
    }

    /// Puts back what could not be told; a minute's worth of it at most, for older debts are paid off.
    pub(super) fn not_told(&mut self, untold: &[(IpAddr, u32)]) {
        for (address, count) in untold {
            if let Some(client) = self.clients.get_mut(address) {
                client.untold = client.untold.saturating_add(*count).min(self.per_minute.get());
            }
        }
    }

    /// Learns how many processes there are, and how long until the debts of clients are paid off.
    pub(super) fn learn(&mut self, processes: u32, debts: impl Iterator<Item = (IpAddr, Duration)>, now: Instant) {
        self.processes = processes.max(1);
        let (cost, charge) = (self.cost(), self.charge());
        for (address, debt) in debts {
            let untold = self.clients.get(&address).map_or(0, |client| client.untold);
            let (known, charged) = (now + debt + cost * untold, now + debt + charge * untold);
            self.clients.insert(address, Client { known, charged, untold, heard: untold == 0 });
        }
    }

    /// Forgets who owes nothing and has nothing to be told.
    pub(super) fn forget_paid(&mut self, now: Instant) {
        self.clients.retain(|_, client| client.untold > 0 || client.charged > now || client.known > now);
        if self.clients.len() < self.clients.capacity() / 4 {
            self.clients.shrink_to_fit();
        }
    }

    /// What one signup costs as long as the others are not heard of.
    fn charge(&self) -> Duration {
        self.cost() * self.processes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCHANGE: Duration = Duration::from_millis(500);

    fn client() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    fn buckets(per_minute: u32, processes: u32) -> Buckets {
        Buckets::new(NonZeroU32::new(per_minute).expect("not zero"), processes)
    }

    /// How many are admitted one after the other.
    fn admitted(buckets: &mut Buckets, now: Instant) -> usize {
        (0..1_000).take_while(|_| buckets.admit(client(), EXCHANGE, now).is_ok()).count()
    }

    #[test]
    fn one_process_admits_all_at_once_and_then_one_each_time_that_one_is_paid_off() {
        let (mut alone, now) = (buckets(10, 1), Instant::now());
        assert_eq!(admitted(&mut alone, now), 10);
        assert_eq!(alone.admit(client(), EXCHANGE, now), Err(Duration::from_secs(6)));
        assert_eq!(admitted(&mut alone, now + Duration::from_secs(12)), 2);
        assert_eq!(admitted(&mut alone, now + Duration::from_secs(600)), 10, "and no more after a long time");
    }

    #[test]
    fn processes_that_know_nothing_of_each_other_admit_the_limit_together() {
        for (per_minute, processes, each) in [(10, 2, 5), (10, 3, 3), (3, 3, 1), (1, 5, 1), (100_000, 7, 1_000)] {
            assert_eq!(admitted(&mut buckets(per_minute, processes), Instant::now()), each, "{per_minute} {processes}");
        }
    }

    /// Exchanges as the fleet does it, without Redis.
    fn exchange(fleet: &mut [Buckets], debt: &mut Duration, now: Instant) {
        let processes = u32::try_from(fleet.len()).expect("few");
        for member in fleet.iter_mut() {
            let told: u32 = member.untold().iter().map(|(_, count)| count).sum();
            *debt += member.cost() * told;
        }
        for member in fleet.iter_mut() {
            member.learn(processes, std::iter::once((client(), *debt)), now);
        }
    }

    #[test]
    fn a_client_of_one_process_gets_all_of_the_limit_after_a_few_exchanges_and_the_others_none() {
        let now = Instant::now();
        let (mut fleet, mut debt) = ([buckets(10, 3), buckets(10, 3), buckets(10, 3)], Duration::ZERO);
        let mut all = Vec::new();
        for _ in 0..10 {
            all.push(admitted(&mut fleet[0], now));
            exchange(&mut fleet, &mut debt, now);
        }
        assert_eq!((all.iter().sum::<usize>(), all[0]), (10, 3), "{all:?}");
        assert_eq!(admitted(&mut fleet[1], now), 0);
    }

    #[test]
    fn what_was_admitted_during_an_exchange_is_not_forgotten_by_it() {
        let (mut buckets, now) = (buckets(10, 2), Instant::now());
        assert_eq!(admitted(&mut buckets, now), 5);
        let told = buckets.untold();
        buckets.not_told(&told);
        assert_eq!(buckets.untold(), [(client(), 5)], "the first exchange failed");
        buckets.learn(2, [(client(), buckets.cost() * 2)].into_iter(), now);
        assert_eq!(admitted(&mut buckets, now), 4, "of eight that are left");
        buckets.learn(2, [(client(), buckets.cost() * 2)].into_iter(), now);
        assert_eq!(admitted(&mut buckets, now), 0, "those four are untold");
    }

    #[test]
    fn who_only_others_may_stand_against_is_told_to_come_after_the_next_exchange() {
        let (mut buckets, now) = (buckets(10, 2), Instant::now());
        assert_eq!(admitted(&mut buckets, now), 5);
        assert_eq!(buckets.admit(client(), EXCHANGE, now), Err(EXCHANGE));
    }

    #[test]
    fn what_is_left_falls_with_each_admission_and_comes_back_with_time() {
        let (mut alone, now) = (buckets(10, 1), Instant::now());
        assert_eq!(alone.left(client(), now), (10, Duration::ZERO));
        for left in (0..10).rev() {
            alone.admit(client(), EXCHANGE, now).expect("there is room");
            assert_eq!(alone.left(client(), now), (left, Duration::from_secs(6) * (10 - left)));
        }
        assert_eq!(alone.left(client(), now + Duration::from_secs(12)), (2, Duration::from_secs(48)));
        assert_eq!(alone.left(client(), now + MINUTE * 2), (10, Duration::ZERO));
    }

    #[test]
    fn who_owes_nothing_is_forgotten() {
        let (mut buckets, now) = (buckets(10, 1), Instant::now());
        assert_eq!(admitted(&mut buckets, now), 10);
        buckets.forget_paid(now + MINUTE * 2);
        assert_eq!(buckets.clients.len(), 1, "it is to be told yet");
        buckets.untold();
        buckets.forget_paid(now + MINUTE / 2);
        assert_eq!(buckets.clients.len(), 1);
        buckets.forget_paid(now + MINUTE * 2);
        assert!(buckets.clients.is_empty());
    }
}
