//! Signups that end their hash close together, committed together.
//!
//! Takes: single signups, each with the word of its caller whether more are about to come. Gives: each its own result,
//! as if it had come alone. Does not: let one that is refused take others with it, wait for company that is not
//! announced, or wait for longer than [`MAX_WAIT`].
//!
//! Why: argon2 empties the caches of every core many times a second, so the processor time of a signup besides its hash
//! is mostly that of waking up connection and backend (measured: 0.6 ms a statement, against 0.13 ms on an idle
//! machine), and it is hardly more for several rows than for one. While hashes queue up, a signup has waited for a core
//! many times as long as it waits here.

use crate::{CreateError, Created, NewUser, Policy, Store, StoreError, verification::Keys};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// How long a signup waits for others at most.
const MAX_WAIT: Duration = Duration::from_millis(40);

/// Signups in one transaction at most.
const MAX_SIGNUPS: usize = 32;

/// Commits signups in groups; clones share the groups.
#[derive(Debug, Clone)]
pub struct GroupCommit {
    store: Store,
    open: Arc<Mutex<Open>>,
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Open {
    /// Grows with every group that was closed, so that a timer recognises its own.
    number: u64,
    group: Option<Group>,
}

/// Signups with the same policy and key, and with different names.
#[derive(Debug)]
struct Group {
    policy: Policy,
    keys: Arc<Keys>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    new: NewUser,
    answer: oneshot::Sender<Result<Created, CreateError>>,
}

impl GroupCommit {
    /// Commits to `store`.
    pub fn new(store: Store) -> Self {
        Self { store, open: Arc::default() }
    }

    /// Creates a user as [`Store::create_user`] does. With `more_to_come` it waits up to 40 ms for others; without,
    /// the others that wait are written together with it at once. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Store::create_user`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the call has created the user or not.
    pub async fn create_user(
        &self,
        new: NewUser,
        policy: Policy,
        keys: Arc<Keys>,
        more_to_come: bool,
    ) -> Result<Created, CreateError> {
        if !more_to_come && self.open.lock().group.is_none() {
            return self.store.create_user(&new, &policy, &keys).await;
        }
        let (answer, result) = oneshot::channel();
        self.join(Member { new, answer }, policy, keys, more_to_come);
        match result.await {
            Ok(result) => result,
            // The runtime is ending, and with it the task that writes.
            Err(_) => Err(CreateError::Unavailable(StoreError::Database(sqlx::Error::WorkerCrashed))),
        }
    }

    fn join(&self, member: Member, policy: Policy, keys: Arc<Keys>, more_to_come: bool) {
        let mut open = self.open.lock();
        if open.group.as_ref().is_some_and(|group| !group.admits(&member, &policy, &keys)) {
            self.close(&mut open);
        }
        let group = open.group.get_or_insert_with(|| Group { policy, keys, members: Vec::new() });
        group.members.push(member);
        let size = group.members.len();
        if !more_to_come || size >= MAX_SIGNUPS {
            self.close(&mut open);
        } else if size == 1 {
            let (committing, number) = (self.clone(), open.number);
            tokio::spawn(async move {
                tokio::time::sleep(MAX_WAIT).await;
                let mut open = committing.open.lock();
                if open.number == number {
                    committing.close(&mut open);
                }
            });
        }
    }

    /// Has the group that is open written, by a task that no caller can cancel.
    fn close(&self, open: &mut Open) {
        open.number += 1;
        if let Some(group) = open.group.take() {
            tokio::spawn(group.write(self.store.clone()));
        }
    }
}

impl Group {
    fn admits(&self, member: &Member, policy: &Policy, keys: &Arc<Keys>) -> bool {
        self.policy == *policy
            && Arc::ptr_eq(&self.keys, keys)
            && self.members.iter().all(|other| other.new.username.as_str() != member.new.username.as_str())
    }

    async fn write(mut self, store: Store) {
        self.members.retain(|member| !member.answer.is_closed());
        // All groups lock names in the same order, those of other processes, too.
        self.members.sort_unstable_by(|one, other| one.new.username.as_str().cmp(other.new.username.as_str()));
        let Self { policy, keys, members } = self;
        let (new, answers): (Vec<_>, Vec<_>) = members.into_iter().map(|member| (member.new, member.answer)).unzip();
        let created = match new.len() {
            0 | 1 => Ok(new.iter().map(|_| None).collect()),
            _ => store.create_users(&new, &policy, &keys).await,
        };
        let created = match created {
            Ok(created) => created,
            Err(error) if refuses_rows(&error) => new.iter().map(|_| None).collect(),
            Err(error) => return fail_all(answers, error),
        };
        let mut alone = Vec::new();
        for ((new, answer), created) in new.into_iter().zip(answers).zip(created) {
            match created {
                // The caller may have left meanwhile; here and below.
                Some(created) => drop(answer.send(Ok(created))),
                None => alone.push((new, answer)),
            }
        }
        for (new, answer) in alone {
            let _ = answer.send(store.create_user(&new, &policy, &keys).await);
        }
    }
}

/// Whether the transaction was rolled back for what a row holds or meets (classes 22, 23 and 40 of appendix A of
/// PostgreSQL's manual): the others can be created without that row. After other errors it may have been committed.
fn refuses_rows(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["22", "23", "40"].iter().any(|class| code.starts_with(class)))
}

fn fail_all(answers: Vec<oneshot::Sender<Result<Created, CreateError>>>, error: sqlx::Error) {
    let error = Arc::new(error);
    for answer in answers {
        let _ = answer.send(Err(CreateError::Unavailable(StoreError::Group(Arc::clone(&error)))));
    }
}
