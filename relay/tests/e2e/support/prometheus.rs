//! A real Prometheus that scrapes what a test tells it to, and answers its queries.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::eventually::eventually;
use super::http::ask;
use super::ports::free_address;
use super::process::Process;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running Prometheus.
pub(crate) struct Prometheus {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes each job's server twice a second.
    #[track_caller]
    pub(crate) fn start(jobs: &[(&str, SocketAddr)]) -> Self {
        let mut text = "global:\n  scrape_interval: 500ms\nscrape_configs:\n".to_owned();
        for (job, server) in jobs {
            writeln!(text, "- job_name: {job}\n  static_configs: [{{targets: ['{server}']}}]")
                .expect("writing to a string");
        }
        Self::start_with(&text)
    }

    /// Starts one with this configuration.
    #[track_caller]
    pub(crate) fn start_with(text: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, text).expect("write prometheus.yml");
        let address = free_address();
        let mut command = Command::new("prometheus");
        command.arg("--config.file").arg(&file);
        command.arg("--storage.tsdb.path").arg(folder.path().join("data"));
        command.args(["--log.level=warn", &format!("--web.listen-address={address}")]);
        let mut process = Process::start(&mut command);
        eventually("Prometheus to be ready", START_LIMIT, || {
            assert!(process.ended().is_none(), "Prometheus ended: {}", process.stderr());
            ask(address, "/-/ready").filter(|answer| answer.status == 200)
        });
        Self { process, address, _folder: folder }
    }

    /// The values that `query` has now, one for each series.
    #[track_caller]
    pub(crate) fn query(&self, query: &str) -> Vec<f64> {
        self.values(&format!("query={}", escaped(query)))
    }

    /// The values that `query` will have `ahead` from now, if nothing more comes in.
    #[track_caller]
    pub(crate) fn query_ahead(&self, query: &str, ahead: Duration) -> Vec<f64> {
        let now = *self.query("time()").first().expect("it has a clock");
        let then = now + ahead.as_secs_f64();
        self.values(&format!("query={}&time={then}", escaped(query)))
    }

    #[track_caller]
    fn values(&self, arguments: &str) -> Vec<f64> {
        let path = format!("/api/v1/query?{arguments}");
        let answer = ask(self.address, &path).unwrap_or_else(|| {
            panic!("Prometheus answers {path}: {}", self.process.stderr());
        });
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["status"], "success", "{path}: {body}");
        let value = |it: &Value| it[1].as_str().and_then(|text| text.parse().ok());
        let result = &body["data"]["result"];
        match body["data"]["resultType"].as_str() {
            Some("scalar") => value(result).into_iter().collect(),
            Some("vector") => {
                let series = result.as_array().expect("a list of series").iter();
                series.map(|it| value(&it["value"]).expect("a value")).collect()
            }
            _ => panic!("neither a scalar nor a vector: {body}"),
        }
    }
}

/// A text as a part of a URL.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
