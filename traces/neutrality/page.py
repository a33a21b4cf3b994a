"""A judgement as one HTML file: verdicts, tables and plots, and nothing that needs a network."""

from __future__ import annotations

from pathlib import Path

from lab.templates import render
from traces.neutrality.charts import charts
from traces.neutrality.judge import Judgement
from traces.neutrality.report import MARKS, arm_rows, table_rows
from traces.page import harmless_json, plotly_script, policy

HERE = Path(__file__).parent


def page(judgement: Judgement) -> str:
    """The report as HTML. Names and what routers said are escaped."""
    plotly, script = plotly_script(), (HERE / "page.js").read_text(encoding="utf-8")
    return render(
        HERE / "page.html.j2",
        autoescape=True,
        policy=policy(plotly, script),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        uplink=judgement.uplink,
        targets=judgement.targets,
        marks=MARKS,
        charts=charts,
        arm_rows=arm_rows,
        table_rows=table_rows,
        data=harmless_json([list(charts(target).values()) for target in judgement.targets]),
        plotly=plotly,
        script=script,
    )
