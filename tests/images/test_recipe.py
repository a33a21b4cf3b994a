"""A recipe's key changes with everything that goes into the image, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.recipe import BASE_PACKAGES, GuestLink, ImageRecipe, Variant
from lab.errors import BadInputError
from tests.images.conftest import PRIVATE_TEXT


def test_the_same_recipe_has_the_same_key(recipe: ImageRecipe) -> None:
    assert recipe.key() == replace(recipe).key()


@pytest.mark.parametrize(
    "change",
    [
        {"suite": "bookworm"},
        {"mirror": "http://mirror.example/debian"},
        {"snapshot": "2026-11-20"},
        {"variant": Variant.EXTRA},
        {"packages": ("strace",)},
        {"client_public_key": "ssh-ed25519 AAAAother lab"},
        {"links": ()},
        {"disk_size": 1 << 30},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_recipe_has_another_key(recipe: ImageRecipe, change: dict[str, object]) -> None:
    assert recipe.key() != replace(recipe, **change).key()  # type: ignore[arg-type]


def test_another_host_key_makes_another_image(recipe: ImageRecipe) -> None:
    before = recipe.key()
    recipe.host_key.write_text(f"not {PRIVATE_TEXT}")
    assert recipe.key() != before


def test_where_the_host_key_lies_does_not_matter(recipe: ImageRecipe) -> None:
    before = recipe.key()
    moved = recipe.host_key.rename(recipe.host_key.with_name("elsewhere"))
    assert replace(recipe, host_key=moved).key() == before


def test_packages_are_named_once_and_in_order(recipe: ImageRecipe) -> None:
    packages = replace(recipe, packages=("zstd", "curl")).all_packages()
    assert packages == tuple(sorted({*BASE_PACKAGES, "zstd"}))


def test_the_extra_variant_adds_other_peoples_proxies() -> None:
    assert set(Variant.EXTRA.packages) - set(Variant.BASE.packages) == {"mptcpize", "redsocks"}
    assert Variant.EXTRA.masked_units == ("danted.service", "redsocks.service")


@pytest.mark.parametrize(
    ("mac", "name", "address"),
    [
        ("52:54:00:66:06", "mptcp0", "10.66.6.2/24"),
        ('52:54:00:66:06:00", RUN+="x', "mptcp0", "10.66.6.2/24"),
        ("52:54:00:66:06:00", "a-name-that-is-too-long", "10.66.6.2/24"),
        ("52:54:00:66:06:00", "mptcp0", "10.66.6.256/24"),
    ],
)
def test_a_link_that_no_rule_could_hold_is_refused(mac: str, name: str, address: str) -> None:
    with pytest.raises(BadInputError):
        GuestLink(mac, name, address)
