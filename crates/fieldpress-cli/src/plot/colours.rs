//! Values to colours: lightness changes evenly with the value.
//!
//! Source: B. Ottosson, "A perceptual color space for image processing", 2020 (Oklab).

use crate::maps::is_missing;

/// Red, green, blue, as sRGB.
pub(super) type Rgb = [u8; 3];

pub(super) const WHITE: Rgb = [255; 3];
/// Where there is no value.
const MISSING: Rgb = [150; 3];
/// Steps of a table of colours.
const STEPS: usize = 512;

/// The kinds of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Blue below 0, white at 0, red above.
    Diverging,
    /// From dark blue to light yellow.
    Sequential,
}

/// The colour of each value from `least` to `most`; those beyond have the colours of the ends.
pub(super) struct Colours {
    pub(super) least: f64,
    pub(super) most: f64,
    /// The value of the middle of the table, and half of what it spans.
    middle: f64,
    half: f64,
    table: Vec<Rgb>,
}

impl Colours {
    pub(super) fn new(kind: Kind, least: f64, most: f64) -> Colours {
        let mut middle = 0.5 * least + 0.5 * most;
        let mut half = 0.5 * most - 0.5 * least;
        let mut of: fn(f64) -> Rgb = sequential;
        if kind == Kind::Diverging {
            of = diverging;
            if least < 0.0 && most > 0.0 {
                // As far from 0 is as strong, whichever side reaches further.
                (middle, half) = (0.0, most.max(-least));
            }
        }
        let table = (0..=STEPS).map(|i| of(i as f64 / STEPS as f64)).collect();
        Colours { least, most, middle, half, table }
    }
    pub(super) fn of(&self, value: f64) -> Rgb {
        if is_missing(value) {
            return MISSING;
        }
        let value = value.clamp(self.least, self.most);
        let at = (0.5 + 0.5 * (value - self.middle) / self.half) * STEPS as f64;
        self.table.get(at.round() as usize).copied().unwrap_or(MISSING)
    }
    /// The value to be named between the least and the most: that of the middle colour.
    pub(super) fn middle(&self) -> f64 {
        self.middle
    }
}

/// Dark blue over green to light yellow.
fn sequential(t: f64) -> Rgb {
    let turn = 285.0 - 180.0 * t;
    srgb(0.22 + 0.74 * t, 0.105, turn)
}

/// Blue over white to red, as light on either side.
fn diverging(t: f64) -> Rgb {
    let far = (2.0 * t - 1.0).abs();
    let turn = if t < 0.5 { 255.0 } else { 30.0 };
    srgb(0.98 - 0.60 * far, 0.16 * libm::sin(2.1 * far), turn)
}

/// From lightness, chroma and hue in degrees.
fn srgb(lightness: f64, chroma: f64, hue: f64) -> Rgb {
    let (a, b) = (chroma * libm::cos(hue.to_radians()), chroma * libm::sin(hue.to_radians()));
    let cube = |v: f64| v * v * v;
    let l = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b);
    let m = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b);
    let s = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548 * b);
    let linear = [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
    ];
    linear.map(|v| {
        let v = v.clamp(0.0, 1.0);
        let v = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * libm::pow(v, 1.0 / 2.4) - 0.055 };
        (v * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn light([r, g, b]: Rgb) -> f64 {
        0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
    }

    #[test]
    fn lightness_rises_or_falls_all_the_way() {
        let c = Colours::new(Kind::Sequential, 0.0, 1.0);
        assert!(c.table.windows(2).all(|w| light(w[0]) <= light(w[1]) + 0.6));
        assert!(light(c.of(0.0)) < 50.0 && light(c.of(1.0)) > 220.0);
        let c = Colours::new(Kind::Diverging, -1.0, 1.0);
        let (low, high) = (c.of(-1.0), c.of(1.0));
        assert!(low[2] > low[0] && high[0] > high[2] && (light(low) - light(high)).abs() < 25.0);
        assert!(c.of(0.0).iter().all(|v| *v > 240));
    }

    #[test]
    fn zero_is_white_and_what_is_missing_grey() {
        let c = Colours::new(Kind::Diverging, -1.0, 5.0);
        assert!(c.of(0.0).iter().all(|v| *v > 240) && c.middle() == 0.0);
        assert_eq!(c.of(7.0), c.of(5.0));
        for v in [f64::NAN, crate::maps::UNSEEN, f64::from(crate::maps::UNSEEN as f32)] {
            assert_eq!(c.of(v), MISSING);
        }
        assert_eq!(c.of(f64::INFINITY), c.of(5.0));
    }
}
