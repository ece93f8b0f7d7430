//! See `edgerelay_proto_fuzz::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| edgerelay_proto_fuzz::handshake(data));
