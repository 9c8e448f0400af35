"""What happens in a video.

python examples/predict.py output/synthav_avslowfast data/synthav/test/000000.mp4
"""

import sys

import avslowfast

model, meta = avslowfast.load_model(sys.argv[1])
predictions = avslowfast.predict(model, sys.argv[2], topk=3)
# A network with several classifiers gives {classifier: predictions}.
assert isinstance(predictions, list)
for name, class_id, score in predictions:
    print(f"{100 * score:5.1f} %  {name} (class {class_id})")
