//! What must hold of a whole pipeline, whatever breaks: the real programs, with faults from outside.
//!
//! Each test has a pipeline of its own. After each the checker joins what clients were told, what is stored and what
//! the mail server wrote down: nothing lost, no mail to nobody, none early, copies within the stated bound and
//! identical, no secret in any output. I1 to I10 are the invariants of docs/architecture.md.

mod canary;
mod config;
mod fleet;
mod kills;
mod mail;
mod neighbour;
mod networks;
mod postgres;
mod redis;
mod thread;
mod two_pipelines;
