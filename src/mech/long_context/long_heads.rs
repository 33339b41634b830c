//! Each head chooses a few chunks of the text for each token (LongHeads: Lu et al. 2024).
//!
//! The chosen chunks are laid out as a text of trained length: no distance is greater than the model knows, however
//! long the text is, and the heads together see far more than one of them.

use super::{Look, Method, Phase, Representation, Seeker, Summary};
use crate::seed::Stream;

/// The first chunk, the one before a token's own, and its own are always seen (section 3.1 of the paper).
const ALWAYS: usize = 3;

/// See [`LongHeads::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct LongHeads {
    /// Tokens of a chunk (w in the method card).
    pub width: usize,
    /// Chunks that each head sees (kk): at least the three that it always sees.
    pub chunks: usize,
    pub ranking: Ranking,
    /// Chunks that every head is told to see, as far as there is room: those with what will be asked for, say.
    pub oracle: Vec<usize>,
    /// Whether a token of a prompt sees itself. In the official code it does not, but only once it is generated.
    pub own_token: bool,
}

/// What chunks are chosen by, but for those that are always seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// How well the query matches a summary of each.
    Scores(Representation),
    /// Chance, anew for each layer, head and token.
    Random { seed: u64 },
}

/// How the spans of a look were chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// How well the query matches the summary of each chunk before its own, `[chunks]`; empty where chance decides.
    pub scores: Vec<f32>,
    /// Ascending.
    pub chunks: Vec<Chosen>,
}

/// A chunk that is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub chunk: usize,
    pub why: Why,
}

/// Why a chunk is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the first, the one before the token's own, or its own.
    Always,
    /// The reader of the page wants it, see [`Hand`](super::Hand).
    Hand,
    Oracle,
    /// It ranks among the highest.
    Ranked,
}

impl LongHeads {
    /// As the paper has it, with chunks of `width` tokens, of which each head sees so many that they hold `attended`, but
    /// at least the three that are always seen. That a token of a prompt sees itself is ours, see
    /// [`own_token`](Self::own_token).
    pub fn new(width: usize, attended: usize) -> Self {
        assert!(width > 0, "a chunk holds a token");
        Self {
            width,
            chunks: (attended / width).max(ALWAYS),
            ranking: Ranking::Scores(Representation::Attended),
            oracle: vec![],
            own_token: true,
        }
    }

    /// Tokens in as many chunks (A in the card): as long as the text is no longer, a head sees all of it.
    pub fn attended(&self) -> usize {
        self.chunks * self.width
    }

    /// The chunks to see from a token in the chunk `own`.
    fn choose(&self, seeker: &Seeker, own: usize) -> Choice {
        let &Seeker { layer, head, token, query, summaries, hand, .. } = seeker;
        let mut chosen = vec![Chosen { chunk: own, why: Why::Always }];
        let open = |chosen: &[Chosen], chunk: usize| {
            chunk < own && !hand.off.contains(&chunk) && chosen.iter().all(|other| other.chunk != chunk)
        };
        let told = [(&[0, own - 1][..], Why::Always), (&hand.on, Why::Hand), (&self.oracle, Why::Oracle)];
        for (chunks, why) in told {
            for &chunk in chunks {
                if chosen.len() < self.chunks && open(&chosen, chunk) {
                    chosen.push(Chosen { chunk, why });
                }
            }
        }

        let mut scores = vec![0.0; own];
        match self.ranking {
            Ranking::Scores(_) => kernels::scores(query, summaries, 1.0, &mut scores),
            Ranking::Random { seed } => {
                let index = (layer as u64) << 48 | (head as u64) << 32 | token as u64;
                let mut stream = Stream::at(seed, "chunks", index);
                scores.iter_mut().for_each(|score| *score = stream.unit() as f32);
            }
        }
        let mut ranked: Vec<usize> = (0..own).filter(|&chunk| open(&chosen, chunk)).collect();
        let places = (self.chunks - chosen.len()).min(ranked.len());
        if places < ranked.len() {
            let order = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
            ranked.select_nth_unstable_by(places, order);
        }
        chosen.extend(ranked[..places].iter().map(|&chunk| Chosen { chunk, why: Why::Ranked }));
        chosen.sort_unstable_by_key(|chosen| chosen.chunk);
        if let Ranking::Random { .. } = self.ranking {
            scores.clear();
        }
        Choice { scores, chunks: chosen }
    }
}

impl Method for LongHeads {
    fn summary(&self) -> Option<Summary> {
        match self.ranking {
            Ranking::Scores(representation) => Some(Summary { width: self.width, representation }),
            Ranking::Random { .. } => None,
        }
    }

    fn look(&self, seeker: &Seeker) -> Look {
        let &Seeker { token, phase, .. } = seeker;
        if token < self.attended() {
            return Look::full(token);
        }
        let choice = self.choose(seeker, token / self.width);
        let sees_itself = self.own_token || phase == Phase::Generate;
        let end = token + usize::from(sees_itself);
        let mut look = Look::default();
        for Chosen { chunk, .. } in &choice.chunks {
            look.lay(chunk * self.width..((chunk + 1) * self.width).min(end));
        }
        if look.spans.is_empty() {
            // By hand all others may be off, and its own chunk begins with it.
            look.lay(token..token + 1);
        }
        // Where its own token is laid, or would be: all chunks before it are full.
        look.query = (choice.chunks.len() - 1) * self.width + token % self.width;
        look.choice = Some(choice);
        look
    }
}
