"""How fast GPUs could compute at most: the makers' figures for dense products, in TFLOP/s."""

import re

import torch

# {pattern of torch.cuda.get_device_name: {kind of number: TFLOP/s}}; the first one that fits counts. Dense figures:
# where a data sheet names those with sparsity alone, half of them. "float32" is without tensor cores, "tf32" what
# float32 products take with AMP.TF32; a card without an entry computes that kind as float32.
_PEAKS: tuple[tuple[str, dict[str, float]], ...] = (
    # NVIDIA HGX B200 data sheet, per GPU.
    (r"\bB200\b", {"bfloat16": 2250, "float16": 2250, "tf32": 1125, "float32": 75}),
    # NVIDIA H200 and H100 data sheets: NVL, PCIe, SXM (H200, GH200 and H100 compute alike).
    (r"\bH[12]00 NVL\b", {"bfloat16": 835.5, "float16": 835.5, "tf32": 417.5, "float32": 60}),
    (r"\bH100 PCIe\b", {"bfloat16": 756, "float16": 756, "tf32": 378, "float32": 51}),
    (r"\bG?H[12]00\b", {"bfloat16": 989.5, "float16": 989.5, "tf32": 494.5, "float32": 67}),
    # NVIDIA A100, A40, A30, A10 data sheets; the A10G's as AWS gives them for its G5 machines.
    (r"\bA(100|800)\b", {"bfloat16": 312, "float16": 312, "tf32": 156, "float32": 19.5}),
    (r"\bA40\b", {"bfloat16": 149.7, "float16": 149.7, "tf32": 74.8, "float32": 37.4}),
    (r"\bA30\b", {"bfloat16": 165, "float16": 165, "tf32": 82, "float32": 10.3}),
    (r"\bA10G\b", {"bfloat16": 70, "float16": 70, "tf32": 35, "float32": 31.5}),
    (r"\bA10\b", {"bfloat16": 125, "float16": 125, "tf32": 62.5, "float32": 31.2}),
    # NVIDIA L40S, L40 and L4 data sheets.
    (r"\bL40S\b", {"bfloat16": 362, "float16": 362, "tf32": 183, "float32": 91.6}),
    (r"\bL40\b", {"bfloat16": 181, "float16": 181, "tf32": 90.5, "float32": 90.5}),
    (r"\bL4\b", {"bfloat16": 121, "float16": 121, "tf32": 60, "float32": 30.3}),
    # NVIDIA V100 and T4 data sheets: tensor cores for float16 alone.
    (r"\bV100-PCIE\b", {"float16": 112, "float32": 14}),
    (r"\bV100-SXM\d?\b", {"float16": 125, "float32": 15.7}),
    (r"\bT4\b", {"float16": 65, "float32": 8.1}),
    # NVIDIA Ada and Ampere (GA102) architecture white papers; 16-bit products summed in float32.
    (r"\bRTX 6000 Ada\b", {"bfloat16": 364, "float16": 364, "tf32": 182, "float32": 91}),
    (r"\bRTX A6000\b", {"bfloat16": 154.8, "float16": 154.8, "tf32": 77.4, "float32": 38.7}),
    (r"\bRTX 4090\b(?! (D|Laptop))", {"bfloat16": 165.2, "float16": 165.2, "tf32": 82.6, "float32": 82.6}),
    (r"\bRTX 3090\b(?! (Ti|Laptop))", {"bfloat16": 71, "float16": 71, "tf32": 35.6, "float32": 35.6}),
)


def peak_flops(name: str, kind: str) -> float | None:
    """The most floating-point operations per second that a card can do; None for one that is not in the table.

    Args:
        name: As `torch.cuda.get_device_name` gives it.
        kind: bfloat16 | float16 | tf32 | float32.
    """
    rates = next((rates for pattern, rates in _PEAKS if re.search(pattern, name)), None)
    if rates is None or (kind == "bfloat16" and kind not in rates):
        # Cards without bfloat16 units emulate it, at no rate that a data sheet names.
        return None
    return 1e12 * rates.get(kind, rates["float32"])


def peak_flops_of(device: torch.device, kind: str) -> float | None:
    """The same for a device; None for a CPU.

    Args:
        device: Any.
        kind: bfloat16 | float16 | tf32 | float32.
    """
    return peak_flops(torch.cuda.get_device_name(device), kind) if device.type == "cuda" else None
