//! What scalers of Kubernetes are told: the queries and addresses of the KEDA manifests, put to a real
//! Prometheus and to the relay, against what the relay itself shows.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::eventually::{eventually, throughout};
use crate::support::ffmpeg::{Player, publish_looped};
use crate::support::fleet;
use crate::support::http::ask;
use crate::support::machine;
use crate::support::media::Clip;
use crate::support::nginx::Nginx;
use crate::support::packaging::{Trigger, documents};
use crate::support::prometheus::Prometheus;
use crate::support::relay::{Relay, Settings};

const LIMIT: Duration = Duration::from_secs(30);
/// As `packaging/prometheus/prometheus.yml` calls them.
const EDGES: &str = "edgerelay-edge";
const WORKERS: &str = "edgerelay-worker";

/// An edge whose one worker is yet to come, and who looks at them.
struct Scene {
    edge: Relay,
    worker: Settings,
    prometheus: Prometheus,
    triggers: Vec<Trigger>,
    _upstream: Nginx,
}

impl Scene {
    fn start() -> Self {
        let upstream = Nginx::start();
        let worker = Settings::new()
            .node("role = \"worker\"")
            .workers(&format!("pipeline.push_url = \"{}\"", upstream.base()))
            .max_workers(1);
        let edge = Settings::new()
            .node("role = \"edge\"")
            .workers("backend = \"static\"")
            .workers(&format!("addresses = [\"{}\"]", worker.rtmp_address()))
            .max_workers(2)
            .start();
        let jobs = [(EDGES, edge.http_address()), (WORKERS, worker.http_address())];
        let prometheus = Prometheus::start(&jobs);
        let files = ["kubernetes/keda/prometheus.yaml", "kubernetes/keda/metrics-api.yaml"];
        let triggers = files.into_iter().flat_map(Trigger::all).collect();
        Self { edge, worker, prometheus, triggers, _upstream: upstream }
    }

    /// What KEDA would read by each trigger. None: an error, which leaves the workers as they are.
    fn read(&self) -> Vec<Option<f64>> {
        self.triggers.iter().map(|trigger| self.read_one(trigger)).collect()
    }

    fn read_one(&self, trigger: &Trigger) -> Option<f64> {
        match &*trigger.kind {
            "prometheus" => {
                let values = self.prometheus.query(trigger.told("query"));
                only_value(trigger, &values)
            }
            "metrics-api" => {
                let (_, path) = trigger.told("url").split_once(".svc:8080").expect("a Service");
                let answer = ask(self.edge.http_address(), path)?;
                assert_eq!(answer.status, 200, "{}", answer.body);
                let body: Value = serde_json::from_str(&answer.body).expect("JSON");
                let mut steps = trigger.told("valueLocation").split('.');
                steps.try_fold(&body, |value, key| value.get(key))?.as_f64()
            }
            other => panic!("a trigger of kind {other}"),
        }
    }

    /// Waits until all triggers of a name read what the API shows, which is this.
    #[track_caller]
    fn wait_until_all_read(&self, clients: usize, streams: usize) {
        let expected = self.expected(clients, streams);
        let what = format!("every scaler to read {clients} clients and {streams} streams");
        eventually(&what, LIMIT, || (self.read() == expected).then_some(()));
        // The lists are gathered a few times per second, the metrics are counted as things happen.
        let what = format!("the API to show {clients} clients and {streams} streams");
        eventually(&what, LIMIT, || (self.shown() == (clients, streams)).then_some(()));
        for (trigger, value) in self.triggers.iter().zip(expected) {
            let value = value.expect("a number");
            assert_eq!(
                value > trigger.activation(),
                value > 0.0,
                "{trigger:?} wakes with the first"
            );
            println!("{} {}: {value}", trigger.kind, trigger.name);
        }
    }

    fn expected(&self, clients: usize, streams: usize) -> Vec<Option<f64>> {
        let values = BTreeMap::from([("clients", clients as f64), ("streams", streams as f64)]);
        self.triggers.iter().map(|trigger| values.get(&*trigger.name).copied()).collect()
    }

    /// Publishers and players of the application `live`, and published streams, in the lists of the
    /// edge's API.
    fn shown(&self) -> (usize, usize) {
        let list = |path: &str, key: &str| {
            let body: Value = serde_json::from_str(&self.edge.ask(path).body).expect("JSON");
            body[key].as_array().expect("a list").clone()
        };
        let clients = list("/api/v1/clients", "clients");
        let counted = ["publish", "play"];
        let clients = clients.iter().filter(|it| counted.iter().any(|role| it["role"] == *role));
        let streams = list("/api/v1/streams", "streams");
        let streams = streams.iter().filter(|it| it["publishing"] == true);
        (clients.count(), streams.count())
    }

    /// What Prometheus knows of a metric, summed.
    fn known(&self, series: &str) -> f64 {
        self.prometheus.query(&format!("sum({series})")).into_iter().sum()
    }

    #[track_caller]
    fn wait_until_known(&self, series: &str, value: f64) {
        eventually(series, LIMIT, || (self.known(series) == value).then_some(()));
    }
}

/// What KEDA makes of an answer: one series is the value, none is an error if it is told so.
fn only_value(trigger: &Trigger, values: &[f64]) -> Option<f64> {
    assert!(values.len() <= 1, "{trigger:?} has several values, {values:?}");
    assert_eq!(trigger.told("ignoreNullValues"), "false", "no value would read as zero");
    values.first().copied()
}

#[test]
fn scalers_read_what_the_relay_shows_and_legs_to_workers_are_no_clients() {
    let _machine = machine::shared();
    let scene = Scene::start();
    scene.wait_until_all_read(0, 0);
    let url = |name| scene.edge.url(name);
    let publishers = ["a", "b"].map(|name| publish_looped(Clip::Plain.path(), &url(name)));
    let mut players = ["a", "a", "b"].map(|name| Player::start(&url(name)));
    for player in &mut players {
        player.wait_for_frames(1, LIMIT);
    }
    scene.wait_until_all_read(5, 2);
    assert_eq!(fleet::workers(&scene.edge), Vec::<fleet::Worker>::new(), "no worker yet");

    let worker = scene.worker.clone().start();
    for name in ["a", "b"] {
        fleet::wait_for_state(&scene.edge, name, "relaying", LIMIT);
    }
    // Now the edge has two more connections, and the worker two publishers and two pushes.
    let legs = format!("edgerelay_connections{{job=\"{EDGES}\",role=\"worker\"}}");
    scene.wait_until_known(&legs, 2.0);
    scene.wait_until_known(&format!("nginx_rtmp_nclients{{job=\"{WORKERS}\"}}"), 2.0);
    scene.wait_until_known(&format!("rtmp_streams_active{{job=\"{WORKERS}\"}}"), 2.0);
    let expected = scene.expected(5, 2);
    throughout("legs being no clients", Duration::from_secs(2), || scene.read() == expected);

    drop(players);
    scene.wait_until_all_read(2, 2);
    drop(publishers);
    scene.wait_until_all_read(0, 0);
    drop(worker);
}

/// A pod, as Prometheus finds it: its component, its phase, and whether it is one of ours.
fn pod(server: &Relay, component: &str, phase: &str, name: &str) -> Value {
    json!({"targets": [server.http_address()], "labels": {
        "__meta_kubernetes_pod_name": format!("{component}-{phase}"),
        "__meta_kubernetes_pod_phase": phase,
        "__meta_kubernetes_pod_container_port_name": "http",
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": name,
        "__meta_kubernetes_pod_label_app_kubernetes_io_component": component,
    }})
}

#[test]
fn pods_are_scraped_under_the_names_that_queries_and_alerts_use() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let mut config = documents("prometheus/kubernetes.yml").swap_remove(0);
    config["global"] = json!({"scrape_interval": "500ms"});
    let job = config["scrape_configs"][0].as_object_mut().expect("a job");
    // Debian's Prometheus cannot ask Kubernetes for pods. What becomes of them is the same.
    job.remove("kubernetes_sd_configs").expect("pods are found");
    let pods = [
        pod(&relay, "edge", "Running", "edgerelay"),
        pod(&relay, "worker", "Running", "edgerelay"),
        pod(&relay, "worker", "Succeeded", "edgerelay"),
        pod(&relay, "edge", "Running", "another"),
    ];
    job.insert("static_configs".to_owned(), pods.as_slice().into());
    // JSON is YAML, too.
    let prometheus = Prometheus::start_with(&config.to_string());
    for (job, instance) in [(EDGES, "edge-Running"), (WORKERS, "worker-Running")] {
        let query = format!("up{{job=\"{job}\",instance=\"{instance}\",platform=\"kubernetes\"}}");
        eventually(&query, LIMIT, || (prometheus.query(&query) == [1.0]).then_some(()));
    }
    assert_eq!(prometheus.query("count(up)"), [2.0]);
}

#[test]
fn an_edge_that_falls_silent_takes_no_worker_away() {
    let _machine = machine::shared();
    let mut scene = Scene::start();
    let _publisher = publish_looped(Clip::Plain.path(), &scene.edge.url("a"));
    scene.wait_until_all_read(1, 1);
    scene.edge.signal(Signal::KILL);
    scene.edge.wait(LIMIT);
    scene.wait_until_known(&format!("up{{job=\"{EDGES}\"}}"), 0.0);
    for trigger in &scene.triggers {
        let now = scene.read_one(trigger);
        if trigger.kind == "prometheus" {
            assert_eq!(now, Some(1.0), "{trigger:?} goes on with what it knew");
            let later = Duration::from_secs(180);
            let later = scene.prometheus.query_ahead(trigger.told("query"), later);
            assert_eq!(only_value(trigger, &later), None, "{trigger:?} knows nothing any more");
        } else {
            assert_eq!(now, None, "{trigger:?} knows nothing");
        }
    }
}
