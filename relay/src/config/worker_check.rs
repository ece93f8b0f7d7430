//! What the settings of workers mean together, and with the rest: a part of `check`.

use std::net::SocketAddr;

use super::check::{Checker, clash};
use super::settings::Config;
use super::unit::{render_duration, render_rate, render_size};
use super::workers::{
    PipelineKind, Resources, ScalingConfig, ScalingPolicy, WorkerBackend, WorkersConfig,
};

impl Checker<'_> {
    pub(super) fn check_workers(&mut self, config: &Config) {
        let workers = &config.workers;
        if workers.min > workers.max {
            let (min, max) = (workers.min.to_string(), workers.max.to_string());
            self.report_bounds(("workers.min", &min), ("workers.max", &max));
        }
        self.check_retries(workers);
        self.check_queue_ratio(&workers.scaling);
        self.check_pipeline(config);
        if workers.backend.is_on() {
            self.check_worker_apps(config);
            self.check_need(workers);
        }
        match workers.backend {
            WorkerBackend::Off => {}
            WorkerBackend::Process | WorkerBackend::Systemd => {
                self.check_signals(workers);
                self.check_worker_ports(config);
            }
            WorkerBackend::Static => {
                if workers.addresses.is_empty() && self.sound(&["workers.addresses"]) {
                    let what = "backend \"static\" has no addresses".to_owned();
                    self.report("workers.addresses", what, "addresses = [\"HOST:PORT\"]");
                }
            }
        }
    }

    /// Reports that the first is more than the second, at the one that was written.
    fn report_bounds(&mut self, small: (&str, &str), large: (&str, &str)) {
        if !self.sound(&[small.0, large.0]) {
            return;
        }
        let (at, value, expected) = if self.is_set(small.0) || !self.is_set(large.0) {
            (small.0, small.1, format!("at most {}, which is {}", large.0, large.1))
        } else {
            (large.0, large.1, format!("at least {}, which is {}", small.0, small.1))
        };
        self.report(at, format!("is {value}"), expected);
    }

    fn check_retries(&mut self, workers: &WorkersConfig) {
        if workers.retry_delay > workers.retry_delay_max {
            let first = render_duration(workers.retry_delay);
            let max = render_duration(workers.retry_delay_max);
            self.report_bounds(("workers.retry_delay", &first), ("workers.retry_delay_max", &max));
        }
    }

    fn check_queue_ratio(&mut self, scaling: &ScalingConfig) {
        if scaling.queue_low_percent >= scaling.queue_high_percent {
            let (low, high) =
                (scaling.queue_low_percent.to_string(), scaling.queue_high_percent.to_string());
            self.report_order(
                ("workers.scaling.queue_low_percent", &low),
                ("workers.scaling.queue_high_percent", &high),
            );
        }
    }

    /// Without any signal, nothing would ever wake the first worker.
    fn check_signals(&mut self, workers: &WorkersConfig) {
        let scaling = &workers.scaling;
        let keys = [
            ("workers.scaling.clients_threshold", scaling.clients_threshold == 0),
            ("workers.scaling.streams_threshold", scaling.streams_threshold == 0),
            ("workers.scaling.bitrate_threshold", scaling.bitrate_threshold.bits_per_second() == 0),
            ("workers.scaling.pending_threshold", scaling.pending_threshold == 0),
        ];
        if scaling.policy == ScalingPolicy::Threshold && keys.iter().all(|(_, off)| *off) {
            let names = keys.map(|(key, _)| key);
            let written = names.into_iter().find(|key| self.is_set(key)).unwrap_or(names[1]);
            if self.sound(&names) {
                let what = "no signal has a threshold".to_owned();
                self.report(written, what, "a threshold above 0, here or for another signal");
            }
        }
    }

    fn check_worker_ports(&mut self, config: &Config) {
        let (key, workers) = ("workers.listen", &config.workers);
        if !self.sound(&[key, "workers.max", "rtmp.listen", "http.listen"]) {
            return;
        }
        let Ok(count) = u16::try_from(workers.max) else { return };
        let first = workers.listen.port();
        let Some(last) = first.checked_add(count).filter(|_| first > 0) else {
            let expected = format!("a port from 1 to {}, for {count} workers", u16::MAX - count);
            return self.report(key, format!("the port is {first}"), expected);
        };
        let services = [("rtmp.listen", &config.rtmp.listen), ("http.listen", &config.http.listen)];
        for (other, listeners) in services {
            let taken = |listener: &&SocketAddr| {
                (first + 1..=last).contains(&listener.port())
                    && clash(**listener, SocketAddr::new(workers.listen.ip(), listener.port()))
            };
            if let Some(listener) = listeners.iter().find(taken) {
                let ports = format!("{} to {last}", first + 1);
                let what = format!("workers take the ports {ports}, and {other} has {listener}");
                self.report(key, what, "ports that nothing else listens on");
            }
        }
    }

    fn check_worker_apps(&mut self, config: &Config) {
        if !self.sound(&["workers.apps", "app"]) {
            return;
        }
        for (index, name) in config.workers.apps.iter().enumerate() {
            let path = format!("workers.apps[{index}]");
            if config.app(name).is_none() {
                let what = format!("there is no application {name:?}");
                self.report(&path, what, "the name of an [[app]]");
            } else if config.workers.apps.iter().take(index).any(|other| other == name) {
                self.report(&path, format!("{name:?} is named twice"), "each application once");
            }
        }
    }

    fn check_pipeline(&mut self, config: &Config) {
        let (workers, pipeline) = (&config.workers, &config.workers.pipeline);
        let (command, kind) = ("workers.pipeline.command", "workers.pipeline.kind");
        if !self.sound(&[command, kind]) {
            return;
        }
        let is_command = pipeline.kind == PipelineKind::Command;
        let program = pipeline.command.first();
        if is_command && program.is_none_or(String::is_empty) {
            let what = "kind \"command\" has no command".to_owned();
            self.report(command, what, "command = [\"PROGRAM\", \"ARGUMENT\"]");
        } else if !is_command && program.is_some() {
            let what = "a command that nothing runs".to_owned();
            self.report(command, what, format!("{kind} = \"command\", or no command"));
        }
        // Workers that others start, or that systemd starts with an environment of its own, may
        // know their upstream without us.
        let push_url = "workers.pipeline.push_url";
        let wants = !is_command || pipeline.command.iter().any(|one| one.contains("{output}"));
        if workers.backend == WorkerBackend::Process
            && wants
            && pipeline.push_url.is_empty()
            && self.sound(&[push_url])
        {
            let what = "workers have nowhere to push to".to_owned();
            let expected = "push_url = \"rtmp://HOST/APP\", or RTMP_PUSH_URL in the environment";
            self.report(push_url, what, expected);
        }
    }

    /// One stream has to fit an empty worker, or it would wait for ever.
    fn check_need(&mut self, workers: &WorkersConfig) {
        let (need, room) = (workers.pipeline.need(), workers.capacity.resources);
        let Resources { cpu_percent, memory_bytes, bitrate } = room;
        let rates = (need.bitrate.bits_per_second(), bitrate.bits_per_second());
        let figures = [
            ("cpu_percent", (need.cpu_percent as u64, cpu_percent as u64), render_plain as Render),
            ("memory", (need.memory_bytes, memory_bytes), render_size),
            ("bitrate", rates, render_rate),
        ];
        for (name, (need, room), render) in figures {
            let key = format!("workers.capacity.{name}");
            if room > 0 && need > room && self.sound(&[&key]) {
                let expected = format!("at least {}, which one stream needs", render(need));
                self.report(&key, format!("is {}", render(room)), expected);
            }
        }
    }
}

type Render = fn(u64) -> String;

fn render_plain(value: u64) -> String {
    value.to_string()
}
