"""EPIC-Kitchens action recognition: verb, noun and action accuracy, and the challenges' submission files.

An action is a (verb, noun) pair; its score is the product of the two softmax scores.
"""

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from .classification import topk_correct

_CHUNK = 512
TOP_ACTIONS = 100


def action_correct(verb_scores, noun_scores, verbs, nouns, k):
    """Whether the true action is among the k best of all pairs: bool [N].

    Args:
        verb_scores: [N, V]; noun_scores: [N, M]; rows of NaN are never correct. verbs, nouns: [N] true ids.
    """
    correct = np.zeros(len(verbs), bool)
    for first in range(0, len(verbs), _CHUNK):
        rows = slice(first, first + _CHUNK)
        pairs = verb_scores[rows, :, None] * noun_scores[rows, None, :]
        own = pairs[np.arange(len(pairs)), verbs[rows], nouns[rows]]
        # Pairs that tie with the true one count as better, so that constant scores earn nothing.
        better = (pairs >= own[:, None, None]).sum(axis=(1, 2)) - 1
        correct[rows] = (better < k) & ~np.isnan(own)
    return correct


def accuracy(verb_scores, noun_scores, verbs, nouns, topk=(1, 5)):
    """{"verb_top1", "noun_top1", "action_top1", "verb_top5", ...} in percent."""
    result = {}
    for k in topk:
        result[f"verb_top{k}"] = topk_correct(verb_scores, verbs, k)
        result[f"noun_top{k}"] = topk_correct(noun_scores, nouns, k)
        result[f"action_top{k}"] = action_correct(verb_scores, noun_scores, verbs, nouns, k)
    return {name: 100.0 * float(values.mean()) for name, values in result.items()}


def best_actions(verb_scores, noun_scores):
    """The best (verb, noun) pair of each segment: [N, 2]. A row of NaN gives (-1, -1)."""
    best = np.full((len(verb_scores), 2), -1)
    valid = ~(np.isnan(verb_scores).any(axis=1) | np.isnan(noun_scores).any(axis=1))
    # The product is largest where both factors are.
    best[valid] = np.stack([verb_scores[valid].argmax(axis=1), noun_scores[valid].argmax(axis=1)], axis=1)
    return best


def many_shot(verb_scores, noun_scores, verbs, nouns, many_verbs, many_nouns, many_actions):
    """Class-averaged precision and recall over the many-shot classes that occur (EPIC-Kitchens-55), in percent.

    Args:
        many_verbs, many_nouns: class ids; many_actions: (verb, noun) pairs.

    Returns:
        {"verb_precision", "verb_recall", "noun_precision", ...}.
    """
    best = best_actions(verb_scores, noun_scores)
    size = noun_scores.shape[1]
    cases = {
        "verb": (verbs, best[:, 0], many_verbs),
        "noun": (nouns, best[:, 1], many_nouns),
        "action": (verbs * size + nouns, best[:, 0] * size + best[:, 1], [v * size + n for v, n in many_actions]),
    }
    result = {}
    for name, (truth, found, classes) in cases.items():
        classes = np.intersect1d(classes, truth)
        if not len(classes):
            continue
        precision, recall, _, _ = precision_recall_fscore_support(
            truth, found, labels=classes, average=None, zero_division=0
        )
        result[f"{name}_precision"], result[f"{name}_recall"] = (
            100.0 * float(precision.mean()),
            100.0 * float(recall.mean()),
        )
    return result


def challenge_100(verb_scores, noun_scores, verbs, nouns, unseen, tail_verbs, tail_nouns):
    """The figures of EPIC-Kitchens-100: all (top-1, top-5), unseen participants and tail classes (top-1), in percent.

    Args:
        unseen: [N] bool. tail_verbs, tail_nouns: class ids; an action is in the tail if its verb or its noun is.
    """
    result = {f"all_{name}": value for name, value in accuracy(verb_scores, noun_scores, verbs, nouns).items()}
    verb_ok, noun_ok = topk_correct(verb_scores, verbs, 1), topk_correct(noun_scores, nouns, 1)
    action_ok = action_correct(verb_scores, noun_scores, verbs, nouns, 1)
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


def submission(names, verb_scores, noun_scores, version, levels=(2, 1, 4)):
    """The content of a submission file.

    Args:
        names: [N] segment ids (uid, or narration_id). version: "0.1" (EPIC-Kitchens-55) | "0.2" (100).
        levels: supervision levels of version 0.2: pre-training, training labels, training data.
    """
    results = {}
    for name, verb, noun in zip(names, verb_scores, noun_scores):
        verb, noun = np.nan_to_num(verb, nan=0.0), np.nan_to_num(noun, nan=0.0)
        # The best 100 pairs lie among the best 100 verbs and the best 100 nouns.
        v, n = np.argsort(-verb, kind="stable")[:TOP_ACTIONS], np.argsort(-noun, kind="stable")[:TOP_ACTIONS]
        pairs = verb[v][:, None] * noun[n][None, :]
        best = np.argsort(-pairs, axis=None, kind="stable")[:TOP_ACTIONS]
        rows, columns = np.unravel_index(best, pairs.shape)
        results[str(name)] = {
            "verb": {str(i): float(x) for i, x in enumerate(verb)},
            "noun": {str(i): float(x) for i, x in enumerate(noun)},
            "action": {f"{v[r]},{n[c]}": float(pairs[r, c]) for r, c in zip(rows, columns)},
        }
    head = {"version": version, "challenge": "action_recognition"}
    if version == "0.2":
        head.update(zip(("sls_pt", "sls_tl", "sls_td"), levels))
    return {**head, "results": results}


def check_submission(content, names, num_verbs, num_nouns):
    """What is wrong with a submission, as a list of lines; empty for a valid one.

    Args:
        content: what the JSON file holds. names: ids of the segments that have to be in it. num_verbs, num_nouns: classes.
    """
    if not isinstance(content, dict):
        return ["it is not a JSON object"]
    wrong = []
    if content.get("version") not in ("0.1", "0.2"):
        wrong.append(f'version is {content.get("version")!r}, not "0.1" or "0.2"')
    if content.get("challenge") != "action_recognition":
        wrong.append(f'challenge is {content.get("challenge")!r}, not "action_recognition"')
    if content.get("version") == "0.2":
        wrong += [
            f"{key} is missing" for key in ("sls_pt", "sls_tl", "sls_td") if not isinstance(content.get(key), int)
        ]
    results = content.get("results")
    if not isinstance(results, dict):
        return [*wrong, "results is missing"]
    wanted, given = {str(name) for name in names}, set(results)
    wrong += [f"{len(wanted - given)} segments are missing, the first {min(wanted - given)}"] if wanted - given else []
    wrong += (
        [f"{len(given - wanted)} segments are not in the list, the first {min(given - wanted)}"]
        if given - wanted
        else []
    )
    sizes = {"verb": num_verbs, "noun": num_nouns}
    for name, scores in results.items():
        for part, size in sizes.items():
            if set(scores.get(part, ())) != {str(i) for i in range(size)}:
                wrong.append(f"{name}: {part} does not have a score for each of 0..{size - 1}")
        actions = scores.get("action", {})
        pairs = [key.split(",") for key in actions]
        if not 1 <= len(actions) <= TOP_ACTIONS or any(
            len(p) != 2 or int(p[0]) >= num_verbs or int(p[1]) >= num_nouns for p in pairs
        ):
            wrong.append(f'{name}: action needs 1 to {TOP_ACTIONS} scores under "verb,noun"')
        if wrong and len(wrong) > 20:
            break
    return wrong


def scores_of(content, names):
    """(verb scores [N, V], noun scores [N, M]) of a submission, in the order of `names`."""
    rows = [content["results"][str(name)] for name in names]
    return tuple(
        np.array([[row[part][str(i)] for i in range(len(row[part]))] for row in rows]) for part in ("verb", "noun")
    )
