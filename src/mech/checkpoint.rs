//! The parameters of a module as a file: safetensors, in half precision.
//!
//! A parameter's name is its way through the module, as in `blocks.0.query.weight`; its numbers lie as the module has them,
//! so the weight of a linear layer is `[inputs, outputs]`. What else is to be known about the file, such as how it was
//! trained, stands in it as text.

use std::collections::BTreeMap;

use burn::backend::ExecutionError;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::adam::{load_parameters, parameters};
use super::tensor_file::{FormatError, READ, TensorFile};

/// What is said about a file, by key.
pub type About = BTreeMap<String, String>;

/// The entry of the header that holds [`About`]. It is a single one because the format's own writer puts several in an order that
/// changes from run to run.
const ABOUT: &str = "about";

/// Why a file cannot be read into a module. Each is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    Format(FormatError),
    /// What is said about the file is not what [`write`] says.
    About,
    Missing {
        name: String,
    },
    Unknown {
        name: String,
    },
    Shape {
        name: String,
        got: Vec<usize>,
        want: Vec<usize>,
    },
    Type {
        name: String,
        got: String,
    },
    NotFinite {
        name: String,
    },
}

impl std::fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format(error) => error.fmt(f),
            Self::About => f.write_str("What this file says about itself cannot be read."),
            Self::Missing { name } => write!(f, "The file lacks “{name}”, which the model has."),
            Self::Unknown { name } => write!(f, "The file holds “{name}”, which the model does not have."),
            Self::Shape { name, got, want } => {
                write!(f, "“{name}” has the shape {got:?} in the file; the model's is {want:?}.")
            }
            Self::Type { name, got } => write!(f, "“{name}” is of type {got}; {READ} can be read."),
            Self::NotFinite { name } => write!(f, "“{name}” holds a number that is not finite."),
        }
    }
}

impl std::error::Error for CheckpointError {}

/// The file.
///
/// # Errors
///
/// When the device is lost.
pub async fn write<M: Module>(module: &M, about: &About) -> Result<Vec<u8>, ExecutionError> {
    let half = |number: &f32| f16::from_f32(*number).to_le_bytes();
    let numbers = parameters(module).await?;
    let bytes: Vec<Vec<u8>> = numbers.iter().map(|list| list.iter().flat_map(half).collect()).collect();
    let views = list(module).into_iter().zip(&bytes).map(|(Parameter { name, shape }, bytes)| {
        let view = TensorView::new(Dtype::F16, shape, bytes).expect("two bytes for each number of the shape");
        (name, view)
    });
    let about = serde_json::to_string(about).expect("texts by their keys are JSON");
    let header = [(ABOUT.to_owned(), about)].into_iter().collect();
    Ok(safetensors::serialize(views, Some(header)).expect("a module has few parameters, each with its own name"))
}

/// The module with the numbers of the file, and what is said about them.
///
/// # Errors
///
/// When the file is not what [`write`] makes of such a module.
pub fn read<M: Module>(bytes: &[u8], module: M) -> Result<(M, About), CheckpointError> {
    let file = TensorFile::open(bytes).map_err(CheckpointError::Format)?;
    let about = file.entry(ABOUT).map_or(Ok(About::new()), serde_json::from_str);
    let about = about.map_err(|_| CheckpointError::About)?;
    let parameters = list(&module);
    let known = |name: &String| parameters.iter().any(|parameter| parameter.name == *name);
    if let Some(name) = file.names().into_iter().find(|name| !known(name)) {
        return Err(CheckpointError::Unknown { name });
    }
    let numbers = parameters.into_iter().map(|parameter| parameter.find(&file)).collect::<Result<Vec<_>, _>>()?;
    Ok((load_parameters(module, &numbers), about))
}

struct Parameter {
    name: String,
    shape: Vec<usize>,
}

impl Parameter {
    fn find(self, file: &TensorFile) -> Result<Vec<f32>, CheckpointError> {
        let Self { name, shape } = self;
        let Some(found) = file.info(&name) else { return Err(CheckpointError::Missing { name }) };
        if found.shape != shape {
            return Err(CheckpointError::Shape { name, got: found.shape.clone(), want: shape });
        }
        let Some(numbers) = file.floats(found) else {
            return Err(CheckpointError::Type { name, got: found.dtype.to_string() });
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(CheckpointError::NotFinite { name });
        }
        Ok(numbers)
    }
}

/// Every parameter of the module, in visiting order.
fn list<M: Module>(module: &M) -> Vec<Parameter> {
    let mut names = Names::default();
    module.visit(&mut names);
    names.found
}

#[derive(Default)]
struct Names {
    way: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.way.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.way.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(Parameter { name: self.way.join("."), shape: param.val().dims().to_vec() });
    }
}
