//! CONTRIBUTING.md names files and commands that exist.
//!
//! Takes: the page, the Makefile and the repository. Shows: no path and no target of `make` on it is a thing of the
//! past. Does not: run the commands.

use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// What stands between backticks, but for what no shell or folder could know.
fn quoted(page: &str) -> Vec<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_path_on_the_page_exists() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the page");
    let paths: Vec<&str> = quoted(&page).into_iter().filter(|word| word.contains('/') && !word.contains(' ')).collect();
    assert!(paths.len() >= 20, "the page names the files to change: {paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "`{path}` is on the page and not in the repository");
    }
}

#[test]
fn every_make_target_on_the_page_exists() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the page");
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let targets: Vec<&str> = quoted(&page).into_iter().filter_map(|word| word.strip_prefix("make ")).collect();
    assert!(targets.len() >= 6, "the page names the tiers of tests: {targets:?}");
    for target in targets.iter().filter_map(|line| line.split_whitespace().next()) {
        assert!(makefile.contains(&format!("\n{target}:")), "`make {target}` is on the page and not in the Makefile");
    }
}
