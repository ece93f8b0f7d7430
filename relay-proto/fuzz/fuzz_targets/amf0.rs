//! See `edgerelay_proto_fuzz::amf0`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| edgerelay_proto_fuzz::amf0(data));
