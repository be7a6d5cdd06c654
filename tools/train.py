#!/usr/bin/env python3
"""Trains a model on what `wirebook features` wrote, and writes the file that wirebook loads.

    wirebook features day.itch --out day.parquet
    tools/train.py day.parquet --out model.safetensors --kind mlp --label move_ms

Needs numpy and pyarrow, and nothing else. The rows are split by time: the model learns from the first part and is judged on
the last, and what lies in between, as long as a label reaches, is left out. Of the first part the last fifth decides how much the
linear model's weights are held down, and when the perceptron has learnt enough. Judged beside it are two simple predictions:
that the mid stays where it is, and a straight line through the imbalance at the touch alone. What comes out of it is printed,
also where the model is not the better one.

What the model computes stands in src/strategy/model.rs, what is in the file in src/strategy/model/file.rs.
"""

import argparse
import json
import struct
import sys

import numpy as np
import pyarrow.parquet as parquet

CLIP = 8.0  # as in src/strategy/model.rs
PENALTIES = [10.0**power for power in range(-4, 5)]
OTHERS = ("timestamp", "locate", "symbol", "twice_mid", "move_changes", "move_ms")


def ridge(inputs, label, penalty):
    """Weights and bias of the least squares, with a penalty on the weights."""
    mean = label.mean()
    square = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1])
    shift = inputs.mean(axis=0)
    square -= len(inputs) * np.outer(shift, shift)
    weights = np.linalg.solve(square, (inputs - shift).T @ (label - mean))
    return weights, mean - shift @ weights


def linear(inputs, label, past, recent):
    """The penalty that does best on the recent rows, then everything with it."""

    def error(penalty):
        weights, bias = ridge(inputs[past], label[past], penalty)
        return np.mean((inputs[recent] @ weights + bias - label[recent]) ** 2)

    penalty = min(PENALTIES, key=error)
    every = np.concatenate([past, recent])
    weights, bias = ridge(inputs[every], label[every], penalty)
    return [[weights[None, :], np.array([bias])]]


def perceptron(inputs, label, past, recent, random, epochs, rate=1e-3, batch=256):
    """Three layers by stochastic gradient descent (Adam), as they were when they did best on the recent rows. The label is scaled
    for it, and the last layer scaled back; it begins with a prediction of 0."""
    scale = label[past].std() or 1.0
    target = label / scale
    sizes = [inputs.shape[1], 32, 16, 1]
    layers = [
        [random.normal(0, np.sqrt(2 / before), (after, before)), np.zeros(after)]
        for before, after in zip(sizes, sizes[1:])
    ]
    layers[2][0][:] = 0
    moments = [[[np.zeros_like(part) for part in layer] for layer in layers] for _ in range(2)]
    best, least, step = None, np.inf, 0
    for epoch in range(epochs + 1):
        error = np.mean((predict(layers, inputs[recent]) - target[recent]) ** 2)
        if error < least:
            best, least = [[part.copy() for part in layer] for layer in layers], error
        order = random.permutation(past) if epoch < epochs else []
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            values = [inputs[rows]]
            for number, (weights, bias) in enumerate(layers):
                sums = values[-1] @ weights.T + bias
                values.append(np.maximum(sums, 0) if number < 2 else sums)
            error = (values[3][:, 0] - target[rows])[:, None] / len(rows)
            step += 1
            for number in (2, 1, 0):
                weights = layers[number][0]
                slopes = [error.T @ values[number], error.sum(axis=0)]
                if number > 0:
                    error = (error @ weights) * (values[number] > 0)
                for part, slope in enumerate(slopes):
                    first, second = moments[0][number], moments[1][number]
                    first[part] = 0.9 * first[part] + 0.1 * slope
                    second[part] = 0.999 * second[part] + 0.001 * slope**2
                    mean, square = first[part] / (1 - 0.9**step), second[part] / (1 - 0.999**step)
                    layers[number][part] = layers[number][part] - rate * mean / (np.sqrt(square) + 1e-8)
    best[2] = [part * scale for part in best[2]]
    return best


def predict(layers, inputs):
    """What wirebook computes, but for the rounding."""
    values = inputs
    for number, (weights, bias) in enumerate(layers):
        values = values @ weights.T + bias
        if number + 1 < len(layers):
            values = np.maximum(values, 0)
    return values[:, 0]


def write(path, metadata, tensors):
    """A safetensors file: the length of a JSON header, the header, the data."""
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        raw = np.ascontiguousarray(tensor, "<f4").tobytes()
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def judge(name, guess, label):
    """One line of the table; the mean squared error."""
    error = np.mean((guess - label) ** 2)
    share = 1 - error / np.mean(label**2)
    told = (label != 0) & (guess != 0)
    right = f"{np.mean(np.sign(guess[told]) == np.sign(label[told])):8.2%}" if told.any() else "       -"
    print(f"  {name:<16}{np.sqrt(error):>12.5f}{share:>12.4%}{right:>12}")
    return error


def main():
    """See the module."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", help="what `wirebook features` wrote")
    arguments.add_argument("--out", required=True, help="the model to write")
    arguments.add_argument("--kind", choices=("linear", "mlp"), default="linear")
    arguments.add_argument("--label", choices=("move_changes", "move_ms"), default="move_ms")
    arguments.add_argument("--held-out", type=float, default=0.3, help="share of the rows to judge on, the latest (0.3)")
    arguments.add_argument("--epochs", type=int, default=10, help="of the perceptron (10)")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--predictions", help="write the model's prediction of every row, as raw 32-bit floats")
    options = arguments.parse_args()

    table = parquet.read_table(options.file)
    names = [name for name in table.column_names if name not in OTHERS]
    columns = [table[name].to_numpy() for name in names]
    features = np.stack(columns, axis=1).astype(np.float64)
    label = table[options.label].to_numpy(zero_copy_only=False).astype(np.float64)
    time = table["timestamp"].to_numpy()

    known = np.flatnonzero(~np.isnan(label))
    known = known[np.argsort(time[known], kind="stable")]
    if len(known) < 1000:
        sys.exit(f"{options.file}: only {len(known)} rows have the label {options.label}: too few to learn from")
    cut = int(len(known) * (1 - options.held_out))
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    reach = int(metadata.get("horizon_ms", 0)) * 1_000_000 if options.label == "move_ms" else 0
    apart = int(metadata.get("horizon_changes", 0)) if options.label == "move_changes" else 0
    early = known[:cut]
    late = known[cut + apart :]
    late = late[time[late] > time[early[-1]] + reach]
    if len(late) < 100:
        sys.exit(f"{options.file}: only {len(late)} rows are left to judge on")

    mean, spread = features[early].mean(axis=0), features[early].std(axis=0)
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12 * (1 + np.abs(mean)))
    inputs = np.clip((features - mean) * inverse, -CLIP, CLIP)
    random = np.random.default_rng(options.seed)
    past, recent = early[: len(early) * 4 // 5], early[len(early) * 4 // 5 :]
    if options.kind == "linear":
        layers = linear(inputs, label, past, recent)
    else:
        layers = perceptron(inputs, label, past, recent, random, options.epochs)
    one = [names.index("imbalance_1")]
    line, offset = ridge(inputs[early][:, one], label[early], 1e-9)

    print(f"{options.kind}, {options.label}: {len(early)} rows to learn from, {len(late)} later ones to judge on")
    print(f"  {'held out':<16}{'rmse, bps':>12}{'explained':>12}{'direction':>12}")
    same = judge("always same", np.zeros(len(late)), label[late])
    imbalance = judge("imbalance only", inputs[late][:, one] @ line + offset, label[late])
    model = judge("model", predict(layers, inputs[late]), label[late])
    up, down = np.mean(label[late] > 0), np.mean(label[late] < 0)
    print(f"  of these rows {up:.1%} went up, {down:.1%} down, the others nowhere", end="")
    if up + down > 0:
        print(f"; always saying the more frequent direction is right in {max(up, down) / (up + down):.2%}", end="")
    print()
    beaten = [name for name, error in (("always same", same), ("imbalance only", imbalance)) if model < error]
    print(f"the model beats {' and '.join(beaten)}" if beaten else "the model beats neither")

    tensors = {"mean": mean, "inv_std": inverse}
    for number, (weights, bias) in enumerate(layers, 1):
        tensors[f"layer{number}.weight"], tensors[f"layer{number}.bias"] = weights, bias
    write(options.out, {"model": options.kind, "features": ",".join(names), "label": options.label}, tensors)
    if options.predictions:
        predict(layers, inputs).astype("<f4").tofile(options.predictions)


if __name__ == "__main__":
    main()
