//! Just enough HTTP to ask the relay, and the Prometheus text format.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// GET of `path`; `None` when nobody answers.
pub(crate) fn ask(server: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

/// The sum of all series of `name` whose labels hold every one of `labels`, such as
/// `reason="handshake_timeout"`; zero when there are none.
pub(crate) fn metric(exposition: &str, name: &str, labels: &[&str]) -> f64 {
    exposition
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (series, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let all = labels.iter().all(|label| series.split(',').any(|found| found == *label));
            if all { value.trim().parse::<f64>().ok() } else { None }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let text =
            "# HELP a x\na_total 3\nb{reason=\"x\",app=\"l\"} 4\nb{reason=\"y\",app=\"l\"} 5\n";
        assert_eq!(metric(text, "a_total", &[]), 3.0);
        assert_eq!(metric(text, "a", &[]), 0.0);
        assert_eq!(metric(text, "b", &[]), 9.0);
        assert_eq!(metric(text, "b", &["reason=\"y\""]), 5.0);
    }
}
