"""Random numbers that belong to a sample: a pure function of seed, epoch, sample and name.

A batch of samples is drawn for at once, on their device, and each sample gets the numbers that it
would get alone, in any batch, on any rank or device. Two draws are independent if their names
differ. Integers and uniform numbers are the same bits on the CPU and on CUDA; what goes through a
logarithm or cosine may differ in the last.
"""

import hashlib
import math

import torch

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def _signed(value: int) -> int:
    """The 64 bits of a number as torch's int64, whose products wrap."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shifted(bits: torch.Tensor, count: int) -> torch.Tensor:
    """Shift right and fill with zeros; torch's own shift fills with the sign."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _mixed(bits: torch.Tensor) -> torch.Tensor:
    """Spread a change of any bit over all of them.

    Source:
        Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014:
        the finaliser of SplitMix64 (variant 13 of Stafford).
    """
    bits = (bits ^ _shifted(bits, 30)) * _signed(_FIRST)
    bits = (bits ^ _shifted(bits, 27)) * _signed(_SECOND)
    return bits ^ _shifted(bits, 31)


class Draws:
    """The random numbers of the samples of a batch.

    Args:
        seed: of the run.
        epoch: which pass over the samples.
        sample_N: (N,) int64, what each sample is known by, on the device to draw on.

    >>> alone = Draws(0, 1, torch.tensor([7])).uniform("shift", 2)
    >>> among = Draws(0, 1, torch.tensor([3, 7])).uniform("shift", 2)
    >>> bool((alone[0] == among[1]).all())
    True
    """

    def __init__(self, seed: int, epoch: int, sample_N: torch.Tensor) -> None:
        self.sample_N = sample_N
        run = _mixed(torch.tensor(_signed(seed * _GOLDEN + epoch * _FIRST + 1)))
        self._state_N = _mixed(sample_N.long() * _signed(_GOLDEN) + int(run))

    def __len__(self) -> int:
        return len(self.sample_N)

    def _bits(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        state_N1 = _mixed(self._state_N ^ _signed(key))[:, None]
        count = math.prod(shape)
        step = torch.arange(1, count + 1, device=self.sample_N.device) * _signed(_GOLDEN)
        return _mixed(state_N1 + step).reshape(-1, *shape)

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Evenly spread numbers.

        Args:
            name: of the draw; another name gives other numbers.
            shape: of what one sample gets; none for one number each.
            low: least.
            high: never reached.

        Returns:
            (N, *shape) float32 in [low, high), of 24 random bits.
        """
        share = _shifted(self._bits(name, shape), 40).float() * 2.0**-24
        return share if (low, high) == (0.0, 1.0) else low + (high - low) * share

    def integers(self, name: str, *shape: int, low: int = 0, high: int) -> torch.Tensor:
        """Whole numbers, (N, *shape) int64 in [low, high), each as likely to within 2**-24.

        >>> Draws(0, 0, torch.arange(3)).integers("tile", high=1).tolist()
        [0, 0, 0]
        """
        bits = _shifted(self._bits(name, shape), 32)
        return low + ((bits * (high - low)) >> 32)

    def chance(self, name: str, *shape: int, p: float) -> torch.Tensor:
        """(N, *shape) bool, each true with probability p."""
        return self.uniform(name, *shape) < p

    def normal(self, name: str, *shape: int) -> torch.Tensor:
        """(N, *shape) float32 of mean 0 and standard deviation 1 (Box and Muller, 1958)."""
        pair = self.uniform(name, 2, *shape)
        radius = torch.sqrt(-2.0 * torch.log1p(-pair[:, 0]))
        return radius * torch.cos((2.0 * math.pi) * pair[:, 1])

    def beta(self, name: str, *shape: int, alpha: float) -> torch.Tensor:
        """(N, *shape) float32 of the distribution Beta(alpha, 1): a uniform number to 1/alpha."""
        return self.uniform(name, *shape) ** (1.0 / alpha)
