"""Straightforward implementations that this project's loader, training step and test are measured against.

Loader and test: every frame of the span is decoded and becomes an RGB tensor, the whole clip is resized as floats, all
of the audio is decoded, librosa computes the spectrogram; each test view opens and decodes the video again. Training
step: positive and negative audio both go through the whole audio pathway, whether the pathway is dropped or not.
"""

import copy
from typing import Any, cast

import av
import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn, Tensor
from torch.nn import functional as F

from avslowfast.clips import spans, transforms
from avslowfast.clips.settings import AudioSettings, ClipSettings
from avslowfast.config.names import STAGES
from avslowfast.media import VideoReader
from avslowfast.media.pixels import Scaler
from avslowfast.models.blocks import Shortcut
from avslowfast.models.laterals.base import AudioLateral
from avslowfast.models.network import Network


def clip(
    path: str, start: float, settings: ClipSettings, rng: np.random.Generator | None = None, crop: int = 0
) -> dict[str, Tensor]:
    """A clip: {"slow", "fast": float [3, T, H, W], "audio": [1, T, F]}.

    Args:
        path: The file.
        start: Seconds.
        settings: With audio.
        rng: Draws scale, crop and flip; None scales to the test crop.
        crop: 0 | 1 | 2 along the longer side, without rng.
    """
    s = settings
    times = spans.frame_times(start, s.num_frames, s.sampling_rate, s.target_fps)
    frames, instants = [], []
    with av.open(path) as container:
        stream = container.streams.video[0]
        base = float(stream.time_base or 0)
        container.seek(int(max(start - 0.05, 0) / base), stream=stream)
        for frame in container.decode(stream):
            instant = float(frame.pts or 0) * base
            if instant > times[-1] + 1 / s.target_fps:
                break
            instants.append(instant)
            # Everything from the key frame on.
            frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
    index = [int(np.argmin(np.abs(np.array(instants) - t))) for t in times]
    pixels = torch.stack(frames)[index].permute(3, 0, 1, 2).float()
    pixels = (_spatial(pixels, s, rng, crop) / 255 - 0.45) / 0.225
    slow = pixels[:, torch.from_numpy(spans.slow_indices(s.num_frames, s.alpha))]
    return {"slow": slow, "fast": pixels, "audio": log_mel(path, start, s)}


def _spatial(pixels: Tensor, s: ClipSettings, rng: np.random.Generator | None, crop: int) -> Tensor:
    height, width = pixels.shape[2:]
    short = s.test_crop if rng is None else int(rng.integers(s.scales[0], s.scales[1] + 1))
    scale = short / min(height, width)
    pixels = F.interpolate(pixels, (round(height * scale), round(width * scale)), mode="bilinear", align_corners=False)
    size = s.test_crop if rng is None else s.crop
    room = pixels.shape[2] - size, pixels.shape[3] - size
    if rng is None:
        top, left = (round(r * crop / 2) for r in room)
    else:
        top, left = (int(rng.integers(0, r + 1)) for r in room)
    pixels = pixels[:, :, top : top + size, left : left + size]
    return pixels.flip(3) if rng is not None and rng.random() < 0.5 else pixels


def _audio_settings(settings: ClipSettings) -> AudioSettings:
    if settings.audio is None:
        raise ValueError("the baseline needs a network with an audio pathway")
    return settings.audio


def log_mel(path: str, start: float, settings: ClipSettings) -> Tensor:
    """All of a file's audio, then the spectrogram of the span by librosa: [1, T, F].

    Args:
        path: The file.
        start: Of the clip, seconds.
        settings: With audio.
    """
    a = _audio_settings(settings)
    with av.open(path) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray() for frame in container.decode(stream)]
        rate = stream.rate
    mono: NDArray[Any] = np.concatenate(parts, axis=1).mean(axis=0)
    whole = librosa.resample(mono, orig_sr=rate, target_sr=a.sample_rate, res_type="polyphase")
    begin, length = spans.audio_span(start, settings.duration, a.num_frames, a.window, a.step)
    first, count = int(begin * a.sample_rate), int(round(length * a.sample_rate))
    samples = np.pad(whole, (max(-first, 0), count))[max(first, 0) :][:count]
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=a.sample_rate,
        n_fft=int(a.window * a.sample_rate),
        hop_length=int(a.step * a.sample_rate),
        n_mels=a.num_mels,
        center=False,
        htk=True,
        norm="slaney",
    )
    spec = np.log(mel + 1e-8).T
    spec = spec[spans.spectrogram_indices(len(spec), a.num_frames)]
    return torch.from_numpy((spec - a.front_end.mean) / a.front_end.std)[None].float()


class AudioAsVideo(nn.Module):
    """An audio pathway whose 2-D convolutions are 3-D ones of depth 1: the same weights, the same result.

    Args:
        pathway: The audio pathway; it is copied.
    """

    def __init__(self, pathway: nn.Module) -> None:
        super().__init__()
        self.pathway = copy.deepcopy(pathway)
        for module in list(self.pathway.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Conv2d):
                    setattr(module, name, _with_depth(child))
                elif isinstance(child, nn.BatchNorm2d):
                    deep = nn.BatchNorm3d(child.num_features, child.eps, child.momentum)
                    deep.load_state_dict(child.state_dict())
                    setattr(module, name, deep.train(child.training))

    def forward(self, x_BCTF: Tensor, stage: str) -> Tensor:
        """As `Pathway.forward`: [B, C, T, F]."""
        features: Tensor = self.pathway(x_BCTF.unsqueeze(2), stage)
        return features.squeeze(2)


def _with_depth(layer: nn.Conv2d) -> nn.Conv3d:
    """A 2-D convolution as a 3-D one of depth 1."""
    (kh, kw), (sh, sw) = layer.kernel_size, layer.stride
    # Convolutions of this project are padded by numbers, never by "same".
    ph, pw = int(layer.padding[0]), int(layer.padding[1])
    deep = nn.Conv3d(
        layer.in_channels,
        layer.out_channels,
        kernel_size=(1, kh, kw),
        stride=(1, sh, sw),
        padding=(0, ph, pw),
        groups=layer.groups,
        bias=layer.bias is not None,
    )
    deep.weight.data = layer.weight.data.unsqueeze(2).clone()
    return deep


def _plain_shortcut(layer: Shortcut) -> nn.Conv3d:
    """A shortcut as a plain strided convolution."""
    st, sh, sw = layer.stride
    plain = nn.Conv3d(layer.in_channels, layer.out_channels, 1, (st, sh, sw), bias=False)
    plain.load_state_dict(layer.state_dict())
    return plain


def network(model: Network) -> Network:
    """A copy of a network whose audio pathway is an `AudioAsVideo` and whose shortcuts are plain strided convolutions.

    Args:
        model: An audiovisual network.
    """
    other = copy.deepcopy(model)
    other.pathways["audio"] = AudioAsVideo(model.pathways["audio"])
    for module in list(other.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Shortcut):
                setattr(module, name, _plain_shortcut(child))
    return other


def step(
    model: Network, inputs: dict[str, Tensor], labels: Tensor, optimizer: torch.optim.Optimizer, negatives: Tensor
) -> Tensor:
    """A training step that runs the whole audio pathway and its laterals for the clips and again for their negatives.

    Args:
        model: From `network`.
        inputs: Of the network.
        labels: Class ids.
        optimizer: Of the network's weights.
        negatives: Spectrograms [B, 1, T, F].
    """
    optimizer.zero_grad(set_to_none=True)
    out = model(inputs, drop_audio=False)
    # A fused batch of positives and negatives sends every negative through every audio stage and lateral.
    x, unused = negatives, torch.zeros(())
    for stage in STAGES:
        x = model.pathways["audio"](x, stage)
        if stage in model.audio_laterals:
            unused = unused + cast(AudioLateral, model.audio_laterals[stage]).encode(x).mean()
    loss: Tensor = F.cross_entropy(out["logits"], labels) + sum(out["losses"].values()) + 0.0 * (x.mean() + unused)
    loss.backward()
    optimizer.step()
    return loss.detach()


def views(path: str, settings: ClipSettings) -> dict[str, Tensor]:
    """Views of a video, each of which opens the file, converts every frame from the key frame on, and reads its audio.

    Scaling and spectrogram are this project's, so that the scores can be compared.

    Args:
        path: The file.
        settings: With audio.

    Returns:
        {name: [views x crops, ...]}.
    """
    a = _audio_settings(settings)
    with VideoReader(path) as reader:
        begin, end = reader.video.start, reader.video.end
    samples = []
    for start in spans.view_starts(begin, end, settings.duration, settings.num_views).tolist():
        times = spans.frame_times(start, settings.num_frames, settings.sampling_rate, settings.target_fps)
        for crop in range(settings.num_crops):
            with VideoReader(path) as reader:
                fast = transforms.to_tensor(_frames(reader, start, times, settings)[crop])
                span = spans.audio_span(start, settings.duration, a.num_frames, a.window, a.step)
                waveform, _ = reader.read_audio(*span, a.sample_rate)
            slow = fast[:, torch.from_numpy(spans.slow_indices(settings.num_frames, settings.alpha))]
            samples.append({"slow": slow, "fast": fast, "audio": a.front_end(torch.from_numpy(waveform))})
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def _frames(
    reader: VideoReader, start: float, times: NDArray[np.float64], settings: ClipSettings
) -> list[NDArray[np.uint8]]:
    """All crops of the clip that begins at `start`."""
    frames, instants = [], []
    for instant, frame in reader.iter_frames(start):
        geometry = transforms.only_scale(settings.test_crop)(frame.height, frame.width)
        instants.append(instant)
        frames.append(Scaler().convert(frame, geometry.size))
        if instant > times[-1] + 1 / settings.target_fps:
            break
    pixels = np.stack([frames[int(np.argmin(np.abs(np.array(instants) - t)))] for t in times])
    return transforms.spatial_crops(pixels, settings.test_crop, settings.num_crops)


@torch.no_grad()
def scores(model: Network, inputs: dict[str, Tensor], max_clips: int) -> Tensor:
    """Scores [views x crops, K] of `views`, each of which has its audio and its audio forward pass.

    Args:
        model: The network.
        inputs: From `views`.
        max_clips: Clips in one forward pass.
    """
    count = len(inputs["fast"])
    parts = [model({n: v[i : i + max_clips] for n, v in inputs.items()})["scores"] for i in range(0, count, max_clips)]
    return torch.cat(parts)
