//! See `edgerelay_proto_fuzz::client_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| edgerelay_proto_fuzz::client_session(data));
