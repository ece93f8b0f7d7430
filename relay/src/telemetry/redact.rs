//! What must not reach a log or a metric: stream keys, credentials, query arguments.

use std::fmt;

/// What stands for something hidden.
pub const HIDDEN: &str = "…";

/// Longest host shown; a DNS name is no longer than this.
const HOST_CHARS_MAX: usize = 255;

/// Longest first path segment shown.
const APP_CHARS_MAX: usize = 64;

/// A value that prints as [`HIDDEN`], so that it can stand in a structure that is logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// The part of `url` that may be logged: scheme, host, port, and the application when something
/// follows it. A lone path segment may itself be the key, so it is hidden. So are user, password,
/// everything below the application, query and fragment.
#[must_use]
pub fn url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return HIDDEN.to_owned();
    };
    if scheme.is_empty() || scheme.len() > 16 || !scheme.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return HIDDEN.to_owned();
    }
    let (rest, hides_arguments) = match rest.find(['?', '#']) {
        Some(end) => (rest.get(..end).unwrap_or_default(), true),
        None => (rest, false),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut shown = format!("{scheme}://");
    shown.extend(host.chars().take(HOST_CHARS_MAX).map(printable));
    match path.split_once('/') {
        Some((app, below)) if !app.is_empty() => {
            shown.push('/');
            shown.extend(app.chars().take(APP_CHARS_MAX).map(printable));
            shown.push('/');
            if !below.is_empty() || hides_arguments {
                shown.push_str(HIDDEN);
            }
        }
        _ if path.is_empty() && !hides_arguments => {}
        _ => {
            shown.push('/');
            shown.push_str(HIDDEN);
        }
    }
    shown
}

/// The character itself where it can stand in a line of log, else a question mark: what a peer or a
/// file chose cannot forge a line or move a terminal's cursor.
fn printable(c: char) -> char {
    if c.is_ascii_alphanumeric() || "-._:[]%{}~".contains(c) { c } else { '?' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_hidden_and_the_place_shown() {
        assert_eq!(url("rtmp://a.rtmp.example/live2/abcd-1234"), "rtmp://a.rtmp.example/live2/…");
        assert_eq!(url("rtmps://origin:443/live/{name}"), "rtmps://origin:443/live/…");
        assert_eq!(
            url("rtmp://[2001:db8::1]:1935/app/inst/key"),
            "rtmp://[2001:db8::1]:1935/app/…"
        );
        assert_eq!(url("rtmp://origin"), "rtmp://origin");
    }

    #[test]
    fn a_lone_path_segment_is_hidden() {
        assert_eq!(url("rtmp://origin/secret"), "rtmp://origin/…");
        assert_eq!(url("rtmp://origin//secret"), "rtmp://origin/…");
    }

    #[test]
    fn no_secret_survives_wherever_it_stands() {
        for text in [
            "rtmp://user:SECRET@origin/live/cam",
            "rtmp://origin/live?token=SECRET",
            "rtmp://origin/live?token=SECRET/cam",
            "rtmp://origin/live/cam?token=SECRET",
            "rtmp://origin/live/SECRET#SECRET",
            "rtmp://origin?SECRET",
            "rtmp://origin#SECRET",
            "rtmp://a@SECRET@origin/live/x",
            "rtmp://SECRET:SECRET@origin",
            "rtmp:/origin/SECRET",
            "SECRET",
            "SEC RET://x",
            "://SECRET",
            "rtmp://origin/live/a/b/SECRET",
        ] {
            let shown = url(text);
            assert!(!shown.contains("SECRET") && !shown.contains("SEC RET"), "{text} -> {shown}");
        }
    }

    #[test]
    fn nothing_in_a_url_forges_a_line() {
        let shown = url("rtmp://ho\nst\x1b[2J/li\rve/x");
        assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
    }

    #[test]
    fn a_long_host_is_cut() {
        let shown = url(&format!("rtmp://{}/live/key", "h".repeat(10_000)));
        assert!(shown.len() < 400);
    }

    #[test]
    fn a_redacted_value_prints_nothing_of_itself() {
        let secret = Redacted("SECRET");
        assert_eq!(format!("{secret} {secret:?}"), "… …");
    }
}
