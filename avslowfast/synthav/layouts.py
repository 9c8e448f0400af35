"""SynthAV in the layout of other data sets: long kitchens with verbs and nouns (EPIC-Kitchens), overlapping events (Charades), movies
with boxes of people (AVA).

Each writes the label files that the real data set has, so that the real readers read them, and is built so that sight alone and sound
alone have known ceilings.
"""

import os

import numpy as np
import pandas as pd

from ..media import write_video
from ..utils.seeding import generator
from . import render as base

# (verb, how it moves, how it sounds): the first two look alike, and so do the next two; tone and beeps each serve two verbs.
# Sight alone can tell 4 of 6 halves: 66.7 % at best; so can sound alone.
VERBS = (
    ("wash", "slide", "hiss"),
    ("pour", "slide", "sweep"),
    ("cut", "bob", "beeps"),
    ("chop", "bob", "tone"),
    ("open", "pulse", "tone"),
    ("close", "blink", "beeps"),
)
# (noun, colour of the object): seen, never heard.
NOUNS = (
    ("tomato", (0.95, 0.15, 0.1)),
    ("cucumber", (0.1, 0.85, 0.2)),
    ("plate", (0.2, 0.35, 1.0)),
    ("lemon", (0.95, 0.9, 0.1)),
)
SEGMENTS = 8
_GAP = 0.4

# Charades' classes: four can only be seen, four only be heard.
SEEN = (
    ("sliding something", "slide"),
    ("bobbing something", "bob"),
    ("inflating something", "pulse"),
    ("flashing something", "blink"),
)
HEARD = (
    ("playing a tone", "tone"),
    ("hearing beeps", "beeps"),
    ("hearing a sweep", "sweep"),
    ("hearing a hiss", "hiss"),
)
SCENE_SECONDS = 6.0

# AVA's actions: three are seen in a person's box, three are only heard, and then everyone in the picture does them.
MOVES = (("walk", "slide"), ("jump", "bob"), ("stretch", "pulse"))
VOICES = (("talk", "tone"), ("sing", "sweep"), ("clap", "beeps"))
# People change at these seconds, which keeps every fourth second, where AVA is validated while training, well inside.
CHANGES = (0, 2, 6, 10, 14, 18, 22, 24)
_FIRST_SECOND = 900


def _mixed(rng, pieces, seconds):
    """Sound of pieces (start, stop, waveform), over a little noise: float32 [N]."""
    n = int(base.SAMPLE_RATE * seconds)
    out = 10 ** rng.uniform(-3.2, -2.6) * rng.standard_normal(n)
    for start, stop, wave in pieces:
        first, last = int(start * base.SAMPLE_RATE), min(int(stop * base.SAMPLE_RATE), n)
        piece = wave[: last - first]
        fade = np.clip(np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / 400, 0, 1)
        out[first : first + len(piece)] += 10 ** rng.uniform(-0.9, -0.5) * fade * piece / max(np.abs(piece).max(), 1e-9)
    return np.clip(out, -1, 1).astype(np.float32)


def _scene(rng, objects, seconds):
    """Frames uint8 [T, H, W, 3] with objects (start, stop, x, y, radius, colour), each shown in its span; x, y, radius are [T] shares of the height."""
    h, w = base.SIZE
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    t = np.arange(int(base.FPS * seconds)) / base.FPS
    ground = rng.uniform(0.0, 0.35, (2, 3))
    ramp = np.clip(0.5 + rng.uniform(-1, 1) * (xx / w - 0.5) + rng.uniform(-1, 1) * (yy / h - 0.5), 0, 1)[..., None]
    background = (255 * (ground[0] * ramp + ground[1] * (1 - ramp))).astype(np.float32)
    grain = np.float32(255 * rng.uniform(0.005, 0.02))
    frames = np.empty((len(t), h, w, 3), np.uint8)
    for i, now in enumerate(t):
        picture = background
        for start, stop, x, y, radius, colour in objects:
            if start <= now < stop:
                distance = np.hypot(xx - np.float32(x[i] * h), yy - np.float32(y[i] * h))
                alpha = np.clip(np.float32(radius[i] * h + 0.5) - distance, 0, 1)[..., None]
                picture = picture * (1 - alpha) + (255 * np.asarray(colour, np.float32)) * alpha
        frames[i] = np.clip(picture + grain * rng.standard_normal((h, w, 1), dtype=np.float32), 0, 255)
    return frames


def epic_video(seed, participant, number, segments=SEGMENTS):
    """A kitchen's video: (frames, sound, [(start, stop, verb, noun)])."""
    rng = generator(seed, "epic", participant, number)
    spans, at = [], rng.uniform(0.2, 0.8)
    for _ in range(segments):
        length = rng.uniform(1.8, 2.6)
        spans.append((at, at + length))
        at += length + rng.uniform(0.2, 2 * _GAP)
    seconds = at
    t = np.arange(int(base.FPS * seconds)) / base.FPS
    objects, pieces, labels = [], [], []
    for start, stop in spans:
        verb, noun = int(rng.integers(len(VERBS))), int(rng.integers(len(NOUNS)))
        x, y, radius, _ = base.draw_motion(rng, VERBS[verb][1], t)
        colour = np.clip(np.array(NOUNS[noun][1]) + rng.uniform(-0.1, 0.1, 3), 0, 1)
        objects.append((start, stop, x, y, radius, colour))
        pieces.append((start, stop, base.draw_sound(rng, VERBS[verb][2])))
        labels.append((start, stop, verb, noun))
    return _scene(rng, objects, seconds), _mixed(rng, pieces, seconds), labels


def charades_video(seed, split, number):
    """A scene with two things to see and two to hear, at times of their own: (frames, sound, [(class, start, stop)])."""
    rng = generator(seed, "charades", split, number)
    t = np.arange(int(base.FPS * SCENE_SECONDS)) / base.FPS
    objects, pieces, labels = [], [], []
    for i, kind in enumerate(rng.choice(len(SEEN), 2, replace=False)):
        start, stop = _span(rng)
        x, y, radius, _ = base.draw_motion(rng, SEEN[kind][1], t)
        # One object to the left, one to the right, so that neither hides the other.
        objects.append((start, stop, x * 0.5 + (0.02, 0.66)[i], y, radius * 0.7, rng.uniform(0.55, 1.0, 3)))
        labels.append((int(kind), start, stop))
    for kind in rng.choice(len(HEARD), 2, replace=False):
        start, stop = _span(rng)
        wave = np.tile(base.draw_sound(rng, HEARD[kind][1]), 2)
        pieces.append((start, stop, wave))
        labels.append((len(SEEN) + int(kind), start, stop))
    return _scene(rng, objects, SCENE_SECONDS), _mixed(rng, pieces, SCENE_SECONDS), labels


def ava_movie(seed, split, number):
    """A movie of two people who do other things at each of the seconds CHANGES: (frames, sound, [(second, box, class ids)]).

    Seconds count from the beginning; boxes (x1, y1, x2, y2) are shares of the picture. Key frames lie a second or more from a change.
    """
    rng = generator(seed, "ava", split, number)
    seconds = CHANGES[-1]
    t = np.arange(int(base.FPS * seconds)) / base.FPS
    height_share = np.array([base.SIZE[0] / base.SIZE[1], 1.0])
    objects, pieces, labels = [], [], []
    for start, stop in zip(CHANGES[:-1], CHANGES[1:]):
        voice = int(rng.integers(len(VOICES)))
        pieces.append((start, stop, np.tile(base.draw_sound(rng, VOICES[voice][1]), 2)))
        for side in (0.02, 0.66):
            move = int(rng.integers(len(MOVES)))
            x, y, radius, _ = base.draw_motion(rng, MOVES[move][1], t)
            x, radius = x * 0.5 + side, radius * 0.7
            objects.append((start, stop, x, y, radius, rng.uniform(0.55, 1.0, 3)))
            for second in range(start + 1, stop):
                frame = round(second * base.FPS)
                centre, half = np.array([x[frame], y[frame]]) * height_share, 1.5 * radius[frame] * height_share
                box = np.clip(np.concatenate([centre - half, centre + half]), 0, 1)
                labels.append((second, box, (1 + move, 1 + len(MOVES) + voice)))
    return _scene(rng, objects, seconds), _mixed(rng, pieces, seconds), labels


def _span(rng):
    length = rng.uniform(2.5, 4.5)
    start = rng.uniform(0, SCENE_SECONDS - length)
    return start, start + length


def _clock(second):
    return f"{int(second // 3600):02d}:{int(second // 60 % 60):02d}:{second % 60:05.2f}"


def write_epic_video(job):
    """Render a kitchen's video unless it exists; gives its rows of the label file. job: (folder, seed, participant, number)."""
    folder, seed, participant, number = job
    frames, sound, labels = epic_video(seed, participant, number)
    video = f"{participant}_{number:02d}"
    _write(os.path.join(folder, "videos", participant, f"{video}.MP4"), frames, sound)
    rows = []
    for start, stop, verb, noun in labels:
        names = VERBS[verb][0], NOUNS[noun][0]
        rows.append(
            [
                participant,
                video,
                " ".join(names),
                _clock(start),
                _clock(stop),
                0,
                0,
                names[0],
                verb,
                names[1],
                noun,
                f"['{names[1]}']",
                f"[{noun}]",
            ]
        )
    return rows


def write_charades_video(job):
    """Render a scene unless it exists; gives its row of the label file. job: (folder, seed, split, number)."""
    folder, seed, split, number = job
    frames, sound, labels = charades_video(seed, split, number)
    name = f"{split[:2].upper()}{number:03d}"
    _write(os.path.join(folder, "videos", f"{name}.mp4"), frames, sound)
    actions = ";".join(f"c{class_id:03d} {start:.2f} {stop:.2f}" for class_id, start, stop in labels)
    return {"id": name, "actions": actions, "length": f"{SCENE_SECONDS:.2f}"}


def write_ava_movie(job):
    """Render a movie unless it exists; gives its rows of the label file. job: (folder, seed, split, number)."""
    folder, seed, split, number = job
    frames, sound, labels = ava_movie(seed, split, number)
    name = f"{split}{number:03d}"
    _write(os.path.join(folder, "videos", f"{name}.mp4"), frames, sound)
    return [(name, _FIRST_SECOND + second, *box, ids) for second, box, ids in labels if second >= 2]


def _write(path, frames, sound):
    if os.path.exists(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = f"{path}.{os.getpid()}.mp4"
    # A key frame a second, as prepared videos have: segments in the middle are found at once.
    write_video(part, frames, base.FPS, sound, base.SAMPLE_RATE, gop=base.FPS)
    os.replace(part, path)


_EPIC_COLUMNS = (
    "uid",
    "participant_id",
    "video_id",
    "narration",
    "start_timestamp",
    "stop_timestamp",
    "start_frame",
    "stop_frame",
    "verb",
    "verb_class",
    "noun",
    "noun_class",
    "all_nouns",
    "all_noun_classes",
)


def plan_epic(folder, seed, num_train, num_val):
    """Jobs for `write_epic_video`: kitchens P01 to P25 for training, P26 to P31 for validation."""
    groups = ((num_train, 1, 25), (num_val, 26, 6))
    return [
        (folder, seed, f"P{first + i % count:02d}", 1 + i // count)
        for number, first, count in groups
        for i in range(number)
    ]


def write_epic_labels(folder, rows):
    """The official label files of EPIC-Kitchens-55, from the rows of all videos in order."""
    rows = [row for video in rows for row in video]
    pd.DataFrame([[uid, *row] for uid, row in enumerate(rows)], columns=_EPIC_COLUMNS).to_csv(
        f"{folder}/EPIC_train_action_labels.csv", index=False
    )
    for head, kinds in (("verb", VERBS), ("noun", NOUNS)):
        table = [[i, kind[0], f"['{kind[0]}']"] for i, kind in enumerate(kinds)]
        pd.DataFrame(table, columns=[f"{head}_id", "class_key", f"{head}s"]).to_csv(
            f"{folder}/EPIC_{head}_classes.csv", index=False
        )
    return len(rows)


def plan_charades(folder, seed, num_train, num_test):
    """Jobs for `write_charades_video`."""
    return [
        (folder, seed, split, number)
        for split, count in (("train", num_train), ("test", num_test))
        for number in range(count)
    ]


def write_charades_labels(folder, rows, num_train):
    """The official label files of Charades, from the rows of all videos in order."""
    for split, part in (("train", rows[:num_train]), ("test", rows[num_train:])):
        pd.DataFrame(part).to_csv(f"{folder}/Charades_v1_{split}.csv", index=False)
    with open(f"{folder}/Charades_v1_classes.txt", "w", encoding="utf-8") as f:
        f.writelines(f"c{i:03d} {name}\n" for i, (name, _) in enumerate((*SEEN, *HEARD)))
    return len(rows)


def plan_ava(folder, seed, num_train, num_val):
    """Jobs for `write_ava_movie`."""
    return [
        (folder, seed, split, number)
        for split, count in (("train", num_train), ("val", num_val))
        for number in range(count)
    ]


def write_ava_labels(folder, rows, num_train, seed=0):
    """The official label files of AVA v2.2, from the rows of all movies in order, and predicted boxes for validation.

    A predicted box is a true one, moved a little, with a high score; beside it stand boxes of nobody with a low score.
    """
    rng = generator(seed, "ava boxes")
    movies = {"train": rows[:num_train], "val": rows[num_train:]}
    for split, parts in movies.items():
        with open(f"{folder}/ava_{split}_v2.2.csv", "w", encoding="utf-8") as f:
            for person, (name, second, *box, ids) in enumerate(row for movie in parts for row in movie):
                f.writelines(
                    f"{name},{second:04d},{','.join(f'{v:.3f}' for v in box)},{class_id},{person}\n" for class_id in ids
                )
    with open(f"{folder}/ava_val_predicted_boxes.csv", "w", encoding="utf-8") as f:
        for name, second, *box, _ in (row for movie in movies["val"] for row in movie):
            moved = np.clip(np.array(box) + rng.uniform(-0.01, 0.01, 4), 0, 1)
            f.write(f"{name},{second:04d},{','.join(f'{v:.3f}' for v in moved)},,{rng.uniform(0.91, 0.99):.4f}\n")
            f.write(
                f"{name},{second:04d},{','.join(f'{v:.3f}' for v in (0.4, 0.7, 0.6, 0.9))},,{rng.uniform(0.1, 0.5):.4f}\n"
            )
    with open(f"{folder}/ava_action_list_v2.2_for_activitynet_2019.pbtxt", "w", encoding="utf-8") as f:
        f.writelines(f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, (name, _) in enumerate((*MOVES, *VOICES), 1))
    open(f"{folder}/ava_val_excluded_timestamps_v2.2.csv", "w").close()
    return sum(len(movie) for movie in rows)
