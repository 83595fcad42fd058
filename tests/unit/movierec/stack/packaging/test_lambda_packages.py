"""What of an installed library goes into a Lambda package."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.stack.packaging.lambda_packages import placed


@pytest.mark.parametrize(
    "name",
    [
        "numpy/__init__.py",
        "numpy/_core/tests/_natype.py",  # imported by numpy itself
        "numpy.libs/libscipy_openblas64_-8fb3d286.so",
        "numpy/testing/__init__.py",
        "implicit/cpu/_als.so",
        "implicit/gpu/__init__.py",
        "implicit-0.7.3.dist-info/METADATA",
        "aws_lambda_powertools/py.typed",
        "pandas/_testing/__init__.py",
    ],
)
def test_what_is_imported_stays_where_it_is(name):
    assert placed(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "numpy/_core/tests/test_multiarray.py",
        "scipy/tests/__init__.py",
        "numpy/__init__.pyi",
        "numpy/_core/include/numpy/ndarraytypes.h",
        "implicit/gpu/_cuda.so",
        "implicit-0.7.3.dist-info/RECORD",
        "bin/f2py",
        "wrapt-stubs/__init__.pyi",
        "pykdtree/kdtree.cpython-313-x86_64-linux-gnu.so",
        "pykdtree-1.4.3.dist-info/METADATA",
        ".lock",
    ],
)
def test_what_is_never_imported_stays_out(name):
    assert placed(name) is None


def test_the_openmp_runtime_goes_where_lambda_looks_for_libraries():
    assert placed("pykdtree.libs/libgomp-870cb1d0.so.1.0.0") == "lib/libgomp.so.1"


@given(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), min_size=1, max_size=4))
def test_a_module_stays_wherever_it_is_unless_among_tests_or_programs(folders):
    name = "/".join([*folders, "module.py"])
    left_out = "tests" in folders or folders[0] == "bin" or folders[0].startswith("pykdtree")

    assert placed(name) == (None if left_out else name)
