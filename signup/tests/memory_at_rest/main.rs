//! What a process keeps of the memory that hashing took, with the allocator of `api`.
//!
//! A test program of its own, because the allocator is the whole program's, and so is the memory that the kernel
//! counts.

use signup::{Hashing, Password};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: usize = 2;

/// KiB of one hash: argon2's `m`.
const BLOCK: u64 = 19 * 1024;

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of every process");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn at_rest_the_system_has_the_memory_of_every_hash_back() {
    let before = resident();
    let hashing = Hashing::new(THREADS, 16);
    let password = || Password::parse("secret", 6).expect("a valid password");
    let hashes = futures::future::join_all((0..8).map(|_| hashing.hash(password()))).await;
    assert!(hashes.iter().all(Result::is_ok), "every password is hashed");
    let full = resident();
    assert!(full > before + BLOCK, "{before} KiB, then {full} KiB: the hashes took memory");
    let given_back = async {
        while resident() > before + BLOCK / 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), given_back).await;
    assert!(in_time.is_ok(), "{before} KiB before, {full} KiB with the hashes, {} KiB at rest", resident());
}
