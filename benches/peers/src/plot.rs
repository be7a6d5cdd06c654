//! A line chart as SVG: axes, grid, lines, names; nothing else.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;

/// Told apart by people who see colours differently, too.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0 on.
    Linear,
    /// By powers of ten. Values must be above 0.
    Log,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it is of.
    pub label: &'static str,
    /// How values lie along it.
    pub scale: Scale,
    /// Marks: where, and what is written there. Without any, marks are made.
    pub marks: Vec<(f64, String)>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
    /// Shows each point.
    pub dots: bool,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Stands above it.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// An axis, fitted to its values.
struct Fit {
    scale: Scale,
    low: f64,
    high: f64,
    marks: Vec<(f64, String)>,
}

impl Fit {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.chain(axis.marks.iter().map(|mark| mark.0)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let marks: Vec<_> = match axis.scale {
            Scale::Linear => {
                low = 0.0;
                let step = step(high);
                let count = (high / step).ceil();
                high = (count * step).max(step);
                (0..=count as u32).map(|i| f64::from(i) * step).collect()
            }
            Scale::Log => {
                let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
                if axis.marks.is_empty() {
                    (low, high) = (10_f64.powi(*decades.start()), 10_f64.powi(*decades.end()));
                }
                decades.map(|decade| 10_f64.powi(decade)).collect()
            }
        };
        let marks = if axis.marks.is_empty() {
            marks.into_iter().map(|at| (at, short(at))).collect()
        } else {
            axis.marks.clone()
        };
        Self { scale: axis.scale, low, high, marks }
    }

    /// 0 at the low end, 1 at the high one.
    fn at(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that about five steps reach `high`.
fn step(high: f64) -> f64 {
    if high <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf((high / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|times| times * power)
        .into_iter()
        .find(|step| high / step <= 6.0)
        .unwrap_or(power * 10.0)
}

/// 2,000,000 as `2 M`.
#[must_use]
pub fn short(value: f64) -> String {
    for (unit, name) in [(1e9, " G"), (1e6, " M"), (1e3, " k")] {
        if value >= unit {
            return format!("{}{name}", value / unit);
        }
    }
    // Twelve places and no more: 0.1 + 0.2 is written 0.3.
    format!("{}", (value * 1e12).round() / 1e12)
}

impl Chart {
    /// The chart as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Fit::new(&self.x, points().map(|point| point.0));
        let y = Fit::new(&self.y, points().map(|point| point.1));
        let across = |value: f64| LEFT + x.at(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.at(value) * (HEIGHT - TOP - BOTTOM);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
            escaped(&self.title)
        );
        let mut add = |element: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            let _ = svg.write_fmt(format_args!("{element}\n"));
        };
        for (value, mark) in &x.marks {
            let at = across(*value);
            add(format_args!("<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#dddddd\"/>"));
            let below = bottom + 18.0;
            add(format_args!(
                "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
                escaped(mark)
            ));
        }
        for (value, mark) in &y.marks {
            let at = up(*value);
            add(format_args!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#dddddd\"/>"));
            let (left, middle) = (LEFT - 8.0, at + 4.0);
            add(format_args!(
                "<text x=\"{left}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
                escaped(mark)
            ));
        }
        add(format_args!("<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333333\"/>"));
        let (middle, below) = ((LEFT + right) / 2.0, HEIGHT - 14.0);
        add(format_args!(
            "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
            escaped(self.x.label)
        ));
        let half = (TOP + bottom) / 2.0;
        add(format_args!(
            "<text transform=\"translate(18 {half}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escaped(self.y.label)
        ));
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let path: Vec<_> = line
                .points
                .iter()
                .map(|(left, high)| format!("{:.1} {:.1}", across(*left), up(*high)))
                .collect();
            add(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ));
            for (left, high) in line.points.iter().filter(|_| line.dots) {
                let (cx, cy) = (across(*left), up(*high));
                add(format_args!("<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\" fill=\"{colour}\"/>"));
            }
        }
        for (at, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let (left, high) = (right + 14.0, TOP + 10.0 + at as f64 * 20.0);
            add(format_args!("<path d=\"M{left} {high}h18\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
            let (left, high) = (left + 24.0, high + 4.0);
            add(format_args!("<text x=\"{left}\" y=\"{high}\">{}</text>", escaped(&line.name)));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale) -> Axis {
        Axis { label: "orders & <more>", scale, marks: Vec::new() }
    }

    #[test]
    fn points_lie_where_the_axes_say() {
        let line = Line { name: "ours".to_owned(), points: vec![(1e5, 10.0), (1e7, 50.0)], dots: true };
        let chart = Chart {
            title: "growth".to_owned(),
            x: axis(Scale::Log),
            y: axis(Scale::Linear),
            lines: vec![line],
        };
        let svg = chart.svg();
        // The lowest x is at the left edge; 10 of 50 is a fifth of the way up.
        let up = HEIGHT - BOTTOM - 0.2 * (HEIGHT - TOP - BOTTOM);
        assert!(svg.contains(&format!("points=\"70.0 {up:.1} {:.1} 44.0\"", WIDTH - RIGHT)), "{svg}");
        assert!(svg.contains("orders &amp; &lt;more&gt;"));
        assert!(svg.contains(">100 k<") && svg.contains(">10 M<"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn a_chart_of_nothing_is_still_a_chart() {
        let chart =
            Chart { title: String::new(), x: axis(Scale::Log), y: axis(Scale::Linear), lines: Vec::new() };
        assert!(chart.svg().ends_with("</svg>\n"));
        assert!(!chart.svg().contains("NaN"));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([step(50.0), step(9.0), step(0.3)].map(short), ["10", "2", "0.05"]);
        assert_eq!(short(2_300_000.0), "2.3 M");
    }
}
