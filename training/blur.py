"""Gaussian blurs with a width of their own for each picture of a batch, as matrix products.

A Gaussian is separable, and along one axis it is a matrix; so is a change of size. With one matrix
a picture and axis a batch takes two products, whatever the widths are.

Letters: N pictures, C channels, H W rows and columns, I positions made, J positions read.
"""

import torch


def gaussian_blur(
    image_NCHW: torch.Tensor, sigma_N: torch.Tensor, radius_N: torch.Tensor | None = None
) -> torch.Tensor:
    """Blur each picture by its own width; beyond the border it is mirrored about its last pixel.

    Args:
        image_NCHW: (N, C, H, W) float.
        sigma_N: (N,) standard deviation in pixels; 0 leaves the picture as it is.
        radius_N: (N,) where the kernel ends, in pixels, such as (size - 1) / 2 of a kernel of
            OpenCV's; None takes 4 sigma. At most H - 1 and W - 1 are used.

    Returns:
        (N, C, H, W), of the dtype of the picture.

    >>> spike = torch.zeros(1, 1, 1, 5).index_fill(3, torch.tensor(2), 1.0)
    >>> gaussian_blur(spike.expand(1, 1, 5, 5), torch.tensor([0.5]))[0, 0, 0].round(decimals=3)
    tensor([0.0010, 0.1060, 0.7870, 0.1060, 0.0010])
    """
    height, width = image_NCHW.shape[-2:]
    rows_NHH = _mirrored_kernels(sigma_N, radius_N, height).to(image_NCHW.dtype)
    columns_NWW = (
        rows_NHH
        if height == width
        else _mirrored_kernels(sigma_N, radius_N, width).to(image_NCHW.dtype)
    )
    return separable(image_NCHW, rows_NHH, columns_NWW)


def separable(
    image_NCHW: torch.Tensor, rows_NIH: torch.Tensor, columns_NIW: torch.Tensor
) -> torch.Tensor:
    """Apply one matrix to the columns of each picture and one to its rows.

    Args:
        image_NCHW: (N, C, H, W) float.
        rows_NIH: (N, I, H) makes I rows of H.
        columns_NIW: (N, K, W) makes K columns of W.

    Returns:
        (N, C, I, K).
    """
    count, channels, height, width = image_NCHW.shape
    across = image_NCHW.reshape(count, channels * height, width) @ columns_NIW.mT
    return rows_NIH[:, None] @ across.view(count, channels, height, columns_NIW.shape[1])


def gaussian_resampling(sigma_N: torch.Tensor, size_from: int, size_to: int) -> torch.Tensor:
    """Matrices that change the size and blur, at once, of what lies on the same square.

    Weights are normalised, so what lies beyond the border does not count.

    Args:
        sigma_N: (N,) standard deviation over one pixel that is read. Below about 0.4 the weights
            turn to those of the nearest pixel.
        size_from: pixels read, J.
        size_to: pixels made, I.

    Returns:
        (N, I, J) float32, each row of sum 1.

    >>> gaussian_resampling(torch.tensor([0.5]), 4, 2).round(decimals=2)
    tensor([[[0.5000, 0.5000, 0.0100, 0.0000],
             [0.0000, 0.0100, 0.5000, 0.5000]]])
    """
    made_I1, read_J = _places(sigma_N, size_from, size_to)
    weight_NIJ = _gaussian(made_I1 - read_J, sigma_N)
    return weight_NIJ / weight_NIJ.sum(-1, keepdim=True)


def linear_resampling(like: torch.Tensor, size_from: int, size_to: int) -> torch.Tensor:
    """The matrix of linear interpolation of what lies on the same line, its ends held.

    Args:
        like: gives the device.
        size_from: pixels read, J.
        size_to: pixels made, I; not fewer.

    Returns:
        (I, J) float32, each row of sum 1.

    >>> linear_resampling(torch.empty(0), 2, 4)
    tensor([[1.0000, 0.0000],
            [0.7500, 0.2500],
            [0.2500, 0.7500],
            [0.0000, 1.0000]])
    """
    made_I1, read_J = _places(like, size_from, size_to)
    return (1.0 - (made_I1.clamp(0.0, size_from - 1.0) - read_J).abs()).clamp_(min=0.0)


def _places(like: torch.Tensor, size_from: int, size_to: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(I, 1) where pixels are made and (J,) where they are read, in pixels that are read."""
    made_I = (torch.arange(size_to, device=like.device) + 0.5) * (size_from / size_to) - 0.5
    return made_I[:, None], torch.arange(size_from, device=like.device, dtype=torch.float32)


def _mirrored_kernels(
    sigma_N: torch.Tensor, radius_N: torch.Tensor | None, size: int
) -> torch.Tensor:
    """(N, size, size) the blur along one axis: a pixel counts at its place and where mirrored."""
    at = torch.arange(size, device=sigma_N.device, dtype=torch.float32)
    read_J, made_I1 = at, at[:, None]
    radius_N = 4.0 * sigma_N if radius_N is None else radius_N
    radius_N11 = (radius_N.clamp_max(size - 1.0) + 1e-3)[:, None, None]

    def weight(distance: torch.Tensor) -> torch.Tensor:
        return _gaussian(distance, sigma_N) * (distance.abs() <= radius_N11)

    before = weight(made_I1 + read_J) * (read_J > 0)
    behind = weight(2.0 * (size - 1) - made_I1 - read_J) * (read_J < size - 1)
    weight_NIJ = weight(made_I1 - read_J) + before + behind
    return weight_NIJ / weight_NIJ.sum(-1, keepdim=True)


def _gaussian(distance: torch.Tensor, sigma_N: torch.Tensor) -> torch.Tensor:
    precision_N11 = (0.5 / sigma_N.float().clamp_min(1e-3) ** 2)[:, None, None]
    return torch.exp(-(distance**2) * precision_N11)
