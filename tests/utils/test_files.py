"""Files are whole or not there."""

import pytest

from mmtied.utils.files import write_text, written_aside


def test_text_is_there_in_a_new_folder(tmp_path):
    path = write_text(tmp_path / 'new/page.html', 'ü')
    assert path.read_bytes() == 'ü'.encode()
    assert [file.name for file in path.parent.iterdir()] == ['page.html']


def test_nothing_is_left_behind_where_writing_fails(tmp_path):
    (tmp_path / 'old.txt').write_text('old')
    with pytest.raises(ZeroDivisionError), written_aside(tmp_path / 'old.txt') as part:
        part.write_text('half')
        raise ZeroDivisionError
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {'old.txt': 'old'}
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / 'folder', 'text')
    assert {file.name for file in tmp_path.iterdir()} == {'old.txt', 'folder'}
