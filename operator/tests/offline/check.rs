//! `operator check` as people start it, without a cluster: files, and clusters that are not there.

use std::{path::Path, process::Command};

/// Exit code, standard output, standard error.
fn check(arguments: &[&str], kubeconfig: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("check").args(arguments).env("KUBECONFIG", kubeconfig);
    command.env_remove("KUBERNETES_SERVICE_HOST");
    let done = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name).display().to_string()
}

#[test]
fn both_samples_pass_without_a_cluster() {
    for name in ["minimal.yaml", "production.yaml"] {
        let (code, output, errors) = check(&["-f", &sample(name)], Path::new("/none"));
        assert_eq!(code, Some(0), "{output}{errors}");
        assert!(output.contains("needs it, with uri") && output.contains("0 errors, 0 warnings"), "{output}");
    }
}

#[test]
fn a_bad_file_is_told_field_by_field_as_text_and_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.yaml");
    let text = std::fs::read_to_string(sample("minimal.yaml")).expect("the sample is there");
    std::fs::write(&file, text.replace("spec:\n", "spec:\n  task: {delay: -1s}\n  color: red\n")).expect("a file");
    let file = file.display().to_string();
    let (code, output, _) = check(&["-f", &file], Path::new("/none"));
    assert_eq!(code, Some(1));
    assert!(output.contains("error    spec.color") && output.contains("         Fix: "), "{output}");
    let (code, output, _) = check(&["-f", &file, "--output", "json"], Path::new("/none"));
    let report: serde_json::Value = serde_json::from_str(&output).expect("it is JSON");
    assert_eq!((code, &report["findings"][0]["level"]), (Some(1), &"error".into()), "{report}");
}

#[test]
fn nobody_could_look_is_another_exit_code_than_something_is_wrong() {
    let (code, output, errors) = check(&["-f", "/none.yaml"], Path::new("/none"));
    assert_eq!((code, output.as_str()), (Some(2), ""));
    assert!(errors.contains("failed to read /none.yaml") && errors.contains("Fix:"), "{errors}");
    let (code, _, errors) = check(&[], Path::new("/none"));
    assert_eq!(code, Some(2));
    assert!(errors.contains("failed to find a cluster") && errors.contains("Fix: set KUBECONFIG"), "{errors}");
}

#[test]
fn a_cluster_that_does_not_answer_is_told_as_such() {
    let address = format!("127.0.0.1:{}", servers::free_port().expect("a port at which nobody listens"));
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("kubeconfig");
    let config = serde_json::json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": format!("https://{address}")}}],
        "users": [{"name": "a", "user": {"token": "canary"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]});
    std::fs::write(&kubeconfig, config.to_string()).expect("a file");
    let (code, output, errors) = check(&["demo"], &kubeconfig);
    assert_eq!((code, output.as_str()), (Some(2), ""));
    assert!(errors.contains("cannot look: failed to ask the API server for its version"), "{errors}");
    assert!(
        errors.contains("Fix: see that `kubectl get --raw /version` answers") && !errors.contains("canary"),
        "{errors}"
    );
}

#[test]
fn a_mistake_is_one_line_also_for_whoever_asks_for_backtraces() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    let output = command.args(["render", "-f", "/none.yaml"]).env("RUST_BACKTRACE", "1").output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    let told = "error: failed to read /none.yaml: No such file or directory (os error 2)\n";
    assert_eq!((output.status.code(), text.as_str()), (Some(1), told));
}
