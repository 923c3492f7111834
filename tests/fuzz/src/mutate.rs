//! Changes to files: what damage, malice and version skew do to them.

use crate::random::Random;

/// Bytes beyond which a mutated file does not grow.
const LIMIT: usize = 4 << 20;

/// Numbers at which comparisons and conversions go wrong.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX - 1,
    u64::MAX,
];

/// Input number `index`: a file of the corpus with a few changes; a pure function of its arguments.
pub fn input(corpus: &[Vec<u8>], seed: u64, index: u64) -> Vec<u8> {
    let mut random = Random::of(seed, index);
    let mut file = corpus[random.below(corpus.len())].clone();
    let changes = random.length(8);
    for _ in 0..changes {
        change(&mut file, corpus, &mut random);
    }
    file
}

fn change(file: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    if file.is_empty() {
        file.push(random.next() as u8);
        return;
    }
    let at = random.below(file.len());
    let rest = file.len() - at;
    match random.below(11) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file[at] = random.next() as u8,
        2 => file[at] = file[at].wrapping_add(if random.below(2) == 0 { 1 } else { 255 }),
        // A number at an edge, of 1, 2, 4 or 8 bytes, little- or big-endian.
        3 | 4 => {
            let edge = EDGES[random.below(EDGES.len())];
            let width = (1 << random.below(4)).min(rest);
            let (little, big) = (edge.to_le_bytes(), edge.to_be_bytes());
            let bytes = if random.below(4) == 0 {
                &big[8 - width..]
            } else {
                &little[..width]
            };
            file[at..at + width].copy_from_slice(bytes);
        }
        5 => file.truncate(at),
        6 => {
            let length = random.length(rest);
            file.drain(at..at + length);
        }
        7 => {
            let length = random.length(rest);
            let value = if random.below(2) == 0 { 0 } else { random.next() as u8 };
            file[at..at + length].fill(value);
        }
        // A block of this file, over another place or inserted there.
        8 => {
            let block = block_of(file, random);
            put(file, at, &block, random);
        }
        9 => {
            let block = block_of(&corpus[random.below(corpus.len())], random);
            put(file, at, &block, random);
        }
        // The head of this file and the tail of another.
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            file.truncate(at);
            file.extend_from_slice(&other[from..]);
        }
    }
    file.truncate(LIMIT);
}

fn block_of(file: &[u8], random: &mut Random) -> Vec<u8> {
    let from = random.below(file.len());
    let length = if file.is_empty() {
        0
    } else {
        random.length(file.len() - from)
    };
    file[from..from + length].to_vec()
}

fn put(file: &mut Vec<u8>, at: usize, block: &[u8], random: &mut Random) {
    let replaced = if random.below(2) == 0 {
        block.len().min(file.len() - at)
    } else {
        0
    };
    file.splice(at..at + replaced, block.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_follows_from_seed_and_number() {
        let corpus = [b"first file".to_vec(), b"second".to_vec(), Vec::new()];
        for index in 0..2000 {
            assert_eq!(input(&corpus, 7, index), input(&corpus, 7, index));
        }
        let different = (0..2000)
            .filter(|&i| input(&corpus, 7, i) != input(&corpus, 8, i))
            .count();
        assert!(different > 1500, "{different}");
    }

    #[test]
    fn files_do_not_grow_without_bound() {
        let corpus = [vec![1; LIMIT]];
        assert!((0..50).all(|index| input(&corpus, 1, index).len() <= LIMIT));
    }
}
