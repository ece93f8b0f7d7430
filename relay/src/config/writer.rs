//! A configuration as TOML text, complete: what `config dump` prints.

use std::fmt::Write as _;

use super::codec::Codec;
use super::keys::{Visitor, visit_config};
use super::settings::Config;
use super::url::redact_url;

/// Whether a dump shows stream keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// URLs lose what may be secret.
    Redacted,
    /// URLs stand as they are; the text reads back to the same configuration.
    Shown,
}

impl Config {
    /// The configuration as TOML, with every key.
    #[must_use]
    pub fn to_toml(&self, secrets: Secrets) -> String {
        let mut config = match secrets {
            Secrets::Redacted => self.redacted(),
            Secrets::Shown => self.clone(),
        };
        let mut writer = Writer { text: String::new(), path: Vec::new() };
        visit_config(&mut config, &mut writer);
        writer.text
    }

    /// The configuration without what may be secret.
    pub(super) fn redacted(&self) -> Self {
        let mut config = self.clone();
        for app in &mut config.apps {
            let pushes = app.push.iter_mut().map(|push| &mut push.url);
            for url in pushes.chain(&mut app.origin) {
                *url = redact_url(url);
            }
        }
        let pipeline = &mut config.workers.pipeline;
        pipeline.push_url = redact_url(&pipeline.push_url);
        for argument in pipeline.command.iter_mut().filter(|one| one.contains("://")) {
            *argument = redact_url(argument);
        }
        config
    }
}

struct Writer {
    text: String,
    path: Vec<&'static str>,
}

impl Writer {
    fn header(&mut self, open: &str, close: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{gap}{open}{}{close}", self.path.join("."));
    }
}

impl Visitor for Writer {
    fn setting<T: Clone + 'static, C: Codec<T>>(
        &mut self,
        key: &'static str,
        field: &mut T,
        codec: &C,
    ) {
        let _ = writeln!(self.text, "{key} = {}", codec.write(field));
    }

    fn table<T>(&mut self, key: &'static str, field: &mut T, visit: fn(&mut T, &mut Self)) {
        self.path.push(key);
        self.header("[", "]");
        visit(field, self);
        self.path.pop();
    }

    fn tables<T: Default>(
        &mut self,
        key: &'static str,
        fields: &mut Vec<T>,
        visit: fn(&mut T, &mut Self),
    ) {
        self.path.push(key);
        for field in fields {
            self.header("[[", "]]");
            visit(field, self);
        }
        self.path.pop();
    }
}
