//! `pca`: principal components of the members of an ensemble, or of the rows of a block.
//!
//! Sources: K. Pearson, "On lines and planes of closest fit to systems of points in space", 1901; L. Sirovich, "Turbulence and the
//! dynamics of coherent structures", 1987. See [components](crate::transform::components).
//!
//! An array of four axes or more is an ensemble of boxes of three axes; one of two or three axes may be taken as one whose members
//! are all that follows the first axis. Then mean and components are shared by its blocks, which must hold whole members. Otherwise each block has its own: its members are
//! the rows along its first axis, or all of it where there are less than two axes.
//!
//! # Format
//! What blocks share: the number of axes of a member, a byte; its extents, varints; the components. A block of an ensemble: the codes.
//! Any other: the components, a section, and the codes. Blocks without values are empty. See [components](crate::transform::components).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::{Buffer, Region, Shape, SliceMut, Source, MAX_RANK};
use crate::bits::{put_section, put_varint, ByteReader};
use crate::bound::Term;
use crate::codec::registry::{Entry, Make};
use crate::codec::{cast, parse_config, Block, BlockCodec, Claim, Codec, Site, Spec};
use crate::error::{Error, Result};
use crate::transform::components::{Components, Search, MOST_COMPONENTS, MOST_MEMBERS, MOST_VALUES};
use crate::transform::product::zeros;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    id: "pca",
    doc: "Principal components of the members of an ensemble, or of the rows of a block.",
    params: &[
        ("mode", "ensemble: components shared by all blocks; field: each block has its own; auto (default): ensemble from 4 axes"),
        ("components", "how many, at most 256 (default: what is cheapest)"),
        ("tolerance", "what is aimed at without a bound, relative to the largest magnitude (default 0.001)"),
    ],
    make: Make::Codec(|v| Ok(Box::new(parse_config::<Pca>("pca", v)?))),
    idempotent: false,
    unbounded: true,
};

/// What shares components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All blocks of an array of four axes or more; else each block has its own.
    #[default]
    Auto,
    /// All blocks.
    Ensemble,
    /// The rows along the first axis of a block.
    Field,
}

/// The configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pca {
    /// What shares components.
    pub mode: Mode,
    /// How many components; `None` for as many as make the result smallest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
    /// What is aimed at where there is no bound, relative to the largest magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

/// What is aimed at by default where there is no bound.
const TOLERANCE: f64 = 1e-3;
impl Pca {
    /// Errors: `InvalidArgument`.
    fn check(&self) -> Result<()> {
        let aim = self.aim();
        if self.components.is_some_and(|k| k > MOST_COMPONENTS) || !(0.0..1.0).contains(&aim) {
            return Err(Error::invalid(format!(
                "expected at most {MOST_COMPONENTS} components and a tolerance from 0 to 1, found {self:?}"
            )));
        }
        Ok(())
    }
    fn aim(&self) -> f64 {
        self.tolerance.unwrap_or(TOLERANCE)
    }
    /// Components of the members `x`, of `dims`, for so many `members`, as bytes. `tolerance` is `f64::MAX` where there is none.
    /// Errors: `LimitExceeded`.
    fn find(&self, x: Vec<f64>, dims: &[usize], members: usize, tolerance: f64) -> Result<Vec<u8>> {
        let tolerance = match tolerance {
            f64::MAX => self.aim() * x.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
            bound => bound,
        };
        Search { count: self.components, tolerance, members }.find(x, dims)
    }
}

/// How many leading axes count the members of an ensemble.
fn leading(rank: usize) -> usize {
    match rank {
        0 | 1 => 0,
        2 | 3 => 1,
        _ => rank - 3,
    }
}

/// `take` of `n`, evenly spread.
fn spread(n: usize, take: usize) -> impl Iterator<Item = usize> {
    (0..take).map(move |i| (i as u128 * n as u128 / take.max(1) as u128) as usize)
}

impl Codec for Pca {
    fn id(&self) -> &'static str {
        "pca"
    }
    fn config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn prepare(&self, field: &dyn Source, hint: &Term) -> Result<Vec<u8>> {
        self.check()?;
        let shape = field.shape();
        let lead = leading(shape.rank());
        let (outer, dims) = shape.dims().split_at(lead);
        let (all, cells) = (outer.iter().product::<usize>(), dims.iter().product::<usize>());
        match self.mode {
            Mode::Field => return Ok(Vec::new()),
            Mode::Auto if shape.rank() < 4 || all < 2 => return Ok(Vec::new()),
            Mode::Ensemble if lead == 0 => {
                return Err(Error::invalid(format!(
                    "expected an ensemble, of two axes or more, found the shape {shape}"
                )));
            }
            _ => {}
        }
        let take = (MOST_VALUES / cells.max(1)).clamp(2, MOST_MEMBERS).min(all);
        let (mut x, mut tolerance) = (zeros(take.saturating_mul(cells))?, 0.0f64);
        for (member, to) in spread(all, take).zip(x.chunks_exact_mut(cells.max(1))) {
            let (mut origin, mut rest) = (vec![0; shape.rank()], member);
            for (o, &n) in origin.iter_mut().zip(outer).rev() {
                (*o, rest) = (rest % n, rest / n);
            }
            let extents = [&vec![1; lead][..], dims].concat();
            let values = field.read(&Region::new(&shape, &origin, &extents)?)?;
            let block = Block { shape: Shape::new(&extents)?, values: values.as_slice(), site: Site::default() };
            tolerance = tolerance.max(block.uniform_tolerance(hint));
            // Special values are kept apart; they are no part of any component.
            to.iter_mut().zip(values.as_slice().to_f64()).filter(|(_, v)| v.is_finite()).for_each(|(t, v)| *t = v);
        }
        let mut out = vec![dims.len() as u8];
        dims.iter().for_each(|&d| put_varint(&mut out, d as u64));
        out.extend(self.find(x, dims, all, tolerance)?);
        Ok(out)
    }

    fn bind(&self, shared: &[u8], spec: &Spec) -> Result<Box<dyn BlockCodec>> {
        self.check()?;
        let rank = spec.shape.rank();
        let lead = leading(rank);
        if shared.is_empty() {
            if self.mode == Mode::Ensemble {
                return Err(Error::invalid("expected the components of a whole array, found none"));
            }
            return Ok(Box::new(Blocks { config: *self, spec: *spec, shared: None }));
        }
        let mut r = ByteReader::new(shared);
        let axes = usize::from(r.u8()?);
        if axes > MAX_RANK {
            return Err(Error::corrupt(format!("expected at most {MAX_RANK} axes, found {axes}")));
        }
        let dims = (0..axes).map(|_| r.count(usize::MAX >> 1)).collect::<Result<Vec<_>>>()?;
        if spec.shape.dims().get(lead..) != Some(&dims[..]) {
            return Err(Error::invalid(format!(
                "expected blocks of whole members, {dims:?} the last axes, found {}",
                spec.shape
            )));
        }
        let shared = Components::read(r.rest(), &dims, MOST_COMPONENTS)?;
        Ok(Box::new(Blocks { config: *self, spec: *spec, shared: Some(shared) }))
    }
}

/// Bound to blocks of one kind.
struct Blocks {
    config: Pca,
    spec: Spec,
    /// `None`: each block has its own.
    shared: Option<Components>,
}

impl Blocks {
    /// How many rows a block has, and their extents.
    fn rows(&self) -> (usize, &[usize]) {
        match self.spec.shape.dims() {
            [count, dims @ ..] if !dims.is_empty() => (*count, dims),
            dims => (1, dims),
        }
    }
}

impl BlockCodec for Blocks {
    fn encode(&self, x: &Block<'_>, hint: &Term, out: &mut Vec<u8>) -> Result<Claim> {
        let mut values = x.values.to_f64();
        let finish = |components: &Components, values: &mut [f64], out: &mut Vec<u8>| {
            let codes = components.fit(values)?;
            components.write(&codes, out);
            components.expand(&codes, values);
            let mut decoded = Buffer::zeros(self.spec.dtype, values.len())?;
            cast(values, decoded.as_mut());
            Ok(Claim::Decoded(decoded))
        };
        if values.is_empty() {
            return Ok(Claim::Unchecked);
        }
        if let Some(shared) = &self.shared {
            return finish(shared, &mut values, out);
        }
        let (count, dims) = self.rows();
        let cells: usize = dims.iter().product();
        let some = spread(count, count.min(MOST_MEMBERS));
        let rows = some.flat_map(|i| values[i * cells..(i + 1) * cells].iter().copied()).collect();
        let bytes = self.config.find(rows, dims, count, x.uniform_tolerance(hint))?;
        put_section(out, &bytes);
        finish(&Components::read(&bytes, dims, MOST_COMPONENTS)?, &mut values, out)
    }

    fn decode(&self, bytes: &[u8], _: &Site<'_>, out: SliceMut<'_>) -> Result<()> {
        let mut r = ByteReader::new(bytes);
        let mut values = zeros(out.len())?;
        if values.is_empty() {
            return r.end();
        }
        let own;
        let components = match &self.shared {
            Some(shared) => shared,
            None => {
                let (count, dims) = self.rows();
                own = Components::read(r.section()?, dims, MOST_COMPONENTS.min(count))?;
                &own
            }
        };
        let codes = components.codes(r.rest(), values.len() / components.cells().max(1))?;
        components.expand(&codes, &mut values);
        cast(&values, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::{Array, View};
    use crate::codec::testing::bounds_hold;
    use crate::{compress, decompress, Bound, DType, ErrorKind, Options};

    fn pca(components: Option<usize>, mode: Mode) -> Pca {
        Pca { components, mode, tolerance: None }
    }

    /// What encoding says will be decoded, after checking that it is.
    fn coded(codec: &dyn BlockCodec, x: &[f64], shape: &[usize], hint: Term) -> (Vec<u8>, Vec<f64>) {
        let view = View::new(shape, x).unwrap();
        let block = Block { shape: view.shape(), values: view.as_contiguous().unwrap(), site: Site::default() };
        let mut bytes = Vec::new();
        let claim = codec.encode(&block, &hint, &mut bytes).unwrap();
        let mut y = vec![7.0; x.len()];
        codec.decode(&bytes, &Site::default(), SliceMut::F64(&mut y)).unwrap();
        match claim {
            Claim::Decoded(told) => assert!(told.as_slice().same_bits(crate::array::Slice::F64(&y)), "{shape:?}"),
            _ => assert!(x.is_empty()),
        }
        (bytes, y)
    }

    fn spec(shape: &[usize]) -> Spec {
        Spec { dtype: DType::F64, shape: Shape::new(shape).unwrap() }
    }

    /// Members of three smooth patterns about a mean.
    fn ensemble(members: usize, dims: &[usize]) -> Vec<f64> {
        let cells: usize = dims.iter().product();
        let pattern = |p: usize, c: usize| libm::cos((c % 17) as f64 * 0.1 * (p + 1) as f64 + (c / 17) as f64 * 0.07);
        let weight = |p: usize, m: usize| libm::sin((m * (2 * p + 3)) as f64 + p as f64) * [9.0, 3.0, 1.0][p];
        let value = |m: usize, c: usize| 40.0 + (0..3).map(|p| weight(p, m) * pattern(p, c)).sum::<f64>();
        (0..members * cells).map(|i| value(i / cells, i % cells)).collect()
    }

    fn worst(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
    }

    #[test]
    fn any_shape_and_mode_decodes_to_what_was_promised() {
        let shapes: [&[usize]; 12] = [
            &[],
            &[0],
            &[1],
            &[9],
            &[200],
            &[40, 1],
            &[1, 40],
            &[70, 31],
            &[5, 24, 31],
            &[6, 3, 7, 10],
            &[2, 0, 3, 4],
            &[2, 3, 1, 2, 9],
        ];
        for shape in shapes {
            let n: usize = shape.iter().product();
            let x = ensemble(1, &[n]);
            let array = Array::from_vec(shape, x.clone()).unwrap();
            for mode in [Mode::Auto, Mode::Field, Mode::Ensemble] {
                for components in [None, Some(0), Some(2), Some(100)] {
                    let codec = pca(components, mode);
                    for hint in [Term { abs: 0.01, rel: 0.0 }, Term::EXACT, Term::FREE] {
                        let shared = match codec.prepare(&array, &hint) {
                            Err(e) => {
                                assert!(e.kind() == ErrorKind::InvalidArgument && shape.len() < 2, "{shape:?} {e}");
                                continue;
                            }
                            shared => shared.unwrap(),
                        };
                        let bound = codec.bind(&shared, &spec(shape)).unwrap();
                        coded(&*bound, &x, shape, hint);
                    }
                }
            }
        }
    }

    #[test]
    fn members_of_three_patterns_need_three_components() {
        let (members, dims) = (20, [6, 17, 17]);
        let shape = [&[members], &dims[..]].concat();
        let x = ensemble(members, &dims);
        let array = Array::from_vec(&shape, x.clone()).unwrap();
        let hint = Term { abs: 1e-3, rel: 0.0 };
        let errors: Vec<f64> = [Some(0), Some(1), Some(2), Some(3), None]
            .map(|k| {
                let codec = pca(k, Mode::Auto);
                let shared = codec.prepare(&array, &hint).unwrap();
                let bound = codec.bind(&shared, &spec(&shape)).unwrap();
                let (_, y) = coded(&*bound, &x, &shape, hint);
                // One member at a time is the same but for its bytes.
                let one = codec.bind(&shared, &spec(&[1, 6, 17, 17])).unwrap();
                let cells: usize = dims.iter().product();
                for (x, y) in x.chunks(cells).zip(y.chunks(cells)).take(3) {
                    assert_eq!(coded(&*one, x, &[1, 6, 17, 17], hint).1, y);
                }
                worst(&x, &y)
            })
            .to_vec();
        assert!(errors[0] > 5.0 && errors[1] > 1.5 && errors[2] > 0.5, "{errors:?}");
        assert!(errors[3] < 0.01 && errors[4] < 0.01, "{errors:?}");
    }

    #[test]
    fn rows_that_are_multiples_of_one_are_a_component() {
        let shape = [60, 40, 50];
        let x: Vec<f64> = (0..120_000)
            .map(|i| {
                let (z, y, x) = (i / 2000, i / 50 % 40, i % 50);
                libm::exp(-(z as f64 - 30.0) * (z as f64 - 30.0) / 81.0) * libm::sin(y as f64 * 0.1 + 0.02 * x as f64)
            })
            .collect();
        let options = Options::new(Bound::None).with_chain("pca:components=1").unwrap();
        let (bytes, _) = compress(&View::new(&shape, &x).unwrap(), options).unwrap();
        let y = decompress(&bytes).unwrap();
        let error = worst(&x, y.as_typed::<f64>().unwrap());
        assert!(error < 5e-3 && bytes.len() < 2500, "{error} {}", bytes.len());
    }

    #[test]
    fn the_bound_holds_behind_the_bounded_stage() {
        let shape = [30, 41, 17];
        let x = ensemble(30, &[41, 17]);
        bounds_hold(&["pca", "pca:components=2", "pca:mode=ensemble,components=3"], &x, &shape);
        bounds_hold(&["pca", "pca:mode=field"], &x, &[6, 5, 41, 17]);
        assert!(Options::new(Bound::Abs(1.0)).with_chain("pca:mode=all").is_err());
        for chain in ["pca:components=257", "pca:tolerance=1"] {
            let options = Options::new(Bound::Abs(0.01)).with_chain(chain).unwrap();
            let refused = compress(&View::new(&shape, &x).unwrap(), options).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn blocks_hold_whole_members() {
        let shape = [7, 8, 9, 17];
        let x = ensemble(7, &[8, 9, 17]);
        let with = |block: Vec<usize>| {
            let mut options = Options::new(Bound::Abs(1e-3)).with_chain("pca").unwrap();
            options.block = Some(block);
            compress(&View::new(&shape, &x).unwrap(), options)
        };
        assert_eq!(with(vec![7, 8, 9, 16]).unwrap_err().kind(), ErrorKind::InvalidArgument);
        for members in [1, 3, 7] {
            let y = decompress(&with(vec![members, 8, 9, 17]).unwrap().0).unwrap();
            assert!(worst(&x, y.as_typed::<f64>().unwrap()) <= 1e-3);
        }
    }

    #[test]
    fn values_of_any_scale_stay_finite() {
        for scale in [1e300, 1e-300, 5e-324, f64::MAX / 64.0] {
            let x: Vec<f64> = ensemble(5, &[4, 4, 8]).iter().map(|v| v * scale).collect();
            let array = Array::from_vec(&[5, 4, 4, 8], x.clone()).unwrap();
            let shared = Pca::default().prepare(&array, &Term::FREE).unwrap();
            let bound = Pca::default().bind(&shared, &spec(&[5, 4, 4, 8])).unwrap();
            let y = coded(&*bound, &x, &[5, 4, 4, 8], Term::FREE).1;
            assert!(worst(&x, &y) <= 0.5 * scale.max(1e-320), "{scale}");
        }
        let holes = Array::from_vec(&[2, 1, 1, 2], vec![f64::NAN, 1.0, f64::INFINITY, 3.0]).unwrap();
        let shared = Pca::default().prepare(&holes, &Term::FREE).unwrap();
        assert!(Pca::default().bind(&shared, &spec(&[2, 1, 1, 2])).is_ok());
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let shape = [5, 3, 8, 9];
        let x = ensemble(5, &[3, 8, 9]);
        let array = Array::from_vec(&shape, x.clone()).unwrap();
        let hint = Term { abs: 0.01, rel: 0.0 };
        let shared = Pca::default().prepare(&array, &hint).unwrap();
        let (ensemble, field) = (Pca::default(), pca(None, Mode::Field));
        let bound = ensemble.bind(&shared, &spec(&shape)).unwrap();
        let alone = field.bind(&[], &spec(&shape)).unwrap();
        let mut y = vec![0.0; x.len()];
        for codec in [&bound, &alone] {
            let (bytes, _) = coded(&**codec, &x, &shape, hint);
            for cut in 0..bytes.len() {
                let e = codec.decode(&bytes[..cut], &Site::default(), SliceMut::F64(&mut y)).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Truncated, "{cut} of {}", bytes.len());
            }
            for at in 0..8 * bytes.len().min(400) {
                let mut bad = bytes.clone();
                bad[at / 8] ^= 1 << (at % 8);
                let _ = codec.decode(&bad, &Site::default(), SliceMut::F64(&mut y));
            }
        }
        for cut in 1..shared.len() {
            assert_eq!(ensemble.bind(&shared[..cut], &spec(&shape)).err().unwrap().kind(), ErrorKind::Truncated);
        }
        let (bytes, _) = coded(&*bound, &x, &shape, hint);
        for at in 0..8 * shared.len().min(400) {
            let mut bad = shared.clone();
            bad[at / 8] ^= 1 << (at % 8);
            if let Ok(codec) = ensemble.bind(&bad, &spec(&shape)) {
                let _ = codec.decode(&bytes, &Site::default(), SliceMut::F64(&mut y));
            }
        }
        for b in 0..=255 {
            let _ = ensemble.bind(&[b; 60], &spec(&shape));
            let _ = alone.decode(&[b; 60], &Site::default(), SliceMut::F64(&mut y));
        }
        assert_eq!(
            pca(None, Mode::Ensemble).bind(&[], &spec(&shape)).err().unwrap().kind(),
            ErrorKind::InvalidArgument
        );
    }
}
