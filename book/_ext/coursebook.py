"""What this book changes in a built page."""


def drop_thebe(app, pagename, templatename, context, doctree):
    """sphinx-thebe puts its files on every page, even when off: one from a CDN, one that breaks."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, [])
                         if "thebe" not in f"{file} {getattr(file, 'attributes', '')}".lower()]


def setup(app):
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
