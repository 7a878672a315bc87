"""Masks: images of 0 and 1."""

import numpy as np
import pytest

from digitkit.images.masks import open_mask


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("across", [False, True])
def test_opening_leaves_what_is_large_enough_where_it_is(size, across):
    mask = np.zeros((30, 30), np.uint8)
    mask[3:10, 5:12] = 1
    mask[20:24, 20] = mask[25, 3:7] = 1  # 4 pixels down, and 4 across
    height, width = (1, size) if across else (size, 1)
    down, level = (slice(20, 24), 20), (25, slice(3, 7))
    along, other = (level, down) if across else (down, level)
    expected = mask.copy()
    expected[along] = size <= 4
    expected[other] = size == 1
    assert np.array_equal(open_mask(mask, height, width), expected)
