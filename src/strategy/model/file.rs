//! The file of a model, in the format safetensors (<https://github.com/huggingface/safetensors>, read by its own crate).
//!
//! Little-endian `F32` throughout, weights in rows of one neuron each, as PyTorch and numpy write them:
//!
//! | tensor | shape, linear | shape, mlp |
//! |---|---|---|
//! | `mean`, `inv_std` | `[26]` | `[26]` |
//! | `layer1.weight`, `layer1.bias` | `[1, 26]`, `[1]` | `[32, 26]`, `[32]` |
//! | `layer2.weight`, `layer2.bias` | | `[16, 32]`, `[16]` |
//! | `layer3.weight`, `layer3.bias` | | `[1, 16]`, `[1]` |
//!
//! `inv_std` is 1 / standard deviation, 0 for a feature that is to be left out. The file's metadata say `model`: `linear` or
//! `mlp`, and `features`: the names of the features, separated by commas, which have to be [`NAMES`]: a model that was
//! trained on other features is refused. Any other metadata are the trainer's business; any other tensor is an error.

use std::path::Path;

use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::{FIRST, Kind, SECOND};
use crate::strategy::features::NAMES;

/// Largest file that is read, bytes: some hundred times what a model needs.
pub const MOST_BYTES: u64 = 1 << 20;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {why}")]
    Read {
        /// The file.
        file: String,
        /// The system's reason.
        why: std::io::Error,
    },
    /// The file is larger than [`MOST_BYTES`].
    #[error("{file}: has {found} bytes; a model has at most {MOST_BYTES}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        found: u64,
    },
    /// It is not in the format, or cut off.
    #[error("{file}: is no whole safetensors file: {why}")]
    Format {
        /// The file.
        file: String,
        /// What the format's own reader found.
        why: SafeTensorError,
    },
    /// The metadata do not say what they have to.
    #[error("{file}: metadata `{key}`: found {found}, wanted {wanted}")]
    Metadata {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What has to.
        wanted: String,
    },
    /// A tensor is missing, of another type or shape, not finite, or not known.
    #[error("{file}: tensor `{tensor}`: found {found}, wanted {wanted}")]
    Tensor {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// What is there.
        found: String,
        /// What has to be.
        wanted: String,
    },
}

/// What stands in a file.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) mean: Vec<f32>,
    pub(super) inv_std: Vec<f32>,
    /// One of a linear model, three of a perceptron.
    pub(super) layers: Vec<Dense>,
}

/// One layer, weights in rows of one neuron each.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) inputs: usize,
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

pub(super) fn read(path: &Path) -> Result<Weights, ModelError> {
    let file = path.display().to_string();
    let fault = |why| ModelError::Read { file: file.clone(), why };
    let found = std::fs::metadata(path).map_err(fault)?.len();
    if found > MOST_BYTES {
        return Err(ModelError::TooLarge { file, found });
    }
    let bytes = std::fs::read(path).map_err(fault)?;
    parse(&file, &bytes)
}

pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Weights, ModelError> {
    let format = |why| ModelError::Format { file: file.to_owned(), why };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(format)?;
    let said = |key: &'static str| header.metadata().as_ref().and_then(|all| all.get(key));
    let wrong = |key, found: Option<&String>, wanted: String| ModelError::Metadata {
        file: file.to_owned(),
        key,
        found: found.map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`")),
        wanted,
    };
    let kind = match said("model").map(String::as_str) {
        Some("linear") => Kind::Linear,
        Some("mlp") => Kind::Perceptron,
        _ => return Err(wrong("model", said("model"), "`linear` or `mlp`".to_owned())),
    };
    let names = NAMES.join(",");
    if said("features") != Some(&names) {
        return Err(wrong("features", said("features"), format!("`{names}`")));
    }

    let source = Source { file, tensors: SafeTensors::deserialize(bytes).map_err(format)? };
    let sizes: &[[usize; 2]] = match kind {
        Kind::Linear => &[[NAMES.len(), 1]],
        Kind::Perceptron => &[[NAMES.len(), FIRST], [FIRST, SECOND], [SECOND, 1]],
    };
    let mut known = vec!["mean".to_owned(), "inv_std".to_owned()];
    let (mean, inv_std) = (source.take("mean", &[NAMES.len()])?, source.take("inv_std", &[NAMES.len()])?);
    let mut layers = Vec::with_capacity(sizes.len());
    for (number, &[inputs, neurons]) in (1..).zip(sizes) {
        let [weight, bias] = ["weight", "bias"].map(|part| format!("layer{number}.{part}"));
        layers.push(Dense {
            inputs,
            weights: source.take(&weight, &[neurons, inputs])?,
            bias: source.take(&bias, &[neurons])?,
        });
        known.extend([weight, bias]);
    }
    match source.tensors.names().into_iter().find(|name| !known.iter().any(|known| known == name)) {
        Some(other) => {
            let wanted = format!("no tensor of this name in a model `{}`", kind.name());
            Err(source.wrong(other, "it".to_owned(), wanted))
        }
        None => Ok(Weights { mean, inv_std, layers }),
    }
}

struct Source<'a> {
    file: &'a str,
    tensors: SafeTensors<'a>,
}

impl Source<'_> {
    fn wrong(&self, tensor: &str, found: String, wanted: String) -> ModelError {
        ModelError::Tensor { file: self.file.to_owned(), tensor: tensor.to_owned(), found, wanted }
    }

    fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let wanted = || format!("F32 of shape {shape:?}, all of it finite");
        let Ok(tensor) = self.tensors.tensor(name) else {
            let mut names = self.tensors.names();
            names.sort_unstable();
            return Err(self.wrong(name, format!("only {}", names.join(", ")), wanted()));
        };
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let found = format!("{:?} of shape {:?}", tensor.dtype(), tensor.shape());
            return Err(self.wrong(name, found, wanted()));
        }
        let (bytes, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(self.wrong(name, format!("{} at place {at}", values[at]), wanted())),
            None => Ok(values),
        }
    }
}
