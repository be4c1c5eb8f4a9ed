"""The pages of docs/: every public name is on one, every argument is explained, every link leads somewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from mmtied.models import VARIANTS
from mmtied.zoo import build_backbone

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PUBLIC = (
    'mmtied.layers',
    'mmtied.models',
    'mmtied.tying',
    'mmtied.evaluation',
    'mmtied.evaluation.metric',
    'mmtied.datasets',
    'mmtied.analysis',
    'mmtied.zoo',
    'mmtied.inferencer',
)
DIRECTIVE = re.compile(
    r'^\.\. auto(?:class|exception|function):: (\S+)$|^\.\. py:data:: (\S+)\n   :module: (\S+)$', re.MULTILINE
)
LINK = re.compile(r'\]\(([^)#\s]+)')
# The study's command writes this one.
LATER = {'study/results.md'}
PAGES = sorted([ROOT / 'README.md', *DOCS.rglob('*.md')])


def names_on_pages() -> list[str]:
    pages = sorted((DOCS / 'api').glob('*.md'))
    return [match[1] or f'{match[3]}.{match[2]}' for page in pages for match in DIRECTIVE.finditer(page.read_text())]


def callables(name: str) -> Iterator[tuple[str, object]]:
    """Yield what is on a page under a name, if it takes arguments, and the methods of a class that have a docstring."""
    module, _, attribute = name.rpartition('.')
    thing = getattr(import_module(module), attribute)
    if inspect.isfunction(thing) or (inspect.isclass(thing) and not issubclass(thing, Exception)):
        yield name, thing
    for method in vars(thing) if inspect.isclass(thing) else ():
        function = getattr(thing, method)
        property_of_it = isinstance(function, cached_property)  # as a property, it takes no arguments
        if inspect.isroutine(function) and not property_of_it and not method.startswith('_') and function.__doc__:
            yield f'{name}.{method}', function


def unexplained(thing: object) -> set[str]:
    """Return the arguments that a docstring leaves out."""
    explained: set[str] = set()
    docstring = inspect.getdoc(thing) or ''
    for section in re.findall(r'^(?:Args|Attributes):\n((?:    .*\n|\n)+)', f'{docstring}\n', re.MULTILINE):
        for names in re.findall(r'^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):', section, re.MULTILINE):
            explained.update(name.strip('*') for name in names.split(', '))
    return set(inspect.signature(thing).parameters) - {'self'} - explained


@pytest.mark.parametrize('module', PUBLIC)
def test_every_public_name_is_on_a_page(module):
    assert {f'{module}.{name}' for name in import_module(module).__all__} - set(names_on_pages()) == set()


@pytest.mark.parametrize('name', names_on_pages())
def test_every_argument_is_explained(name):
    assert {place: unexplained(thing) for place, thing in callables(name) if unexplained(thing)} == {}


def test_the_check_of_arguments_sees_what_is_left_out():
    def function(a, b, *c, d=1, **e):
        """Do something.

        Args:
            a, b: First
                d: and not this.
            **e: Others.

        Returns:
            c: Not this.
        """

    assert unexplained(function) == {'c', 'd'}


def test_the_backbone_of_contributing_runs(monkeypatch):
    code = re.search(r'```python\n(.*?)```', (DOCS / 'contributing.md').read_text(), re.DOTALL)[1]
    for names, name in ((VARIANTS, 'plaintiedresnet26'), (MODELS.module_dict, 'PlainTiedResNet')):
        monkeypatch.setitem(names, name, None)  # so that it is taken out again
        del names[name]
    exec(code, {'__name__': 'plain_tied_resnet'})
    backbone = build_backbone('plaintiedresnet26')
    backbone.init_weights()
    assert type(backbone.layer1[0].conv.conv).__name__ == 'TiedConv2d'
    outs = backbone.train()(torch.randn(2, 3, 64, 64))
    assert [tuple(out.shape) for out in outs] == [(2, 256 * 2**i, 16 // 2**i, 16 // 2**i) for i in range(4)]
    outs[-1].square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in backbone.parameters())


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    links = {link for link in LINK.findall(page.read_text()) if '://' not in link and not link.startswith('mailto:')}
    assert {link for link in links - LATER if not (page.parent / link).exists()} == set()


def test_every_page_is_in_the_index():
    entries = re.findall(r'^[a-z/]+$', (DOCS / 'index.md').read_text(), re.MULTILINE)
    pages = {page.relative_to(DOCS).with_suffix('').as_posix() for page in DOCS.rglob('*.md')} - {'index'}
    assert {page for page in pages if not page.startswith('study')} == set(entries)
