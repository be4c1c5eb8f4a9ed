"""COCO's files in, checked columns out. It imports numpy, pycocotools and msgspec alone, and knows no occlusion."""
