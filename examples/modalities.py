"""Which modality decides what on SynthAV, and whether the evidence lies on the moving object, which the renderer knows.

    python examples/modalities.py output/synthav_avslowfast data/synthav 160

Prints how often motion and audio are recognised from both modalities, with the audio masked and with blank frames
(chance is 25 %), and the share of the clips whose strongest evidence lies on the object. A fourth argument is the seed
that the clips were rendered with.
"""

import sys

import numpy as np
import torch

import avslowfast
from avslowfast.inference.explain import explain, without_audio, without_frames
from avslowfast.inference.scoring import network_inputs
from avslowfast.synthav import render

model, meta = avslowfast.load_model(sys.argv[1])
count, seed = int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0
kinds = len(render.AUDIO_KINDS)
right, on_object = {case: np.zeros(2) for case in ("audiovisual", "without audio", "without frames")}, []
for number in range(count):
    clip = meta.preprocess(f"{sys.argv[2]}/test/{number:06d}.mp4", views=1, crops=1)
    rendered = render.render_clip("pairs", seed, "test", number)
    inputs = network_inputs(model, clip)
    for case, x in zip(right, (inputs, without_audio(inputs), without_frames(model, inputs))):
        with torch.no_grad():
            best = int(model(x)["scores"].argmax())
        right[case] += (best // kinds == rendered.label // kinds, best % kinds == rendered.label % kinds)

    # The frame and the place of the strongest evidence, against where the object was at that time.
    explanation = explain(model, clip, rendered.label)
    assert explanation.visual is not None and explanation.frames is not None, "a network without frames"
    frame, row, column = np.unravel_index(explanation.visual.argmax(), explanation.visual.shape)
    seconds = explanation.start + frame * meta.cfg.DATA.SAMPLING_RATE / meta.cfg.DATA.TARGET_FPS
    height, width = rendered.frames.shape[1:3]
    side = explanation.frames.shape[1]
    centre = rendered.centres[min(round(seconds * render.FPS), len(rendered.centres) - 1)] * side / height
    left = (width * side / height - explanation.frames.shape[2]) / 2
    # The largest object has a radius of 0.22 of the height, and half as much again while it pulses; the evidence is
    # blurred by half a cell of its grid.
    on_object.append(np.hypot(column + left - centre[0], row - centre[1]) <= (0.22 + 1 / 24) * side)

for case, (motion, audio) in right.items():
    print(f"{case:<18} motion {100 * motion / count:5.1f} %   audio {100 * audio / count:5.1f} %")
print(f"strongest evidence on the object: {100 * np.mean(on_object):.1f} % of {count} clips")
