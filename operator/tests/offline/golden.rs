//! Files that are generated and kept in the repository.
//!
//! Takes: the path of a file and its text as it should be. Gives: a test that fails when the two differ, and the file
//! anew when UPDATE_GOLDEN is set, as `make generate` does. Does not: keep them as snapshots of the insta library: the
//! charts, the pages and people read these files, so they hold the text and nothing else.

use std::{env, fs, path::Path};

/// Compares `text` with the file at `path`, below the crate, or writes it.
pub(crate) fn assert_golden(path: &str, text: &str) {
    let is_written = env::var_os("UPDATE_GOLDEN").is_some();
    assert_file(path, text, is_written, "`make generate` writes it anew");
}

/// Compares `text` with the file at `path`, below the crate, and writes it first if `is_written`. `advice` says what to
/// do.
pub(crate) fn assert_file(path: &str, text: &str, is_written: bool, advice: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if is_written {
        fs::write(&file, text).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&file).expect("the golden file is there");
    let line = golden.lines().zip(text.lines()).position(|(golden, text)| golden != text).map(|line| line + 1);
    assert!(golden == text, "{path} is not what the code gives (from line {line:?} on): {advice}");
}
