"""The order of the package: two towers on a common ground, every import runs down, nothing goes round in a circle.

Imports are read from the syntax trees: those inside functions and those for type checkers alone count as well.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmtied'
# In each tower a room may import what stands before it. What is in both is the ground, and the roof.
TOWERS = (
    ('__init__', 'utils', 'coco', 'evaluation', 'datasets', 'study', 'commands'),
    (
        '__init__',
        'utils',
        'registry',
        'layers',
        'tying',
        'models',
        'deploy',
        'zoo',
        'inferencer',
        'analysis',
        'study',
        'commands',
    ),
)
# These must work where torch is not installed; what is named here needs it when it is called.
TORCHLESS = ('coco', 'evaluation')
TORCH_WHEN_CALLED = {'coco/mmdet_pickle.py'}
# Of the second, only the classes of a config, which is mmdet's.
NEEDS_MMDET = {'evaluation/metric.py', 'coco/classes.py'}


def imports(package: Path) -> dict[Path, set[Path]]:
    """Return which files of a package each of its files imports, by paths relative to it."""
    return {
        file.relative_to(package): {target for name in imported_names(file, package) for target in found(name, package)}
        for file in sorted(package.rglob('*.py'))
    }


def imported_names(file: Path, package: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a file imports as dotted names in parts, relative imports resolved."""
    here = (package.name, *file.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split('.')) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split('.') if node.module else ()))
            yield from ((*module, alias.name) for alias in node.names)


def found(name: tuple[str, ...], package: Path) -> Iterator[Path]:
    """Yield the file of the package that holds a name: the module of this name, or the one that it is taken from."""
    if name[0] != package.name:
        return
    for parts in (name[1:], name[1:-1]):
        for file in (Path(*parts, '__init__.py'), Path(*parts).with_suffix('.py') if parts else None):
            if file is not None and (package / file).is_file():
                yield file
                return
    raise AssertionError(f'{".".join(name)} is imported, but there is no such file in {package}')


def arrows_up(graph: dict[Path, set[Path]], towers: tuple[tuple[str, ...], ...]) -> list[str]:
    """Return a sentence for each import that does not run down in a tower."""
    wrong = []
    for file, targets in graph.items():
        for target in sorted(targets):
            room, below = (path.parts[0].removesuffix('.py') for path in (file, target))
            allowed = any(
                room in tower and below in tower and tower.index(below) < tower.index(room) for tower in towers
            )
            if room != below and not allowed:
                wrong.append(f'{file} imports {target}, which does not stand below it')
    return wrong


def folders(graph: dict[Path, set[Path]]) -> dict[Path, set[Path]]:
    """Return which folders the files of each folder import from."""
    graph_of_folders: dict[Path, set[Path]] = {}
    for file, targets in graph.items():
        others = {target.parent for target in targets} - {file.parent}
        graph_of_folders.setdefault(file.parent, set()).update(others)
    return graph_of_folders


def circle(graph: dict[Path, set[Path]]) -> str | None:
    """Return a circle as 'a imports b imports a', None if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return ' imports '.join(map(str, reversed(error.args[1])))
    return None


@pytest.fixture(scope='module')
def graph() -> dict[Path, set[Path]]:
    return imports(PACKAGE)


def test_every_import_runs_down(graph):
    assert arrows_up(graph, TOWERS) == []


def test_every_room_has_its_place():
    rooms = {path.name.removesuffix('.py') for path in PACKAGE.iterdir() if not path.name.startswith(('__pyc', '.'))}
    assert rooms == {room for tower in TOWERS for room in tower}


def test_no_circle_of_files(graph):
    assert circle(graph) is None


def test_no_circle_of_folders(graph):
    assert circle(folders(graph)) is None


def test_no_name_hides_a_module():
    """What a folder hands on from its files has another name than each of them, so that both can be imported."""
    for file in PACKAGE.rglob('__init__.py'):
        modules = {path.stem for path in file.parent.iterdir() if not path.name.startswith('__')}
        taken = {parts[-1] for parts in imported_names(file, PACKAGE)}
        hidden = {name for name in modules & taken if name not in module_imports(file)}
        assert not hidden, f'{file.relative_to(PACKAGE)} hides the modules {", ".join(sorted(hidden))}'


def module_imports(file: Path) -> set[str]:
    """Return the modules that an ``__init__`` imports as such: ``from . import name``."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in nodes if node.level == 1 and node.module is None for alias in node.names}


def test_evaluation_names_no_torch():
    heavy = {'torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain'}
    for room in TORCHLESS:
        for file in (PACKAGE / room).rglob('*.py'):
            name = file.relative_to(PACKAGE).as_posix()
            named = {parts[0] for parts in imported_names(file, PACKAGE)} & heavy
            if name in TORCH_WHEN_CALLED:
                named -= {'torch'}
            assert name in NEEDS_MMDET or not named, f'{name} imports {", ".join(sorted(named))}'


@pytest.fixture
def made_up_package(tmp_path):
    """A package of two rooms in order, and a function that writes one of its files anew."""
    package = tmp_path / 'house'

    def write(name: str, code: str) -> Path:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(code)
        return package

    for folder in ('', 'low/', 'low/deep/', 'high/'):
        write(f'{folder}__init__.py', '')
    write('low/a.py', 'import json\nfrom pathlib import Path\n')
    write('low/deep/b.py', 'from ..a import Path\n')
    write('high/c.py', 'from ..low import a\nfrom house.low.deep.b import Path\nimport house.low.a\n')
    return write


LOW_TO_HIGH = (('__init__', 'low', 'high'),)


def test_the_check_sees_what_is_imported(made_up_package):
    graph = imports(made_up_package('low/a.py', 'import json\n'))
    assert graph[Path('high/c.py')] == {Path('low/a.py'), Path('low/deep/b.py')}
    assert graph[Path('low/deep/b.py')] == {Path('low/a.py')}
    assert (arrows_up(graph, LOW_TO_HIGH), circle(graph), circle(folders(graph))) == ([], None, None)


@pytest.mark.parametrize('code', [
    'from ..high.c import Path\n',
    'from ..high import c\n',
    'from .. import high\n',
    'import house.high.c\n',
    'def lazy():\n    from ..high import c\n    return c\n',
    'from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from ..high.c import Path\n',
])  # fmt: skip
def test_the_check_names_both_files_of_an_arrow_up(made_up_package, code):
    (sentence,) = arrows_up(imports(made_up_package('low/a.py', code)), LOW_TO_HIGH)
    target = 'high/__init__.py' if 'import high' in code else 'high/c.py'
    assert sentence == f'low/a.py imports {target}, which does not stand below it'


def test_the_check_names_all_files_of_a_circle(made_up_package):
    made_up_package('low/e.py', 'from .d import x\n')
    graph = imports(made_up_package('low/d.py', 'def lazy():\n    from . import e\n'))
    assert circle(graph) in ('low/d.py imports low/e.py imports low/d.py', 'low/e.py imports low/d.py imports low/e.py')
    assert circle(folders(graph)) is None


def test_the_check_finds_a_circle_of_folders_without_one_of_files(made_up_package):
    graph = imports(made_up_package('low/d.py', 'from .deep.b import Path\n'))
    assert circle(graph) is None
    assert circle(folders(graph)) in ('low imports low/deep imports low', 'low/deep imports low imports low/deep')


def test_the_check_does_not_pass_over_what_it_cannot_find(made_up_package):
    with pytest.raises(AssertionError, match=r'house\.low\.absent\.x is imported'):
        imports(made_up_package('low/d.py', 'from .absent import x\n'))
