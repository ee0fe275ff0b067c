"""The settings of a run that its cfg does not have."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.errors import UsageError
from darknet_py.training.settings import TrainingSettings

NAMES = ("seed", "threads", "freeze", "validate_every")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [1.5, float("nan"), "1"])
def test_what_is_no_whole_number_is_refused(name, value):
    with pytest.raises(UsageError, match=rf"^{name}=.*: a whole number is expected$"):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_numpy_become_python_s(name):
    assert type(getattr(TrainingSettings(**{name: np.int64(1)}), name)) is int
