"""Pictures: what is in an SVG, and that a PNG shows something."""

from __future__ import annotations

import io
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.traces.products.simulation import C2S, S2C, connection, transfer
from tests.traces.products.tiny import tiny_plot
from traces.mptcp.model import MapKind
from traces.products.plot import Plot, Product
from traces.products.series import sequence
from traces.products.sides import side_of
from traces.products.style import SUBFLOWS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(plot: Plot, form: str) -> bytes:
    # Here and below, since every process that collects tests would wait most of a second for Matplotlib.
    from traces.products.picture import draw

    file = io.BytesIO()
    draw(plot, file, form)
    return file.getvalue()


def group(root: ElementTree.Element, name: str) -> ElementTree.Element:
    (found,) = (element for element in root.iter(f"{SVG}g") if element.get("id") == name)
    return found


def test_an_svg_has_a_path_for_each_segment_of_each_subflow() -> None:
    maps = [(time, time % 3 % 2, S2C, 100 * time, 100, MapKind.NEW) for time in range(9)]
    root = ElementTree.fromstring(drawn(sequence(side_of(connection(maps), S2C)), "svg"))
    for subflow, count in ((0, 6), (1, 3)):
        paths = list(group(root, f"subflow {subflow}, data").iter(f"{SVG}path"))
        assert len(paths) == count
        assert all(SUBFLOWS[subflow].lower() in (path.get("style") or "") for path in paths)


def test_its_text_is_text() -> None:
    svg = drawn(tiny_plot(Product.SEQUENCE), "svg").decode()
    for words in ("connection 0, server to client: sequence", "time since the start (s)", "subflow 1", "data ack"):
        assert f">{words}</text>" in svg
    assert ">ADD_ADDR</text>" in svg


@pytest.mark.slow
@pytest.mark.parametrize("product", Product)
def test_every_product_can_be_drawn(product: Product) -> None:
    root = ElementTree.fromstring(drawn(tiny_plot(product), "svg"))
    assert len(list(root.iter(f"{SVG}path"))) > 10


def test_a_png_shows_each_subflow_in_its_colour() -> None:
    from matplotlib.image import imread

    pixels = (imread(io.BytesIO(drawn(sequence(side_of(transfer(300), S2C)), "png"))) * 255).round().astype(int)
    for colour in SUBFLOWS[:2]:
        wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert (np.abs(pixels[..., :3] - wanted).max(axis=2) < 8).sum() > 50


def test_the_same_plot_is_the_same_file() -> None:
    for form in ("svg", "png"):
        assert drawn(tiny_plot(Product.FLIGHT), form) == drawn(tiny_plot(Product.FLIGHT), form)


def test_a_large_plot_is_thinned_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traces.products.picture.VALUES", 100)
    svg = drawn(sequence(side_of(transfer(2000), S2C)), "svg")
    assert b"values shown" in svg
    assert len(svg) < 300_000


def test_matplotlib_keeps_no_figure() -> None:
    drawn(tiny_plot(Product.RTT), "png")
    assert "matplotlib.pyplot" not in sys.modules


def test_an_empty_direction_is_not_drawn() -> None:
    assert sequence(side_of(connection(), C2S)).series == ()
