"""Words of a sentence from any number of names."""

from mmtied.utils.words import listed, some


def test_listed():
    assert [listed(names) for names in (['a'], ['a', 'b'], ['a', 'b', 'c'])] == ['a', 'a and b', 'a, b and c']
    assert listed(['a', 'b'], 'or') == 'a or b'


def test_some():
    assert [some('abc'[:n], 2) for n in range(4)] == ['none', 'a', 'a, b', 'a, b, …']
    assert some(dict(a=1, b=2), 1, '; ') == 'a; …'
