//! The definition's schema and rules as the API server applies them: the same cases as the validator of files is held
//! to.

use super::{api_server::client, spec_cases};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use operator::crd::SignupPipeline;
use serde_json::{Value, json};

/// What the API server would answer to `kubectl apply --dry-run=server`.
pub(crate) async fn dry_run(client: &Client, document: &str) -> Result<(), String> {
    let document: Value = serde_json::from_str(document).expect("the cases are JSON");
    let resource = kube::api::ApiResource::erase::<SignupPipeline>(&());
    let pipelines: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let params = PatchParams { dry_run: true, ..PatchParams::apply("test").force().validation_strict() };
    match pipelines.patch(&name, &params, &Patch::Apply(&document)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("the API server does not answer: {error}"),
    }
}

async fn assert_refused(client: &Client, document: String, message: &str) {
    let answer = dry_run(client, &document).await.expect_err(&document);
    assert!(answer.contains(message), "{document}: {answer}");
}

async fn assert_accepted(client: &Client, document: String) {
    assert_eq!(dry_run(client, &document).await, Ok(()), "{document}");
}

#[tokio::test]
async fn the_api_server_refuses_by_each_rule_over_several_fields_with_our_message_and_lets_pass_beside_it() {
    let client = client().await;
    for (refused, message, accepted) in spec_cases::rules() {
        assert_refused(&client, spec_cases::spec(refused), message).await;
        assert_accepted(&client, spec_cases::spec(accepted)).await;
    }
}

#[tokio::test]
async fn the_api_server_refuses_malformed_texts_with_our_message_and_accepts_those_at_the_edge() {
    let client = client().await;
    for (refused, message) in spec_cases::malformed() {
        assert_refused(&client, spec_cases::spec(refused), message).await;
    }
    for accepted in spec_cases::well_formed() {
        assert_accepted(&client, spec_cases::spec(accepted)).await;
    }
}

#[tokio::test]
async fn the_api_server_refuses_a_name_of_41_characters_with_our_message_and_accepts_one_of_40() {
    let client = client().await;
    let named = |length| spec_cases::with(json!({"metadata": {"name": "a".repeat(length)}}));
    assert_refused(&client, named(41), "40 characters at most").await;
    assert_accepted(&client, named(40)).await;
}

#[tokio::test]
async fn the_api_server_refuses_what_the_validator_of_files_finds_structurally_wrong() {
    let client = client().await;
    for (refused, _) in spec_cases::structural() {
        let document = spec_cases::spec(refused);
        assert!(dry_run(&client, &document).await.is_err(), "{document}");
    }
}

/// What `kubectl explain` reads.
#[tokio::test]
async fn the_api_server_publishes_a_description_of_every_field() {
    let client = client().await;
    let request = kube::core::request::Request::new("/openapi/v3/apis/signup.dev");
    let request = request.get("v1alpha1", &Default::default()).expect("a request");
    let document: Value = client.request(request).await.expect("the API server answers");
    let schema = &document["components"]["schemas"]["dev.signup.v1alpha1.SignupPipeline"];
    let mut fields = 0;
    for part in ["spec", "status"] {
        assert_described(&schema["properties"][part], part, &mut fields);
    }
    assert!(fields > 100, "{fields} fields");
}

fn assert_described(schema: &Value, path: &str, fields: &mut u32) {
    *fields += 1;
    assert!(path.ends_with("[]") || schema["description"].is_string(), "{path} has no description");
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        assert_described(field, &format!("{path}.{name}"), fields);
    }
    if schema["items"].is_object() {
        assert_described(&schema["items"], &format!("{path}[]"), fields);
    }
}
