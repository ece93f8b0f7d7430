//! The Kubernetes manifests against one another and against the relay: configurations, ports, probes,
//! times and limits. That each is well formed, `cargo xtask test --only manifests` checks.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use toml::Table;

use crate::support::machine;
use crate::support::packaging::{Trigger, documents, manifests, number, string};
use crate::support::relay::{BINARY, Relay};

const SCALED_OBJECTS: [&str; 2] =
    ["kubernetes/keda/prometheus.yaml", "kubernetes/keda/metrics-api.yaml"];
const NAMESPACE: &str = "edgerelay";

/// A Deployment and what goes with it in its file.
struct Component {
    name: &'static str,
    documents: Vec<Value>,
    /// Its configuration, with every key.
    config: Table,
}

impl Component {
    fn edge() -> Self {
        Self::read("kubernetes/edge.yaml", "edgerelay-edge")
    }

    fn worker() -> Self {
        Self::read("kubernetes/worker.yaml", "edgerelay-worker")
    }

    fn read(file: &str, name: &'static str) -> Self {
        let documents = documents(file);
        let map = find(&documents, "ConfigMap", name);
        let text = map.pointer("/data/edgerelay.toml").and_then(Value::as_str).expect("a file");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("edgerelay.toml");
        std::fs::write(&path, text).expect("write the configuration");
        let deployment = find(&documents, "Deployment", name);
        let variables = environment(container(deployment));
        let run = |arguments: &[&str]| {
            let mut command = Command::new(BINARY);
            command.args(arguments).arg("--config").arg(&path).envs(&variables);
            let output = command.output().expect("it runs");
            let (out, err) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
            assert!(output.status.success(), "{file}: {err}");
            assert_eq!(err, "", "{file}: warnings");
            String::from_utf8(out).expect("text")
        };
        assert!(run(&["check"]).starts_with("configuration OK"), "{file}");
        let config = run(&["config", "dump"]).parse().expect("TOML");
        Self { name, documents, config }
    }

    fn deployment(&self) -> &Value {
        find(&self.documents, "Deployment", self.name)
    }

    fn pod(&self) -> &Value {
        &self.deployment()["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        container(self.deployment())
    }

    /// The port that it listens on by its configuration.
    fn port(&self, section: &str) -> u64 {
        let listen = &self.config[section]["listen"].as_array().expect("a list")[0];
        let (address, port) =
            listen.as_str().and_then(|it| it.rsplit_once(':')).expect("an address");
        assert_eq!(address, "0.0.0.0", "{section}: others must reach it");
        port.parse().expect("a port")
    }
}

#[track_caller]
fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found =
        documents.iter().filter(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    let document = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "two of {kind} {name}");
    document
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

/// The environment of a container, with values in the place of references.
fn environment(container: &Value) -> BTreeMap<String, String> {
    let entries = container["env"].as_array().expect("a list");
    entries
        .iter()
        .map(|entry| {
            let name = string(entry, "/name").to_owned();
            let from = entry["valueFrom"].as_object().expect("a reference");
            let value = if from.contains_key("secretKeyRef") {
                "rtmp://upstream.example/live"
            } else {
                "edgerelay-worker-7d5c9f8b6d-x2x4q"
            };
            (name, value.to_owned())
        })
        .collect()
}

/// A duration as configurations and manifests of ours write it, seconds.
fn seconds(text: &str) -> u64 {
    let (count, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => panic!("a unit, not {other}"),
    };
    count.parse::<u64>().expect("a number") * unit
}

#[test]
fn pods_listen_where_services_probes_and_policies_look() {
    for component in [Component::edge(), Component::worker()] {
        let name = component.name;
        let ports = component.container()["ports"].as_array().expect("a list");
        let named: BTreeMap<&str, u64> =
            ports.iter().map(|it| (string(it, "/name"), number(it, "/containerPort"))).collect();
        let listens = [("rtmp", component.port("rtmp")), ("http", component.port("http"))];
        assert_eq!(named, BTreeMap::from(listens), "{name}");
        let labels = &component.deployment()["spec"]["template"]["metadata"]["labels"];
        assert_eq!(&component.deployment()["spec"]["selector"]["matchLabels"], labels, "{name}");
        let of_kind =
            |kind: &'static str| component.documents.iter().filter(move |it| it["kind"] == kind);
        for service in of_kind("Service") {
            assert_eq!(&service["spec"]["selector"], labels, "{name}");
            for port in service["spec"]["ports"].as_array().expect("a list") {
                let target = named.get(string(port, "/targetPort")).copied();
                assert_eq!(target, Some(number(port, "/port")), "{name}: one port throughout");
            }
        }
        for budget in of_kind("PodDisruptionBudget") {
            assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels, "{name}");
        }
        let policies = documents("kubernetes/networkpolicy.yaml");
        let policy = find(&policies, "NetworkPolicy", name);
        assert_eq!(&policy["spec"]["podSelector"]["matchLabels"], labels, "{name}");
        let rules = policy["spec"]["ingress"].as_array().expect("a list");
        let open: BTreeSet<u64> = rules.iter().map(|rule| number(rule, "/ports/0/port")).collect();
        assert_eq!(open, named.values().copied().collect(), "{name}");
    }
}

#[test]
fn probes_ask_for_what_the_relay_answers() {
    let _machine = machine::shared();
    let relay = Relay::start();
    for component in [Component::edge(), Component::worker()] {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let get = &component.container()[probe]["httpGet"];
            assert_eq!(get["port"], "http", "{probe}");
            assert_eq!(relay.ask(string(get, "/path")).status, 200, "{probe}");
        }
    }
}

#[test]
fn pods_are_given_the_time_that_they_take_to_go() {
    for component in [Component::edge(), Component::worker()] {
        let drain =
            seconds(component.config["node"]["drain_timeout"].as_str().expect("a duration"));
        let before = number(component.container(), "/lifecycle/preStop/sleep/seconds");
        let given = number(component.pod(), "/terminationGracePeriodSeconds");
        assert!(given >= before + drain + 10, "{}: {before} + {drain} of {given}", component.name);
    }
}

#[test]
fn pods_run_with_as_little_as_possible() {
    for component in [Component::edge(), Component::worker()] {
        let (pod, container) = (component.pod(), component.container());
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "Localhost");
        let within = &container["securityContext"];
        assert_eq!(within["allowPrivilegeEscalation"], false);
        assert_eq!(within["readOnlyRootFilesystem"], true);
        assert_eq!(within["capabilities"]["drop"], serde_json::json!(["ALL"]));
    }
}

#[test]
fn scalers_and_edges_agree_on_workers() {
    let (edge, worker) = (Component::edge(), Component::worker());
    let workers = &edge.config["workers"];
    let address = workers["addresses"].as_array().expect("a list")[0].as_str().expect("text");
    let port = worker.port("rtmp");
    assert_eq!(address, format!("{}.{NAMESPACE}.svc:{port}", worker.name));
    let service = find(&worker.documents, "Service", worker.name);
    assert_eq!(service["spec"]["clusterIP"], "None", "the name has every worker's address");
    let (max, capacity) = (&workers["max"], &workers["capacity"]["streams"]);
    let count = |value: &toml::Value| {
        u64::try_from(value.as_integer().expect("a number")).expect("not less than none")
    };
    for file in SCALED_OBJECTS {
        let scaled = &documents(file)[0];
        assert_eq!(scaled["spec"]["scaleTargetRef"]["name"], worker.name, "{file}");
        assert_eq!(number(scaled, "/spec/minReplicaCount"), 0, "{file}");
        assert!(number(scaled, "/spec/maxReplicaCount") <= count(max), "{file}");
        assert!(number(scaled, "/spec/cooldownPeriod") > 0, "{file}");
        assert_eq!(scaled["spec"].get("fallback"), None, "{file}: errors change nothing");
        for trigger in Trigger::all(file) {
            assert_eq!(trigger.activation(), 0.0, "{file}");
            if trigger.name == "streams" {
                assert_eq!(trigger.threshold(), count(capacity) as f64, "{file}");
            }
        }
    }
    let scaler = &documents("kubernetes/hpa/worker.yaml")[0];
    assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], worker.name);
    assert_eq!(
        string(scaler, "/spec/metrics/0/external/target/averageValue"),
        count(capacity).to_string()
    );
}

/// What KEDA 2 knows of these triggers; it passes over what it does not know.
fn known_to_keda(kind: &str) -> &'static [&'static str] {
    match kind {
        "prometheus" => {
            &["serverAddress", "query", "threshold", "activationThreshold", "ignoreNullValues"]
        }
        "metrics-api" => {
            &["url", "format", "valueLocation", "targetValue", "activationTargetValue"]
        }
        other => panic!("a trigger of kind {other}"),
    }
}

#[test]
fn triggers_tell_their_scalers_nothing_that_these_do_not_know() {
    let edge = Component::edge();
    let service = find(&edge.documents, "Service", "edgerelay-edge-http");
    let port = number(service, "/spec/ports/0/port");
    for trigger in SCALED_OBJECTS.into_iter().flat_map(Trigger::all) {
        let known = known_to_keda(&trigger.kind);
        assert!(trigger.keys().all(|key| known.contains(&key)), "{trigger:?}");
        if trigger.kind == "metrics-api" {
            let base = format!("http://edgerelay-edge-http.{NAMESPACE}.svc:{port}/");
            assert!(trigger.told("url").starts_with(&base), "{trigger:?}");
        }
    }
}

#[test]
fn all_of_it_is_in_one_namespace() {
    for file in manifests("kubernetes") {
        for document in documents(&file) {
            let of = if document["kind"] == "Namespace" { "name" } else { "namespace" };
            assert_eq!(document["metadata"][of], NAMESPACE, "{file}");
        }
    }
}
