"""A run as one HTML page that needs nothing else: no network, no other file."""

import base64
import html
import io
import json
import os
import re
from fractions import Fraction

import av
import numpy as np
import yaml
from PIL import Image

from ..checkpoint import read_checkpoint
from ..evaluation.metrics.classification import confusion_matrix, topk_correct
from ..media import DecodeError, VideoReader
from ..utils.errors import UserError
from .draw import COLOURS, new_figure
from .media import frame_strip

_CLIPS, _SECONDS, _RATE = 4, 4.0, 16000
_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; } .figure { background: #fff; border-radius: 6px; padding: .3rem; width: fit-content; }
.figure svg { max-width: min(100%, 1080px); min-width: 340px; height: auto; display: block; } .figure.row svg { min-width: 700px; }
table { border-collapse: collapse; } td, th { padding: .2rem .7rem; border-bottom: 1px solid var(--soft); text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .8rem; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: .5rem; overflow-wrap: anywhere; font-size: .85rem; }
.card img, .card audio { width: 100%; }
.big { display: flex; flex-wrap: wrap; gap: 1.2rem; } .big div { border-left: 3px solid #0072B2; padding-left: .6rem; } .big b { display: block; font-size: 1.4rem; }
details pre { overflow-x: auto; background: var(--soft); padding: .6rem; border-radius: 6px; }
.bar { --w: min(160px, 28vw); background: #0072B2; height: .6rem; border-radius: 3px; display: inline-block; }
"""


class NoRun(UserError, ValueError):
    """A folder that no run has written to; the message says what is missing."""


def make_report(folder, out=None):
    """Write a page about a run.

    Args:
        folder: its OUTPUT_DIR. out: file to write; None is report.html in it.

    Returns:
        The file's path.

    Raises:
        NoRun: no log, configuration or results in the folder.
    """
    cfg, stats, results, scores = _read(folder)
    title = f"{(results or cfg).get('arch', (cfg.get('MODEL') or {}).get('ARCH', ''))} · {os.path.basename(os.path.abspath(folder))}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _headline(results),
        _section("Training", _curves(stats)),
        _section("Results", _results(results)),
        _section("Synchronisation", _sync(results)),
        _section("Classes", _classes(results)),
        _section("Confusion", _confusion(scores)),
        _section("Clips", _clips(scores)),
        _section("Failed files", _failed(results, stats)),
        _section("Speed", _speed(stats)),
        _section(
            "Configuration",
            f"<details><summary>every key</summary><pre>{html.escape(yaml.safe_dump(cfg))}</pre></details>"
            if cfg
            else "",
        ),
    ]
    page = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<link rel='icon' href='data:,'><title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )
    out = out or os.path.join(folder, "report.html")
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    with open(out, "w", encoding="utf-8") as f:
        f.write(page)
    return out


def _read(folder):
    """(configuration, json_stats lines, results or None, scores or None) of a run."""

    def opened(name):
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()

    cfg = yaml.safe_load(opened("config.yaml") or "{}")
    stats = [json.loads(text) for text in re.findall(r"json_stats: (\{.*\})", opened("stdout.log"))]
    results = json.loads(opened("results.json") or "null")
    if not stats and results is None:
        raise NoRun(f"{folder}: neither stdout.log nor results.json in it; give the OUTPUT_DIR of a run")
    path = os.path.join(folder, "scores.pt")
    return cfg, stats, results, read_checkpoint(path) if os.path.isfile(path) else None


def _section(title, body):
    return f"<h2>{title}</h2>{body}" if body else ""


def _svg(figure, row=False):
    """A figure as inline SVG; a row of panels is not squeezed below what can be read, but scrolls."""
    buffer = io.StringIO()
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "avslowfast"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return f"<div class='wide'><div class='figure{' row' if row else ''}'>{text[text.index('<svg') :]}</div></div>"


def _headline(results):
    if not results:
        return "<p>Not tested yet.</p>"
    words = {
        "top1": "top-1 %",
        "map": "mAP %",
        "action_top1": "action top-1 %",
        "sync": "pairs told apart %",
        "visual_top1": "probe, sight %",
        "both_top1": "probe, both %",
        "top5": "top-5 %",
        "parameters_m": "M parameters",
        "gflops": "GFLOPs a view",
        "videos": "videos",
    }
    cells = [
        f"<div><b>{_number(results[key])}</b>{word}</div>"
        for key, word in words.items()
        if isinstance(results.get(key), (int, float))
    ]
    return f"<div class='big'>{''.join(cells)}</div>"


def _number(value):
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _curves(stats):
    train = [s for s in stats if s["_type"] == "train_iter"]
    val = [s for s in stats if s["_type"] == "val_epoch"]
    if not train:
        return ""
    losses = [
        name
        for name in dict.fromkeys(n for s in train for n in s)
        if name == "loss" or name.startswith(("loss_", "avs_"))
    ]
    metric = (
        next((n for n in val[0] if n in ("top1", "map", "action_top1", "sync", "rotation_top1")), None) if val else None
    )
    figure = new_figure(11, 3)
    panels = figure.subplots(1, 3 if metric else 2)

    def at(s):
        epoch, iteration, per_epoch = int(s["epoch"].split("/")[0]), *map(int, s["iter"].split("/"))
        return epoch - 1 + iteration / per_epoch

    for colour, name in zip(COLOURS, losses):
        points = [(at(s), s[name]) for s in train if name in s]
        panels[0].plot(*zip(*points), color=colour, label=name)
    panels[0].set(xlabel="epoch", ylabel="loss")
    panels[0].legend(frameon=False, fontsize=8)
    panels[1].plot([at(s) for s in train], [s["lr"] for s in train], color=COLOURS[0])
    panels[1].set(xlabel="epoch", ylabel="learning rate")
    if metric:
        panels[2].plot([int(s["epoch"].split("/")[0]) for s in val], [s[metric] for s in val], "o-", color=COLOURS[2])
        panels[2].set(xlabel="epoch", ylabel=f"validation {metric}, %")
    figure.tight_layout()
    return _svg(figure, row=True)


def _results(results):
    if not results:
        return ""
    rows = [(k, v) for k, v in results.items() if isinstance(v, (int, float, str))]
    return (
        "<div class='wide'><table>"
        + "".join(f"<tr><td>{html.escape(k)}</td><td class='n'>{html.escape(_number(v))}</td></tr>" for k, v in rows)
        + "</table></div>"
    )


def _sync(results):
    found = (results or {}).get("synchronisation")
    if not found:
        return ""
    figure = new_figure(11, 3)
    panels = figure.subplots(1, 2)
    for colour, (stage, values) in zip(COLOURS, found.items()):
        panels[0].plot(
            values["shifts"], [np.nan if d is None else d for d in values["distance"]], color=colour, label=stage
        )
    panels[0].set(xlabel="shift of the sound, s", ylabel="mean distance")
    panels[0].legend(frameon=False)
    stage, values = next(iter(found.items()))
    for colour, (kind, counts) in zip(COLOURS, values["histogram"].items()):
        panels[1].stairs(counts, np.linspace(0, 1, len(counts) + 1), color=colour, label=kind)
    panels[1].set(xlabel=f"distance at {stage}", ylabel="clips")
    panels[1].legend(frameon=False)
    figure.tight_layout()
    return _svg(figure, row=True)


def _classes(results):
    values = (results or {}).get("per_class_accuracy") or (results or {}).get("per_class_ap") or {}
    rows = sorted(((name, value) for name, value in values.items() if value is not None), key=lambda row: row[1])
    if not rows:
        return ""
    bars = [
        (html.escape(name), value, f"<span class='bar' style='width:calc(var(--w) * {value / 100:.3f})'></span>")
        for name, value in rows
    ]
    lines = "".join(
        f"<tr><td>{name}</td><td class='n'>{value:.1f}</td><td>{bar}</td></tr>" for name, value, bar in bars
    )
    return f"<div class='wide'><table><tr><th>class</th><th>%</th><th></th></tr>{lines}</table></div>"


def _single(scores):
    """(scores [N, K], labels [N], paths, names) of a single classifier with one label a video; None for anything else."""
    if (
        scores is None
        or isinstance(scores["scores"], dict)
        or scores["labels"].dim() != 1
        or (scores["labels"] < 0).any()
    ):
        return None
    values, labels = scores["scores"].numpy(), scores["labels"].numpy()
    names = scores["class_names"] or [f"class {i}" for i in range(values.shape[1])]
    return values, labels, scores["paths"], names


def _confusion(scores):
    found = _single(scores)
    if found is None:
        return ""
    values, labels, _, names = found
    counts = confusion_matrix(values, labels)
    body = ""
    if len(names) <= 60:
        size = max(3.5, 0.28 * len(names) + 2)
        figure = new_figure(size, size)
        axes = figure.subplots()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(
            xticks=range(len(names)), yticks=range(len(names)), yticklabels=names, xlabel="predicted", ylabel="true"
        )
        axes.set_xticklabels(names, rotation=90)
        body = _svg(figure)
    off = counts - np.diag(np.diag(counts))
    pairs = [
        (off[i, j], names[i], names[j])
        for i, j in zip(*np.unravel_index(np.argsort(-off, axis=None)[:10], off.shape))
        if off[i, j]
    ]
    if pairs:
        lines = "".join(
            f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td><td class='n'>{n}</td></tr>" for n, a, b in pairs
        )
        body += f"<p>Most confused pairs</p><div class='wide'><table><tr><th>is</th><th>was taken for</th><th>videos</th></tr>{lines}</table></div>"
    return body or "<p>Not one mistake.</p>"


def _clips(scores):
    found = _single(scores)
    if found is None:
        return ""
    values, labels, paths, names = found
    good = np.flatnonzero(~np.isnan(values).any(axis=1))
    own = values[good, labels[good]]
    right = topk_correct(values[good], labels[good], 1)
    worst = good[np.argsort(own, kind="stable")][:_CLIPS] if not right.all() else []
    body = ""
    for title, chosen in (("Most wrong", worst), ("Most right", good[np.argsort(-own, kind="stable")][:_CLIPS])):
        cards = "".join(
            _card(paths[i], names[labels[i]], names[values[i].argmax()], values[i, labels[i]]) for i in chosen
        )
        body += f"<p>{title}</p><div class='cards'>{cards}</div>" if cards else ""
    return body


def _card(path, label, best, score):
    words = f"<b>{html.escape(label)}</b> {100 * score:.1f} %" + (
        f"<br>taken for {html.escape(best)}" if best != label else ""
    )
    try:
        image, sound = thumbnail(path), sound_of(path)
    except DecodeError as error:
        return f"<div class='card'>{words}<br>{html.escape(str(error))}</div>"
    player = (
        f"<audio controls preload='none' src='data:audio/mp4;base64,{sound}'></audio>" if sound else "<i>no sound</i>"
    )
    return f"<div class='card'><img alt='' src='data:image/jpeg;base64,{image}'>{player}<br>{words}<br>{html.escape(os.path.basename(path))}</div>"


def thumbnail(path, frames=3, height=90):
    """A strip of a video's pictures as base64 JPEG."""
    with VideoReader(path) as reader:
        strip = frame_strip(reader, frames, height)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def sound_of(path):
    """The first seconds of a file's sound as base64 AAC in mp4; "" without sound."""
    with VideoReader(path) as reader:
        if reader.audio is None:
            return ""
        samples, _ = reader.read_audio(reader.audio.start, min(_SECONDS, reader.audio.end - reader.audio.start), _RATE)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=_RATE, layout="mono")
        stream.bit_rate = 32000
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = _RATE, Fraction(1, _RATE), 0
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=_RATE, frame_size=1024)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            for packet in stream.encode(piece):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return base64.b64encode(buffer.getvalue()).decode()


def _failed(results, stats):
    failed = (results or {}).get("failed") or []
    rows = "".join(
        f"<tr><td>{html.escape(item['path'])}</td><td>{html.escape(item['reason'])}</td></tr>" for item in failed
    )
    return f"<div class='wide'><table>{rows}</table></div>" if rows else ("<p>None in the test.</p>" if results else "")


def _speed(stats):
    train = [s for s in stats if s["_type"] == "train_iter"]
    if not train:
        return ""
    medians = {
        name: float(np.median([s[name] for s in train]))
        for name in ("clips_per_s", "dt", "dt_data", "ram_gb", "gpu_gb")
        if name in train[0]
    }
    words = {
        "clips_per_s": "clips a second",
        "dt": "seconds a step",
        "dt_data": "of them waiting for data",
        "ram_gb": "memory, GB",
        "gpu_gb": "GPU memory, GB",
    }
    return (
        "<table>"
        + "".join(f"<tr><td>{words[name]}</td><td class='n'>{value:.3g}</td></tr>" for name, value in medians.items())
        + "</table>"
    )
