//! What mails take of the processor.
//!
//! Takes: the workers that run. Gives: the processor time of all of them, of PostgreSQL and of Redis, by mail. Does
//! not: count the mail server, whose processes come and go, or what workers do before they are ready.

use crate::{program::Program, usage};
use std::{fmt, time::Duration};

/// Processor time so far, or of a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processor {
    workers: Duration,
    postgresql: Duration,
    redis: Duration,
}

impl Processor {
    pub(super) fn so_far(workers: &[Program]) -> anyhow::Result<Self> {
        let workers =
            workers.iter().map(|worker| usage::on_processor_in_all(worker.pid()?)).sum::<anyhow::Result<_>>()?;
        Ok(Self { workers, postgresql: usage::of_postgresql()?, redis: usage::of_redis()? })
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            workers: self.workers.saturating_sub(before.workers),
            postgresql: self.postgresql.saturating_sub(before.postgresql),
            redis: self.redis.saturating_sub(before.redis),
        }
    }

    /// As words, by mail.
    pub(super) fn each(self, mails: f64) -> impl fmt::Display {
        let each = |sum: Duration| 1000.0 * sum.as_secs_f64() / mails;
        let [workers, postgresql, redis] = [self.workers, self.postgresql, self.redis].map(each);
        format!("processor time of a mail: worker {workers:.3}, PostgreSQL {postgresql:.3}, Redis {redis:.3} ms")
    }
}
