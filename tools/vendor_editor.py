"""Bundle the editor of the book's pages: tools/editor.js and what it needs of CodeMirror, as one plain script.

    python tools/vendor_editor.py    writes book/_static/try/editor.js and its licences, to be committed; needs npm
"""

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE, FOLDER = ROOT / "tools" / "editor.js", ROOT / "book" / "_static" / "try"
BUNDLE, LICENCES = FOLDER / "editor.js", FOLDER / "editor.LICENSES"
ESBUILD = "0.28.2"
NPM = {  # everything that the bundle may hold, so that two bundles are the same
    "@codemirror/autocomplete": "6.20.4", "@codemirror/commands": "6.11.1", "@codemirror/lang-python": "6.2.1",
    "@codemirror/language": "6.13.1", "@codemirror/state": "6.7.6", "@codemirror/streamparser": "6.0.0",
    "@codemirror/view": "6.43.15", "@lezer/common": "1.5.5", "@lezer/highlight": "1.2.5", "@lezer/lr": "1.4.12",
    "@lezer/python": "1.1.19", "@marijn/find-cluster-break": "1.0.4", "crelt": "1.0.7", "style-mod": "4.1.4",
    "w3c-keyname": "2.2.8"}


def banner():
    """The bundle's first line: which packages, and which text of tools/editor.js."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    packages = " ".join(f"{name}@{version}" for name, version in NPM.items())
    return f"/* {SOURCE.name} {digest}, esbuild@{ESBUILD}, {packages}; MIT, see {LICENCES.name} */"


def bundled(meta):
    """The packages whose code is in the bundle, from esbuild's account of it."""
    output, = meta["outputs"].values()
    paths = (path.split("node_modules/")[1] for path, part in output["inputs"].items()
             if "node_modules/" in path and part["bytesInOutput"])
    return sorted({name for path in paths for name in NPM if path.startswith(f"{name}/")})


def licences(modules, names):
    """The licence texts of the packages, each text once."""
    texts = {}
    for name in names:
        texts.setdefault((modules / name / "LICENSE").read_text().strip(), []).append(f"{name} {NPM[name]}")
    return "\n\n\n".join(f"{', '.join(owners)}:\n\n{text}" for text, owners in texts.items()) + "\n"


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        wanted = {"private": True, "dependencies": NPM | {"esbuild": ESBUILD}}
        (work / "package.json").write_text(json.dumps(wanted))
        (work / "editor.js").write_bytes(SOURCE.read_bytes())
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit"], cwd=work, check=True)
        subprocess.run(["npx", "esbuild", "editor.js", "--bundle", "--minify", "--format=iife", "--target=es2020",
                        "--charset=utf8", "--legal-comments=none", f"--banner:js={banner()}", "--outfile=out.js",
                        "--metafile=meta.json", "--log-level=warning"], cwd=work, check=True)
        names = bundled(json.loads((work / "meta.json").read_text()))
        FOLDER.mkdir(parents=True, exist_ok=True)
        BUNDLE.write_bytes((work / "out.js").read_bytes())
        LICENCES.write_text(licences(work / "node_modules", names))
    print(f"{BUNDLE.relative_to(ROOT)}: {BUNDLE.stat().st_size / 1e3:.0f} KB from {', '.join(names)}")


if __name__ == "__main__":
    main()
