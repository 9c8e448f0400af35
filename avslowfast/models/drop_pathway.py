"""DropPathway: leave the audio pathway out of a training iteration (arXiv 2001.08740, section 3.3)."""

from ..utils.seeding import generator


class DropPathway:
    """Decides for each iteration; the same on every rank, and after a resume, because the draw depends on (seed, iteration) alone.

    Args:
        rate: probability of dropping, P_d.
        seed: seed of the run.
    """

    def __init__(self, rate, seed):
        self.rate = rate
        self.seed = seed

    def draw(self, iteration):
        """True if the audio pathway is dropped in this iteration of the whole training."""
        return bool(generator(self.seed, iteration, "drop_pathway").random() < self.rate)
