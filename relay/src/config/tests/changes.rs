//! What differs, what is shown of it, and what a running node takes over.

use std::collections::BTreeSet;

use super::super::effect::EFFECTS;
use super::super::{Change, ConfigSource, Effect, Secrets};
use super::documents::{BOOK, Catalogue};
use super::*;

fn changes(before: &str, after: &str) -> Vec<String> {
    let changes = accepted(before).changes_to(&accepted(after));
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_has_its_effect_and_the_book_says_which() {
    let listed: BTreeSet<_> = EFFECTS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(listed.len(), EFFECTS.len(), "a key is listed twice");
    assert_eq!(listed, Catalogue::new().keys.into_keys().collect::<BTreeSet<_>>());

    for (effect, heading) in [
        (Effect::FromNowOn, "- From then on: "),
        (Effect::Restart, "- After a restart, or an upgrade: "),
    ] {
        let begins = BOOK.find(heading).unwrap_or_else(|| panic!("the book lacks {heading:?}"));
        let paragraph = BOOK[begins..].split("\n- ").next().unwrap();
        let paragraph = paragraph.split("\n\n").next().unwrap();
        let told: BTreeSet<&str> = paragraph.split('`').skip(1).step_by(2).collect();
        // `section.*` stands for the keys of a section that all have the effect.
        let covered = |key: &str| {
            told.contains(key)
                || told.iter().any(|it| it.strip_suffix('*').is_some_and(|it| key.starts_with(it)))
        };
        for (key, own) in EFFECTS {
            assert_eq!(covered(key), *own == effect, "{key} under {heading:?}");
        }
    }
}

#[test]
fn keys_that_need_a_restart_stand_in_no_array_of_tables() {
    for (key, effect) in EFFECTS {
        assert!(!key.starts_with("app.") || *effect != Effect::Restart, "{key}");
    }
}

/// For each key two configurations that differ there.
#[test]
fn a_key_that_needs_a_restart_stays_and_every_other_one_is_taken_over() {
    for (line, key, effect) in [
        ("node.role = \"edge\"", "node.role", Effect::Restart),
        ("rtmp.listen = [\"127.0.0.1:1936\"]", "rtmp.listen", Effect::Restart),
        ("http.listen = []", "http.listen", Effect::Restart),
        ("rtmp.chunk_size = 4096", "rtmp.chunk_size", Effect::Restart),
        ("workers.scaling.poll = \"1s\"", "workers.scaling.poll", Effect::Restart),
        (
            "workers.pipeline.push_url = \"rtmp://h/live\"",
            "workers.pipeline.push_url",
            Effect::Restart,
        ),
        ("log.format = \"json\"", "log.format", Effect::Restart),
        ("log.level = \"debug\"", "log.level", Effect::AtOnce),
        ("node.drain_timeout = \"1s\"", "node.drain_timeout", Effect::AtOnce),
        ("rtmp.connections_max = 5", "rtmp.connections_max", Effect::AtOnce),
        ("rtmp.merge_window = \"20ms\"", "rtmp.merge_window", Effect::AtOnce),
        ("rtmp.zero_copy = \"off\"", "rtmp.zero_copy", Effect::FromNowOn),
    ] {
        let (running, read) = (accepted(""), accepted(line));
        let found = running.changes_to(&read);
        let [Change { key: changed, effect: own, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((changed.as_str(), *own), (key, effect));
        let config = read.within_reach_of(&running);
        let expected = if effect == Effect::Restart { &running } else { &read };
        assert_eq!(config, *expected, "{line}");
    }
}

#[test]
fn nothing_differs_between_a_configuration_and_itself_in_another_order() {
    let one = "[[app]]\nname = \"a\"\npush = [{ url = \"rtmp://h/a/{name}\" }, \
               { url = \"rtmp://i/a/{name}\" }]\n[[app]]\nname = \"b\"\n";
    let other = "[[app]]\nname = \"b\"\n[[app]]\nname = \"a\"\npush = \
                 [{ url = \"rtmp://i/a/{name}\" }, { url = \"rtmp://h/a/{name}\" }]\n";
    assert_eq!(changes(one, other), Vec::<String>::new());
}

#[test]
fn applications_and_pushes_come_and_go_by_name_and_url() {
    let before = "[[app]]\nname = \"a\"\nlag_max = \"5s\"\n\
                  push = [{ url = \"rtmp://h/a/{name}\" }, { url = \"rtmp://i/a/{name}\" }]\n\
                  [[app]]\nname = \"b\"\n";
    let after = "[[app]]\nname = \"c\"\npush = [{ url = \"rtmp://h/c/{name}\" }]\n\
                 [[app]]\nname = \"a\"\n\
                 push = [{ url = \"rtmp://i/a/{name}\" }, { url = \"rtmp://j/a/{name}\" }, \
                 { url = \"rtmp://k/a/{name}\" }]\n";
    assert_eq!(
        changes(before, after),
        [
            "app[a].lag_max: \"10s\" instead of \"5s\"",
            "app[a].push.url: nothing instead of \"rtmp://h/a/{name}\"",
            "app[a].push.url: \"rtmp://j/a/{name}\" instead of nothing",
            "app[a].push.url: \"rtmp://k/a/{name}\" instead of nothing",
            "app[b].name: nothing instead of \"b\"",
            "app[c].name: \"c\" instead of nothing",
            "app[c].push.url: \"rtmp://h/c/{name}\" instead of nothing",
        ]
    );
}

#[test]
fn a_change_of_a_key_is_seen_and_the_key_is_not_shown() {
    let with = |key: &str| {
        format!(
            "workers.pipeline.push_url = \"rtmp://h/live?token={key}\"\n\
             workers.pipeline.kind = \"command\"\n\
             workers.pipeline.command = [\"send\", \"rtmp://h/live/{key}\"]\n\
             [[app]]\nname = \"live\"\norigin = [\"rtmp://h/live/{key}\"]\n\
             push = [{{ url = \"rtmp://h/live/{key}\" }}]\n"
        )
    };
    let told = changes(&with("SECRET-ONE"), &with("SECRET-TWO"));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|told| !told.contains("SECRET") && told.contains("***")), "{told:?}");
}

fn reload(folder: &Folder, running: &Config) -> Result<super::super::Reload, String> {
    let source = ConfigSource { options: folder.options(), instance: None };
    let addresses = source.options.local_addresses.clone();
    source.reload(running, addresses).map_err(|errors| errors.to_string())
}

#[test]
fn a_reload_takes_over_what_can_be_and_names_the_rest() {
    let folder = Folder::new("");
    let running = folder.load().unwrap().config;
    folder
        .write("edgerelay.toml", "[rtmp]\nlisten = [\"127.0.0.1:7\"]\n[log]\nlevel = \"debug\"\n");
    let reload = reload(&folder, &running).unwrap();
    let effects: Vec<_> =
        reload.changes.iter().map(|change| (change.key.as_str(), change.effect)).collect();
    assert_eq!(effects, [("rtmp.listen", Effect::Restart), ("log.level", Effect::AtOnce)]);
    assert_eq!(reload.config.rtmp.listen, running.rtmp.listen);
    assert_eq!(reload.config.log.level, "debug");
}

#[test]
fn a_file_with_errors_is_refused_with_their_places() {
    let folder = Folder::new("");
    let running = folder.load().unwrap().config;
    folder.write("edgerelay.toml", "[rtmp]\nlissten = []\n");
    let errors = reload(&folder, &running).unwrap_err();
    assert!(errors.contains("edgerelay.toml:2:1: rtmp.lissten: unknown key"), "{errors}");
}

/// The push is none into itself by the file, but the node still listens where it did.
#[test]
fn what_is_right_only_after_a_restart_is_refused() {
    let folder = Folder::new("[rtmp]\nlisten = [\"127.0.0.1:1935\"]\n");
    let running = folder.load().unwrap().config;
    folder.write(
        "edgerelay.toml",
        "[rtmp]\nlisten = [\"127.0.0.1:1936\"]\n[[app]]\nname = \"live\"\n\
         push = [{ url = \"rtmp://127.0.0.1:1935/live/{name}\" }]\n",
    );
    assert!(folder.load().is_ok());
    let errors = reload(&folder, &running).unwrap_err();
    assert!(errors.contains("edgerelay.toml:5:"), "{errors}");
    assert!(errors.contains("a loop, until a restart brings the other changes"), "{errors}");
}

#[test]
fn a_worker_reads_again_what_it_derives() {
    const WORKERS: &str = "[workers]\nbackend = \"process\"\n\
                           pipeline.push_url = \"rtmp://up.example/live\"\n";
    let folder = Folder::new(WORKERS);
    let running = folder.load().unwrap().config.for_worker(2).unwrap();
    let source = ConfigSource { options: folder.options(), instance: Some(2) };
    let addresses = || source.options.local_addresses.clone();
    assert_eq!(source.reload(&running, addresses()).unwrap().changes, []);
    folder.write("edgerelay.toml", &format!("{WORKERS}[log]\nlevel = \"warn\"\n"));
    let reload = source.reload(&running, addresses()).unwrap();
    let mut expected = running;
    expected.log.level = "warn".to_owned();
    assert_eq!(reload.config.to_toml(Secrets::Shown), expected.to_toml(Secrets::Shown));
}
