//! Alert rules and the dashboard: that they hold what they promise, and ask for nothing that the relay does
//! not export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use edgerelay::telemetry::{METRICS, MetricKind};
use serde_json::Value;

use crate::support::machine;
use crate::support::packaging::{Trigger, documents, path, string, text};
use crate::support::prometheus::Prometheus;
use crate::support::promql::selectors;
use crate::support::relay::Relay;

const RULES: &str = "prometheus/edgerelay.rules.yml";
const RULE_TESTS: &str = "prometheus/edgerelay.test.yml";
const DASHBOARD: &str = "grafana/edgerelay.json";

/// Labels that Prometheus gives to a target, by the configurations beside the rules.
const TARGET_LABELS: [&str; 3] = ["job", "instance", "platform"];

fn promtool(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("promtool");
    command.current_dir(folder).args(arguments).output().expect("start promtool")
}

#[track_caller]
fn promtool_agrees(arguments: &[&str]) {
    let output = promtool(&path("prometheus"), arguments);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    println!("promtool {arguments:?}: {said}");
}

/// The alert rules: name and the rule.
fn alerts() -> BTreeMap<String, Value> {
    let rules = documents(RULES);
    let groups = rules[0]["groups"].as_array().expect("a list of groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("a list of rules"));
    rules.map(|rule| (string(rule, "/alert").to_owned(), rule.clone())).collect()
}

#[test]
fn prometheus_takes_the_rules_and_their_tests_pass() {
    promtool_agrees(&["check", "rules", "edgerelay.rules.yml"]);
    promtool_agrees(&["check", "config", "prometheus.yml"]);
    promtool_agrees(&["test", "rules", "edgerelay.test.yml"]);
}

#[test]
fn every_alert_is_shown_to_fire_and_not_to() {
    let tests = documents(RULE_TESTS);
    let tests = tests[0]["tests"].as_array().expect("a list of tests").iter();
    let cases = tests.flat_map(|test| test["alert_rule_test"].as_array().expect("a list"));
    let mut shown = BTreeSet::new();
    for case in cases {
        let fires = !case["exp_alerts"].as_array().expect("a list").is_empty();
        shown.insert((string(case, "/alertname").to_owned(), fires));
    }
    let all = alerts().into_keys().flat_map(|name| [(name.clone(), false), (name, true)]);
    assert_eq!(shown, all.collect());
}

#[test]
fn an_alert_that_never_fires_or_always_does_fails_its_tests() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in alerts().keys() {
        // Its own tests alone: the others only take time.
        let mut tests = documents(RULE_TESTS).swap_remove(0);
        let list = tests["tests"].as_array_mut().expect("a list of tests");
        list.retain(|test| test["alert_rule_test"][0]["alertname"] == **name);
        assert!(!list.is_empty(), "{name}");
        std::fs::write(folder.path().join("tests.yml"), tests.to_string()).expect("write");
        let always = "up >= 0 or rtmp_streams_active >= 0 or vector(1)";
        for instead in [None, Some("vector(0) > 1"), Some(always)] {
            let mut rules = documents(RULES).swap_remove(0);
            let groups = rules["groups"].as_array_mut().expect("a list of groups");
            for group in groups {
                for rule in group["rules"].as_array_mut().expect("a list of rules") {
                    if rule["alert"] == **name
                        && let Some(instead) = instead
                    {
                        rule["expr"] = instead.into();
                    }
                }
            }
            // JSON is YAML, too.
            let file = folder.path().join("edgerelay.rules.yml");
            std::fs::write(file, rules.to_string()).expect("write");
            let output = promtool(folder.path(), &["test", "rules", "tests.yml"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), instead.is_none(), "{name} {instead:?}: {said}");
        }
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for (name, rule) in alerts() {
        let severity = string(&rule, "/labels/severity");
        assert!(["info", "warning", "critical"].contains(&severity), "{name}");
        for text in ["/annotations/summary", "/annotations/description"] {
            assert!(!string(&rule, text).is_empty(), "{name}");
        }
    }
}

#[test]
fn the_book_lists_exactly_the_alerts() {
    let book = include_str!("../../../docs/metrics.md");
    let rows = book.lines().filter_map(|line| line.strip_prefix("| Edgerelay"));
    let listed: BTreeSet<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split(" | ").map(str::to_owned);
            let name = cells.next().expect("a name");
            (format!("Edgerelay{name}"), cells.next().expect("a severity"))
        })
        .collect();
    let rules = alerts().into_iter();
    let rules = rules.map(|(name, rule)| (name, string(&rule, "/labels/severity").to_owned()));
    assert_eq!(listed, rules.collect());
}

/// Every expression that Prometheus is to be asked, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = alerts()
        .into_iter()
        .map(|(name, rule)| (name, string(&rule, "/expr").to_owned()))
        .collect();
    let file = "kubernetes/keda/prometheus.yaml";
    let queries = Trigger::all(file).into_iter();
    found.extend(queries.map(|it| (file.to_owned(), it.told("query").to_owned())));
    let rule = text("kubernetes/hpa/worker.yaml");
    let (_, rest) = rule.split_once("metricsQuery: '").expect("a query for the adapter");
    let (query, _) = rest.split_once('\'').expect("its end");
    found.push(("kubernetes/hpa/worker.yaml".to_owned(), query.to_owned()));
    found.extend(dashboard());
    found
}

/// The expressions of the dashboard, its variables filled in.
fn dashboard() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let mut found = Vec::new();
    let panels = dashboard["panels"].as_array().expect("a list of panels").iter();
    let notes = dashboard["annotations"]["list"].as_array().expect("a list").iter();
    for part in panels.chain(notes) {
        let title = part["title"].as_str().or(part["name"].as_str()).expect("a title");
        let targets = part["targets"].as_array().into_iter().flatten();
        let expressions = targets.chain([part]).filter_map(|it| it["expr"].as_str());
        found.extend(expressions.map(|it| (title.to_owned(), filled_in(it))));
    }
    for variable in dashboard["templating"]["list"].as_array().expect("a list") {
        if let Some(query) = variable["definition"].as_str() {
            let inner = query.strip_prefix("label_values(").and_then(|it| it.rsplit_once(", "));
            let (series, _label) = inner.expect("a list of values");
            found.push((string(variable, "/name").to_owned(), filled_in(series)));
        }
    }
    assert!(found.len() > 40, "a dashboard, not {found:?}");
    found
}

fn filled_in(expression: &str) -> String {
    let variables = [("$__rate_interval", "1m"), ("$job", "edgerelay-.+"), ("$instance", ".+")];
    let text = expression.to_owned();
    variables.into_iter().fold(text, |text, (name, value)| text.replace(name, value))
}

#[test]
fn expressions_name_only_what_the_relay_exports() {
    for (place, expression) in expressions() {
        let selectors = selectors(&expression);
        assert!(!selectors.is_empty(), "{place}: {expression}");
        for selector in selectors {
            let parts = ["_bucket", "_sum", "_count"];
            let name = &*selector.metric;
            let histogram = parts.iter().find_map(|part| name.strip_suffix(part));
            let metric = METRICS.iter().find(|metric| {
                let is_part =
                    metric.kind == MetricKind::Histogram && histogram == Some(metric.name);
                metric.name == name || is_part
            });
            // Prometheus' own word for whether a target answers.
            let labels = if name == "up" {
                &[][..]
            } else {
                let metric = metric.unwrap_or_else(|| panic!("{place}: no metric {name}"));
                metric.labels
            };
            for label in &selector.labels {
                let known = labels.contains(&&**label) || TARGET_LABELS.contains(&&**label);
                assert!(known, "{place}: {name} has no label {label}");
            }
        }
    }
}

#[test]
fn prometheus_understands_every_expression() {
    let _machine = machine::shared();
    let relay = Relay::start();
    let prometheus = Prometheus::start(&[("edgerelay-edge", relay.http_address())]);
    for (place, expression) in expressions() {
        println!("{place}: {:?}", prometheus.query(&expression));
    }
}
