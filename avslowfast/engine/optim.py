"""Optimisers, weight decay groups and learning-rate schedules, equal to PySlowFast's."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..checkpoint import states
from ..config.derived import Cfg, lr_scale, schedule, step_at
from ..models.norm import is_batch_norm


def cosine_lr(epoch: float, *, base_lr: float, max_epoch: float, end_lr: float = 0.0, offset: float = 0.0) -> float:
    """Half a cosine from `base_lr` at `offset` to `end_lr` at `max_epoch` (arXiv 1608.03983).

    Args:
        epoch: Epochs done, fractional.
        base_lr: Learning rate at the beginning.
        max_epoch: Epochs of the whole training.
        end_lr: Learning rate at the end.
        offset: Epoch at which the cosine begins.
    """
    return end_lr + (base_lr - end_lr) * (math.cos(math.pi * (epoch - offset) / (max_epoch - offset)) + 1.0) * 0.5


def stepped_lr(epoch: float, *, base_lr: float, steps: Sequence[float], rates: Sequence[float]) -> float:
    """`base_lr` times the rate of the step in which `epoch` lies.

    Args:
        epoch: Epochs done, fractional.
        base_lr: Learning rate at a rate of 1.
        steps: Epochs at which steps begin; the first is 0.
        rates: Factor of each step.
    """
    return base_lr * rates[step_at(epoch, steps)]


def lr_at(cfg: Cfg, epoch: float) -> float:
    """Learning rate at a fractional epoch: linear warm-up, then cosine or steps (those of multigrid's schedule).

    Args:
        cfg: The configuration.
        epoch: Epochs done, with the share of the current one.
    """
    s, epochs = cfg.SOLVER, schedule(cfg)

    def policy(at: float) -> float:
        if s.LR_POLICY == "cosine":
            offset = s.WARMUP_EPOCHS if s.COSINE_AFTER_WARMUP else 0.0
            return cosine_lr(at, base_lr=s.BASE_LR, max_epoch=epochs.max_epoch, end_lr=s.COSINE_END_LR, offset=offset)
        return stepped_lr(at, base_lr=s.BASE_LR, steps=epochs.steps, rates=epochs.rates)

    lr = policy(epoch)
    if epoch < s.WARMUP_EPOCHS:
        peak = policy(s.WARMUP_EPOCHS)
        lr = s.WARMUP_START_LR + epoch * (peak - s.WARMUP_START_LR) / s.WARMUP_EPOCHS
    return float(lr * lr_scale(cfg))


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    bn_weight_decay: float,
    zero_1d: bool = False,
    lr_scales: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Weights in groups by weight decay and learning rate; frozen ones are left out.

    Args:
        model: The network.
        weight_decay: Of most weights.
        bn_weight_decay: Of batch norm's weights.
        zero_1d: No weight decay for other one-dimensional weights.
        lr_scales: {"head" | "audio" | "rest": share of the schedule's learning rate}; None is 1 for all.

    Returns:
        A list of {"params", "weight_decay", "lr_scale"}.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen = set()
    for name, module in model.named_modules():
        is_norm = is_batch_norm(module)
        scale = (lr_scales or {}).get(_part(name), 1.0)
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            decay = bn_weight_decay if is_norm else (0.0 if zero_1d and parameter.dim() <= 1 else weight_decay)
            groups.setdefault((scale, decay), []).append(parameter)
    return [{"params": params, "weight_decay": decay, "lr_scale": scale} for (scale, decay), params in groups.items()]


def _part(module: str) -> str:
    if module.split(".")[0] == "head":
        return "head"
    return "audio" if module.startswith(("pathways.audio", "audio_laterals", "sync_heads")) else "rest"


def build_optimizer(cfg: Cfg, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of cfg.SOLVER over a model's weights; `set_lr` sets its learning rate before each step."""
    solver, finetune = cfg.SOLVER, cfg.FINETUNE
    scales = {"head": finetune.LR_HEAD, "audio": finetune.LR_AUDIO, "rest": finetune.LR_REST}
    groups = parameter_groups(model, solver.WEIGHT_DECAY, cfg.BN.WEIGHT_DECAY, solver.ZERO_WD_1D_PARAM, scales)
    if solver.OPTIMIZING_METHOD == "sgd":
        return _sgd(solver, groups)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[solver.OPTIMIZING_METHOD]
    return kind(groups, lr=solver.BASE_LR, betas=tuple(solver.BETAS), fused=True)


def _sgd(solver: Cfg, groups: list[dict[str, Any]]) -> torch.optim.SGD:
    optimizer = torch.optim.SGD(
        groups,
        lr=solver.BASE_LR,
        momentum=solver.MOMENTUM,
        dampening=solver.DAMPENING,
        nesterov=solver.NESTEROV and solver.MOMENTUM > 0 and solver.DAMPENING == 0,
        fused=solver.DAMPENING == 0 or None,
    )
    fill_momentum(optimizer)
    return optimizer


def fill_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD's parameters that have no momentum yet one of zero: the same as starting with the first gradient.

    The fused kernel needs it: with DropPathway some weights get their first gradient later than others.
    """
    for group in optimizer.param_groups if isinstance(optimizer, torch.optim.SGD) else ():
        for parameter in group["params"] if group["momentum"] and group["dampening"] == 0 else ():
            if optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def parameter_names(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[list[str]]:
    """The names of an optimiser's parameters, by group."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use the schedule's learning rate from now on, each group its share of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def load_optimizer(
    optimizer: torch.optim.Optimizer, content: Mapping[str, Any], names: Sequence[Sequence[str]]
) -> list[str]:
    """Give an optimiser a saved state; its hyperparameters stay those of the configuration.

    Args:
        optimizer: A fresh one.
        content: A state of a training, found whole by `states.optimizer_problem`.
        names: Of the optimiser's parameters, by group.

    Returns:
        [] or, in words, that the state belongs to another optimiser or grouping and is reset.
    """
    other = states.other_optimizer(dict(content), optimizer, names)
    if other:
        return [f"the saved state of the optimizer cannot be used, so it is reset: {other}"]
    saved = content["optimizer_state"]
    # The learning rate is the schedule's, which sets it before each step.
    present = [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in optimizer.param_groups]
    # torch writes into the dictionary that it is given.
    optimizer.load_state_dict({"state": dict(saved["state"]), "param_groups": [dict(g) for g in saved["param_groups"]]})
    for group, settings in zip(optimizer.param_groups, present):
        group.update(settings)
    fill_momentum(optimizer)
    return []
