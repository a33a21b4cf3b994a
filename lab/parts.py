"""The parts that a guest is made of, built from the lab's settings or taken from the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from images.build import Image, build_image
from images.recipe import GuestLink, ImageRecipe, Variant
from kernel.build import Kernel, build_kernel
from kernel.recipe import KernelRecipe, SuiteSource, parse_source
from kernel.stock import StockRecipe, stock_kernel
from lab.context import Lab
from lab.keys import lab_keys
from lab.plan import MAX_TAPS, tap_plan
from lab.settings import ImageSettings, KernelSettings, split_list


def guest_image(lab: Lab, *, extra: bool = False) -> Image:
    """The image that the settings describe; with `extra`, with dante, redsocks and mptcpize in it."""
    return build_image(image_recipe(lab, extra=extra), lab.host, lab.cache, lab.progress)


def guest_kernel(lab: Lab) -> Kernel:
    """The kernel that the settings describe."""
    image, kernel = lab.settings.image, lab.settings.kernel
    if kernel.stock:
        return stock_kernel(
            StockRecipe(image.suite, image.mirror or None, image.snapshot or None), lab.host, lab.cache, lab.progress
        )
    return build_kernel(kernel_recipe(image, kernel), lab.host, lab.cache, lab.progress)


def image_recipe(lab: Lab, *, extra: bool) -> ImageRecipe:
    """What goes into the image, the lab's own keys and the interfaces of every possible tap included."""
    settings = lab.settings.image
    keys = lab_keys(lab.cache, lab.host)
    plans = map(tap_plan, range(MAX_TAPS))
    return ImageRecipe(
        client_public_key=keys.client.public,
        host_key=keys.host.private,
        suite=settings.suite,
        mirror=settings.mirror or None,
        snapshot=settings.snapshot or None,
        variant=Variant.EXTRA if extra else Variant.BASE,
        links=tuple(GuestLink(plan.mac, plan.tap, str(plan.guest)) for plan in plans),
    )


def kernel_recipe(image: ImageSettings, kernel: KernelSettings) -> KernelRecipe:
    """The kernel's source and fragments; without a source of one's own, that of the image's suite."""
    fragments = tuple(Path(name) for name in split_list(kernel.fragments))
    if not kernel.source:
        suite = SuiteSource(image.suite, image.mirror or None, image.snapshot or None)
        return KernelRecipe(suite, fragments)
    return KernelRecipe(parse_source(kernel.source, kernel.sha256 or None, kernel.ref or None), fragments)


def with_options(
    lab: Lab,
    *,
    image: Mapping[str, Any] | None = None,
    kernel: Mapping[str, Any] | None = None,
    testbed: Mapping[str, Any] | None = None,
) -> Lab:
    """The same lab with those settings that were given as options; empty ones change nothing."""
    settings = lab.settings
    chosen = replace(
        settings,
        image=replace(settings.image, **_given(image or {})),
        kernel=replace(settings.kernel, **_given(kernel or {})),
        testbed=replace(settings.testbed, **_given(testbed or {})),
    )
    return replace(lab, settings=chosen)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}
