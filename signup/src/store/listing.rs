//! Intents as people look at them.
//!
//! Takes: a [`Filter`]. Gives: [`IntentRecord`]s, the newest signups first. Does not: change anything (that is
//! `by_hand`), or hide addresses; whoever prints a record does.

use super::{Store, StoreError, rows};
use crate::State;
use jiff::Timestamp;
use std::fmt;
use uuid::Uuid;

/// Which intents; `None` and empty lists ask nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// These alone.
    pub ids: Vec<Uuid>,
    /// In one of these states.
    pub states: Vec<State>,
    /// Whose last attempt ended with this class, such as `permanent`.
    pub class: Option<String>,
    /// Made at this time or later: when the user signed up.
    pub since: Option<Timestamp>,
    /// For an address of this domain, in any letter case.
    pub domain: Option<String>,
}

/// One row of `email_intents`, for people.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct IntentRecord {
    /// Also the id of the task in Redis.
    pub id: Uuid,
    /// `None` once the user is deleted.
    pub username: Option<String>,
    /// Where the mail goes; empty once the user is deleted. Personal.
    pub email: String,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: State,
    /// What the last attempt ended with.
    #[sqlx(rename = "last_class")]
    pub class: Option<String>,
    /// The mail server's words at the last attempt. May hold addresses.
    #[sqlx(rename = "last_reply")]
    pub reply: Option<String>,
    /// Attempts so far.
    #[sqlx(try_from = "rows::Counter")]
    pub attempts: u32,
    /// Counted failures so far.
    #[sqlx(try_from = "rows::Counter")]
    pub failures: u32,
    /// Failures allowed.
    #[sqlx(try_from = "rows::Counter")]
    pub max_retries: u32,
    /// An attempt ended so that nobody knows whether a copy is out.
    pub in_doubt: bool,
    /// With its angle brackets.
    pub message_id: String,
    /// When the user signed up.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub created_at: Timestamp,
    /// Not to be tried before.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub due_at: Timestamp,
    /// Given up after.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub deadline: Timestamp,
    /// When the mail server took it.
    #[sqlx(try_from = "rows::OptionalTime")]
    pub sent_at: Option<Timestamp>,
}

impl fmt::Debug for IntentRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, class, .. } = self;
        f.debug_struct("IntentRecord")
            .field("id", id)
            .field("state", state)
            .field("class", class)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// At most `limit` intents, the newest first. A filter without ids reads the whole table where nothing else
    /// narrows it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list_intents(&self, filter: &Filter, limit: u32) -> Result<Vec<IntentRecord>, StoreError> {
        let Filter { ids, states, class, since, domain } = filter;
        let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
        let records = sqlx::query_as(self.sql(LIST))
            .bind((!ids.is_empty()).then_some(ids))
            .bind((!states.is_empty()).then_some(states))
            .bind(class)
            .bind(since.map(jiff_sqlx::Timestamp::from))
            .bind(domain)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        Ok(records)
    }
}

const LIST: &str = r"
SELECT id, username, email, state, last_class, last_reply, attempts, failures, max_retries, in_doubt, message_id,
       created_at, due_at, deadline, sent_at
FROM schema.email_intents
WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text[] IS NULL OR state = ANY($2))
  AND ($3::text IS NULL OR last_class = $3) AND ($4::timestamptz IS NULL OR created_at >= $4)
  AND ($5::text IS NULL OR lower(substring(email FROM '@([^@>]*)>?\s*$')) = lower($5))
ORDER BY created_at DESC, id DESC
LIMIT $6";
