"""Files of saved runs as version 0.1.0 wrote them."""

import json

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from coursekit.saved import FORMER_NAMES


def under_former_names(path):
    """Rewrite a saved run with the names of then."""
    former = {new: old for old, new in FORMER_NAMES.items()}
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["run"])
    metadata["config"] = {former.get(name, name): value for name, value in metadata["config"].items()}
    metadata = {former.get(name, name): value for name, value in metadata.items()}
    assert "recipe" in metadata and "config" not in metadata
    save_file(load_file(path), path, metadata={"run": json.dumps(metadata)})
