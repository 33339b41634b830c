//! The project's own small model, shipped or trained by the reader, as every lab opens it that reads with it.

use burn::tensor::Device;

use crate::choices;
use crate::lab::{Host, LabError, Panel, lost, seeded};
use crate::mech::adam::parameters;
use crate::mech::checkpoint::{self, About};
use crate::mech::house_transformer::{Decoder, HouseTransformer, HouseTransformerConfig};
use crate::mech::recall_language::{RecallLanguage, VOCABULARY};

/// Seeds of the models that the site ships. Of those from 0 to 5 all but 0 have a head that looks at BOS.
const SHIPPED: [u64; 3] = [3, 1, 2];

/// Layers of the shipped models, and heads of each.
pub const LAYERS: usize = 2;
pub const HEADS: usize = 4;

/// Under which a model that the reader trained is kept for the other tabs.
const TRAINED: &str = "kv-cache/house-transformer";

choices! {
    pub enum ModelChoice {
        Shipped = "shipped", "as shipped";
        Trained = "trained", "the one you trained";
    }
}

/// A model, and the language that it speaks.
#[derive(Clone)]
pub struct HouseModel {
    pub decoder: Decoder,
    pub language: RecallLanguage,
    /// Why it is not the model that was asked for.
    refused: Option<String>,
}

impl HouseModel {
    /// The model of this seed, of which there are three in turns; or the one that the reader trained.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn open(model: ModelChoice, seed: u64, host: &Host) -> Result<Self, LabError> {
        let trained = match model {
            ModelChoice::Shipped => None,
            ModelChoice::Trained => Some(trained(host).await?),
        };
        let (parameters, refused) = match trained {
            Some(Ok(parameters)) => (parameters, None),
            Some(Err(why)) => (shipped(seed, host).await?, Some(format!("{why} A shipped model is shown."))),
            None => (shipped(seed, host).await?, None),
        };
        let decoder = Decoder::new(HouseTransformerConfig::new(VOCABULARY), parameters);
        Ok(Self { decoder, language: RecallLanguage::default(), refused })
    }

    /// Panels, of which the first says so if another model was asked for.
    pub fn noted(&self, mut panels: Vec<Panel>) -> Vec<Panel> {
        if let (Some(refused), Some(first)) = (&self.refused, panels.first_mut()) {
            first.summary = format!("{refused} {}", first.summary);
        }
        panels
    }
}

/// Keeps a model for the other tabs; whether it outlives this engine.
///
/// # Errors
///
/// When the device is lost.
pub async fn keep_trained(net: &HouseTransformer, about: &About, host: &Host) -> Result<bool, LabError> {
    let bytes = checkpoint::write(net, about).await.map_err(lost)?;
    host.keep(TRAINED, &bytes).await
}

/// Parameters of the model that the reader trained, or what to do about it.
async fn trained(host: &Host) -> Result<Result<Vec<Vec<f32>>, String>, LabError> {
    let Some(bytes) = host.kept(TRAINED).await? else {
        return Ok(Err("You have trained no model yet: let one train to its end in “Train the model”.".to_owned()));
    };
    Ok(read(&bytes).await.map_err(|why| format!("The model that you trained cannot be read. {why}")))
}

async fn shipped(seed: u64, host: &Host) -> Result<Vec<Vec<f32>>, LabError> {
    let model = SHIPPED[(seed % SHIPPED.len() as u64) as usize];
    let path = format!("models/house-{model}.safetensors");
    let bytes = host.asset(&path).await?;
    read(&bytes).await.map_err(|message| LabError::Asset { path, message })
}

async fn read(bytes: &[u8]) -> Result<Vec<Vec<f32>>, String> {
    let net = seeded(0, &Device::flex(), |device| HouseTransformerConfig::new(VOCABULARY).init(device));
    let (net, _) = checkpoint::read(bytes, net).map_err(|error| error.to_string())?;
    parameters(&net).await.map_err(|error| format!("{error:?}"))
}
