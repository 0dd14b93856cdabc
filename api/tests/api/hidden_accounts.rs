//! `signup.hideExistingAccounts`: what somebody who does not read the mailbox of an address can find out about it.

use crate::{
    grpc::{call, create},
    harness::{CANARY, Setup, TestApi, client::form},
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One request of a sequence.
#[derive(Debug, Clone, Copy)]
struct Step {
    name: char,
    is_taken: bool,
}

const STEPS: [Step; 4] = [
    Step { name: 'a', is_taken: false },
    Step { name: 'a', is_taken: true },
    Step { name: 'b', is_taken: false },
    Step { name: 'b', is_taken: true },
];

/// All sequences of one to `longest` requests.
fn sequences(longest: usize) -> Vec<Vec<Step>> {
    let mut all = vec![vec![]];
    let mut longer = all.clone();
    for _ in 0..longest {
        longer = longer
            .iter()
            .flat_map(|sequence| STEPS.map(|step| [sequence.as_slice(), &[step]].concat()))
            .collect::<Vec<_>>();
        all.extend(longer.clone());
    }
    all.split_off(1)
}

impl Step {
    /// The request in the sequence of that number. All its free requests have one address, so that the second one meets
    /// the first; letter case changes from step to step.
    fn form(self, sequence: usize, position: usize) -> Value {
        let mut form = form(&format!("{}_{sequence}", self.name));
        let local = if self.is_taken { "holder".to_owned() } else { format!("new{sequence}") };
        let local = if position % 2 == 1 { local.to_uppercase() } else { local };
        form["email"] = format!("{local}@{CANARY}.test").into();
        form
    }
}

/// The reference: what a request is answered, as a function of what its sender sent before. No word of addresses.
fn expected(names_sent: &mut BTreeSet<String>, form: &Value) -> Value {
    let name = form["username"].as_str().expect("a name").to_owned();
    if !names_sent.insert(name) {
        return json!({"code": 6, "message": "username already exists"});
    }
    json!({"user": {
        "username": form["username"], "full_name": form["full_name"], "email": form["email"],
        "password_changed_at": "0001-01-01T00:00:00Z",
    }})
}

pub(crate) fn without_time(mut answer: Value) -> Value {
    if let Some(user) = answer.get_mut("user").and_then(Value::as_object_mut) {
        user.remove("created_at").expect("every user has one");
    }
    answer
}

pub(crate) async fn hiding() -> TestApi {
    let setup = Setup::new().with(|document| document.signup.hide_existing_accounts = true);
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("holder").await.status, 200);
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sequence_of_requests_is_answered_by_names_alone() {
    let api = &hiding().await;
    let sequences: Vec<(usize, Vec<Step>)> = sequences(3).into_iter().enumerate().collect();
    // No more at once than a busy machine hashes within the second that a signup may wait for it.
    for some in sequences.chunks(4) {
        join_all(some.iter().map(async |(number, sequence)| {
            let mut names = BTreeSet::new();
            for (position, step) in sequence.iter().enumerate() {
                let form = step.form(*number, position);
                let answer = api.post(form.to_string()).await;
                let body = without_time(answer.json());
                assert_eq!(body, expected(&mut names, &form), "{sequence:?} at {position}");
                assert_eq!(answer.status, if body.get("user").is_some() { 200 } else { 409 });
            }
        }))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sequence_of_calls_is_answered_by_names_alone() {
    let api = hiding().await;
    for (number, sequence) in sequences(2).into_iter().enumerate() {
        let forms: Vec<Value> =
            sequence.iter().enumerate().map(|(position, step)| step.form(number, position)).collect();
        let calls: Vec<Value> = forms.iter().map(create).collect();
        let mut names = BTreeSet::new();
        for (answer, form) in call(&api, &calls).into_iter().zip(&forms) {
            let expected = expected(&mut names, form);
            let body = if answer["code"] == 0 { &answer["response"] } else { &answer };
            for field in ["username", "full_name", "email"] {
                assert_eq!(body["user"][field], expected["user"][field], "{sequence:?}: {answer}");
            }
            assert_eq!(body["message"], expected["message"], "{sequence:?}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_are_answered_by_names_alone() {
    let api = &hiding().await;
    for round in 0..5 {
        for (one, other) in [(0, 2), (1, 3), (0, 1), (0, 0), (1, 1)] {
            let number = round * 100 + one * 10 + other;
            let forms = [STEPS[one], STEPS[other]].map(|step| step.form(number, 0).to_string());
            let mut statuses: Vec<u16> =
                join_all(forms.map(|form| api.post(form))).await.iter().map(|answer| answer.status).collect();
            statuses.sort_unstable();
            let is_one_name = STEPS[one].name == STEPS[other].name;
            assert_eq!(statuses, if is_one_name { [200, 409] } else { [200, 200] }, "{one} and {other}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_in_the_answer_is_that_of_the_transaction_either_way() {
    let api = hiding().await;
    for (number, step) in STEPS.into_iter().enumerate() {
        let form = step.form(number, 0);
        let answer = api.post(form.to_string()).await.json();
        let (name, created_at) = (form["username"].as_str(), answer["user"]["created_at"].as_str());
        let (name, created_at) = (name.expect("a name"), created_at.expect("a time"));
        let stored = api.sql(&format!("SELECT created_at = '{created_at}' FROM users WHERE username = '{name}'"));
        assert_eq!(stored, "t", "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_queue_and_database_afterwards_is_the_same_either_way() {
    let api = hiding().await;
    let mut shown = BTreeSet::new();
    for (name, address) in [("hidden", "holder"), ("free", "another")] {
        let mut form = form(name);
        form["email"] = format!("{address}@{CANARY}.test").into();
        assert_eq!(api.post(form.to_string()).await.status, 200);
        let row = format!(
            "SELECT users.is_email_verified, users.password_changed_at, intent.state, intent.generation, intent.delay,
                    code.expired_at, code.is_used, users.created_at = intent.created_at, length(code.id::text)
             FROM users JOIN email_intents AS intent USING (username)
                 JOIN verify_emails AS code ON code.intent_id = intent.id
             WHERE users.username = '{name}' AND intent.state <> 'waiting'"
        );
        api.until("handed to Redis", async || !api.sql(&row).is_empty()).await;
        shown.insert(api.sql(&row));
    }
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(api.sql("SELECT string_agg(username, ' ') FROM users WHERE is_hidden"), "hidden");
}
