"""What each modality contributes to a prediction, and where the evidence lies.

python examples/explain.py output/synthav_avslowfast data/synthav/test/000000.mp4 explanation.png
"""

import sys

import avslowfast
from avslowfast.inference.explain import explain
from avslowfast.visualization.explanation import draw_explanation

model, meta = avslowfast.load_model(sys.argv[1])
explanation = explain(model, meta.preprocess(sys.argv[2], views=1, crops=1))
for case, score in explanation.contributions.items():
    print(f"{case:<18}{100 * score:5.1f} % {meta.class_name(explanation.class_id)}")
draw_explanation(explanation, meta, sys.argv[3])
