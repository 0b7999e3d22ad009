"""Make book/_static/try/micropython.js: MicroPython for the book's pages, as one plain script.

    python tools/vendor_tryit.py    writes it anew from the npm package, to be committed; needs npm once

A page that is opened as a file can load neither modules nor WebAssembly, only scripts. So the module becomes the
text of a function, its WebAssembly base64, and the worker of a page puts them together.
"""

import base64
import hashlib
import json
from pathlib import Path

from browser import NPM, npm_file

ROOT = Path(__file__).parent.parent

PACKAGE, WASM = "@micropython/micropython-webassembly-pyscript", "micropython.wasm"
SCRIPT = ROOT / "book" / "_static" / "try" / "micropython.js"
LICENCE = SCRIPT.with_suffix(".LICENSE")
CHANGES = (  # what makes of the module a function's body
    ("import.meta.url", '"file:///"'), ("export default _createMicroPythonModule;", ""),
    ("export async function loadMicroPython", "async function loadMicroPython"),
    ("let Module={locateFile:", "let Module={wasmBinary:options.wasm,locateFile:"))


def banner():
    """The script's first line: which package."""
    return f"/* {PACKAGE}@{NPM[PACKAGE][0]}, MIT, see {LICENCE.name} */"


def script(module, wasm):
    """The plain script. module: the text of the ES module; wasm: bytes."""
    for old, new in CHANGES:
        if old not in module:
            raise ValueError(f"the module has no {old!r}: another version? look at CHANGES")
        module = module.replace(old, new)
    parts = {"version": NPM[PACKAGE][0], "sha256": hashlib.sha256(wasm).hexdigest(), "loader": module,
             "wasm": base64.b64encode(wasm).decode()}
    return f"{banner()}\ncoursekitTry.micropython = {json.dumps(parts)};\n"


def main():
    SCRIPT.parent.mkdir(parents=True, exist_ok=True)
    SCRIPT.write_text(script(npm_file(PACKAGE).read_text(), npm_file(PACKAGE, WASM).read_bytes()))
    print(f"{SCRIPT.relative_to(ROOT)}: {SCRIPT.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
