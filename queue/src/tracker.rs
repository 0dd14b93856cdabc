//! Reads queues in any database of one Redis on one connection, and hears when they may have changed.
//!
//! Takes: a URI without regard to its database index, and certificates. Gives: the states of queues, as many as are
//! asked for in one round trip, and [`Heard`]. Does not: read by itself, or poll where the server tells nothing:
//! whoever holds it does, and is told why.
//!
//! The connection is the tracker's alone, so that it may select databases: another's command between two of ours would
//! run in the wrong one. Nodes of a cluster are read through a [`Connection`] for each database.

use crate::{
    broker,
    certificates::Certificates,
    connection::{Changes, Connection, Heard, Untracked},
    error::Error,
    queue_state::QueueReading,
    uri::RedisUri,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Reads of one round trip; Redis needs about 20 us for each, and its answer is waited for a second.
const MAX_QUESTIONS: usize = 500;

/// What is asked of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The index of the database.
    pub database: i64,
    /// The queue's name.
    pub queue: String,
    /// Bounds [`due_within`](crate::QueueState::due_within); whole seconds.
    pub due_within: Duration,
}

/// What came of a read.
#[derive(Debug)]
pub struct Answers {
    /// One for each question, in their order.
    pub states: Vec<Result<QueueReading, Error>>,
    /// Why no changes of these queues will be heard of.
    pub untracked: Option<Untracked>,
}

/// A Redis that is read and listened to.
pub struct Tracker {
    uri: RedisUri,
    authority: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
    connection: Connection,
    changes: Arc<Changes>,
    /// Another database than that of the connection was selected once.
    selects: AtomicBool,
    /// On a cluster, by database.
    of_cluster: parking_lot::Mutex<HashMap<i64, Connection>>,
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").finish_non_exhaustive()
    }
}

impl Tracker {
    /// Prepares a connection; succeeds with Redis down, since nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUri`], [`Error::InvalidCertificate`].
    pub fn open(uri: RedisUri, certificates: Certificates<'_>) -> Result<Self, Error> {
        let (uri, changes) = (uri.with_database(0), Arc::<Changes>::default());
        Ok(Self {
            connection: Connection::open_parsed(&uri, certificates, Some(Arc::clone(&changes)))?,
            authority: certificates.authority.map(<[u8]>::to_vec),
            client: certificates.client.map(|(certificate, key)| (certificate.to_vec(), key.to_vec())),
            uri,
            changes,
            selects: AtomicBool::new(false),
            of_cluster: parking_lot::Mutex::default(),
        })
    }

    /// Reads queues, 500 in a round trip. What is heard from now on came after that.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis did not answer at all.
    pub async fn read(&self, questions: &[Question]) -> Result<Answers, Error> {
        let untracked = self.connection.untracked().await?;
        let mut states = Vec::with_capacity(questions.len());
        for questions in questions.chunks(MAX_QUESTIONS) {
            if self.connection.is_cluster() {
                states.extend(self.read_nodes(questions).await?);
            } else {
                let elsewhere = questions.iter().any(|question| question.database != 0);
                let selects = self.selects.fetch_or(elsewhere, Ordering::Relaxed) || elsewhere;
                states.extend(broker::queue_states(&self.connection, questions, selects).await?);
            }
        }
        Ok(Answers { states, untracked })
    }

    /// Waits until queues may have changed that were read; what is heard meanwhile is merged. For one caller at a time.
    pub async fn changed(&self) -> Heard {
        self.changes.next().await
    }

    async fn read_nodes(&self, questions: &[Question]) -> Result<Vec<Result<QueueReading, Error>>, Error> {
        let mut states = Vec::with_capacity(questions.len());
        for of_one in questions.chunk_by(|one, other| one.database == other.database) {
            let connection = self.of_cluster(of_one[0].database)?;
            states.extend(broker::queue_states(&connection, of_one, false).await?);
        }
        Ok(states)
    }

    fn of_cluster(&self, database: i64) -> Result<Connection, Error> {
        if database == 0 {
            return Ok(self.connection.clone());
        }
        let mut known = self.of_cluster.lock();
        if let Some(connection) = known.get(&database) {
            return Ok(connection.clone());
        }
        let client = self.client.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice()));
        let certificates = Certificates { authority: self.authority.as_deref(), client };
        let opened = Connection::open_parsed(&self.uri.clone().with_database(database), certificates, None)?;
        known.insert(database, opened.clone());
        Ok(opened)
    }
}
