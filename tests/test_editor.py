"""The committed bundle of the page's editor is what tools/vendor_editor.py makes."""

from pathlib import Path

from vendor_editor import BUNDLE, LICENCES, banner, bundled, licences

ROOT = Path(__file__).parent.parent


def test_the_bundle_comes_from_this_source_and_these_packages():
    assert BUNDLE.read_text().splitlines()[0] == banner(), "run tools/vendor_editor.py"


def test_the_bundle_is_a_plain_script_under_400_KB():
    """A module can't be loaded from a file; an import would be a request."""
    text = BUNDLE.read_text()
    assert len(text.encode()) < 400_000
    assert "coursekitEditor" in text and "import(" not in text and "export{" not in text


def test_only_what_is_in_the_bundle_counts_as_bundled():
    inputs = {"editor.js": 9, "node_modules/crelt/index.js": 0, "node_modules/style-mod/src/style-mod.js": 5,
              "node_modules/@codemirror/state/dist/index.js": 7}
    meta = {"outputs": {"out.js": {"inputs": {path: {"bytesInOutput": n} for path, n in inputs.items()}}}}
    assert bundled(meta) == ["@codemirror/state", "style-mod"]


def test_a_licence_that_packages_share_is_written_once(tmp_path):
    for name, text in (("crelt", "A"), ("style-mod", "B"), ("w3c-keyname", "A")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "LICENSE").write_text(text)
    assert licences(tmp_path, ["crelt", "style-mod", "w3c-keyname"]) == (
        "crelt 1.0.7, w3c-keyname 2.2.8:\n\nA\n\n\nstyle-mod 4.1.4:\n\nB\n")


def test_the_licences_lie_beside_it():
    text = LICENCES.read_text()
    assert "@codemirror/view" in text and "@lezer/python" in text and "Permission is hereby granted" in text
