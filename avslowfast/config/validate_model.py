"""Checks of the network's geometry: channels, frames, spectrogram steps and classifiers have to fit together."""

from .derived import alpha, Cfg, is_audiovisual, needed_head, nonlocal_blocks, pathways, per_pathway, slow_frames
from .errors import refuse
from .names import LATERALS, NUM_BLOCKS, STAGES, TRANSFORMS

# How often audio time and frequency are halved up to each stage, with SLOWFAST.AU_REDUCE_TF_DIM.
_HALVINGS = {"pool1": 0, "res2": 0, "res3": 1, "res4": 2, "res5": 3}
_LATERAL_STAGES = STAGES[:-1]
# Height and width of the network's input over those of res5.
_SPATIAL_STRIDE = 32
# Channels of res2's 3x3 convolutions; res5 has eight times as many.
_MOST_CHANNELS = 4096
# Seconds of a clip.
_LONGEST_CLIP = 600


def check_model(cfg: Cfg) -> None:
    """Check the keys that decide the network.

    Args:
        cfg: The configuration.

    Raises:
        ConfigError: The first thing that cannot work.
    """
    _check_pathways(cfg)
    _check_resnet(cfg)
    _check_duration(cfg)
    if "slow" in pathways(cfg):
        _check_frames(cfg)
        _check_visual_stages(cfg)
        _check_nonlocal(cfg)
    if "audio" in pathways(cfg):
        _check_spectrogram(cfg)
    if is_audiovisual(cfg):
        _check_audio_use(cfg)
        _check_audio_time(cfg)
    _check_classifiers(cfg)


def _check_resnet(cfg: Cfg) -> None:
    r = cfg.RESNET
    if r.DEPTH not in TRANSFORMS.facts(r.TRANS_FUNC).depths:
        usual = next(name for name in TRANSFORMS if r.DEPTH in TRANSFORMS.facts(name).depths)
        refuse(cfg, "RESNET.TRANS_FUNC", f"a ResNet of depth {r.DEPTH} has another block", f"set it to {usual}")
    if r.WIDTH_PER_GROUP * r.NUM_GROUPS > _MOST_CHANNELS:
        problem = f"with RESNET.WIDTH_PER_GROUP {r.WIDTH_PER_GROUP} the network does not fit into memory"
        refuse(cfg, "RESNET.NUM_GROUPS", problem, f"use {_MOST_CHANNELS // r.WIDTH_PER_GROUP} or fewer")
    for key, pathway in (("BETA_INV", "fast"), ("AU_BETA_INV", "audio")):
        beta = cfg.SLOWFAST[key]
        if pathway in pathways(cfg) and r.WIDTH_PER_GROUP % beta:
            problem = f"Slow's {r.WIDTH_PER_GROUP} channels cannot be divided by it"
            refuse(cfg, f"SLOWFAST.{key}", problem, "change it or RESNET.WIDTH_PER_GROUP")


def _check_frames(cfg: Cfg) -> None:
    d = cfg.DATA
    for key in ("TRAIN_CROP_SIZE", "TEST_CROP_SIZE"):
        if d[key] < _SPATIAL_STRIDE:
            problem = f"the network divides height and width by {_SPATIAL_STRIDE}"
            refuse(cfg, f"DATA.{key}", problem, f"use {_SPATIAL_STRIDE} or more")
    scales = d.TRAIN_JITTER_SCALES
    if scales[0] > scales[1]:
        refuse(cfg, "DATA.TRAIN_JITTER_SCALES", "not a range", "give [smallest, largest] short side in pixels")
    if scales[0] < d.TRAIN_CROP_SIZE:
        problem = f"a short side smaller than the crop of {d.TRAIN_CROP_SIZE} cannot be cropped"
        refuse(cfg, "DATA.TRAIN_JITTER_SCALES", problem, "raise the scales or lower DATA.TRAIN_CROP_SIZE")
    if d.NUM_FRAMES % alpha(cfg):
        problem = f"not a multiple of SLOWFAST.ALPHA ({alpha(cfg)}), so Slow has no whole number of frames"
        refuse(cfg, "DATA.NUM_FRAMES", problem, "change one of them")


def _check_pathways(cfg: Cfg) -> None:
    """A pathway of the package takes frames or a spectrogram; those of plugins take what they say."""
    for key in ("SLOW", "FAST"):
        if cfg.PATHWAY[key] == "audio":
            refuse(cfg, f"PATHWAY.{key}", "that pathway takes a spectrogram", f"set it to {key.lower()}")
    if cfg.PATHWAY.AUDIO in ("slow", "fast"):
        refuse(cfg, "PATHWAY.AUDIO", "that pathway takes frames", "set it to audio")


def _check_duration(cfg: Cfg) -> None:
    """The frames and the audio of one clip are in memory at once."""
    d = cfg.DATA
    seconds = d.NUM_FRAMES * d.SAMPLING_RATE / d.TARGET_FPS
    if seconds > _LONGEST_CLIP:
        problem = f"a clip of DATA.NUM_FRAMES {d.NUM_FRAMES} at DATA.TARGET_FPS {d.TARGET_FPS} would last {seconds:g} s"
        refuse(cfg, "DATA.SAMPLING_RATE", problem, f"lower it, so that a clip lasts {_LONGEST_CLIP} s at most")
    audio = d.AUDIO_FRAME_NUM * d.AUDIO_STEP_SZ / 1000
    if "audio" in pathways(cfg) and audio > _LONGEST_CLIP:
        problem = f"with DATA.AUDIO_STEP_SZ {d.AUDIO_STEP_SZ} the spectrogram of a clip would last {audio:g} s"
        refuse(cfg, "DATA.AUDIO_FRAME_NUM", problem, f"lower it, so that it lasts {_LONGEST_CLIP} s at most")


def _check_visual_stages(cfg: Cfg) -> None:
    """Frames have three channels; Slow and Fast have the same size at every stage, where they are joined."""
    visual = [name for name in pathways(cfg) if name != "audio"]
    channels = cfg.DATA.INPUT_CHANNEL_NUM
    if [per_pathway(channels, name) for name in visual] != [3] * len(visual):
        refuse(cfg, "DATA.INPUT_CHANNEL_NUM", "frames have 3 channels", f"use {[3] * len(visual)}")
    strides = cfg.RESNET.SPATIAL_STRIDES
    for stage, values in zip(STAGES[1:], strides):
        if len({per_pathway(values, name) for name in visual}) > 1:
            problem = f"Slow and Fast would differ in size at {stage}, where they are joined"
            refuse(cfg, "RESNET.SPATIAL_STRIDES", problem, "give both the same stride")


def _check_nonlocal(cfg: Cfg) -> None:
    """Non-local blocks follow blocks that exist, and their groups and pooling fit what they see."""
    n, cells = cfg.NONLOCAL, -(-cfg.DATA.TRAIN_CROP_SIZE // 4)
    for i, (stage, blocks) in enumerate(zip(STAGES[1:], NUM_BLOCKS[cfg.RESNET.DEPTH])):
        cells = -(-cells // per_pathway(cfg.RESNET.SPATIAL_STRIDES[i], "slow"))
        for name in (name for name in pathways(cfg) if name != "audio"):
            after = nonlocal_blocks(cfg, i, name)
            if not after:
                continue
            if max(after) >= blocks:
                problem = f"{stage} of a ResNet of depth {cfg.RESNET.DEPTH} has {blocks} blocks, from 0 to {blocks - 1}"
                refuse(cfg, "NONLOCAL.LOCATION", problem, "name blocks that exist")
            frames = slow_frames(cfg) if name == "slow" else cfg.DATA.NUM_FRAMES
            group = per_pathway(n.GROUP[i], name)
            if frames % group:
                problem = f"{frames} frames of the {name} pathway do not divide into {group} groups at {stage}"
                refuse(cfg, "NONLOCAL.GROUP", problem, "use a divisor, or 1")
            size = (frames // group, cells, cells)
            if any(pool > room for pool, room in zip(per_pathway(n.POOL[i], name), size)):
                problem = f"at {stage} the {name} pathway has only {size} positions (time, height, width) to pool"
                refuse(cfg, "NONLOCAL.POOL", problem, "use a smaller pool or a larger crop")


def _check_spectrogram(cfg: Cfg) -> None:
    d = cfg.DATA
    if d.AUDIO_SAMPLE_RATE * d.AUDIO_STEP_SZ % 1000 or d.AUDIO_SAMPLE_RATE * d.AUDIO_WIN_SZ % 1000:
        problem = f"window and step are not whole numbers of samples at {d.AUDIO_SAMPLE_RATE} Hz"
        refuse(cfg, "DATA.AUDIO_STEP_SZ", problem, "use the paper's 16000 Hz, 32 ms and 16 ms")
    bins = d.AUDIO_SAMPLE_RATE * d.AUDIO_WIN_SZ // 1000 // 2 + 1
    if bins < d.AUDIO_MEL_NUM:
        problem = f"the spectrum of a window of {d.AUDIO_WIN_SZ} ms at {d.AUDIO_SAMPLE_RATE} Hz has {bins} frequencies"
        refuse(cfg, "DATA.AUDIO_MEL_NUM", problem, f"use {bins} or fewer")


def _check_audio_use(cfg: Cfg) -> None:
    """Something has to use the audio pathway."""
    s = cfg.SLOWFAST
    if not (any(s.AFS_FUSION) or cfg.LATERAL.AUDIO_POOL5 or any(s.AVS_FLAG)):
        problem = "no lateral, no pool5 fusion and no synchronisation loss uses the audio pathway"
        refuse(cfg, "SLOWFAST.AFS_FUSION", problem, "switch one on, or use MODEL.ARCH slowfast")


def _check_audio_time(cfg: Cfg) -> None:
    """Audio steps have to divide into Slow's (or Fast's) frames at each stage where they meet."""
    s, steps, frames = cfg.SLOWFAST, cfg.DATA.AUDIO_FRAME_NUM, slow_frames(cfg)
    if s.AU_ALPHA * frames != steps:
        whole = steps % frames == 0
        remedy = f"set it to {steps // frames}" if whole else f"set DATA.AUDIO_FRAME_NUM to {s.AU_ALPHA * frames}"
        problem = f"{steps} spectrogram frames do not divide into Slow's {frames} frames that way"
        refuse(cfg, "SLOWFAST.AU_ALPHA", problem, remedy)
    laterals = dict(zip(STAGES, s.AFS_FUSION))
    for stage, compared in zip(STAGES, s.AVS_FLAG):
        fused = laterals.get(stage, False)
        stride = 2 ** _HALVINGS[stage] if s.AU_REDUCE_TF_DIM else 1
        if (compared or fused) and s.AU_ALPHA % stride:
            problem = f"audio time at {stage} ({steps // stride} steps) does not divide into Slow's {frames} frames"
            remedy = f"use a multiple of {stride}, or no audio lateral or synchronisation loss there"
            refuse(cfg, "SLOWFAST.AU_ALPHA", problem, remedy)
        per_frame = s.AU_ALPHA // stride
        if fused and LATERALS.facts(cfg.LATERAL.AUDIO).target == "fast" and per_frame % alpha(cfg):
            problem = (
                f"at {stage} audio has {per_frame} steps per Slow frame, which do not divide into Fast's {alpha(cfg)}"
            )
            remedy = "use earlier stages in SLOWFAST.AFS_FUSION, or more spectrogram frames (DATA.AUDIO_FRAME_NUM)"
            refuse(cfg, "LATERAL.AUDIO", problem, remedy)


def _check_classifiers(cfg: Cfg) -> None:
    m = cfg.MULTI_HEAD
    if not len(m.NAMES) == len(m.NUM_CLASSES) == len(m.LOSS_WEIGHTS):
        problem = f"there are {len(m.NUM_CLASSES)} class counts and {len(m.LOSS_WEIGHTS)} loss weights"
        refuse(cfg, "MULTI_HEAD.NAMES", problem, "give one of each per classifier")
    needed = needed_head(cfg)
    if cfg.MODEL.HEAD in ("single", "multi", "roi", "pretext") and needed != cfg.MODEL.HEAD:
        refuse(
            cfg, "MODEL.HEAD", "it does not fit the task and MULTI_HEAD.NAMES", f"set it to {needed}, or leave it out"
        )
