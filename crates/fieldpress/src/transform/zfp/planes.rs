//! Bit planes of a block, the most significant first, each in two parts: the bits of coefficients that were reached before, as
//! they are, and the rest by group tests.

use super::lift::Int;
use super::stream::{Reader, Writer};

/// The bit planes of a block of `R W` values, `R` at most 64: bit `i` of [`plane`]`(k, c)` is bit `k` of value `64 c + i`.
pub(super) type Planes<const R: usize, const W: usize> = [[u64; R]; W];

/// Word `c` of plane `k`. Where `R` is less than 64, words hold several planes.
#[inline(always)]
fn plane<const R: usize, const W: usize>(planes: &Planes<R, W>, k: usize, c: usize) -> u64 {
    planes[c][k % R] >> (k / R * R) & (u64::MAX >> (64 - R))
}

/// Transposes square tiles of `R x R` bits, which lie side by side in `R` words.
#[inline(always)]
fn transpose<const R: usize>(w: &mut [u64; R]) {
    let mut s = R / 2;
    while s > 0 {
        let low = u64::MAX / ((1 << s) + 1);
        for pair in w.chunks_exact_mut(2 * s) {
            let (a, b) = pair.split_at_mut(s);
            for (a, b) in a.iter_mut().zip(b) {
                let t = (*a >> s ^ *b) & low;
                *a ^= t << s;
                *b ^= t;
            }
        }
        s /= 2;
    }
}

/// The planes of the negabinary digits of `v`, which are `R W` values.
#[inline(always)]
pub(super) fn split<I: Int, const R: usize, const W: usize>(v: &[I]) -> Planes<R, W> {
    let mut planes = [[0; R]; W];
    for (p, v) in planes.iter_mut().zip(v.chunks_exact(R)) {
        match p.first_chunk_mut::<32>() {
            Some(p) if I::BITS == 32 => {
                let (low, high) = v.split_at(R / 2);
                for ((p, l), h) in p.iter_mut().zip(low).zip(high) {
                    *p = l.negabinary() | h.negabinary() << 32;
                }
                transpose(p);
            }
            _ => {
                p.iter_mut().zip(v).for_each(|(p, v)| *p = v.negabinary());
                transpose(p);
            }
        }
    }
    planes
}

/// The inverse of [`split`].
#[inline(always)]
pub(super) fn join<I: Int, const R: usize, const W: usize>(mut planes: Planes<R, W>, v: &mut [I]) {
    for (p, v) in planes.iter_mut().zip(v.chunks_exact_mut(R)) {
        match p.first_chunk_mut::<32>() {
            Some(p) if I::BITS == 32 => {
                transpose(p);
                let (low, high) = v.split_at_mut(R / 2);
                for ((p, l), h) in p.iter().zip(low).zip(high) {
                    *l = I::from_negabinary(*p);
                    *h = I::from_negabinary(*p >> 32);
                }
            }
            _ => {
                transpose(p);
                v.iter_mut().zip(p).for_each(|(v, p)| *v = I::from_negabinary(*p));
            }
        }
    }
}

/// The place of the first one at or after `from` of `size` bits.
#[inline(always)]
fn next_one<const W: usize>(x: &[u64; W], from: usize) -> Option<usize> {
    let mut word = from / 64;
    let mut rest = x.get(word)? >> (from % 64) << (from % 64);
    while rest == 0 {
        word += 1;
        rest = *x.get(word)?;
    }
    Some(64 * word + rest.trailing_zeros() as usize)
}

/// What a plane of four values becomes, by the number of values reached and the plane's bits: in the low byte the code, in the next
/// four bits its length, in the highest the number of values reached after it. Codes have 7 bits at most.
static FOUR: [[u16; 16]; 5] = {
    let mut table = [[0; 16]; 5];
    let mut i = 0;
    while i < 5 * 16 {
        let (mut n, x): (usize, usize) = (i / 16, i % 16);
        let (mut code, mut length) = (x & ((1 << n) - 1), n);
        while n < 4 && x >> n > 0 {
            let zeros = (x >> n).trailing_zeros() as usize;
            n += zeros + 1;
            code |= (1 | ((n < 4) as usize) << (zeros + 1)) << length;
            length += zeros + 1 + (n < 4) as usize;
        }
        length += (n < 4) as usize;
        table[i / 16][x] = (code | length << 8 | n << 12) as u16;
        i += 1;
    }
    table
};

/// The inverse of [`FOUR`], by the number of values reached and the next seven bits: the plane in the low byte, the rest alike.
static FROM_FOUR: [[u16; 128]; 5] = {
    let mut table = [[0; 128]; 5];
    let mut i = 0;
    while i < 5 * 16 {
        let entry = FOUR[i / 16][i % 16];
        let mut ahead = (entry & 0xff) as usize;
        while ahead < 128 {
            table[i / 16][ahead] = entry & 0xff00 | (i % 16) as u16;
            ahead += 1 << (entry >> 8 & 15);
        }
        i += 1;
    }
    table
};

/// Appends the highest `precision` of `bits` planes in at most `most` bits; the rest is cut off.
#[inline(always)]
pub(super) fn encode<const R: usize, const W: usize>(
    planes: &Planes<R, W>,
    bits: u32,
    precision: u32,
    most: u32,
    w: &mut Writer<'_>,
) {
    let end = w.bits() + most as usize;
    // Values reached by group tests of planes before.
    let mut n = 0;
    for k in (bits - precision..bits).rev() {
        if w.bits() >= end {
            break;
        }
        let x: [u64; W] = std::array::from_fn(|c| plane(planes, k as usize, c));
        if R == 4 {
            let entry = FOUR[n.min(4)][x[0] as usize & 15];
            w.put(u64::from(entry & 0xff), u32::from(entry >> 8 & 15));
            n = usize::from(entry >> 12);
            continue;
        }
        for (i, &x) in x.iter().enumerate() {
            let here = n.clamp(64 * i, 64 * i + 64) - 64 * i;
            w.put(if here < 64 { x & ((1 << here) - 1) } else { x }, here as u32);
        }
        while n < R * W {
            let Some(one) = next_one(&x, n) else {
                w.put(0, 1);
                break;
            };
            let zeros = (one - n) as u32;
            n = one + 1;
            // That some value of the group is one; the zeros before it; the one, which goes without saying at the end.
            let last = u32::from(n < R * W);
            if zeros < 62 {
                w.put(1 | u64::from(last) << (zeros + 1), zeros + 1 + last);
            } else {
                w.put(1, 1);
                w.pad(zeros);
                w.put(u64::from(last), last);
            }
        }
    }
    w.truncate(end);
}

/// Reads what [`encode`] wrote into planes that were zero.
#[inline(always)]
pub(super) fn decode<const R: usize, const W: usize>(
    planes: &mut Planes<R, W>,
    bits: u32,
    precision: u32,
    most: u32,
    r: &mut Reader<'_>,
) {
    let mut left = most;
    let mut n = 0;
    for k in (bits - precision..bits).rev() {
        if R == 4 && left >= 7 {
            let entry = FROM_FOUR[n.min(4)][r.peek() as usize & 127];
            let length = u32::from(entry >> 8 & 15);
            r.consume(length);
            left -= length;
            n = usize::from(entry >> 12);
            planes[0][k as usize % R] |= u64::from(entry & 15) << (k as usize / R * R);
            continue;
        }
        let mut x = [0; W];
        for (i, x) in x.iter_mut().enumerate() {
            let here = ((n.clamp(64 * i, 64 * i + 64) - 64 * i) as u32).min(left);
            *x = r.get(here);
            left -= here;
        }
        while n < R * W && left > 0 {
            let ahead = r.peek();
            left -= 1;
            if ahead & 1 == 0 {
                r.consume(1);
                break;
            }
            // The end is reached by as many zeros.
            let end = ((R * W - 1 - n) as u32).min(left);
            let mut zeros = (ahead >> 1).trailing_zeros();
            if zeros.min(end) < 54 {
                zeros = zeros.min(end);
                r.consume(zeros + 1 + u32::from(zeros < end));
            } else {
                r.consume(1);
                zeros = run(r, end);
            }
            left -= zeros + u32::from(zeros < end);
            n += zeros as usize;
            x[n / 64] |= 1 << (n % 64);
            n += 1;
        }
        for (p, x) in planes.iter_mut().zip(x) {
            p[k as usize % R] |= x << (k as usize / R * R);
        }
        if left == 0 {
            break;
        }
    }
}

/// Consumes zeros up to the next one, which is consumed too, or `end` of them. Returns their number.
fn run(r: &mut Reader<'_>, end: u32) -> u32 {
    let mut zeros = 0;
    while zeros < end {
        let some = r.peek().trailing_zeros().min(end - zeros).min(32);
        r.consume(some);
        zeros += some;
        if some < 32 && zeros < end {
            r.consume(1);
            break;
        }
    }
    zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Integers whose magnitudes fall, with some zeros at the end.
    fn values<I: Int>(n: usize, seed: u64) -> Vec<I> {
        let value = |i: usize| {
            let h = (i as u64 + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let bits = (h % 64) as usize * (n - i) / n;
            if i + seed as usize % 7 >= n || bits == 0 {
                0
            } else {
                h >> (64 - bits)
            }
        };
        (0..n).map(|i| I::from_negabinary(value(i) & (u64::MAX >> (64 - I::BITS)))).collect()
    }

    /// Bit by bit, as the format says.
    fn plainly<I: Int>(v: &[I], precision: u32, most: usize) -> Vec<u64> {
        let (mut bits, mut n) = (Vec::new(), 0);
        for k in (I::BITS - precision..I::BITS).rev() {
            let plane: Vec<u64> = v.iter().map(|v| v.negabinary() >> k & 1).collect();
            bits.extend(&plane[..n]);
            while n < v.len() {
                let any = plane[n..].contains(&1);
                bits.push(u64::from(any));
                if !any {
                    break;
                }
                while n < v.len() - 1 && plane[n] == 0 {
                    bits.push(0);
                    n += 1;
                }
                if n < v.len() - 1 {
                    bits.push(1);
                }
                n += 1;
            }
        }
        bits.truncate(most);
        bits
    }

    fn check<I: Int + std::fmt::Debug, const R: usize, const W: usize>() {
        for seed in 0..40 {
            let v: Vec<I> = values(R * W, seed);
            let planes: Planes<R, W> = split(&v);
            for (c, k, i) in [(0, 0, 0), (W - 1, 17, R - 1), (0, I::BITS as usize - 1, 1)] {
                assert_eq!(plane(&planes, k, c) >> i & 1, v[64 * c + i].negabinary() >> k & 1);
            }
            let mut back = vec![I::default(); R * W];
            join(planes, &mut back);
            assert_eq!(back, v);
            for precision in [0, 1, 9, I::BITS] {
                let all = plainly(&v, precision, usize::MAX).len();
                for most in (0..24).map(|j| j * all / 23).chain([16_658]) {
                    let mut bytes = Vec::new();
                    let mut w = Writer::new(&mut bytes);
                    w.put(5, 3);
                    encode(&planes, I::BITS, precision, most as u32, &mut w);
                    let used = w.bits() - 3;
                    w.put(1, 1);
                    w.finish();
                    let mut r = Reader::new(&bytes);
                    assert_eq!(r.get(3), 5);
                    let found: Vec<u64> = (0..used).map(|_| r.get(1)).collect();
                    assert_eq!(found, plainly(&v, precision, most), "{R} {W} {precision} {most}");
                    let mut r = Reader::new(&bytes);
                    r.skip(3);
                    let mut read = [[0; R]; W];
                    decode(&mut read, I::BITS, precision, most as u32, &mut r);
                    assert_eq!((r.bits() - 3, r.get(1)), (used, 1));
                    if precision == I::BITS && most >= all {
                        join(read, &mut back);
                        assert_eq!(back, v);
                    }
                }
            }
        }
    }

    #[test]
    fn planes_are_coded_bit_by_bit_and_cut_anywhere() {
        check::<i32, 4, 1>();
        check::<i64, 4, 1>();
        check::<i32, 16, 1>();
        check::<i64, 16, 1>();
        check::<i32, 64, 1>();
        check::<i64, 64, 1>();
        check::<i32, 64, 4>();
        check::<i64, 64, 4>();
    }
}
