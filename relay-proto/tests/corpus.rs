//! Replays the committed fuzz corpora through what the fuzz targets check.

#[path = "../fuzz/src/entry/mod.rs"]
pub mod entry;

use std::fs;
use std::path::Path;

/// Runs `check` on every file of a target's corpus.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).expect("the corpus is committed");
    let mut replayed = 0;
    for file in files {
        let path = file.expect("readable").path();
        // Named first, so that a failure says which file.
        println!("{}", path.display());
        check(&fs::read(&path).expect("readable"));
        replayed += 1;
    }
    assert!(replayed >= 10, "{target}: only {replayed} files");
}

#[test]
fn the_handshake_corpus_passes() {
    replay("handshake", entry::handshake);
}

#[test]
fn the_chunk_decoder_corpus_passes() {
    replay("chunk_decoder", entry::chunk_decoder);
}

#[test]
fn the_amf0_corpus_passes() {
    replay("amf0", entry::amf0);
}

#[test]
fn the_server_session_corpus_passes() {
    replay("server_session", entry::server_session);
}

#[test]
fn the_client_session_corpus_passes() {
    replay("client_session", entry::client_session);
}
