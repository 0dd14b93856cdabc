//! `worker intents`: the mails that are owed or over, for the person who looks after them.
//!
//! Takes: what to do and to which intents, and the database of the configuration. Gives: a table or JSON, and an exit
//! code. Does not: talk to Redis or to the mail server. What is put back waits in PostgreSQL; the relay of `api`
//! finds it.
//!
//! # Layout
//!
//! - [`arguments`]: the command line
//! - `output`: a table for people, JSON for programs, addresses masked

pub mod arguments;
mod output;

use arguments::{Action, Arguments, Selection};
use jiff::Timestamp;
use output::Changed;
use pipeline::{Document, Live, Unready};
use signup::{Change, Claimant, Filter, IntentRecord, Refusal, Store, StoreError};
use std::process::ExitCode;

/// The command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum IntentsError {
    /// PostgreSQL cannot be used.
    #[error("failed to use the database of database.uriFile")]
    Database(#[from] StoreError),
    /// A change of everything is never meant.
    #[error("name intents by their id, or choose them by --state, --class, --since or --domain")]
    NothingChosen,
    /// The mails are another pipeline's.
    #[error("the database belongs to pipeline {0}; look from there, or see spec.database.takeOverFrom")]
    Shared(String),
    /// The id is not there.
    #[error("there is no intent {0}")]
    Unknown(uuid::Uuid),
}

/// Runs the command and gives what it prints. The exit code is 1 when an intent that was named by its id was not
/// changed.
///
/// # Errors
///
/// [`IntentsError`].
pub async fn run(live: &Live, arguments: &Arguments) -> Result<(String, ExitCode), IntentsError> {
    let document = live.document();
    let store = Store::open(&document.database)?;
    let done = match store.demand_ownership(&Claimant::new(live)).await.map_err(|error| error.unready()) {
        Err(Unready::Shared(owner)) => Err(IntentsError::Shared(owner)),
        // Nobody's, or the statements themselves will say what is wrong.
        _ => act(&store, &document, &arguments.action).await,
    };
    store.close().await;
    done
}

async fn act(store: &Store, document: &Document, action: &Action) -> Result<(String, ExitCode), IntentsError> {
    match action {
        Action::List { selection, form } => {
            let records = find(store, selection, &[]).await?;
            Ok((output::list(&records, *form), ExitCode::SUCCESS))
        }
        Action::Show { id, form } => {
            let filter = Filter { ids: vec![*id], ..Filter::default() };
            let found = store.list_intents(&filter, 1).await?;
            let record = found.first().ok_or(IntentsError::Unknown(*id))?;
            Ok((output::show(record, *form), ExitCode::SUCCESS))
        }
        Action::Retry(change) => {
            let deadline = document.task.deadline;
            change_all(store, change, "put back", async |id| store.retry_intent(id, deadline, change.dry_run).await)
                .await
        }
        Action::Cancel(change) => {
            change_all(store, change, "cancelled", async |id| store.cancel_intent(id, change.dry_run).await).await
        }
    }
}

async fn find(store: &Store, selection: &Selection, ids: &[uuid::Uuid]) -> Result<Vec<IntentRecord>, StoreError> {
    let filter = Filter {
        ids: ids.to_vec(),
        states: selection.state.clone(),
        class: selection.class.clone(),
        since: selection.since.map(|since| since.before(Timestamp::now())),
        domain: selection.domain.clone(),
    };
    store.list_intents(&filter, selection.limit).await
}

/// One statement for each, so that one that cannot be changed leaves the others changed.
async fn change_all(
    store: &Store,
    asked: &arguments::Change,
    done: &'static str,
    change: impl AsyncFn(uuid::Uuid) -> Result<Change, StoreError>,
) -> Result<(String, ExitCode), IntentsError> {
    if asked.ids.is_empty() && asked.selection.is_everything() {
        return Err(IntentsError::NothingChosen);
    }
    let mut changed = Vec::new();
    for record in find(store, &asked.selection, &asked.ids).await? {
        changed.push(Changed { change: change(record.id).await?, id: record.id, record: Some(record) });
    }
    let missing = asked.ids.iter().filter(|id| !changed.iter().any(|one| one.id == **id)).copied().collect::<Vec<_>>();
    let refused = Change::Refused(Refusal::Unknown);
    changed.extend(missing.into_iter().map(|id| Changed { id, record: None, change: refused }));
    let all_named_are = asked.ids.is_empty() || changed.iter().all(|one| one.change == Change::Made);
    let text = output::changes(&changed, done, asked.dry_run, asked.form);
    Ok((text, if all_named_are { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}
