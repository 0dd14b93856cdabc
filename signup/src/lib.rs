//! What a signup is: the domain and everything PostgreSQL knows of it. No HTTP, no Redis, no SMTP.
//!
//! A user and the intent to send one verification mail are committed together; from then on the mail is owed until the
//! intent's row says otherwise:
//!
//! ```text
//!   create_user          claim.dispatched          lease            record_sent
//!  ───────────▶ waiting ─────────────────▶ dispatched ─────▶ sending ─────────▶ sent
//!                  ▲                           ▲    ▲          │ │ └──────────▶ refused   record_refused
//!                  │ reset_incarnation ────────┘    └──────────┘ └────────────▶ dead      budget or deadline used up
//!                  │ (Redis lost its data)          record_retry, record_release
//!                  └────────────────────────────── expire_leases (the worker vanished)
//!
//!   any owed state ─────▶ cancelled   user deleted, address changed, already verified, by hand
//!   refused, dead, cancelled by hand ─────▶ waiting   retry_intent
//!                   refused ─────▶ waiting   record_refused of a later mail: the server refuses everybody
//! ```
//!
//! Redis gets the intents (`relay`), but nothing that happens there changes a state: a worker that comes with an id
//! must [`Store::lease`] the row first.
//!
//! What a signup is made of is parsed once, hashed, and only then stored:
//!
//! ```
//! use signup::{EmailAddress, Hashing, Password, Username};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let email = EmailAddress::parse("Alice@Example.com")?;
//! assert_eq!((email.as_str(), email.canonical()), ("Alice@Example.com", "alice@example.com"));
//!
//! let refused = Username::parse("Alice!").expect_err("neither capitals nor marks");
//! assert_eq!(refused.field, "username");
//!
//! let hashing = Hashing::new(1, 16);
//! let hash = hashing.hash(Password::parse("correct horse", 6)?).await?;
//! assert!(hashing.verify(Password::parse("correct horse", 6)?, &hash).await?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! - [`Username`], [`FullName`], [`EmailAddress`], [`Password`]: parsed once, at the edge; refusals are [`Violation`]s
//! - [`password`]: hashing of passwords, within bounds
//! - [`intent`]: [`Intent`], its [`State`] and the [`Policy`] copied into it
//! - [`verification`]: [`Keys`] and the derived codes; [`link`]: how they travel in a mail
//! - [`Language`]: what mails and pages are written in
//! - [`DeliveryState`]: what whoever signed up may know of the mail, by a [`DeliveryToken`]
//! - [`task`]: the payload that travels through Redis
//! - [`store`]: every SQL statement, one function per query
//! - [`GroupCommit`]: signups that come close together, in one transaction; `batch`: leases and sent mails that come at
//!   once, in one statement

mod batch;
mod delivery;
mod email_address;
mod full_name;
mod group_commit;
pub mod intent;
mod language;
pub mod link;
pub mod password;
mod reserved;
pub mod store;
pub mod task;
mod username;
pub mod verification;
mod violation;

pub use delivery::{Account, DeliveryState, DeliveryToken, UnknownDeliveryState};
pub use email_address::{EmailAddress, mask};
pub use full_name::FullName;
pub use group_commit::GroupCommit;
pub use intent::{Intent, Kind, Policy, State};
pub use language::{Language, Locale};
pub use password::{HashError, Hashing, Password};
pub use store::{
    Admission, Answered, AskError, AskedOnce, Change, Claim, Claimant, CorrectionError, Counts, CreateError, Created,
    Deleted, Deletion, Delivery, DeliveryEnd, Filter, Ground, IntentFor, IntentRecord, Keyed, LeaseOutcome, Leased,
    LinkStanding, NewUser, Once, Pace, RecordError, Refusal, RefusalOutcome, RetryOutcome, Step, Store, StoreError,
    User, VerifyError,
};
pub use username::Username;
pub use verification::{Code, Digits, Keys};
pub use violation::Violation;
