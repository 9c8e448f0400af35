"""What loggers have written, read back: {name: [(step, value)]} in the order of writing."""

import csv
import json
import math
import struct
import time
from collections import defaultdict
from pathlib import Path


def of_json(folder):
    found = defaultdict(list)
    for line in (Path(folder) / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        for name, value in entry.items():
            if "/" in name:
                found[name].append((entry["step"], math.nan if value is None else value))
    return dict(found)


def of_csv(folder):
    found = defaultdict(list)
    with open(Path(folder) / "epochs.csv", newline="") as f:
        for row in csv.DictReader(f):
            for name, value in row.items():
                if "/" in name and value:
                    found[name].append((int(row["step"]), float(value)))
    return dict(found)


def of_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(Path(folder) / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def of_mlflow(folder):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=str(Path(folder) / "mlruns"))
    experiment = client.get_experiment_by_name("avslowfast")
    (run,) = client.search_runs([experiment.experiment_id])
    return {
        name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics
    }


def of_wandb(folder):
    from wandb.proto.wandb_internal_pb2 import Record

    found = defaultdict(list)
    for file in sorted(Path(folder).glob("wandb/offline-run-*/*.wandb")):
        deadline, records = time.monotonic() + 20, []
        # W&B's own process writes the end a moment after the run is closed.
        while not any(record.WhichOneof("record_type") == "exit" for record in records):
            assert time.monotonic() < deadline, f"{file} has no end"
            time.sleep(0.02)
            records = [Record.FromString(data) for data in _records(file.read_bytes())]
        for record in records:
            if record.WhichOneof("record_type") != "history":
                continue
            entry = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            for name, value in entry.items():
                if "/" in name:
                    found[name].append((entry["step"], float(value)))
    return dict(found)


def _records(data):
    """Records of LevelDB's log format, which W&B's files have: blocks of 32 KB, records in one or several chunks."""
    position, parts = 7, []
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        parts.append(data[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


READERS = {"json": of_json, "csv": of_csv, "tensorboard": of_tensorboard, "wandb": of_wandb, "mlflow": of_mlflow}
