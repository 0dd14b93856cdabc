//! Requests over kept connections, as fast as they are answered or so many a second.
//!
//! Takes: a port. Gives: how long they took, and how many were not answered as they should be (refused, with 400). Does
//! not: stop at a failure: the connection is opened again.

use crate::requests::Requests;
use anyhow::ensure;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) port: u16,
    pub(super) clients: usize,
    pub(super) requests: usize,
    pub(super) per_second: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Done {
    pub(super) took: Duration,
    pub(super) failures: usize,
}

impl Load {
    pub(super) async fn run(self) -> anyhow::Result<Done> {
        let start = Instant::now();
        let clients: Vec<_> = (0..self.clients).map(|number| tokio::spawn(self.client(number, start))).collect();
        let mut failures = 0;
        for client in clients {
            failures += client.await??;
        }
        Ok(Done { took: start.elapsed(), failures })
    }

    async fn client(self, number: usize, start: Instant) -> anyhow::Result<usize> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let (mut connection, mut failures) = (Requests::open(address).await?, 0);
        for request in (number..self.requests).step_by(self.clients) {
            if let Some(per_second) = self.per_second {
                let at = start + Duration::from_secs_f64(request as f64 / per_second);
                tokio::time::sleep_until(at.into()).await;
            }
            if post(&mut connection).await.is_err() {
                failures += 1;
                connection = Requests::open(address).await?;
            }
        }
        Ok(failures)
    }
}

/// A POST that no proxy repeats.
pub(super) async fn post(connection: &mut Requests) -> anyhow::Result<()> {
    let answer = connection.post_json("/v1/create_user", "{}").await?;
    ensure!(answer.status == 400, "answered {}", answer.status);
    Ok(())
}
