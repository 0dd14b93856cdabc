//! The limits of the mail server are those of all workers together, whoever comes and goes.

use pipeline_tests::{Options, PATIENCE, Pipeline, until};

/// A gauge of each running worker, sorted.
async fn gauges(pipeline: &Pipeline, name: &str) -> Vec<f64> {
    let mut values = Vec::new();
    for worker in pipeline.workers.iter().filter(|worker| worker.is_running()) {
        let metrics = worker.admin("/metrics").await.unwrap_or_default();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        values.push(line.unwrap_or(f64::NAN));
    }
    values.sort_by(f64::total_cmp);
    values
}

async fn until_shared(pipeline: &Pipeline, connections: &[f64], per_second: f64) {
    until("the workers have counted each other", PATIENCE, async || {
        let rates = gauges(pipeline, "signup_mail_per_second_allowed ").await;
        let all: f64 = rates.iter().sum();
        gauges(pipeline, "signup_mail_connections_allowed ").await == connections && (all - per_second).abs() < 0.01
    })
    .await;
}

#[tokio::test]
async fn all_workers_together_keep_to_the_limits_and_a_dead_one_gives_its_share_back() {
    let options = Options::new().workers(3).with(|document| {
        document.mail.smtp.max_connections = Some(7);
        document.mail.smtp.max_per_second = Some(10);
        document.queues.iter_mut().for_each(|queue| queue.paused = true);
    });
    let mut pipeline = Pipeline::start(options).await;
    pipeline.sign_up(30, 4).await;
    until_shared(&pipeline, &[2.0, 2.0, 3.0], 10.0).await;
    pipeline.edit(|document| document.queues.iter_mut().for_each(|queue| queue.paused = false)).await;
    pipeline.settle(PATIENCE).await;
    let times = pipeline.inbox.messages().into_iter().map(|message| message.received_at);
    let (first, last) = (times.clone().min().expect("mails"), times.max().expect("mails"));
    let spread = last.duration_since(first);
    // The first mail of each worker has its turn at once; for each of them by itself it would be 0.9 s.
    assert!(spread.as_millis() >= 2_300, "thirty mails at ten per second take about 2.7 s, not {spread:?}");
    pipeline.check().await.assert_exactly_one_mail_each();

    pipeline.workers[0].kill();
    until_shared(&pipeline, &[3.0, 4.0], 10.0).await;
    pipeline.workers[1].terminate();
    until_shared(&pipeline, &[7.0], 10.0).await;
    pipeline.workers[0].start().await;
    until_shared(&pipeline, &[3.0, 4.0], 10.0).await;
    pipeline.edit(|document| document.mail.smtp.max_connections = Some(1)).await;
    until_shared(&pipeline, &[0.0, 1.0], 10.0).await;
}
