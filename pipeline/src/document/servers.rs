//! The servers that a pipeline uses: PostgreSQL, Redis, SMTP.
//!
//! Takes and gives: their sections of the document. Does not: connect to any.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;


