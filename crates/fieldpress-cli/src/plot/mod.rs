//! `fieldpress plot`.

mod colours;
mod font;
mod mollweide;
mod paper;

use std::path::{Path, PathBuf};

use clap::Args;
use fieldpress::array::Region;
use fieldpress::files::Glob;
use fieldpress::sphere::{map_to_ring, Grid, Sampling};
use fieldpress::{Error, Result};

use self::colours::{Colours, Kind};
use self::paper::{Paper, Points, Svg};
use crate::args::OpenArgs;
use crate::compare::{arrays_of, Named};
use crate::files::{is_stream, shown, write_to};
use crate::maps::{chosen, is_missing};
use crate::numbers::short;

/// Draw a map on the sphere, in Mollweide's projection, as PNG or SVG.
///
/// A map is an array of two axes, rings from north to south and points along them, or one of 12 nside^2 HEALPix pixels. Longitude 0 is in the middle and rises to the
/// left, as one sees the sky. Where values are NaN or healpy's UNSEEN the picture is grey.
#[derive(Args)]
pub(crate) struct Plot {
    /// The map: a file with an array, or an archive.
    map: PathBuf,
    /// The picture: a file that ends in .png or .svg, or - for PNG on standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing file.
    #[arg(short, long)]
    force: bool,
    /// A second map, to the right of the first and in the same colours.
    #[arg(long, value_name = "MAP")]
    against: Option<PathBuf>,
    /// The array to draw, where a file has several.
    #[arg(long, value_name = "NAME")]
    array: Option<Glob>,
    /// mw, mwss, dh or gl: [rings, points]; healpix [default: what the shape tells, mw before gl].
    #[arg(long, value_name = "NAME")]
    sampling: Option<String>,
    /// HEALPix pixels are in nested order.
    #[arg(long)]
    nested: bool,
    /// Pixels from left to right.
    #[arg(long, value_name = "PIXELS", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(100..=20000))]
    width: u32,
    /// The value of the first colour [default: 0.5 % of the values are below].
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    min: Option<f64>,
    /// The value of the last colour [default: 0.5 % of the values are above].
    #[arg(long, value_name = "V", allow_negative_numbers = true)]
    max: Option<f64>,
    /// What stands above the map; for two maps, give it twice [default: with --against the names of the files].
    #[arg(long, value_name = "TEXT")]
    title: Vec<String>,
    /// Colours [default: diverging where there are values on both sides of 0].
    #[arg(long)]
    colours: Option<Kind>,
    #[command(flatten)]
    open: OpenArgs,
}

/// A map and where its points are.
struct Map {
    grid: Grid,
    values: Vec<f64>,
    name: String,
}

impl Plot {
    pub(crate) fn run(&self) -> Result<()> {
        let svg = self.is_svg()?;
        let paths: Vec<&Path> = std::iter::once(self.map.as_path()).chain(self.against.as_deref()).collect();
        let titles = self.titles(paths.len())?;
        let maps = paths.into_iter().map(|p| self.load(p)).collect::<Result<Vec<Map>>>()?;
        let bytes = self.drawn(&maps, titles, svg)?;
        write_to(&self.output, self.force, |out| Ok(out.write_all(&bytes).and_then(|()| out.flush())?))
    }
    fn is_svg(&self) -> Result<bool> {
        let ending = self.output.extension().map(|e| e.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("svg") => Ok(true),
            Some("png") => Ok(false),
            _ if is_stream(&self.output) => Ok(false),
            _ => Err(Error::invalid("expected a name that ends in .png or .svg").at(self.output.display())),
        }
    }
    fn titles(&self, maps: usize) -> Result<Option<&[String]>> {
        match self.title.len() {
            0 => Ok(None),
            n if n == maps => Ok(Some(&self.title)),
            n => Err(Error::invalid(format!("expected --title once for each of {maps} maps, found {n}"))),
        }
    }
    fn load(&self, path: &Path) -> Result<Map> {
        let arrays = arrays_of(path, &self.open.options())?;
        self.chosen(path, &arrays).map_err(|e| e.at(shown(path)))
    }
    fn chosen(&self, path: &Path, arrays: &[Named]) -> Result<Map> {
        let array = chosen(arrays, self.array.as_ref())?;
        let shape = array.source.shape();
        let grid = self.grid(shape.dims())?;
        let mut values = array.source.read(&Region::all(shape))?.as_slice().to_f64();
        if let (Sampling::Healpix(nside), true) = (grid.sampling(), self.nested || array.nested) {
            values = map_to_ring(nside, &values)?;
        }
        let name = path.file_name().map_or_else(|| shown(path), |n| n.to_string_lossy().into_owned());
        Ok(Map { grid, values, name })
    }
    /// The grid of a map of this shape.
    fn grid(&self, dims: &[usize]) -> Result<Grid> {
        let (sampling, band) = Sampling::of(self.sampling.as_deref(), dims)?;
        if self.nested && !matches!(sampling, Sampling::Healpix(_)) {
            return Err(Error::invalid("expected a HEALPix map with --nested"));
        }
        Grid::new(sampling, band)
    }
    /// The colours of all maps together.
    fn scale(&self, maps: &[Map]) -> Result<Colours> {
        let mut values: Vec<f64> = Vec::new();
        if self.min.is_none() || self.max.is_none() {
            let all = maps.iter().flat_map(|m| m.values.iter().copied());
            values.extend(all.filter(|v| v.is_finite() && !is_missing(*v)));
            if values.is_empty() {
                return Err(Error::invalid(
                    "expected a map with values, found none that is finite; give --min and --max",
                ));
            }
        }
        let mut at = |share: f64| {
            let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
            *values.select_nth_unstable_by(place, f64::total_cmp).1
        };
        let mut least = self.min.unwrap_or_else(|| at(0.005));
        let mut most = self.max.unwrap_or_else(|| at(0.995));
        if self.min.is_none() && self.max.is_none() && least == most {
            // Of a map that is the same everywhere the value is in the middle.
            let around = if least == 0.0 { 1.0 } else { 0.5 * least.abs() };
            (least, most) = (least - around, most + around);
        }
        if !(least < most && least.is_finite() && most.is_finite()) {
            return Err(Error::invalid(format!(
                "expected the value of the first colour below that of the last, found {} and {}; give --min and --max",
                short(least),
                short(most)
            )));
        }
        let both = least < 0.0 && most > 0.0;
        Ok(Colours::new(self.colours.unwrap_or(if both { Kind::Diverging } else { Kind::Sequential }), least, most))
    }
    fn drawn(&self, maps: &[Map], titles: Option<&[String]>, svg: bool) -> Result<Vec<u8>> {
        let colours = self.scale(maps)?;
        let width = self.width as usize;
        let scale = ((width + 300) / 600).max(1);
        let panel = width / maps.len();
        let margin = panel / 50 + 2;
        let named = titles.is_some() || maps.len() > 1;
        let top = margin + if named { 14 * scale } else { 0 };
        let size = [panel - 2 * margin, (panel - 2 * margin) / 2];
        let bar = [panel / 2, 8 * scale];
        let below = top + size[1] + margin;
        let labels = below + bar[1] + 7 * scale;
        let whole = [width, labels + 6 * scale + margin];
        let mut paper: Box<dyn Paper> = if svg { Box::new(Svg::new(whole)) } else { Box::new(Points::new(whole)) };
        for (i, map) in maps.iter().enumerate() {
            let left = i * panel + margin;
            paper.image([left, top], size[0], &mollweide::draw(&map.grid, &map.values, &colours, size))?;
            let half = size.map(|s| 0.5 * s as f64);
            paper.ellipse([left as f64 + half[0], top as f64 + half[1]], half, scale as f64);
            if named {
                let title = titles.and_then(|t| t.get(i)).unwrap_or(&map.name);
                paper.text([i * panel + panel / 2, margin + 4 * scale], scale, &cut(title, size[0] / (6 * scale)));
            }
        }
        let left = (width - bar[0]) / 2;
        let value = |share: f64| colours.least * (1.0 - share) + colours.most * share;
        let row: Vec<_> = (0..bar[0]).map(|i| colours.of(value((i as f64 + 0.5) / bar[0] as f64))).collect();
        paper.image([left, below], bar[0], &row.repeat(bar[1]))?;
        paper.frame([left, below], bar);
        let mut taken: Vec<[usize; 2]> = Vec::new();
        for v in [colours.least, colours.most, colours.middle()] {
            let share = (v - colours.least) / (colours.most - colours.least);
            let (label, x) = (short(v), left + (share * bar[0] as f64) as usize);
            // The middle one only where there is room.
            let wide = (label.chars().count() * 6 + 6) * scale / 2;
            let span = [x.saturating_sub(wide), x + wide];
            if taken.iter().all(|t| span[1] <= t[0] || span[0] >= t[1]) {
                paper.text([x, labels], scale, &label);
                taken.push(span);
            }
        }
        paper.finish()
    }
}

/// A text of at most so many letters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect()
}
