//! `top` on a terminal: keys and news in, the screen out.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::super::asking::Trouble;
use super::super::node::{NodeClient, block_on};
use super::feed::{self, Answers, News};
use super::model::{Key, Model, Turn};
use super::screen;

/// How long a key may wait for the screen, and news for theirs.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Rows of a page, as far as scrolling goes.
const PAGE_ROWS: isize = 10;

/// Shows the node until somebody quits.
pub(super) fn watch(candidates: Vec<PathBuf>, interval: Duration) -> Result<(), Trouble> {
    // A node that is not there is told of on an ordinary screen.
    let first = block_on(async {
        let mut node = NodeClient::connect(&candidates).await?;
        Answers::ask(&mut node).await?.parse()
    });
    let first = first.map_err(Trouble::Start)?.map_err(Trouble::Ask)?;
    let mut model = Model::new();
    model.handle_sample(first);
    let news = feed::start(candidates, interval).map_err(Trouble::Start)?;
    let mut terminal = ratatui::try_init().map_err(Trouble::Terminal)?;
    let shown = show(&mut terminal, &mut model, &news);
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(Trouble::Terminal)
}

fn show(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    news: &Receiver<News>,
) -> io::Result<()> {
    let mut is_stale = true;
    loop {
        // A slow line carries nothing while nothing changes.
        if std::mem::take(&mut is_stale) {
            terminal.draw(|frame| screen::draw(frame, model))?;
        }
        if !wait_for_input()? {
            return Ok(());
        }
        while event::poll(Duration::ZERO)? {
            is_stale = true;
            if let Event::Key(pressed) = event::read()?
                && let Some(key) = key(pressed)
                && model.handle_key(key) == Turn::Quit
            {
                return Ok(());
            }
        }
        loop {
            match news.try_recv() {
                Ok(News::Sample(sample)) => model.handle_sample(*sample),
                Ok(News::Fault(fault)) => model.handle_fault(fault),
                Ok(News::End) => return Ok(()),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("nobody asks the node any more"));
                }
            }
            is_stale = true;
        }
    }
}

/// Waits for the terminal to say something; false when it is gone. Crossterm is asked only then: it reads
/// for ever where a terminal hung up.
fn wait_for_input() -> io::Result<bool> {
    let screen = io::stdout();
    let mut watched = [PollFd::new(&screen, PollFlags::IN)];
    let limit = Timespec::try_from(LOOK_INTERVAL).map_err(io::Error::other)?;
    match rustix::event::poll(&mut watched, Some(&limit)) {
        Ok(_) => {}
        // A change of the terminal's size.
        Err(Errno::INTR) => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    let [screen] = watched;
    Ok(!screen.revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

/// What a key is for, if anything.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    match pressed.code {
        KeyCode::Char('c' | 'd') if is_control => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('s') => Some(Key::Sort),
        KeyCode::Tab => Some(Key::Section),
        KeyCode::Char('j') | KeyCode::Down => Some(Key::Scroll(1)),
        KeyCode::Char('k') | KeyCode::Up => Some(Key::Scroll(-1)),
        KeyCode::PageDown => Some(Key::Scroll(PAGE_ROWS)),
        KeyCode::PageUp => Some(Key::Scroll(-PAGE_ROWS)),
        KeyCode::Home => Some(Key::Top),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_c_quits_as_q_does_and_letting_go_of_a_key_does_nothing() {
        let pressed = |code, modifiers| key(KeyEvent::new(code, modifiers));
        assert_eq!(pressed(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Quit));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::NONE), None);
        let mut release = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert_eq!(key(release), None);
    }
}
