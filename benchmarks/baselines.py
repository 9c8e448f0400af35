"""The usual way, written straightforwardly: what this project's loader, training step and test are measured against.

Loader and test: every frame of the span is decoded and turned into an RGB tensor, the whole clip is resized as floats, all of the sound is
decoded, librosa makes the spectrogram; each test view opens and decodes the video again. Training step: positive and negative sound both go
through the whole audio pathway, whether the pathway is dropped or not.
"""

import copy

import av
import librosa
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from avslowfast.clips import spans as clips
from avslowfast.clips import transforms
from avslowfast.config.names import STAGES
from avslowfast.media import VideoReader
from avslowfast.media.pixels import Scaler
from avslowfast.models.blocks import Shortcut


def naive_clip(path, start, settings, rng=None, crop=0):
    """A clip the usual way: {"slow", "fast": float [3, T, H, W], "audio": [1, T, F]}.

    Args:
        start: seconds. settings: `ClipSettings` with audio. rng: draws scale, crop and flip; None scales to the test crop.
        crop: 0, 1, 2: along the longer side, without rng.
    """
    s = settings
    times = clips.frame_times(start, s.num_frames, s.sampling_rate, s.target_fps)
    frames, instants = [], []
    with av.open(path) as container:
        stream = container.streams.video[0]
        container.seek(int(max(start - 0.05, 0) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            instant = float(frame.pts * stream.time_base)
            if instant > times[-1] + 1 / s.target_fps:
                break
            instants.append(instant)
            # Everything from the key frame on.
            frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
    index = [int(np.argmin(np.abs(np.array(instants) - t))) for t in times]
    clip = torch.stack(frames)[index].permute(3, 0, 1, 2).float()
    clip = _spatial(clip, s, rng, crop)
    clip = (clip / 255 - 0.45) / 0.225
    return {
        "slow": clip[:, torch.from_numpy(clips.slow_indices(s.num_frames, s.alpha))],
        "fast": clip,
        "audio": naive_log_mel(path, start, s),
    }


def _spatial(clip, s, rng, crop):
    height, width = clip.shape[2:]
    short = s.test_crop if rng is None else int(rng.integers(s.scales[0], s.scales[1] + 1))
    scale = short / min(height, width)
    clip = F.interpolate(clip, (round(height * scale), round(width * scale)), mode="bilinear", align_corners=False)
    size = s.test_crop if rng is None else s.crop
    room = clip.shape[2] - size, clip.shape[3] - size
    if rng is None:
        top, left = (round(r * crop / 2) for r in room)
    else:
        top, left = (int(rng.integers(0, r + 1)) for r in room)
    clip = clip[:, :, top : top + size, left : left + size]
    return clip.flip(3) if rng is not None and rng.random() < 0.5 else clip


def naive_log_mel(path, start, settings):
    """All of a file's sound, then the spectrogram of the span by librosa."""
    a = settings.audio
    with av.open(path) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray() for frame in container.decode(stream)]
        rate = stream.rate
    whole = librosa.resample(
        np.concatenate(parts, axis=1).mean(axis=0), orig_sr=rate, target_sr=a.sample_rate, res_type="polyphase"
    )
    begin, length = clips.audio_span(start, settings.duration, a.num_frames, a.window, a.step)
    first = int(begin * a.sample_rate)
    piece = np.pad(whole, (max(-first, 0), int(length * a.sample_rate)))[max(first, 0) :][
        : int(round(length * a.sample_rate))
    ]
    window = int(a.window * a.sample_rate)
    mel = librosa.feature.melspectrogram(
        y=piece,
        sr=a.sample_rate,
        n_fft=window,
        hop_length=int(a.step * a.sample_rate),
        n_mels=a.num_mels,
        center=False,
        htk=True,
        norm="slaney",
    )
    spec = np.log(mel + 1e-8).T
    spec = spec[clips.spectrogram_indices(len(spec), a.num_frames)]
    return torch.from_numpy((spec - a.front_end.mean) / a.front_end.std)[None].float()


class AudioAsVideo(nn.Module):
    """An audio pathway whose 2-D convolutions are 3-D ones of depth 1, as in the usual implementation; the same weights, the same result."""

    def __init__(self, pathway):
        super().__init__()
        self.pathway = copy.deepcopy(pathway)
        for module in list(self.pathway.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Conv2d):
                    deep = nn.Conv3d(
                        child.in_channels,
                        child.out_channels,
                        (1, *child.kernel_size),
                        (1, *child.stride),
                        (0, *child.padding),
                        groups=child.groups,
                        bias=child.bias is not None,
                    )
                    deep.weight.data = child.weight.data.unsqueeze(2).clone()
                    setattr(module, name, deep)
                elif isinstance(child, nn.BatchNorm2d):
                    deep = nn.BatchNorm3d(child.num_features, child.eps, child.momentum)
                    deep.load_state_dict(child.state_dict())
                    setattr(module, name, deep.train(child.training))

    def forward(self, x, stage):
        """As `Pathway.forward`: [B, C, T, F]."""
        return self.pathway(x.unsqueeze(2), stage).squeeze(2)


def usual_network(model):
    """A copy of a network whose audio pathway is an `AudioAsVideo` and whose shortcuts are plain strided convolutions."""
    other = copy.deepcopy(model)
    other.pathways["audio"] = AudioAsVideo(model.pathways["audio"])
    for module in other.modules():
        if isinstance(module, Shortcut):
            # The same weights without what `Shortcut.forward` adds.
            module.__class__ = nn.Conv3d
    return other


def usual_step(model, inputs, labels, optimizer, negatives):
    """A training step of a `usual_network` that computes the whole audio pathway, and what its laterals make of it, for the clips and, again, for
    their negatives [B, 1, T, F].
    """
    optimizer.zero_grad(set_to_none=True)
    out = model(inputs, drop_audio=False)
    # What the fused batch of the usual implementation does besides: every negative through every audio stage and lateral.
    x, unused = negatives, 0.0
    for stage in STAGES:
        x = model.pathways["audio"](x, stage)
        if stage in model.audio_laterals:
            unused = unused + model.audio_laterals[stage].encode(x).mean()
    loss = F.cross_entropy(out["logits"], labels) + sum(out["losses"].values()) + 0.0 * (x.mean() + unused)
    loss.backward()
    optimizer.step()
    return loss.detach()


def usual_views(path, settings):
    """A video's views the usual way: each view and crop opens the file anew, decodes and converts every picture from the key frame on, and reads its
    own sound. Scaling and spectrogram are this project's, so that the scores can be compared. {name: [views x crops, ...]}.
    """
    with VideoReader(path) as reader:
        begin, end = reader.video.start, reader.video.end
    samples = []
    for start in clips.view_starts(begin, end, settings.duration, settings.num_views):
        times = clips.frame_times(start, settings.num_frames, settings.sampling_rate, settings.target_fps)
        for crop in range(settings.num_crops):
            with VideoReader(path) as reader:
                frames, instants = [], []
                for instant, frame in reader.iter_frames(start):
                    geometry = transforms.only_scale(settings.test_crop)(frame.height, frame.width)
                    instants.append(instant)
                    frames.append(Scaler().convert(frame, geometry.size))
                    if instants[-1] > times[-1] + 1 / settings.target_fps:
                        break
                clip = np.stack([frames[int(np.argmin(np.abs(np.array(instants) - t)))] for t in times])
                fast = transforms.to_tensor(
                    transforms.spatial_crops(clip, settings.test_crop, settings.num_crops)[crop]
                )
                a = settings.audio
                sound, _ = reader.read_audio(
                    *clips.audio_span(start, settings.duration, a.num_frames, a.window, a.step), a.sample_rate
                )
            slow = fast[:, torch.from_numpy(clips.slow_indices(settings.num_frames, settings.alpha))]
            samples.append({"slow": slow, "fast": fast, "audio": a.front_end(torch.from_numpy(sound))})
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


@torch.no_grad()
def usual_scores(model, inputs, max_clips):
    """Scores of views as `usual_views` gives them; each has its own sound, which goes through the network for it alone. [views x crops, K]."""
    count = len(inputs["fast"])
    return torch.cat(
        [model({n: v[i : i + max_clips] for n, v in inputs.items()})["scores"] for i in range(0, count, max_clips)]
    )
