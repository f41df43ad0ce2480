//! Makes the Rust code of the messages and services; needs `protoc` on the path.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .compile_protos(&["proto/peer.proto", "proto/join.proto"], &["proto"])
}
