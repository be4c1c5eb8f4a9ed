"""NaN is null in json, however deep."""

import json
import math

from mmtied.utils.json_content import without_nan


def test_nan_is_none_and_all_else_stays():
    content = {'a': math.nan, 'b': [1.5, (math.nan, 'nan')], 'c': {'d': None, 'e': math.inf, 'f': True}}
    assert without_nan(content) == {'a': None, 'b': [1.5, [None, 'nan']], 'c': {'d': None, 'e': math.inf, 'f': True}}
    assert json.dumps(without_nan([math.nan]), allow_nan=False) == '[null]'
