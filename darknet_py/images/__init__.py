"""Pictures: decoded from their files, fitted to a network.

A decoded picture is uint8 (height, width, 3), RGB; a network's input is float32 (3, height, width) in 0..1.
Sizes are given as darknet does, width before height.
"""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Picture: TypeAlias = "npt.NDArray[np.uint8]"
Input: TypeAlias = "npt.NDArray[np.float32]"
