"""Files that cannot be read and scores that are not finite: counted, named in a file, and judged.

The same rules serve training, validation and test. A few files never end a run, nor does a small share of a large set;
what goes beyond both does, and so do scores that are NaN or infinite.
"""

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets.tables import csv_rows
from ..loading.flaws import Flaw, flaws_text
from ..utils.errors import UserError
from ..utils.logging import get_logger
from ..utils.text import counted, write_csv
from .protocols.base import Evaluation

logger = get_logger(__name__)

# Every failed file of a folder's run, beside its log.
FAILED_FILES = "failed_files.csv"
_COLUMNS = ("split", "path", "reason")
# Files that are named in the log, of those that could not be read.
_NAMED = 20


class TooManyFailuresError(UserError, RuntimeError):
    """More files failed than DATA.MAX_FAILED_FRACTION and DATA.MAX_FAILED_FILES allow."""

    may_pass = True


class NothingReadError(TooManyFailuresError):
    """Not one file of an evaluation could be read.

    Args:
        message: For a person.
        paths: Of all videos.
        failed: {path: reason}.
    """

    def __init__(self, message: str, paths: list[str], failed: Mapping[str, str]) -> None:
        super().__init__(message)
        self.paths, self.failed = paths, failed


class NotFiniteScoresError(UserError, RuntimeError):
    """Scores of an evaluation are NaN or infinite."""


@dataclass(frozen=True)
class FailurePolicy:
    """How many files may fail.

    Attributes:
        fraction: Share of the files, 0..1.
        files: Number of files that may fail in any case, unless they are all.
        folder: Where failed_files.csv is.
    """

    fraction: float
    files: int
    folder: str

    def check(self, failed: Mapping[str, str], total: int, what: str) -> None:
        """Judge a list that was tried as a whole.

        Args:
            failed: {path: reason}.
            total: Files of the list.
            what: Which ones, such as "training".

        Raises:
            TooManyFailuresError: Names the first one, the file with all of them, and the value that would do.
        """
        if failed and len(failed) >= total:
            raise TooManyFailuresError(none_read(failed, total, what))
        self._check_share(failed, total, what)

    def _check_share(self, failed: Mapping[str, str], total: int, what: str) -> None:
        if len(failed) > max(self.files, _share(self.fraction, total)):
            raise TooManyFailuresError(self._message(failed, total, what, f"of {total}"))

    def check_early(self, failed: Mapping[str, str], tried: int, total: int, what: str) -> None:
        """Judge a list of which a part was tried: more files fail than the allowed share of the part explains.

        Args:
            failed: {path: reason}.
            tried: Files that were tried, in random order.
            total: Files of the list.
            what: Which ones, such as "training".

        Raises:
            TooManyFailuresError: As `check`.
        """
        expected = self.fraction * tried
        # A part may have more than its share: three standard deviations are left to chance.
        if len(failed) > self.files + expected + 3 * math.sqrt(expected):
            raise TooManyFailuresError(self._message(failed, total, what, f"of the first {tried} (of {total})"))

    def check_evaluation(self, result: Evaluation[Any], what: str) -> None:
        """Judge an evaluation, of which something was read (else it raises `NothingReadError`).

        Args:
            result: The evaluation.
            what: Which one: validation | test.

        Raises:
            TooManyFailuresError: More files failed than may.
            NotFiniteScoresError: More scores are not finite than files may fail; in a test, any.
        """
        # A file has failed with one of its segments: where all have, others may have been read.
        self._check_share(result.failed, len(set(result.paths)), what)
        count = len(result.not_finite)
        if count > (0 if what == "test" else max(self.files, _share(self.fraction, len(result.paths)))) or (
            count and count == len(result.paths) - result.failed_videos
        ):
            raise NotFiniteScoresError(not_finite(result, what))

    def _message(self, failed: Mapping[str, str], total: int, what: str, share: str) -> str:
        path, reason = next(iter(failed.items()))
        needed = math.ceil(1e4 * len(failed) / total - 1e-9) / 1e4
        return (
            f"{len(failed)} {share} {what} files could not be read, more than DATA.MAX_FAILED_FRACTION "
            f"{self.fraction:g} and DATA.MAX_FAILED_FILES {self.files} allow; the first: {path} ({reason}). All of "
            f"them are in {os.path.join(self.folder, FAILED_FILES)}: repair or remove them, or set "
            f"DATA.MAX_FAILED_FRACTION to {needed:g} or DATA.MAX_FAILED_FILES to {len(failed)}"
        )


def none_read(failed: Mapping[str, str], total: int, what: str) -> str:
    """What is said where not one file could be read. Arguments as for `FailurePolicy.check`."""
    path, reason = next(iter(failed.items()))
    return (
        f"none of the {counted(total, f'{what} file')} could be read; the first: {path} ({reason}). "
        "Check the paths in the list and DATA.PATH_PREFIX"
    )


def not_finite(result: Evaluation[Any], what: str) -> str:
    """What is said of scores that are not finite.

    Args:
        result: The evaluation.
        what: Which one: validation | test.
    """
    count = len(result.not_finite)
    return (
        f"the scores of {count} of {len(result.paths)} {what} videos are not finite (NaN or infinite), though the "
        f"files could be read; the first: {result.not_finite[0]}. Check the weights for NaN, or set "
        "TRAIN.MIXED_PRECISION False, since float16 may overflow"
    )


def report(result: Evaluation[Any], what: str) -> None:
    """Name in the log what failed in an evaluation, each file once.

    Args:
        result: The evaluation.
        what: Which one: validation | test.
    """
    for path, reason in itertools.islice(result.failed.items(), _NAMED):
        logger.warning("failed, scored as wrong: %s (%s)", path, reason)
    total = len(result.paths)
    if result.failed:
        share = 100 * result.failed_videos / total
        logger.warning("%d of %d videos failed (%.2f %%)", result.failed_videos, total, share)
    report_flaws(result.flaws, result.silent_clips, what)
    for path in result.not_finite[:_NAMED]:
        logger.warning("scores that are not finite, counted as wrong: %s", path)
    if result.not_finite:
        logger.warning("%s", not_finite(result, what))


def report_flaws(flaws: Sequence[Flaw], silent: int, when: str) -> None:
    """Name in the log what was wrong with files that were read.

    Args:
        flaws: Of the files.
        silent: Clips without audio, of a network that listens.
        when: What was read, such as "epoch 1".
    """
    if flaws:
        logger.warning("%s: %s", when, flaws_text(flaws))
    if silent:
        logger.info("%s: %s without audio", when, counted(silent, "clip"))


def write_failed_files(folder: str, split: str, failed: Mapping[str, str]) -> None:
    """Write the failed files of a split into failed_files.csv; what it says of other splits stays.

    Args:
        folder: Of the log.
        split: train | val | test.
        failed: {path: reason}.
    """
    path = os.path.join(folder, FAILED_FILES)
    others = list(_rows_of_others(path, split))
    if failed or others or os.path.exists(path):
        write_csv(path, [_COLUMNS, *others, *([split, name, reason] for name, reason in failed.items())])


def _rows_of_others(path: str, split: str) -> Iterator[list[str]]:
    if not os.path.isfile(path):
        return
    try:
        rows = [row for row, _ in csv_rows(path, _COLUMNS)]
    except UserError as error:
        logger.warning("%s; it is written again", error)
        return
    yield from ([row[name] for name in _COLUMNS] for row in rows if row["split"] != split)


def _share(fraction: float, total: int) -> int:
    """Whole files of a share."""
    return math.floor(fraction * total + 1e-9)
