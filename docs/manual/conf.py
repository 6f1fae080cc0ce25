"""Sphinx's settings for the manual: scripts/docs runs it on what docs/manual/site_of.py has put together."""

import os
import re

import furo
from sphinx.search import languages
from sphinx.search.en import SearchEnglish

project = "Berth"
author = "the Berth authors"
version = release = os.environ.get("BERTH_VERSION", "")
language = "en"

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
suppress_warnings = ["myst.header"]  # docs/benchmarks.md leaves out a level

# Every name that is referred to is there. What C itself has is not in the manual.
nitpicky = True
nitpick_ignore = [("c:identifier", name) for name in
                  ("bool", "size_t", "ptrdiff_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int32_t",
                   "int64_t")]
primary_domain = "c"
highlight_language = "text"
smartquotes_action = "D"  # dashes only

class Search(SearchEnglish):
    """C++ is a word, and its letter is none that would be found everywhere."""

    js_splitter_code = r"""
var splitQuery = query => query.match(/[\p{Letter}\p{Number}_\p{Emoji_Presentation}]+(\+\+)?/gu) || [];
"""

    def split(self, input):
        return re.findall(r"\w+(?:\+\+)?", input)


languages["en"] = Search
# Sphinx opens this one from the working directory.
html_search_scorer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scorer.js")

html_theme = "furo"
html_title = "Berth %s" % version
html_static_path = ["style.css", "theme.js"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_permalinks_icon = "#"
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# Debian's package has the sources of the theme's script and style. The script is then a module, which is
# not run, and the style lacks the colours for a system that is set to dark: they are given here.
with open(os.path.join(os.path.dirname(furo.__file__), "theme/furo/static/scripts/furo.js"),
          encoding="utf-8") as _script:
    if _script.read(6) == "import":
        html_js_files = ["theme.js"]

html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {
        "color-brand-primary": "#0b5d8a",
        "color-brand-content": "#0b5d8a",
        "color-api-name": "#8a2a0b",
        "color-api-pre-name": "#8a2a0b",
    },
    "dark_css_variables": {
        "color-problematic": "#ee6a5f",
        "color-foreground-primary": "#d8dade",
        "color-foreground-secondary": "#a3a8b0",
        "color-foreground-muted": "#8b9099",
        "color-foreground-border": "#666b73",
        "color-background-primary": "#14161a",
        "color-background-secondary": "#1b1e23",
        "color-background-hover": "#23272e",
        "color-background-hover--transparent": "#23272e00",
        "color-background-border": "#31353c",
        "color-background-item": "#444850",
        "color-brand-primary": "#6cc3f0",
        "color-brand-content": "#6cc3f0",
        "color-api-name": "#f0a06c",
        "color-api-pre-name": "#f0a06c",
        "color-highlighted-background": "#0b3d5c",
        "color-highlight-on-target": "#2c2c10",
        "color-admonition-background": "#1b1e23",
        "color-card-border": "#31353c",
        "color-card-background": "#1b1e23",
    },
}
