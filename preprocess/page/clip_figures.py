"""The figures of a clip in Bokeh: one per track, on one time axis, without data.

A page holds them once for all clips with the same parameters. `script/stage.js` fills in the columns
(`preprocess.page.clip_columns`) of the current clip, and sets ranges and colours. It finds models by
name, `figure:TRACK` and `columns:SOURCE`. The tags of a model name the role in `script/theme.js` for
each of its colours: `{"colors": {"line_color": "curve"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from preprocess.page.spectrogram import mel

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, Range1d
    from bokeh.plotting import figure

LEFT_PX = 52
"""Space for the numbers of each value axis, equal for all tracks so that their plots align."""
RIGHT_PX = 18
HEIGHTS_PX = {"ruler": 30, "wave": 104, "spectrogram": 132, "curve": 92, "spans": 46, "tokens": 148}
_HERTZ = (300, 1000, 3000, 10_000)


def track_names(parameters: Mapping[str, str]) -> list[str]:
    """Return the tracks for `parameters` (name -> kind), from top to bottom."""
    curves = [f"{track_kind(kind)}:{name}" for name, kind in parameters.items()]
    return ["ruler", "wave", "spectrogram", *curves, "tokens"]


def track_kind(kind: str) -> str:
    """Return the kind of track for a kind of parameter: `spans` or `curve`."""
    return "spans" if kind == "categorical" else "curve"


def stage(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the figures for clips with these parameters.

    Args:
        parameters: Name -> kind, in order.

    Returns:
        `document`, Bokeh's JSON; `roots`, track -> the id of its figure; and `heights`, track -> pixels.
    """
    from bokeh.document import Document
    from bokeh.models import Range1d

    document, roots, heights = Document(), {}, {}
    time = Range1d(0, 1, name="time")
    for track in track_names(parameters):
        made = _FIGURES[track.partition(":")[0]](track, time)
        document.add_root(made)
        roots[track], heights[track] = made.id, made.height
    return {"document": document.to_json(deferred=False), "roots": roots, "heights": heights}


def _figure(track: str, time: Range1d, **options: Any) -> figure:
    from bokeh.models import Range1d
    from bokeh.plotting import figure

    settings: dict[str, Any] = {
        "name": f"figure:{track}",
        "height": HEIGHTS_PX[track.partition(":")[0]],
        "sizing_mode": "stretch_width",
        "x_range": time,
        "y_range": Range1d(0, 1),
        "tools": "",
        "toolbar_location": None,
        "min_border_left": LEFT_PX,
        "min_border_right": RIGHT_PX,
        "min_border_top": 4,
        "min_border_bottom": 4,
        "background_fill_color": None,
        "border_fill_color": None,
        "lod_threshold": None,
        **options,
    }
    made = figure(**settings)
    _color(made, outline_line_color="grid")
    made.xaxis.visible = track == "ruler"
    made.yaxis.ticker.desired_num_ticks = 3
    made.yaxis.ticker.num_minor_ticks = 0
    made.yaxis.formatter.power_limit_high = 4
    for axis in (*made.xaxis, *made.yaxis):
        axis.axis_line_color = None
        axis.major_label_text_font_size = "11px"
        _color(axis, major_label_text_color="text", major_tick_line_color="grid",
               minor_tick_line_color="grid")  # fmt: skip
    for grid in made.grid:
        _color(grid, grid_line_color="grid")
    return made


def _ruler(track: str, time: Range1d) -> figure:
    made = _figure(track, time, x_axis_location="above", min_border_bottom=0, min_border_top=26)
    made.yaxis.visible = False
    made.outline_line_color = None
    made.tags = []
    # Bokeh warns about a figure without glyphs.
    made.line("x", "y", source=_source("ruler", x=[], y=[]))
    return made


def _wave(track: str, time: Range1d) -> figure:
    made = _figure(track, time)
    for sound in ("original", "decoded"):
        source = _source(f"wave:{sound}", x=[], low=[], high=[])
        glyph = made.varea("x", "low", "high", source=source, name=f"sound:{sound}")
        line = made.line("x", "high", source=source, line_width=1, name=f"sound:{sound}")
        _color(glyph.glyph, fill_color=sound)
        _color(line.glyph, line_color=sound)
    return made


def _spectrogram(track: str, time: Range1d) -> figure:
    from bokeh.models import FixedTicker, LinearColorMapper

    made = _figure(track, time)
    made.grid.visible = False
    ticks = [float(mel(hz)) for hz in _HERTZ]
    made.yaxis.ticker = FixedTicker(ticks=ticks)
    made.yaxis.major_label_overrides = {
        tick: f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz"
        for tick, hz in zip(ticks, _HERTZ, strict=True)
    }
    mapper = LinearColorMapper(palette="Viridis256", low=0, high=255)
    for sound in ("original", "decoded"):
        _images(made, f"spectrogram:{sound}", mapper, f"sound:{sound}")
    return made


def _tokens(track: str, time: Range1d) -> figure:
    from bokeh.models import LinearColorMapper

    made = _figure(track, time)
    made.grid.visible = False
    mapper = LinearColorMapper(palette="Cividis256", low=0, high=1, name="codes")
    _images(made, "tokens", mapper, "tokens")
    return made


def _images(made: figure, source: str, mapper: Any, name: str) -> None:
    columns = _source(source, image=[], x=[], bottom=[], width=[], height=[])
    made.image("image", x="x", y="bottom", dw="width", dh="height", source=columns, color_mapper=mapper,
               name=name)  # fmt: skip


def _curve(track: str, time: Range1d) -> figure:
    from bokeh.models import HStrip

    made, name = _figure(track, time), track.partition(":")[2]
    strip = HStrip(y0="low", y1="high", fill_alpha=0.13, line_alpha=0.7, line_dash="dashed")
    made.add_glyph(_source(f"declared:{name}", low=[], high=[]), strip)
    _color(strip, fill_color="declared", line_color="declared")
    _missing(made, name)
    line = made.line("x", "y", source=_source(f"curve:{name}", x=[], y=[]), line_width=2)
    _color(line.glyph, line_color="curve")
    return made


def _spans(track: str, time: Range1d) -> figure:
    made, name = _figure(track, time), track.partition(":")[2]
    made.yaxis.visible = False
    made.grid.visible = False
    _missing(made, name)
    source = _source(f"spans:{name}", left=[], right=[], color=[], shown=[], at=[],
                     label=[], text=[])  # fmt: skip
    quad = made.quad("left", "right", 1, 0, source=source, fill_color="color", fill_alpha=0.45,
                     line_width=1)  # fmt: skip
    _color(quad.glyph, line_color="surface")
    text = made.text("at", 0.5, "shown", source=source, x_offset=5, text_baseline="middle",
                     text_font_size="12px")  # fmt: skip
    _color(text.glyph, text_color="text")
    return made


def _missing(made: figure, name: str) -> None:
    """Hatch where a parameter is NaN."""
    from bokeh.models import VStrip

    strip = VStrip(x0="left", x1="right", fill_alpha=0.12, line_color=None, hatch_pattern="/",
                   hatch_alpha=0.5, hatch_scale=8)  # fmt: skip
    made.add_glyph(_source(f"missing:{name}", left=[], right=[]), strip)
    _color(strip, fill_color="missing", hatch_color="missing")


def _source(name: str, **columns: Any) -> ColumnDataSource:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(columns, name=f"columns:{name}")


def _color(model: Any, **roles: str) -> None:
    model.tags = [{"colors": roles}]


_FIGURES = {
    "ruler": _ruler,
    "wave": _wave,
    "spectrogram": _spectrogram,
    "curve": _curve,
    "spans": _spans,
    "tokens": _tokens,
}
