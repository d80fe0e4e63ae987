import gzip
import struct

import numpy as np
import pytest

import jaxland as jl
from jaxland.problems import digits, idx_images, read_idx

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
RNG = np.random.default_rng(0)


def _idx(array):
    """An IDX file, written by the format's definition."""
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 6), (0, 28, 28)])
def test_every_type_and_shape_comes_back(tmp_path, packed, dtype, shape):
    array = (100 * RNG.normal(size=shape)).astype(dtype)
    path = tmp_path / "file.idx"
    path.write_bytes(gzip.compress(_idx(array)) if packed else _idx(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.fixture
def mnist(tmp_path):
    """Two files like those of MNIST, with 12 pictures."""
    pictures, classes = (
        RNG.integers(256, size=(12, 28, 28)).astype(np.uint8),
        RNG.integers(10, size=12).astype(np.uint8),
    )
    paths = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte"
    paths[0].write_bytes(gzip.compress(_idx(pictures)))
    paths[1].write_bytes(_idx(classes))
    return paths, pictures, classes


def test_pictures_and_classes(mnist):
    paths, pictures, classes = mnist
    found = idx_images(*paths, samples=5)
    np.testing.assert_array_equal(found.pixels, pictures[:5].reshape(5, 784) / 255)
    np.testing.assert_array_equal(found.labels, classes[:5])
    np.testing.assert_array_equal(found.one_hot.argmax(axis=1), classes[:5])
    assert (found.one_hot.sum(axis=1) == 1).all()
    whole = idx_images(*paths)
    assert len(whole.pixels) == 12
    problem = whole.problem()
    assert (problem.x.shape, problem.y.shape, problem.loss.name) == ((12, 784), (12, 10), "mean_sum_squared_error")


def test_what_is_wrong_with_a_file_is_said(mnist, tmp_path):
    (images, labels), _, _ = mnist
    raw = gzip.decompress(images.read_bytes())
    bad = tmp_path / "bad"
    for content, message in [
        (b"", "begins with nothing"),
        (b"<html>", "not an IDX file: it begins with 3c 68 74 6d"),
        (b"\0\0\x07\x01" + raw[4:], "not an IDX file"),
        (raw[:9], "ends within its header of 16 bytes"),
        (raw[:-1], "9,408 bytes, but holds 9,407; it is damaged"),
        (raw + b"\0", "but holds 9,409"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "damaged or was not loaded whole"),
        (images.read_bytes()[:-20], "damaged gzip file"),
        (images.read_bytes()[:50] + b"\xff" + images.read_bytes()[51:], "damaged gzip file"),
    ]:
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_idx(bad)
    for arguments, message in [
        ((labels, images), "Were they exchanged"),
        ((tmp_path / "none", labels), "cannot read .*none: No such file"),
        ((tmp_path, labels), "cannot read"),
    ]:
        with pytest.raises(ValueError, match=message):
            idx_images(*arguments)
    bad.write_bytes(_idx(np.zeros(3, np.uint8)))
    with pytest.raises(ValueError, match=r"12 pictures, but .* has 3 labels"):
        idx_images(images, bad)
    bad.write_bytes(_idx(np.full(12, -1, np.int8)))
    with pytest.raises(ValueError, match="counted from 0"):
        idx_images(images, bad)
    with pytest.raises(ValueError, match="has 12 pictures; 13 were asked for"):
        idx_images(images, labels, samples=13)


def test_digits():
    found = digits()
    assert (found.pixels.shape, found.labels.shape) == ((1797, 64), (1797,))
    assert (found.pixels.min(), found.pixels.max()) == (0, 1)
    np.testing.assert_array_equal(found.labels[:10], np.arange(10))
    assert np.bincount(found.labels).min() > 170
    assert len(found.take(100).labels) == 100
    with pytest.raises(ValueError, match="1,797 pictures"):
        found.take(0)


def test_enlarged_digits_hold_the_same_pictures():
    small, large = digits(), digits(28)
    assert large.pixels.shape == (1797, 784)
    pictures = large.pixels.reshape(-1, 28, 28)
    np.testing.assert_array_equal(pictures[:, 2:26:3, 2:26:3].reshape(-1, 64), small.pixels)
    np.testing.assert_allclose(pictures.sum(axis=(1, 2)), 9 * small.pixels.sum(axis=1))
    with pytest.raises(ValueError, match="8 pixels a side"):
        digits(7)


def test_a_network_learns_digits():
    import optax

    problem = digits().take(100).problem()
    network = jl.mlp([64, 10])
    fits = jl.fit(network, problem, optax.adam(0.02), fits=1, steps=100, backend="xla")
    guessed = jl.landscape.outputs(network, fits.params, problem.x)[0].argmax(axis=1)
    assert (guessed == problem.y.argmax(axis=1)).mean() > 0.9
