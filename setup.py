"""Puts the chapters into the wheel, beside the library: `coursekit release` and `grade` then need no repository.

Everything else about the package stands in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithChapters(build_py):
    def run(self):
        super().run()
        if self.editable_mode:  # the library lies in the repository then
            return
        for pattern in ("book/*.ipynb", "book/figures/*.svg", "experiments/results/*.json"):
            for path in Path().glob(pattern):
                target = Path(self.build_lib, "coursekit", "course", path)
                target.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(path), str(target))


setup(cmdclass={"build_py": BuildWithChapters})
