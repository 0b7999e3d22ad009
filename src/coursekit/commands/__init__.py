"""The commands of `coursekit`, one a module; `coursekit.cli` alone imports them."""
