//! Hashes, places, memory, and what becomes of both when a caller leaves or a hash panics.

use super::*;

fn password(text: &str) -> Password {
    Password::parse(text, 6).expect("a valid test password")
}

#[tokio::test]
async fn a_hash_names_the_parameters_and_verifies() {
    let hashing = Hashing::new(1, 4);
    let hash = hashing.hash(password("secret")).await.expect("hash");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(hashing.verify(password("secret"), &hash).await.expect("verify"));
    assert!(!hashing.verify(password("secreT"), &hash).await.expect("verify"));
}

#[tokio::test]
async fn two_hashes_of_one_password_differ_and_use_the_same_memory() {
    let hashing = Hashing::new(1, 4);
    let first = hashing.hash(password("secret")).await.expect("hash");
    let second = hashing.hash(password("secret")).await.expect("hash");
    assert_ne!(first, second);
    assert_eq!(kept(&hashing).await, PARAMS.block_count());
}

#[tokio::test]
async fn a_thread_that_rests_gives_its_memory_back() {
    let hashing = Hashing { threads: Threads::start(1, Duration::from_millis(1)), ..Hashing::new(1, 0) };
    hashing.hash(password("secret")).await.expect("hash");
    let rested = async {
        while kept(&hashing).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), rested).await.expect("given back");
    hashing.hash(password("secret")).await.expect("hash");
}

/// Blocks of memory that the only thread keeps.
async fn kept(hashing: &Hashing) -> usize {
    hashing.permit().expect("a permit").run(|memory| Ok(memory.len())).await.expect("a size")
}

/// Holds the only thread of `hashing` until the sender is used or dropped.
fn held(hashing: &Hashing) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    hashing.threads.run(Box::new(move |_| held.recv().unwrap_or(())));
    release
}

#[tokio::test]
async fn when_the_places_are_taken_the_next_is_told_busy() {
    let hashing = Hashing::new(1, 1);
    let release = held(&hashing);
    let mut first = Box::pin(hashing.hash(password("secret")));
    assert!(futures_poll_once(&mut first).is_none(), "the first waits for the thread");
    assert!(!hashing.is_saturated());
    let mut second = Box::pin(hashing.hash(password("secret")));
    assert!(futures_poll_once(&mut second).is_none(), "the second waits for the first");
    assert!(hashing.is_saturated());
    assert!(matches!(hashing.hash(password("secret")).await, Err(HashError::QueueFull { .. })));
    drop(release);
    assert!(first.await.is_ok() && second.await.is_ok());
}

#[tokio::test]
async fn how_long_a_hash_takes_is_measured() {
    let hashing = Hashing::new(1, 0);
    let begin = Instant::now();
    hashing.hash(password("secret")).await.expect("hash");
    let (mean, whole) = (hashing.time.mean(), begin.elapsed());
    assert!(!mean.is_zero() && mean <= whole, "{mean:?} of {whole:?}");
}

#[tokio::test]
async fn no_more_wait_than_begin_within_a_second_and_the_next_is_told_how_long_it_would_be() {
    let hashing = Hashing::new(1, 1000);
    hashing.time.record(Duration::from_millis(100));
    let release = held(&hashing);
    // One for the thread and eleven that wait: the last of them has ten before it.
    let permits: Vec<HashPermit> = (0..12).map(|_| hashing.permit().expect("in time")).collect();
    let after = Duration::from_millis(1100);
    assert!(matches!(hashing.permit(), Err(HashError::QueueFull { after: told }) if told == after));
    drop(permits);
    drop(release);
    hashing.hash(password("secret")).await.expect("the line is short again");
}

#[tokio::test]
async fn a_place_that_was_taken_is_kept_until_its_password_is_hashed_or_it_is_dropped() {
    let hashing = Hashing::new(1, 0);
    let permit = hashing.permit().expect("the only permit");
    assert!(matches!(hashing.hash(password("secret")).await, Err(HashError::QueueFull { .. })));
    assert!(permit.hash(password("secret")).await.is_ok());
    drop(hashing.permit().expect("free again"));
    assert!(hashing.hash(password("secret")).await.is_ok());
}

#[tokio::test]
async fn a_hash_whose_caller_left_gives_its_place_back_without_being_made() {
    let hashing = Hashing::new(1, 0);
    let release = held(&hashing);
    let mut waiting = Box::pin(hashing.hash(password("secret")));
    assert!(futures_poll_once(&mut waiting).is_none());
    drop((waiting, release));
    drop(hashing.permits.clone().acquire_owned().await.expect("given back"));
    assert_eq!(kept(&hashing).await, 0);
}

#[tokio::test]
async fn a_panic_is_told_to_its_caller_and_the_thread_goes_on() {
    let hashing = Hashing::new(1, 0);
    let permit = hashing.permit().expect("a permit");
    let panicked = permit.run(|_| -> Result<(), HashFailure> { panic!("a test panic") }).await;
    assert!(matches!(panicked, Err(HashError::Failed(HashFailure::Interrupted))), "{panicked:?}");
    drop(hashing.permits.clone().acquire_owned().await.expect("given back"));
    assert!(hashing.hash(password("secret")).await.is_ok());
}

fn futures_poll_once<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
