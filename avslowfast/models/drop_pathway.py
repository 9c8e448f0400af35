"""DropPathway: drop the audio pathway in a training iteration (arXiv 2001.08740, section 3.3)."""

from ..utils.seeding import generator


class DropPathway:
    """Decides for each iteration whether it is dropped.

    The draw depends on (seed, iteration) alone: the same on every rank, and after a resume.

    Args:
        rate: Probability of dropping, P_d.
        seed: Seed of the run.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self.rate = rate
        self.seed = seed

    def draw(self, iteration: int) -> bool:
        """Whether the audio pathway is dropped.

        Args:
            iteration: Iteration of the whole training.
        """
        return bool(generator(self.seed, iteration, "drop_pathway").random() < self.rate)
