"""On SynthAV, whose renderer knows what moves where: which sense decides what, and does the evidence lie on the moving object?

    python examples/senses.py output/synthav_avslowfast data/synthav 160

Prints how often motion and sound are told right with both senses, with the sound masked and with blank pictures (chance is 25 %), and the share of
the clips whose strongest evidence lies on the object.
"""

import sys

import numpy as np
import torch

import avslowfast
from avslowfast.inference.explain import blanked, explain
from avslowfast.synthav import render as synthetic

model, meta = avslowfast.load_model(sys.argv[1])
count = int(sys.argv[3])
sounds = len(synthetic.SOUNDS)
right, on_object = {case: np.zeros(2) for case in ("both", "without sound", "without pictures")}, []
for number in range(count):
    inputs = model.meta.preprocess(f"{sys.argv[2]}/test/{number:06d}.mp4", views=1, crops=1)
    clip = synthetic.render_clip("pairs", int(sys.argv[4]) if len(sys.argv) > 4 else 0, "test", number)
    tensors = {name: value for name, value in inputs.items() if name != "start"}
    silent = {**tensors, "audio_mask": torch.zeros(1, dtype=torch.bool)}
    blank = {**tensors, **{name: blanked(model, tensors[name]) for name in ("slow", "fast")}}
    for case, x in (("both", tensors), ("without sound", silent), ("without pictures", blank)):
        with torch.no_grad():
            best = int(model(x)["scores"].argmax())
        right[case] += (best // sounds == clip.label // sounds, best % sounds == clip.label % sounds)

    # The frame and the place of the strongest evidence, against where the object was just then.
    found = explain(model, inputs, clip.label)
    frame, y, x = np.unravel_index(found.visual.argmax(), found.visual.shape)
    seconds = found.start + frame * meta.cfg.DATA.SAMPLING_RATE / meta.cfg.DATA.TARGET_FPS
    height, width = clip.frames.shape[1:3]
    scale = found.frames.shape[1] / height
    centre = clip.centres[min(round(seconds * synthetic.FPS), len(clip.centres) - 1)] * scale
    left = (width * scale - found.frames.shape[2]) / 2
    # The largest object's radius is 0.22 of the height and more than half again while it pulses; half a cell of the evidence's grid is its blur.
    on_object.append(np.hypot(x + left - centre[0], y - centre[1]) <= (0.22 + 1 / 24) * found.frames.shape[1])

for case, (motion, sound) in right.items():
    print(f"{case:<18} motion {100 * motion / count:5.1f} %   sound {100 * sound / count:5.1f} %")
print(f"strongest evidence on the object: {100 * np.mean(on_object):.1f} % of {count} clips")
