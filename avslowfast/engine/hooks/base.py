"""The moments at which the trainer calls its hooks."""

from ..state import TrainState


class Hook:
    """Called by the trainer, with the state of the training; does nothing by default."""

    def before_train(self, state: TrainState) -> None:
        """Once, before the first step."""

    def before_epoch(self, state: TrainState) -> None:
        """Before the first step of each epoch, or of the rest of one after a resume."""

    def after_step(self, state: TrainState) -> None:
        """After each step, which `state.iteration` counts already."""

    def after_epoch(self, state: TrainState) -> None:
        """After each epoch, which `state.epoch` counts already."""

    def evaluate(self, state: TrainState) -> None:
        """After an epoch that `state.evaluation_due` says is to be evaluated, or first thing after a resume."""

    def after_evaluation(self, state: TrainState) -> None:
        """After `evaluate` of all hooks."""

    def after_train(self, state: TrainState) -> None:
        """Once, at the end or after a stop."""
