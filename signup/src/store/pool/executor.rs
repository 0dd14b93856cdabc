//! Statements on the connections.
//!
//! Takes: statements of sqlx. Gives: their rows, all at once, for no statement of the store has many. Does not: prepare
//! statements for later.

use super::{Connections, Server, Successive, Verdict, Work, kept::Loan};
use futures::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::time::Instant;

type Step = Either<PgQueryResult, PgRow>;

/// A statement and its arguments; named, the connection keeps it prepared.
#[derive(Clone)]
struct Statement {
    sql: SqlStr,
    arguments: Option<PgArguments>,
    is_named: bool,
}

impl Statement {
    fn of<'q>(mut query: impl Execute<'q, Postgres>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        Ok(Self { sql: query.sql(), arguments, is_named: true })
    }

    /// Whether it can be sent outside a transaction. The driver prepares a statement with arguments and runs it in two
    /// steps; in between a pooler may take the server away.
    fn stands_alone(&self, server: &Server) -> bool {
        self.arguments.is_none() || !server.is_pooled()
    }

    async fn run(self, connection: &mut PgConnection, server: &Server) -> Result<Vec<Step>, Error> {
        let steps = connection.fetch_many(self).try_collect().await;
        steps.inspect_err(|error| server.learn(error))
    }
}

impl Execute<'_, Postgres> for Statement {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.is_named
    }
}

impl Connections {
    /// Runs a statement; a second time where a pooler shows that it did not run.
    async fn run(&self, statement: Statement) -> Result<Vec<Step>, Error> {
        match self.run_once(statement.clone()).await {
            Err(error) if Verdict::on(&error) == Verdict::Pooled => self.run_once(statement).await,
            done => done,
        }
    }

    async fn run_once(&self, statement: Statement) -> Result<Vec<Step>, Error> {
        if statement.stands_alone(&self.server) {
            let mut connection = self.acquire().await.inspect_err(|error| self.server.learn(error))?;
            // A connection that was made just now may have found a pooler.
            if statement.stands_alone(&self.server) {
                return statement.run(&mut connection, &self.server).await;
            }
        }
        let mut work = self.begin().await?;
        let steps = work.run(statement).await?;
        work.commit().await?;
        Ok(steps)
    }
}

impl Successive<'_> {
    /// Runs a statement on the connection of one that ended just now, if there is one.
    async fn run(self, statement: Statement) -> Result<Vec<Step>, Error> {
        let Self(connections) = self;
        let (kept, server) = (&connections.kept, &connections.server);
        if !statement.stands_alone(server) {
            return connections.run(statement).await;
        }
        let mut loan = match kept.take(server) {
            Some(loan) => loan,
            None => {
                let since = Instant::now();
                Loan::new(connections.acquire().await.inspect_err(|error| server.learn(error))?, since)
            }
        };
        // A connection that was made just now may have found a pooler.
        if statement.stands_alone(server) {
            match statement.clone().run(&mut loan.connection, server).await {
                Err(error) if Verdict::on(&error) == Verdict::Pooled => {}
                Err(error) => return Err(error),
                Ok(steps) => {
                    kept.give_back(loan);
                    return Ok(steps);
                }
            }
        }
        drop(loan);
        connections.run(statement).await
    }
}

impl Work {
    async fn run(&mut self, statement: Statement) -> Result<Vec<Step>, Error> {
        let statement = Statement { is_named: !self.server.is_pooled(), ..statement };
        statement.run(&mut self.transaction, &self.server).await
    }
}

/// `Executor` for a type whose `run` gives all steps of a statement.
macro_rules! executor {
    ($executor:ty, $this:ident => $connection:expr) => {
        impl<'c> Executor<'c> for $executor {
            type Database = Postgres;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                let steps = async move {
                    let steps = self.run(Statement::of(query)?).await?;
                    Ok::<_, Error>(stream::iter(steps.into_iter().map(Ok::<Step, Error>)))
                };
                stream::once(steps).try_flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                let row = async move { Ok(self.run(Statement::of(query)?).await?.into_iter().find_map(Either::right)) };
                row.boxed()
            }

            fn prepare_with<'e>(self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
            where
                'c: 'e,
            {
                let $this = self;
                async move { $connection.prepare_with(sql, types).await }.boxed()
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
            where
                'c: 'e,
            {
                let $this = self;
                async move { $connection.describe(sql).await }.boxed()
            }
        }
    };
}

executor!(&'c Connections, this => this.acquire().await?);
executor!(Successive<'c>, this => this.0.acquire().await?);
executor!(&'c mut Work, this => this.transaction);
