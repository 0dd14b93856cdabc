//! The Redis servers of all pipelines.
//!
//! Takes: what a pipeline's Secret says. Gives: one [`Server`] for each server, user and TLS settings, whatever the
//! number of pipelines, kept while one of them needs it. Does not: use one pipeline's login for another: what differs
//! in anything but the database index has a connection of its own.

use super::{
    schedule::Interest,
    server::{Server, Subscription},
};
use parking_lot::Mutex;
use queue::{Certificates, RedisUri, Tracker};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// A login at a server. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Account {
    /// With database 0.
    pub(super) uri: RedisUri,
    pub(super) authority: Option<Vec<u8>>,
    /// The client's, and its key.
    pub(super) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// All of them.
#[derive(Default)]
pub(in crate::controller) struct Servers(Mutex<HashMap<Account, Weak<Server>>>);

impl Servers {
    /// Asks a server for queues.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub(super) fn subscribe(&self, account: &Account, interest: Interest) -> Result<Subscription, queue::Error> {
        let mut servers = self.0.lock();
        servers.retain(|_, server| server.strong_count() > 0);
        let known = servers.get(account).and_then(Weak::upgrade);
        let server = match known {
            Some(server) => server,
            None => {
                let client = account.certificate.as_ref().map(|(own, key)| (own.as_slice(), key.as_slice()));
                let certificates = Certificates { authority: account.authority.as_deref(), client };
                let server = Arc::new(Server::start(Tracker::open(account.uri.clone(), certificates)?));
                servers.insert(account.clone(), Arc::downgrade(&server));
                server
            }
        };
        Ok(server.subscribe(interest))
    }
}
