//! Tests of the inbox as its users meet it: over SMTP, over HTTP and as a program.

mod client;
mod delivery;
mod page;
mod program;
mod protocol;
mod rules;
