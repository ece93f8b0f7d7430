//! Workers as systemd units, `edgerelay-worker@N.service`: started and stopped over D-Bus, ready when
//! systemd says that they are. They are systemd's, so they outlive this node, which finds them again.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use zbus::Proxy;
use zbus::connection::Builder;
use zbus::zvariant::OwnedObjectPath;

use crate::config::Config;
use crate::id::WorkerId;
use crate::placement::{Input, Loss, Stop};

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// In place of another job for the same unit.
const REPLACE: &str = "replace";

/// How often systemd is asked for the units.
const LOOK: Duration = Duration::from_millis(250);
/// Pause before systemd is tried again that could not be reached.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);
/// What the message bus, and then systemd, have for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a unit that was told to start may be shown as stopped, if it was not seen to start.
const START_SHOWN_AFTER: Duration = Duration::from_secs(3);
/// `SIGKILL`, as `KillUnit` takes it.
const KILL: i32 = 9;
/// Orders waiting for the connection.
const ORDERS_MAX: usize = 256;

/// One unit as `ListUnitsByPatterns` describes it.
type Unit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// The workers that systemd runs.
#[derive(Debug)]
pub(super) struct SystemdBackend {
    config: Arc<Config>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Start(WorkerId),
    Stop(WorkerId, Stop),
}

impl SystemdBackend {
    pub(super) fn new(config: Arc<Config>, inputs: mpsc::Sender<Input>) -> Self {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let units = Units { unit: config.workers.unit.clone(), known: BTreeMap::new() };
        let task = tokio::spawn(serve(units, taken, inputs));
        Self { config, orders, task }
    }

    pub(super) fn start(&mut self, worker: WorkerId) {
        self.order(Order::Start(worker));
    }

    pub(super) fn stop(&mut self, worker: WorkerId, stop: Stop) {
        self.order(Order::Stop(worker, stop));
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            // The placement's time-outs say the rest.
            tracing::error!(?order, "systemd is not reached, and too much waits for it");
        }
    }

    pub(super) fn address(&self, worker: WorkerId) -> Option<String> {
        self.config.worker_address(u32::from(worker.0)).map(|address| address.to_string())
    }

    /// The node ends, and its workers do not.
    pub(super) fn shut_down(&mut self) {
        self.task.abort();
    }
}

/// What is known of the units.
#[derive(Debug)]
struct Units {
    unit: String,
    known: BTreeMap<WorkerId, Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was told to start, and perhaps seen to.
    Starting { since: Instant, seen: bool },
    /// The placement knows that it is ready.
    Ready,
}

impl Units {
    fn name(&self, worker: WorkerId) -> String {
        format!("{}@{worker}.service", self.unit)
    }

    fn worker(&self, name: &str) -> Option<WorkerId> {
        let rest = name.strip_prefix(&self.unit)?.strip_prefix('@')?;
        rest.strip_suffix(".service")?.parse().ok().filter(|number| *number > 0).map(WorkerId)
    }

    /// Takes in which units there are, by name and active state, and says what that means.
    fn on_list<'a>(
        &mut self,
        now: Instant,
        units: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<Input> {
        let states: BTreeMap<WorkerId, &str> = units
            .into_iter()
            .filter_map(|(name, state)| Some((self.worker(name)?, state)))
            .collect();
        let mut news = Vec::new();
        for (worker, known) in std::mem::take(&mut self.known) {
            let state = states.get(&worker).copied().unwrap_or("inactive");
            let is_up = matches!(state, "active" | "reloading" | "refreshing");
            let lost = |loss| {
                let detail = format!("systemd says that it is {state}");
                Input::WorkerLost { worker, loss, detail }
            };
            match known {
                Known::Starting { .. } if is_up => {
                    news.push(Input::WorkerReady { worker, room: None });
                    self.known.insert(worker, Known::Ready);
                }
                Known::Starting { since, seen } => {
                    // One that failed may be forgotten at once, and then is shown as stopped, too.
                    let shown_late = !seen && now - since < START_SHOWN_AFTER;
                    let starts = match state {
                        "activating" => true,
                        // What stops starts after that. The placement does not wait for ever.
                        "deactivating" => !seen,
                        "inactive" => shown_late,
                        _ => false,
                    };
                    if starts {
                        let seen = seen || state == "activating";
                        self.known.insert(worker, Known::Starting { since, seen });
                    } else {
                        news.push(lost(Loss::StartFailed));
                    }
                }
                Known::Ready if is_up || state == "deactivating" => {
                    self.known.insert(worker, known);
                }
                Known::Ready => news.push(lost(Loss::Exited)),
            }
        }
        for (worker, state) in states {
            if state == "active" && !self.known.contains_key(&worker) {
                self.known.insert(worker, Known::Ready);
                news.push(Input::WorkerFound { worker, room: None, streams: Vec::new() });
            }
        }
        news
    }
}

/// Keeps the connection to systemd up.
async fn serve(mut units: Units, mut orders: mpsc::Receiver<Order>, inputs: mpsc::Sender<Input>) {
    loop {
        match converse(&mut units, &mut orders, &inputs).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "systemd cannot be reached; trying again"),
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

/// Carries out orders and looks at units, until nobody gives orders any more.
async fn converse(
    units: &mut Units,
    orders: &mut mpsc::Receiver<Order>,
    inputs: &mpsc::Sender<Input>,
) -> zbus::Result<()> {
    let connecting = Builder::system()?.method_timeout(ANSWER_MAX).build();
    let bus = timeout(ANSWER_MAX, connecting).await.map_err(io::Error::from)??;
    let manager = Proxy::new(&bus, SERVICE, PATH, MANAGER).await?;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return Ok(()),
                Some(order) => {
                    if let Some(news) = carry_out(units, &manager, order).await
                        && inputs.send(news).await.is_err()
                    {
                        return Ok(());
                    }
                }
            },
            _ = looks.tick() => {
                let pattern = format!("{}@*.service", units.unit);
                let none: [&str; 0] = [];
                let listed: Vec<Unit> =
                    manager.call("ListUnitsByPatterns", &(&none[..], &[pattern][..])).await?;
                let states = listed.iter().map(|unit| (unit.0.as_str(), unit.3.as_str()));
                for news in units.on_list(Instant::now(), states) {
                    if inputs.send(news).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// What follows at once from an order that cannot be carried out.
async fn carry_out(units: &mut Units, manager: &Proxy<'_>, order: Order) -> Option<Input> {
    match order {
        Order::Start(worker) => {
            let name = units.name(worker);
            let started: zbus::Result<OwnedObjectPath> =
                manager.call("StartUnit", &(name.as_str(), REPLACE)).await;
            match started {
                Ok(_job) => {
                    let known = Known::Starting { since: Instant::now(), seen: false };
                    units.known.insert(worker, known);
                    None
                }
                Err(error) => {
                    let (loss, detail) = (Loss::StartFailed, error.to_string());
                    Some(Input::WorkerLost { worker, loss, detail })
                }
            }
        }
        Order::Stop(worker, stop) => {
            let name = units.name(worker);
            if stop == Stop::Kill {
                let killed: zbus::Result<()> =
                    manager.call("KillUnit", &(name.as_str(), "all", KILL)).await;
                if let Err(error) = killed {
                    tracing::warn!(worker = worker.0, %error, "a worker could not be killed");
                }
            }
            let stopped: zbus::Result<OwnedObjectPath> =
                manager.call("StopUnit", &(name.as_str(), REPLACE)).await;
            if let Err(error) = stopped {
                tracing::warn!(worker = worker.0, %error, "a worker could not be stopped");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId(1);
    const NAME: &str = "edgerelay-worker@1.service";

    fn units() -> Units {
        Units { unit: "edgerelay-worker".to_owned(), known: BTreeMap::new() }
    }

    #[test]
    fn a_unit_that_was_started_is_ready_when_it_is_active() {
        let now = Instant::now();
        let mut units = units();
        units.known.insert(ONE, Known::Starting { since: now, seen: false });
        assert_eq!(units.on_list(now, [(NAME, "deactivating")]), [], "it stops before it starts");
        assert_eq!(units.on_list(now, [(NAME, "inactive")]), [], "the job has not run");
        assert_eq!(units.on_list(now, [(NAME, "activating")]), []);
        let ready = Input::WorkerReady { worker: ONE, room: None };
        assert_eq!(units.on_list(now, [(NAME, "active")]), [ready]);
        assert_eq!(units.on_list(now, [(NAME, "deactivating")]), []);
        let news = units.on_list(now, [(NAME, "inactive")]);
        assert!(matches!(news[..], [Input::WorkerLost { loss: Loss::Exited, .. }]), "{news:?}");
        assert_eq!(units.on_list(now, [(NAME, "inactive")]), []);
    }

    #[test]
    fn a_unit_that_fails_or_never_begins_is_a_failed_start() {
        let now = Instant::now();
        let late = now + START_SHOWN_AFTER;
        for (state, at, seen) in [
            ("failed", now, false),
            ("inactive", late, false),
            ("inactive", now, true),
            ("deactivating", now, true),
        ] {
            let mut units = units();
            units.known.insert(ONE, Known::Starting { since: now, seen });
            let news = units.on_list(at, [(NAME, state)]);
            assert!(matches!(news[..], [Input::WorkerLost { loss: Loss::StartFailed, .. }]));
        }
    }

    #[test]
    fn units_of_another_life_are_found_and_others_are_none_of_ours() {
        let listed = [
            ("edgerelay-worker@7.service", "active"),
            ("edgerelay-worker@0.service", "active"),
            ("edgerelay-worker@x.service", "active"),
            ("edgerelay-worker@8.service", "failed"),
            ("other@9.service", "active"),
        ];
        let found = Input::WorkerFound { worker: WorkerId(7), room: None, streams: Vec::new() };
        assert_eq!(units().on_list(Instant::now(), listed), [found]);
    }
}
