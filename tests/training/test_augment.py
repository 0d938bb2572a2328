from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import RandomResizedCrop, v2
from torchvision.transforms import functional as TF

from tlkit.config import UnknownNameError
from tlkit.training import augment_opencv, augment_torch
from tlkit.training.augment import AUGMENTS, JITTER, ORDERS, Augment, augment, draw, to_float

ENGINES = ["opencv", "torch"]
engines = pytest.mark.parametrize("engine", ENGINES)


def smooth(batch: int, size: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """uint8 images without hard edges, [B, size, size, channels] or, for one channel, [B, size, size]."""
    noise = torch.rand((batch, channels, 6, 6), generator=torch.Generator().manual_seed(seed))
    images = F.interpolate(noise, size=size, mode="bicubic", align_corners=False).clamp(0, 1)
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).squeeze(-1).contiguous()


def views_of(batch: int, size: int, **changes) -> dict[str, np.ndarray]:
    """Parameters that leave images as they are, apart from `changes`."""
    nothing = draw(Augment(), seed=0, epoch=0, index=torch.arange(batch), view=0, height=size, width=size)
    return nothing | {k: np.asarray(v) for k, v in changes.items()}


def apply(engine: str, images: torch.Tensor, views: dict, size: int, masks=None):
    if engine == "torch":
        return augment_torch.apply(to_float(images), masks, views, size)
    levels = torch.zeros(len(images)), torch.ones(len(images))
    return augment_opencv.apply(to_float(images), levels, masks, views, size)


def run(images, spec, engine="auto", index=None, **options):
    index = torch.arange(len(images)) if index is None else index
    return augment(images, spec, **{"seed": 0, "epoch": 0, "index": index, "engine": engine} | options)


# to_float


def test_to_float_of_bytes_grey_and_colour():
    images = smooth(2, 8)
    x = to_float(images)
    assert x.shape == (2, 3, 8, 8) and x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, images.permute(0, 3, 1, 2) / 255)
    assert to_float(images[..., 0]).shape == (2, 1, 8, 8)


def test_to_float_windows_hounsfield_units():
    hu = torch.tensor([[[-2000, -160, 40, 140, 240, 3000]]], dtype=torch.int16)
    assert to_float(hu, window=(40, 400)).flatten().tolist() == [0, 0, 0.5, 0.75, 1, 1]
    with pytest.raises(ValueError, match="window="):
        to_float(hu)


def test_to_float_minmax_stretches_each_image_and_bears_a_constant_one():
    hu = torch.tensor([[[-1000, 0, 1000]], [[5, 5, 5]]], dtype=torch.int16)
    assert to_float(hu, intensity="minmax").flatten().tolist() == [0, 0.5, 1, 0, 0, 0]


def test_to_float_refuses_other_types_and_names():
    with pytest.raises(ValueError, match=r"found torch\.int64"):
        to_float(torch.zeros((1, 2, 2), dtype=torch.int64))
    with pytest.raises(UnknownNameError, match="minmax"):
        to_float(smooth(1, 4), intensity="min-max")


# geometry


@engines
@pytest.mark.parametrize("channels", [1, 3])
def test_none_returns_the_input(engine, channels):
    images = smooth(3, 16, channels)
    x, masks = run(images, "none", engine)
    assert torch.equal(x, to_float(images).expand(-1, 3, -1, -1)) and masks is None
    assert x.is_contiguous(memory_format=torch.channels_last)


@engines
def test_none_windows_hounsfield_units(engine):
    hu = torch.randint(-1500, 1500, (2, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.int16)
    x, _ = run(hu, "none", engine, window=(40, 400))
    assert torch.equal(x, to_float(hu, window=(40, 400)).expand(-1, 3, -1, -1))
    x, _ = run(hu, "none", engine, intensity="minmax")
    assert torch.equal(x, to_float(hu, intensity="minmax").expand(-1, 3, -1, -1))


@engines
def test_a_window_cuts_before_the_interpolation(engine):
    images = torch.tensor([[[0, 255], [0, 255]]], dtype=torch.uint8)
    x, _ = run(images, "none", engine, window=(127.5, 51), size=4)
    assert x[0, 0, 0].tolist() == pytest.approx([0, 0.25, 0.75, 1])  # not the steep edge of a late cut


@engines
def test_flip_is_flip(engine):
    images = smooth(3, 16)
    x, masks = run(images, Augment(p_flip=1), engine, masks=images[..., 0])
    torch.testing.assert_close(x, to_float(images).flip(3), atol=1e-5, rtol=0)
    assert torch.equal(masks, images[..., 0].flip(2))


@engines
@pytest.mark.parametrize("size", [16, 40])
def test_a_known_crop_is_cut_and_then_interpolated(engine, size):
    images = smooth(2, 48)
    boxes = {16: [[3, 5, 16, 16], [9, 0, 8, 11]], 40: [[3, 5, 16, 12], [20, 8, 28, 40]]}
    views = views_of(2, 48, box=boxes[size])
    x, _ = apply(engine, images, views, size)
    for i, (top, left, h, w) in enumerate(views["box"]):
        cut = to_float(images)[i : i + 1, :, top : top + h, left : left + w]
        expected = F.interpolate(cut, size=(size, size), mode="bilinear", align_corners=False)
        torch.testing.assert_close(x[i : i + 1], expected, atol=2e-4, rtol=0)


@engines
@pytest.mark.parametrize("factor", [2, 3])
def test_shrinking_averages_areas(engine, factor):
    images = torch.randint(0, 256, (2, 24, 24), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    x, _ = run(images, "none", engine, size=24 // factor)
    torch.testing.assert_close(x[:, :1], F.avg_pool2d(to_float(images), factor), atol=1e-5, rtol=0)


@engines
def test_rotation_by_a_quarter_turn(engine):
    images = smooth(2, 15)
    x, masks = apply(engine, images, views_of(2, 15, angle=[90.0, 0.0]), 15, masks=images[..., 0])
    original, inner = to_float(images), slice(1, -1)
    turned = original[0].rot90(1, (1, 2))
    torch.testing.assert_close(x[0, :, inner, inner], turned[:, inner, inner], atol=1e-3, rtol=0)
    assert torch.equal(x[1], original[1])
    assert torch.equal(masks[0, 1:-1, 1:-1], images[0, ..., 0].rot90()[1:-1, 1:-1])


@engines
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["", "_published"]), st.integers(20, 44))
def test_masks_follow_images(engine, seed, variant, size):
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    masks = (((rows - 18) ** 2 + (columns - 11) ** 2) < 70).to(torch.uint8)[None].repeat(3, 1, 1)
    plain = replace(AUGMENTS["segmentation" + variant], p_colour=0, p_blur=0)
    x, m = run(masks * 255, plain, engine, seed=seed, masks=masks, size=size)
    assert m.dtype == torch.uint8 and set(m.unique().tolist()) <= {0, 1}
    inside, outside = x[:, 0] > 0.8, x[:, 0] < 0.2  # between them lies the interpolated edge
    assert (m[inside] == 1).float().mean() > 0.97 or not inside.any()
    assert (m[outside] == 0).float().mean() > 0.97


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 60), st.integers(8, 60))
def test_boxes_lie_inside_and_follow_scale_and_ratio(seed, height, width):
    spec = replace(AUGMENTS["simclr"], crop_scale=(0.2, 0.5))
    views = draw(spec, seed=seed, epoch=0, index=torch.arange(50), view=0, height=height, width=width)
    top, left, h, w = views["box"].T
    assert (top >= 0).all() and (left >= 0).all() and (top + h <= height).all() and (left + w <= width).all()
    side = np.sqrt(height * width)
    assert (h * w <= 0.5 * height * width + side).all()
    assert (np.minimum(h / height, w / width) > 0).all()


# colour, blur, sharpness


def jitter(engine, images, order=(0, 1, 2, 3), **factors):
    """Apply known factors to all images, in a known order of JITTER."""
    known = {name: np.full(len(images), value, np.float32) for name, value in factors.items()}
    some = np.ones(len(images), bool)
    return apply(engine, images, views_of(len(images), 12, colour=some, order=[order] * len(images), **known), 12)[0]


FACTORS = {"brightness": 1.7, "contrast": 1.6, "saturation": 1.8, "hue": -0.17}


@engines
@pytest.mark.parametrize(
    ("name", "factor"),
    [(n, f) for n in JITTER[:3] for f in (0.0, 0.6, 1.7)] + [("hue", f) for f in (-0.5, -0.2, -0.01, 0.1, 1 / 3, 0.5)],
)
def test_jitter_equals_torchvision(engine, name, factor):
    images = smooth(4, 12)
    expected = getattr(TF, f"adjust_{name}")(to_float(images), factor)
    torch.testing.assert_close(jitter(engine, images, **{name: factor}), expected, atol=2e-4, rtol=0)


@engines
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
def test_each_step_is_cut_before_the_next_in_any_order(engine, order):
    images = smooth(4, 12)
    expected = to_float(images)
    for step in order:
        name = JITTER[step]
        expected = getattr(TF, f"adjust_{name}")(expected, FACTORS[name])
    torch.testing.assert_close(jitter(engine, images, order, **FACTORS), expected, atol=1e-3, rtol=0)


@engines
def test_images_of_a_batch_have_orders_of_their_own(engine):
    images = smooth(1, 12).repeat(24, 1, 1, 1)
    known = {name: np.full(24, value, np.float32) for name, value in FACTORS.items()}
    views = views_of(24, 12, colour=np.ones(24, bool), order=ORDERS, **known)
    together = apply(engine, images, views, 12)[0]
    for i, order in enumerate(ORDERS):
        torch.testing.assert_close(together[i], jitter(engine, images[:1], order, **FACTORS)[0], atol=1e-6, rtol=0)
    assert len(together.flatten(1).round(decimals=3).unique(dim=0)) > 12


@engines
def test_jitter_of_a_part_of_a_turned_image(engine):
    images = smooth(1, 20)
    views = views_of(1, 20, angle=[90.0], box=[[3, 5, 12, 12]], colour=[True], order=[[0, 1, 2, 3]])
    plain = apply(engine, images, views, 12)[0]
    known = {name: np.array([value], np.float32) for name, value in FACTORS.items()}
    found = apply(engine, images, views | known, 12)[0]
    expected = plain
    for name, factor in FACTORS.items():
        expected = getattr(TF, f"adjust_{name}")(expected, factor)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@cache
def torchvision_views(name: str, channels: int) -> torch.Tensor:
    """Return what torchvision makes of each of 2,000 images."""
    images, look = smooth(2000, 12, channels), AUGMENTS[name]
    jitter = v2.RandomApply([v2.ColorJitter(look.brightness, look.contrast, look.saturation, look.hue)], look.p_colour)
    chain = v2.Compose([jitter, v2.RandomGrayscale(look.p_grey)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.stack([chain(image) for image in to_float(images)])


@engines
@pytest.mark.parametrize("name", ["simclr", "finetune", "finetune_published"])
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_distributed_as_in_torchvision(engine, name, channels):
    """2,000 images, each with draws of its own: values, image means, spreads and colourfulness."""
    look = replace(AUGMENTS[name], p_crop=0, p_flip=0, p_blur=0, p_sharpen=0, draw="image")
    images = smooth(2000, 12, channels)
    ours = run(images, look, engine)[0]
    theirs = torchvision_views(name, channels).expand_as(ours)
    measures = {
        "value": lambda x: x[:, :, ::3, ::3],
        "mean": lambda x: x.mean((1, 2, 3)),
        "spread": lambda x: x.std((1, 2, 3)),
        "colour": lambda x: (x.amax(1) - x.amin(1))[:, ::3, ::3],
    }
    for what, measure in measures.items():
        a, b = (measure(x).double().flatten().numpy() for x in (ours, theirs))
        limit = 0.02 if a.size > 10_000 else 0.06  # 2,000 against 2,000 differ by .06 once in 1,000
        assert stats.ks_2samp(a.round(4), b.round(4)).statistic < limit, what
    for edge in (0, 1):  # one clamp at the end left half as many again at 1
        at = [(x == edge).double().mean().item() for x in (ours, theirs)]
        assert at[0] == pytest.approx(at[1], abs=0.01)


@engines
def test_grey_equals_torchvision(engine):
    images = smooth(3, 12)
    expected = TF.rgb_to_grayscale(to_float(images), 3)
    torch.testing.assert_close(run(images, Augment(p_grey=1), engine)[0], expected, atol=1e-3, rtol=0)


@engines
def test_grey_images_get_brightness_and_contrast_only(engine):
    images = smooth(3, 12, channels=1) // 2 + 60
    spec = Augment(p_colour=1, p_grey=1, saturation=0.9, hue=0.4)
    torch.testing.assert_close(run(images, spec, engine)[0][:, :1], to_float(images), atol=1e-6, rtol=0)
    spec = replace(spec, brightness=0.2)
    x, _ = run(images, spec, engine)
    views = draw(spec, seed=0, epoch=0, index=torch.arange(3), view=0, height=12, width=12)
    expected = to_float(images) * torch.from_numpy(views["brightness"]).view(-1, 1, 1, 1)
    torch.testing.assert_close(x[:, :1], expected.clamp(0, 1), atol=1e-6, rtol=0)


@engines
@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_blur_equals_torchvision(engine, sigma):
    images = smooth(2, 24)
    radius = int(np.ceil(3 * sigma))
    x, _ = apply(engine, images, views_of(2, 24, sigma=[sigma, 0.0], radius=[radius, 0]), 24)
    expected = TF.gaussian_blur(to_float(images)[:1], [2 * radius + 1] * 2, [sigma] * 2)
    torch.testing.assert_close(x[:1], expected, atol=1e-4, rtol=0)
    assert torch.equal(x[1:], to_float(images)[1:])


@engines
def test_sharpen_equals_torchvision(engine):
    images = smooth(2, 12)
    expected = TF.adjust_sharpness(to_float(images), 2)
    torch.testing.assert_close(run(images, Augment(p_sharpen=1), engine)[0], expected, atol=1e-5, rtol=0)


# draws


def test_draws_have_the_frequencies_and_ranges_of_the_spec():
    v = draw(AUGMENTS["simclr"], seed=1, epoch=0, index=torch.arange(4000), view=0, height=64, width=64)
    assert abs(v["flip"].mean() - 0.5) < 0.04 and abs((v["sigma"] > 0).mean() - 0.5) < 0.04
    assert abs(v["colour"].mean() - 0.8) < 0.03 and abs(v["grey"].mean() - 0.2) < 0.03
    assert v["sigma"].max() <= 2 and np.abs(v["hue"]).max() <= 0.2
    for name in JITTER[:3]:
        assert 0.2 - 1e-6 <= v[name].min() < 0.21 and 1.79 < v[name].max() <= 1.8 + 1e-6
        assert (v[name][~v["colour"]] == 1).all()
    assert stats.chisquare(np.unique(v["order"], axis=0, return_counts=True)[1]).pvalue > 1e-3  # all 24, as often


def test_boxes_are_distributed_as_in_torchvision():
    v = draw(AUGMENTS["simclr"], seed=1, epoch=0, index=torch.arange(3000), view=0, height=64, width=64)
    image, generator_state = torch.zeros(1, 64, 64), torch.get_rng_state()
    torch.manual_seed(0)
    other = np.array([RandomResizedCrop.get_params(image, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(3000)])
    torch.set_rng_state(generator_state)
    for ours, theirs in zip(v["box"].T, other.T, strict=True):
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


@engines
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 50), st.integers(0, 3), st.sampled_from([1, 3]))
def test_a_view_depends_on_seed_epoch_index_and_view_alone(engine, seed, epoch, view, channels):
    images = smooth(6, 20, channels, seed)
    spec = replace(AUGMENTS["simclr"], rotate=20, p_rotate=0.5, p_sharpen=0.5)
    index = torch.tensor([3, 1, 4, 15, 9, 2])
    key = {"seed": seed, "epoch": epoch, "view": view, "size": 16}
    together, _ = run(images, spec, engine, index, **key)
    for i in (0, 3, 5):
        assert torch.equal(run(images[i : i + 1], spec, engine, index[i : i + 1], **key)[0][0], together[i])
    back = torch.tensor([5, 4, 3, 2, 1, 0])
    assert torch.equal(run(images[back], spec, engine, index[back], **key)[0], together[back])


@engines
def test_the_number_of_threads_changes_no_bit(engine):
    images, threads = smooth(5, 170), torch.get_num_threads()
    try:
        results = []
        for n in (1, 3):
            torch.set_num_threads(n)
            results.append(run(images, "simclr", engine)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_other_epochs_views_seeds_and_indices_give_other_views():
    images = smooth(1, 16).repeat(2, 1, 1, 1)
    base = run(images, "simclr")[0]
    assert not torch.equal(base[0], base[1])
    for other in ({"epoch": 1}, {"view": 1}, {"seed": 1}):
        assert not torch.equal(base, run(images, "simclr", **other)[0])


def test_batch_draw_gives_all_images_the_same_parameters():
    images = smooth(1, 16).repeat(4, 1, 1, 1)
    for epoch in range(5):
        x, _ = run(images, "simclr_published", epoch=epoch)
        assert torch.equal(x, x[:1].expand_as(x))
        keys = np.array([0, 0, 9])
        other, _ = run(images[:3], "simclr_published", epoch=epoch, index=torch.tensor([7, 3, 0]), keys=keys)
        assert torch.equal(other[:2], x[:2]) and not torch.equal(other[2], x[0])  # two groups of a step
    own, _ = run(images, replace(AUGMENTS["simclr_published"], draw="image"))
    assert not torch.equal(own[0], own[1])


# both engines, all specs


@pytest.mark.parametrize("spec", AUGMENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_engines_agree_and_stay_in_range(spec, channels):
    images = smooth(16, 32, channels)
    masks = images[..., 0] if channels == 3 else images
    (a, mask_a), (b, mask_b) = (run(images, spec, engine, masks=masks) for engine in ENGINES)
    for x in (a, b):
        assert x.shape == (16, 3, 32, 32) and x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last) and x.min() >= 0 and x.max() <= 1
    assert (a - b).abs().mean() < 1e-3 and (a - b).abs().max() < 0.02
    assert (mask_a != mask_b).float().mean() < 0.02


def test_store_batch_and_float_batch_give_the_same_view():
    images = smooth(4, 20)
    x, _ = run(to_float(images), "simclr")
    torch.testing.assert_close(x, run(images, "simclr")[0], atol=1e-6, rtol=0)


def test_wrong_arguments_are_named():
    images = smooth(2, 8)
    with pytest.raises(UnknownNameError, match="simclr"):
        run(images, "simclrr")
    with pytest.raises(UnknownNameError, match="opencv"):
        run(images, "none", "cv")
    with pytest.raises(ValueError, match="2 images, found 3"):
        run(images, "none", index=torch.arange(3))
    with pytest.raises(ValueError, match=r"found torch\.int64"):
        run(images.long(), "none")
    with pytest.raises(ValueError, match="p_flip"):
        Augment(p_flip=1.5)
    with pytest.raises(UnknownNameError, match="batch"):
        Augment(draw="bach")


def test_a_window_is_of_hounsfield_units_only():
    """A recipe with a CT window also trains on photographs: their grey values must not be windowed."""
    photo = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(to_float(photo, window=(0.0, 2000.0)), to_float(photo))
    spec = Augment(p_flip=1.0)
    with_window, without = (
        augment(photo, spec, seed=0, epoch=0, index=torch.arange(2), window=w)[0] for w in ((0.0, 2000.0), None)
    )
    assert torch.equal(with_window, without)
