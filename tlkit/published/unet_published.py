"""The encoder-decoder U-Nets of the RadiologyNET study, layer by layer (radiologynet2025 2.5).

Heavier than ours by far: the decoder keeps the widths of the encoder, and the last block takes the raw image as its
skip, so that it works with three channels. Kept to reproduce the published arms; the clean default is `unet.UNet`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tlkit.models.backbones import NoPyramidError, pyramid, pyramid_levels, stages
from tlkit.models.heads import TransferModel
from tlkit.models.parts import eval_mode, fit, in_float32, initial_weights


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Return 3x3 convolution, BatchNorm, ReLU, twice, with biases."""
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class PublishedBlock(nn.Module):
    """Bring the map to the skip's width and size, join the skip, convolve twice.

    As published it always has both ways up: `grow` where the sizes differ, `same` where they do not. The one that is
    not used counts as parameters, but does not learn.
    """

    def __init__(self, inputs: int, skip: int, larger: bool):
        super().__init__()
        self.grow = nn.ConvTranspose2d(inputs, skip, 2, stride=2)
        self.same = nn.Conv2d(inputs, skip, 1)
        self.conv = double_conv(2 * skip, skip)
        self.larger = larger
        (self.same if larger else self.grow).requires_grad_(False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.grow(x) if self.larger else self.same(x)
        return self.conv(torch.cat([fit(x, skip), skip], dim=1))


def published_maps(encoder: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the skips that the study took, fine to coarse, the raw image [B,3,H,W] first.

    ResNet: after the first ReLU and layer1 to layer4. VGG: before each max-pool, the last pool left out.
    EfficientNet (torchvision's): every one of the nine stages, also where the size stays. Others: `pyramid`.
    """
    kind = type(encoder).__name__
    if kind == "VGG":
        return [x, *pyramid(encoder, x)[:-1]]
    if kind == "EfficientNet" and hasattr(encoder, "features"):
        return [x, *stages(encoder, x)]
    return [x, *pyramid(encoder, x)]


class PublishedUNet(TransferModel):
    """Float [B,3,H,W] -> logits [B,classes,H,W]; parts `.encoder`, `.bridge`, `.decoder`, `.head`.

    Decoder and bridge have 185.4 and 75.5 million parameters on a ResNet-50, 20.0 and 4.7 on a VGG-16, 116.4
    and 57.8 on an EfficientNet-B4. `seed` decides the weights of all but the encoder. Published with one class
    and a sigmoid; here logits, of any number. Raises NoPyramidError. Source: radiologynet2025 2.5.
    """

    def __init__(self, encoder: nn.Module, classes: int, seed: int | None = None, size: int = 64):
        skips = _skips(encoder, size)[::-1]
        incoming = skips[:1] + skips[:-1]  # of each block: the bridge, then the block before
        with initial_weights(seed):
            bridge = double_conv(skips[0][0], skips[0][0])
            blocks = [
                PublishedBlock(i, o, large > small) for (i, small), (o, large) in zip(incoming, skips, strict=True)
            ]
            head = nn.Conv2d(skips[-1][0], classes, 1)
        super().__init__(encoder, head)
        self.bridge = bridge
        self.decoder = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        skips = published_maps(self.encoder, x)
        y = self.bridge(skips[-1])
        for block in self.decoder:
            y = block(y, skips.pop())
        return in_float32(self.head, y)


def _skips(encoder: nn.Module, size: int) -> list[tuple[int, int]]:
    """Return (channels, pixels) of each of `published_maps` for an image of `size` pixels."""
    pyramid_levels(encoder, size)  # raises where the maps do not halve
    first = next(encoder.parameters())
    with torch.no_grad(), eval_mode(encoder):
        found = published_maps(encoder, torch.zeros(1, 3, size, size, device=first.device, dtype=first.dtype))
    skips = [(m.shape[1], m.shape[-1]) for m in found]
    if skips[0][1] > 2 * skips[1][1]:
        raise NoPyramidError(
            f"the first map of {type(encoder).__name__} has {skips[1][1]} pixels on a side for an image of {size}; the "
            "published U-Net needs the whole or half. Take a ResNet, VGG or EfficientNet, or decoder='unet'."
        )
    return skips
