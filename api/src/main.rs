//! The `api` program: reads its flags and runs. Everything else is in the library.

use clap::Parser as _;

/// Gives freed memory back; glibc's allocator keeps argon2's blocks for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(api::run(api::Config::parse()).await?)
}
