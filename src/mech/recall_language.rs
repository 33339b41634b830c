//! A language in which a fact, once told, is asked for later: whoever remembers it is sure, and nobody else.
//!
//! The toy language of the method card of EMS (our reconstruction: none of the papers has it). Fillers follow each other
//! like words. Between them stand *statements*, two tokens "name value", and *questions*, three tokens "? name value" about
//! a name that was stated before. A *context* hides a few statements among fillers and asks nothing.
//!
//! Every token is drawn from what was heard before it, so that the same few lines draw a text and say how surprising one is.

use crate::seed::Stream;

/// Before every text.
pub const BOS: usize = 0;
/// Before the name in a question.
pub const ASK: usize = 1;
pub const VOCABULARY: usize = FIRST_FILLER + FILLERS.len();

const FIRST_NAME: usize = 2;
const FIRST_VALUE: usize = FIRST_NAME + NAMES.len();
const FIRST_FILLER: usize = FIRST_VALUE + VALUES.len();

pub const NAMES: [&str; 24] = [
    "Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gwen", "Hugo", "Ida", "Jon", "Kim", "Leo", "Mia", "Ned", "Ora", "Pia",
    "Quin", "Ray", "Sue", "Tom", "Una", "Vic", "Wes", "Zoe",
];

pub const VALUES: [&str; 24] = [
    "bee", "cat", "cod", "cow", "crow", "deer", "dog", "duck", "eel", "elk", "fox", "frog", "goat", "hare", "hen",
    "lamb", "lark", "mole", "moth", "newt", "owl", "ram", "seal", "swan",
];

/// By rank: the first is the most frequent.
pub const FILLERS: [&str; 47] = [
    "the", "and", "of", "to", "in", "a", "was", "it", "on", "by", "at", "as", "is", "for", "with", "so", "then", "now",
    "but", "or", "from", "up", "out", "over", "all", "when", "how", "into", "where", "near", "down", "off", "not",
    "yet", "still", "soon", "here", "there", "just", "only", "far", "along", "past", "under", "below", "after",
    "while",
];

/// How often each of a filler's three successors follows, once one of them does.
const SUCCESSORS: [f64; 3] = [0.6, 0.3, 0.1];
/// Share of the fillers that are drawn without regard to the one before.
const FREE: f64 = 0.4;
/// Draws the successors, whatever the seed of a run: it is one language. With this one its bigram perplexity is the
/// card's 9.7.
const CHAIN: u64 = 29;
/// Fillers at the end of a context among which no statement lies.
pub const MARGIN: usize = 4;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bos,
    Ask,
    Name,
    Value,
    Filler,
}

impl Kind {
    pub fn of(token: usize) -> Self {
        match token {
            BOS => Self::Bos,
            ASK => Self::Ask,
            name if name < FIRST_VALUE => Self::Name,
            value if value < FIRST_FILLER => Self::Value,
            filler => {
                assert!(filler < VOCABULARY, "token {filler} of {VOCABULARY}");
                Self::Filler
            }
        }
    }
}

/// The token of the name with this number.
pub fn name(number: usize) -> usize {
    assert!(number < NAMES.len(), "name {number} of {}", NAMES.len());
    FIRST_NAME + number
}

/// The token of the value with this number.
pub fn value(number: usize) -> usize {
    assert!(number < VALUES.len(), "value {number} of {}", VALUES.len());
    FIRST_VALUE + number
}

/// The token of the filler with this rank, from 0.
pub fn filler(rank: usize) -> usize {
    assert!(rank < FILLERS.len(), "filler {rank} of {}", FILLERS.len());
    FIRST_FILLER + rank
}

/// The rank of a filler; nothing for another token.
pub fn rank(token: usize) -> Option<usize> {
    token.checked_sub(FIRST_FILLER)
}

/// The token that a page shows so; nothing for a word that the language does not have.
pub fn token(text: &str) -> Option<usize> {
    (0..VOCABULARY).find(|&token| word(token) == text)
}

/// A token as a page shows it.
pub fn word(token: usize) -> &'static str {
    match Kind::of(token) {
        Kind::Bos => "BOS",
        Kind::Ask => "?",
        Kind::Name => NAMES[token - FIRST_NAME],
        Kind::Value => VALUES[token - FIRST_VALUE],
        Kind::Filler => FILLERS[token - FIRST_FILLER],
    }
}

/// How often a training text states and asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture {
    /// Probability of a statement, while there are names left (p_s in the card).
    pub statement: f64,
    /// Probability of a question where nothing is stated, once there is something to ask for (p_q).
    pub question: f64,
}

impl Default for Mixture {
    /// What the card's training ends with: about 9.5 questions in 128 tokens.
    fn default() -> Self {
        Self { statement: 0.08, question: 0.12 }
    }
}

/// What a context holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContextConfig {
    /// Tokens, BOS among them.
    pub tokens: usize,
    /// Statements.
    pub needles: usize,
    /// Where the first statement lies, from 0, right after BOS, to 1, as late as one may; nothing for anywhere.
    pub depth: Option<f64>,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self { tokens: 120, needles: 8, depth: None }
    }
}

impl ContextConfig {
    /// How many fillers stand before each statement.
    fn places(&self, stream: &mut Stream) -> Vec<usize> {
        let &Self { tokens, needles, depth } = self;
        let count = tokens.checked_sub(2 * needles + MARGIN).filter(|&count| count >= needles);
        let count = count.unwrap_or_else(|| panic!("{needles} statements do not fit into {tokens} tokens"));
        let mut order = stream.permutation(count);
        if let Some(depth) = depth {
            let place = (depth.clamp(0.0, 1.0) * (count - 1) as f64).round() as usize;
            let found = order.iter().position(|&other| other == place).expect("a permutation holds every place");
            order.swap(0, found);
        }
        order.truncate(needles);
        let anywhere = usize::from(depth.is_some()).min(needles);
        order[anywhere..].sort_unstable();
        order
    }
}

/// A statement in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needle {
    /// Where its name stands; its value comes next.
    pub at: usize,
    pub name: usize,
    pub value: usize,
}

/// Fillers with statements among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub tokens: Vec<usize>,
    /// In the order of the text, but for the one with a depth of its own, which comes first.
    pub needles: Vec<Needle>,
}

impl Context {
    /// A context in a reader's words, of at most so many tokens, BOS among them; and a sentence, if it has fewer words than
    /// were written.
    ///
    /// # Errors
    ///
    /// In a sentence, when the language does not have a word, or nothing is stated that could be asked for.
    pub fn parse(text: &str, most: usize) -> Result<(Self, Option<String>), String> {
        let mut tokens = vec![BOS];
        for said in text.split_whitespace().take(most - 1) {
            tokens.push(token(said).ok_or_else(|| unknown(said))?);
        }
        let (read, written) = (tokens.len() - 1, text.split_whitespace().count());
        let cut = (read < written).then(|| {
            format!("The first **{read}** of your **{written}** words are read: a text has at most {most} tokens, and the first of them is BOS.")
        });
        let stated = |(at, pair): (usize, &[usize])| {
            let is = [Kind::of(pair[0]), Kind::of(pair[1])] == [Kind::Name, Kind::Value];
            is.then_some(Needle { at, name: pair[0], value: pair[1] })
        };
        let needles: Vec<Needle> = tokens.windows(2).enumerate().filter_map(stated).collect();
        if needles.is_empty() {
            return Err("Nothing is stated: a name and then a value, such as “Ada owl”, could be asked for.".to_owned());
        }
        Ok((Self { tokens, needles }, cut))
    }

    /// The same context with its first statements at other places: as near to these as they fit, in the order of the
    /// places. All others stay in their order among the fillers.
    pub fn with_needles_at(&self, places: &[usize]) -> Self {
        let mut needles = self.needles.clone();
        needles.iter_mut().zip(places).for_each(|(needle, &place)| needle.at = place);
        let mut order: Vec<usize> = (0..needles.len()).collect();
        order.sort_by_key(|&needle| needles[needle].at);
        let mut least = 1;
        for (left, &needle) in order.iter().rev().enumerate().map(|(after, needle)| (after + 1, needle)).rev() {
            let most = self.tokens.len().saturating_sub(MARGIN + 2 * left);
            let at = needles[needle].at.max(least).min(most.max(least));
            (needles[needle].at, least) = (at, at + 2);
        }
        let stated = |at: usize| self.needles.iter().any(|needle| at == needle.at || at == needle.at + 1);
        let mut fillers = (0..self.tokens.len()).filter(|&at| !stated(at)).map(|at| self.tokens[at]);
        let mut told = vec![None; self.tokens.len()];
        for needle in &needles {
            (told[needle.at], told[needle.at + 1]) = (Some(needle.name), Some(needle.value));
        }
        let tokens = told.into_iter().map(|token| token.or_else(|| fillers.next()).expect("as many fillers as before"));
        Self { tokens: tokens.collect(), needles }
    }

    /// The context with the question about a needle behind it.
    pub fn asked(&self, needle: &Needle) -> Vec<usize> {
        self.tokens.iter().copied().chain([ASK, needle.name]).collect()
    }
}

/// What to do about a word that the language has not.
fn unknown(said: &str) -> String {
    let words = |words: &[&str]| words[..3].join(", ");
    let said = match said.char_indices().nth(24) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    };
    format!(
        "The model does not know the word “{said}”. It has {} names ({} …), {} animals ({} …) and {} fillers ({} …).",
        NAMES.len(),
        words(&NAMES),
        VALUES.len(),
        words(&VALUES),
        FILLERS.len(),
        words(&FILLERS)
    )
}

/// The language: which fillers follow which. There is only one.
#[derive(Clone, Debug)]
pub struct RecallLanguage {
    frequencies: Vec<f64>, // [fillers]
    successors: Vec<[usize; SUCCESSORS.len()]>,
}

impl Default for RecallLanguage {
    fn default() -> Self {
        let total: f64 = (1..=FILLERS.len()).map(|rank| 1.0 / rank as f64).sum();
        let frequencies: Vec<f64> = (1..=FILLERS.len()).map(|rank| 1.0 / (rank as f64 * total)).collect();
        let mut stream = Stream::new(CHAIN, "successors");
        let mut distinct = || {
            let mut left = frequencies.clone();
            std::array::from_fn(|_| {
                let drawn = stream.weighted(&left);
                left[drawn] = 0.0;
                drawn
            })
        };
        let successors = (0..FILLERS.len()).map(|_| distinct()).collect();
        Self { frequencies, successors }
    }
}

impl RecallLanguage {
    /// Probability of each filler after the one with this rank, or as the first, by rank.
    pub fn after(&self, before: Option<usize>) -> Vec<f64> {
        let Some(before) = before else { return self.frequencies.clone() };
        let mut next: Vec<f64> = self.frequencies.iter().map(|frequency| FREE * frequency).collect();
        for (&successor, weight) in self.successors[before].iter().zip(SUCCESSORS) {
            next[successor] += (1.0 - FREE) * weight;
        }
        next
    }

    /// A text to train on: BOS, then statements, questions and fillers as the mixture has them. It may end in the midst of
    /// a statement or a question.
    pub fn text(&self, tokens: usize, mixture: Mixture, stream: &mut Stream) -> Vec<usize> {
        let mut heard = Heard::default();
        let mut text = Vec::with_capacity(tokens);
        text.push(BOS);
        while text.len() < tokens {
            let token = self.speak(&heard, mixture, stream);
            heard.hear(token);
            text.push(token);
        }
        text
    }

    /// How surprising each token of a text after BOS is to whoever knows the language, the mixture and all that was said
    /// before, in nats. No network can do better in the mean.
    pub fn surprise(&self, text: &[usize], mixture: Mixture) -> Vec<f64> {
        assert_eq!(text.first(), Some(&BOS), "a text begins with BOS");
        let mut heard = Heard::default();
        let surprise = |&token: &usize| {
            let probability = self.probability(&heard, mixture, token);
            heard.hear(token);
            -libm::log(probability)
        };
        text[1..].iter().map(surprise).collect()
    }

    /// A context to be asked about later: statements of distinct names at distinct places among the fillers.
    pub fn context(&self, config: &ContextConfig, stream: &mut Stream) -> Context {
        let places = config.places(stream);
        let names = stream.permutation(NAMES.len());
        assert!(places.len() <= names.len(), "{} statements for {} names", places.len(), names.len());
        let needle = |(&place, number): (&usize, usize)| {
            let earlier = places.iter().filter(|&&other| other < place).count();
            Needle { at: 1 + place + 2 * earlier, name: name(number), value: value(stream.below(VALUES.len())) }
        };
        let needles: Vec<Needle> = places.iter().zip(names).map(needle).collect();
        let mut told = vec![None; config.tokens];
        told[0] = Some(BOS);
        for needle in &needles {
            (told[needle.at], told[needle.at + 1]) = (Some(needle.name), Some(needle.value));
        }
        let mut before = None;
        let mut next = || {
            let rank = stream.weighted(&self.after(before));
            before = Some(rank);
            filler(rank)
        };
        let tokens = told.into_iter().map(|token| token.unwrap_or_else(&mut next)).collect();
        Context { tokens, needles }
    }

    /// Fillers that go on from a text.
    pub fn onward(&self, text: &[usize], count: usize, stream: &mut Stream) -> Vec<usize> {
        let mut before = text.iter().rev().find_map(|&token| rank(token));
        let next = |_| {
            let next = stream.weighted(&self.after(before));
            before = Some(next);
            filler(next)
        };
        (0..count).map(next).collect()
    }

    fn speak(&self, heard: &Heard, mixture: Mixture, stream: &mut Stream) -> usize {
        match heard.due {
            Due::Value => value(stream.below(VALUES.len())),
            Due::Name => heard.facts[stream.below(heard.facts.len())].0,
            Due::Answer(value) => value,
            Due::Nothing => {
                let [statement, question, _] = heard.shares(mixture);
                let drawn = stream.unit();
                if drawn < statement {
                    let unused: Vec<usize> = (0..NAMES.len()).map(name).filter(|&name| !heard.knows(name)).collect();
                    unused[stream.below(unused.len())]
                } else if drawn < statement + question {
                    ASK
                } else {
                    filler(stream.weighted(&self.after(heard.filler)))
                }
            }
        }
    }

    /// With which probability [`speak`](Self::speak) says this token.
    fn probability(&self, heard: &Heard, mixture: Mixture, token: usize) -> f64 {
        let [statement, question, filler] = heard.shares(mixture);
        let either = |so: bool| f64::from(u8::from(so));
        match (heard.due, Kind::of(token)) {
            (Due::Value, Kind::Value) => 1.0 / VALUES.len() as f64,
            (Due::Name, Kind::Name) => either(heard.knows(token)) / heard.facts.len() as f64,
            (Due::Answer(value), _) => either(token == value),
            (Due::Nothing, Kind::Name) => {
                either(!heard.knows(token)) * statement / (NAMES.len() - heard.facts.len()) as f64
            }
            (Due::Nothing, Kind::Ask) => question,
            (Due::Nothing, Kind::Filler) => filler * self.after(heard.filler)[token - FIRST_FILLER],
            _ => 0.0,
        }
    }
}

/// What a listener knows of a text so far.
#[derive(Clone, Debug, Default)]
struct Heard {
    /// Names with their values.
    facts: Vec<(usize, usize)>,
    /// The name of a statement whose value is due.
    named: usize,
    /// Rank of the last filler.
    filler: Option<usize>,
    due: Due,
}

/// What must come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Due {
    #[default]
    Nothing,
    /// The value of a statement.
    Value,
    /// The name of a question.
    Name,
    /// The answer to a question.
    Answer(usize),
}

impl Heard {
    fn value_of(&self, name: usize) -> Option<usize> {
        self.facts.iter().find(|fact| fact.0 == name).map(|fact| fact.1)
    }

    fn knows(&self, name: usize) -> bool {
        self.value_of(name).is_some()
    }

    /// Probability of a statement, a question and a filler where nothing is due.
    fn shares(&self, mixture: Mixture) -> [f64; 3] {
        let statement = if self.facts.len() < NAMES.len() { mixture.statement } else { 0.0 };
        let question = if self.facts.is_empty() { 0.0 } else { (1.0 - statement) * mixture.question };
        [statement, question, 1.0 - statement - question]
    }

    fn hear(&mut self, token: usize) {
        self.due = match (self.due, Kind::of(token)) {
            (Due::Value, _) => {
                self.facts.push((self.named, token));
                Due::Nothing
            }
            (Due::Name, _) => self.value_of(token).map_or(Due::Nothing, Due::Answer),
            (Due::Answer(_), _) => Due::Nothing,
            (Due::Nothing, Kind::Name) => {
                self.named = token;
                Due::Value
            }
            (Due::Nothing, Kind::Ask) => Due::Name,
            (Due::Nothing, Kind::Filler) => {
                self.filler = Some(token - FIRST_FILLER);
                Due::Nothing
            }
            (Due::Nothing, Kind::Bos | Kind::Value) => Due::Nothing,
        };
    }
}
