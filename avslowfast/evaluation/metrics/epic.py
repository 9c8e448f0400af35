"""EPIC-Kitchens action recognition: verb, noun and action accuracy, and the challenges' submission files.

An action is a (verb, noun) pair; its score is the product of the two softmax scores. A submission to EPIC-Kitchens-55
has these scores; one to EPIC-Kitchens-100 has logits, and its official evaluation makes actions of them. Legend: N
segments, V verbs, M nouns.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .classification import topk_correct

_CHUNK = 512
TOP_ACTIONS = 100
# How many things that are wrong with a submission are listed.
_LISTED = 20
# Scores beyond this are no scores; their products would be infinite.
_LARGEST = 1e100
# The smallest float32 above 0, whose logarithm stands for that of 0.
_SMALLEST = 2.0**-149
# Supervision levels of a submission to EPIC-Kitchens-100: of pre-training, of the labels, of the training data.
LEVELS = ("sls_pt", "sls_tl", "sls_td")
_LEVEL_RANGE = range(6)

Array = NDArray[Any]


def action_correct(verb_scores: Array, noun_scores: Array, verbs: Array, nouns: Array, k: int) -> NDArray[np.bool_]:
    """Whether the true action is among the k best of all pairs: [N].

    Args:
        verb_scores: [N, V]; rows of NaN are never correct.
        noun_scores: [N, M]; rows of NaN are never correct.
        verbs: [N] true ids.
        nouns: [N] true ids.
        k: Actions that count.
    """
    correct = np.zeros(len(verbs), bool)
    for first in range(0, len(verbs), _CHUNK):
        rows = slice(first, first + _CHUNK)
        pairs = verb_scores[rows, :, None].astype(float) * noun_scores[rows, None, :]
        of_label = pairs[np.arange(len(pairs)), verbs[rows], nouns[rows]]
        # Pairs that tie with the true one count as better, so that constant scores earn nothing.
        better = (pairs >= of_label[:, None, None]).sum(axis=(1, 2)) - 1
        correct[rows] = (better < k) & ~np.isnan(of_label)
    return correct


def accuracy(
    verb_scores: Array,
    noun_scores: Array,
    verbs: Array,
    nouns: Array,
    topk: Sequence[int] = (1, 5),
    factors: tuple[Array, Array] | None = None,
) -> dict[str, float]:
    """{"verb_top1", "noun_top1", "action_top1", "verb_top5", ...} in percent.

    Args:
        verb_scores: See `action_correct`.
        noun_scores: See `action_correct`.
        verbs: See `action_correct`.
        nouns: See `action_correct`.
        topk: The values of k.
        factors: What the scores of actions are products of ([N, V], [N, M]), where it is not the scores themselves.
    """
    factors = factors or (verb_scores, noun_scores)
    result = {}
    for k in topk:
        result[f"verb_top{k}"] = topk_correct(verb_scores, verbs, k)
        result[f"noun_top{k}"] = topk_correct(noun_scores, nouns, k)
        result[f"action_top{k}"] = action_correct(*factors, verbs, nouns, k)
    return {name: 100.0 * float(values.mean()) for name, values in result.items()}


def best_actions(verb_scores: Array, noun_scores: Array) -> NDArray[np.int64]:
    """The best (verb, noun) pair of each segment: [N, 2]. A row of NaN gives (-1, -1)."""
    best = np.full((len(verb_scores), 2), -1)
    valid = ~(np.isnan(verb_scores).any(axis=1) | np.isnan(noun_scores).any(axis=1))
    # The product is largest where both factors are.
    best[valid] = np.stack([verb_scores[valid].argmax(axis=1), noun_scores[valid].argmax(axis=1)], axis=1)
    return best


def many_shot(
    verb_scores: Array,
    noun_scores: Array,
    verbs: Array,
    nouns: Array,
    many_verbs: Sequence[int],
    many_nouns: Sequence[int],
    many_actions: Sequence[tuple[int, int]],
) -> dict[str, float]:
    """Class-averaged precision and recall over the many-shot classes that occur (EPIC-Kitchens-55), in percent.

    Args:
        verb_scores: See `action_correct`.
        noun_scores: See `action_correct`.
        verbs: See `action_correct`.
        nouns: See `action_correct`.
        many_verbs: Class ids.
        many_nouns: Class ids.
        many_actions: (verb, noun) pairs.

    Returns:
        {"verb_precision", "verb_recall", "noun_precision", ...}.
    """
    from sklearn.metrics import precision_recall_fscore_support

    best = best_actions(verb_scores, noun_scores)
    size = noun_scores.shape[1]
    cases = {
        "verb": (verbs, best[:, 0], many_verbs),
        "noun": (nouns, best[:, 1], many_nouns),
        "action": (verbs * size + nouns, best[:, 0] * size + best[:, 1], [v * size + n for v, n in many_actions]),
    }
    result = {}
    for name, (truth, predicted, classes) in cases.items():
        present = np.intersect1d(classes, truth)
        if not len(present):
            continue
        precision, recall, _, _ = precision_recall_fscore_support(
            truth, predicted, labels=present, average=None, zero_division=0
        )
        result[f"{name}_precision"] = 100.0 * float(precision.mean())
        result[f"{name}_recall"] = 100.0 * float(recall.mean())
    return result


def challenge_100(
    verb_scores: Array,
    noun_scores: Array,
    verbs: Array,
    nouns: Array,
    unseen: NDArray[np.bool_],
    tail_verbs: Sequence[int],
    tail_nouns: Sequence[int],
    factors: tuple[Array, Array] | None = None,
) -> dict[str, float]:
    """The figures of EPIC-Kitchens-100 in percent: all (top-1, top-5), unseen participants and tail classes (top-1).

    Args:
        verb_scores: See `action_correct`.
        noun_scores: See `action_correct`.
        verbs: See `action_correct`.
        nouns: See `action_correct`.
        unseen: [N] whether the participant is not in the training list.
        tail_verbs: Class ids.
        tail_nouns: Class ids; an action is in the tail if its verb or its noun is.
        factors: What the scores of actions are products of, as `accuracy` has it.
    """
    factors = factors or (verb_scores, noun_scores)
    overall = accuracy(verb_scores, noun_scores, verbs, nouns, factors=factors)
    result = {f"all_{name}": value for name, value in overall.items()}
    verb_ok, noun_ok = topk_correct(verb_scores, verbs, 1), topk_correct(noun_scores, nouns, 1)
    action_ok = action_correct(*factors, verbs, nouns, 1)
    rare_verb, rare_noun = np.isin(verbs, tail_verbs), np.isin(nouns, tail_nouns)
    parts = {
        "unseen": {"verb": (verb_ok, unseen), "noun": (noun_ok, unseen), "action": (action_ok, unseen)},
        "tail": {
            "verb": (verb_ok, rare_verb),
            "noun": (noun_ok, rare_noun),
            "action": (action_ok, rare_verb | rare_noun),
        },
    }
    for part, cases in parts.items():
        for name, (correct, where) in cases.items():
            if where.any():
                result[f"{part}_{name}_top1"] = 100.0 * float(correct[where].mean())
    return result


def softmax_of_best(scores: Array, count: int = TOP_ACTIONS) -> NDArray[np.float64]:
    """What the official evaluation of EPIC-Kitchens-100 makes actions of: the softmax of a segment's best scores.

    It is taken of whatever a submission holds: of logits and of logarithms of probabilities it gives back the
    probabilities, of probabilities something flatter.

    Args:
        scores: [N, K].
        count: The best ones; the others are 0.
    """
    result = np.zeros(scores.shape)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(scores, best, axis=1)
    values = np.exp(values - values[:, :1])
    np.put_along_axis(result, best, values / values.sum(axis=1, keepdims=True), axis=1)
    return result


def submission_55(names: Iterable[str], verb_scores: Array, noun_scores: Array) -> dict[str, Any]:
    """The content of a submission file of EPIC-Kitchens-55, with the best 100 actions.

    Args:
        names: N segment ids (uid).
        verb_scores: [N, V] softmax scores; NaN counts as 0.
        noun_scores: [N, M] softmax scores; NaN counts as 0.
    """
    results = {}
    for name, verb, noun in zip(names, np.nan_to_num(verb_scores, nan=0.0), np.nan_to_num(noun_scores, nan=0.0)):
        # The best 100 pairs lie among the best 100 verbs and the best 100 nouns.
        v, n = np.argsort(-verb, kind="stable")[:TOP_ACTIONS], np.argsort(-noun, kind="stable")[:TOP_ACTIONS]
        pairs = verb[v][:, None] * noun[n][None, :]
        best = np.argsort(-pairs, axis=None, kind="stable")[:TOP_ACTIONS]
        rows, columns = np.unravel_index(best, pairs.shape)
        results[str(name)] = {
            "verb": _by_id(map(_short, verb)),
            "noun": _by_id(map(_short, noun)),
            "action": {f"{v[r]},{n[c]}": _short(pairs[r, c]) for r, c in zip(rows, columns)},
        }
    return {"version": "0.1", "challenge": "action_recognition", "results": results}


def submission_100(
    names: Iterable[str], verb_scores: Array, noun_scores: Array, levels: Sequence[int]
) -> dict[str, Any]:
    """The content of a submission file of EPIC-Kitchens-100: logarithms, of which the evaluation takes the softmax.

    Actions are left out, as the official tool leaves them out: the evaluation makes them of verbs and nouns.

    Args:
        names: N segment ids (narration_id).
        verb_scores: [N, V] softmax scores; NaN counts as 0.
        noun_scores: [N, M] softmax scores; NaN counts as 0.
        levels: Three supervision levels, see `LEVELS`.
    """
    # Seven decimals of a logarithm are all that float32 tells of the score.
    verb_logs, noun_logs = (
        np.log(np.maximum(np.nan_to_num(scores.astype(float), nan=0.0), _SMALLEST)).round(7)
        for scores in (verb_scores, noun_scores)
    )
    results = {
        str(name): {"verb": _by_id(verb.tolist()), "noun": _by_id(noun.tolist())}
        for name, verb, noun in zip(names, verb_logs, noun_logs)
    }
    return {"version": "0.2", "challenge": "action_recognition", **dict(zip(LEVELS, levels)), "results": results}


def _by_id(scores: Iterable[float]) -> dict[str, float]:
    return {str(i): score for i, score in enumerate(scores)}


def _short(score: float) -> float:
    """A score with the nine digits that tell every float32 from the next."""
    return float(f"{score:.9g}")


def check_submission(content: Any, names: Iterable[str], num_verbs: int, num_nouns: int, version: str) -> list[str]:
    """What is wrong with a submission, as a list of lines; empty for a valid one.

    Args:
        content: Of the JSON file.
        names: Ids of the segments that have to be in it.
        num_verbs: V.
        num_nouns: M.
        version: "0.1" (EPIC-Kitchens-55) | "0.2" (100).
    """
    if not isinstance(content, dict):
        return ["it is not a JSON object"]
    wrong = _check_head(content, version)
    results = content.get("results")
    if not isinstance(results, dict):
        return [*wrong, "results is missing"]
    wanted, given = {str(name) for name in names}, set(results)
    if wanted - given:
        wrong.append(
            f"{len(wanted - given)} of {len(wanted)} segments are missing, the first {min(wanted - given)}; "
            "all have to be in it"
        )
    if given - wanted:
        wrong.append(f"{len(given - wanted)} segments are not in the list, the first {min(given - wanted)}")
    for name, scores in results.items():
        wrong += _check_segment(name, scores, {"verb": num_verbs, "noun": num_nouns}, version)
        if len(wrong) > _LISTED:
            break
    return wrong


def _check_head(content: Mapping[str, Any], version: str) -> list[str]:
    given, challenge = content.get("version"), content.get("challenge")
    wrong = [] if given == version else [f'version is {given!r}, not "{version}", which this edition has']
    if challenge != "action_recognition":
        wrong.append(f'challenge is {challenge!r}, not "action_recognition"')
    for key in LEVELS if version == "0.2" else ():
        level = content.get(key)
        if isinstance(level, bool) or not isinstance(level, int) or level not in _LEVEL_RANGE:
            wrong.append(f"{key} is {str(level)[:40]!r}, not a whole number of 0..{_LEVEL_RANGE[-1]}")
    return wrong


def _check_segment(name: str, scores: Any, sizes: Mapping[str, int], version: str) -> list[str]:
    if not isinstance(scores, dict):
        return [f"{name}: it is not an object with verb and noun"]
    wrong = []
    lowest = 0.0 if version == "0.1" else -_LARGEST
    for part, size in sizes.items():
        values = scores.get(part)
        if not isinstance(values, dict) or set(values) != {str(i) for i in range(size)}:
            given = len(values) if isinstance(values, dict) else "no"
            wrong.append(f"{name}: {part} does not have a score for each of 0..{size - 1}, but {given} scores")
        else:
            wrong += _check_numbers(f"{name}: {part}", values, lowest)
    # Scores of actions are made of those of verbs and nouns, here as by the official evaluation; where they are given
    # they are checked.
    actions = scores.get("action", {})
    pairs = [key.split(",") for key in actions] if isinstance(actions, dict) else [[]]
    if not all(len(p) == 2 and _is_id(p[0], sizes["verb"]) and _is_id(p[1], sizes["noun"]) for p in pairs):
        wrong.append(f'{name}: action does not have scores under "verb,noun" alone, such as "3,19"')
    elif version == "0.1" and "action" in scores and not 1 <= len(pairs) <= TOP_ACTIONS:
        wrong.append(f"{name}: action has {len(pairs)} scores, not 1 to {TOP_ACTIONS}")
    else:
        wrong += _check_numbers(f"{name}: action", actions, lowest)
    return wrong


def _is_id(text: str, size: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) < size


def _check_numbers(title: str, values: Mapping[str, Any], lowest: float) -> list[str]:
    """A line for the first value that is no finite number, or too low."""
    for key, value in values.items():
        # A whole number of JSON may be too large for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST <= value <= _LARGEST:
            return [f"{title} {key} is {str(value)[:40]!r}, not a finite number"]
        if value < lowest:
            return [f"{title} {key} is {value:g}, below 0; this edition has softmax scores, not logits"]
    return []


def scores_of(content: Mapping[str, Any], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(verb scores [N, V], noun scores [N, M]) of a submission, in the order of `names`."""
    rows = [content["results"][str(name)] for name in names]
    verbs, nouns = (
        np.array([[row[part][str(i)] for i in range(len(row[part]))] for row in rows]) for part in ("verb", "noun")
    )
    return verbs, nouns
