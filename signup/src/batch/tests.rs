//! Who waits for whom, and how long, on a clock that stands still while somebody works.

use super::*;

/// Statements are written down by their number of requests.
type Statements = Arc<Mutex<Vec<usize>>>;

#[derive(Clone)]
struct Fake {
    id: Uuid,
    statements: Statements,
}

impl Request for Fake {
    type Answer = ();

    fn id(&self) -> Uuid {
        self.id
    }

    async fn together(_: &Store, requests: &[Self]) -> Result<Vec<(Uuid, ())>, StoreError> {
        requests[0].statements.lock().push(requests.len());
        Ok(requests.iter().map(|request| (request.id, ())).collect())
    }

    async fn unwanted(_: &Store, _: Uuid, (): ()) {}
}

struct Fixture {
    batch: Batch<Fake>,
    store: Store,
    statements: Statements,
    begun: Instant,
}

/// True: answered together with others. And when.
type Asked = tokio::task::JoinHandle<(bool, Duration)>;

impl Fixture {
    fn new() -> Self {
        // Nobody connects to it.
        let store = Store::connect("postgres://nobody@127.0.0.1/nothing", None, 2).expect("a URI");
        Self { batch: Batch::default(), store, statements: Statements::default(), begun: Instant::now() }
    }

    /// Asks in a task; whoever is alone goes at once.
    fn ask(&self, id: u128, max_wait_ms: u64) -> Asked {
        let request = Fake { id: Uuid::from_u128(id), statements: Arc::clone(&self.statements) };
        let (batch, store, begun) = (self.batch.clone(), self.store.clone(), self.begun);
        tokio::spawn(async move {
            let answer = batch.together(&store, &request, Duration::from_millis(max_wait_ms)).await;
            (answer.is_ok(), begun.elapsed())
        })
    }

    async fn expect(&self, asked: impl IntoIterator<Item = Asked>, is_together: bool, after_ms: u64) {
        for asked in asked {
            let (together, after) = asked.await.expect("no panic");
            // The clock's timers are exact to a millisecond.
            assert_eq!(
                (together, after.as_millis().abs_diff(u128::from(after_ms)) <= 1),
                (is_together, true),
                "{after:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_time_waits_for_nobody() {
    let fixture = Fixture::new();
    fixture.expect([fixture.ask(1, 0)], false, 0).await;
    assert!(fixture.statements.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_has_time_waits_for_others_and_then_goes_alone() {
    let fixture = Fixture::new();
    fixture.expect([fixture.ask(1, 5)], false, 5).await;
    fixture.expect([fixture.ask(1, 0)], false, 5).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_20_ms_however_much_time_there_is() {
    let fixture = Fixture::new();
    fixture.expect([fixture.ask(1, 60_000), fixture.ask(2, 60_000)], true, 20).await;
    assert_eq!(*fixture.statements.lock(), [2]);
}

#[tokio::test(start_paused = true)]
async fn when_enough_have_come_nobody_waits_for_more() {
    let fixture = Fixture::new();
    fixture.expect([1, 2, 3, 4].map(|id| fixture.ask(id, 20)), true, 0).await;
    assert_eq!(*fixture.statements.lock(), [4]);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_time_takes_those_along_that_wait() {
    let fixture = Fixture::new();
    fixture.expect([fixture.ask(1, 20), fixture.ask(2, 20), fixture.ask(3, 0)], true, 0).await;
    assert_eq!(*fixture.statements.lock(), [3]);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_can_be_hurried() {
    let fixture = Fixture::new();
    let asked = [fixture.ask(1, 20), fixture.ask(2, 20)];
    tokio::task::yield_now().await;
    fixture.batch.hurry(&fixture.store);
    fixture.expect(asked, true, 0).await;
    assert_eq!(*fixture.statements.lock(), [2]);
}

#[tokio::test(start_paused = true)]
async fn those_who_are_hurried_while_something_is_under_way_begin_at_its_end() {
    let fixture = Fixture::new();
    let first = Fake { id: Uuid::from_u128(1), statements: Arc::clone(&fixture.statements) };
    let Err(under_way) = fixture.batch.together(&fixture.store, &first, Duration::ZERO).await else { panic!("alone") };
    let asked = [fixture.ask(2, 20), fixture.ask(3, 20)];
    tokio::task::yield_now().await;
    fixture.batch.hurry(&fixture.store);
    assert!(fixture.statements.lock().is_empty());
    drop(under_way);
    fixture.expect(asked, true, 0).await;
}

#[tokio::test(start_paused = true)]
async fn one_about_the_same_mail_never_shares_a_statement() {
    let fixture = Fixture::new();
    let (one, same) = (fixture.ask(1, 5), fixture.ask(1, 5));
    fixture.expect([same], false, 0).await;
    fixture.expect([one], false, 5).await;
    assert!(fixture.statements.lock().is_empty());
}
