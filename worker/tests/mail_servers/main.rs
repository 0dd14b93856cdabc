//! The worker against mail servers that nobody here wrote: what they take, what they refuse and in which words, and how
//! much they take at once.
//!
//! Every test starts servers of its own (crate `servers`), which needs root; `WITHOUT_MAIL_SERVERS=1` leaves the tests
//! out, aloud. What real servers cannot be made to do is in `tests/smtp`, with the scripted inbox.

#[path = "../worker/fixture.rs"]
#[allow(dead_code, reason = "the fixture of `tests/worker`, of which a part is enough here")]
mod fixture;

mod accepted;
mod limits;
mod refused;

use fixture::{Fixture, until};
use servers::{Accepted, Authority, LOGIN};
use signup::{Created, EmailAddress, FullName, NewUser, Username};

/// A fixture whose mails go in clear to the server at `port`.
async fn in_clear(port: u16) -> Fixture {
    let fixture = Fixture::new().await;
    let inbox = fixture.inbox.smtp_addr().port();
    fixture.edit(&format!("port: {inbox}"), &format!("port: {port}")).await;
    fixture
}

/// The same after STARTTLS.
async fn encrypted(port: u16, authority: &Authority) -> Fixture {
    let fixture = in_clear(port).await;
    let ca_file = authority.ca();
    fixture.edit("tls: None", &format!("tls: StartTLS, caFile: {}", ca_file.display())).await;
    fixture
}

/// The same after signing in with `password`.
async fn signed_in(port: u16, authority: &Authority, password: &str) -> Fixture {
    let fixture = encrypted(port, authority).await;
    let folder = fixture.path("auth");
    std::fs::create_dir(&folder).expect("a folder");
    for (name, text) in [("username", LOGIN.0), ("password", password)] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    fixture.edit("tls: StartTLS", &format!("tls: StartTLS, authDir: {}", folder.display())).await;
    fixture
}

/// Signs `username` up with an address at `domain`.
async fn sign_up_at(fixture: &Fixture, username: &str, domain: &str) -> Created {
    let new = NewUser {
        username: Username::parse(username).expect("a user name"),
        full_name: FullName::parse("Test User").expect("a name"),
        email: EmailAddress::parse(&format!("{username}@{domain}")).expect("an address"),
        hashed_password: "$argon2id$not-checked-here".into(),
        locale: None,
    };
    fixture.store.create_user(&new, &fixture.policy(), &fixture.keys()).await.expect("the database answers")
}

/// Class, state, counted failures and attempts, as PostgreSQL has them.
async fn record(fixture: &Fixture, created: &Created) -> String {
    let columns = "concat_ws(' ', last_class, state, failures, attempts)";
    fixture.value(columns, created.intent.id).await
}

/// Waits until the server has taken the mail of each signup, and checks that it took each once and no other.
async fn each_is_taken_once(fixture: &Fixture, all: &[Created], accepted: impl Fn() -> Accepted) {
    let mut expected = Accepted::new();
    for created in all {
        let name = fixture.value("message_id", created.intent.id).await;
        expected.insert(name.trim_matches(['<', '>']).to_owned(), 1);
    }
    until("the server has every mail", || async { accepted().len() >= expected.len() }).await;
    assert_eq!(accepted(), expected);
}
