//! The small models of a world: how they are trained, shipped, kept and opened.

use burn::tensor::{Device, Tensor};

use crate::choices;
use crate::lab::params::{FileName, encode};
use crate::lab::{Host, LabError, State, lost, seeded};
use crate::mech::adam::{load_parameters, parameters};
use crate::mech::checkpoint::{self, About};
use crate::mech::rule_search::{KnowledgeBase, MISTAKES_SAMPLES, Mistakes, Role, Sampling, Texts, yes};
use crate::mech::word_training::Training;
use crate::mech::word_transformer::{TextTree, WordTransformer, WordTransformerConfig};
use crate::seed::{Stream, hash};

/// How popular a name is by its rank: 1 / rank^s.
pub const POPULARITY: f64 = 1.0;
/// The seed of the models that the site ships.
pub const SHIPPED_SEED: u64 = 1;
/// Percent of the shipped models' steps that a reader's are trained for, if nothing else is said.
pub const TRAINING: i64 = 10;
/// More than a world of the largest size takes.
pub const MOST_BYTES: usize = 4 << 20;
/// Nodes that are read, words that are drawn and gaps that are marked between two chances for the world to speak.
const NODES: usize = 256;
const WORDS: usize = 1024;
const GAPS: usize = 64;

choices! {
    pub enum ModelsChoice {
        Shipped = "shipped", "as shipped";
        Trained = "trained", "those you trained";
    }
}

/// The reader's world: the default one, or that of a file; and the same after the reader's changes.
///
/// # Errors
///
/// What is wrong with the file, or with the first change that cannot be made.
pub fn world(facts: &str, file: &FileName, host: &Host) -> Result<[KnowledgeBase; 2], LabError> {
    let base = match host.given("file", file)? {
        None => KnowledgeBase::default(),
        Some(bytes) => {
            let text = std::str::from_utf8(&bytes).map_err(|_| LabError::data("World file. This is no text."))?;
            KnowledgeBase::from_json(text).map_err(|error| LabError::data(format!("World file. {error}")))?
        }
    };
    let edited = base.edited(facts).map_err(|error| LabError::data(format!("Changed facts. {error}")))?;
    Ok([base, edited])
}

/// The address of another lab of the page in the reader's world.
pub fn address(lab: &str, query: &str, facts: &str, file: &FileName) -> String {
    let mut address = format!("?lab={lab}#{query}");
    for (key, text) in [("facts", facts), ("file", &file.0)] {
        if !text.is_empty() {
            address += &format!("&{key}={}", encode(text));
        }
    }
    address
}

/// All that makes the models of a world.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub base: KnowledgeBase,
    pub seed: u64,
    /// Percent of the shipped models' steps.
    pub training: usize,
}

impl Recipe {
    /// That of the models that the site ships.
    pub fn shipped() -> Self {
        Self { base: KnowledgeBase::default(), seed: SHIPPED_SEED, training: 100 }
    }

    /// How many steps a model is trained for.
    pub fn steps(&self, role: Role) -> u64 {
        role.rates().shortened(self.training).steps
    }

    /// Under what a model is kept: what made it, as a hash.
    fn key(&self, role: Role) -> String {
        let Self { base, seed, training } = self;
        let made_of = hash(&format!("{seed} {training} {}", base.to_json()));
        format!("link/{}-{made_of:016x}", role.slug())
    }

    /// What is proposed for each gap, to be marked: less after a short training, whose proposals are many and wild.
    fn samples(&self) -> usize {
        (MISTAKES_SAMPLES * self.training).div_ceil(100).min(MISTAKES_SAMPLES)
    }
}

/// A model in training.
pub struct Apprentice {
    role: Role,
    texts: Texts,
    mistakes: Mistakes,
    training: Training,
    seed: u64,
}

impl Apprentice {
    /// `before` are the parameters it goes on from: those of the critic, for the taught one.
    pub fn new(role: Role, recipe: &Recipe, before: Option<&[Vec<f32>]>, mistakes: Mistakes, device: &Device) -> Self {
        let seed = recipe.seed;
        let texts = Texts::new(recipe.base.clone(), POPULARITY, role.exponent());
        let device = device.clone().autodiff();
        let config = WordTransformerConfig::new(texts.words.count());
        // Another seed for each, so that no two begin alike.
        let index = Role::ALL.iter().position(|other| *other == role).unwrap_or_default() as u64;
        let net = seeded(seed * Role::ALL.len() as u64 + index, &device, |device| config.init(device));
        let net = match before {
            Some(before) => load_parameters(net, before),
            None => net,
        };
        let rates = role.rates().shortened(recipe.training);
        Self { role, texts, mistakes, training: Training::new(net, rates, &device), seed }
    }

    /// Takes a step; gives its loss in nats for each learned token.
    pub fn step(&mut self) -> Tensor<1> {
        let lessons = self.role.lessons(&self.texts, &self.mistakes, self.seed, self.training.step);
        self.training.learn(lessons.iter().map(|lesson| (lesson.tokens.as_slice(), lesson.from)))
    }

    pub fn is_over(&self) -> bool {
        self.training.is_over()
    }

    pub fn steps(&self) -> u64 {
        self.training.step
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn net(&self) -> &WordTransformer {
        &self.training.net
    }

    /// Puts what it has become.
    ///
    /// # Errors
    ///
    /// When the device is lost.
    pub async fn save(&self, state: &mut State) -> Result<(), LabError> {
        state.put_model("net", &self.training.net, &self.training.adam).await
    }

    /// The inverse of [`save`](Self::save), after so many of its steps.
    ///
    /// # Errors
    ///
    /// When another version of the lab wrote the state.
    pub fn restore(&mut self, step: u64, state: &State) -> Result<(), LabError> {
        self.training.step = step;
        self.training.net = state.get_model("net", self.training.net.clone(), &mut self.training.adam)?;
        Ok(())
    }

    /// Keeps it for the search; whether it outlives this engine.
    ///
    /// # Errors
    ///
    /// When the device is lost.
    pub async fn keep(&self, recipe: &Recipe, about: &About, host: &Host) -> Result<bool, LabError> {
        let bytes = checkpoint::write(self.net(), about).await.map_err(lost)?;
        host.keep(&recipe.key(self.role), &bytes).await
    }

    /// A reader of what it has become.
    ///
    /// # Errors
    ///
    /// When the device is lost.
    pub async fn tree(&self) -> Result<TextTree, LabError> {
        let config = WordTransformerConfig::new(self.texts.words.count());
        Ok(TextTree::new(config, parameters(self.net()).await.map_err(lost)?))
    }
}

/// What a proposer proposes for every gap that a search can ask for, marked by the world.
pub async fn mistakes(texts: &Texts, proposer: &mut TextTree, recipe: &Recipe, host: &Host) -> Mistakes {
    let gaps = Mistakes::gaps(&texts.base);
    let mut sampling = Mistakes::sampling(&gaps, texts, proposer, recipe.samples());
    draw(&mut sampling, proposer, &mut Stream::new(recipe.seed, "mistakes"), host).await;
    proposer.clear();
    let sampled = sampling.texts(texts);
    let mut mistakes = Mistakes::default();
    for (gaps, sampled) in gaps.chunks(GAPS).zip(sampled.chunks(GAPS)) {
        mistakes.mark(gaps, sampled, texts);
        host.breathe().await;
    }
    mistakes
}

/// Draws texts to their ends, and lets the world speak between the parts.
pub async fn draw(sampling: &mut Sampling, tree: &mut TextTree, stream: &mut Stream, host: &Host) {
    while !sampling.is_over() {
        read(tree, host).await;
        while !sampling.step(tree, WORDS, stream) {
            host.breathe().await;
        }
    }
}

/// Reads all that waits, and lets the world speak between the parts.
pub async fn read(tree: &mut TextTree, host: &Host) {
    while !tree.read(NODES) {
        host.breathe().await;
    }
}

/// Sentences as questions for a critic; nothing for one with a word that it does not know.
pub fn questions(texts: &Texts, sentences: &[String]) -> Vec<Option<Vec<usize>>> {
    sentences.iter().map(|sentence| texts.words.numbers(&Texts::check(sentence))).collect()
}

/// P(yes) for each question. What a critic does not know it cannot judge.
pub async fn believe(critic: &mut TextTree, questions: &[Option<Vec<usize>>], host: &Host) -> Vec<f64> {
    let mut node = |numbers: &Option<Vec<usize>>| numbers.as_ref().map(|numbers| critic.text(None, numbers));
    let nodes: Vec<Option<usize>> = questions.iter().map(&mut node).collect();
    read(critic, host).await;
    nodes.into_iter().map(|node| node.map_or(0.5, |node| yes(critic, node))).collect()
}

/// The model that the site ships.
///
/// # Errors
///
/// When its file cannot be read.
pub async fn shipped(role: Role, words: usize, host: &Host) -> Result<TextTree, LabError> {
    let path = format!("models/link-{}.safetensors", role.slug());
    let bytes = host.asset(&path).await?;
    opened(&bytes, words).await?.map_err(|message| LabError::Asset { path, message })
}

/// The model that the reader trained by this recipe.
///
/// # Errors
///
/// When none is kept.
pub async fn kept(role: Role, recipe: &Recipe, words: usize, host: &Host) -> Result<TextTree, LabError> {
    let (name, Recipe { seed, training, .. }) = (role.slug().replace('-', " "), recipe);
    let Some(bytes) = host.kept(&recipe.key(role)).await? else {
        return Err(LabError::data(format!(
            "No {name} of this world is kept for seed {seed} and {training} % of the steps. Train all five models in “A world of your own”, or choose those that are shipped."
        )));
    };
    opened(&bytes, words)
        .await?
        .map_err(|why| LabError::data(format!("The {name} that you trained cannot be read. {why}")))
}

async fn opened(bytes: &[u8], words: usize) -> Result<Result<TextTree, String>, LabError> {
    let config = WordTransformerConfig::new(words);
    let net = seeded(0, &Device::flex(), |device| config.init(device));
    match checkpoint::read(bytes, net) {
        Ok((net, _)) => Ok(Ok(TextTree::new(config, parameters(&net).await.map_err(lost)?))),
        Err(error) => Ok(Err(error.to_string())),
    }
}
