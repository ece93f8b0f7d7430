//! Bars: what each contender costs, or carries, with the range over all rounds.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::outcome::ScenarioOutcome;
use super::scenario::{Scenario, Yardstick};

const WIDTH: u32 = 760;
const ROW: u32 = 26;
const MARGIN: u32 = 90;

/// Draws a scenario's chart; nothing where nobody delivered anything.
pub(crate) fn draw(scenario: &Scenario, outcome: &ScenarioOutcome, path: &Path) -> Result<bool> {
    let yardstick = scenario.yardstick();
    let bars: Vec<_> = outcome
        .contenders
        .iter()
        .filter_map(|contender| {
            Some((contender.name.clone(), contender.spread(|figures| figures.by(yardstick))?))
        })
        .collect();
    let Some(longest) = bars.iter().map(|(_, value)| value.max).reduce(f64::max) else {
        return Ok(false);
    };
    let what = match yardstick {
        Yardstick::Carried => "carried by one core",
        Yardstick::Cost => "processor seconds for each gigabit delivered",
        Yardstick::ProcessorTime => "share of a core",
        Yardstick::Memory => "resident memory, KiB",
    };
    let count = i32::try_from(bars.len())?;
    let size = (WIDTH, ROW * u32::try_from(bars.len())? + MARGIN);
    let area = SVGBackend::new(path, size).into_drawing_area();
    let failed = |error: DrawingAreaErrorKind<_>| anyhow!("draw {}: {error}", path.display());
    area.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(scenario.title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(170)
        .build_cartesian_2d(0.0..longest * 1.05, (0..count - 1).into_segmented())
        .map_err(failed)?;
    let name = |place: &SegmentValue<i32>| match place {
        SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => {
            let from_above = usize::try_from(count - 1 - place).ok();
            from_above.and_then(|at| bars.get(at)).map_or(String::new(), |(name, _)| name.clone())
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .x_desc(what)
        .draw()
        .map_err(failed)?;
    for (place, (name, value)) in (0..count).rev().zip(&bars) {
        let color = if name.starts_with("edgerelay") {
            RGBColor(38, 110, 180)
        } else {
            RGBColor(160, 160, 160)
        };
        let (below, above) = (SegmentValue::Exact(place), SegmentValue::Exact(place + 1));
        let mut bar = Rectangle::new([(0.0, below), (value.median, above)], color.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar]).map_err(failed)?;
        let middle = SegmentValue::CenterOf(place);
        let range = [(value.min, middle.clone()), (value.max, middle)];
        chart.draw_series([PathElement::new(range, BLACK)]).map_err(failed)?;
    }
    area.present().map_err(failed)?;
    Ok(true)
}
