"""What every component has in common: it runs in our image, which has everything installed."""

from functools import partial

from kfp import dsl

BASE_IMAGE = "driftloop-pipeline:latest"
"""Only the default: every task of the pipeline takes its image from the parameter `image`."""

stage = partial(dsl.component, base_image=BASE_IMAGE, packages_to_install=[], install_kfp_package=False)
