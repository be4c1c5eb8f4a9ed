"""Does tying help under occlusion? The study of docs/study.md: its arms, its runs, and what they say.

`tools/study.py` runs it. Nothing else in the package imports this folder.
"""
