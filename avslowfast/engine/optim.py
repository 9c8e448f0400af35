"""Optimisers, weight decay groups and learning-rate schedules, equal to PySlowFast's."""

import math

import torch
from torch import nn


def cosine_lr(epoch, *, base_lr, max_epoch, end_lr=0.0, offset=0.0):
    """Half a cosine from `base_lr` at `offset` to `end_lr` at `max_epoch`; `epoch` is fractional (arXiv 1608.03983)."""
    return end_lr + (base_lr - end_lr) * (math.cos(math.pi * (epoch - offset) / (max_epoch - offset)) + 1.0) * 0.5


def stepped_lr(epoch, *, base_lr, steps, rates):
    """`base_lr` times the rate of the step in which `epoch` lies."""
    index = sum(epoch >= step for step in steps) - 1
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


def parameter_groups(model, weight_decay, bn_weight_decay, zero_1d=False):
    """Weights in groups by weight decay: batch norm, one-dimensional ones (with `zero_1d`), the rest. Frozen ones are left out."""
    norms, flat, rest, seen = [], [], [], set()
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if is_norm:
                norms.append(parameter)
            elif zero_1d and parameter.dim() <= 1:
                flat.append(parameter)
            else:
                rest.append(parameter)
    groups = [(norms, bn_weight_decay), (rest, weight_decay), (flat, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def build_optimizer(cfg, model):
    """The optimiser of cfg.SOLVER over a model's weights; its learning rate is set before each step."""
    s = cfg.SOLVER
    groups = parameter_groups(model, s.WEIGHT_DECAY, cfg.BN.WEIGHT_DECAY, s.ZERO_WD_1D_PARAM)
    on_gpu = next(model.parameters()).is_cuda
    if s.OPTIMIZING_METHOD == "sgd":
        nesterov = s.NESTEROV and s.MOMENTUM > 0 and s.DAMPENING == 0
        return torch.optim.SGD(groups, lr=s.BASE_LR, momentum=s.MOMENTUM, dampening=s.DAMPENING, nesterov=nesterov, fused=on_gpu or None)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[s.OPTIMIZING_METHOD]
    return kind(groups, lr=s.BASE_LR, betas=tuple(s.BETAS), fused=on_gpu or None)


def set_lr(optimizer, lr):
    """Use a learning rate in every group from now on."""
    for group in optimizer.param_groups:
        group["lr"] = lr
