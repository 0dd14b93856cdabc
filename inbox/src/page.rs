//! The page and its JSON.
//!
//! Takes: HTTP requests. Gives: `GET /` (a page that follows the mails), `GET /messages.json`, `DELETE /messages`,
//! `GET|POST|DELETE /rules`, `GET /holds`, `POST /holds/{name}/release`.
//! Does not: load anything from elsewhere, or run scripts of a mail (it is shown in a sandboxed frame).

use crate::{message::Message, rules::Rule, server::Server};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::{delete, get, post},
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use tokio::net::TcpListener;

/// Nothing from elsewhere; the page's own style and script are inline. A mail's frame inherits this.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                                       script-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'; \
                                       img-src data:; base-uri 'none'; form-action 'none'";

pub(crate) async fn serve(listener: TcpListener, server: Arc<Server>) {
    let routes = Router::new()
        .route("/", get(page))
        .route("/messages.json", get(messages))
        .route("/messages", delete(clear))
        .route("/rules", get(rules).post(set_rules).delete(clear_rules))
        .route("/holds", get(holds))
        .route("/holds/{name}/release", post(release))
        .layer(DefaultBodyLimit::max(1 << 20))
        .with_state(server);
    // Ends only with the runtime.
    let _ = axum::serve(listener, routes).await;
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)], Html(include_str!("page.html")))
}

/// Which mails to list.
#[derive(Debug, Deserialize)]
struct Selection {
    /// Only mails with a higher id.
    #[serde(default)]
    after: u64,
    /// At most this many, the newest ones.
    limit: Option<usize>,
    /// Only mails to this address.
    to: Option<String>,
}

/// Mails in order of arrival.
async fn messages(State(server): State<Arc<Server>>, Query(selection): Query<Selection>) -> impl IntoResponse {
    let mut messages = server.mailbox.after(selection.after);
    if let Some(address) = &selection.to {
        messages.retain(|message| message.to.iter().any(|to| to.eq_ignore_ascii_case(address)));
    }
    let skipped = messages.len().saturating_sub(selection.limit.unwrap_or(usize::MAX));
    let shown: Vec<&Message> = messages.iter().skip(skipped).map(|message| &**message).collect();
    Json(shown).into_response()
}

async fn clear(State(server): State<Arc<Server>>) -> StatusCode {
    server.mailbox.clear();
    StatusCode::NO_CONTENT
}

async fn rules(State(server): State<Arc<Server>>) -> Json<Vec<Rule>> {
    Json(server.rules.list())
}

/// Replaces all rules.
async fn set_rules(State(server): State<Arc<Server>>, Json(rules): Json<Vec<Rule>>) -> impl IntoResponse {
    match server.set_rules(rules) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(invalid) => (StatusCode::BAD_REQUEST, format!("{invalid}\n")).into_response(),
    }
}

async fn clear_rules(State(server): State<Arc<Server>>) -> StatusCode {
    // An empty list holds no invalid rule.
    let _ = server.set_rules(Vec::new());
    StatusCode::NO_CONTENT
}

async fn holds(State(server): State<Arc<Server>>) -> Json<BTreeMap<String, usize>> {
    Json(server.holds.waiting())
}

async fn release(State(server): State<Arc<Server>>, Path(name): Path<String>) -> StatusCode {
    server.holds.release(&name);
    StatusCode::NO_CONTENT
}
