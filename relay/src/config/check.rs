//! What settings mean together: clashes, orders, and loops.
//!
//! Each value is in its own bounds by now. A setting already reported wrong takes no part, so one
//! mistake is not reported twice.

use std::net::SocketAddr;

use super::fault::{ConfigError, ConfigErrors, Origin};
use super::limits::APPS_MAX;
use super::loops::{self, Node};
use super::reader::Positions;
use super::settings::{AppConfig, Config, MergeWindow};
use super::unit::{render_duration, render_size};

/// Reports everything about `config` that no single key shows.
pub(super) fn check(
    config: &Config,
    node: &Node<'_>,
    positions: &Positions,
    errors: &mut ConfigErrors,
) {
    let mut checker = Checker { positions, errors };
    checker.check_listeners(config);
    checker.check_merge_window(config);
    checker.check_app_names(&config.apps);
    for (index, app) in config.apps.iter().enumerate() {
        checker.check_app(&format!("app[{index}]"), app);
    }
    checker.check_workers(config);
    if checker.sound(&["rtmp.listen"]) {
        for found in loops::find(config, node) {
            checker.report(&found.path, found.what, loops::EXPECTED);
        }
    }
}

pub(super) struct Checker<'a> {
    positions: &'a Positions,
    errors: &'a mut ConfigErrors,
}

impl Checker<'_> {
    pub(super) fn report(&mut self, path: &str, what: String, expected: impl Into<String>) {
        if self.errors.concern(path) {
            return;
        }
        self.errors.push(ConfigError {
            origin: self.positions.of(path),
            key: path.to_owned(),
            what,
            expected: expected.into(),
        });
    }

    /// Whether all of `paths` hold what was written.
    pub(super) fn sound(&self, paths: &[&str]) -> bool {
        !paths.iter().any(|path| self.errors.concern(path))
    }

    fn check_listeners(&mut self, config: &Config) {
        let (rtmp, http) = ("rtmp.listen", "http.listen");
        let (rtmp_sound, http_sound) = (self.sound(&[rtmp]), self.sound(&[http]));
        let mut listeners: Vec<(String, SocketAddr)> = Vec::new();
        let services =
            [(rtmp, &config.rtmp.listen, rtmp_sound), (http, &config.http.listen, http_sound)];
        for (key, addresses, _) in services.into_iter().filter(|(_, _, sound)| *sound) {
            for (index, address) in addresses.iter().enumerate() {
                listeners.push((format!("{key}[{index}]"), *address));
            }
        }
        for (index, (path, address)) in listeners.iter().enumerate() {
            let earlier = listeners.iter().take(index).find(|(_, other)| clash(*address, *other));
            let Some((other_path, other)) = earlier else { continue };
            // Where the later one is a default, the earlier one is what somebody wrote.
            let (path, address, other_path, other) = if self.is_written(path) {
                (path, address, other_path, other)
            } else {
                (other_path, other, path, address)
            };
            let place = self.place(other_path);
            let what = if address == other {
                format!("{address} is listened on twice, also by {other_path} at {place}")
            } else {
                format!("{address} overlaps {other} of {other_path} at {place}")
            };
            self.report(path, what, "an address and port that nothing else listens on");
        }
    }

    fn is_written(&self, path: &str) -> bool {
        self.positions.of(path).line > 0
    }

    /// Whether `path` itself was written, not just a table around it.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.positions.is_set(path)
    }

    fn place(&self, path: &str) -> Origin {
        self.positions.of(path)
    }

    fn check_merge_window(&mut self, config: &Config) {
        let (key, max_key) = ("rtmp.merge_window", "rtmp.merge_window_max");
        let max = config.rtmp.merge_window_max;
        if let MergeWindow::Fixed(window) = config.rtmp.merge_window
            && window > max
            && self.sound(&[key, max_key])
        {
            let expected = format!("at most {max_key}, which is {}", render_duration(max));
            self.report(key, format!("is {}", render_duration(window)), expected);
        }
    }

    fn check_app_names(&mut self, apps: &[AppConfig]) {
        if apps.is_empty() && self.sound(&["app"]) {
            self.report("app", "no application is left".to_owned(), "at least one [[app]]");
        }
        if apps.len() > APPS_MAX {
            let what = format!("{} applications", apps.len());
            self.report("app", what, format!("at most {APPS_MAX}"));
        }
        for (index, app) in apps.iter().enumerate().take(APPS_MAX) {
            let path = format!("app[{index}].name");
            let earlier = apps.iter().take(index).position(|other| other.name == app.name);
            if app.name.is_empty() {
                if !self.positions.is_set(&path) {
                    let item = format!("app[{index}]");
                    self.report(&item, "has no name".to_owned(), "name = \"...\"");
                }
            } else if let Some(earlier) = earlier {
                let place = self.place(&format!("app[{earlier}].name"));
                let what = format!("{:?} is the name of the application at {place} too", app.name);
                self.report(&path, what, "a name that no other application has");
            }
        }
    }

    fn check_app(&mut self, path: &str, app: &AppConfig) {
        let key = |name: &str| format!("{path}.{name}");
        if app.lag_max >= app.log_duration_max {
            let (lag, log) = (render_duration(app.lag_max), render_duration(app.log_duration_max));
            self.report_order((&key("lag_max"), &lag), (&key("log_duration_max"), &log));
        }
        if app.lag_bytes_max >= app.log_bytes_max {
            let (lag, log) = (app.lag_bytes_max as u64, app.log_bytes_max as u64);
            let (lag, log) = (render_size(lag), render_size(log));
            self.report_order((&key("lag_bytes_max"), &lag), (&key("log_bytes_max"), &log));
        }
        for (index, push) in app.push.iter().enumerate() {
            let item = key(&format!("push[{index}]"));
            if push.url.is_empty() && !self.positions.is_set(&format!("{item}.url")) {
                self.report(&item, "has no url".to_owned(), "url = \"rtmp://...\"");
            }
        }
    }

    /// Reports that one setting, a key and its value, is not less than another, at the one that
    /// was written.
    pub(super) fn report_order(&mut self, smaller: (&str, &str), larger: (&str, &str)) {
        if !self.sound(&[smaller.0, larger.0]) {
            return;
        }
        let ((at, value), (other, limit), relation) =
            if self.positions.is_set(smaller.0) || !self.positions.is_set(larger.0) {
                (smaller, larger, "less")
            } else {
                (larger, smaller, "more")
            };
        let expected = format!("{relation} than {other}, which is {limit}");
        self.report(at, format!("is {value}"), expected);
    }
}

/// Whether both cannot be listened on. `[::]` takes IPv6 alone, so it leaves IPv4 to others.
pub(super) fn clash(left: SocketAddr, right: SocketAddr) -> bool {
    left.port() == right.port()
        && left.port() != 0
        && left.is_ipv4() == right.is_ipv4()
        && (left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified())
}
