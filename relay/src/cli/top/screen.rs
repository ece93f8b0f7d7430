//! Draws the view on a terminal's screen, as much of it as there is room for.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::model::{Model, SECTIONS};
use super::view::{self, Section};

/// Draws all of it. Scrolls back where there is nothing more to scroll to.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let area = frame.area();
    let mut rows = Rows { area, next: area.y };
    for (index, line) in view::head(model).into_iter().enumerate() {
        let style = match (index, model.fault.is_some()) {
            (0, false) => Style::new().bold(),
            (0, true) => Style::new().bold().red(),
            _ => Style::new(),
        };
        rows.put(frame, line, style);
    }
    let sections = view::sections(model);
    let foot_rows = 1;
    let room = rows.left().saturating_sub(foot_rows);
    let heights = share(sections.each_ref().map(height), room);
    for (index, (section, height)) in sections.into_iter().zip(heights).enumerate() {
        let is_chosen = index == model.section;
        let shown = usize::from(height).saturating_sub(overhead(&section));
        if let Some(scrolled) = model.scrolled.get_mut(index) {
            *scrolled = (*scrolled).min(section.rows.len().saturating_sub(shown));
            put(frame, &mut rows, section, (*scrolled, shown), height, is_chosen);
        }
    }
    if let Some(last) = area.height.checked_sub(foot_rows) {
        let mut foot = Rows { area, next: area.y + last };
        foot.put(frame, view::foot(model), Style::new().dim());
    }
}

/// Lines of a section that are no rows: a blank one, its title, and its columns' titles.
fn overhead(section: &Section) -> usize {
    if section.titles.is_empty() { 2 } else { 3 }
}

/// Lines that a section would take.
fn height(section: &Section) -> u16 {
    u16::try_from(overhead(section) + section.rows.len()).unwrap_or(u16::MAX)
}

fn put(
    frame: &mut Frame<'_>,
    rows: &mut Rows,
    section: Section,
    (scrolled, shown): (usize, usize),
    height: u16,
    is_chosen: bool,
) {
    let end = rows.next.saturating_add(height);
    let hidden = section.rows.len().saturating_sub(shown);
    let place = match hidden {
        0 => String::new(),
        _ => format!("   rows {} to {}", scrolled + 1, scrolled + shown),
    };
    let title = Style::new().bold();
    let title = if is_chosen { title.reversed() } else { title };
    let lines = [
        (String::new(), Style::new()),
        (format!("{}{place}", section.title), title),
        (section.titles, Style::new().underlined()),
    ];
    let body = section.rows.into_iter().skip(scrolled).take(shown);
    let head = lines.into_iter().enumerate().filter(|(at, (line, _))| *at == 0 || !line.is_empty());
    let lines = head.map(|(_, line)| line).chain(body.map(|line| (line, Style::new())));
    for (line, style) in lines {
        if rows.next < end {
            rows.put(frame, line, style);
        }
    }
}

/// Lines of the screen, from one on.
struct Rows {
    area: Rect,
    next: u16,
}

impl Rows {
    fn left(&self) -> u16 {
        self.area.bottom().saturating_sub(self.next)
    }

    fn put(&mut self, frame: &mut Frame<'_>, line: String, style: Style) {
        if self.left() == 0 {
            return;
        }
        let row = Rect { y: self.next, height: 1, ..self.area };
        frame.render_widget(Line::styled(line, style), row);
        self.next += 1;
    }
}

/// What each gets of `room`: what it wants, as long as those who want more get no less.
fn share(wants: [u16; SECTIONS], room: u16) -> [u16; SECTIONS] {
    let mut shares = [0; SECTIONS];
    let mut left = room;
    let mut order: [usize; SECTIONS] = std::array::from_fn(|index| index);
    order.sort_by_key(|index| wants.get(*index).copied());
    for (place, index) in order.into_iter().enumerate() {
        let fair = left / u16::try_from(SECTIONS - place).unwrap_or(1);
        // The last one has what is left.
        if let (Some(share), Some(want)) = (shares.get_mut(index), wants.get(index)) {
            *share = (*want).min(fair);
            left -= *share;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_get_all_and_the_large_share_what_is_left() {
        assert_eq!(share([3, 4, 2], 100), [3, 4, 2]);
        assert_eq!(share([100, 4, 2], 30), [24, 4, 2]);
        assert_eq!(share([100, 100, 2], 30), [14, 14, 2]);
        assert_eq!(share([100, 100, 100], 30), [10, 10, 10]);
        assert_eq!(share([5, 5, 5], 0), [0, 0, 0]);
    }
}
