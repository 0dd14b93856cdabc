//! Pictures as SVG, without any library: lines of steps over time.
//!
//! Takes: a title, a length in seconds, and named points in the order of time. Gives: the text of the file; what is
//! there has a colour for light and dark pages. Does not: smooth.

use std::fmt::Write;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 40.0;

const NAMES: [(&str, &str, &str); 3] = [
    ("ours", "this operator", "#1a7f37"),
    ("tuned", "KEDA, tuned", "#bf6a02"),
    ("default", "KEDA, defaults", "#8250df"),
];

/// A line of each, which keeps its height until the next point.
pub(crate) fn steps(title: &str, length: f64, lines: &[(&str, Vec<(f64, f64)>)]) -> String {
    let most = lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value).fold(1.0, f64::max);
    let x = |at: f64| LEFT + WIDTH * at.clamp(0.0, length) / length;
    let y = |value: f64| TOP + HEIGHT * (1.0 - value / most);
    let (width, height) = (LEFT + WIDTH + 20.0, TOP + HEIGHT + 40.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{title}</text>\n"
    );
    for share in 0..=4 {
        let (value, at) = (most * f64::from(share) / 4.0, length * f64::from(share) / 4.0);
        let (level, place) = (y(value), x(at));
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "<path d=\"M{LEFT} {level:.1}h{WIDTH}\" stroke=\"#d0d7de\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>\n\
             <text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.0} s</text>\n",
            LEFT - 6.0,
            level + 4.0,
            TOP + HEIGHT + 18.0,
            at,
        );
    }
    for (number, (key, name, colour)) in NAMES.iter().enumerate() {
        let Some((_, points)) = lines.iter().find(|(found, _)| found == key) else { continue };
        let at = LEFT + WIDTH - 450.0 + 150.0 * number as f64;
        let _ = write!(
            text,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\n\
             <text x=\"{at:.1}\" y=\"18\" fill=\"{colour}\">{name}</text>\n",
            path(points, x, y, length),
        );
    }
    text + "</svg>\n"
}

fn path(points: &[(f64, f64)], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64, length: f64) -> String {
    let mut path = String::new();
    for (number, (at, value)) in points.iter().enumerate() {
        let _ = match number {
            0 => write!(path, "M{:.1} {:.1}", x(*at), y(*value)),
            _ => write!(path, "H{:.1}V{:.1}", x(*at), y(*value)),
        };
    }
    let _ = write!(path, "H{:.1}", x(length));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_height_until_the_next_point() {
        let picture = steps("Pods", 100.0, &[("ours", vec![(0.0, 1.0), (50.0, 2.0)])]);
        assert!(picture.contains("M50.0 170.0H500.0V40.0H950.0"), "{picture}");
        assert!(picture.contains("this operator") && !picture.contains("KEDA"));
    }
}
