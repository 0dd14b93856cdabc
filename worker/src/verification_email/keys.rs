//! The codes of a mail, of its link and to be typed, also when the key that it is derived from is gone.
//!
//! Takes: a lease. Gives: the codes of every copy (I6), or why there is none now. Does not: give a mail another code
//! while a copy with the old one may be out.
//!
//! A missing key may only not have reached this worker yet. The first mail that misses it is recorded as
//! misconfigured, so that somebody can put it back; the others wait a minute without an attempt. Then the key counts
//! as lost (deleted with its pipeline, say): a mail with a new code is better than none, and every mail is sent at
//! its first attempt.

use super::{
    VerificationEmail,
    attempt::{AttemptEnd, misconfigured},
    outcome::PutOff,
};
use crate::{lease::Lease, mail::Sent, random};
use parking_lot::Mutex;
use signup::{Code, Digits, Keys};
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// What waited for a key comes back over this time, not all at once.
const SPREAD: Duration = Duration::from_secs(10);

/// The keys that this process was asked for and does not have, by id, and since when.
#[derive(Debug, Default)]
pub(super) struct MissingKeys(Mutex<HashMap<String, Instant>>);

impl MissingKeys {
    /// How long the key has been missing; `None`: nobody asked for it before.
    fn missing_for(&self, key_id: &str) -> Option<Duration> {
        let mut missing = self.0.lock();
        if let Some(since) = missing.get(key_id) {
            return Some(since.elapsed());
        }
        missing.insert(key_id.to_owned(), Instant::now());
        None
    }

    fn found(&self, key_id: &str) {
        let mut missing = self.0.lock();
        if !missing.is_empty() {
            missing.remove(key_id);
        }
    }
}

impl VerificationEmail {
    pub(super) async fn codes(&self, lease: &Lease) -> Result<(Code, Digits), AttemptEnd> {
        let (mail, materials) = (&lease.mail, self.materials.now());
        if let Some(codes) = codes(&materials.keys, &mail.key_id, lease.id()) {
            self.missing_keys.found(&mail.key_id);
            return Ok(codes);
        }
        let missing_for = self.missing_keys.missing_for(&mail.key_id);
        // A mail that was put off by its back-off already has waited for its key.
        match missing_for {
            _ if mail.in_doubt => Err(key_is_missing()),
            _ if mail.attempts >= 2 => self.renew(lease, &materials.keys).await,
            None => Err(key_is_missing()),
            Some(missing) if missing < self.timing.missing_key => {
                let left = self.timing.missing_key - missing;
                Err(AttemptEnd::PutOff { after: random::between(left, left + SPREAD), why: PutOff::KeyMissing })
            }
            Some(_) => self.renew(lease, &materials.keys).await,
        }
    }

    async fn renew(&self, lease: &Lease, keys: &Keys) -> Result<(Code, Digits), AttemptEnd> {
        let id = lease.id();
        let renewing = self.store.renew_code(id, lease.epoch(), keys);
        let renewed = match tokio::time::timeout(self.timing.answer, renewing).await {
            Ok(Ok(renewed)) => renewed,
            Ok(Err(error)) => {
                tracing::warn!(intent.id = %id, %error, "the code could not be renewed");
                None
            }
            Err(_) => {
                tracing::warn!(intent.id = %id, "the code could not be renewed, the database did not answer");
                None
            }
        };
        let renewed = renewed.and_then(|_code| codes(keys, keys.current_id(), id));
        let codes = renewed.ok_or(AttemptEnd::Dialogue(Sent::Withheld))?;
        let key = &lease.mail.key_id;
        tracing::warn!(intent.id = %id, key, "the key of this mail is gone; its link is made with the current one");
        Ok(codes)
    }
}

/// Both are made with one key.
fn codes(keys: &Keys, key_id: &str, intent: Uuid) -> Option<(Code, Digits)> {
    keys.code(key_id, intent).zip(keys.digits(key_id, intent))
}

fn key_is_missing() -> AttemptEnd {
    misconfigured("the verification key of this mail is missing; put it back into its Secret")
}
