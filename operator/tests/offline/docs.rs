//! The pages of docs/ that are generated from code, and what has to hold between pages and code.

mod conditions;
mod ownership;
mod pages;
mod reference;
mod sources;

use super::golden::assert_golden;

#[test]
fn the_reference_of_the_resource_says_what_the_definition_says() {
    assert_golden("../docs/resource-reference.md", &reference::page());
}

#[test]
fn the_page_about_conditions_says_what_the_table_in_code_says() {
    assert_golden("../docs/conditions.md", &conditions::page());
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
fn the_page_about_ownership_names_every_field_that_the_operator_sets_and_no_other() {
    assert_eq!(ownership::told(), ownership::set());
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there() {
    assert_eq!(pages::broken_links(), Vec::<String>::new());
}

#[test]
fn the_page_about_deploying_names_every_field_whose_edit_replaces_pods() {
    assert_eq!(pages::unnamed_restarts(), Vec::<String>::new());
}

#[test]
fn the_page_about_deploying_sets_values_that_the_charts_have_and_names_metrics_that_are_counted() {
    assert_eq!(pages::unknown_values(), Vec::<String>::new());
    assert_eq!(pages::unknown_metrics(), Vec::<String>::new());
}

#[test]
fn every_spec_on_the_page_about_deploying_is_valid() {
    let specs = pages::specs();
    assert!(specs.len() >= 4, "the page has some: {specs:?}");
    for spec in specs {
        let changes = serde_yaml::from_str(&spec).expect("the block is YAML");
        let found = operator::manifest::parse(&super::spec_cases::with(changes));
        assert!(found.is_ok(), "{spec}: {found:?}");
    }
}
