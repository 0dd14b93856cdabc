//! Names of pipelines: whatever the definition takes gives children that the API server takes.

use super::{
    api_server::client,
    operator_run::Run,
    rules::dry_run,
    security::{children, take},
    spec_cases,
};
use operator::{build::key_secret, manifest};
use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::json;

const PRODUCTION: &str = include_str!("../../../samples/production.yaml");

/// Names of the kind that people write, and others, each a few times; the same at each run.
fn names() -> Vec<String> {
    let strategies = [
        "[a-z]([-a-z0-9]{0,38}[a-z0-9])?",
        "[a-z0-9]{1,3}([.-][a-z0-9]{1,4}){0,3}",
        "[a-zA-Z0-9_]{1,8}",
        "[a-z]-{1,3}[a-z0-9]?",
        "[a-z]{40,41}",
        "[0-9]{1,4}[a-z]{0,3}",
    ];
    let mut runner = TestRunner::deterministic();
    let mut names = Vec::new();
    for strategy in strategies {
        for _ in 0..8 {
            let strategy = proptest::string::string_regex(strategy).expect("a pattern");
            names.push(strategy.new_tree(&mut runner).expect("a name").current());
        }
    }
    names
}

#[tokio::test]
async fn every_name_that_the_definition_takes_gives_children_that_the_api_server_takes() {
    let run = Run::new().await;
    let mut taken = 0;
    let label = regex::Regex::new("^[a-z][-a-z0-9]{0,62}$").expect("a pattern");
    for name in names() {
        let document = spec_cases::with(json!({"metadata": {"name": name}}));
        let answer = dry_run(&run.client, &document).await;
        assert_eq!(answer.is_ok(), manifest::parse(&document).is_ok(), "{name}: {answer:?}");
        if answer.is_err() {
            continue;
        }
        taken += 1;
        let text = PRODUCTION.replace("name: signup\n", &format!("name: {name:?}\n"));
        let mut pipeline = manifest::parse(&text).expect("it is valid").pipeline;
        pipeline.metadata.namespace = Some(run.namespace.clone());
        for child in children(&run, &text) {
            let name = child.name();
            assert!(label.is_match(name), "{name}");
            take(&run, &child).await;
        }
        let keys = key_secret::build(&pipeline, [0; 32]);
        let params = kube::api::PostParams { dry_run: true, ..Default::default() };
        run.api().create(&params, &keys).await.expect("the Secret with the keys is accepted");
    }
    assert!(taken >= 15, "{taken} of them were taken");
}

#[tokio::test]
async fn a_name_that_cannot_work_is_refused_with_what_to_write_instead() {
    let client = client().await;
    for name in ["shop.eu", "1shop", "shop.1", "2"] {
        let document = spec_cases::with(json!({"metadata": {"name": name}}));
        let refusal = dry_run(&client, &document).await.expect_err(name);
        assert!(refusal.contains("must begin with a letter and hold only a-z, 0-9 and -"), "{refusal}");
        let problems = manifest::parse(&document).expect_err(name).to_string();
        assert!(problems.contains("write shop-eu instead of shop.eu, and shop-1 instead of 1shop"), "{problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
}
