# Every verb sets up what it needs: `make env` builds the pinned environment once and is a blink afterwards.
PYTHON ?= python3
RUN := .venv/bin/python
SIDE_BY_SIDE := -n logical --maxprocesses 4
DEMO := work_dirs/demo
DEMO_CONFIG := configs/occluded_shapes/mask-rcnn_tiedr26-mini_fpn_8e_shapes.py
FIGURES := work_dirs/figures
PAIR := r26 tiedr26
PAIR_CONFIGS := $(PAIR:%=configs/occluded_shapes/mask-rcnn_%-mini_fpn_8e_shapes.py)
PAIR_OPTIONS := --checkpoints $(PAIR:%=$(FIGURES)/%/epoch_8.pth) --names ResNet-26-mini TiedResNet-26-mini

.PHONY: help env check demo figures docs test fast fuzz lint format lock clean

help:  ## show the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env:  ## build the pinned environment in a cache and point .venv to it
	@$(PYTHON) tools/setup_env.py $(if $(filter file,$(origin PYTHON)),--any-python)

check: env  ## report versions and compiled operators
	@$(RUN) tools/check_env.py

demo: env  ## make occluded scenes, train a small tied Mask R-CNN, evaluate it by occlusion
	@echo "1 of 4: scenes of overlapping objects, in $(DEMO)/data"
	@$(RUN) tools/occluded_scenes.py $(DEMO)/data
	@echo "2 of 4: training a small tied Mask R-CNN; its log is in $(DEMO)/train"
	@MMTIED_SHAPES=$(DEMO)/data $(RUN) tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO)/train --progress
	@echo "3 of 4: its detections on the test scenes; the log is in $(DEMO)/test"
	@MMTIED_SHAPES=$(DEMO)/data $(RUN) tools/test.py $(DEMO_CONFIG) $(DEMO)/train/epoch_8.pth --work-dir $(DEMO)/test \
		--progress --cfg-options test_evaluator.outfile_prefix=$(DEMO)/results
	@echo "4 of 4: AP by occlusion"
	@$(RUN) tools/occlusion_eval.py $(DEMO)/data/instances_val.json $(DEMO)/results.segm.json --iou-type segm \
		--bootstrap 200 --random-subsets 200 --image-dir $(DEMO)/data/val --out-dir $(DEMO)
	@echo
	@echo "Next, with COCO in data/coco, on a GPU:"
	@echo "  $(RUN) tools/train.py configs/mask_rcnn/mask-rcnn_tiedr50-4s32w_fpn_2x_coco.py --auto-scale-lr"
	@echo "The demo's report: $(DEMO)/report.html, for a browser; curve.png and gallery.png are beside it."

figures: env  ## make the pictures of docs/figures.md: train a tied network and its baseline, run every analysis
	$(RUN) tools/occluded_scenes.py $(FIGURES)/data
	for name in $(PAIR); do \
		export MMTIED_SHAPES=$(FIGURES)/data config=configs/occluded_shapes/mask-rcnn_$$name-mini_fpn_8e_shapes.py && \
		$(RUN) tools/train.py $$config --work-dir $(FIGURES)/$$name && \
		$(RUN) tools/test.py $$config $(FIGURES)/$$name/epoch_8.pth --work-dir $(FIGURES)/$$name/test \
			--cfg-options test_evaluator.outfile_prefix=$(FIGURES)/$$name || exit; \
	done
	$(RUN) tools/filter_similarity.py $(PAIR_CONFIGS) $(PAIR_OPTIONS) --image-dir $(FIGURES)/data/val \
		--layers 'layer?.1.exit.conv' --images 32 --filters 32 --size 160 --out-dir $(FIGURES)/similarity
	$(RUN) tools/operator_cost.py --scale .25 --out-dir $(FIGURES)/operator_cost
	$(RUN) tools/zoo.py --figure $(FIGURES)/zoo.png
	$(RUN) tools/occlusion_eval.py $(FIGURES)/data/instances_val.json $(PAIR:%=$(FIGURES)/%.bbox.json) \
		--names ResNet-26-mini TiedResNet-26-mini --bootstrap 200 --random-subsets 200 --out-dir $(FIGURES)/occlusion
	$(RUN) tools/samples.py $(FIGURES)/data/instances_val.json $(PAIR:%=$(FIGURES)/%.bbox.json) \
		--names ResNet-26-mini TiedResNet-26-mini --image-dir $(FIGURES)/data/val --images 3 --out $(FIGURES)/samples.png
	$(RUN) tools/grad_cam.py $(PAIR_CONFIGS) $(PAIR_OPTIONS) --image-dir $(FIGURES)/data/val --images 4 \
		--target box --layer layer3 --out-dir $(FIGURES)/grad_cam
	$(RUN) tools/probe_similarity.py --out-dir $(FIGURES)/probe

docs: env  ## build the pages of docs/ and of the public names in build/docs
	@$(RUN) -m sphinx --quiet --fresh-env --fail-on-warning --keep-going docs build/docs
	@echo "Open build/docs/index.html in a browser."

test: env lint  ## lint and run all tests, on all cores (at most 4)
	$(RUN) -m pytest $(SIDE_BY_SIDE)

fast: env  ## run the tests that take no more than seconds each
	$(RUN) -m pytest $(SIDE_BY_SIDE) -m "not slow"

fuzz: env  ## try the property tests on random examples, many more than `test` does
	$(RUN) -m pytest -m hypothesis --hypothesis-profile fuzz --hypothesis-show-statistics

lint: env  ## check with ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: env  ## format with ruff
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

lock:  ## compile requirements/lock.txt anew (needs uv)
	requirements/compile.sh

clean:  ## remove the demo's and figures' files and tools' caches; your runs and the cached environment stay
	rm -rf $(DEMO) $(FIGURES) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@[ ! -L .venv ] || rm .venv
