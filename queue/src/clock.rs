//! The Redis server's clock, read without a round trip: the local clock plus the offset last measured. Leases and due
//! times of all processes then agree even where machines do not. Knows nothing of Redis; the connection feeds it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Offsets from here on are worth a warning: Go's programs on this machine would use the wrong time.
const NOTABLE_SKEW_MICROS: i64 = 1_000_000;
/// Smaller changes than this are noise of the measurement and would only make time jump.
const NOISE_MICROS: i64 = 500;

/// Unix time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Now(pub(crate) i64);

impl Now {
    pub(crate) fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    pub(crate) fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The UTC date as asynq's daily counters spell it, for example `2026-02-03`.
    pub(crate) fn date(self) -> String {
        self.timestamp().strftime("%Y-%m-%d").to_string()
    }

    pub(crate) fn timestamp(self) -> jiff::Timestamp {
        // Every i64 of nanoseconds lies between the years 1677 and 2262, inside jiff's range; the default is never
        // used.
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// Local clock plus measured offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_micros: AtomicI64,
}

impl Clock {
    pub(crate) fn now(&self) -> Now {
        Now(local_nanos().saturating_add(self.offset_micros.load(Ordering::Relaxed).saturating_mul(1000)))
    }

    /// Takes over the answer of Redis' `TIME`, received at local time `received` after a round trip of `round_trip`.
    pub(crate) fn measured(&self, server_micros: i64, received: SystemTime, round_trip: Duration) {
        let local = nanos_of(received) / 1000 - (round_trip.as_micros() / 2) as i64;
        let offset = server_micros - local;
        let before = self.offset_micros.load(Ordering::Relaxed);
        if (offset - before).abs() <= NOISE_MICROS.max(round_trip.as_micros() as i64) {
            return;
        }
        self.offset_micros.store(offset, Ordering::Relaxed);
        if offset.abs() >= NOTABLE_SKEW_MICROS {
            tracing::warn!(skew_ms = offset / 1000, "clock differs from that of Redis, following Redis");
        }
    }
}

fn local_nanos() -> i64 {
    nanos_of(SystemTime::now())
}

fn nanos_of(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_ten_seconds_behind_follows_the_redis_clock() {
        let clock = Clock::default();
        let received = SystemTime::now();
        let ahead = nanos_of(received) / 1000 + 10_000_000;
        clock.measured(ahead, received, Duration::from_micros(200));
        let difference = clock.now().0 - local_nanos();
        assert!((9_900_000_000..=10_100_000_000).contains(&difference));
    }

    #[test]
    fn days_are_utc_dates() {
        assert_eq!(Now(1_700_000_000_123_456_789).date(), "2023-11-14");
        assert_eq!(Now(1_700_000_000_123_456_789).seconds(), 1_700_000_000);
        assert_eq!(Now(1_700_000_000_123_456_789).millis(), 1_700_000_000_123);
    }
}
