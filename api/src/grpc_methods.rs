//! The methods of the gRPC interface.
//!
//! Gives: their description, for reflection, and their names as labels of metrics. Does not: answer them; that is
//! [`crate::grpc`].

/// The descriptor of `proto/simplebank.proto` and its imports, made by the build script.
pub(crate) const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/simplebank.bin"));

/// The label of a method, from a closed set: clients choose paths, and each label value costs memory.
pub(crate) fn label(path: &str) -> &'static str {
    match path {
        "/pb.SimpleBank/CreateUser" => "CreateUser",
        "/pb.SimpleBank/VerifyEmail" => "VerifyEmail",
        "/pb.SimpleBank/VerifyCode" => "VerifyCode",
        "/pb.SimpleBank/ResendVerification" => "ResendVerification",
        "/pb.SimpleBank/CorrectEmail" => "CorrectEmail",
        "/pb.SimpleBank/GetDeliveryState" => "GetDeliveryState",
        "/grpc.health.v1.Health/Check" | "/grpc.health.v1.Health/Watch" => "Health",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn every_method_of_the_proto_file_has_its_own_label() {
        let files = prost_types::FileDescriptorSet::decode(DESCRIPTOR).expect("our own descriptor");
        let services = files.file.iter().filter(|file| file.package() == "pb").flat_map(|file| &file.service);
        let methods: Vec<_> = services.flat_map(|service| &service.method).map(|method| method.name()).collect();
        assert_eq!(methods.len(), 6);
        for method in methods {
            assert_eq!(label(&format!("/pb.SimpleBank/{method}")), method);
        }
        assert_eq!(label("/pb.SimpleBank/Nonsense"), "other");
    }
}
