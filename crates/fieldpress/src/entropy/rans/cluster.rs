//! Chooses which classes share a frequency table, and which tokens are too rare to be in it.
//!
//! Source: the context clustering of Brotli (RFC 7932) and JPEG XL, here greedy with refinement: a class joins the table that
//! costs it least, or opens its own when that saves more bits than a table costs.

use super::table::{log2, Counts, Table, SCALE};
use super::token::{RARE, TOKENS};

/// Most tables a stream may have.
pub(super) const MAX_TABLES: usize = 64;

/// `x log2 x`.
fn xlog(x: u64) -> f64 {
    if x == 0 {
        0.0
    } else {
        x as f64 * log2(x as f64)
    }
}

/// Counts, and what is needed to compare them quickly.
struct Cluster {
    counts: Counts,
    /// `x log2 x` of each count and of their sum.
    logs: [f64; TOKENS],
    total: u64,
    total_log: f64,
}

impl Cluster {
    fn new(counts: &Counts) -> Self {
        let total = counts.iter().map(|&c| u64::from(c)).sum();
        Cluster { counts: *counts, logs: counts.map(|c| xlog(u64::from(c))), total, total_log: xlog(total) }
    }
    /// How many bits more it takes to code both with one table than with two: entropies are `total_log` less the sum of
    /// `logs`, and tokens that occur in one only cancel.
    fn distance(&self, other: &Cluster) -> f64 {
        let mut bits = xlog(self.total + other.total) - self.total_log - other.total_log;
        let ours = self.counts.iter().zip(&self.logs);
        for ((&a, la), (&b, lb)) in ours.zip(other.counts.iter().zip(&other.logs)) {
            if a > 0 && b > 0 {
                bits -= xlog(u64::from(a) + u64::from(b)) - la - lb;
            }
        }
        bits
    }
    fn add(&mut self, other: &Cluster) {
        for (a, &b) in self.counts.iter_mut().zip(&other.counts) {
            *a = a.saturating_add(b);
        }
        *self = Cluster::new(&self.counts);
    }
    /// About what the table of these counts takes in the header.
    fn table_bits(&self) -> f64 {
        let used = self.counts.iter().filter(|c| **c > 0);
        12.0 + used.map(|&c| 2.5 + 0.5 * log2(f64::from(c)).min(8.0)).sum::<f64>()
    }
}

/// The table of each class, and the counts of each table. Classes that do not occur share the first.
pub(super) fn cluster(classes: &[Counts]) -> (Vec<u8>, Vec<Counts>) {
    let mut order: Vec<(usize, Cluster)> =
        classes.iter().enumerate().map(|(i, c)| (i, Cluster::new(c))).filter(|(_, c)| c.total > 0).collect();
    order.sort_by_key(|(i, c)| (std::cmp::Reverse(c.total), *i));
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut map = vec![0u8; classes.len()];
    for (i, class) in &order {
        let nearest = nearest(&clusters, class);
        match nearest {
            Some((k, d)) if d <= class.table_bits() || clusters.len() >= MAX_TABLES => {
                map[*i] = k as u8;
                clusters[k].add(class);
            }
            _ => {
                map[*i] = clusters.len() as u8;
                clusters.push(Cluster::new(&class.counts));
            }
        }
    }
    // Once all tables are known, each class moves to the one that suits it best.
    if clusters.len() > 1 && order.len() > clusters.len() {
        let mut counts: Vec<Counts> = vec![[0; TOKENS]; clusters.len()];
        for (i, class) in &order {
            if let Some((k, _)) = nearest(&clusters, class) {
                map[*i] = k as u8;
                for (a, &b) in counts[k].iter_mut().zip(&class.counts) {
                    *a = a.saturating_add(b);
                }
            }
        }
        clusters = counts.iter().map(Cluster::new).collect();
    }
    number(&mut map, &order, clusters)
}

fn nearest(clusters: &[Cluster], class: &Cluster) -> Option<(usize, f64)> {
    let distances = clusters.iter().enumerate().map(|(k, c)| (k, c.distance(class)));
    distances.fold(None, |best: Option<(usize, f64)>, d| match best {
        Some(b) if b.1 <= d.1 => Some(b),
        _ => Some(d),
    })
}

/// Numbers the tables in the order in which the class map first names them; drops those it does not name.
fn number(map: &mut [u8], order: &[(usize, Cluster)], clusters: Vec<Cluster>) -> (Vec<u8>, Vec<Counts>) {
    let mut occurs = vec![false; map.len()];
    for (i, _) in order {
        occurs[*i] = true;
    }
    let mut new = vec![None; clusters.len()];
    let mut counts = Vec::new();
    let mut last = 0u8;
    for (m, occurs) in map.iter_mut().zip(occurs) {
        if occurs {
            let k = usize::from(*m);
            last = *new[k].get_or_insert_with(|| {
                counts.push(clusters[k].counts);
                (counts.len() - 1) as u8
            });
        }
        // A class that does not occur takes the table of the class before it: that costs least.
        *m = last;
    }
    (map.to_vec(), counts)
}

/// Moves the counts of tokens that are cheaper left out of the table to [`RARE`].
pub(super) fn drop_rare(counts: &mut Counts) {
    let total: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    let least = total as f64 / f64::from(SCALE);
    let mut order: Vec<usize> = (0..TOKENS).filter(|&t| counts[t] > 0).collect();
    order.sort_by_key(|&t| (counts[t], t));
    // Bits of coding a token seen c times, were the probabilities to add up to one; `mass` makes up for it if not.
    let bits = |c: f64| c * log2(total as f64 / c.max(least));
    let header = |c: f64| 2.5 + 0.5 * log2(c.max(1.0)).min(8.0);
    let mut kept: f64 = order.iter().map(|&t| bits(f64::from(counts[t])) + header(f64::from(counts[t]))).sum();
    let mut mass: f64 = order.iter().map(|&t| f64::from(counts[t]).max(least)).sum();
    let mut rare = 0.0;
    let mut best = (kept + total as f64 * log2(mass / total as f64), 0);
    for (k, &t) in order.iter().enumerate() {
        let c = f64::from(counts[t]);
        kept -= bits(c) + header(c);
        mass -= c.max(least);
        rare += c;
        let all = mass + rare.max(least);
        let cost = kept + bits(rare) + header(rare) + 8.0 * rare + total as f64 * log2(all / total as f64);
        if cost < best.0 {
            best = (cost, k + 1);
        }
    }
    for &t in order.iter().take(best.1) {
        counts[usize::from(RARE)] = counts[usize::from(RARE)].saturating_add(counts[t]);
        counts[t] = 0;
    }
}

/// The tables of `counts` after [`drop_rare`].
pub(super) fn tables(counts: &[Counts]) -> Vec<Table> {
    let dropped = counts.iter().map(|counts| {
        let mut counts = *counts;
        drop_rare(&mut counts);
        counts
    });
    dropped.map(|counts| Table::build(&counts)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peaked(at: usize, n: u32) -> Counts {
        let mut c = [0; TOKENS];
        for (t, c) in c.iter_mut().enumerate().take(40) {
            *c = n >> (t.abs_diff(at)).min(31);
        }
        c
    }

    #[test]
    fn like_classes_share_a_table_and_unlike_ones_do_not() {
        let classes = [peaked(3, 1000), peaked(20, 900), peaked(3, 5000), [0; TOKENS], peaked(20, 90), peaked(3, 2)];
        let (map, counts) = cluster(&classes);
        assert_eq!(counts.len(), 2);
        assert_eq!(map[..3], [0, 1, 0]);
        assert_eq!(map[4], 1);
        let total = |c: &[Counts]| c.iter().flatten().map(|&c| u64::from(c)).sum::<u64>();
        assert_eq!(total(&counts), total(&classes));
    }

    #[test]
    fn a_long_thin_tail_is_left_out_of_the_table() {
        let mut counts = peaked(4, 1 << 24);
        for c in counts.iter_mut().skip(40).take(80) {
            *c = 2;
        }
        let before: u64 = counts.iter().map(|&c| u64::from(c)).sum();
        drop_rare(&mut counts);
        assert!(counts[50] == 0 && counts[usize::from(RARE)] >= 160);
        assert_eq!(counts.iter().map(|&c| u64::from(c)).sum::<u64>(), before);
        let mut even = [0; TOKENS];
        even[..100].fill(500);
        drop_rare(&mut even);
        assert_eq!(even[usize::from(RARE)], 0);
    }
}
