//! Which layer wins, and how each is written.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::{AppConfig, MergeWindow, Override, Role, Secrets};
use super::*;

fn load_with(folder: &Folder, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    load(&options_with(folder, variables, flags)).unwrap()
}

fn options_with(
    folder: &Folder,
    variables: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> LoadOptions {
    let overrides = flags.iter().map(|(key, value)| Override {
        flag: format!("--set {key}"),
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    LoadOptions {
        environment: environment(variables),
        overrides: overrides.collect(),
        ..folder.options()
    }
}

#[test]
fn without_a_file_the_defaults_hold() {
    let options = LoadOptions { host_name: "edge-host".to_owned(), ..LoadOptions::default() };
    let loaded = load(&options).unwrap();
    let mut config = Config::default();
    config.node.name = "edge-host".to_owned();
    assert_eq!(loaded, Loaded { config, files: vec![], warnings: vec![] });

    let config = loaded.config;
    assert_eq!(config.node.role, Role::Standalone);
    assert_eq!(config.rtmp.listen, ["0.0.0.0:1935".parse::<SocketAddr>().unwrap()]);
    assert_eq!(config.http.listen, ["127.0.0.1:8080".parse::<SocketAddr>().unwrap()]);
    assert_eq!(config.apps.iter().map(|app| &*app.name).collect::<Vec<_>>(), ["live"]);
    assert!(config.apps[0].push.is_empty());
}

#[test]
fn later_layers_win_key_by_key() {
    let folder = Folder::new(
        "[rtmp]\nchunk_size = 1024\nmax_message = \"1MiB\"\nping_timeout = \"1s\"\n\
         ping_interval = \"1s\"\nconnections_max = 1\n",
    );
    folder.write("conf.d/20.toml", "[rtmp]\nping_timeout = \"3s\"\n");
    folder.write(
        "conf.d/10.toml",
        "[rtmp]\nmax_message = \"2MiB\"\nping_timeout = \"2s\"\nping_interval = \"2s\"\n\
         connections_max = 2\n",
    );
    folder.write("conf.d/notes.txt", "not read");
    folder.write("conf.d/.hidden.toml", "not read");
    let loaded = load_with(
        &folder,
        &[("EDGERELAY_RTMP__PING_INTERVAL", "4s"), ("EDGERELAY_RTMP__CONNECTIONS_MAX", "4")],
        &[("rtmp.connections_max", "5")],
    );
    let rtmp = loaded.config.rtmp;
    assert_eq!(rtmp.chunk_size, 1024);
    assert_eq!(rtmp.message_bytes_max, 2 << 20);
    assert_eq!(rtmp.ping_timeout, Duration::from_secs(3));
    assert_eq!(rtmp.ping_interval, Duration::from_secs(4));
    assert_eq!(rtmp.connections_max, 5);
    let names: Vec<_> = loaded.files.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["edgerelay.toml", "10.toml", "20.toml"]);
}

#[test]
fn drop_ins_add_applications_and_lists_replace() {
    let folder = Folder::new(
        "[[app]]\nname = \"live\"\n[rtmp]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n",
    );
    folder.write(
        "conf.d/studio.toml",
        "[[app]]\nname = \"studio\"\n[rtmp]\nlisten = [\"127.0.0.1:3\"]\n",
    );
    let config = folder.load().unwrap().config;
    assert_eq!(config.apps.iter().map(|app| &*app.name).collect::<Vec<_>>(), ["live", "studio"]);
    assert_eq!(config.rtmp.listen, ["127.0.0.1:3".parse::<SocketAddr>().unwrap()]);

    folder.write("conf.d/twice.toml", "[[app]]\nname = \"live\"\n");
    assert_eq!(
        folder.complaints(&folder.options()),
        "conf.d/twice.toml:2:8: app[2].name: \"live\" is the name of the application at \
         edgerelay.toml:2:8 too; expected a name that no other application has",
    );
}

#[test]
fn environment_values_take_the_type_of_their_key() {
    let folder = Folder::new("");
    let config = load_with(
        &folder,
        &[
            ("EDGERELAY_NODE__ROLE", "edge"),
            ("EDGERELAY_NODE__NAME", "123"),
            ("EDGERELAY_NODE__SHARDS", "2"),
            ("EDGERELAY_RTMP__LISTEN", "127.0.0.1:1, [::1]:2"),
            ("EDGERELAY_HTTP__LISTEN", "[\"127.0.0.1:3\"]"),
            ("EDGERELAY_RTMP__CHUNK_SIZE", "4096"),
            ("EDGERELAY_RTMP__MAX_MESSAGE", "1MiB"),
            ("EDGERELAY_RTMP__MERGE_WINDOW", "20ms"),
            ("EDGERELAY_LOG__LEVEL", "\"debug\""),
        ],
        &[],
    )
    .config;
    assert_eq!((config.node.role, &*config.node.name, config.node.shards), (Role::Edge, "123", 2));
    let addresses = |list: &[&str]| -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    };
    assert_eq!(config.rtmp.listen, addresses(&["127.0.0.1:1", "[::1]:2"]));
    assert_eq!(config.http.listen, addresses(&["127.0.0.1:3"]));
    assert_eq!((config.rtmp.chunk_size, config.rtmp.message_bytes_max), (4096, 1 << 20));
    assert_eq!(config.rtmp.merge_window, MergeWindow::Fixed(Duration::from_millis(20)));
    assert_eq!(config.log.level, "debug");
}

#[test]
fn an_address_in_brackets_is_not_taken_for_a_list() {
    let config = load_with(&Folder::new(""), &[("EDGERELAY_RTMP__LISTEN", "[::]:1935")], &[]);
    assert_eq!(config.config.rtmp.listen, ["[::]:1935".parse::<SocketAddr>().unwrap()]);
}

#[test]
fn an_empty_variable_empties_a_list() {
    let config = load_with(&Folder::new(""), &[("EDGERELAY_HTTP__LISTEN", "")], &[]);
    assert!(config.config.http.listen.is_empty());
}

#[test]
fn variables_of_an_orchestrator_are_not_ours() {
    let variables = [
        ("EDGERELAY_PORT", "tcp://10.0.0.1:1935"),
        ("EDGERELAY_PORT_1935_TCP_ADDR", "10.0.0.1"),
        ("EDGERELAY_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    let loaded = load_with(&Folder::new(""), &variables, &[]);
    assert_eq!(loaded.config.rtmp, Config::default().rtmp);
}

#[test]
fn wrong_variables_and_flags_are_named() {
    let folder = Folder::new("");
    let options = options_with(
        &folder,
        &[
            ("EDGERELAY_RTMP__LISTEN", "127.0.0.1:1, nowhere"),
            ("EDGERELAY_NODE__ROL", "edge"),
            ("EDGERELAY_APP__GOP_CACHE", "false"),
        ],
        &[("rtmp.chunk_size", "1")],
    );
    assert_eq!(
        folder.complaints(&options),
        "EDGERELAY_APP__GOP_CACHE:1:1: app: is a table; expected an array of tables, in a file\n\
         EDGERELAY_NODE__ROL:1:1: node.rol: unknown key; expected \"role\", the nearest known \
         key\n\
         EDGERELAY_RTMP__LISTEN:1:14: rtmp.listen: \"nowhere\" is not an address and port; \
         expected ADDRESS:PORT, like \"0.0.0.0:1935\" or \"[::]:1935\"\n\
         --set rtmp.chunk_size:1:1: rtmp.chunk_size: is \"1\"; expected a size from 128B to 16MiB",
    );
}

#[test]
fn a_broken_file_does_not_hide_errors_elsewhere() {
    let folder = Folder::new("[rtmp\n");
    folder.write("conf.d/a.toml", "[rtmp]\nlisen = 1\n");
    let complaints = folder.complaints(&folder.options());
    let places: Vec<_> = complaints.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["edgerelay.toml:1:6", "conf.d/a.toml:2:1"]);
}

fn worker(url: &str) -> Vec<(String, String)> {
    environment(&[("EDGERELAY_NODE__ROLE", "worker"), ("RTMP_PUSH_URL", url)])
}

#[test]
fn a_workers_upstream_from_the_environment_becomes_a_push() {
    for (given, pushed) in [
        ("rtmp://up.example/live", "rtmp://up.example/live/{name}"),
        ("rtmp://up.example:1936/live/", "rtmp://up.example:1936/live/{name}"),
        ("rtmp://up.example/live?token=a", "rtmp://up.example/live/{name}?token=a"),
    ] {
        let options = LoadOptions { environment: worker(given), ..LoadOptions::default() };
        let loaded = load(&options).unwrap();
        assert_eq!(loaded.config.apps[0].push[0].url, pushed);
        assert!(loaded.warnings.is_empty());
    }
}

#[test]
fn a_workers_upstream_is_checked_like_a_push() {
    let folder = Folder::new("");
    let refused =
        |url| folder.complaints(&LoadOptions { environment: worker(url), ..folder.options() });
    assert_eq!(
        refused("rtmp://127.0.0.1/live"),
        "RTMP_PUSH_URL:1:1: app[0].push[0].url: pushes back into the same application of this \
         node: a loop; expected another host, port or application",
    );
    assert_eq!(
        refused("SECRET"),
        "RTMP_PUSH_URL:1:1: is not a URL; expected rtmp://HOST[:PORT]/APP, to which /{name} is \
         added, or \"\" (none)",
    );
    folder.write("edgerelay.toml", "[[app]]\nname = \"studio\"\n");
    assert_eq!(
        refused("rtmp://up.example/live"),
        "RTMP_PUSH_URL:1:1: there is no application \"live\" or \"worker\" to push from; expected an \
         [[app]] of that name, or no upstream",
    );
}

#[test]
fn a_workers_upstream_on_another_role_is_warned_of() {
    let options = LoadOptions {
        environment: environment(&[("RTMP_PUSH_URL", "rtmp://up.example/live")]),
        ..LoadOptions::default()
    };
    let loaded = load(&options).unwrap();
    assert!(loaded.config.apps[0].push.is_empty());
    assert_eq!(
        loaded.warnings,
        ["RTMP_PUSH_URL has no effect unless node.role is \"worker\" or workers.backend is set"]
    );
}

#[test]
fn a_dump_reads_back_to_the_same_configuration() {
    let config = accepted(
        "[node]\nrole = \"edge\"\nname = \"a\"\n[rtmp]\nmerge_window = \"20ms\"\n\
         chunk_size = 5000\n[http]\nlisten = []\n\
         [[app]]\nname = \"v2/pub\"\norigin = [\"rtmp://h/a/{name}\"]\n\
         push = [{ url = \"rtmp://h/a/KEY?x=y\" }, { url = \"rtmp://h/b/{name}\" }]\n\
         [[app]]\nname = \"b\"\ngop_cache = false\n",
    );
    assert_ne!(config.apps, [AppConfig::default()]);
    assert_eq!(accepted(&config.to_toml(Secrets::Shown)), config);
    assert!(!config.to_toml(Secrets::Redacted).contains("KEY"));
}
