//! The pages of docs/ that are generated from code, and what has to hold between pages and code.
//!
//! `UPDATE_GOLDEN=1 cargo test -p operator --test docs` writes the pages.

#[path = "docs/conditions.rs"]
mod conditions;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/reference.rs"]
mod reference;
#[path = "docs/sources.rs"]
mod sources;

use std::path::Path;

/// Compares a page with what was generated, or writes it.
fn assert_page(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, generated).expect("the page can be written");
    }
    let page = std::fs::read_to_string(&path).expect("the page is there");
    assert!(page == generated, "docs/{name} says something else than the code; `make generate` writes it anew");
}

#[test]
fn the_reference_of_the_resource_says_what_the_definition_says() {
    assert_page("resource-reference.md", &reference::page());
}

#[test]
fn the_page_about_conditions_says_what_the_table_in_code_says() {
    assert_page("conditions.md", &conditions::page());
}

#[test]
fn every_reason_and_condition_that_the_code_uses_is_on_the_page_and_no_other() {
    let page = conditions::page();
    let used = sources::used_constants();
    let known = sources::declared_constants();
    assert!(used.len() > 30, "the sources are where they were: {used:?}");
    let names =
        |constants: &[(String, String)]| constants.iter().map(|(constant, _)| constant.clone()).collect::<Vec<_>>();
    let unknown: Vec<&String> = used.iter().filter(|constant| !names(&known).contains(constant)).collect();
    assert!(unknown.is_empty(), "used, and not in the table of controller/reason.rs: {unknown:?}");
    let unused: Vec<String> = names(&known).into_iter().filter(|constant| !used.contains(constant)).collect();
    assert!(unused.is_empty(), "in the table of controller/reason.rs, and used by nobody: {unused:?}");
    for (constant, name) in &known {
        assert!(page.contains(&format!("| `{name}` |")), "{constant} ({name}) is not on the page");
    }
}

#[test]
fn no_condition_and_no_event_is_named_outside_the_table() {
    assert_eq!(sources::spelled_out(), Vec::<String>::new(), "use a constant of controller/reason.rs");
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there() {
    assert_eq!(pages::broken_links(), Vec::<String>::new());
}

#[test]
fn the_page_about_deploying_sets_values_that_the_charts_have_and_names_metrics_that_are_counted() {
    assert_eq!(pages::unknown_values(), Vec::<String>::new());
    assert_eq!(pages::unknown_metrics(), Vec::<String>::new());
}
