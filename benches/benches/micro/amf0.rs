//! AMF0 of a `connect` as OBS sends it.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput};
use edgerelay_proto::amf0::{self, Value};
use rml_rtmp::rml_amf0;

use crate::{OURS, RML_RTMP};

pub(crate) fn benches(criterion: &mut Criterion) {
    let values = connect();
    let mut wire = BytesMut::new();
    amf0::encode_all(&values, &mut wire);
    let wire = wire.freeze();
    let theirs = rml_amf0::deserialize(&mut &wire[..]).expect("AMF0");

    let mut group = criterion.benchmark_group("amf0_decode");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function(BenchmarkId::new(OURS, "connect"), |bencher| {
        bencher.iter(|| amf0::decode_all(black_box(&wire)).expect("AMF0"));
    });
    group.bench_function(BenchmarkId::new(RML_RTMP, "connect"), |bencher| {
        bencher.iter(|| rml_amf0::deserialize(&mut black_box(&wire[..])).expect("AMF0"));
    });
    group.finish();

    let mut group = criterion.benchmark_group("amf0_encode");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function(BenchmarkId::new(OURS, "connect"), |bencher| {
        bencher.iter(|| {
            let mut out = BytesMut::new();
            amf0::encode_all(black_box(&values), &mut out);
            out
        });
    });
    group.bench_function(BenchmarkId::new(RML_RTMP, "connect"), |bencher| {
        bencher.iter(|| rml_amf0::serialize(black_box(&theirs)).expect("AMF0"));
    });
    group.finish();
}

/// The command's name, its transaction and its one object.
fn connect() -> Vec<Value> {
    let four_ccs = ["av01", "vp09", "hvc1", "avc1", "Opus", "ac-3", "mp4a"];
    let url = "rtmp://ingest.example.net:1935/live";
    vec![
        Value::string("connect"),
        Value::Number(1.0),
        Value::object([
            ("app", Value::string("live")),
            ("type", Value::string("nonprivate")),
            ("flashVer", Value::string("FMLE/3.0 (compatible; FMSc/1.0)")),
            ("swfUrl", Value::string(url)),
            ("tcUrl", Value::string(url)),
            ("fourCcList", Value::StrictArray(four_ccs.map(Value::string).into())),
            ("capsEx", Value::Number(1.0)),
        ]),
    ]
}
