"""Optimisers, weight decay groups and learning-rate schedules, equal to PySlowFast's."""

import math

import torch
from torch import nn


def cosine_lr(epoch, *, base_lr, max_epoch, end_lr=0.0, offset=0.0):
    """Half a cosine from `base_lr` at `offset` to `end_lr` at `max_epoch`; `epoch` is fractional (arXiv 1608.03983)."""
    return end_lr + (base_lr - end_lr) * (math.cos(math.pi * (epoch - offset) / (max_epoch - offset)) + 1.0) * 0.5


def stepped_lr(epoch, *, base_lr, steps, rates):
    """`base_lr` times the rate of the step in which `epoch` lies."""
    # The first step that lies ahead ends the current one, as in PySlowFast, whose published lists need not ascend.
    index = next((i for i, step in enumerate(steps) if epoch < step), len(steps)) - 1
    return base_lr * rates[index]


def lr_at(cfg, epoch):
    """Learning rate at a fractional epoch: linear warm-up, then cosine or steps.

    Args:
        cfg: the configuration; SOLVER and NUM_SHARDS are read.
        epoch: epochs done, with the share of the current one.
    """
    s = cfg.SOLVER
    scale = cfg.NUM_SHARDS if s.BASE_LR_SCALE_NUM_SHARDS else 1

    def policy(at):
        if s.LR_POLICY == "cosine":
            offset = s.WARMUP_EPOCHS if s.COSINE_AFTER_WARMUP else 0.0
            return cosine_lr(at, base_lr=s.BASE_LR, max_epoch=s.MAX_EPOCH, end_lr=s.COSINE_END_LR, offset=offset)
        return stepped_lr(at, base_lr=s.BASE_LR, steps=s.STEPS, rates=s.LRS)

    lr = policy(epoch)
    if epoch < s.WARMUP_EPOCHS:
        peak = policy(s.WARMUP_EPOCHS)
        lr = s.WARMUP_START_LR + epoch * (peak - s.WARMUP_START_LR) / s.WARMUP_EPOCHS
    return lr * scale


def parameter_groups(model, weight_decay, bn_weight_decay, zero_1d=False, lr_scales=None):
    """Weights in groups by weight decay and learning rate; frozen ones are left out.

    Args:
        weight_decay, bn_weight_decay: of most weights, and of batch norm's. zero_1d: none for other one-dimensional weights.
        lr_scales: {"head" | "audio" | "rest": share of the schedule's learning rate}; None is 1 for all.

    Returns:
        A list of {"params", "weight_decay", "lr_scale"}.
    """
    groups, seen = {}, set()
    for name, module in model.named_modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        scale = (lr_scales or {}).get(_part(name), 1.0)
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            decay = bn_weight_decay if is_norm else (0.0 if zero_1d and parameter.dim() <= 1 else weight_decay)
            groups.setdefault((scale, decay), []).append(parameter)
    return [{"params": params, "weight_decay": decay, "lr_scale": scale} for (scale, decay), params in groups.items()]


def _part(module):
    if module.split(".")[0] == "head":
        return "head"
    return "audio" if module.startswith(("pathways.audio", "audio_laterals", "sync_heads")) else "rest"


def build_optimizer(cfg, model):
    """The optimiser of cfg.SOLVER over a model's weights; its learning rate is set before each step."""
    s = cfg.SOLVER
    f = cfg.FINETUNE
    scales = {"head": f.LR_HEAD, "audio": f.LR_AUDIO, "rest": f.LR_REST}
    groups = parameter_groups(model, s.WEIGHT_DECAY, cfg.BN.WEIGHT_DECAY, s.ZERO_WD_1D_PARAM, scales)
    if s.OPTIMIZING_METHOD == "sgd":
        nesterov = s.NESTEROV and s.MOMENTUM > 0 and s.DAMPENING == 0
        optimizer = torch.optim.SGD(
            groups,
            lr=s.BASE_LR,
            momentum=s.MOMENTUM,
            dampening=s.DAMPENING,
            nesterov=nesterov,
            fused=s.DAMPENING == 0 or None,
        )
        if s.MOMENTUM and s.DAMPENING == 0:
            # The same as starting with the first gradient. The fused kernel needs it: with DropPathway some weights get theirs later.
            for group in groups:
                optimizer.state.update({p: {"momentum_buffer": torch.zeros_like(p)} for p in group["params"]})
        return optimizer
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[s.OPTIMIZING_METHOD]
    return kind(groups, lr=s.BASE_LR, betas=tuple(s.BETAS), fused=True)


def set_lr(optimizer, lr):
    """Use the schedule's learning rate from now on, each group its share of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
