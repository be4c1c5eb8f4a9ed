"""Data made here: scenes of overlapping objects, with the occlusion ratio under control."""

from .occluded_scenes import CLASSES, Scene, make_scene, write_scenes

__all__ = ['CLASSES', 'Scene', 'make_scene', 'write_scenes']
