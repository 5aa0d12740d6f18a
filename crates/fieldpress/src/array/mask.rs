//! Which values of a block do not take part in arithmetic.

/// Points whose values are kept apart (NaN, infinities, fill values, -0.0): codecs see a smooth filling in their place
/// and may code there whatever is cheapest. In C order, as the values.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Mask {
    masked: Vec<bool>,
    count: usize,
}

impl Mask {
    /// From one flag per point, true where the value is kept apart.
    pub fn new(masked: Vec<bool>) -> Mask {
        let count = masked.iter().filter(|&&m| m).count();
        Mask { masked, count }
    }
    /// One flag per point, true where the value is kept apart.
    pub fn flags(&self) -> &[bool] {
        &self.masked
    }
    /// Whether point `i` is kept apart.
    #[inline(always)]
    pub fn is_masked(&self, i: usize) -> bool {
        self.masked.get(i).copied().unwrap_or(false)
    }
    /// How many points are kept apart.
    pub fn count(&self) -> usize {
        self.count
    }
    /// Whether every point is kept apart.
    pub fn is_full(&self) -> bool {
        self.count == self.masked.len()
    }
}
