"""The sandbox that tests of the pipeline have, for actions whose effect is to be seen."""

from tests.pipeline.conftest import api, deliverer, pipeline_sandbox

__all__ = ["api", "deliverer", "pipeline_sandbox"]
