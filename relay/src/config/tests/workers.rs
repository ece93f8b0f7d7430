//! `[workers]`: what is accepted, what is refused, and where a worker's upstream comes from.

use super::super::{
    BitRate, PipelineKind, Resources, ScalingPolicy, Secrets, WorkerBackend, WorkersConfig,
};
use super::*;

const PROCESS: &str =
    "[workers]\nbackend = \"process\"\n[workers.pipeline]\npush_url = \"rtmp://up/live\"\n";

#[test]
fn by_default_there_are_no_workers() {
    let config = accepted("");
    assert_eq!(config.workers, WorkersConfig::default());
    assert_eq!(config.workers.backend, WorkerBackend::Off);
}

#[test]
fn every_table_of_workers_is_read() {
    let workers = accepted(
        "[workers]\nbackend = \"systemd\"\napps = [\"live\", \"studio\"]\nmin = 1\nmax = 3\n\
         listen = \"127.0.0.1:2000\"\nunit = \"w\"\nmax_retries = 0\n\
         [workers.scaling]\npolicy = \"queue-ratio\"\nmax_step = 2\ndry_run = true\n\
         bitrate_threshold = \"20Mbit\"\n\
         [workers.capacity]\nstreams = 2\ncpu_percent = 800\nmemory = \"4GiB\"\n\
         bitrate = \"1Gbit\"\n\
         [workers.pipeline]\nkind = \"command\"\ncommand = [\"ffmpeg\", \"-i\", \"{input}\"]\n\
         cpu_percent = 150\n[[app]]\nname = \"live\"\n[[app]]\nname = \"studio\"\n",
    )
    .workers;
    assert_eq!((workers.backend, workers.min, workers.max), (WorkerBackend::Systemd, 1, 3));
    assert_eq!((workers.apps.len(), workers.retries_max), (2, 0));
    let scaling = &workers.scaling;
    assert_eq!((scaling.policy, scaling.step_max), (ScalingPolicy::QueueRatio, 2));
    assert_eq!(scaling.bitrate_threshold, BitRate::from_bits_per_second(20_000_000));
    let room = Resources {
        cpu_percent: 800,
        memory_bytes: 4 << 30,
        bitrate: BitRate::from_bits_per_second(1_000_000_000),
    };
    assert_eq!((workers.capacity.streams, workers.capacity.resources), (2, room));
    assert_eq!(workers.pipeline.kind, PipelineKind::Command);
    assert_eq!(workers.pipeline.need().cpu_percent, 150);
}

#[test]
fn rates_are_bits_and_a_plain_number_is_refused() {
    for (value, what) in
        [("20", "is 20"), ("\"20MB\"", "\"20MB\" is not a rate"), ("\"1bit\"", "is \"1bit\"")]
    {
        assert_refused(
            &format!("[workers.scaling]\nbitrate_threshold = {value}\n"),
            &format!(
                "edgerelay.toml:2:21: workers.scaling.bitrate_threshold: {what}; expected a rate \
                 from 1kbit to 1000Gbit a second, or 0bit (not looked at)"
            ),
        );
    }
}

#[test]
fn the_least_number_of_workers_is_not_above_the_most() {
    assert_refused(
        "[workers]\nmin = 11\n",
        "edgerelay.toml:2:7: workers.min: is 11; expected at most workers.max, which is 10",
    );
    accepted("[workers]\nmin = 10\n");
    assert_refused(
        "[workers]\nretry_delay_max = \"100ms\"\n",
        "edgerelay.toml:2:19: workers.retry_delay_max: is 100ms; expected at least \
         workers.retry_delay, which is 250ms",
    );
    assert_refused(
        "[workers.scaling]\nqueue_low_percent = 250\n",
        "edgerelay.toml:2:21: workers.scaling.queue_low_percent: is 250; expected less than \
         workers.scaling.queue_high_percent, which is 250",
    );
}

#[test]
fn something_has_to_wake_the_first_worker() {
    let silent = "[workers.scaling]\nstreams_threshold = 0\npending_threshold = 0\n";
    assert_refused(
        &format!("{PROCESS}{silent}"),
        "edgerelay.toml:6:21: workers.scaling.streams_threshold: no signal has a threshold; \
         expected a threshold above 0, here or for another signal",
    );
    accepted(&format!("{PROCESS}{silent}clients_threshold = 10\n"));
    accepted(&format!("{PROCESS}{silent}policy = \"queue-ratio\"\n"));
    accepted(silent);
}

#[test]
fn workers_serve_applications_that_exist() {
    assert_refused(
        &format!("{PROCESS}[[app]]\nname = \"studio\"\n"),
        "edgerelay.toml:1:1: workers.apps[0]: there is no application \"live\"; expected the name of an \
         [[app]]",
    );
    assert_refused(
        "[workers]\nbackend = \"static\"\naddresses = [\"h\"]\napps = [\"live\", \"live\"]\n",
        "edgerelay.toml:4:17: workers.apps[1]: \"live\" is named twice; expected each application \
         once",
    );
}

#[test]
fn static_workers_need_addresses() {
    assert_refused(
        "[workers]\nbackend = \"static\"\n",
        "edgerelay.toml:1:1: workers.addresses: backend \"static\" has no addresses; expected addresses = \
         [\"HOST:PORT\"]",
    );
    assert_refused(
        "[workers]\nbackend = \"static\"\naddresses = [\"h:0\"]\n",
        "edgerelay.toml:3:14: workers.addresses: the port \"0\" is not a number from 1 to 65535; \
         expected HOST[:PORT], like \"worker.example:1935\", \"192.0.2.7\" or \
         \"[2001:db8::7]\"",
    );
    let text =
        "[workers]\nbackend = \"static\"\naddresses = [\"w.example\", \"[2001:db8::7]:1\"]\n";
    assert_eq!(accepted(text).workers.addresses.len(), 2);
}

#[test]
fn ports_of_workers_are_free_and_there_are_enough() {
    let listen = |address: &str| {
        format!("[workers]\nbackend = \"systemd\"\nmax = 5\nlisten = \"{address}\"\n")
    };
    assert_refused(
        &listen("127.0.0.1:1930"),
        "edgerelay.toml:4:10: workers.listen: workers take the ports 1931 to 1935, and rtmp.listen \
         has 0.0.0.0:1935; expected ports that nothing else listens on",
    );
    accepted(&listen("127.0.0.1:1929"));
    assert_refused(
        &listen("127.0.0.1:65531"),
        "edgerelay.toml:4:10: workers.listen: the port is 65531; expected a port from 1 to 65530, \
         for 5 workers",
    );
    accepted(&listen("127.0.0.1:65530"));
}

#[test]
fn a_command_stands_with_its_kind_and_is_not_quoted() {
    assert_refused(
        "[workers.pipeline]\nkind = \"command\"\n",
        "edgerelay.toml:1:1: workers.pipeline.command: kind \"command\" has no command; expected command = \
         [\"PROGRAM\", \"ARGUMENT\"]",
    );
    assert_refused(
        "[workers.pipeline]\ncommand = [\"SECRET\"]\n",
        "edgerelay.toml:2:11: workers.pipeline.command: a command that nothing runs; expected \
         workers.pipeline.kind = \"command\", or no command",
    );
    assert_refused(
        "[workers.pipeline]\nkind = \"command\"\ncommand = [\"SECRET\\u0000\"]\n",
        "edgerelay.toml:3:12: workers.pipeline.command: holds a zero byte; expected a string, where \
         {app}, {name}, {input} and {output} stand for the stream's",
    );
}

#[test]
fn workers_of_our_own_need_an_upstream() {
    let own = "[workers]\nbackend = \"process\"\n";
    assert_refused(
        own,
        "edgerelay.toml:1:1: workers.pipeline.push_url: workers have nowhere to push to; expected push_url = \
         \"rtmp://HOST/APP\", or RTMP_PUSH_URL in the environment",
    );
    let command = "[workers.pipeline]\nkind = \"command\"\ncommand = [\"cp\", \"{input}\"]\n";
    accepted(&format!("{own}{command}"));
    let folder = Folder::new(own);
    let options = LoadOptions {
        environment: environment(&[("RTMP_PUSH_URL", "rtmp://up/live?t=1")]),
        ..folder.options()
    };
    let pipeline = load(&options).unwrap().config.workers.pipeline;
    assert_eq!(pipeline.push_template().as_deref(), Some("rtmp://up/live/{name}?t=1"));
}

#[test]
fn the_key_of_the_upstream_wins_over_the_old_variable() {
    let folder = Folder::new(PROCESS);
    let options = LoadOptions {
        environment: environment(&[("RTMP_PUSH_URL", "rtmp://other/live")]),
        ..folder.options()
    };
    let loaded = load(&options).unwrap();
    assert_eq!(loaded.config.workers.pipeline.push_url, "rtmp://up/live");
    assert!(loaded.config.apps[0].push.is_empty(), "the node itself pushes");
}

#[test]
fn a_node_that_is_a_worker_pushes_what_it_gets() {
    let worker = "[node]\nrole = \"worker\"\n[[app]]\nname = \"worker\"\n[[app]]\nname = \"live\"\n\
                  [[app]]\nname = \"other\"\n[workers.pipeline]\npush_url = \"rtmp://up/live\"\n";
    let config = accepted(worker);
    let pushes: Vec<_> = config.apps.iter().map(|app| app.push.len()).collect();
    assert_eq!(pushes, [1, 1, 0]);
    assert_eq!(config.apps[0].push[0].url, "rtmp://up/live/{name}");
    // A command pushes for itself.
    let config = accepted(&format!("{worker}kind = \"command\"\ncommand = [\"x\"]\n"));
    assert!(config.apps.iter().all(|app| app.push.is_empty()));
}

#[test]
fn workers_do_not_push_back_into_this_node() {
    let text = "[workers]\nbackend = \"process\"\n[workers.pipeline]\n\
                push_url = \"rtmp://localhost/live\"\n";
    assert_refused(
        text,
        "edgerelay.toml:4:12: workers.pipeline.push_url: pushes back into the same application of \
         this node: a loop; expected another host, port or application",
    );
    accepted("[workers.pipeline]\npush_url = \"rtmp://localhost/live\"\n");
}

#[test]
fn one_stream_fits_an_empty_worker() {
    let text = format!(
        "{PROCESS}kind = \"abr\"\n[workers.capacity]\ncpu_percent = 399\nmemory = \"1GiB\"\n"
    );
    assert_refused(
        &text,
        "edgerelay.toml:7:15: workers.capacity.cpu_percent: is 399; expected at least 400, which \
         one stream needs\n\
         edgerelay.toml:8:10: workers.capacity.memory: is 1GiB; expected at least 1536MiB, which \
         one stream needs",
    );
    accepted(&format!("{PROCESS}kind = \"abr\"\n[workers.capacity]\ncpu_percent = 400\n"));
}

#[test]
fn a_dump_of_workers_reads_back_and_hides_keys() {
    let config = accepted(
        "[workers]\nbackend = \"static\"\naddresses = [\"h:1\"]\n[workers.pipeline]\n\
         kind = \"command\"\ncommand = [\"x\", \"-o\", \"rtmp://up/live/KEY\"]\n\
         push_url = \"rtmp://up/live/KEY\"\nbitrate = \"1500kbit\"\n",
    );
    assert_eq!(accepted(&config.to_toml(Secrets::Shown)), config);
    assert!(!config.to_toml(Secrets::Redacted).contains("KEY"));
}
