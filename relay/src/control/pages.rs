//! Which path answers with what. All are reads but those of operators' wishes, which the
//! control socket alone answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::access::Access;
use super::api::{Clients, Ready, Streams, shards_missing};
use super::collector::Collector;
use super::merge::NodeSnapshot;
use super::work::Workers;
use super::{ControlHandle, stat};
use crate::config::Role;
use crate::id::{StreamKey, WorkerId};
use crate::message::{Wish, WishRefused, WorkRequest};
use crate::telemetry::ShardCounters;
use crate::telemetry::counters::Counter;
use crate::telemetry::exposition::{self, NodeFacts};
use crate::telemetry::process::ProcessUsage;

/// From the request's head to the answer's. Longer than two waits for shards: the one under way when
/// the request came, and its own.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Names the shards whose part is missing from an answer.
const SHARDS_MISSING: &str = "x-edgerelay-shards-missing";

/// What a path answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Alive,
    Ready,
    Health,
    Stat,
    Streams,
    Clients,
    Workers,
    Scaler,
    Description,
}

/// Every path.
pub(super) const PAGES: [(&str, Page); 12] = [
    ("/metrics", Page::Metrics),
    ("/healthz", Page::Alive),
    ("/readyz", Page::Ready),
    ("/health", Page::Health),
    ("/stat", Page::Stat),
    ("/rtmp_stat", Page::Stat),
    ("/stats", Page::Stat),
    ("/api/v1/streams", Page::Streams),
    ("/api/v1/clients", Page::Clients),
    ("/api/v1/workers", Page::Workers),
    ("/api/v1/scaler", Page::Scaler),
    ("/api/v1/openapi.json", Page::Description),
];

/// Has the node read its configuration again, for those who may change something.
pub(super) const RELOAD: &str = "/api/v1/reload";
/// Drains a worker, for them.
pub(super) const DRAIN: &str = "/api/v1/workers/{id}/drain";
/// Has a stream that failed tried again, for them.
pub(super) const RETRY: &str = "/api/v1/streams/{app}/{name}/retry";

/// What somebody who may not change anything is told.
const SOCKET_ALONE: &str = "the control socket alone takes this";
/// What is answered where nobody is left to ask.
const ENDING: &str = "the node is about to end";

/// What the pages are made from.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) handle: ControlHandle,
    pub(super) collector: Collector,
}

/// The service for one node.
pub(super) fn router(node: Arc<Node>) -> Router {
    let reload = |State(node): State<Arc<Node>>| async move { node.reload().await };
    let drain = |State(node): State<Arc<Node>>, Path(worker): Path<u16>| async move {
        node.wish(Wish::DrainWorker(WorkerId(worker))).await
    };
    let retry = |State(node): State<Arc<Node>>, Path((app, name)): Path<(String, String)>| async move {
        node.wish(Wish::RetryStream(StreamKey::new(&app, &name))).await
    };
    let mut router = Router::new()
        .route(RELOAD, post(reload).route_layer(middleware::from_fn(changing)))
        .route(DRAIN, post(drain).route_layer(middleware::from_fn(changing)))
        .route(RETRY, post(retry).route_layer(middleware::from_fn(changing)));
    for (path, page) in PAGES {
        let answer = move |State(node): State<Arc<Node>>| async move { node.answer(page).await };
        router = router.route(path, get(answer));
    }
    router
        .fallback(async || error(StatusCode::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "this path does not answer that method")
        })
        .layer(middleware::from_fn(bounded))
        .with_state(node)
}

/// Refuses a body, which no page takes, and bounds the time to the answer.
async fn bounded(request: Request, next: Next) -> Response {
    if !request.body().is_end_stream() {
        let mut refusal = error(StatusCode::PAYLOAD_TOO_LARGE, "no path here takes a body");
        refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return refusal;
    }
    match timeout(ANSWER_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the node did not answer in time"),
    }
}

/// Lets through who may change something.
async fn changing(request: Request, next: Next) -> Response {
    match request.extensions().get::<Access>() {
        Some(Access::All) => next.run(request).await,
        _ => error(StatusCode::FORBIDDEN, SOCKET_ALONE),
    }
}

fn error(status: StatusCode, message: &'static str) -> Response {
    (status, Json(BTreeMap::from([("error", message)]))).into_response()
}

impl Node {
    async fn answer(&self, page: Page) -> Response {
        match page {
            Page::Alive => "ok\n".into_response(),
            Page::Ready => self.ready(),
            Page::Description => {
                ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
                    .into_response()
            }
            Page::Workers => {
                let backend = self.handle.config.borrow().workers.backend;
                Json(Workers::new(backend, &self.handle.work.borrow())).into_response()
            }
            Page::Scaler => self.scaler(),
            Page::Metrics | Page::Health | Page::Stat | Page::Streams | Page::Clients => {
                let snapshot = self.collector.snapshot().await;
                let mut response = self.describe(page, &snapshot);
                if let Some(missing) = missing_header(&snapshot) {
                    response.headers_mut().insert(SHARDS_MISSING, missing);
                }
                response
            }
        }
    }

    fn describe(&self, page: Page, snapshot: &NodeSnapshot) -> Response {
        match page {
            Page::Metrics => {
                let text = exposition::render(&self.handle.counters, &self.facts(snapshot));
                ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response()
            }
            Page::Stat => {
                let config = self.handle.config.borrow();
                let applications = config.apps.iter().map(|app| app.name.as_str());
                let text = stat::render(snapshot, applications, self.totals());
                ([(header::CONTENT_TYPE, stat::CONTENT_TYPE)], text).into_response()
            }
            Page::Streams => {
                Json(Streams::new(snapshot, &self.handle.work.borrow())).into_response()
            }
            Page::Clients => Json(Clients::from(snapshot)).into_response(),
            _ => Json(self.health(snapshot)).into_response(),
        }
    }

    async fn reload(&self) -> Response {
        let (tell, report) = oneshot::channel();
        if self.handle.reload.send(tell).await.is_err() {
            return error(StatusCode::SERVICE_UNAVAILABLE, ENDING);
        }
        match report.await {
            Ok(report) => Json(report).into_response(),
            Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, ENDING),
        }
    }

    async fn wish(&self, wish: Wish) -> Response {
        let (tell, begun) = oneshot::channel();
        if self.handle.work_requests.send(WorkRequest { wish, tell }).await.is_err() {
            return error(StatusCode::CONFLICT, "this node has no workers");
        }
        match begun.await {
            Ok(Ok(())) => Json(serde_json::Map::new()).into_response(),
            Ok(Err(WishRefused::Unknown(why))) => error(StatusCode::NOT_FOUND, why),
            Ok(Err(WishRefused::NotNow(why))) => error(StatusCode::CONFLICT, why),
            Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, ENDING),
        }
    }

    fn ready(&self) -> Response {
        let ready = Ready::from(&*self.handle.readiness);
        let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(ready)).into_response()
    }

    fn scaler(&self) -> Response {
        let scaler = self.handle.work.borrow().scaler.clone();
        match scaler {
            Some(scaler) => Json(&*scaler).into_response(),
            None => Json(serde_json::Map::new()).into_response(),
        }
    }

    fn facts(&self, snapshot: &NodeSnapshot) -> NodeFacts {
        let (readiness, config) = (&self.handle.readiness, self.handle.config.borrow().clone());
        let workers = &config.workers;
        NodeFacts {
            shards: readiness.shards_expected(),
            shards_up: readiness.shards_up(),
            shards_silent: snapshot.shards_missing.len(),
            draining: readiness.draining(),
            ebpf_attached: readiness.ebpf_attached(),
            clients_by_application: self.clients_by_application(snapshot),
            kernel: self.handle.ledger.totals(),
            work: self.handle.work_counters.counts(),
            workers_max: if workers.backend.is_on() { workers.max } else { 0 },
            reloads: self.handle.reloads.counts(),
            process: ProcessUsage::read(),
        }
    }

    /// With every configured application, so that a scaler reads zero rather than nothing.
    fn clients_by_application(&self, snapshot: &NodeSnapshot) -> BTreeMap<String, u64> {
        let config = self.handle.config.borrow();
        let configured = config.apps.iter().map(|app| (app.name.clone(), 0));
        let counted = snapshot.clients_by_application.iter();
        configured.chain(counted.map(|(app, clients)| (app.to_string(), *clients))).collect()
    }

    fn totals(&self) -> stat::Totals {
        let sum = |read: fn(&ShardCounters) -> &Counter| {
            let totals = self.handle.counters.iter().map(|shard| read(shard).total());
            totals.fold(0, u64::wrapping_add)
        };
        stat::Totals {
            pid: std::process::id(),
            uptime_seconds: self.handle.started.elapsed().as_secs(),
            accepted: sum(|shard| &shard.connections_accepted),
            bytes_in: sum(|shard| &shard.bytes_in),
            bytes_out: sum(|shard| &shard.bytes_out),
        }
    }

    /// Streams being published. From the counters, so that a silent shard takes none away: a scaler
    /// reads this.
    fn streams(&self) -> u64 {
        self.handle.counters.iter().map(|shard| shard.streams_active.value()).sum()
    }

    fn health(&self, snapshot: &NodeSnapshot) -> Health {
        let (config, readiness) = (self.handle.config.borrow(), &self.handle.readiness);
        let status = if readiness.draining() {
            "draining"
        } else if !readiness.is_ready() {
            "starting"
        } else if !snapshot.shards_missing.is_empty() {
            "degraded"
        } else {
            "ok"
        };
        let clients_by_application = self.clients_by_application(snapshot);
        Health {
            status,
            node: config.node.name.clone(),
            role: match config.node.role {
                Role::Edge => "edge",
                Role::Worker => "worker",
                Role::Standalone => "standalone",
            },
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.handle.started.elapsed().as_secs(),
            shards: readiness.shards_expected(),
            shards_up: readiness.shards_up(),
            shards_missing: shards_missing(snapshot),
            streams: self.streams(),
            clients: clients_by_application.values().sum(),
            connections: snapshot.clients().count(),
            clients_by_application,
        }
    }
}

/// `/health`: the node in a few numbers, which a scaler can read.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    node: String,
    role: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    shards: usize,
    shards_up: usize,
    shards_missing: Vec<u16>,
    streams: u64,
    clients: u64,
    connections: usize,
    clients_by_application: BTreeMap<String, u64>,
}

fn missing_header(snapshot: &NodeSnapshot) -> Option<HeaderValue> {
    if snapshot.shards_missing.is_empty() {
        return None;
    }
    let numbers: Vec<String> = snapshot.shards_missing.iter().map(ToString::to_string).collect();
    HeaderValue::from_str(&numbers.join(",")).ok()
}
