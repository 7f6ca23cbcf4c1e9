"""What the controller's processes do before anything else."""

import gc

from vpcctl.processes.common import keep_what_is_loaded


def test_what_is_loaded_is_kept_and_garbage_is_looked_for_again() -> None:
    gc.disable()
    before = gc.get_freeze_count()
    try:
        keep_what_is_loaded()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
        gc.enable()
