//! How a program ends that cannot do what it was asked.
//!
//! Takes: the result of the program. Gives: one line on standard error with every cause, and the exit code. Does not:
//! print a backtrace. A wrong flag, file or value is the user's to mend, and says where; panics print their own.

use std::{error::Error, process::ExitCode};

/// The exit code of a program; 1 for an error, which is printed with its causes.
pub fn code<E: Into<Box<dyn Error>>>(ended: Result<ExitCode, E>) -> ExitCode {
    ended.unwrap_or_else(|error| {
        eprintln!("error: {}", pipeline::chain(&*error.into()));
        ExitCode::FAILURE
    })
}
