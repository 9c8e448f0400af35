"""What happens around the training step: one hook per file, put together by `build_hooks`.

Hooks take functions and the shared `TrainState`; they do not know one another, nor the trainer.
"""
