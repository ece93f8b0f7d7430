//! See `edgerelay_proto_fuzz::chunk_decoder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| edgerelay_proto_fuzz::chunk_decoder(data));
