"""DropPathway: drop the audio pathway in a training iteration (arXiv 2001.08740)."""

from ..utils.seeding import generator


class DropPathway:
    """Decides for each iteration whether it is dropped, and what a dropped iteration goes without.

    The draw depends on (seed, iteration) alone: the same on every rank, and after a resume.

    Args:
        rate: Probability of dropping, P_d.
        seed: Seed of the run.
        pool5: A dropped iteration has no audio in the head either; otherwise it goes without audio laterals alone.
    """

    def __init__(self, rate: float, seed: int, pool5: bool = True) -> None:
        self.rate = rate
        self.seed = seed
        self.pool5 = pool5

    def draw(self, iteration: int) -> bool:
        """Whether the audio pathway is dropped.

        Args:
            iteration: Iteration of the whole training.
        """
        return bool(generator(self.seed, iteration, "drop_pathway").random() < self.rate)
