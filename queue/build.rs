//! Compiles `proto/asynq.proto` to Rust without a `protoc` binary.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/asynq.proto");
    let descriptors = protox::compile(["proto/asynq.proto"], ["proto"])?;
    prost_build::Config::new().btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
