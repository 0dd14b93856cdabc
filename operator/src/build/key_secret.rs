//! Secret `<name>-keys`: the keys that sign links, made when the resource names none.
//!
//! Takes: the resource and random bytes. Gives: the Secret, to be created once and never overwritten: a new key would
//! make the links of owed mails differ between attempts. Does not: rotate; `verification.keySecretRef` is for that.

use super::{Subject, child::metadata, names};
use crate::crd::SignupPipeline;
use k8s_openapi::{ByteString, api::core::v1::Secret};

/// Builds the Secret with a key of 256 bits, written as 64 hexadecimal digits.
pub fn build(pipeline: &SignupPipeline, random: [u8; 32]) -> Secret {
    let subject = Subject::new(pipeline);
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Secret {
        metadata: metadata(&subject, None, names::key_secret(subject.name)),
        type_: Some("Opaque".into()),
        data: Some([("current".to_owned(), ByteString(key.into_bytes()))].into()),
        ..Secret::default()
    }
}
