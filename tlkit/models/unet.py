"""A U-Net on any convolutional encoder, and the choice between it and the published ones.

Own, and not segmentation_models_pytorch: the published decoder is exact to the parameter (jonske2025 3.2),
and the encoder must stay the very module, with the very keys, that was pretrained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tlkit import plugins
from tlkit.config import ConfigError
from tlkit.models.backbones import pyramid, pyramid_levels
from tlkit.models.heads import TransferModel
from tlkit.models.parts import fit, in_float32, initial_weights


class DecoderBlock(nn.Module):
    """Double the map by a 4x4 transposed convolution, join the skip, convolve once."""

    def __init__(self, inputs: int, skip: int, outputs: int):
        super().__init__()
        doubled = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.up = nn.Sequential(doubled, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
        self.conv = nn.Sequential(
            nn.Conv2d(outputs + skip, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.up(x)
        if skip is not None:
            x = torch.cat([fit(x, skip), skip], dim=1)
        return self.conv(x)


class UNet(TransferModel):
    """Float [B,3,H,W] -> logits [B,classes,H,W], any H and W; parts `.encoder`, `.decoder`, `.head`.

    `widths`: output channels of each decoder block, coarse to fine; by default halved from a quarter of the
    encoder's last width (at most 256) down to 16, which for ResNet-50 is the published 256, 128, 64, 32, 16.
    `seed` decides the initial weights of decoder and head. Raises NoPyramidError. Source: jonske2025 3.2.
    """

    def __init__(
        self,
        encoder: nn.Module,
        classes: int,
        widths: Sequence[int] | None = None,
        seed: int | None = None,
    ):
        levels = pyramid_levels(encoder)
        channels = [c for c, _ in levels]
        skips = [*channels[-2::-1], *[0] * int(math.log2(levels[0][1]))]
        widths = tuple(widths) if widths else default_widths(channels[-1], len(skips))
        if len(widths) != len(skips):
            raise ValueError(f"this encoder needs {len(skips)} decoder widths, not {len(widths)}: {widths}")
        inputs = [channels[-1], *widths[:-1]]
        with initial_weights(seed):
            blocks = [DecoderBlock(i, s, o) for i, s, o in zip(inputs, skips, widths, strict=True)]
            head = nn.Conv2d(widths[-1], classes, 1)
        super().__init__(encoder, head)
        self.decoder = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        *skips, y = pyramid(self.encoder, x)
        for block in self.decoder:
            y = block(y, skips.pop() if skips else None)
        return fit(in_float32(self.head, y), x)


def default_widths(last: int, blocks: int) -> tuple[int, ...]:
    """Return decoder widths for an encoder whose coarsest map has `last` channels."""
    return tuple(max(16, min(256, last // 4) >> k) for k in range(blocks))


DECODERS = {"unet": UNet, "published": "tlkit.published.unet_published:PublishedUNet"}


def segmenter(encoder: nn.Module, classes: int, decoder: str = "unet", seed: int | None = None) -> TransferModel:
    """Return the segmentation network on `encoder`, the same module: float [B,3,H,W] -> logits [B,classes,H,W].

    decoder="unet": `UNet`; "published": that of the RadiologyNET study, see published.unet_published. The backbone
    "unet" brings its own decoder, pretrained or not, and gets a new head only. `seed` decides what is new.
    Raises UnknownNameError, ConfigError for a second decoder on "unet", NoPyramidError.
    """
    build = plugins.find(decoder, DECODERS, "decoder")
    if not hasattr(encoder, "segmenter"):
        return build(encoder, classes, seed=seed)
    if decoder != "unet":
        raise ConfigError(f"decoder='{decoder}' with backbone 'unet', which has its own; say decoder='unet'.")
    return encoder.segmenter(classes, seed)


def reconstructor(encoder: nn.Module, channels: int = 3, seed: int | None = None) -> TransferModel:
    """Return a network that learns to give its input back: float [B,3,H,W] in [0,1] -> [B,channels,H,W] in (0,1).

    The segmentation network with a sigmoid behind its head; on the backbone "unet" with three channels it is the
    published one of 117,715 parameters. What another task takes over is `.encoder`. Source: radiologynet2025 1.12.
    """
    model = segmenter(encoder, channels, seed=seed)
    model.head = nn.Sequential(model.head, nn.Sigmoid())
    return model
