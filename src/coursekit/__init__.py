"""coursekit: the library behind a course on advantage estimation and reward models."""

__version__ = "0.1.0"
