//! Compiles `proto/simplebank.proto` without `protoc`.
//!
//! Takes: the proto file. Gives: the Rust messages and server trait, and the descriptor that reflection serves.
//! Does not: build a client; tests use clients of another language.

use std::{env, error::Error, fs, path::PathBuf};
use tonic_prost_build::Builder;

/// The messages that HTTP knows.
const MESSAGES: [&str; 12] = [
    "pb.User",
    "pb.CreateUserRequest",
    "pb.CreateUserResponse",
    "pb.VerifyEmailRequest",
    "pb.VerifyEmailResponse",
    "pb.VerifyCodeRequest",
    "pb.VerifyCodeResponse",
    "pb.ResendVerificationRequest",
    "pb.ResendVerificationResponse",
    "pb.CorrectEmailRequest",
    "pb.CorrectEmailResponse",
    "pb.GetDeliveryStateResponse",
];

/// What their fields hold.
const FIELDS: [(&str, &str); 18] = [
    ("pb.User.password_changed_at", "#[schema(value_type = String, format = DateTime)]"),
    ("pb.User.created_at", "#[schema(value_type = String, format = DateTime)]"),
    ("pb.CreateUserRequest.username", "#[schema(min_length = 3, max_length = 100, pattern = \"^[a-z0-9_]+$\")]"),
    ("pb.CreateUserRequest.full_name", "#[schema(min_length = 1, max_length = 100)]"),
    ("pb.CreateUserRequest.email", "#[schema(format = Email, min_length = 3, max_length = 200)]"),
    ("pb.CreateUserRequest.password", "#[schema(format = Password, min_length = 6, max_length = 128)]"),
    ("pb.CreateUserRequest.locale", "#[schema(required = false, max_length = 35)]"),
    ("pb.CreateUserResponse.user", "#[schema(value_type = User)]"),
    ("pb.VerifyEmailRequest.email_id", "#[schema(minimum = 1)] #[param(minimum = 1)]"),
    (
        "pb.VerifyEmailRequest.secret_code",
        "#[schema(min_length = 32, max_length = 128)] #[param(min_length = 32, max_length = 128)]",
    ),
    ("pb.VerifyCodeRequest.username", "#[schema(min_length = 3, max_length = 100, pattern = \"^[a-z0-9_]+$\")]"),
    ("pb.VerifyCodeRequest.code", "#[schema(pattern = \"^[ -]*([0-9][ -]*){6}$\")]"),
    ("pb.ResendVerificationRequest.email", "#[schema(format = Email, min_length = 3, max_length = 200)]"),
    ("pb.CorrectEmailRequest.username", "#[schema(min_length = 3, max_length = 100, pattern = \"^[a-z0-9_]+$\")]"),
    ("pb.CorrectEmailRequest.password", "#[schema(format = Password, min_length = 1, max_length = 128)]"),
    ("pb.CorrectEmailRequest.email", "#[schema(format = Email, min_length = 3, max_length = 200)]"),
    ("pb.GetDeliveryStateResponse.state", "#[schema(pattern = \"^(queued|sent|refused|failed|verified)$\")]"),
    ("pb.CorrectEmailResponse.user", "#[schema(value_type = User)]"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/simplebank.proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_file("simplebank.proto")?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts")?);
    fs::write(out_dir.join("simplebank.bin"), compiler.encode_file_descriptor_set())?;
    let builder = tonic_prost_build::configure().build_client(false);
    described(builder)
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

/// With what OpenAPI is told about the messages, beyond names and comments: rules that hold under every configuration.
fn described(mut builder: Builder) -> Builder {
    for message in MESSAGES {
        builder = builder.type_attribute(message, "#[derive(utoipa::ToSchema)]");
    }
    builder = builder.type_attribute("pb.VerifyEmailRequest", "#[derive(utoipa::IntoParams)]");
    builder = builder.type_attribute("pb.VerifyEmailRequest", "#[into_params(parameter_in = Query)]");
    for (field, attribute) in FIELDS {
        builder = builder.field_attribute(field, attribute);
    }
    builder
}
