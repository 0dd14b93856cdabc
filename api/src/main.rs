//! The `api` program: reads its flags and runs. Everything else is in the library.

use api::StartError;
use clap::Parser as _;
use std::process::ExitCode;

/// Gives freed memory back; glibc's allocator keeps argon2's blocks for ever.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Cores per thread of the runtime. A hash takes a core 14 ms on a thread of its own, everything else of a signup less
/// than 1 ms; more threads than needed only wake each other up.
const CORES_PER_THREAD: usize = 4;

fn main() -> ExitCode {
    lifecycle::exit::code(start())
}

fn start() -> Result<ExitCode, StartError> {
    // Fails only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = api::Config::parse();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.div_ceil(CORES_PER_THREAD);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.map_err(StartError::Runtime)?.block_on(api::run(config))?;
    Ok(ExitCode::SUCCESS)
}
