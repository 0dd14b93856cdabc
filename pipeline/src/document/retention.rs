//! The part `retention` of `pipeline.yaml`: what is removed after a while.
//!
//! Gives: its types. Does not: remove anything; `api` does.

use crate::duration;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long what nobody needs any more is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// Mails that are over, with their links; zero: for ever. Absent: 30 days in a database that was new, else for
    /// ever.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub mails: Option<Duration>,
    /// Users who never verified. Absent: for ever.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub unverified_users: Option<Duration>,
}

impl Retention {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
