//! Paths against the reference, the reference against `f64`, and files against whatever can be wrong with them.

use super::*;
use crate::strategy::features::NAMES;

struct Random(u64);

impl Random {
    fn any(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between −1 and 1.
    fn unit(&mut self) -> f32 {
        ((self.any() >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
    }

    /// Of any size: usual, denormal, huge, 0 and −0.
    fn wild(&mut self) -> f32 {
        match self.any() >> 61 {
            0 => f32::from_bits((self.any() >> 41) as u32),
            1 => self.unit() * f32::MAX,
            2 => self.unit() * 1e-38,
            3 => [0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN][(self.any() >> 33) as usize % 5],
            _ => self.unit(),
        }
    }
}

/// A file as its format says: a length, a header, the data.
struct Draft {
    model: &'static str,
    features: String,
    tensors: Vec<(String, &'static str, Vec<usize>, Vec<f32>)>,
}

impl Draft {
    fn new(kind: Kind, mut value: impl FnMut() -> f32) -> Self {
        let sizes: &[(usize, usize)] = match kind {
            Kind::Linear => &[(26, 1)],
            Kind::Perceptron => &[(26, 32), (32, 16), (16, 1)],
        };
        let mut tensors = Vec::new();
        let mut add = |name: &str, shape: &[usize]| {
            let values = (0..shape.iter().product()).map(|_| value()).collect();
            tensors.push((name.to_owned(), "F32", shape.to_vec(), values));
        };
        add("mean", &[26]);
        add("inv_std", &[26]);
        for (number, &(inputs, neurons)) in (1..).zip(sizes) {
            add(&format!("layer{number}.weight"), &[neurons, inputs]);
            add(&format!("layer{number}.bias"), &[neurons]);
        }
        Self { model: kind.name(), features: NAMES.join(","), tensors }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut header =
            format!(r#"{{"__metadata__":{{"model":"{}","features":"{}"}}"#, self.model, self.features);
        let mut data: Vec<u8> = Vec::new();
        for (name, dtype, shape, values) in &self.tensors {
            let from = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            header += &format!(
                r#","{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{}]}}"#,
                data.len()
            );
        }
        header.push('}');
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.into_bytes());
        file.extend(data);
        file
    }

    fn model(&self) -> Result<Model, ModelError> {
        Model::from_bytes("m.safetensors", &self.bytes())
    }

    fn refusal(&self) -> String {
        self.model().unwrap_err().to_string()
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.tensors.iter().find(|(known, ..)| known == name).unwrap().3
    }

    /// In `f64`, by the definition.
    fn slow(&self, features: &FeatureVector) -> f64 {
        let wide = |name: &str| self.values(name).iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
        let (mean, inv_std) = (wide("mean"), wide("inv_std"));
        let mut values: Vec<f64> = (0..26)
            .map(|at| ((f64::from(features.0[at]) - mean[at]) * inv_std[at]).clamp(-8.0, 8.0))
            .collect();
        let layers = if self.model == "mlp" { 3 } else { 1 };
        for layer in 1..=layers {
            let (weights, bias) =
                (wide(&format!("layer{layer}.weight")), wide(&format!("layer{layer}.bias")));
            let sums = weights.chunks(values.len()).zip(&bias).map(|(row, bias)| {
                row.iter().zip(&values).map(|(weight, value)| weight * value).sum::<f64>() + bias
            });
            values = sums.map(|sum| if layer < layers { sum.max(0.0) } else { sum }).collect();
        }
        values[0]
    }
}

fn features(value: impl FnMut(usize) -> f32) -> FeatureVector {
    let mut vector = FeatureVector(std::array::from_fn(value));
    vector.0[NAMES.len()..].fill(0.0);
    vector
}

const KINDS: [Kind; 2] = [Kind::Linear, Kind::Perceptron];

#[test]
fn the_reference_computes_what_is_defined() {
    let mut random = Random(3);
    for round in 0..400 {
        let draft = Draft::new(KINDS[round % 2], || random.unit());
        let model = draft.model().unwrap().on_path(Path::Portable);
        assert_eq!(model.kind(), KINDS[round % 2]);
        let vector = features(|_| random.unit() * 3.0);
        let (got, want) = (f64::from(model.infer(&vector).unwrap()), draft.slow(&vector));
        assert!((got - want).abs() <= 2e-5 * want.abs().max(10.0), "{got}, not {want}");
    }
}

#[test]
fn every_path_of_this_processor_gives_the_same_bits() {
    let mut random = Random(5);
    let (mut predicted, mut compared) = (0, 0);
    for round in 0..600 {
        let wild = round % 3 == 0;
        let draft = Draft::new(KINDS[round % 2], || if wild { random.wild() } else { random.unit() });
        let reference = draft.model().unwrap().on_path(Path::Portable);
        for _ in 0..30 {
            let vector = features(|_| if wild { random.wild() } else { random.unit() * 9.0 });
            let want = reference.infer(&vector).map(f32::to_bits);
            predicted += u64::from(want.is_some());
            for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
                let model = reference.clone().on_path(path);
                assert_eq!(model.infer(&vector).map(f32::to_bits), want, "{path:?}, round {round}");
                compared += 1;
            }
        }
    }
    assert!(predicted > 12_000, "{predicted} of {compared}");
}

#[test]
fn what_is_no_number_has_no_prediction() {
    let mut random = Random(7);
    for (kind, path) in KINDS.into_iter().flat_map(|kind| Path::ALL.map(|path| (kind, path))) {
        let model = Draft::new(kind, || random.unit()).model().unwrap().on_path(path);
        for (at, bad) in
            (0..NAMES.len()).flat_map(|at| [f32::NAN, f32::INFINITY, -f32::INFINITY].map(|bad| (at, bad)))
        {
            let mut vector = features(|_| 0.5);
            assert!(model.infer(&vector).is_some());
            vector.0[at] = bad;
            assert_eq!(model.infer(&vector), None);
        }
        // Whatever is finite can be told, and far values are clipped.
        let far = features(|at| if at % 2 == 0 { f32::MAX } else { f32::MIN });
        assert!(model.infer(&far).is_some());
    }
    let too_large = Draft::new(Kind::Linear, || f32::MAX).model().unwrap();
    assert_eq!(too_large.infer(&features(|_| 1.0)), None);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for kind in KINDS {
        let whole = Draft::new(kind, || 0.25).bytes();
        assert!(Model::from_bytes("m", &whole).is_ok());
        for len in 0..whole.len() {
            let refusal = Model::from_bytes("m", &whole[..len]).unwrap_err();
            assert!(matches!(refusal, ModelError::Format { .. }), "{len}: {refusal}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(Model::from_bytes("m", &longer).is_err());
    }
}

#[test]
fn damaged_bytes_are_refused_or_a_model() {
    let mut random = Random(11);
    let whole = Draft::new(Kind::Perceptron, || 0.25).bytes();
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.any() >> 62 {
            // Mostly in the header, where it hurts.
            let at = (random.any() >> 16) as usize % if random.any() >> 62 == 0 { bytes.len() } else { 900 };
            bytes[at] = (random.any() >> 24) as u8;
        }
        if let Ok(model) = Model::from_bytes("m", &bytes) {
            let _ = model.infer(&features(|_| 1.0));
        }
        let noise: Vec<u8> = (0..random.any() >> 56).map(|_| (random.any() >> 32) as u8).collect();
        assert!(Model::from_bytes("m", &noise).is_err());
    }
}

#[test]
fn refusals_say_what_was_found_and_wanted() {
    let draft = || Draft::new(Kind::Linear, || 0.5);
    let mut wrong = draft();
    wrong.tensors[2].2 = vec![26, 1];
    assert_eq!(
        wrong.refusal(),
        "m.safetensors: tensor `layer1.weight`: found F32 of shape [26, 1], wanted F32 of shape [1, 26], all of it finite"
    );
    let mut wrong = draft();
    wrong.tensors[0].1 = "I32";
    assert!(wrong.refusal().contains("`mean`: found I32 of shape [26], wanted F32"), "{}", wrong.refusal());
    let mut wrong = draft();
    wrong.tensors[1].3[7] = f32::NAN;
    assert!(wrong.refusal().contains("`inv_std`: found NaN at place 7"), "{}", wrong.refusal());
    let mut wrong = draft();
    wrong.tensors.remove(3);
    assert!(
        wrong.refusal().contains("`layer1.bias`: found only inv_std, layer1.weight, mean, wanted"),
        "{}",
        wrong.refusal()
    );
    let mut wrong = Draft::new(Kind::Perceptron, || 0.5);
    wrong.model = "linear";
    assert!(wrong.refusal().contains("`layer1.weight`: found F32 of shape [32, 26]"), "{}", wrong.refusal());
    let mut wrong = draft();
    wrong.tensors.push(("extra".to_owned(), "F32", vec![1], vec![0.0]));
    assert!(wrong.refusal().contains("`extra`"), "{}", wrong.refusal());
    let mut wrong = draft();
    wrong.features = wrong.features.replace("ofi_8e", "ofi_9e");
    assert!(wrong.refusal().contains("metadata `features`: found `spread_bps,"), "{}", wrong.refusal());
    let mut wrong = draft();
    wrong.model = "forest";
    assert!(wrong.refusal().contains("metadata `model`: found `forest`, wanted `linear` or `mlp`"));
    let missing = Model::load(FilePath::new("/nonexistent/m.safetensors")).unwrap_err();
    assert!(missing.to_string().starts_with("/nonexistent/m.safetensors: cannot be read"));
}
