//! Manual pages and shell completions, made from the command line's own description, so that they
//! cannot say anything else than `--help` does. Knows nothing of what the commands do.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The part of the manual that the pages say they belong to.
const MANUAL: &str = "edgerelay";

/// How the main command ends, for its page.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "Done. For a node: it was told to stop, and drained."),
    ("1", "doctor found something that will be missing under load, or sooner or later."),
    ("2", "doctor found something without which the relay does not work."),
    ("64", "The command line is wrong."),
    (
        "69",
        "Something is not to be had: an address is taken, io_uring is forbidden, a part failed.",
    ),
    ("78", "The configuration is wrong. Each error is shown with its file, line and column."),
];

/// Files that matter to an operator, for the main command's page.
const FILES: [(&str, &str); 4] = [
    ("/etc/edgerelay/edgerelay.toml", "The configuration that the units of the package name."),
    ("/etc/edgerelay/conf.d/*.toml", "Read after it, in order of their names."),
    ("/sys/fs/bpf/edgerelay", "Where kernel accounting pins its maps, unless set otherwise."),
    ("/usr/share/doc/edgerelay", "Documents and examples."),
];

/// Writes one page for each command into `folder`.
pub(super) fn write_pages(command: Command, folder: &Path) -> io::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page_of(&command, folder, &main_sections())?;
    for inner in visible(&command) {
        write_pages_below(inner, folder)?;
    }
    Ok(())
}

/// Writes the completions of `shell`.
pub(super) fn write_completions(mut command: Command, shell: Shell, out: &mut impl Write) {
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, out);
}

fn write_pages_below(command: &Command, folder: &Path) -> io::Result<()> {
    write_page_of(command, folder, &see_also(&[("edgerelay", "1"), ("edgerelay.toml", "5")]))?;
    for inner in visible(command) {
        write_pages_below(inner, folder)?;
    }
    Ok(())
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| !inner.is_hide_set())
}

fn write_page_of(command: &Command, folder: &Path, more: &Roff) -> io::Result<()> {
    let source = concat!("edgerelay ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone()).source(source).manual(MANUAL);
    let mut file = BufWriter::new(File::create(folder.join(page.get_filename()))?);
    page.render(&mut file)?;
    more.to_writer(&mut file)?;
    file.flush()
}

fn main_sections() -> Roff {
    let mut page = Roff::new();
    table(&mut page, "EXIT STATUS", &EXIT_CODES);
    page.control("SH", ["SIGNALS"]);
    page.control("TP", []);
    page.text([bold("SIGTERM, SIGINT")]);
    page.text([roman(
        "A node takes no new connections, asks clients to go elsewhere, and ends when they have \
         gone or after node.drain_timeout. A second one ends it at once.",
    )]);
    table(&mut page, "FILES", &FILES);
    page.extend([see_also(&[("edgerelay.toml", "5"), ("systemd.service", "5")])]);
    page
}

fn table(page: &mut Roff, title: &str, rows: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (term, meaning) in rows {
        page.control("TP", []);
        page.text([bold(*term)]);
        page.text([roman(*meaning)]);
    }
}

fn see_also(pages: &[(&str, &str)]) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (index, (name, number)) in pages.iter().enumerate() {
        if index > 0 {
            line.push(roman(", "));
        }
        line.extend([bold(*name), roman(format!("({number})"))]);
    }
    section.text(line);
    section
}
