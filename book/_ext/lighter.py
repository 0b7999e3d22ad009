"""Repairs to what others bring: icons that no page uses, and printed text that the kernel cut in two."""

import re
from pathlib import Path

from myst_nb.core import render
from myst_nb.core.utils import coalesce_streams

ICON = re.compile(r'(?:"([a-z0-9-]+)"|([a-z0-9]+)):\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?')


def trimmed(script, used):
    """Font Awesome's script with the icons in `used` only: 0.1 MB instead of 1.5."""
    def keep(icon):
        names = {icon[1] or icon[2], *re.findall(r'"([a-z0-9-]+)"', icon[3])}
        return icon[0] if names & used else ""
    return ICON.sub(keep, script)


def icons(folder):
    """The names after fa- in the pages and in the theme's own scripts."""
    files = [*folder.rglob("*.html"), *(folder / "_static").glob("*.js"),
             *(p for p in (folder / "_static/scripts").glob("*.js") if p.stem != "fontawesome")]
    return {name for path in files for name in re.findall(r"\bfa-([a-z0-9-]+)", path.read_text())}


def trim_icons(app, exception):
    script = Path(app.outdir) / "_static/scripts/fontawesome.js"
    if not exception and script.exists():
        script.write_text(trimmed(script.read_text(), icons(Path(app.outdir))))


def joined(outputs):
    """Pieces of one stream, put together as they came. (myst-nb ends each with a line break: a piece that was cut
    before one would show an empty line, in some builds and not in others.)"""
    whole = []
    for output in outputs:
        last = whole[-1] if whole else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            whole.append(output)
    return coalesce_streams(whole)


def setup(app):
    render.coalesce_streams = joined
    app.connect("build-finished", trim_icons)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
