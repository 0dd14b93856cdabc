//! `spec.retention`: what is removed after a while.
//!
//! Takes and gives: the fields as written in the resource. Does not: remove anything; `api` does. No field has a
//! default of the schema: the API server would write it into the resources that there are, and old mails would go.

use super::time_span::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long what nobody needs any more is kept. Applied without a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// Mails that are over, with their links: so long after they were sent, or after their deadline where they were
    /// not, and never before the link ends; 24h to 10 years (87600h), or 0s for ever. Absent: 720h (30 days) in a
    /// database that was new with this version, else for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mails: Option<TimeSpan<0, 315_360_000>>,
    /// Users who never verified: so long after their signup, and never while a mail is owed to them or a link works;
    /// 24h to 10 years (87600h). Name and address are free again. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified_users: Option<TimeSpan<86_400, 315_360_000>>,
}

impl Retention {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
