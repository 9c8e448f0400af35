"""How each data set is scored: what its literature measures, from the scores that testing has joined, and what it asks to be handed in."""

import os
import zipfile

import numpy as np
import pandas as pd
import simplejson

from ..clips import spans as clips
from ..datasets import ava, epic
from ..utils.logging import get_logger
from .evaluator import save_scores
from .metrics import ava as ava_metrics
from .metrics import classification, sync
from .metrics import epic as epic_metrics

logger = get_logger(__name__)


class Protocol:
    """Top-k and mean class accuracy, or mean average precision with several labels a video; for several classifiers each of them.

    Args:
        cfg: the configuration. dataset: the data set that is scored.
    """

    def __init__(self, cfg, dataset):
        self.cfg, self.dataset = cfg, dataset
        self.multi_label = cfg.DATA.MULTI_LABEL

    def measure(self, scores, labels):
        """Metrics in percent, the one that chooses the best checkpoint first; {} for a list without labels.

        Args:
            scores: [N, K], or {classifier: [N, K]}; rows of NaN are videos that failed. labels: [N], [N, K] or [N, classifiers].
        """
        if isinstance(scores, dict):
            parts = {name: self._one(values, labels[:, i]) for i, (name, values) in enumerate(scores.items())}
            return {f"{name}_{key}": value for name, part in parts.items() for key, value in part.items()}
        return self._one(scores, labels)

    def _one(self, scores, labels):
        if not self.multi_label and (labels < 0).any():
            return {}
        return classification.summarize(scores, labels, self.multi_label)

    def results(self, result, names):
        """More entries for results.json. result: an `Evaluation`; names: of the classes, or None."""
        if result.labels.ndim != 1 or (result.labels < 0).any():
            return {}
        values = classification.per_class_accuracy(result.scores, result.labels)
        keys = names or [str(k) for k in range(len(values))]
        return {"per_class_accuracy": {key: None if np.isnan(v) else float(v) for key, v in zip(keys, values)}}

    def write(self, result, folder, names):
        """Write scores and what the data set's evaluation asks for into a folder; arguments as for `results`."""
        save_scores(result, self.cfg.TEST.SAVE_RESULTS_PATH or os.path.join(folder, "scores"), names)


class CharadesProtocol(Protocol):
    """Mean average precision by the rule of the official scorer."""

    def _one(self, scores, labels):
        return {"map": classification.mean_average_precision(scores, labels, unlabelled_last=True)}


class EpicProtocol(Protocol):
    """Verb, noun and action; with the official lists beside the labels also many-shot (55), or unseen and tail (100). Writes the submission."""

    version = "0.1"

    def measure(self, scores, labels):
        """See `Protocol.measure`."""
        if not isinstance(scores, dict) or set(scores) != {"verb", "noun"} or (labels < 0).any():
            return super().measure(scores, labels)
        columns = dict(zip(scores, labels.T))
        args = scores["verb"], scores["noun"], columns["verb"], columns["noun"]
        metrics = epic_metrics.accuracy(*args)
        metrics = {"action_top1": metrics.pop("action_top1"), **metrics}
        return {**metrics, **self._groups(args)}

    def _groups(self, args):
        folder = self.cfg.DATA.PATH_TO_DATA_DIR
        if not epic.has_many_shot(folder):
            return {}
        found = epic_metrics.many_shot(*args, *epic.read_many_shot(folder))
        return {f"many_shot_{name}": value for name, value in found.items()}

    def write(self, result, folder, names):
        """Scores, and submission.json (55) or submission.zip with test.json (100), where verb and noun are both there."""
        super().write(result, folder, names)
        if not isinstance(result.scores, dict) or set(result.scores) != {"verb", "noun"}:
            return
        segments = [record.name for record in self.dataset.records]
        content = epic_metrics.submission(segments, result.scores["verb"], result.scores["noun"], self.version)
        text = simplejson.dumps(content)
        if self.version == "0.1":
            path = os.path.join(folder, "submission.json")
            with open(path, "w") as f:
                f.write(text)
        else:
            path = os.path.join(folder, "submission.zip")
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as f:
                f.writestr("test.json", text)
        logger.info("wrote %s", path)


class Epic100Protocol(EpicProtocol):
    """See `EpicProtocol`."""

    version = "0.2"

    def _groups(self, args):
        folder = self.cfg.DATA.PATH_TO_DATA_DIR
        if not epic.has_groups_100(folder):
            return {}
        unseen, tail_verbs, tail_nouns = epic.read_groups_100(folder)
        found = epic_metrics.challenge_100(*args, np.isin(self.dataset.participants, unseen), tail_verbs, tail_nouns)
        return {name: value for name, value in found.items() if not name.startswith("all_")}


class AvaProtocol(Protocol):
    """Frame mean average precision at IoU 0.5, in percent. Writes detections.csv."""

    def measure(self, scores, labels):
        """See `Protocol.measure`; `scores` is a list of [boxes, classes]."""
        values = self._per_class(scores)
        mean = ava_metrics.mean_ap(values)
        return {"map": 100.0 * mean}

    def _files(self):
        node, folder = self.cfg.AVA, self.dataset.folder
        return (
            os.path.join(folder, name) for name in (node.LABEL_MAP_FILE, node.GROUNDTRUTH_FILE, node.EXCLUSION_FILE)
        )

    def _per_class(self, scores):
        label_map, truth_file, exclusion = self._files()
        names, truth, found = ava.read_label_map(label_map), ava.read_boxes(truth_file), self._detections(scores)
        excluded = ava.read_excluded(exclusion) if os.path.isfile(exclusion) else set()
        # While training, a part of the key frames is looked at; what the list leaves out is no miss.
        seen = {record.name for record in self.dataset.records} if self.dataset.split == "val" else set(truth.frame)
        truth = truth[truth.frame.isin(seen - excluded)]
        return ava_metrics.frame_ap(
            truth, found[~found.frame.isin(excluded)], list(names), max_boxes=self.cfg.AVA.MAX_BOXES
        )

    def _detections(self, scores):
        """A row a (box, class)."""
        parts = []
        for record, values in zip(self.dataset.records, scores):
            if values is None:
                continue
            boxes, classes = (
                record.label[0].repeat(values.shape[1], axis=0),
                np.tile(np.arange(1, values.shape[1] + 1), len(values)),
            )
            table = pd.DataFrame(boxes, columns=["x1", "y1", "x2", "y2"]).assign(
                class_id=classes, score=values.ravel(), frame=record.name
            )
            parts.append(table)
        return pd.concat(parts, ignore_index=True)

    def results(self, result, names):
        """Average precision of each class, by name."""
        names = ava.read_label_map(next(iter(self._files())))
        return {
            "per_class_ap": {
                names[i]: None if v is None else 100.0 * v for i, v in self._per_class(result.scores).items()
            }
        }

    def write(self, result, folder, names):
        """detections.csv, which tools/evaluate.py ava reads."""
        table = self._detections(result.scores)
        table[["video", "second"]] = table.frame.str.rsplit(",", n=1, expand=True)
        path = os.path.join(folder, "detections.csv")
        table[["video", "second", "x1", "y1", "x2", "y2", "class_id", "score"]].to_csv(
            path, header=False, index=False, float_format="%.5f"
        )
        logger.info("wrote %s", path)


class SyncProtocol(Protocol):
    """How well sound in sync is told from sound out of sync, at every stage; and rotations, where these are learnt.

    For each stage STAGE: STAGE_hard and STAGE_easy, the share of clips whose own sound is nearer than the same video's from elsewhere, or
    another video's (chance 50); STAGE_hard_told, STAGE_easy_told, the same by the fixed distance 0.5; STAGE_offset_ms, the shift of the sound
    at which the mean distance is lowest. "sync" is the mean of hard and easy at the deepest stage.
    """

    def measure(self, scores, labels):
        """See `Protocol.measure`; `scores` as in `PretrainTask.scores`, a row a video, then a row a clip. Labels are not looked at."""
        metrics, parts = {}, self._parts(scores)
        for stage, (own, hard, easy, curve) in parts.items():
            for name, other in (("hard", hard), ("easy", easy)):
                metrics[f"{stage}_{name}"] = sync.pair_accuracy(own, other)
                metrics[f"{stage}_{name}_told"] = sync.threshold_accuracy(own, other)
            metrics[f"{stage}_offset_ms"] = 1000.0 * sync.offset_estimate(self._shifts(), curve)
        if parts:
            stage = next(iter(parts))
            known = [v for v in (metrics[f"{stage}_hard"], metrics[f"{stage}_easy"]) if not np.isnan(v)]
            metrics = {"sync": float(np.mean(known)) if known else float("nan"), **metrics}
        if "rotation" in scores:
            metrics["rotation_top1"] = 100.0 * float(np.nanmean(scores["rotation"]))
        return metrics

    def _shifts(self):
        return np.array(clips.shift_grid(self.cfg.SYNC.MAX_SHIFT, self.cfg.SYNC.SHIFT_STEP))

    def _parts(self, scores):
        """{stage: (distances from own, hard and easy sound [clips], mean distance at each shift)}, the deepest stage first."""
        parts = {}
        for stage in reversed([name for name in scores if f"{name}_visual" in scores]):
            videos, views = scores[stage].shape[:2]
            distances, visual, audio = (
                scores[stage + part].reshape(videos * views, *scores[stage + part].shape[2:])
                for part in ("", "_visual", "_audio")
            )
            easy = sync.easy_distances(visual, audio, np.repeat(np.arange(videos), views))
            parts[stage] = distances[:, 0], distances[:, 1], easy, sync.offset_curve(distances[:, 2:])
        return parts

    def results(self, result, names):
        """Histograms of the distances and the curve over shifts, by stage."""
        found = {}
        for stage, (own, hard, easy, curve) in self._parts(result.scores).items():
            counts = {
                name: sync.histogram(values) for name, values in (("in_sync", own), ("hard", hard), ("easy", easy))
            }
            known = [None if np.isnan(value) else float(value) for value in curve]
            found[stage] = {
                "histogram": counts,
                "shifts": [round(s, 6) for s in self._shifts().tolist()],
                "distance": known,
            }
        return {"synchronisation": found} if found else {}

    def write(self, result, folder, names):
        """Nothing: distances are not scores of classes."""
