//! `operator plan --trace` as people start it.

use std::{path::Path, process::Command};

/// Whether it worked, and what it said.
fn plan(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("plan").args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let done = command.env("KUBECONFIG", "/none").env_remove("KUBERNETES_SERVICE_HOST").output().expect("it runs");
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(text).expect("it is text"))
}

#[test]
fn a_recorded_series_is_decided_without_a_cluster() {
    let (is_well, told) = plan(&["-f", "samples/minimal.yaml", "--trace", "samples/series.tsv"]);
    assert!(is_well, "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].starts_with("      60.0 s  1 -> 10  2960 running or due") && lines[0].ends_with("maxReplicas is 10")
    );
    assert!(lines[1].contains("10 -> ") && lines[1].ends_with("more were needed within cooldownPeriod"), "{told}");
    assert!(lines[lines.len() - 2].contains(" -> 1  nothing is due"), "{told}");
    assert!(
        lines[lines.len() - 1].starts_with("300 s: ") && lines[lines.len() - 1].contains(", 1 reversals,"),
        "{told}"
    );
    let (is_well, defaults) = plan(&["--trace", "samples/series.tsv"]);
    assert!(is_well && defaults == told, "{defaults}");
}

#[test]
fn what_is_missing_is_told() {
    for (arguments, expected) in [
        (&["demo"][..], "failed to find a cluster; set KUBECONFIG"),
        (&["--trace", "/none.tsv"], "failed to read /none.tsv"),
        (&["--trace", "samples/minimal.yaml"], "line 3 has 1 fields instead of 8"),
        (&[], "NAME"),
    ] {
        let (is_well, told) = plan(arguments);
        assert!(!is_well && told.contains(expected), "{arguments:?}: {told}");
    }
}
