//! What of the database is ours, and what may have been the Go program's, by name.
//!
//! Gives: the migrations, and tables of names. Does not: look at a database; `adoption` does before the migrations and
//! `complete` after them. A test compares both with what the migrations make.

use sqlx::migrate::Migrator;

/// The tables, part of the program. Newer ones than this program's are accepted: old replicas live on while new ones
/// start.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// A table of ours, as the statements use it.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// All that a statement names.
    pub(super) columns: &'static [&'static str],
    pub(super) privileges: &'static [&'static str],
}

/// All tables but that of the migrations.
pub(super) const TABLES: [Table; 13] = [
    Table {
        name: "users",
        columns: &[
            "username",
            "hashed_password",
            "full_name",
            "email",
            "password_changed_at",
            "created_at",
            "is_email_verified",
            "email_canonical",
            "verified_at",
            "is_hidden",
            "notice_id",
            "noticed_at",
        ],
        privileges: &["SELECT", "INSERT", "UPDATE"],
    },
    Table {
        name: "email_intents",
        columns: &[
            "id",
            "kind",
            "username",
            "email",
            "generation",
            "created_at",
            "delay",
            "run_at",
            "queue",
            "max_retries",
            "deadline",
            "timeout",
            "public_url",
            "link_ttl",
            "message_id",
            "key_id",
            "state",
            "dispatched_at",
            "redis_epoch",
            "attempts",
            "failures",
            "crash_count",
            "next_attempt_at",
            "due_at",
            "lease_owner",
            "lease_epoch",
            "lease_until",
            "claimed_until",
            "last_class",
            "last_reply",
            "sent_at",
            "in_doubt",
            "locale",
            "asked_for",
            "told_by",
        ],
        privileges: &["SELECT", "INSERT", "UPDATE"],
    },
    Table {
        name: "verify_emails",
        columns: &[
            "id",
            "username",
            "email",
            "secret_code",
            "is_used",
            "created_at",
            "expired_at",
            "intent_id",
            "secret_hash",
            "key_id",
            "voided_at",
        ],
        privileges: &["SELECT", "INSERT", "UPDATE"],
    },
    Table {
        name: "refusals",
        columns: &["intent_id", "by_code"],
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "email_requests",
        columns: &["subject", "made_at", "resend_to"],
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "idempotency_keys",
        columns: &[
            "key",
            "fingerprint",
            "key_id",
            "username",
            "full_name",
            "email",
            "password_changed_at",
            "created_at",
            "expires_at",
        ],
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "webhooks",
        columns: &["url", "events", "max_retries", "deadline"],
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    Table {
        name: "webhook_deliveries",
        columns: &[
            "id",
            "url",
            "event",
            "username",
            "is_hidden",
            "body",
            "created_at",
            "max_retries",
            "deadline",
            "state",
            "due_at",
            "lease_epoch",
            "attempts",
            "failures",
            "last_class",
        ],
        privileges: &["SELECT", "UPDATE", "DELETE"],
    },
    Table {
        name: "pipeline_owner",
        columns: &[
            "is_the_one",
            "pipeline",
            "namespace_uid",
            "pipeline_created_at",
            "found_intents",
            "term",
            "claimed_at",
        ],
        privileges: &["SELECT", "INSERT", "UPDATE"],
    },
    Table { name: "email_intent_counts", columns: &["state", "change"], privileges: &["SELECT", "INSERT", "DELETE"] },
    Table {
        name: "signup_chores",
        columns: &["chore", "next_at", "position", "is_on_by_default"],
        privileges: &["SELECT", "UPDATE"],
    },
    Table {
        name: "resend_keys",
        columns: &["key", "fingerprint", "key_id", "expires_at"],
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
    },
    // Its trigger writes it, as the owner of the tables.
    Table { name: "users_audit", columns: &["at", "event", "username", "role", "done_by"], privileges: &[] },
];

/// A table of the Go program (simplebank, migrations 2 to 5), which the migrations adopt.
pub(super) struct GoTable {
    pub(super) name: &'static str,
    /// Columns with their types, `?` after those that not all of its versions have.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// Constraints: later migrations of ours name them.
    pub(super) constraints: &'static [(&'static str, &'static str)],
    /// Columns that the migrations add. One that is there is taken as it is, so it must be of this type; `!`: no other
    /// program's values may be in it.
    pub(super) added: &'static [(&'static str, &'static str)],
    /// Constraints and triggers that the migrations add.
    pub(super) parts: &'static [&'static str],
}

pub(super) const GO_TABLES: [GoTable; 2] = [
    GoTable {
        name: "users",
        columns: &[
            ("username", "character varying"),
            ("hashed_password", "character varying"),
            ("full_name", "character varying"),
            ("email", "character varying"),
            ("password_changed_at", "timestamp with time zone"),
            ("created_at", "timestamp with time zone"),
            ("is_email_verified?", "boolean"),
            ("role?", "character varying"),
        ],
        constraints: &[("users_pkey", "PRIMARY KEY (username)"), ("users_email_key", "UNIQUE (email)")],
        added: &[
            ("email_canonical!", "character varying"),
            ("verified_at", "timestamp with time zone"),
            ("is_hidden!", "boolean"),
            ("notice_id!", "uuid"),
            ("noticed_at!", "timestamp with time zone"),
        ],
        parts: &[
            "users_email_canonical_key",
            "users_audit_changed",
            "users_audit_gone",
            "users_audit_made",
            "users_fill_email_canonical",
            "users_forget_deleted",
            "users_owe_webhooks_made",
            "users_owe_webhooks_verified",
            "users_void_changed_address",
        ],
    },
    GoTable {
        name: "verify_emails",
        columns: &[
            ("id", "bigint"),
            ("username", "character varying"),
            ("email", "character varying"),
            ("secret_code", "character varying"),
            ("is_used", "boolean"),
            ("created_at", "timestamp with time zone"),
            ("expired_at", "timestamp with time zone"),
        ],
        constraints: &[
            ("verify_emails_pkey", "PRIMARY KEY (id)"),
            ("verify_emails_username_fkey", "FOREIGN KEY (username) REFERENCES users(username)"),
        ],
        added: &[
            ("intent_id!", "uuid"),
            ("secret_hash!", "bytea"),
            ("key_id!", "text"),
            ("voided_at!", "timestamp with time zone"),
        ],
        parts: &["verify_emails_intent_id_fkey", "verify_emails_secret_check"],
    },
];

/// Tables and indexes that the migrations make under these names, which must be free.
pub(super) const RELATIONS: [&str; 42] = [
    "email_intent_counts",
    "email_intents",
    "email_intents_deadline_idx",
    "email_intents_dispatched_idx",
    "email_intents_over_idx",
    "email_intents_pkey",
    "email_intents_sending_idx",
    "email_intents_state_idx",
    "email_intents_told_by_idx",
    "email_intents_username_kind_generation_key",
    "email_intents_waiting_idx",
    "email_requests",
    "email_requests_latest_idx",
    "email_requests_pkey",
    "email_requests_resend_idx",
    "idempotency_keys",
    "idempotency_keys_expires_at_idx",
    "idempotency_keys_pkey",
    "idempotency_keys_username_idx",
    "pipeline_owner",
    "pipeline_owner_pkey",
    "refusals",
    "refusals_pkey",
    "resend_keys",
    "resend_keys_expires_at_idx",
    "resend_keys_pkey",
    "signup_chores",
    "signup_chores_pkey",
    "users_audit",
    "users_email_canonical_key",
    "users_email_key",
    "users_pkey",
    "verify_emails_intent_id_idx",
    "verify_emails_pkey",
    "verify_emails_username_idx",
    "webhook_deliveries",
    "webhook_deliveries_deadline_idx",
    "webhook_deliveries_due_idx",
    "webhook_deliveries_pkey",
    "webhook_deliveries_username_idx",
    "webhooks",
    "webhooks_pkey",
];

/// Functions that the migrations make, with the types of their arguments.
pub(super) const FUNCTIONS: [&str; 11] = [
    "audit_users()",
    "canonical_email(text)",
    "count_intents()",
    "end_link_of_settled_intent()",
    "fill_email_canonical()",
    "forget_deleted_user()",
    "keep_audit()",
    "owe_webhooks_of_mail()",
    "owe_webhooks_of_user()",
    "stamp_email_intent()",
    "void_changed_address()",
];
