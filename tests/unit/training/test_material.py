"""MNIST mixed into a user's own images."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from support.errors import error_of
from support.training import write_idx

from digitkit.datasets.corrections import Correction, add_corrections
from digitkit.datasets.mnist import split_mnist
from digitkit.errors import DatasetError
from digitkit.training import recipes
from digitkit.training.material import (
    load_material,
    mix_epoch,
    own_validation,
    split_material,
    split_validation,
)

RECIPE = replace(recipes.get_recipe("fine-tune"), own=0.2, validation=0.1)


@pytest.fixture
def corrections(tmp_path, mnist_test):
    """20 corrections, of 3 and 5 only, and 4 images without a digit."""
    folder = tmp_path / "corrections"
    lines = [
        Correction(f"a{i}", "digit", "35"[i % 2], (mnist_test.images[200 + i],)) for i in range(20)
    ]
    lines += [Correction(f"n{i}", "digit", "", (mnist_test.images[300 + i],)) for i in range(4)]
    add_corrections(folder, lines)
    return folder


def test_the_parts_of_an_epoch(small_mnist, corrections):
    material = load_material(corrections, RECIPE)
    assert len(material.train) == 520
    assert material.test.digest == small_mnist.test.digest
    assert set(material.own.labels.tolist()) == {3, 5}
    assert len(material.without_digit) == 4
    epoch = mix_epoch(material, RECIPE)
    train, validation, without = epoch.train, epoch.validation, epoch.without_digit
    own = {image.tobytes() for image in material.own.images}
    from_own = sum(image.tobytes() in own for image in train.images)
    assert from_own == epoch.new
    assert {image.tobytes() for image in train.images[-epoch.new :]} <= own
    assert from_own / len(train) == pytest.approx(0.2, abs=0.02)
    # Each own image as often as any other.
    counts = [sum(image.tobytes() == one for image in train.images) for one in own]
    assert set(counts) == {0, max(counts)}
    held_out = own_validation(material, RECIPE)
    assert counts.count(0) == len(held_out) == 2
    assert {image.tobytes() for image in held_out.images} <= own
    trained = {image.tobytes() for image in train.images}
    assert not trained & {image.tobytes() for image in validation.images}
    assert len(validation) > 40
    assert len(without) > 20
    assert {image.tobytes() for image in without} == {
        image.tobytes() for image in material.without_digit
    }


def test_mnist_is_split_as_if_it_was_alone(small_mnist, corrections):
    alone, _ = split_validation(small_mnist.train, RECIPE)
    kept, _ = split_material(load_material(corrections, RECIPE), RECIPE)
    np.testing.assert_array_equal(small_mnist.train.images[kept[kept < 500]], alone.images)


def test_all_networks_are_validated_on_the_same_digits(mnist_train):
    trained, unseen = split_mnist()
    for seed in (0, 1):
        recipe = replace(recipes.get_recipe("best"), seed=seed)
        kept, split_off = split_validation(mnist_train, recipe)
        assert (kept.digest, split_off.digest) == (trained.digest, unseen.digest)


def test_many_own_images_are_all_used(small_mnist, tmp_path, mnist_test):
    write_idx(tmp_path, "train", mnist_test.take(np.arange(200, 1200)))
    write_idx(tmp_path, "test", mnist_test.take(np.arange(100, 200)))
    material = load_material(tmp_path, RECIPE)
    assert material.test.digest != small_mnist.test.digest
    assert material.mnist_test.digest == small_mnist.test.digest
    train = mix_epoch(material, RECIPE).train
    assert len(train) == pytest.approx(0.9 * 1500, rel=0.02)


def test_one_own_image_is_trained_on(small_mnist, tmp_path, mnist_test):
    add_corrections(tmp_path, [Correction("a", "digit", "3", (mnist_test.images[200],))])
    material = load_material(tmp_path, RECIPE)
    assert own_validation(material, RECIPE) is None
    train = mix_epoch(material, RECIPE).train
    assert sum(image.tobytes() == material.own.images[0].tobytes() for image in train.images) > 50


def test_own_images_that_are_all_validated_on_are_refused(small_mnist, tmp_path, mnist_test):
    add_corrections(tmp_path / "c", [Correction("a", "digit", "7", (mnist_test.images[0],))])
    recipe = replace(RECIPE, validation=0.6)
    material = load_material(tmp_path / "c", recipe)
    assert error_of(DatasetError, mix_epoch, material, recipe).subject == "c"


def test_without_mixing_nothing_is_added(few_digits):
    material = load_material(few_digits, recipes.get_recipe("quick"))
    assert (len(material.train), material.own, material.mnist_test) == (300, None, None)


def test_what_cannot_be_mixed(small_mnist, tmp_path, mnist_test):
    assert "--data" in error_of(DatasetError, load_material, None, RECIPE).hint
    only = [Correction("a", "digit", "", (mnist_test.images[0],))]
    add_corrections(tmp_path, only)
    error = error_of(DatasetError, load_material, tmp_path, RECIPE)
    assert error.subject == str(tmp_path)


def test_recipes_that_do_not_mix_say_what_to_do_with_corrections(corrections):
    error = error_of(DatasetError, load_material, corrections, recipes.get_recipe("quick"))
    assert "--init" in error.hint
