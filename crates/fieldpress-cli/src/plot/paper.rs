//! What a picture is drawn on: points for PNG, elements for SVG.

use base64::prelude::{Engine, BASE64_STANDARD};
use fieldpress::{Error, Result};

use super::colours::{Rgb, WHITE};
use super::font;

/// Grey of outlines, and of letters.
const LINE: u8 = 90;
const INK: u8 = 20;

/// Places are in pixels from the upper left corner. `(x, y)` of a text is the middle of its line.
pub(super) trait Paper {
    /// A picture of this width, at its upper left corner.
    fn image(&mut self, at: [usize; 2], width: usize, pixels: &[Rgb]) -> Result<()>;
    /// The outline of an ellipse with these half axes, the line being so wide.
    fn ellipse(&mut self, middle: [f64; 2], half: [f64; 2], wide: f64);
    /// The outline of a rectangle.
    fn frame(&mut self, at: [usize; 2], size: [usize; 2]);
    /// A line of text around `at`, its points being `scale` pixels large.
    fn text(&mut self, at: [usize; 2], scale: usize, text: &str);
    /// The bytes of the file.
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}

/// Points.
pub(super) struct Points {
    size: [usize; 2],
    pixels: Vec<Rgb>,
}

impl Points {
    pub(super) fn new(size: [usize; 2]) -> Points {
        Points { size, pixels: vec![WHITE; size[0] * size[1]] }
    }
    /// Mixes in a grey.
    fn mix(&mut self, x: usize, y: usize, grey: u8, share: f64) {
        if x < self.size[0] {
            if let Some(p) = self.pixels.get_mut(y * self.size[0] + x) {
                *p = p.map(|c| (f64::from(c) + share * (f64::from(grey) - f64::from(c))).round() as u8);
            }
        }
    }
}

impl Paper for Points {
    fn image(&mut self, at: [usize; 2], width: usize, pixels: &[Rgb]) -> Result<()> {
        for (row, from) in pixels.chunks(width).enumerate() {
            let first = (at[1] + row) * self.size[0] + at[0];
            if let Some(to) = self.pixels.get_mut(first..first + from.len()) {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }
    fn ellipse(&mut self, middle: [f64; 2], half: [f64; 2], wide: f64) {
        let (x, y) = ((middle[0] - half[0] - wide).max(0.0) as usize, (middle[1] - half[1] - wide).max(0.0) as usize);
        let (right, down) = ((middle[0] + half[0] + wide) as usize, (middle[1] + half[1] + wide) as usize);
        for (row, column) in (y..=down).flat_map(|r| (x..=right).map(move |c| (r, c))) {
            let (u, v) = ((column as f64 + 0.5 - middle[0]) / half[0], (row as f64 + 0.5 - middle[1]) / half[1]);
            let value = u * u + v * v;
            // The distance, as far as the slope tells it.
            let slope = 2.0 * ((u / half[0]).powi(2) + (v / half[1]).powi(2)).sqrt();
            let share = 0.5 * wide + 0.5 - (value - 1.0).abs() / slope.max(1e-9);
            if share > 0.0 {
                self.mix(column, row, LINE, share.min(1.0));
            }
        }
    }
    fn frame(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2]) {
        for column in x..x + width {
            self.mix(column, y, LINE, 1.0);
            self.mix(column, y + height - 1, LINE, 1.0);
        }
        for row in y..y + height {
            self.mix(x, row, LINE, 1.0);
            self.mix(x + width - 1, row, LINE, 1.0);
        }
    }
    fn text(&mut self, at: [usize; 2], scale: usize, text: &str) {
        let width = (text.chars().count() * font::ADVANCE).saturating_sub(1) * scale;
        let (left, top) = (at[0].saturating_sub(width / 2), at[1].saturating_sub(font::ABOVE * scale / 2));
        for (i, letter) in text.chars().enumerate() {
            for (row, column) in (0..font::ROWS * scale).flat_map(|r| (0..font::ADVANCE * scale).map(move |c| (r, c))) {
                if font::ink(letter, column / scale, row / scale) {
                    self.mix(left + i * font::ADVANCE * scale + column, top + row, INK, 1.0);
                }
            }
        }
    }
    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        png_bytes(self.size[0], &self.pixels)
    }
}

/// A PNG file.
fn png_bytes(width: usize, pixels: &[Rgb]) -> Result<Vec<u8>> {
    let failed = |e: png::EncodingError| Error::invalid(format!("expected a picture that can be written as PNG: {e}"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, (pixels.len() / width.max(1)) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels.as_flattened()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Elements.
pub(super) struct Svg {
    size: [usize; 2],
    text: String,
}

impl Svg {
    pub(super) fn new(size: [usize; 2]) -> Svg {
        Svg { size, text: String::new() }
    }
}

impl Paper for Svg {
    fn image(&mut self, [x, y]: [usize; 2], width: usize, pixels: &[Rgb]) -> Result<()> {
        let (height, data) = (pixels.len() / width.max(1), BASE64_STANDARD.encode(png_bytes(width, pixels)?));
        self.text += &format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" href=\"data:image/png;base64,{data}\"/>\n"
        );
        Ok(())
    }
    fn ellipse(&mut self, [x, y]: [f64; 2], [a, b]: [f64; 2], wide: f64) {
        self.text += &format!(
            "<ellipse cx=\"{x}\" cy=\"{y}\" rx=\"{a}\" ry=\"{b}\" fill=\"none\" stroke=\"rgb({LINE},{LINE},{LINE})\" stroke-width=\"{wide}\"/>\n"
        );
    }
    fn frame(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2]) {
        let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
        let (width, height) = (width - 1, height - 1);
        self.text += &format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"rgb({LINE},{LINE},{LINE})\"/>\n"
        );
    }
    fn text(&mut self, [x, y]: [usize; 2], scale: usize, text: &str) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        // Control characters are not XML.
        let escaped: String = escaped.chars().filter(|c| !c.is_control()).collect();
        // Capitals are about 0.7 of the size of a font.
        let (size, y) = (10 * scale, y as f64 + 3.5 * scale as f64);
        self.text += &format!(
            "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{size}\" text-anchor=\"middle\" fill=\"rgb({INK},{INK},{INK})\">{escaped}</text>\n"
        );
    }
    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        let [w, h] = self.size;
        let head = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\">\n"
        );
        let paper = format!("<rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>\n");
        Ok(format!("{head}{paper}{}</svg>\n", self.text).into_bytes())
    }
}
