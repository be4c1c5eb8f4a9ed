"""Sphinx builds the pages of docs/ by this file: `make docs`, and .readthedocs.yaml on Read the Docs.

Nothing is fetched while it builds, and no warning is let pass.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

import mmtied  # noqa: E402

project = 'mmtied'
release = version = mmtied.__version__
copyright = 'the authors of mmtied, Apache-2.0'
html_title = f'mmtied {version}'
html_theme = 'furo'
html_copy_source = False

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['images']
myst_heading_anchors = 3

# On Read the Docs there is mmcv-lite, which has no compiled operators: mmdet imports them, the pages need none.
autodoc_mock_imports = [] if find_spec('mmcv._ext') else ['mmcv._ext', 'mmcv.ops']
autodoc_default_options = {'members': True, 'member-order': 'bysource', 'exclude-members': 'block'}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ('File', 'Policy', 'Run')}
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = 'hide'

# Arguments as 'a, b: As in …' stand for several, so they are no `:param:` of one name.
napoleon_use_param = False
napoleon_custom_sections = [('Attributes', 'params_style'), ('Shape', 'returns_style')]
# `name` in a docstring is code, as in Markdown.
default_role = 'code'
# Dashes alone: H' is no apostrophe.
smartquotes_action = 'D'

nitpicky = True
# Their pages are elsewhere, and links to them would have to be looked up on the net.
nitpick_ignore_regex = [
    # What the package uses within itself, in the annotation of something public.
    (r'py:.*', r'mmtied\.(coco\.columns\.Ids|evaluation\.bins\.WordBins)'),
    (r'py:.*', r'(torch|numpy|np|nn|mmengine|mmcv|mmdet|pandas|matplotlib|collections|pathlib|os)\..*'),
    (
        r'py:.*',
        r'(Any|Callable|DataFrame|Figure|File|Iterable|Iterator|Mapping|OcclusionOptions|Path|Policy|Run|Sequence|Tensor)',
    ),
]


def without_link(app: Sphinx, page: str, source: list[str]) -> None:
    """Make plain text of the link to the study's results, which its command writes, while there are none."""
    if page == 'study' and not (DOCS / 'study' / 'results.md').is_file():
        source[0] = source[0].replace('[study/results.md](study/results.md)', '`docs/study/results.md`')


def with_plain_defaults(app: Sphinx, what: str, name: str, thing: object, options: object, arguments: str | None, *_):
    """Write a dataclass's default that is made anew as three dots: Sphinx cannot parse Python's own form."""
    return arguments and arguments.replace('<factory>', '...'), None


def setup(app: Sphinx) -> None:
    app.connect('source-read', without_link)
    app.connect('autodoc-process-signature', with_plain_defaults)
