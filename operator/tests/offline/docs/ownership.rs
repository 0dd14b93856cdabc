//! docs/ownership.md says of each kind which fields are the operator's; here they are those that it sets.

use operator::{
    build::{self, Inputs, child::Kind},
    manifest,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const MINIMAL: &str = include_str!("../../../../samples/minimal.yaml");
const PRODUCTION: &str = include_str!("../../../../samples/production.yaml");

type Fields = BTreeMap<String, BTreeSet<String>>;

/// Fields of every kind, those of `spec` one by one.
pub(crate) fn set() -> Fields {
    let route = "spec:\n  api: {autoscaling: {mode: Auto}}\n  observability: {podMonitor: true}\n  \
        expose: {host: a.example.com, gateway: {parentRefs: [{name: edge}]}}\n";
    let tls = "spec:\n  expose: {host: a.example.com, ingress: {className: contour, tlsSecretName: tls}}\n";
    let texts = [MINIMAL.replace("spec:\n", tls), PRODUCTION.to_owned(), MINIMAL.replace("spec:\n", route)];
    let mut set = Fields::new();
    for text in texts {
        let pipeline = manifest::parse(&text).expect("it is valid").pipeline;
        for child in build::children(&pipeline, &Inputs::default()).expect("it can be built") {
            let fields = set.entry(child.kind.resource().kind).or_default();
            for (name, value) in child.object.data.as_object().expect("an object") {
                match value {
                    Value::Object(inner) if name == "spec" => {
                        fields.extend(inner.keys().map(|inner| format!("spec.{inner}")));
                    }
                    _ => drop(fields.insert(name.clone())),
                }
            }
        }
    }
    assert_eq!(set.len(), Kind::ALL.iter().filter(|kind| kind.is_made()).count(), "{:?}", set.keys());
    set
}

/// The same as the page has it: what stands in backticks in the second column and is a path.
pub(crate) fn told() -> Fields {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ownership.md");
    let page = fs::read_to_string(page).expect("it is there");
    let rows =
        page.lines().skip_while(|line| !line.starts_with("| kind")).skip(2).take_while(|line| line.starts_with('|'));
    let row = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let is_path = |text: &String| !text.starts_with(char::is_uppercase);
        (quoted(cells[1]).remove(0), quoted(cells[2]).into_iter().filter(is_path).collect())
    };
    rows.map(row).collect()
}
