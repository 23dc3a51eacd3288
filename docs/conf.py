"""How the site is built: ``make docs``, from the Markdown beside this file and the docstrings of the package; nothing is fetched."""

from __future__ import annotations

import re
from typing import Any

from docutils.utils.math.latex2mathml import tex2mathml

import bayes

project = "bayes"
author = "The authors of regional-bayes"
copyright = "2026, the authors; Apache-2.0"
version = release = bayes.__version__
smartquotes = False  # quotes around words that options take stay what a reader may paste

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_copybutton", "sphinx_design"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True  # a reference that leads nowhere is a warning, and a warning is an error
nitpick_ignore_regex = [(r"py:.*", r"(pymc|pandas|numpy|xarray|matplotlib)\..*")]  # other packages: their sites are not read here

# Markdown. Headings up to the third level can be linked to.
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

# Docstrings. Types stand in the text, written for people; signatures show names and defaults.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Copy buttons leave prompts out.
copybutton_prompt_text = "$ "

html_theme = "pydata_sphinx_theme"
html_title = f"bayes {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "bayes"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {page: [] for page in ("index", "tutorial", "gallery", "from_r_and_stata")}  # no page below them
html_math_renderer = "mathml"


def write_inline(translator: Any, node: Any) -> None:
    """An equation within a line as MathML, which browsers draw themselves: neither a script nor a font is loaded."""
    from docutils.nodes import SkipNode

    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def write_block(translator: Any, node: Any) -> None:
    """An equation of its own as MathML; on a narrow screen it scrolls."""
    from docutils.nodes import SkipNode

    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>\n')
    raise SkipNode


def short_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Docstrings call a class or a method by its short name, as readers do: find the documented object that ends in it."""
    from sphinx.util.nodes import make_refnode

    if node.get("refdomain") != "py":
        return None
    if node["reftype"] == "mod":  # a module has no page of its own: its name stays text
        return content
    wanted = node["reftarget"].removeprefix("bayes.")
    objects = env.get_domain("py").objects
    found = sorted({name for name in objects if name == wanted or name.endswith("." + wanted)}, key=len)
    if not found or (len(found) > 1 and "." not in wanted and not wanted[0].isupper()):
        return None
    entry = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])


def card_links(app: Any, docname: str, source: list[str]) -> None:
    """A link to the card of a data set leads to the card on the page of data sets."""
    source[0] = re.sub(r"\]\(\.\./data/(\w+)/card\.md\)", r"](#card-\1)", source[0])


def plain_words(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """|t| in a docstring is an absolute value, never a substitution; docs/frontier.md is a page of this site."""
    for i, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [re.sub(r"(?<!\\)\|", r"\\|", part) for part in parts[::2]]
        lines[i] = re.sub(r"\bdocs/(\w+)\.md", r":doc:`/\1`", "``".join(parts))


def readable_defaults(app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None) -> Any:
    """A default that a dataclass makes afresh is an empty mapping in all of this package."""
    return (signature.replace("<factory>", "{}"), returns) if signature else None


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.connect("source-read", card_links)
    app.connect("missing-reference", short_name)
    app.connect("autodoc-process-signature", readable_defaults)
    app.connect("autodoc-process-docstring", plain_words, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
