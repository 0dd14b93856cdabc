//! A signup's mail is taken once by each server: in clear, after STARTTLS, after signing in.

use crate::{Fixture, each_is_taken_once, encrypted, in_clear, record, signed_in};
use servers::{Accepted, Authority, LOGIN, Security};

async fn is_taken_once(fixture: &Fixture, accepted: impl Fn() -> Accepted) {
    let created = fixture.sign_up("alice1").await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    assert_eq!(record(fixture, &created).await, "accepted sent 0 1");
    each_is_taken_once(fixture, &[created], accepted).await;
}

#[tokio::test]
async fn in_clear_by_each_server() {
    let Some(postfix) = servers::postfix(Security::Plain, &[]) else { return };
    is_taken_once(&in_clear(postfix.port()).await, || postfix.accepted()).await;
    let Some(exim) = servers::exim(Security::Plain, &[], &[]) else { return };
    is_taken_once(&in_clear(exim.port()).await, || exim.accepted()).await;
    let Some(opensmtpd) = servers::opensmtpd(&[], &[]) else { return };
    is_taken_once(&in_clear(opensmtpd.port()).await, || opensmtpd.accepted()).await;
}

#[tokio::test]
async fn after_starttls_by_each_that_offers_it() {
    let authority = Authority::make().expect("openssl runs");
    let security = Security::StartTls(&authority);
    let Some(postfix) = servers::postfix(security, &[]) else { return };
    is_taken_once(&encrypted(postfix.port(), &authority).await, || postfix.accepted()).await;
    let Some(exim) = servers::exim(security, &[], &[]) else { return };
    is_taken_once(&encrypted(exim.port(), &authority).await, || exim.accepted()).await;
}

#[tokio::test]
async fn after_signing_in_by_each_that_offers_it() {
    let authority = Authority::make().expect("openssl runs");
    let security = Security::Login(&authority);
    let Some(postfix) = servers::postfix(security, &[]) else { return };
    is_taken_once(&signed_in(postfix.port(), &authority, LOGIN.1).await, || postfix.accepted()).await;
    let Some(exim) = servers::exim(security, &[], &[]) else { return };
    is_taken_once(&signed_in(exim.port(), &authority, LOGIN.1).await, || exim.accepted()).await;
}

#[tokio::test]
async fn by_a_postfix_that_wants_a_fully_qualified_name_at_ehlo() {
    let parameters = ["smtpd_helo_required = yes", "smtpd_helo_restrictions = reject_non_fqdn_helo_hostname"];
    let Some(postfix) = servers::postfix(Security::Plain, &parameters) else { return };
    is_taken_once(&in_clear(postfix.port()).await, || postfix.accepted()).await;
}
