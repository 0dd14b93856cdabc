//! Compiles `proto/simplebank.proto` without `protoc`.
//!
//! Takes: the proto file. Gives: the Rust messages and server trait, and the descriptor that reflection serves.
//! Does not: build a client; tests use clients of another language.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/simplebank.proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_file("simplebank.proto")?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts")?);
    fs::write(out_dir.join("simplebank.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_client(false)
        // These hold a password, a secret code or a token: nothing may print them by accident.
        .skip_debug([
            "pb.CreateUserRequest",
            "pb.VerifyEmailRequest",
            "pb.VerifyCodeRequest",
            "pb.CorrectEmailRequest",
            "pb.GetDeliveryStateRequest",
        ])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
