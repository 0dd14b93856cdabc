//! What is owed to webhooks, by whatever writes users and intents.

use crate::fixture::{Fixture, new_user};
use pipeline::{
    Document,
    document::{Webhook, WebhookEvent},
};
use signup::{Delivery, DeliveryEnd};
use std::time::Duration;

const URL: &str = "https://app.example.com/hooks";
const LEASE: Duration = Duration::from_secs(60);

impl Fixture {
    /// Tells [`URL`] of these events; none: of all.
    async fn tell(&self, events: &[WebhookEvent]) {
        self.store.set_webhooks(&document(URL, events)).await.expect("written down");
    }

    async fn due(&self) -> Vec<Delivery> {
        self.store.lease_deliveries(URL, 10, LEASE).await.expect("asked")
    }

    async fn owed(&self) -> String {
        let owed =
            "SELECT coalesce(string_agg(event || ' ' || state, ', ' ORDER BY created_at), '') FROM webhook_deliveries";
        sqlx::query_scalar(owed).fetch_one(&self.sql).await.expect("a text")
    }
}

fn document(url: &str, events: &[WebhookEvent]) -> Document {
    let webhook = Webhook {
        url: url.to_owned(),
        events: events.to_vec(),
        secret_file: "secret".into(),
        allow_local_addresses: false,
    };
    let mut document = Document::sample();
    document.task.max_retries = 1;
    document.webhooks = vec![webhook];
    document
}

#[tokio::test]
async fn what_happens_is_owed_in_its_own_transaction_to_who_wants_it() {
    let fixture = Fixture::new().await;
    fixture.sign_up("before").await;
    fixture.tell(&[]).await;
    fixture.execute("BEGIN; UPDATE users SET is_email_verified = true; ROLLBACK").await;
    assert_eq!(fixture.owed().await, "");
    let alice = fixture.sign_up("alice").await;
    fixture.set("state = 'refused'", alice.intent.id).await;
    fixture.set("state = 'refused'", alice.intent.id).await;
    fixture.set("state = 'dead'", alice.intent.id).await;
    fixture.execute("UPDATE users SET is_email_verified = true WHERE username = 'alice'").await;
    fixture.execute("UPDATE users SET is_email_verified = true WHERE username = 'alice'").await;
    let all = "user.created owed, mail.refused owed, mail.dead owed, user.verified owed";
    assert_eq!(fixture.owed().await, all);
    fixture.tell(&[WebhookEvent::UserVerified]).await;
    fixture.sign_up("bob").await;
    assert_eq!(fixture.owed().await, all);
    fixture.execute("DELETE FROM users WHERE username = 'alice'").await;
    assert_eq!(fixture.owed().await, "", "nobody is told of who is gone");
}

#[tokio::test]
async fn another_application_that_writes_users_needs_no_privilege_for_it() {
    let fixture = Fixture::new().await;
    fixture.tell(&[]).await;
    let role = format!("app{}", std::process::id());
    let schema = Fixture::schema();
    let statement = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA {schema} TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.users TO {role};
         SET ROLE {role}; SET search_path = pg_catalog;
         INSERT INTO {schema}.users (username, hashed_password, full_name, email) VALUES ('app', '-', 'App', 'a@b.com');
         UPDATE {schema}.users SET is_email_verified = true WHERE username = 'app';
         RESET ROLE; RESET search_path; DROP OWNED BY {role}; DROP ROLE {role}"
    );
    fixture.execute(&statement).await;
    assert_eq!(fixture.owed().await, "user.created owed, user.verified owed");
}

#[tokio::test]
async fn a_hidden_signup_is_written_like_another_and_told_to_nobody() {
    let fixture = Fixture::new().await;
    fixture.sign_up("owner").await;
    fixture.tell(&[]).await;
    let new = new_user("hidden", "owner@example.com");
    let hidden = fixture.store.create_user_hiding(&new, &fixture.policy, &fixture.keys).await.expect("hidden");
    assert_eq!(fixture.owed().await, "user.created owed");
    assert_eq!(fixture.due().await, []);
    assert_eq!(fixture.owed().await, "");
    fixture.set("state = 'refused'", hidden.intent.id).await;
    assert_eq!(fixture.owed().await, "");
}

#[tokio::test]
async fn a_delivery_is_leased_to_one_at_a_time_and_a_stale_worker_records_nothing() {
    let fixture = Fixture::new().await;
    fixture.tell(&[]).await;
    fixture.sign_up("alice").await;
    let first = fixture.due().await.remove(0);
    assert_eq!((fixture.due().await, format!("{first:?}").contains("alice")), (vec![], false));
    fixture.execute("UPDATE webhook_deliveries SET due_at = now()").await;
    let second = fixture.due().await.remove(0);
    assert_eq!((second.id, &second.body), (first.id, &first.body));
    assert!(!fixture.store.record_delivered(&first).await.expect("asked"));
    let late = fixture.store.record_undelivered(&first, "down", false, LEASE).await.expect("asked");
    assert_eq!(late, DeliveryEnd::Stale);
    assert!(fixture.store.record_delivered(&second).await.expect("recorded"));
    assert_eq!(fixture.owed().await, "");
}

#[tokio::test]
async fn failures_that_count_and_time_use_a_delivery_up_and_waits_do_not() {
    let fixture = Fixture::new().await;
    fixture.tell(&[]).await;
    fixture.sign_up("alice").await;
    for (counted, end) in [(false, DeliveryEnd::Again), (true, DeliveryEnd::Again), (true, DeliveryEnd::Dead)] {
        let delivery = fixture.due().await.remove(0);
        let recorded = fixture.store.record_undelivered(&delivery, "refused", counted, Duration::ZERO).await;
        assert_eq!(recorded.expect("recorded"), end);
    }
    assert_eq!((fixture.due().await, fixture.owed().await), (vec![], "user.created dead".into()));
    fixture.sign_up("bob").await;
    fixture.execute("UPDATE webhook_deliveries SET deadline = now() WHERE state = 'owed'").await;
    assert_eq!((fixture.due().await, fixture.owed().await), (vec![], "user.created dead, user.created dead".into()));

    // Nobody sends to a URL that is taken out; what is owed to it waits for it to come back, until it is too late.
    fixture.sign_up("carol").await;
    fixture.store.set_webhooks(&document("https://other.example.com", &[])).await.expect("written down");
    fixture.sign_up("david").await;
    assert_eq!(fixture.due().await.len(), 1);
    fixture.execute("UPDATE webhook_deliveries SET deadline = now() - interval '2 minutes'").await;
    assert_eq!(fixture.store.forget_deliveries().await.expect("asked"), 0);
    assert!(!fixture.owed().await.contains("owed"));
    fixture.execute("UPDATE webhook_deliveries SET deadline = now() - interval '31 days'").await;
    assert_eq!(fixture.store.forget_deliveries().await.expect("asked"), 4);
}
