//! The order in which arrays are stored: companions before those that need them.

/// A permutation of `0..needs.len()` in which everything in `needs[i]` comes before `i`, and that otherwise keeps the order.
/// Where there is none, the items that wait for each other.
pub(super) fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut placed = vec![false; needs.len()];
    let mut order = Vec::with_capacity(needs.len());
    let mut waiting: Vec<usize> = (0..needs.len()).collect();
    while !waiting.is_empty() {
        let before = order.len();
        waiting.retain(|&i| {
            let of = needs.get(i).map_or(&[][..], Vec::as_slice);
            let ready = of.iter().all(|&n| placed.get(n).copied().unwrap_or(false));
            if ready {
                order.push(i);
                if let Some(p) = placed.get_mut(i) {
                    *p = true;
                }
            }
            !ready
        });
        if order.len() == before {
            return Err(waiting);
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_come_first_and_cycles_are_found() {
        assert_eq!(order(&[vec![], vec![], vec![]]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[vec![2], vec![], vec![3], vec![]]), Ok(vec![1, 3, 2, 0]));
        assert_eq!(order(&[vec![1], vec![0], vec![]]), Err(vec![0, 1]));
        assert_eq!(order(&[vec![0]]), Err(vec![0]));
        assert_eq!(order(&[vec![7]]), Err(vec![0]));
    }
}
