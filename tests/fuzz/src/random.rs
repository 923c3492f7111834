//! Random numbers for mutations: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).

/// A generator; equal seeds give equal numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of input number `index` under a seed.
    pub fn of(seed: u64, index: u64) -> Self {
        let mut outer = Random(seed);
        Random(outer.next() ^ index.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where nothing is.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A length from 1 to about `limit`, short ones more often.
    pub fn length(&mut self, limit: usize) -> usize {
        let bits = usize::BITS - limit.max(1).leading_zeros();
        let scale = 1 << self.below(bits as usize);
        (1 + self.below(scale)).min(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_paper() {
        // The first numbers of Java's SplittableRandom for seed 0.
        let mut random = Random(0);
        assert_eq!(
            [random.next(), random.next()],
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]
        );
    }

    #[test]
    fn lengths_stay_within_their_limit() {
        let mut random = Random::of(1, 2);
        for limit in [1, 2, 3, 1000] {
            assert!(
                (0..1000)
                    .map(|_| random.length(limit))
                    .all(|n| (1..=limit).contains(&n))
            );
        }
    }
}
