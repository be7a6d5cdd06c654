//! Numbers that are the same on every machine (xorshift64).

pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Any 64 bits but all zeros.
    pub(crate) fn any(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Less than `limit`, which is above 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (((self.any() >> 32) * limit as u64) >> 32) as usize
    }
}
