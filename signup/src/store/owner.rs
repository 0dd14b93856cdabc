//! Whose the database is: one pipeline's, for two would take each other's mails and send them with their own sender.
//!
//! Takes: a [`Claimant`]. Gives: the database as its own, written down with the migrations; or whose it is. Does not:
//! take it from another pipeline, but where it is handed over by name, or from a younger one that came first when a
//! database that both had used got an owner.

use super::{Store, StoreError, pool::Work};
use crate::Keys;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use pipeline::{Live, Unready};
use sqlx::{Executor, Postgres};
use std::sync::atomic::Ordering;

/// Who asks for the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// `namespace/name`.
    pub pipeline: String,
    /// UID of the namespace; `None`: not known, and then the name alone counts.
    pub namespace_uid: Option<String>,
    /// When the resource was made, if that is known.
    pub created_at: Option<Timestamp>,
    /// The pipeline that hands the database over to this one.
    pub take_over_from: Option<String>,
    /// Ids of its keys: intents name the one of whoever made them.
    pub keys: Vec<String>,
}

impl Claimant {
    /// The pipeline that a process is of now. Without keys it cannot show that it is the older one.
    pub fn new(live: &Live) -> Self {
        let (document, identity) = (live.document(), live.identity());
        Self {
            pipeline: document.pipeline.clone(),
            namespace_uid: identity.namespace_uid,
            created_at: identity.created_at.and_then(|text| text.parse().ok()),
            take_over_from: document.database.take_over_from.clone(),
            keys: Vec::new(),
        }
    }

    /// With the keys that it signs links with.
    #[must_use]
    pub fn with_keys(self, keys: &Keys) -> Self {
        Self { keys: keys.ids().map(str::to_owned).collect(), ..self }
    }
}

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Record {
    pipeline: String,
    namespace_uid: Option<String>,
    term: i64,
    /// The claimant is older, and intents from before there was an owner are its own.
    gives_way: bool,
}

/// What a claim comes to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ours,
    /// It is, and the UID of the namespace is known now.
    OursToComplete,
    /// It becomes the claimant's.
    Taken,
    Theirs,
}

impl Record {
    fn judge(&self, claimant: &Claimant) -> Verdict {
        let is_known_as = |uid: &Option<String>| self.namespace_uid == *uid;
        let same_namespace = self.namespace_uid.is_none() || claimant.namespace_uid.is_none();
        if self.pipeline == claimant.pipeline && (same_namespace || is_known_as(&claimant.namespace_uid)) {
            let is_news = self.namespace_uid.is_none() && claimant.namespace_uid.is_some();
            return if is_news { Verdict::OursToComplete } else { Verdict::Ours };
        }
        let is_handed_over = claimant.take_over_from.as_ref() == Some(&self.pipeline);
        if is_handed_over || self.gives_way { Verdict::Taken } else { Verdict::Theirs }
    }

    /// The owner, in the eyes of somebody else.
    fn shared(&self, claimant: &Claimant) -> StoreError {
        let is_namesake = self.pipeline == claimant.pipeline;
        let more = if is_namesake { " of another cluster, or of an earlier namespace of that name" } else { "" };
        StoreError::Unfit(Unready::Shared(format!("{}{more}", self.pipeline)))
    }
}

/// Somebody else may claim between a look and a claim.
const ROUNDS: u32 = 3;

impl Store {
    /// Makes the database the claimant's where it is nobody's, or is handed over to it. Needs the schema; changes rows
    /// of one table and nothing else.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] with [`Unready::Shared`] when it is another's; [`StoreError::Database`].
    pub async fn claim(&self, claimant: &Claimant) -> Result<(), StoreError> {
        let mut work = self.pool.begin().await?;
        let term = self.claim_in(&mut work, claimant).await?;
        work.commit().await?;
        self.term.store(term, Ordering::Relaxed);
        Ok(())
    }

    /// The same within a transaction; gives the term in which it is the claimant's.
    pub(super) async fn claim_in(&self, work: &mut Work, claimant: &Claimant) -> Result<i64, StoreError> {
        for _ in 0..ROUNDS {
            let Some(record) = self.record(&mut *work, claimant).await? else {
                self.write_owner(work, CLAIM, claimant, 0).await?;
                continue;
            };
            let statement = match record.judge(claimant) {
                Verdict::Ours => return Ok(record.term),
                Verdict::OursToComplete => COMPLETE,
                Verdict::Taken => TAKE,
                Verdict::Theirs => return Err(record.shared(claimant)),
            };
            self.write_owner(work, statement, claimant, record.term).await?;
        }
        Err(StoreError::Unfit(Unready::Unclaimed))
    }

    /// Whether the database is the claimant's. Changes nothing in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] with [`Unready::Shared`] or [`Unready::Unclaimed`] when it is not;
    /// [`StoreError::Database`].
    pub async fn demand_ownership(&self, claimant: &Claimant) -> Result<(), StoreError> {
        let Some(record) = self.record(&self.probe, claimant).await? else {
            return Err(StoreError::Unfit(Unready::Unclaimed));
        };
        match record.judge(claimant) {
            Verdict::Ours | Verdict::OursToComplete => {
                self.term.store(record.term, Ordering::Relaxed);
                Ok(())
            }
            Verdict::Taken | Verdict::Theirs => Err(record.shared(claimant)),
        }
    }

    async fn record<'e>(
        &self,
        executor: impl Executor<'e, Database = Postgres>,
        claimant: &Claimant,
    ) -> Result<Option<Record>, sqlx::Error> {
        let created_at = claimant.created_at.map(|at| at.to_sqlx());
        sqlx::query_as(self.sql(FIND)).bind(created_at).bind(claimant.keys.clone()).fetch_optional(executor).await
    }

    async fn write_owner(
        &self,
        work: &mut Work,
        statement: &'static str,
        claimant: &Claimant,
        term: i64,
    ) -> Result<(), sqlx::Error> {
        let writing = sqlx::query(self.sql(statement)).bind(&claimant.pipeline).bind(&claimant.namespace_uid);
        writing.bind(claimant.created_at.map(|at| at.to_sqlx())).bind(term).execute(work).await?;
        Ok(())
    }
}

/// Ids of intents grow with time, so the first ones show who used the database first.
const FIND: &str = "
SELECT pipeline, namespace_uid, term, CASE
           WHEN found_intents AND $1::timestamptz < pipeline_created_at THEN EXISTS (
               SELECT FROM (SELECT key_id FROM schema.email_intents ORDER BY id LIMIT 100) AS earliest
               WHERE key_id = ANY($2::text[])
           )
           ELSE false
       END AS gives_way
FROM schema.pipeline_owner";

const CLAIM: &str = "
INSERT INTO schema.pipeline_owner (pipeline, namespace_uid, pipeline_created_at, found_intents, term)
SELECT $1::text, $2::text, $3::timestamptz, EXISTS (SELECT FROM schema.email_intents), $4::bigint + 1
ON CONFLICT (is_the_one) DO NOTHING";

const COMPLETE: &str = "
UPDATE schema.pipeline_owner
SET namespace_uid = $2::text, pipeline_created_at = coalesce(pipeline_created_at, $3::timestamptz)
WHERE term = $4::bigint AND pipeline = $1::text";

const TAKE: &str = "
UPDATE schema.pipeline_owner
SET pipeline = $1::text, namespace_uid = $2::text, pipeline_created_at = $3::timestamptz, term = term + 1,
    claimed_at = clock_timestamp()
WHERE term = $4::bigint";

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(pipeline: &str, uid: Option<&str>) -> Claimant {
        Claimant {
            pipeline: pipeline.to_owned(),
            namespace_uid: uid.map(str::to_owned),
            created_at: None,
            take_over_from: None,
            keys: Vec::new(),
        }
    }

    #[test]
    fn a_name_is_enough_only_where_a_namespace_is_not_known() {
        let judge = |owner: Option<&str>, name: &str, uid: Option<&str>| {
            let namespace_uid = owner.map(str::to_owned);
            let record = Record { pipeline: "shop/a".to_owned(), namespace_uid, term: 1, gives_way: false };
            record.judge(&claimant(name, uid))
        };
        assert_eq!(judge(Some("1"), "shop/a", Some("1")), Verdict::Ours, "deleted and made again");
        assert_eq!(judge(Some("1"), "shop/a", Some("2")), Verdict::Theirs, "another cluster");
        assert_eq!(judge(Some("1"), "shop/b", Some("1")), Verdict::Theirs, "its neighbour");
        assert_eq!(judge(None, "shop/a", Some("1")), Verdict::OursToComplete);
        assert_eq!(judge(Some("1"), "shop/a", None), Verdict::Ours);
        assert_eq!(judge(None, "shop/b", None), Verdict::Theirs);
    }

    #[test]
    fn it_is_handed_over_by_the_owners_name_alone() {
        let record = Record { pipeline: "shop/a".into(), namespace_uid: Some("1".into()), term: 1, gives_way: false };
        let judge = |name: &str, from: &str| {
            record.judge(&Claimant { take_over_from: Some(from.to_owned()), ..claimant(name, Some("2")) })
        };
        assert_eq!(judge("shop/b", "shop/a"), Verdict::Taken);
        assert_eq!(judge("shop/b", "shop/c"), Verdict::Theirs);
        assert_eq!(judge("shop/a", "shop/a"), Verdict::Taken, "a restored copy in another cluster");
        let error = record.shared(&claimant("shop/a", Some("2"))).to_string();
        assert!(error.contains("shop/a of another cluster"), "{error}");
    }
}
