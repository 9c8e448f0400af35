"""What each sense contributes to a prediction, and where the evidence lies.

python examples/explain.py output/synthav_avslowfast data/synthav/test/000000.mp4 explanation.png
"""

import sys

import avslowfast
from avslowfast.inference.explain import draw_explanation, explain

model, meta = avslowfast.load_model(sys.argv[1])
found = explain(model, model.meta.preprocess(sys.argv[2], views=1, crops=1))
for case, score in found.contributions.items():
    print(f"{case:<18}{100 * score:5.1f} % {meta.class_name(found.index)}")
draw_explanation(found, meta, sys.argv[3])
