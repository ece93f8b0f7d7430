//! Records of decisions, read back and decided anew.

use super::*;

/// A day of a node, shortened: from zero to three workers and back, a gap, a reload, a dry run.
const RECORDED: &str = include_str!("recorded.jsonl");

fn day() -> Vec<RecordLine> {
    let mut lines = Vec::new();
    let mut now = 0;
    let mut run = |mut scaler: Scaler, samples: &[Sample]| {
        lines.push(RecordLine::Opening(scaler.opening().clone()));
        for sample in samples {
            now += 10;
            lines.extend(scaler.handle_sample(at(now), *sample).map(RecordLine::Decision));
        }
        scaler.desired()
    };
    let waits = Sample { pending: Some(1), ..streams(1) };
    let carries = Sample { workers: busy(1), ..streams(1) };
    let comes = Sample { workers: busy(1), ..streams(10) };
    let many = Sample { workers: busy(3), ..streams(10) };
    let gap = Sample { streams: None, ..many };
    let samples = [quiet(), waits, carries, comes, many, gap, quiet(), quiet(), quiet(), quiet()];
    let left = run(scaler(ScalingConfig::default(), 0), &samples);
    let left =
        run(scaler(queue_ratio(), left), &[waits, waits, quiet(), quiet(), quiet(), quiet()]);
    let dry_run = ScalingConfig { dry_run: true, ..streams_alone() };
    run(scaler(dry_run, left), &[many, quiet(), Sample::default()]);
    lines
}

fn text(lines: &[RecordLine]) -> String {
    lines.iter().flat_map(|line| [line.to_json(), "\n".to_owned()]).collect()
}

#[test]
fn the_kept_record_is_decided_as_it_was() {
    let replayed = replay(RECORDED.lines()).unwrap();
    assert_eq!(replayed, Replayed { openings: 3, decisions: 19 });
    assert_eq!(text(&day()), RECORDED);
}

#[test]
fn an_altered_record_is_found_out() {
    let altered = |from: &str, to: &str| {
        assert!(RECORDED.contains(from), "{from} is not recorded");
        replay(RECORDED.replacen(from, to, 1).lines()).unwrap_err().to_string()
    };
    let fault = altered("\"desired\":3", "\"desired\":2");
    assert!(fault.contains("decided otherwise: {\"decision\":"), "{fault}");
    let fault = altered("\"streams\":10", "\"streams\":1");
    assert!(fault.contains("decided otherwise"), "{fault}");
    let fault = altered("\"at_micros\":30000000", "\"at_micros\":20000001");
    assert!(fault.ends_with("decided otherwise: not at all"), "{fault}");
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    let fault = |lines: &[&str]| replay(lines.iter().copied()).unwrap_err().to_string();
    assert!(fault(&["", "{}"]).starts_with("line 2: "));
    let decision = RECORDED.lines().nth(1).unwrap();
    assert_eq!(fault(&[decision]), "line 1: a decision before any opening");
    let unknown = decision.replacen("{\"at_micros\"", "{\"extra\":1,\"at_micros\"", 1);
    assert!(fault(&[&unknown]).contains("unknown field `extra`"), "{}", fault(&[&unknown]));
}

#[test]
fn a_scaler_after_a_reload_goes_on_from_where_it_was() {
    let mut before = scaler(streams_alone(), 0);
    watch(&mut before, 0, &[streams(8)]);
    let after = scaler(queue_ratio(), before.desired());
    assert_eq!(after.opening().running, 2);
    assert_eq!(after.desired(), 2);
}
