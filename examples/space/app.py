"""A public demo space: the page of `avslowfast app`, for networks that lie beside this file or at a URL.

A space needs this file and requirements.txt. WEIGHTS (names of files or addresses, with spaces between) says which
networks it shows.
"""

import os

import avslowfast
from avslowfast.visualization.app import build_app

app = build_app([avslowfast.load_model(path)[0] for path in os.environ["WEIGHTS"].split()], max_seconds=60)

if __name__ == "__main__":
    app.launch(max_file_size="50mb")
