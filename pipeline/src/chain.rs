//! An error and its causes in one line.
//!
//! Takes: an error. Gives: its text and the text of each cause, joined by `: `, each once: many errors repeat their
//! cause in their own text and offer it as a source as well. Does not: remove secrets; the errors themselves hold none.

use std::error::Error;

/// The error and its causes from the outermost to the innermost. A cause that the text before it already holds is left
/// out.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with the texts of itself and its causes.
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Chained {
        text: &'static str,
        source: Option<Box<Chained>>,
    }

    fn line(texts: &[&'static str]) -> String {
        let chained = texts.iter().rev().fold(None, |source, text| Some(Box::new(Chained { text, source })));
        chain(&*chained.expect("a text"))
    }

    #[test]
    fn each_cause_stands_in_the_line_once() {
        let denied = "permission denied for schema public";
        let returned = "error returned from database: permission denied for schema public";
        let migrating = "while executing migrations: error returned from database: permission denied for schema public";
        assert_eq!(
            line(&["failed to apply the database schema", migrating, returned, denied]),
            format!("failed to apply the database schema: {migrating}"),
        );
    }

    #[test]
    fn causes_that_say_something_new_are_all_named_in_their_order() {
        assert_eq!(line(&["no file"]), "no file");
        assert_eq!(line(&["a", "b", "b", "c"]), "a: b: c");
    }
}
