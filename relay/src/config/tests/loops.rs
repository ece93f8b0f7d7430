//! Pushes and origins that lead back to the node itself.

use super::*;

const LOOP: &str = "pushes back into the same application of this node: a loop; expected another \
                    host, port or application";

fn push(listen: &str, url: &str) -> String {
    format!(
        "[rtmp]\nlisten = [\"{listen}\"]\n[[app]]\nname = \"live\"\n[[app.push]]\nurl = \"{url}\"\n"
    )
}

#[track_caller]
fn assert_loop(listen: &str, url: &str) {
    assert_refused(&push(listen, url), &format!("edgerelay.toml:6:7: app[0].push[0].url: {LOOP}"));
}

#[test]
fn every_way_of_writing_ourselves_is_recognised() {
    for url in [
        "rtmp://127.0.0.1/live/{name}",
        "rtmp://127.9.9.9:1935/live/{name}",
        "rtmp://localhost/live/{name}",
        "rtmp://LOCALHOST:1935/{app}/{name}",
        "rtmp://0.0.0.0/live/{name}",
        "rtmp://[::1]/live/{name}",
        "rtmp://[::ffff:127.0.0.1]/live/{name}",
        "rtmp://192.0.2.2/live/{name}",
        "rtmp://[fd00::2]/live/{name}",
        "rtmp://edge-host/live/{name}",
    ] {
        assert_loop("0.0.0.0:1935", url);
        assert_loop("[::]:1935", url);
    }
    assert_loop("127.0.0.1:1936", "rtmp://localhost:1936/live/{name}");
    assert_loop("127.0.0.1:1936", "rtmp://0.0.0.0:1936/live/{name}");
    assert_loop("192.0.2.2:1935", "rtmp://192.0.2.2/live/{name}");
}

#[test]
fn a_changed_name_only_makes_the_loop_longer() {
    assert_loop("0.0.0.0:1935", "rtmp://127.0.0.1/live/{name}-copy");
    assert_loop("0.0.0.0:1935", "rtmp://127.0.0.1/live/instance/{name}?a=b");
}

#[test]
fn other_hosts_ports_and_applications_are_no_loop() {
    for (listen, url) in [
        ("0.0.0.0:1935", "rtmp://127.0.0.1:1936/live/{name}"),
        ("0.0.0.0:1935", "rtmp://192.0.2.3/live/{name}"),
        ("0.0.0.0:1935", "rtmp://origin.example/live/{name}"),
        ("0.0.0.0:1935", "rtmp://127.0.0.1/live2/{name}"),
        ("127.0.0.1:1935", "rtmp://192.0.2.2/live/{name}"),
        ("192.0.2.2:1935", "rtmp://localhost/live/{name}"),
    ] {
        accepted(&push(listen, url));
    }
}

#[test]
fn a_push_into_another_application_is_fine_until_that_pushes_back() {
    let there = "[[app]]\nname = \"a\"\npush = [{ url = \"rtmp://127.0.0.1/b/{name}\" }]\n\
                 [[app]]\nname = \"b\"\n";
    accepted(there);
    assert_refused(
        &format!(
            "{there}push = [{{ url = \"rtmp://127.0.0.1/c/x\" }}]\n[[app]]\nname = \"c\"\n\
                  push = [{{ url = \"rtmp://h/a/x\" }}, {{ url = \"rtmp://[::1]/a/x\" }}]\n"
        ),
        "edgerelay.toml:3:17: app[0].push[0].url: pushes into application \"b\" of this node, \
         which pushes back: a loop; expected another host, port or application\n\
         edgerelay.toml:6:17: app[1].push[0].url: pushes into application \"c\" of this node, \
         which pushes back: a loop; expected another host, port or application\n\
         edgerelay.toml:9:43: app[2].push[1].url: pushes into application \"a\" of this node, \
         which pushes back: a loop; expected another host, port or application",
    );
}

#[test]
fn an_origin_that_is_ourselves_is_a_loop() {
    assert_refused(
        "[[app]]\nname = \"live\"\norigin = [\"rtmp://h/live/{name}\", \"rtmp://[::1]/live/{name}\"]\n",
        "edgerelay.toml:3:35: app[0].origin[1]: pulls from the same application of this node: a \
         loop; expected another host, port or application",
    );
}

#[test]
fn the_longest_application_name_is_the_one_meant() {
    accepted(
        "[[app]]\nname = \"v2\"\npush = [{ url = \"rtmp://127.0.0.1/v2/pub/{name}\" }]\n\
         [[app]]\nname = \"v2/pub\"\n",
    );
}
