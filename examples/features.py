"""Features of a folder of videos, and the videos that are most similar to the first one.

python examples/features.py output/synthav_avslowfast data/synthav/test features.pt
"""

import sys

import torch

import avslowfast

model, meta = avslowfast.load_model(sys.argv[1])
count, failed = avslowfast.extract_features(model, sys.argv[2], stage="res5", out=sys.argv[3])
features = torch.load(sys.argv[3], weights_only=True)["features"]

# One row per video: the means over its views of all pathways, joined.
paths = list(features)
rows = torch.stack([torch.cat([features[path][name].mean(0) for name in model.pathways]) for path in paths])
rows = torch.nn.functional.normalize(rows - rows.mean(0), dim=1)
print(f"{count} videos, {rows.shape[1]} features each, {len(failed)} failed; most similar to {paths[0]}:")
for i in (rows @ rows[0]).argsort(descending=True)[1:4].tolist():
    print(f"  {rows[i] @ rows[0]:.3f}  {paths[i]}")
