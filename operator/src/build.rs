//! From a validated pipeline to what shall exist: pure steps.
//!
//! Takes: the resource, and decisions that were made elsewhere. Gives: desired objects; the same input gives the same bytes.
//! Does not: do I/O.

pub mod document;
