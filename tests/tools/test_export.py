"""ONNX files by the command."""

import pytest

onnx = pytest.importorskip('onnx', reason='needs the extra `deploy`')
TOOL = 'export.py'


def test_a_backbone_by_name(run_tool, tmp_path):
    status, _, errors = run_tool(TOOL, 'tiedresnet50-s', tmp_path / 'net.onnx', '--size', 64, 96, '--opset', 11)
    assert status == 0, errors
    assert 'tiedresnet50-s (random weights), at most ' in errors
    model = onnx.load(str(tmp_path / 'net.onnx'))
    assert model.opset_import[0].version == 11
    assert [output.name for output in model.graph.output] == [f'feature_{i}' for i in range(4)]
    sizes = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == [1, 3, 64, 96]


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['tiedresnet50', 'net.pt'], 'must end in .onnx'),
        (['tiedresnet51', 'net.onnx'], 'tiedresnet50'),
        (['tiedresnet50', 'net.onnx', '--opset', 9], '--opset'),
        (['mask-rcnn_tiedr50-4s32w_fpn_2x_coco', 'net.onnx'], 'MaskRCNN, whose second stage'),
    ],
)
def test_bad_input(run_tool, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, _, errors = run_tool(TOOL, *arguments)
    assert status == 2 and said in errors
    assert not list(tmp_path.iterdir())
