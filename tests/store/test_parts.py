import hashlib
import io

import numpy as np
import pytest

from jaxland.store import Parts, StoreError


def _never():
    pytest.fail("computed again")


def _arrays():
    return {"loss": np.arange(3.0), "reason": np.array(["converged", "steps", ""]), "count": np.array(4)}


def test_a_part_is_computed_once(tmp_path):
    first = Parts(tmp_path / "a").get("bands-0", _arrays)
    again = Parts(tmp_path / "a").get("bands-0", _never)
    for name, values in _arrays().items():
        np.testing.assert_array_equal(first[name], values)
        np.testing.assert_array_equal(again[name], values)
        assert again[name].dtype == values.dtype


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        Parts(tmp_path / folder).get("x", _arrays)
    one, two = (next((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    assert (one.name, one.read_bytes()) == (two.name, two.read_bytes())


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: b"", lambda content: b"x" + content[1:]]
)
def test_a_damaged_part_is_computed_again(tmp_path, damage):
    parts = Parts(tmp_path)
    parts.get("x", _arrays)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(parts.get("x", _arrays)["loss"], np.arange(3.0))
    assert path.read_bytes() == whole
    parts.get("x", _never)


def test_a_flipped_bit_anywhere_in_a_part_is_found(tmp_path):
    parts = Parts(tmp_path)
    parts.get("x", _arrays)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 37):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        assert parts.find("x") is None, bit


def test_a_pickle_under_a_right_checksum_is_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("it was run",)

    sink = io.BytesIO()
    np.savez(sink, loss=np.array([Trap()], object))
    content = sink.getvalue()
    (tmp_path / f"x-{hashlib.sha256(content).hexdigest()[:16]}.npz").write_bytes(content)
    assert Parts(tmp_path).find("x") is None


def test_names_that_begin_alike_are_kept_apart(tmp_path):
    parts = Parts(tmp_path)
    parts.get("local-1", lambda: {"a": np.ones(1)})
    assert parts.get("local", lambda: {"a": np.zeros(1)})["a"] == 0
    assert parts.get("local-1", _never)["a"] == 1


def test_nothing_is_left_where_computing_fails(tmp_path):
    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Parts(tmp_path / "p").get("x", fails)
    assert not (tmp_path / "p").exists()


def test_where_nothing_can_be_written_the_error_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Parts(tmp_path / "file" / "p").get("x", _arrays)


def test_objects_are_refused(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        Parts(tmp_path).get("x", lambda: {"a": np.array([{}], object)})
