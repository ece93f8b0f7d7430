//! Every key: its name in the file, its field, and its codec, said once.
//!
//! Reading, writing and the documentation's test are visitors of this one list, so a key cannot
//! be read but not dumped, or documented but not read. Each function takes its struct apart by
//! name: a new field without a key does not compile.

use super::codec::{
    Address, Choice, Codec, Count, Flag, List, Merge, Period, Size, Text, UrlTemplate,
};
use super::limits;
use super::settings::{
    AccountingConfig, AppConfig, Config, HttpConfig, LogConfig, LogFormat, NodeConfig,
    OnDuplicatePublish, PushConfig, Role, RtmpConfig, ZeroCopySetting,
};
use super::socket::{ControlConfig, GROUP_NAME, SocketPlace};
use super::worker_keys::visit_workers;

/// Meets every key of a configuration, in the order of the file.
pub(super) trait Visitor {
    /// A key with one value.
    fn setting<T: Clone + 'static, C: Codec<T>>(
        &mut self,
        key: &'static str,
        field: &mut T,
        codec: &C,
    );

    /// A table.
    fn table<T>(&mut self, key: &'static str, field: &mut T, visit: fn(&mut T, &mut Self));

    /// An array of tables.
    fn tables<T: Default>(
        &mut self,
        key: &'static str,
        fields: &mut Vec<T>,
        visit: fn(&mut T, &mut Self),
    );
}

/// Meets every key.
pub(super) fn visit_config<V: Visitor>(config: &mut Config, visitor: &mut V) {
    let Config { node, rtmp, http, control, accounting, log, workers, apps } = config;
    visitor.table("node", node, visit_node);
    visitor.table("rtmp", rtmp, visit_rtmp);
    visitor.table("http", http, visit_http);
    visitor.table("control", control, visit_control);
    visitor.table("accounting", accounting, visit_accounting);
    visitor.table("log", log, visit_log);
    visitor.table("workers", workers, visit_workers);
    visitor.tables("app", apps, visit_app);
}

fn visit_node<V: Visitor>(node: &mut NodeConfig, visitor: &mut V) {
    let NodeConfig { role, name, shards, drain_timeout, upgrade_timeout } = node;
    visitor.setting("role", role, &ROLE);
    visitor.setting("name", name, &Text::NODE_NAME);
    visitor.setting("shards", shards, &Count { min: 0, max: limits::SHARDS_MAX });
    visitor.setting("drain_timeout", drain_timeout, &always(limits::DRAIN_TIMEOUT));
    visitor.setting("upgrade_timeout", upgrade_timeout, &always(limits::DRAIN_TIMEOUT));
}

fn visit_rtmp<V: Visitor>(rtmp: &mut RtmpConfig, visitor: &mut V) {
    let RtmpConfig {
        listen,
        chunk_size,
        window_ack_size,
        message_bytes_max,
        handshake_timeout,
        command_timeout,
        publish_idle_timeout,
        play_wait_timeout,
        ping_interval,
        ping_timeout,
        connections_max,
        connections_per_ip_max,
        merge_window,
        merge_window_max,
        zero_copy,
        tcp_user_timeout,
        tcp_keepalive,
        notsent_lowat,
    } = rtmp;
    let connections = |min| Count { min, max: limits::CONNECTIONS_MAX };
    visitor.setting("listen", listen, &listen_codec(1));
    visitor.setting("chunk_size", chunk_size, &size(limits::CHUNK_SIZE));
    visitor.setting("window_ack_size", window_ack_size, &size(limits::WINDOW_ACK_SIZE));
    visitor.setting("max_message", message_bytes_max, &size(limits::MESSAGE_BYTES));
    visitor.setting("handshake_timeout", handshake_timeout, &always(limits::OPENING_TIMEOUT));
    visitor.setting("command_timeout", command_timeout, &always(limits::OPENING_TIMEOUT));
    let idle = or_off(limits::IDLE_TIMEOUT, "never");
    visitor.setting("publish_idle_timeout", publish_idle_timeout, &idle);
    let wait = or_off(limits::IDLE_TIMEOUT, "for ever");
    visitor.setting("play_wait_timeout", play_wait_timeout, &wait);
    visitor.setting("ping_interval", ping_interval, &always(limits::PING));
    visitor.setting("ping_timeout", ping_timeout, &always(limits::PING));
    visitor.setting("connections_max", connections_max, &connections(1));
    visitor.setting("connections_per_ip_max", connections_per_ip_max, &connections(0));
    visitor.setting("merge_window", merge_window, &Merge);
    visitor.setting("merge_window_max", merge_window_max, &always(limits::MERGE_WINDOW_MAX));
    visitor.setting("zero_copy", zero_copy, &ZERO_COPY);
    let tcp = or_off(limits::PING, "the kernel's limit");
    visitor.setting("tcp_user_timeout", tcp_user_timeout, &tcp);
    visitor.setting("tcp_keepalive", tcp_keepalive, &or_off(limits::PING, "off"));
    let lowat = Size { bounds: limits::NOTSENT_LOWAT, zero: Some("the kernel's limit") };
    visitor.setting("notsent_lowat", notsent_lowat, &lowat);
}

fn visit_http<V: Visitor>(http: &mut HttpConfig, visitor: &mut V) {
    let HttpConfig { listen } = http;
    visitor.setting("listen", listen, &listen_codec(0));
}

fn visit_control<V: Visitor>(control: &mut ControlConfig, visitor: &mut V) {
    let ControlConfig { socket, group } = control;
    visitor.setting("socket", socket, &SocketPlace);
    visitor.setting("group", group, &GROUP_NAME);
}

fn visit_accounting<V: Visitor>(accounting: &mut AccountingConfig, visitor: &mut V) {
    let AccountingConfig { enabled, pin_dir, cgroup } = accounting;
    visitor.setting("enabled", enabled, &Flag);
    visitor.setting("pin_dir", pin_dir, &Text::FOLDER);
    visitor.setting("cgroup", cgroup, &Text::FOLDER_OR_NONE);
}

fn visit_log<V: Visitor>(log: &mut LogConfig, visitor: &mut V) {
    let LogConfig { level, format } = log;
    visitor.setting("level", level, &Text::LOG_LEVEL);
    visitor.setting("format", format, &LOG_FORMAT);
}

fn visit_app<V: Visitor>(app: &mut AppConfig, visitor: &mut V) {
    let AppConfig {
        name,
        gop_cache,
        on_duplicate_publish,
        log_bytes_max,
        log_duration_max,
        lag_max,
        lag_bytes_max,
        disconnect_after,
        push,
        origin,
    } = app;
    visitor.setting("name", name, &Text::APP_NAME);
    visitor.setting("gop_cache", gop_cache, &Flag);
    visitor.setting("on_duplicate_publish", on_duplicate_publish, &ON_DUPLICATE_PUBLISH);
    visitor.setting("log_bytes_max", log_bytes_max, &size(limits::LOG_BYTES));
    visitor.setting("log_duration_max", log_duration_max, &always(limits::LOG_DURATION));
    visitor.setting("lag_max", lag_max, &always(limits::LAG));
    visitor.setting("lag_bytes_max", lag_bytes_max, &size(limits::LAG_BYTES));
    visitor.setting("disconnect_after", disconnect_after, &always(limits::DISCONNECT_AFTER));
    let origins = List { item: UrlTemplate, min: 0, max: limits::UPSTREAMS_MAX };
    visitor.setting("origin", origin, &origins);
    visitor.tables("push", push, visit_push);
}

fn visit_push<V: Visitor>(push: &mut PushConfig, visitor: &mut V) {
    let PushConfig { url } = push;
    visitor.setting("url", url, &UrlTemplate);
}

const ROLE: Choice<Role> = Choice(&[
    (Role::Edge.label(), Role::Edge),
    (Role::Worker.label(), Role::Worker),
    (Role::Standalone.label(), Role::Standalone),
]);

const ZERO_COPY: Choice<ZeroCopySetting> = Choice(&[
    ("auto", ZeroCopySetting::Auto),
    ("on", ZeroCopySetting::On),
    ("off", ZeroCopySetting::Off),
]);

const LOG_FORMAT: Choice<LogFormat> = Choice(&[
    ("auto", LogFormat::Auto),
    ("human", LogFormat::Human),
    ("json", LogFormat::Json),
    ("journald", LogFormat::Journald),
]);

const ON_DUPLICATE_PUBLISH: Choice<OnDuplicatePublish> =
    Choice(&[("replace", OnDuplicatePublish::Replace), ("refuse", OnDuplicatePublish::Refuse)]);

pub(super) const fn size(bounds: (u64, u64)) -> Size {
    Size { bounds, zero: None }
}

pub(super) const fn always(bounds: (std::time::Duration, std::time::Duration)) -> Period {
    Period { bounds, zero: None }
}

const fn or_off(bounds: (std::time::Duration, std::time::Duration), zero: &'static str) -> Period {
    Period { bounds, zero: Some(zero) }
}

const fn listen_codec(min: usize) -> List<Address> {
    List { item: Address, min, max: limits::LISTEN_MAX }
}
