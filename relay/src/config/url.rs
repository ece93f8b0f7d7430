//! URL templates of pushes and origins: `rtmp://host[:port]/app/{name}[?arguments]`.
//!
//! Owns their grammar, their expansion and their redaction. Resolves no name and opens nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::limits::URL_BYTES_MAX;
use crate::id::StreamKey;

const PORT_DEFAULT: u16 = 1935;
const PLACEHOLDERS: [&str; 2] = ["app", "name"];
const REDACTED: &str = "***";

/// What a URL template should have looked like.
pub(super) const EXPECTED: &str =
    "rtmp://HOST[:PORT]/APP/STREAM, where {app} and {name} stand for the stream's";

/// Puts `stream`'s application and name in a template that has been checked.
#[must_use]
pub fn expand_url(template: &str, stream: &StreamKey) -> String {
    let mut url = String::with_capacity(template.len() + stream.name.len());
    for piece in Pieces(template) {
        match piece {
            Piece::Literal(text) => url.push_str(text),
            Piece::Placeholder("app") => url.push_str(&stream.app),
            Piece::Placeholder("name") => url.push_str(&stream.name),
            Piece::Placeholder(_) | Piece::Broken => {}
        }
    }
    url
}

/// The template that puts a stream's name behind `base`, before its arguments.
pub(super) fn with_name(base: &str) -> String {
    let (path, arguments) = base.split_once('?').unwrap_or((base, ""));
    let mark = if arguments.is_empty() { "" } else { "?" };
    format!("{}/{{name}}{mark}{arguments}", path.trim_end_matches('/'))
}

/// The template without what may be secret: path segments behind the application, and the values
/// of arguments. Placeholders stay.
#[must_use]
pub fn redact_url(template: &str) -> String {
    let (url, arguments) = match template.split_once('?') {
        Some((url, arguments)) => (url, Some(arguments)),
        None => (template, None),
    };
    let mut redacted = String::with_capacity(template.len());
    for (index, segment) in url.split('/').enumerate() {
        // rtmp: + "" + host + application come first.
        if index > 0 {
            redacted.push('/');
        }
        match index {
            2 => redacted.push_str(segment.rsplit_once('@').map_or(segment, |(_, host)| host)),
            0..=3 => redacted.push_str(segment),
            _ => redacted.push_str(&redact(segment)),
        }
    }
    for (index, argument) in arguments.iter().flat_map(|all| all.split('&')).enumerate() {
        redacted.push(if index == 0 { '?' } else { '&' });
        match argument.split_once('=') {
            Some((name, value)) => {
                redacted.push_str(name);
                redacted.push('=');
                redacted.push_str(&redact(value));
            }
            None => redacted.push_str(&redact(argument)),
        }
    }
    redacted
}

fn redact(text: &str) -> String {
    Pieces(text)
        .map(|piece| match piece {
            Piece::Placeholder(name) => format!("{{{name}}}"),
            Piece::Literal(_) | Piece::Broken => REDACTED.to_owned(),
        })
        .collect()
}

/// Where a template leads, as far as it can be told without resolving names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    /// Behind the host, without slashes at the ends and without arguments.
    pub(super) path: String,
}

/// A URL's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

impl Target {
    /// Checks `template`; the error says what is wrong with it and never quotes what may be secret.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        if template.len() > URL_BYTES_MAX {
            return Err(format!("is longer than {URL_BYTES_MAX} bytes"));
        }
        if template.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("holds white space or a control character".to_owned());
        }
        let Some((scheme, rest)) = template.split_once("://") else {
            return Err("is not a URL".to_owned());
        };
        if scheme.eq_ignore_ascii_case("rtmps") {
            return Err("the scheme rtmps is not supported yet".to_owned());
        }
        if scheme.len() > 16 || !scheme.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err("is not a URL".to_owned());
        }
        if !scheme.eq_ignore_ascii_case("rtmp") {
            return Err(format!("the scheme {scheme:?} is not rtmp"));
        }
        let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = parse_authority(authority)?;
        check_placeholders(template)?;
        let path = path.trim_end_matches('/').to_owned();
        match path.split_once('/') {
            _ if path.split('/').any(str::is_empty) && !path.is_empty() => {
                Err("holds an empty path segment".to_owned())
            }
            Some(_) => Ok(Self { host, port, path }),
            None if path.is_empty() => Err("names no application and no stream".to_owned()),
            None => Err("names no stream".to_owned()),
        }
    }
}

/// A host and its port, where [`PORT_DEFAULT`] stands for one that is not written.
pub(super) fn parse_authority(authority: &str) -> Result<(Host, u16), String> {
    if authority.contains('@') {
        return Err("holds a user name or password before the host".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("the host's [ is never closed")?;
            let host = host
                .parse::<Ipv6Addr>()
                .map_err(|_| format!("the host {host:?} in brackets is not an IPv6 address"))?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or("the host's ] is not the end of it")?),
            };
            (Host::Address(IpAddr::V6(host)), port)
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            (parse_host(host)?, port)
        }
    };
    let port = match port {
        None => PORT_DEFAULT,
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("the port {text:?} is not a number from 1 to 65535")),
        },
    };
    Ok((host, port))
}

fn parse_host(host: &str) -> Result<Host, String> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    if host.contains(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))) {
        return Err(format!("the host {host:?} is not a host name or an address"));
    }
    Ok(Host::Name(host.to_owned()))
}

fn check_placeholders(template: &str) -> Result<(), String> {
    for piece in Pieces(template) {
        match piece {
            Piece::Placeholder(name) if !PLACEHOLDERS.contains(&name) => {
                return Err(format!("the placeholder {{{name}}} is unknown"));
            }
            Piece::Broken => return Err("holds a { or } without its partner".to_owned()),
            Piece::Placeholder(_) | Piece::Literal(_) => {}
        }
    }
    Ok(())
}

enum Piece<'a> {
    Literal(&'a str),
    Placeholder(&'a str),
    Broken,
}

/// Splits a template at its placeholders. Each byte is visited once, so what is put in for one
/// placeholder is never searched for another.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        match self.0.find(['{', '}']) {
            _ if self.0.is_empty() => None,
            Some(0) => {
                let closed = self.0.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                match closed {
                    Some((name, rest)) if !name.contains('{') => {
                        self.0 = rest;
                        Some(Piece::Placeholder(name))
                    }
                    _ => {
                        self.0 = "";
                        Some(Piece::Broken)
                    }
                }
            }
            at => {
                let (literal, rest) = self.0.split_at(at.unwrap_or(self.0.len()));
                self.0 = rest;
                Some(Piece::Literal(literal))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_holds_is_not_expanded_again() {
        let stream = StreamKey::new("live", "{app}");
        assert_eq!(
            expand_url("rtmp://h/{app}/x-{name}?a={name}", &stream),
            "rtmp://h/live/x-{app}?a={app}"
        );
    }

    #[test]
    fn redaction_keeps_host_application_and_placeholders_only() {
        for (template, redacted) in [
            ("rtmp://h:1/live/{name}", "rtmp://h:1/live/{name}"),
            ("rtmp://h/live/SECRET", "rtmp://h/live/***"),
            ("rtmp://h/live/inst/SECRET", "rtmp://h/live/***/***"),
            ("rtmp://h/live/SECRET-{name}", "rtmp://h/live/***{name}"),
            ("rtmp://h/live/{name}?token=SECRET&SECRET", "rtmp://h/live/{name}?token=***&***"),
            ("rtmp://h/live?token=SECRET", "rtmp://h/live?token=***"),
            ("rtmp://user:SECRET@h/live/{name}", "rtmp://h/live/{name}"),
        ] {
            assert_eq!(redact_url(template), redacted);
        }
    }

    #[test]
    fn templates_lead_to_host_port_and_path() {
        let target = Target::parse("rtmp://[::1]:1936/v2/pub/{name}?a=b").unwrap();
        assert_eq!(target.host, Host::Address("::1".parse().unwrap()));
        assert_eq!((target.port, target.path.as_str()), (1936, "v2/pub/{name}"));
        let target = Target::parse("RTMP://origin.example/live/{name}/").unwrap();
        assert_eq!(target.host, Host::Name("origin.example".to_owned()));
        assert_eq!((target.port, target.path.as_str()), (1935, "live/{name}"));
    }

    #[test]
    fn malformed_templates_say_what_is_wrong_with_them() {
        for (template, what) in [
            ("origin.example/live", "is not a URL"),
            ("rtmps://h/live/{name}", "the scheme rtmps is not supported yet"),
            ("http://h/live/{name}", "the scheme \"http\" is not rtmp"),
            ("rtmp:///live/{name}", "names no host"),
            ("rtmp://h:0/live/{name}", "the port \"0\" is not a number from 1 to 65535"),
            ("rtmp://h:x/live/{name}", "the port \"x\" is not a number from 1 to 65535"),
            ("rtmp://{name}/live/x", "the host \"{name}\" is not a host name or an address"),
            ("rtmp://[::1/live/x", "the host's [ is never closed"),
            ("rtmp://[h]/live/x", "the host \"h\" in brackets is not an IPv6 address"),
            ("rtmp://u:p@h/live/x", "holds a user name or password before the host"),
            ("rtmp://h", "names no application and no stream"),
            ("rtmp://h/live", "names no stream"),
            ("rtmp://h/live/", "names no stream"),
            ("rtmp://h/live//x", "holds an empty path segment"),
            ("rtmp://h/live/{nam}", "the placeholder {nam} is unknown"),
            ("rtmp://h/live/{name", "holds a { or } without its partner"),
            ("rtmp://h/live/name}", "holds a { or } without its partner"),
            ("rtmp://h/live/a b", "holds white space or a control character"),
        ] {
            assert_eq!(Target::parse(template), Err(what.to_owned()), "{template}");
        }
    }
}
