"""What this book changes in a built page."""


def drop_thebe(app, pagename, templatename, context, doctree):
    """sphinx-thebe puts its files on every page, even when off: one from a CDN, one that breaks."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, [])
                         if "thebe" not in f"{file} {getattr(file, 'attributes', '')}".lower()]


def switch_buttons(app, config):
    """One setting, the repository's address, turns on every button that needs it."""
    options = config.html_theme_options
    if not options.get("repository_url"):
        return
    options.update(use_repository_button=True, use_issues_button=True, use_edit_page_button=True)
    options.setdefault("launch_buttons", {}).update(
        binderhub_url="https://mybinder.org", colab_url="https://colab.research.google.com")


def setup(app):
    app.setup_extension("diagrams")
    app.connect("config-inited", switch_buttons, priority=100)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
