//! A perceptron of the full size whose prediction is the imbalance at the touch: it costs what any other costs, and what comes of
//! it does not depend on a training.

use wirebook::strategy::features::NAMES;

/// The bytes of the safetensors file: 26 → 32 → 16 → 1. Two neurons of each layer carry the feature and its negative, which the
/// rectifier lets through one at a time; all other weights are zero.
pub(crate) fn perceptron() -> Vec<u8> {
    let inputs = NAMES.len();
    let feature = NAMES.iter().position(|name| *name == "imbalance_1").unwrap_or(0);
    let mut first = vec![0.0; 32 * inputs];
    first[feature] = 1.0;
    first[inputs + feature] = -1.0;
    let mut second = vec![0.0; 16 * 32];
    second[0] = 1.0;
    second[32 + 1] = 1.0;
    let mut third = vec![0.0; 16];
    third[0] = 1.0;
    third[1] = -1.0;
    let tensors: [(&str, String, Vec<f32>); 8] = [
        ("mean", format!("[{inputs}]"), vec![0.0; inputs]),
        ("inv_std", format!("[{inputs}]"), vec![1.0; inputs]),
        ("layer1.weight", format!("[32,{inputs}]"), first),
        ("layer1.bias", "[32]".to_owned(), vec![0.0; 32]),
        ("layer2.weight", "[16,32]".to_owned(), second),
        ("layer2.bias", "[16]".to_owned(), vec![0.0; 16]),
        ("layer3.weight", "[1,16]".to_owned(), third),
        ("layer3.bias", "[1]".to_owned(), vec![0.0; 1]),
    ];
    let mut header = format!(r#"{{"__metadata__":{{"model":"mlp","features":"{}"}}"#, NAMES.join(","));
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        let from = data.len();
        data.extend(values.into_iter().flat_map(f32::to_le_bytes));
        header +=
            &format!(r#","{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{}]}}"#, data.len());
    }
    header.push('}');
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &data].concat()
}
