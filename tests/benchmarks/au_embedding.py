"""The AU embedding of equation 2 as a sum over taps and as written: milliseconds and agreement.

    python tests/benchmarks/au_embedding.py --images 4 --rounds 10
    python tests/benchmarks/au_embedding.py --device cuda --images 32 --dtype bfloat16

The paper's sizes: 728 channels, 15 units, 14x14. On the CPU it runs on one thread; times are CPU
seconds of the process there, and include the backward pass where said. Best and median of the
rounds, of which both forms take turns.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.models.au_embedding import AuEmbedding, literal, tap_sum

FORMS: dict[str, Callable[..., Tensor]] = {"literal": literal, "tap_sum": tap_sum}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--channels", type=int, default=728)
    parser.add_argument("--units", type=int, default=15)
    parser.add_argument("--side", type=int, default=14)
    parser.add_argument("--images", type=int, default=1, help="images at once")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(options.device)
    shape = (options.images, options.channels, options.side, options.side)
    features_NCHW = torch.randn(shape, device=device).requires_grad_()
    mask_NKHW = torch.rand(options.images, options.units, options.side, options.side, device=device)
    conv = AuEmbedding(options.channels).to(device).conv
    assert conv.bias is not None

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def precision() -> contextlib.AbstractContextManager[object]:
        half = options.dtype == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16) if half else contextlib.nullcontext()

    def forward(form: Callable[..., Tensor]) -> Tensor:
        with precision():
            return form(features_NCHW, mask_NKHW, conv.weight, conv.bias)

    def backward(form: Callable[..., Tensor]) -> None:
        forward(form).sum().backward()

    with torch.no_grad():
        one, other = forward(tap_sum), forward(literal)
    difference = float((one - other).abs().max() / other.abs().max())
    print(f"{options.device} {options.dtype}, {options.images} x {shape[1:]}, ", end="")
    print(f"{options.units} units; largest difference over largest value: {difference:.1e}")
    print(f"{'pass':<24}{'form':<10}{'best ms':>10}{'median ms':>10}{'times':>8}")
    for name, run in (("forward", forward), ("forward and backward", backward)):
        spent: dict[str, list[float]] = {form: [] for form in FORMS}
        for number in range(options.rounds + 1):
            for form, function in FORMS.items():
                start = clock()
                with torch.set_grad_enabled(run is backward):
                    run(function)
                if number:
                    spent[form].append(1e3 * (clock() - start))
        for form, ms in spent.items():
            best, median = min(ms), statistics.median(ms)
            times = statistics.median(spent["literal"]) / median
            print(f"{name:<24}{form:<10}{best:>10.2f}{median:>10.2f}{times:>8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
