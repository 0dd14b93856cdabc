//! The breaker on a paused clock, and in which order it says what it did.

use super::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tracing::{Event, Metadata, Subscriber, span};

/// A breaker whose timer runs and whose probes come after exactly 30 s.
fn running() -> (Arc<Breaker>, watch::Receiver<Allowance>) {
    let breaker = Arc::new(Breaker::new(|_, _| Duration::from_secs(30)));
    let timer = Arc::clone(&breaker);
    tokio::spawn(async move { timer.run().await });
    let allowance = breaker.subscribe();
    (breaker, allowance)
}

fn fail(breaker: &Breaker, times: u32) {
    (0..times).for_each(|_| breaker.record(false));
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it_and_four_do_not() {
    let (breaker, allowance) = running();
    fail(&breaker, 4);
    assert_eq!(*allowance.borrow(), Allowance::All);
    breaker.record(true);
    fail(&breaker, 4);
    assert_eq!(*allowance.borrow(), Allowance::All);
    fail(&breaker, 1);
    assert_eq!(*allowance.borrow(), Allowance::Nothing);
    assert!(breaker.is_open());
}

#[tokio::test(start_paused = true)]
async fn one_probe_is_let_through_when_the_wait_is_over() {
    let (breaker, mut allowance) = running();
    let start = Instant::now();
    fail(&breaker, 5);
    allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_waits_again_and_a_good_one_closes() {
    let (breaker, mut allowance) = running();
    fail(&breaker, 5);
    allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
    breaker.record(false);
    assert_eq!(*allowance.borrow(), Allowance::Nothing);
    let start = Instant::now();
    allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
    assert_eq!(start.elapsed().as_secs(), 30);
    breaker.record(true);
    assert_eq!(*allowance.borrow(), Allowance::All);
}

#[tokio::test(start_paused = true)]
async fn failures_that_arrive_late_do_not_move_the_probe() {
    let (breaker, mut allowance) = running();
    let start = Instant::now();
    fail(&breaker, 5);
    tokio::time::advance(Duration::from_secs(20)).await;
    fail(&breaker, 11);
    allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn changed_settings_are_tried_at_once() {
    let (breaker, allowance) = running();
    fail(&breaker, 5);
    breaker.probe_now();
    assert_eq!(*allowance.borrow(), Allowance::Probe);
}

#[tokio::test(start_paused = true)]
async fn a_late_success_closes_it() {
    let (breaker, allowance) = running();
    fail(&breaker, 5);
    breaker.record(true);
    assert_eq!(*allowance.borrow(), Allowance::All);
}

/// Counts announcements, and those during which somebody else could change the state.
#[derive(Clone)]
struct Listener {
    breaker: Arc<Breaker>,
    announced: Arc<AtomicUsize>,
    overtakable: Arc<AtomicUsize>,
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.announced.fetch_add(1, Ordering::Relaxed);
        self.overtakable.fetch_add(usize::from(self.breaker.state.try_lock().is_some()), Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_change_is_announced_before_the_next_one_can_be_made() {
    let breaker = Arc::new(Breaker::new(|_, _| Duration::from_secs(30)));
    let (announced, overtakable) = (Arc::default(), Arc::default());
    let listener = Listener { breaker: Arc::clone(&breaker), announced, overtakable };
    tracing::subscriber::with_default(listener.clone(), || {
        fail(&breaker, 5);
        breaker.probe_now();
        breaker.record(true);
    });
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert_eq!((count(&listener.announced), count(&listener.overtakable)), (3, 0));
}
