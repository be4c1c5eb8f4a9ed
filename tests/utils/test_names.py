"""What may have been meant by a name that does not exist."""

from mmtied.utils.names import similar_names


def test_the_nearest_come_first():
    assert similar_names('resnet5', ['vgg16', 'resnet18', 'resnet50'])[0] == 'resnet50'


def test_the_first_are_named_where_none_is_alike():
    assert similar_names('?', dict.fromkeys('abcdefg')) == ['a', 'b', 'c', 'd', 'e']
