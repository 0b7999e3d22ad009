"""The name under which the package is distributed, and the command that installs one of its extras."""

import json
from importlib import metadata
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

# on PyPI the import's name, coursekit, is that of somebody else's package
NAME = "advantage-course"


def install(extra):
    """The command that installs an extra of this package, from where the package came.

    extra: a name, such as "gym"; "" for the package without an extra.

    It names no package index, since the package is on none: it names the clone or the
    file that was installed, or else the extra's own requirements.
    """
    clone = Path(__file__).parents[2]
    wanted = f"[{extra}]" if extra else ""
    if (clone / "pyproject.toml").is_file():
        return f'pip install -e "{clone}{wanted}"'
    try:
        ours = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return f"the requirements of {NAME}{wanted}"
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    address = origin.get("url", "")
    if address.startswith("file:"):
        path = Path(url2pathname(urlparse(address).path))
        if path.exists():
            return f'pip install "{NAME}{wanted} @ {address}"'

    def belongs(need):
        return f'extra == "{extra}"' in need if extra else "extra ==" not in need

    needs = [need.split(";")[0].strip() for need in ours.requires or () if belongs(need)]
    return " ".join(["pip install", *(f'"{need}"' for need in needs)])
