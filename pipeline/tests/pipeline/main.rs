//! Documents and the processes that follow them, on real files.

mod document;
