"""mmdet's inferencer with the names of our configs, which its own looks up among mmdet's only."""

from __future__ import annotations

from mmdet.apis import DetInferencer as MMDetInferencer
from mmengine.config import Config

from .zoo import config_file

__all__ = ['DetInferencer']


class DetInferencer(MMDetInferencer):
    """``mmdet.apis.DetInferencer`` whose ``model`` may be the name of a config of mmtied.

    Args:
        model: Name of a model of mmdet or of a config of mmtied, or a path. Defaults to None: what ``weights`` hold.
        weights: Path of a checkpoint. Defaults to None: the one that mmdet publishes; none is published for ours.
        device, scope, palette, show_progress: As in mmdet.

    Raises:
        ValueError: If neither has the name.

    Example:
        ::

            inferencer = DetInferencer('mask-rcnn_tiedr50-4s32w_fpn_2x_coco', weights='epoch_24.pth')
            inferencer('image.jpg', out_dir='out')
    """

    def _load_model_from_metafile(self, model: str) -> tuple[Config, str | None]:
        try:
            return super()._load_model_from_metafile(model)
        except ValueError:  # mmdet does not know it
            return Config.fromfile(config_file(model.removesuffix('.py'))), None
