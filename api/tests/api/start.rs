//! A program that cannot start says which flag, field or file is wrong.

use crate::harness::{Setup, TestApi, client::read_to_end};
use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

/// Runs the program to its end.
fn run(folder: &Path, arguments: &[String], change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command.args(arguments).current_dir(folder).env_remove("HTTP_ADDR");
    change(&mut command);
    command.output().expect("the program runs")
}

/// What it says when one thing is wrong.
fn complaint(wrong: impl FnOnce(&Path, &mut Command)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = Setup::new().write(folder.path());
    let output = run(folder.path(), &arguments, |command| wrong(folder.path(), command));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn a_taken_port_is_named_with_the_flag_and_variable_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let mut arguments = Setup::new().write(folder.path());
    let http = arguments.iter().position(|argument| argument == "--http").expect("a flag") + 1;
    arguments[http] = address.clone();
    let output = run(folder.path(), &arguments, |_| {});
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success() && text.contains(&address) && text.contains("--http or HTTP_ADDR"), "{text}");
}

#[test]
fn files_that_are_missing_or_wrong_are_named() {
    let remove = |folder: &Path, name: &str| std::fs::remove_file(folder.join(name)).expect("a file");
    let write = |folder: &Path, name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    for (said, text) in [
        ("pipeline.yaml", complaint(|folder, _| remove(folder, "pipeline.yaml"))),
        ("is invalid", complaint(|folder, _| write(folder, "pipeline.yaml", "pipeline: [\n"))),
        ("database-uri", complaint(|folder, _| remove(folder, "database-uri"))),
        ("write it like postgres://", complaint(|folder, _| write(folder, "database-uri", "hunter2"))),
        ("redis.uriFile", complaint(|folder, _| write(folder, "redis-uri", "hunter2"))),
        ("keys/current", complaint(|folder, _| remove(folder, "keys/current"))),
        ("at least 32 random bytes", complaint(|folder, _| write(folder, "keys/current", "hunter2"))),
    ] {
        assert!(text.contains(said) && !text.contains("hunter2"), "{said}: {text}");
    }
}

#[test]
fn an_unusable_flag_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &[], |command| {
        command.env("HTTP_ADDR", "localhost");
    });
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.code() == Some(2) && text.contains("--http") && text.contains("localhost"), "{text}");
}

#[test]
fn a_mistake_is_one_line_also_for_whoever_asks_for_backtraces() {
    let text = complaint(|folder, command| {
        std::fs::remove_file(folder.join("pipeline.yaml")).expect("a file");
        command.env("RUST_BACKTRACE", "1");
    });
    let told = text.starts_with("error: failed to load the configuration (--config, CONFIG): failed to read ");
    assert!(told && text.ends_with("No such file or directory (os error 2)\n") && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn a_second_signal_stops_at_once_what_the_first_let_finish() {
    let api = TestApi::spawn().await;
    let mut half = api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{").await;
    assert_eq!(api.get("/nowhere").await.status, 404, "connections are taken in order, so the first one was");
    api.terminate();
    api.until("stopping", async || !api.lines("graceful shutdown HTTP gateway server").is_empty()).await;
    api.terminate();
    api.until("stopped", async || !api.is_running()).await;
    assert_eq!(read_to_end(&mut half).await, "", "given its ten seconds, it would have been answered 408");
}
