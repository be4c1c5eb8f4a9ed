"""A process that evaluates files by both engines and the reference API: a crash of one is an answer as well.

It reads one line of json for each pair of files, and writes one line of answers.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCORES = ('AP', 'AP50', 'AP75', 'AR')


class Judge:
    """The process, seen from the tests.

    Args:
        folder: For the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen | None = None

    def answers(self, truth, found, iou_type: str) -> dict:
        """Return what each evaluation says of the files: its scores, or its error as text.

        Raises:
            AssertionError: If the process dies of them.
        """
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {'OMP_NUM_THREADS': '1', 'RAYON_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
            )
        for name, content in (('truth', truth), ('found', found)):
            (self.folder / f'{name}.json').write_text(json.dumps(content))
        self.process.stdin.write(iou_type + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            code, self.process = self.process.wait(), None
            raise AssertionError(f'the evaluation died with code {code}')
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.communicate()


def ours(folder: Path, iou_type: str, **options) -> dict:
    """Our answer."""
    from mmtied.evaluation import evaluate_occlusion
    from mmtied.utils.errors import InputError

    try:
        result = evaluate_occlusion(folder / 'truth.json', folder / 'found.json', iou_type, **options)
    except InputError as error:
        return {'refused': str(error)}
    except Exception as error:
        import traceback

        return {'crashed': f'{error!r}\n{traceback.format_exc(limit=-4)}'}
    notes = [note.kind for note in (*result.ground_truth.notes, *result.detections.notes)]
    return {'scores': [getattr(result.all, score) for score in SCORES], 'notes': notes}


def reference(folder: Path, iou_type: str) -> dict:
    """The reference API's answer; -1 for no ground truth."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    try:
        truth = COCO(folder / 'truth.json')
        evaluation = COCOeval(truth, truth.loadRes(str(folder / 'found.json')), iou_type)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ['all']
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    except Exception as error:
        return {'crashed': repr(error)}
    precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
    parts = precision, precision[0], precision[5], recall
    return {'scores': [float(part[part > -1].mean()) if (part > -1).any() else None for part in parts]}


def main() -> None:
    folder = Path(sys.argv[1])
    answers, sys.stdout = sys.stdout, io.StringIO()
    for line in sys.stdin:
        iou_type = line.strip()
        said = {}
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for engine in ('hotcoco', 'pycocotools'):
                said[engine] = ours(folder, iou_type, engine=engine)
                said[f'{engine} lenient'] = ours(folder, iou_type, engine=engine, lenient=True)
            if any('scores' in answer for answer in said.values()):
                # Of what we refuse, it dies at times: a polygon's corner at 1e308 is a crash of its C code.
                said['reference'] = reference(folder, iou_type)
        answers.write(json.dumps(said) + '\n')
        answers.flush()


if __name__ == '__main__':
    main()
