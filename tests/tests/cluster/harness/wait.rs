//! Waiting for a condition, never for a time.
//!
//! Gives: [`until`], and how long anything here may take. Does not: know clusters.

pub(crate) use servers::until;
use std::time::Duration;

/// Far above what anything here needs on two busy cores: pods that start, roll and end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
