//! Columns whose type in PostgreSQL is not the domain's.
//!
//! Takes: values of a row. Gives: the domain's types, by `#[sqlx(try_from = ..)]` of the types that derive
//! [`FromRow`](sqlx::FromRow). Does not: run statements.

use std::time::Duration;

/// A bigint of milliseconds; what is past counts as zero.
#[derive(sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub(crate) struct Milliseconds(i64);

/// A counter; the schema's checks keep it from being negative.
#[derive(sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub(crate) struct Counter(i32);

/// The name of a user, which an intent outlives: NULL once the user is deleted.
#[derive(sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub(crate) struct Owner(Option<String>);

/// A time that may not have come yet.
#[derive(sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub(crate) struct OptionalTime(Option<jiff_sqlx::Timestamp>);

impl From<Milliseconds> for Duration {
    fn from(Milliseconds(milliseconds): Milliseconds) -> Self {
        Self::from_millis(u64::try_from(milliseconds).unwrap_or(0))
    }
}

impl From<Counter> for u32 {
    fn from(Counter(counter): Counter) -> Self {
        Self::try_from(counter).unwrap_or(0)
    }
}

impl From<Owner> for String {
    fn from(Owner(username): Owner) -> Self {
        username.unwrap_or_default()
    }
}

impl From<OptionalTime> for Option<jiff::Timestamp> {
    fn from(OptionalTime(time): OptionalTime) -> Self {
        time.map(jiff_sqlx::Timestamp::to_jiff)
    }
}
