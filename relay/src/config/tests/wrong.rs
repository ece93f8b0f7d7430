//! Each way of writing a setting wrong has its message, line and column.

use std::fs;

use super::*;

#[test]
fn a_mistyped_key_is_answered_with_the_nearest() {
    assert_refused(
        "[rtmp]\n  chunk_sise = 4096\n",
        "edgerelay.toml:2:3: rtmp.chunk_sise: unknown key; expected \"chunk_size\", the nearest \
         known key",
    );
    assert_refused(
        "[rtpm]\n",
        "edgerelay.toml:1:2: rtpm: unknown key; expected \"rtmp\", the nearest known key",
    );
    assert_refused(
        "[[app]]\nname = \"live\"\n[[app.push]]\nuri = \"x\"\nurl = \"rtmp://h/a/{name}\"\n",
        "edgerelay.toml:4:1: app[0].push[0].uri: unknown key; expected \"url\", the nearest known \
         key",
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_known_ones() {
    assert_refused(
        "[log]\nrotation = 3\n",
        "edgerelay.toml:2:1: log.rotation: unknown key; expected one of level, format",
    );
}

#[test]
fn a_wrong_duration_is_quoted_with_its_bounds() {
    assert_refused(
        "[rtmp]\nhandshake_timeout = \"10x\"\ncommand_timeout = 10\nping_timeout = \"2h\"\n",
        "edgerelay.toml:2:21: rtmp.handshake_timeout: \"10x\" is not a duration; expected a \
         duration from 100ms to 10m\n\
         edgerelay.toml:3:19: rtmp.command_timeout: is 10; expected a duration from 100ms to 10m\n\
         edgerelay.toml:4:16: rtmp.ping_timeout: is \"2h\"; expected a duration from 1s to 1h",
    );
}

#[test]
fn a_zero_duration_is_refused_where_it_means_nothing() {
    assert_refused(
        "[rtmp]\nping_interval = \"0s\"\n",
        "edgerelay.toml:2:17: rtmp.ping_interval: is \"0s\"; expected a duration from 1s to 1h",
    );
    let config =
        accepted("[rtmp]\npublish_idle_timeout = \"0s\"\n[node]\ndrain_timeout = \"0s\"\n");
    assert!(config.rtmp.publish_idle_timeout.is_zero() && config.node.drain_timeout.is_zero());
}

#[test]
fn a_wrong_size_is_quoted_with_its_bounds() {
    assert_refused(
        "[rtmp]\nchunk_size = 127\nmax_message = \"8 MiB\"\nnotsent_lowat = \"1B\"\n\
         window_ack_size = 5.0\n",
        "edgerelay.toml:2:14: rtmp.chunk_size: is 127; expected a size from 128B to 16MiB\n\
         edgerelay.toml:3:15: rtmp.max_message: \"8 MiB\" is not a size; expected a size from \
         64KiB to 16MiB\n\
         edgerelay.toml:4:17: rtmp.notsent_lowat: is \"1B\"; expected a size from 4KiB to 16MiB, \
         or 0 (the kernel's limit)\n\
         edgerelay.toml:5:19: rtmp.window_ack_size: is a fraction; expected a size from 4KiB to \
         1GiB",
    );
    assert_refused(
        "[rtmp]\nchunk_size = 16777217\n",
        "edgerelay.toml:2:14: rtmp.chunk_size: is 16777217; expected a size from 128B to 16MiB",
    );
    assert_eq!(accepted("[rtmp]\nchunk_size = \"16MiB\"\n").rtmp.chunk_size, 16 << 20);
    assert_eq!(accepted("[rtmp]\nchunk_size = 128\n").rtmp.chunk_size, 128);
}

#[test]
fn a_wrong_number_word_or_flag_is_answered_with_what_is_possible() {
    assert_refused(
        "[node]\nrole = \"hub\"\nshards = 1025\nname = \"a b\"\n[log]\nlevel = \"loud\"\n\
         [[app]]\nname = \"live\"\ngop_cache = \"yes\"\n",
        "edgerelay.toml:2:8: node.role: is \"hub\"; expected \"edge\", \"worker\" or \
         \"standalone\"\n\
         edgerelay.toml:3:10: node.shards: is 1025; expected a whole number from 0 to 1024\n\
         edgerelay.toml:4:8: node.name: is \"a b\"; expected at most 64 letters, digits, '.', '-' \
         and '_', or \"\" (the host name)\n\
         edgerelay.toml:6:9: log.level: is \"loud\"; expected off, error, warn, info, debug or \
         trace, and MODULE=LEVEL after commas\n\
         edgerelay.toml:9:13: app[0].gop_cache: is \"yes\"; expected true or false",
    );
    assert_refused(
        "[rtmp]\nconnections_max = 0\nconnections_per_ip_max = -1\n",
        "edgerelay.toml:2:19: rtmp.connections_max: is 0; expected a whole number from 1 to \
         1000000\n\
         edgerelay.toml:3:26: rtmp.connections_per_ip_max: is -1; expected a whole number from 0 \
         to 1000000",
    );
}

#[test]
fn a_wrong_address_is_pointed_at_in_its_list() {
    assert_refused(
        "[rtmp]\nlisten = [\n  \"0.0.0.0:1935\",\n  \"1936\",\n]\n",
        "edgerelay.toml:4:3: rtmp.listen: \"1936\" is not an address and port; expected \
         ADDRESS:PORT, like \"0.0.0.0:1935\" or \"[::]:1935\"",
    );
    assert_refused(
        "[rtmp]\nlisten = []\n",
        "edgerelay.toml:2:10: rtmp.listen: has 0 items; expected an array of 1 to 64, each \
         ADDRESS:PORT, like \"0.0.0.0:1935\" or \"[::]:1935\"",
    );
    assert!(accepted("[http]\nlisten = []\n").http.listen.is_empty());
}

#[test]
fn listening_twice_names_both_places() {
    assert_refused(
        "[rtmp]\nlisten = [\"127.0.0.1:1935\", \"127.0.0.1:1935\"]\n",
        "edgerelay.toml:2:29: rtmp.listen[1]: 127.0.0.1:1935 is listened on twice, also by \
         rtmp.listen[0] at edgerelay.toml:2:11; expected an address and port that nothing else \
         listens on",
    );
    assert_refused(
        "[rtmp]\nlisten = [\"0.0.0.0:1935\", \"127.0.0.1:1935\"]\n",
        "edgerelay.toml:2:27: rtmp.listen[1]: 127.0.0.1:1935 overlaps 0.0.0.0:1935 of \
         rtmp.listen[0] at edgerelay.toml:2:11; expected an address and port that nothing else \
         listens on",
    );
    let both = accepted("[rtmp]\nlisten = [\"0.0.0.0:1935\", \"[::]:1935\"]\n");
    assert_eq!(both.rtmp.listen.len(), 2);
}

#[test]
fn a_port_that_http_and_rtmp_share_is_refused_even_where_one_is_the_default() {
    assert_refused(
        "[rtmp]\nlisten = [\"0.0.0.0:9000\"]\n[http]\nlisten = [\"127.0.0.1:9000\"]\n",
        "edgerelay.toml:4:11: http.listen[0]: 127.0.0.1:9000 overlaps 0.0.0.0:9000 of \
         rtmp.listen[0] at edgerelay.toml:2:11; expected an address and port that nothing else \
         listens on",
    );
    assert_refused(
        "[rtmp]\nlisten = [\"127.0.0.1:8080\"]\n",
        "edgerelay.toml:2:11: rtmp.listen[0]: 127.0.0.1:8080 is listened on twice, also by \
         http.listen[0] at (default); expected an address and port that nothing else listens on",
    );
    accepted("[rtmp]\nlisten = [\"127.0.0.1:0\"]\n[http]\nlisten = [\"127.0.0.1:0\"]\n");
}

#[test]
fn application_names_are_there_once_and_plain() {
    assert_refused(
        "[[app]]\nname = \"live\"\n[[app]]\nname = \"live\"\n",
        "edgerelay.toml:4:8: app[1].name: \"live\" is the name of the application at \
         edgerelay.toml:2:8 too; expected a name that no other application has",
    );
    assert_refused(
        "[[app]]\nname = \"a?b\"\n[[app]]\nname = \"/a\"\n[[app]]\n  gop_cache = true\n",
        "edgerelay.toml:2:8: app[0].name: is \"a?b\"; expected 1 to 128 letters, digits, '.', '-' \
         and '_', with '/' between them\n\
         edgerelay.toml:4:8: app[1].name: is \"/a\"; expected 1 to 128 letters, digits, '.', '-' \
         and '_', with '/' between them\n\
         edgerelay.toml:5:1: app[2]: has no name; expected name = \"...\"",
    );
    assert_refused(
        "app = []\n",
        "edgerelay.toml:1:7: app: no application is left; expected at least one [[app]]",
    );
    assert!(accepted("[[app]]\nname = \"v2/pub\"\n").app("v2/pub").is_some());
}

#[test]
fn wrong_urls_are_not_quoted() {
    const EXPECTED: &str =
        "rtmp://HOST[:PORT]/APP/STREAM, where {app} and {name} stand for the stream's";
    for (value, what) in [
        ("\"SECRET\"", "is not a URL"),
        ("\"http://h/live/SECRET\"", "the scheme \"http\" is not rtmp"),
        ("\"rtmps://h/live/SECRET\"", "the scheme rtmps is not supported yet"),
        ("\"rtmp://h/SECRET\"", "names no stream"),
        ("\"rtmp://h/live/SECRET-{nam}\"", "the placeholder {nam} is unknown"),
        ("[\"rtmp://h/live/SECRET\"]", "is an array"),
    ] {
        assert_refused(
            &format!("[[app]]\nname = \"live\"\n[[app.push]]\nurl = {value}\n"),
            &format!("edgerelay.toml:4:7: app[0].push[0].url: {what}; expected {EXPECTED}"),
        );
    }
    assert_refused(
        "[[app]]\nname = \"live\"\norigin = \"rtmp://h/live/SECRET\"\n",
        &format!(
            "edgerelay.toml:3:10: app[0].origin: is a string; expected an array of 0 to 64, each \
             {EXPECTED}"
        ),
    );
    assert_refused(
        "[[app]]\nname = \"live\"\npush = \"rtmp://h/live/SECRET\"\n",
        "edgerelay.toml:3:8: app[0].push: is a string; expected an array of tables, in a file",
    );
    assert_refused(
        "[[app]]\nname = \"live\"\npush = [\"rtmp://h/live/SECRET\"]\n",
        "edgerelay.toml:3:9: app[0].push[0]: is a string; expected a table",
    );
    assert_refused(
        "[[app]]\nname = \"live\"\n[[app.push]]\n",
        "edgerelay.toml:3:1: app[0].push[0]: has no url; expected url = \"rtmp://...\"",
    );
}

#[test]
fn a_merge_window_stays_below_its_maximum() {
    assert_refused(
        "[rtmp]\nmerge_window = \"150ms\"\n",
        "edgerelay.toml:2:16: rtmp.merge_window: is 150ms; expected at most \
         rtmp.merge_window_max, which is 100ms",
    );
    assert_refused(
        "[rtmp]\nmerge_window = \"soon\"\n",
        "edgerelay.toml:2:16: rtmp.merge_window: \"soon\" is not a duration; expected \"auto\", or \
         a duration from 0s to 5s",
    );
    accepted("[rtmp]\nmerge_window = \"100ms\"\n");
    accepted("[rtmp]\nmerge_window = \"150ms\"\nmerge_window_max = \"150ms\"\n");
}

#[test]
fn lag_limits_stay_below_the_log_and_the_written_one_is_blamed() {
    assert_refused(
        "[[app]]\nname = \"live\"\nlag_max = \"30s\"\nlog_bytes_max = \"16MiB\"\n",
        "edgerelay.toml:3:11: app[0].lag_max: is 30s; expected less than \
         app[0].log_duration_max, which is 30s\n\
         edgerelay.toml:4:17: app[0].log_bytes_max: is 16MiB; expected more than \
         app[0].lag_bytes_max, which is 16MiB",
    );
    assert_refused(
        "[[app]]\nname = \"live\"\nlag_bytes_max = \"2MiB\"\nlog_bytes_max = \"1MiB\"\n",
        "edgerelay.toml:3:17: app[0].lag_bytes_max: is 2MiB; expected less than \
         app[0].log_bytes_max, which is 1MiB",
    );
}

#[test]
fn broken_toml_is_reported_where_it_breaks() {
    assert_refused(
        "[node]\nrole = \n[rtmp]\nlisten = [\"127.0.0.1:1\"\n",
        "edgerelay.toml:2:8: not valid TOML: string values must be quoted; expected literal \
         string\n\
         edgerelay.toml:4:24: not valid TOML: unclosed array; expected `]`",
    );
    assert_refused(
        "[node]\nrole = \"edge\"\nrole = \"edge\"\n",
        "edgerelay.toml:3:1: not valid TOML: duplicate key; expected TOML: [section], key = value",
    );
}

#[test]
fn columns_count_characters() {
    assert_refused(
        "node = { name = \"ä\", role = \"ü\" }\n",
        "edgerelay.toml:1:17: node.name: is \"ä\"; expected at most 64 letters, digits, '.', '-' \
         and '_', or \"\" (the host name)\n\
         edgerelay.toml:1:29: node.role: is \"ü\"; expected \"edge\", \"worker\" or \
         \"standalone\"",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new("");
    let path = folder.0.path().join("edgerelay.toml");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        folder.complaints(&folder.options()),
        "edgerelay.toml: cannot be read: No such file or directory (os error 2); expected a \
         readable TOML file",
    );
    fs::write(&path, [0xFF, 0xFE]).unwrap();
    assert_eq!(
        folder.complaints(&folder.options()),
        "edgerelay.toml: cannot be read: stream did not contain valid UTF-8; expected a readable \
         TOML file",
    );
    fs::write(&path, "#".repeat(1 << 20 | 1)).unwrap();
    assert_eq!(
        folder.complaints(&folder.options()),
        "edgerelay.toml: cannot be read: longer than 1048576 bytes; expected a readable TOML file",
    );
}

#[test]
fn twenty_errors_are_shown_and_the_rest_counted() {
    let text: String = (0..25).map(|line| format!("wrong_{line:02} = 1\n")).collect();
    let errors = Folder::new(&text).load().unwrap_err();
    assert_eq!((errors.errors.len(), errors.omitted), (20, 5));
    assert_eq!(errors.errors[19].origin.line, 20);
    assert!(errors.to_string().ends_with("\nand 5 more"));
}

#[test]
fn a_long_value_is_cut_in_its_message() {
    let text = format!("[log]\nlevel = \"{}\"\n", "x".repeat(1000));
    let errors = Folder::new(&text).load().unwrap_err();
    assert_eq!(errors.errors[0].what, format!("is \"{}\"...", "x".repeat(64)));
}
