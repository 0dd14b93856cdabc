//! The four runs of the lecture "why a bit of delay can be good for your async tasks", against this pipeline.
//!
//! Takes: the real programs; from the second run on every commit of a signup takes 2 s. Shows: the race that the
//! lecture cures with a delay and with retries is not there: no task exists before its user does, nothing fails,
//! nothing is late. Does not: run the lecture's own program; what it does is told as the course records it.
//!
//! `make lecture` prints the table.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline};
use std::time::Duration;

const SLOW_COMMIT: Duration = Duration::from_secs(2);

/// What a mail may take after it is due: 1 s is promised, the rest is for a machine that runs other tests as well.
const PUNCTUAL: Duration = Duration::from_secs(3);

struct Run {
    user: &'static str,
    delay: Duration,
    slow: bool,
    go_program: &'static str,
}

const RUNS: [Run; 4] = [
    Run { user: "alice10", delay: Duration::ZERO, slow: false, go_program: "mail at once" },
    Run {
        user: "alice11",
        delay: Duration::ZERO,
        slow: true,
        go_program: "the task runs before the commit, \"user doesn't exist\", no retry: the mail never comes",
    },
    Run {
        user: "alice12",
        delay: Duration::from_secs(10),
        slow: true,
        go_program: "mail 10 s after the task was enqueued; lost if a commit takes longer than that",
    },
    Run {
        user: "alice13",
        delay: Duration::from_secs(1),
        slow: true,
        go_program: "the task runs before the commit, fails, and the mail comes a retry later",
    },
];

/// Unix time, nanoseconds.
fn now_ns() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}

fn seconds(nanoseconds: i128) -> f64 {
    nanoseconds as f64 / 1e9
}

/// One run. Gives: seconds from the request to the answer (which follows the commit), and from the answer to the mail.
async fn perform(run: &Run) -> (f64, f64) {
    let pipeline = Pipeline::start(Options::new().with(|document| document.task.delay = run.delay)).await;
    if run.slow {
        pipeline.slow_commits(SLOW_COMMIT).await;
    }
    let asked = now_ns();
    let attempt = pipeline.sign_up(1, 1).await.remove(0);
    let answered = now_ns();
    assert_eq!(attempt.outcome, Outcome::Acknowledged, "{}", run.user);
    let mail = pipeline.inbox.wait_for(|mail| mail.to.contains(&attempt.email), PATIENCE).await.expect("a mail");
    let received = mail.received_at.as_nanosecond();
    pipeline.settle(PATIENCE).await;

    let slowed = if run.slow { SLOW_COMMIT } else { Duration::ZERO };
    assert!(seconds(received - asked) >= (slowed + run.delay).as_secs_f64(), "{}: before its time", run.user);
    assert!(seconds(received - answered) <= (run.delay + PUNCTUAL).as_secs_f64(), "{}: late", run.user);
    let intent = pipeline.rows().await.remove(0).intent.expect("an intent");
    assert_eq!((intent.attempts, intent.failures, intent.state.as_str()), (1, 0, "sent"), "{}", run.user);
    assert_eq!(pipeline.apis[0].lines("enqueued task").len(), 1, "{}", run.user);
    assert_eq!(pipeline.workers[0].lines("processed task").len(), 1, "{}", run.user);
    assert_eq!(pipeline.workers[0].lines("process task failed").len(), 0, "{}", run.user);
    (seconds(answered - asked), seconds(received - answered))
}

#[tokio::test]
async fn the_lectures_four_runs_end_with_one_mail_each_and_no_failed_attempt() {
    println!("user     delay  commit  this pipeline                          the lecture's program");
    for run in &RUNS {
        let (answer, mail) = perform(run).await;
        println!(
            "{:<8} {:>4}s  {:<6}  200 after {answer:>5.2} s, mail {mail:>6.2} s later   {}",
            run.user,
            run.delay.as_secs(),
            if run.slow { "2 s" } else { "fast" },
            run.go_program
        );
    }
}
