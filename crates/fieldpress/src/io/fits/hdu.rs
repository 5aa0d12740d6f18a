//! What an HDU holds, by its header.

use serde_json::{json, Map, Value};

use super::header::{Header, BLOCK};
use super::template::Column;
use crate::array::{DType, Shape};
use crate::error::{Error, Result};

/// The most columns the standard allows.
const MAX_COLUMNS: u64 = 999;
/// The most axes the standard allows.
const MAX_AXES: u64 = 999;

/// One header and data unit.
pub(super) struct Hdu {
    /// The name of its image, and what columns stand under where there are several HDUs.
    pub(super) name: String,
    /// What its arrays have in common.
    pub(super) attributes: Map<String, Value>,
    /// Bytes of the header.
    pub(super) header: u64,
    /// Bytes of data, without padding.
    pub(super) length: u64,
    pub(super) content: Content,
}

/// The arrays of an HDU, which begin where its data do.
pub(super) enum Content {
    None,
    Image { dtype: DType, shape: Shape, attributes: Map<String, Value> },
    Table { rows: u64, width: u64, columns: Vec<(Column, Map<String, Value>)> },
}

impl Hdu {
    /// HDU number `index` of a file. Errors: `Corrupt`; `Unsupported` for a file that says it does not conform.
    pub(super) fn new(h: &Header, index: usize) -> Result<Hdu> {
        let primary = index == 0;
        if primary && h.first == "SIMPLE" && !h.is_true("SIMPLE") {
            return Err(Error::unsupported(
                "expected a file that conforms to the standard (SIMPLE = T), found another",
            ));
        }
        let first = if primary { "SIMPLE" } else { "XTENSION" };
        if h.first != first {
            return Err(Error::corrupt(format!("expected a header that begins with {first}, found {:?}", h.first)));
        }
        let bits = h.integer("BITPIX")?;
        let dtype = dtype(bits)?;
        let naxis = h.count("NAXIS")?;
        if naxis > MAX_AXES {
            return Err(Error::corrupt(format!("expected at most {MAX_AXES} axes, found {naxis}")));
        }
        let axes = (1..=naxis).map(|k| h.count(&format!("NAXIS{k}"))).collect::<Result<Vec<u64>>>()?;
        let groups = primary && axes.first() == Some(&0) && h.is_true("GROUPS");
        let parameters = if primary && !groups { 0 } else { h.count_or("PCOUNT", 0)? };
        let count = if primary && !groups { 1 } else { h.count_or("GCOUNT", 1)? };
        let counted = axes.get(usize::from(groups)..).unwrap_or_default();
        let values = if axes.is_empty() { Some(0) } else { counted.iter().try_fold(1u64, |n, &d| n.checked_mul(d)) };
        let length = values
            .and_then(|n| n.checked_add(parameters)?.checked_mul(count)?.checked_mul(dtype.size() as u64))
            .ok_or_else(|| Error::corrupt(format!("expected data of less than 2^64 bytes, found axes {axes:?}")))?;
        let mut attributes = Map::new();
        attributes.insert("hdu".into(), Value::from(index));
        if let Some(name) = h.text("EXTNAME") {
            attributes.insert("extname".into(), Value::from(name));
        }
        let number = if primary { "primary".into() } else { format!("hdu{index}") };
        let name = h.text("EXTNAME").map_or(number, String::from);
        let plain = parameters == 0 && count == 1;
        let packed = h.is_true("ZIMAGE") || h.is_true("ZTABLE");
        let content = match h.text("XTENSION") {
            _ if length == 0 || groups => Content::None,
            _ if primary => image(h, dtype, &axes),
            Some("IMAGE") if plain => image(h, dtype, &axes),
            Some("BINTABLE") if !packed => {
                let (&[width, rows], 8, 1) = (axes.as_slice(), bits, count) else {
                    return Err(Error::corrupt(format!(
                        "expected a table of two axes, BITPIX 8 and GCOUNT 1, found {naxis} axes, {bits} and {count}"
                    )));
                };
                let columns = columns(h, rows, width)?;
                if rows == 0 {
                    Content::None
                } else {
                    Content::Table { rows, width, columns }
                }
            }
            _ => Content::None,
        };
        Ok(Hdu { name, attributes, header: h.length, length, content })
    }
    /// Bytes of data with padding. Errors: `Corrupt`.
    pub(super) fn padded(&self) -> Result<u64> {
        let n = self.length.checked_next_multiple_of(BLOCK);
        n.ok_or_else(|| Error::corrupt(format!("expected data of less than 2^64 bytes, found {}", self.length)))
    }
    pub(super) fn has_arrays(&self) -> bool {
        match &self.content {
            Content::None => false,
            Content::Image { .. } => true,
            Content::Table { columns, .. } => !columns.is_empty(),
        }
    }
}

fn dtype(bits: i64) -> Result<DType> {
    match bits {
        8 => Ok(DType::U8),
        16 => Ok(DType::I16),
        32 => Ok(DType::I32),
        64 => Ok(DType::I64),
        -32 => Ok(DType::F32),
        -64 => Ok(DType::F64),
        _ => Err(Error::corrupt(format!("expected a BITPIX of 8, 16, 32, 64, -32 or -64, found {bits}"))),
    }
}

/// Axes run from the fastest to the slowest. Nothing where there are more than our arrays may have.
fn image(h: &Header, dtype: DType, axes: &[u64]) -> Content {
    let dims: Option<Vec<usize>> = axes.iter().rev().map(|&d| usize::try_from(d).ok()).collect();
    let Some(shape) = dims.and_then(|d| Shape::new(&d).ok()) else { return Content::None };
    let mut attributes = Map::new();
    describe(h, ["BUNIT", "BSCALE", "BZERO", "BLANK"], dtype, &mut attributes);
    Content::Image { dtype, shape, attributes }
}

/// Unit, scaling and the value of what is undefined.
fn describe(h: &Header, keywords: [&str; 4], dtype: DType, attributes: &mut Map<String, Value>) {
    let [unit, scale, zero, blank] = keywords;
    if let Some(unit) = h.text(unit) {
        attributes.insert("unit".into(), Value::from(unit));
    }
    let scales = [("scale", h.number(scale), 1.0), ("zero", h.number(zero), 0.0)];
    if scales.iter().any(|(_, v, plain)| v.as_ref().is_some_and(|v| v.as_f64() != Some(*plain))) {
        for (key, value, plain) in scales {
            attributes.insert(key.into(), value.unwrap_or(Value::from(plain)));
        }
    }
    if let Some(blank) = h.number(blank).filter(|_| !dtype.is_float()) {
        attributes.insert("blank".into(), blank);
    }
}

/// The columns that are arrays. Errors: `Corrupt` when the columns are wider than a row.
fn columns(h: &Header, rows: u64, width: u64) -> Result<Vec<(Column, Map<String, Value>)>> {
    let fields = h.count("TFIELDS")?;
    if fields > MAX_COLUMNS {
        return Err(Error::corrupt(format!("expected at most {MAX_COLUMNS} columns, found {fields}")));
    }
    let mut found = Vec::new();
    let mut offset = 0u64;
    for k in 1..=fields {
        let key = |name: &str| format!("{name}{k}");
        let form = h.text(&key("TFORM")).unwrap_or_default();
        let (dtype, repeat, length) = tform(form).ok_or_else(|| {
            Error::corrupt(format!("expected a type of the standard (such as 1024E) as TFORM{k}, found {form:?}"))
        })?;
        let end = offset.checked_add(length).filter(|e| *e <= width);
        let end = end.ok_or_else(|| {
            Error::corrupt(format!("expected columns within a row of {width} bytes, found column {k} past its end"))
        })?;
        if let Some(dtype) = dtype.filter(|_| repeat > 0) {
            let mut attributes = Map::new();
            let keys = ["TUNIT", "TSCAL", "TZERO", "TNULL"].map(key);
            describe(h, [&keys[0], &keys[1], &keys[2], &keys[3]], dtype, &mut attributes);
            if repeat > 1 {
                attributes.insert("repeat".into(), Value::from(repeat));
            }
            if let Some(dims) = h.text(&key("TDIM")) {
                attributes.insert("dims".into(), Value::from(dims));
            }
            if let Some(map) = healpix(h, rows.saturating_mul(repeat)) {
                attributes.insert("healpix".into(), map);
            }
            let name = h.text(&key("TTYPE")).map_or_else(|| format!("column{k}"), String::from);
            found.push((Column { name, dtype, offset, repeat }, attributes));
        }
        offset = end;
    }
    Ok(found)
}

/// The element type, where it is one of ours, the values in a row, and their bytes.
fn tform(form: &str) -> Option<(Option<DType>, u64, u64)> {
    let letter = form.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = form.split_at(letter);
    let repeat = if digits.is_empty() { 1 } else { digits.parse().ok()? };
    let (dtype, size) = match rest.chars().next()? {
        'B' => (Some(DType::U8), 1),
        'I' => (Some(DType::I16), 2),
        'J' => (Some(DType::I32), 4),
        'K' => (Some(DType::I64), 8),
        'E' => (Some(DType::F32), 4),
        'D' => (Some(DType::F64), 8),
        'X' => return Some((None, repeat, repeat.div_ceil(8))),
        'L' | 'A' => (None, 1),
        'C' | 'P' => (None, 8),
        'M' | 'Q' => (None, 16),
        _ => return None,
    };
    Some((dtype, repeat, repeat.checked_mul(size)?))
}

/// What is known of a HEALPix map of `pixels`; `None` where a column is none, or not of the whole sphere.
fn healpix(h: &Header, pixels: u64) -> Option<Value> {
    if h.text("PIXTYPE") != Some("HEALPIX") || h.text("INDXSCHM") == Some("EXPLICIT") {
        return None;
    }
    let nside = h.count("NSIDE").ok()?;
    let ordering = match h.text("ORDERING")? {
        "RING" => "ring",
        // Pixels are nested by halving them.
        "NESTED" | "NEST" if nside.is_power_of_two() => "nested",
        _ => return None,
    };
    let whole = nside.checked_mul(nside)?.checked_mul(12)?;
    (nside > 0 && whole == pixels).then(|| json!({ "nside": nside, "ordering": ordering }))
}
