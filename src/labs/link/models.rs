//! The small models of a world: how they are trained, shipped, kept and opened.

use burn::tensor::{Device, Tensor};

use crate::lab::{Host, LabError, lost, seeded};
use crate::mech::adam::{load_parameters, parameters};
use crate::mech::checkpoint;
use crate::mech::rule_search::{KnowledgeBase, Mistakes, Role, Texts};
use crate::mech::word_training::Training;
use crate::mech::word_transformer::{TextTree, WordTransformer, WordTransformerConfig};

/// How popular a name is by its rank: 1 / rank^s.
pub const POPULARITY: f64 = 1.0;
/// The seed of the models that the site ships.
pub const SHIPPED_SEED: u64 = 1;
/// Nodes that are read between two chances for the world to speak.
const STRIDE: usize = 256;

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
    pub fn new(
        role: Role,
        base: &KnowledgeBase,
        seed: u64,
        before: Option<&[Vec<f32>]>,
        mistakes: Mistakes,
        device: &Device,
    ) -> Self {
        let texts = Texts::new(base.clone(), POPULARITY, role.exponent());
        let device = device.clone().autodiff();
        let config = WordTransformerConfig::new(texts.words.count());
        // Another seed for each, so that no two begin alike.
        let index = Role::ALL.iter().position(|other| *other == role).unwrap_or_default() as u64;
        let net = seeded(seed * Role::ALL.len() as u64 + index, &device, |device| config.init(device));
        let net = match before {
            Some(before) => load_parameters(net, before),
            None => net,
        };
        Self { role, texts, mistakes, training: Training::new(net, role.rates(), &device), seed }
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

    pub fn net(&self) -> &WordTransformer {
        &self.training.net
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
pub async fn mistakes(texts: &Texts, proposer: &mut TextTree, seed: u64, host: &Host) -> Mistakes {
    use crate::seed::Stream;
    let gaps = Mistakes::gaps(&texts.base);
    let mut sampling = Mistakes::sampling(&gaps, texts, proposer);
    let mut stream = Stream::new(seed, "mistakes");
    loop {
        read(proposer, host).await;
        if sampling.step(proposer, &mut stream) {
            break;
        }
    }
    proposer.clear();
    Mistakes::mark(&gaps, &sampling.texts(texts), texts)
}

/// Reads all that waits, and lets the world speak between the parts.
pub async fn read(tree: &mut TextTree, host: &Host) {
    while !tree.read(STRIDE) {
        host.breathe().await;
    }
}

fn path(role: Role) -> String {
    format!("models/link-{}.safetensors", role.slug())
}

/// The model that the site ships.
///
/// # Errors
///
/// When its file cannot be read.
pub async fn shipped(role: Role, words: usize, host: &Host) -> Result<TextTree, LabError> {
    let path = path(role);
    let bytes = host.asset(&path).await?;
    let config = WordTransformerConfig::new(words);
    let net = config.init(&Device::flex());
    let (net, _) =
        checkpoint::read(&bytes, net).map_err(|error| LabError::Asset { path, message: error.to_string() })?;
    Ok(TextTree::new(config, parameters(&net).await.map_err(lost)?))
}
