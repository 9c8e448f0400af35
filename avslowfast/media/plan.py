"""Which packets of a video are decoded for the frames that are wanted: no more than the codec needs."""

from collections.abc import Iterator, Sequence

from av.packet import Packet

# Containers that store when each frame is shown, and whose packets hold whole frames.
_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
# Decoders that leave out what NONREF says, and nothing else. Those of AV1 do not: a neighbour comes instead.
_DECODERS = frozenset({"h264", "hevc", "vp8", "vp9", "mpeg4", "mjpeg", "prores", "png"})
# More than this is not kept while the packets of a clip are looked through, bytes.
MAX_BYTES = 16 * 2**20


def is_exact(container: str, decoder: str) -> bool:
    """Whether frames may be left out by plan; everything else is decoded straight through.

    The pairs are those of which the matrix of rendered files in the tests proves that no frame is another than in
    decoding all of them.

    Args:
        container: FFmpeg's name of the container format, e.g. "matroska,webm".
        decoder: FFmpeg's name of the decoder, e.g. "h264".
    """
    return container in _CONTAINERS and decoder in _DECODERS


def shown_stamps(packets: Sequence[Packet]) -> list[int]:
    """Time stamps of the frames that are shown, ascending; an edit list may take out some."""
    return sorted({packet.pts for packet in packets if packet.pts is not None and not packet.is_discard})


def needed_packets(packets: Sequence[Packet], wanted: set[int]) -> Iterator[Packet | None]:
    """Packets of the groups of pictures that hold a wanted time stamp.

    Then None, which makes the decoder give the frames that it still holds.

    Args:
        packets: From a key frame on, in decoding order.
        wanted: Time stamps of frames.
    """
    groups: list[list[Packet]] = []
    for packet in packets:
        if packet.is_keyframe or not groups:
            groups.append([])
        groups[-1].append(packet)
    # What comes after the last wanted frame of a group, in decoding order, is not needed.
    last = [max((i + 1 for i, packet in enumerate(group) if packet.pts in wanted), default=0) for group in groups]
    for i, group in enumerate(groups[1:], 1):
        # Frames that are shown before their group's key frame may refer to the group before.
        key = group[0].pts
        if any(p.pts in wanted and p.pts is not None and key is not None and p.pts < key for p in group):
            last[i - 1] = len(groups[i - 1])
    yield from (packet for group, count in zip(groups, last) for packet in group[:count])
    yield None
