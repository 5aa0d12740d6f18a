//! Reads a case off the front of the fuzzer's bytes. Total: past the end everything is zero.

use fieldpress::array::{Shape, MAX_RANK};
use fieldpress::DType;

/// A cursor over the bytes of one case.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n.min(self.0.len()));
        self.0 = tail;
        head
    }
    pub fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }
    pub fn u16(&mut self) -> u16 {
        u16::from(self.u8()) | u16::from(self.u8()) << 8
    }
    pub fn u64(&mut self) -> u64 {
        let mut b = [0; 8];
        let part = self.take(8);
        b[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(b)
    }
    pub fn f64(&mut self) -> f64 {
        f64::from_bits(self.u64())
    }
    /// Text up to a line feed.
    pub fn line(&mut self) -> String {
        let n = self.0.iter().position(|&b| b == b'\n').unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(self.take(n)).into_owned();
        self.u8();
        text
    }
    /// A stretch with its length in front of it.
    pub fn section(&mut self) -> &'a [u8] {
        let n = usize::from(self.u16());
        self.take(n)
    }
    pub fn dtype(&mut self) -> DType {
        DType::ALL[usize::from(self.u8()) % DType::ALL.len()]
    }
    /// A shape of at most `limit` values; extents are `u16`.
    pub fn shape(&mut self, limit: usize) -> Shape {
        let rank = usize::from(self.u8()) % (MAX_RANK + 1);
        let mut dims: Vec<usize> = (0..rank).map(|_| usize::from(self.u16())).collect();
        let mut n: usize = 1;
        for d in &mut dims {
            *d = (*d).min(limit / n.max(1));
            n *= *d;
        }
        Shape::new(&dims).unwrap_or_default()
    }
}

/// The writing side, for seeds.
#[derive(Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub fn u8(self, v: u8) -> Self {
        self.bytes(&[v])
    }
    pub fn f64(self, v: f64) -> Self {
        self.bytes(&v.to_le_bytes())
    }
    pub fn line(self, text: &str) -> Self {
        self.bytes(text.as_bytes()).u8(b'\n')
    }
    pub fn section(self, bytes: &[u8]) -> Self {
        self.bytes(&(bytes.len() as u16).to_le_bytes()).bytes(bytes)
    }
    pub fn dtype(self, dtype: DType) -> Self {
        let at = DType::ALL.iter().position(|&d| d == dtype).unwrap_or(0);
        self.u8(at as u8)
    }
    pub fn shape(self, dims: &[usize]) -> Self {
        let out = self.u8(dims.len() as u8);
        dims.iter().fold(out, |out, &d| out.bytes(&(d as u16).to_le_bytes()))
    }
}
