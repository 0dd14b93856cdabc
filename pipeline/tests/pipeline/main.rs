//! Documents and the processes that follow them, on real files; and URIs of PostgreSQL as libpq reads them.

mod document;
mod libpq;
mod store_secret;
