//! Models: one number out of a [`FeatureVector`], the move of the mid that is to be expected.
//!
//! Two kinds, both of a fixed size, their weights read from a safetensors file ([`mod@file`] says what stands in it):
//!
//! | kind | what it computes |
//! |---|---|
//! | linear | `w · x + b` |
//! | perceptron | 26 features → 32 → 16 → 1, rectified (`max(x, 0)`) after the first two layers |
//!
//! where `x` are the features normalised, `(feature − mean) × inv_std`, and then clipped to ±[`CLIP`]: what is far outside of
//! what the model has learnt from says no more than that.
//!
//! # The same bits everywhere
//! [`Model::infer`] gives the same bits on each [`Path`], because all of them do the same operations in the same order: 16
//! lanes, one for each neuron; the products of a neuron are added with a fused multiply-add ([`f32::mul_add`]), the input `i`
//! to the partial sum `i mod 4`; the four are added `(0 + 1) + (2 + 3)`, then the bias. Sums over lanes halve: lane `l` and
//! `l + 8`, then `l + 4`, `+ 2`, `+ 1`. Denormals are kept. The plain path needs a function call for each fused product on
//! processors that have none; it is there as the reference, and for them.
//!
//! # Contract
//! - `infer` never allocates or panics. What is not finite has no prediction: `None`.
//! - The unit of the prediction is that of the label the model was trained on; `wirebook features` writes labels in 1/10,000
//!   of the mid.

use std::path::Path as FilePath;

use super::features::{FeatureVector, WIDTH};

pub mod file;
mod lanes;
mod paths;

pub use file::ModelError;
pub use lanes::Path;

use file::Weights;
use lanes::{LANES, Lanes};

/// Farthest that a normalised feature is from 0.
pub const CLIP: f32 = 8.0;

/// Neurons of the first layer of a perceptron.
pub const FIRST: usize = 32;

/// Neurons of its second layer.
pub const SECOND: usize = 16;

/// One register's worth of weights.
type Row = [f32; LANES];

/// Rows of inputs.
const INPUT: usize = WIDTH / LANES;

/// How the features are normalised.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Norm {
    mean: [Row; INPUT],
    inv_std: [Row; INPUT],
}

/// `N` inputs to `R × 16` neurons: for each input the weights of all neurons.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Layer<const N: usize, const R: usize> {
    weights: [[Row; R]; N],
    bias: [Row; R],
}

/// The last neuron.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Output<const R: usize> {
    weights: [Row; R],
    bias: f32,
}

/// What stands between the normalised features and the prediction.
#[derive(Clone, Debug)]
enum Body {
    Linear(Output<INPUT>),
    Perceptron(Box<Perceptron>),
}

/// Three layers, in memory of their own: many times what a linear model takes.
#[derive(Clone, Debug)]
struct Perceptron {
    first: Layer<WIDTH, 2>,
    second: Layer<FIRST, 1>,
    output: Output<1>,
}

/// Which kind a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A weighted sum.
    Linear,
    /// 32 and 16 neurons between.
    Perceptron,
}

impl Kind {
    /// As it stands in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Perceptron => "mlp",
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Model {
    norm: Norm,
    body: Body,
    path: Path,
}

impl Model {
    /// Reads a model from a file, to be computed on the widest [`Path`] of this processor.
    ///
    /// # Errors
    /// [`ModelError`], which names the file, the tensor, what was found and what was wanted.
    pub fn load(file: &FilePath) -> Result<Self, ModelError> {
        file::read(file).map(|weights| Self::of(&weights))
    }

    /// The same from what stands in the file; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        file::parse(name, bytes).map(|weights| Self::of(&weights))
    }

    /// The same model on another path; where this processor does not have it, on the widest that it has.
    #[must_use]
    pub fn on_path(mut self, path: Path) -> Self {
        self.path = if path.is_available() { path } else { Path::widest() };
        self
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.body {
            Body::Linear(_) => Kind::Linear,
            Body::Perceptron(_) => Kind::Perceptron,
        }
    }

    /// The prediction; `None` where a feature or the result is not finite.
    #[inline]
    #[must_use]
    pub fn infer(&self, features: &FeatureVector) -> Option<f32> {
        let result = self.infer_on_path(features);
        result.is_finite().then_some(result)
    }

    fn of(weights: &Weights) -> Self {
        let body = match weights.layers.as_slice() {
            [first, second, third] => Body::Perceptron(Box::new(Perceptron {
                first: layer(first),
                second: layer(second),
                output: Output {
                    weights: [array(&third.weights)],
                    bias: third.bias.first().copied().unwrap_or(0.0),
                },
            })),
            layers => {
                let (weights, bias) = layers.first().map_or((&[][..], 0.0), |layer| {
                    (&layer.weights[..], layer.bias.first().copied().unwrap_or(0.0))
                });
                Body::Linear(Output { weights: rows(weights), bias })
            }
        };
        let norm = Norm { mean: rows(&weights.mean), inv_std: rows(&weights.inv_std) };
        Self { norm, body, path: Path::widest() }
    }

    /// What every path computes.
    #[inline(always)]
    fn compute<L: Lanes>(&self, features: &FeatureVector) -> f32 {
        // All exponent bits: infinite or no number. Clipping would hide it.
        const EXPONENT: u32 = 0x7F80_0000;
        let mut lost = 0;
        for feature in &features.0 {
            lost |= u32::from(feature.to_bits() & EXPONENT == EXPONENT);
        }
        let mut input = [0.0; WIDTH];
        let (rows, _) = input.as_chunks_mut::<LANES>();
        let (from, _) = features.0.as_chunks::<LANES>();
        for (((to, from), mean), inv_std) in
            rows.iter_mut().zip(from).zip(&self.norm.mean).zip(&self.norm.inv_std)
        {
            let scaled = L::load(from).sub(L::load(mean)).mul(L::load(inv_std));
            scaled.above(L::splat(-CLIP)).below(L::splat(CLIP)).store(to);
        }
        let result = match &self.body {
            Body::Linear(output) => {
                let [low, high] = &output.weights;
                let (rows, _) = input.as_chunks::<LANES>();
                let [x, y] = [rows.first(), rows.get(1)].map(|row| row.map_or(L::splat(0.0), L::load));
                L::load(low).mul_add(x, L::load(high).mul(y)).sum() + output.bias
            }
            Body::Perceptron(layers) => {
                let Perceptron { first, second, output } = &**layers;
                let (mut hidden, mut last) = ([0.0; FIRST], [0.0; LANES]);
                let [low, high] = first.apply::<L>(&input);
                let (rows, _) = hidden.as_chunks_mut::<LANES>();
                for (to, sums) in rows.iter_mut().zip([low, high]) {
                    sums.above(L::splat(0.0)).store(to);
                }
                let [sums] = second.apply::<L>(&hidden);
                sums.above(L::splat(0.0)).store(&mut last);
                let [weights] = &output.weights;
                L::load(weights).mul(L::load(&last)).sum() + output.bias
            }
        };
        if lost == 0 { result } else { f32::NAN }
    }
}

impl<const N: usize, const R: usize> Layer<N, R> {
    /// The neurons' sums.
    #[inline(always)]
    fn apply<L: Lanes>(&self, input: &[f32; N]) -> [L; R] {
        let mut partial = [[L::splat(0.0); R]; 4];
        let (inputs, _) = input.as_chunks::<4>();
        let (weights, _) = self.weights.as_chunks::<4>();
        for (inputs, weights) in inputs.iter().zip(weights) {
            for ((sums, input), weights) in partial.iter_mut().zip(inputs).zip(weights) {
                let input = L::splat(*input);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = L::load(weights).mul_add(input, *sum);
                }
            }
        }
        let [a, b, c, d] = partial;
        std::array::from_fn(|row| {
            let sum = a[row].add(b[row]).add(c[row].add(d[row]));
            sum.add(L::load(&self.bias[row]))
        })
    }
}

/// As many of `from` as there is room for, and zeros.
fn array<const N: usize>(from: &[f32]) -> [f32; N] {
    std::array::from_fn(|at| from.get(at).copied().unwrap_or(0.0))
}

fn rows<const R: usize>(from: &[f32]) -> [Row; R] {
    std::array::from_fn(|row| array(from.get(row * LANES..).unwrap_or(&[])))
}

/// From the file's order, all weights of a neuron together, to all of an input together.
fn layer<const N: usize, const R: usize>(from: &file::Dense) -> Layer<N, R> {
    let weight = |input: usize, neuron: usize| {
        let within = input < from.inputs;
        from.weights.get(neuron * from.inputs + input).copied().filter(|_| within).unwrap_or(0.0)
    };
    Layer {
        weights: std::array::from_fn(|input| {
            std::array::from_fn(|row| std::array::from_fn(|lane| weight(input, row * LANES + lane)))
        }),
        bias: rows(&from.bias),
    }
}

#[cfg(test)]
mod tests;
