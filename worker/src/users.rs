//! `worker users delete`: a user who is to go, by command.
//!
//! Takes: a name, and the database of the configuration. Gives: what went, as a sentence or JSON, and an exit code.
//! Does not: ask back (`--dry-run` says what would go), or show the address.

use clap::{Args, Subcommand};
use pipeline::{Live, Unready};
use serde_json::json;
use signup::{Claimant, Deleted, Deletion, Store, StoreError};
use std::process::ExitCode;

/// Users.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Deletes a user: links end, mails that are owed are cancelled, name and address are free again
    Delete {
        /// The user's name
        name: String,
        /// Says what would go and changes nothing
        #[arg(long)]
        dry_run: bool,
        /// JSON in the place of a sentence
        #[arg(long)]
        json: bool,
    },
}

/// The command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// PostgreSQL cannot be used; deleting takes DELETE on `users` as well.
    #[error("failed to use the database of database.uriFile (the role needs DELETE on the table users)")]
    Database(#[from] StoreError),
    /// The users are another pipeline's.
    #[error("the database belongs to pipeline {0}; delete from there, or see spec.database.takeOverFrom")]
    Shared(String),
}

/// Runs the command and gives what it prints. The exit code is 1 when nobody was deleted.
///
/// # Errors
///
/// [`UsersError`].
pub async fn run(live: &Live, arguments: &Arguments) -> Result<(String, ExitCode), UsersError> {
    let store = Store::open(&live.document().database)?;
    let done = match store.demand_ownership(&Claimant::new(live)).await.map_err(|error| error.unready()) {
        Err(Unready::Shared(owner)) => Err(UsersError::Shared(owner)),
        // Nobody's, or the statement itself will say what is wrong.
        _ => delete(&store, &arguments.action).await,
    };
    store.close().await;
    done
}

async fn delete(store: &Store, action: &Action) -> Result<(String, ExitCode), UsersError> {
    let Action::Delete { name, dry_run, json } = action;
    let deletion = store.delete_user(name, *dry_run).await?;
    let is_made = matches!(deletion, Deletion::Made(_));
    let text = if *json { in_json(name, &deletion, *dry_run) } else { in_words(name, &deletion, *dry_run) };
    Ok((text, if is_made { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn in_words(name: &str, deletion: &Deletion, dry_run: bool) -> String {
    match deletion {
        Deletion::Made(Deleted { owed, over, links, was_verified }) => {
            let verified = if *was_verified { "verified" } else { "not verified" };
            let (deleted, cancelled) =
                if dry_run { ("would be deleted", "would be cancelled") } else { ("deleted", "cancelled") };
            format!(
                "user {name} ({verified}) {deleted}; mails owed and {cancelled}: {owed}, over and kept without name \
                 and address: {over}, links ended: {links}\n"
            )
        }
        Deletion::Unknown => format!("there is no user {name}\n"),
        Deletion::Referenced(table) => {
            format!("user {name} not deleted: rows of the table {table} refer to it; delete those first\n")
        }
    }
}

fn in_json(name: &str, deletion: &Deletion, dry_run: bool) -> String {
    let mut object = json!({"username": name, "deleted": matches!(deletion, Deletion::Made(_)) && !dry_run});
    match deletion {
        Deletion::Made(Deleted { owed, over, links, was_verified }) => {
            object["wasVerified"] = (*was_verified).into();
            object["mailsOwed"] = (*owed).into();
            object["mailsOver"] = (*over).into();
            object["links"] = (*links).into();
        }
        Deletion::Unknown => object["result"] = "there is no such user".into(),
        Deletion::Referenced(table) => object["referencedBy"] = table.as_str().into(),
    }
    format!("{object:#}\n")
}
