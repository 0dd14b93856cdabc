//! Programs that nobody here wrote, and that know the interfaces from their descriptions alone.

use crate::harness::{CANARY, TestApi};
use servers::{node, npm_program, tools};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs a program that is to end well, beside the one under test; gives what it printed.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || {
        let output = command.output();
        output.unwrap_or_else(|error| panic!("{command:?} is installed by `make setup`: {error}"))
    });
    let output = output.await.expect("it does not panic");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    printed
}

/// As in the Go program, 501 is the answer to a method that a path does not know, and to a POST that is no form where a
/// form is read; those who ask for the second find it described.
const SCHEMATHESIS: &str = "phases.coverage.unexpected-methods = []
checks.not_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 501]
";

/// By values that the description allows and by ones that it does not. Which of these are refused is not asked about,
/// for unknown fields and null are read as absent.
#[tokio::test]
async fn schemathesis_finds_no_answer_that_is_not_described_and_no_defect() {
    let api = TestApi::spawn().await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("schemathesis.toml"), SCHEMATHESIS).expect("a file");
    let mut command = Command::new(tools().join("schemathesis/bin/schemathesis"));
    command.args(["run", &format!("http://{}/openapi.json", api.http), "--no-color", "--generation-deterministic"]);
    command.args(["--max-examples", "40", "--warnings", "off", "--continue-on-failure"]);
    command.args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"]);
    command.args(["--checks", "response_headers_conformance,response_schema_conformance"]);
    command.current_dir(folder.path());
    let printed = run(command).await;
    assert!(printed.contains("7 selected / 7 total"), "{printed}");
}

#[tokio::test]
async fn a_generated_typescript_client_signs_up_and_verifies() {
    let api = TestApi::spawn().await;
    // Below the packages, where they are looked for.
    let folder = tempfile::tempdir_in(tools().join("browser")).expect("a folder");
    std::fs::copy(in_repository("tests/browser/client.mts"), folder.path().join("client.mts")).expect("a copy");
    let mut generate = npm_program("openapi-typescript");
    generate.arg(in_repository("docs/openapi.json")).arg("-o").arg(folder.path().join("schema.d.ts"));
    run(generate).await;
    let mut compile = npm_program("tsc");
    compile.args(["--strict", "--module", "nodenext", "--target", "es2023", "--skipLibCheck", "client.mts"]);
    compile.current_dir(folder.path());
    run(compile).await;
    let client = async |arguments: &[&str]| {
        let mut client = node();
        client.arg(folder.path().join("client.mjs")).arg(format!("http://{}", api.http)).args(arguments);
        run(client).await.trim_end().to_owned()
    };

    let (address, password) = (format!("alice@{CANARY}.test"), format!("{CANARY} secret"));
    let short = client(&["signup", "alice", &address, "short"]).await;
    assert_eq!(short, "password must contain from 6-128 characters");
    let created = client(&["signup", "alice", &address, &password]).await;
    assert!(created.starts_with("created alice at 20"), "{created}");
    assert_eq!(client(&["signup", "alice", &address, &password]).await, "username already exists");
    assert_eq!(client(&["verify", "alice", "nothing"]).await, "3 invalid parameters");
    assert_eq!(client(&["verify", "alice", &api.digits("alice")]).await, "verified true");
}

/// With the exceptions that the Go program's clients ask for; api/proto/buf.yaml says why.
#[tokio::test]
async fn buf_has_nothing_against_the_proto_file() {
    let mut lint = npm_program("buf");
    lint.arg("lint").current_dir(in_repository("api/proto"));
    run(lint).await;
}
