"""COCO's files in, and other formats'; checked columns out. It imports no torch, and knows no occlusion."""
