"""The small U-Net that the RadiologyNET study pretrained by reconstruction (radiologynet2025 1.12).

Own, and not a library's: it must have the published 117,715 parameters.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlkit.models.heads import TransferModel
from tlkit.models.parts import fit, in_float32, initial_weights

WIDTHS = (16, 32, 64)  # fine to coarse


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Return 3x3 convolution, ReLU, BatchNorm, twice: the published order, with biases."""
    layers = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers)


class VanillaUNet(nn.Module):
    """The whole U-Net but its last 1x1 convolution: what reconstruction pretrains and another task takes over.

    `maps`: float [B,3,H,W] -> [B,16,H,W], any H and W from 4 pixels on. As an encoder it gives the global mean of
    its coarsest map, [B,64]. Freezing it freezes both ways, down and up.
    """

    num_features = WIDTHS[-1]

    def __init__(self, channels: int = 3):
        super().__init__()
        self.down = nn.ModuleList(double_conv(i, o) for i, o in pairwise((channels, *WIDTHS)))
        pairs = list(pairwise(WIDTHS[::-1]))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in pairs)
        self.up = nn.ModuleList(double_conv(2 * o, o) for _, o in pairs)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_intermediates(x)[-1].mean((-2, -1))

    def forward_intermediates(self, x: Tensor, intermediates_only: bool = True) -> list[Tensor]:
        """Return the maps of the way down, fine to coarse, by timm's name: 16, 32 and 64 channels at 1, 1/2, 1/4."""
        found = [self.down[0](x)]
        for block in self.down[1:]:
            found.append(block(F.avg_pool2d(found[-1], 2)))
        return found

    def maps(self, x: Tensor) -> Tensor:
        """Return the maps [B,16,H,W] at the end of the way up, which the head segments."""
        *skips, y = self.forward_intermediates(x)
        for grow, up in zip(self.grow, self.up, strict=True):
            skip = skips.pop()
            y = up(torch.cat([skip, fit(grow(y), skip)], dim=1))
        return y

    def segmenter(self, classes: int, seed: int | None = None) -> VanillaSegmenter:
        """Return the segmentation network that this encoder brings: `models.segmenter` asks for it."""
        return VanillaSegmenter(self, classes, seed)


class VanillaSegmenter(TransferModel):
    """A `VanillaUNet` with a 1x1 convolution: float [B,3,H,W] -> logits [B,classes,H,W]."""

    def __init__(self, encoder: VanillaUNet, classes: int, seed: int | None = None):
        with initial_weights(seed):
            head = nn.Conv2d(WIDTHS[0], classes, 1)
        super().__init__(encoder, head)

    def forward(self, x: Tensor) -> Tensor:
        return in_float32(self.head, self.encoder.maps(x))
