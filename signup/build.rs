//! Rebuilds the crate when a migration is added: `sqlx::migrate!` embeds the files, and cargo does not see them.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
