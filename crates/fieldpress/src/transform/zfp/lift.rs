//! Blocks of `4^d` integers: the two decorrelating transforms, and the order of coefficients.

/// The integers that blocks are made of: `i32` or `i64`. Arithmetic wraps.
pub trait Int: Copy + Default + PartialEq + Send + Sync + 'static {
    /// Bits.
    const BITS: u32;
    /// `self + o`.
    fn plus(self, o: Self) -> Self;
    /// `self - o`.
    fn minus(self, o: Self) -> Self;
    /// Half, rounded down.
    fn half(self) -> Self;
    /// Twice.
    fn twice(self) -> Self;
    /// The digits in base -2, zero-extended.
    fn negabinary(self) -> u64;
    /// From the digits in base -2.
    fn from_negabinary(digits: u64) -> Self;
}

macro_rules! int {
    ($i:ty, $u:ty) => {
        impl Int for $i {
            const BITS: u32 = <$i>::BITS;
            #[inline(always)]
            fn plus(self, o: Self) -> Self {
                self.wrapping_add(o)
            }
            #[inline(always)]
            fn minus(self, o: Self) -> Self {
                self.wrapping_sub(o)
            }
            #[inline(always)]
            fn half(self) -> Self {
                self >> 1
            }
            #[inline(always)]
            fn twice(self) -> Self {
                self << 1
            }
            #[inline(always)]
            fn negabinary(self) -> u64 {
                const ODD: $u = <$u>::MAX / 3 * 2;
                u64::from((self as $u).wrapping_add(ODD) ^ ODD)
            }
            #[inline(always)]
            fn from_negabinary(digits: u64) -> Self {
                const ODD: $u = <$u>::MAX / 3 * 2;
                ((digits as $u ^ ODD).wrapping_sub(ODD)) as $i
            }
        }
    };
}

int!(i32, u32);
int!(i64, u64);

/// Does `lift` to every line of a block along the axis of this stride.
#[inline(always)]
fn lines<I: Int, const N: usize>(b: &mut [I; N], stride: usize, lift: impl Fn([I; 4]) -> [I; 4]) {
    for four in b.chunks_exact_mut(4 * stride) {
        let (a, rest) = four.split_at_mut(stride);
        let (b, rest) = rest.split_at_mut(stride);
        let (c, d) = rest.split_at_mut(stride);
        for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
            [*a, *b, *c, *d] = lift([*a, *b, *c, *d]);
        }
    }
}

/// The transform of lossy modes, along x first. A line becomes, but for rounding,
/// `1/16 (4 4 4 4; 5 1 -1 -5; -4 4 4 -4; -2 6 -6 2)` times itself.
#[inline(always)]
pub(super) fn forward<I: Int, const N: usize>(b: &mut [I; N]) {
    let lift = |[mut x, mut y, mut z, mut w]: [I; 4]| {
        (x, w) = mean(x, w);
        (z, y) = mean(z, y);
        (x, z) = mean(x, z);
        (w, y) = mean(w, y);
        w = w.plus(y.half());
        y = y.minus(w.half());
        [x, y, z, w]
    };
    let mut stride = 1;
    while stride < N {
        lines(b, stride, lift);
        stride *= 4;
    }
}

/// The inverse of [`forward`], but for rounding.
#[inline(always)]
pub(super) fn inverse<I: Int, const N: usize>(b: &mut [I; N]) {
    let lift = |[mut x, mut y, mut z, mut w]: [I; 4]| {
        y = y.plus(w.half());
        w = w.minus(y.half());
        (w, y) = ends(w, y);
        (x, z) = ends(x, z);
        (z, y) = ends(z, y);
        (x, w) = ends(x, w);
        [x, y, z, w]
    };
    let mut stride = N / 4;
    while stride > 0 {
        lines(b, stride, lift);
        stride /= 4;
    }
}

/// The mean of two values, rounded down, and how far the second lies above it.
#[inline(always)]
fn mean<I: Int>(a: I, b: I) -> (I, I) {
    let m = a.plus(b).half();
    (m, b.minus(m))
}

/// The inverse of [`mean`], for an even sum.
#[inline(always)]
fn ends<I: Int>(m: I, d: I) -> (I, I) {
    let b = m.plus(d);
    (m.twice().minus(b), b)
}

/// The transform of the reversible mode: differences of order 1, 2 and 3 along every axis.
#[inline(always)]
pub(super) fn difference<I: Int, const N: usize>(b: &mut [I; N]) {
    let lift = |[x, y, z, w]: [I; 4]| {
        let (y, z, w) = (y.minus(x), z.minus(y), w.minus(z));
        let (z, w) = (z.minus(y), w.minus(z));
        [x, y, z, w.minus(z)]
    };
    let mut stride = 1;
    while stride < N {
        lines(b, stride, lift);
        stride *= 4;
    }
}

/// The inverse of [`difference`].
#[inline(always)]
pub(super) fn accumulate<I: Int, const N: usize>(b: &mut [I; N]) {
    let lift = |[x, y, z, w]: [I; 4]| {
        let w = w.plus(z);
        let z = z.plus(y);
        let w = w.plus(z);
        let y = y.plus(x);
        let z = z.plus(y);
        [x, y, z, w.plus(z)]
    };
    let mut stride = N / 4;
    while stride > 0 {
        lines(b, stride, lift);
        stride /= 4;
    }
}

/// The places of coefficients in the order in which they are coded: by the sum of their frequencies along the axes, then by the
/// sum of the squares. The order among equals is a matter of the format.
#[inline(always)]
pub(super) fn order<const N: usize>() -> &'static [u8; N] {
    let table: &'static [u8] = match N {
        4 => &ORDER_1,
        16 => &ORDER_2,
        64 => &ORDER_3,
        _ => &ORDER_4,
    };
    table.first_chunk().unwrap_or(&[0; N])
}

static ORDER_1: [u8; 4] = [0, 1, 2, 3];

static ORDER_2: [u8; 16] = [0, 1, 4, 5, 2, 8, 6, 9, 3, 12, 10, 7, 13, 11, 14, 15];

#[rustfmt::skip]
static ORDER_3: [u8; 64] = [
    0, 1, 4, 16, 20, 17, 5, 2, 8, 32, 21, 6, 18, 24, 9, 33, 36, 3, 12, 48, 22, 25, 37, 40, 34, 10, 7, 19, 28, 13, 49,
    52, 41, 38, 26, 23, 29, 53, 11, 35, 44, 14, 50, 56, 42, 27, 39, 45, 30, 54, 57, 60, 51, 15, 43, 46, 58, 61, 55,
    31, 62, 59, 47, 63,
];

#[rustfmt::skip]
static ORDER_4: [u8; 256] = [
    0, 1, 4, 16, 64, 5, 80, 17, 68, 65, 20, 2, 8, 32, 128, 84, 81, 69, 21, 6, 18, 66, 24, 72, 9, 96, 33, 36, 129,
    132, 144, 3, 12, 48, 192, 85, 82, 70, 22, 73, 25, 88, 37, 100, 97, 148, 145, 133, 10, 160, 34, 136, 130, 40, 7,
    19, 67, 28, 76, 13, 112, 49, 52, 193, 196, 208, 86, 89, 101, 149, 161, 137, 41, 134, 38, 164, 26, 152, 146, 104,
    98, 74, 83, 71, 23, 77, 29, 92, 53, 116, 113, 212, 209, 197, 11, 35, 131, 44, 140, 14, 176, 50, 56, 194, 200,
    224, 90, 165, 102, 153, 150, 105, 168, 162, 138, 42, 87, 93, 117, 213, 27, 75, 99, 39, 135, 147, 108, 45, 141,
    156, 30, 78, 177, 180, 54, 114, 120, 57, 198, 210, 216, 201, 225, 228, 15, 240, 51, 204, 195, 60, 169, 166, 154,
    106, 91, 103, 151, 109, 157, 94, 181, 118, 121, 214, 217, 229, 163, 139, 43, 142, 46, 172, 58, 184, 178, 232,
    226, 202, 241, 205, 61, 199, 55, 244, 31, 220, 211, 124, 115, 79, 170, 167, 155, 107, 158, 110, 173, 122, 185,
    182, 233, 230, 218, 95, 245, 119, 221, 215, 125, 242, 206, 62, 203, 59, 248, 47, 236, 227, 188, 179, 143, 171,
    174, 186, 234, 246, 222, 126, 219, 123, 249, 111, 237, 231, 189, 183, 159, 252, 243, 207, 63, 175, 250, 187, 238,
    235, 190, 253, 247, 223, 127, 254, 251, 239, 191, 255,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn block<const N: usize>(bits: u32) -> [i32; N] {
        std::array::from_fn(|i| (i as i32 + 1).wrapping_mul(0x9E37_79B9u32 as i32) >> (32 - bits))
    }

    fn round_trip<const N: usize>() {
        let x = block::<N>(30);
        let mut y = x;
        forward(&mut y);
        assert_ne!(x, y);
        inverse(&mut y);
        let error = x.iter().zip(&y).map(|(a, b)| (a - b).abs()).max().unwrap();
        assert!((1..=4 * N as i32).contains(&error), "{error}");
        // Differences may wrap.
        let x = block::<N>(32);
        let mut y = x;
        difference(&mut y);
        assert_ne!(x, y);
        accumulate(&mut y);
        assert_eq!(x, y);
    }

    #[test]
    fn transforms_come_back() {
        round_trip::<4>();
        round_trip::<16>();
        round_trip::<64>();
        round_trip::<256>();
    }

    #[test]
    fn the_transform_is_the_matrix() {
        // Multiples of 16 are not rounded.
        let rows = [[4, 4, 4, 4], [5, 1, -1, -5], [-4, 4, 4, -4], [-2, 6, -6, 2]];
        let x = [160, -320, 4800, 16];
        let mut y = x;
        forward(&mut y);
        let product = |r: [i32; 4]| r.iter().zip(&x).map(|(a, b)| a * b).sum::<i32>() / 16;
        assert_eq!(y, rows.map(product));
        let mut cubic = [0, 1, 8, 27];
        difference(&mut cubic);
        assert_eq!(cubic, [0, 1, 6, 6]);
    }

    fn is_ordered<const N: usize>() {
        let key = |p: &u8| {
            let f: Vec<u32> = (0..4).map(|k| u32::from(*p) >> (2 * k) & 3).collect();
            (f.iter().sum::<u32>(), f.iter().map(|v| v * v).sum::<u32>())
        };
        let keys: Vec<_> = order::<N>().iter().map(key).collect();
        assert!(keys.is_sorted());
        let mut all = order::<N>().to_vec();
        all.sort_unstable();
        assert!(all.iter().enumerate().all(|(i, p)| i == usize::from(*p)));
    }

    #[test]
    fn orders_are_by_frequency() {
        is_ordered::<4>();
        is_ordered::<16>();
        is_ordered::<64>();
        is_ordered::<256>();
    }

    #[test]
    fn negabinary_digits_come_back() {
        assert_eq!([0, 1, -1, 2, -2].map(i32::negabinary), [0, 1, 3, 6, 2]);
        for v in [i64::MIN, -5, 7, i64::MAX] {
            assert_eq!(i64::from_negabinary(v.negabinary()), v);
        }
        assert_eq!(i32::from_negabinary(i32::MIN.negabinary()), i32::MIN);
    }
}
