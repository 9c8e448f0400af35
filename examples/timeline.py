"""What happens at which time in a long video.

python examples/timeline.py output/synthav_avslowfast data/synthav/test/000000.mp4
"""

import sys

import avslowfast
from avslowfast.inference.sliding_window import segments, slide

model, meta = avslowfast.load_model(sys.argv[1])
for start, stop, name, score in segments(slide(model, sys.argv[2]), meta):
    print(f"{start:6.1f} - {stop:6.1f} s  {100 * score:3.0f} %  {name}")
