"""Every way to the sum gives the same numbers, whatever the shape, the memory order and what the array holds."""

import functools
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import coursekit
from coursekit import _dispatch, _scans
from coursekit.advantages import gae, gae_by_recursion, lambda_returns, mc_returns
from strategies import double_sum, random_steps, scaled_error

BAR = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}
ORDERS = {  # how the axes (A, B, T) lie in memory, from the slowest to the fastest
    "time last": (0, 1, 2), "time first": (2, 0, 1), "time between": (0, 2, 1), "rows swapped": (1, 0, 2)}
each_dtype = pytest.mark.parametrize("dtype", BAR, ids=str)
each_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
each_discount = pytest.mark.parametrize("gamma, lam", [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.0, 0.9)])


def lying(x, order):
    """The same array, its axes in this order in memory."""
    return np.array(x.transpose(order), order="C").transpose(np.argsort(order))


def in_order(rng, order, *shape, dtype=float, ends=0.02):
    return [lying(x, order) for x in random_steps(rng, *shape, ends=ends, dtype=dtype)]


@functools.cache
def summed(order, dtype, gamma, lam):
    """Rollouts of several shapes, each with its double sum: computed once for all ways."""
    rng = np.random.default_rng(0)
    rollouts = [in_order(rng, order, *shape, dtype=dtype)
                for shape in ((1, 1, 1), (1, 1, 700), (2, 3, 50), (9, 7, 31), (1, 40, 33), (2, 1, 130))]
    return [(s, double_sum(*s, gamma, lam)) for s in rollouts]


@pytest.fixture
def small(monkeypatch):
    """Few elements are many: every path on arrays that the double sum can follow."""
    for name, elements in dict(BLOCK=64, WIDE=16, PART=96).items():
        monkeypatch.setattr(_scans, name, elements)
    for name in ("COMPILED", "OUTSIDE"):
        monkeypatch.setattr(_dispatch, name, 10**9)
    return monkeypatch


def ways(monkeypatch):
    """{name: gae} of every implementation, each forced."""
    def forced(**constants):
        def run(*s, gamma, lam):
            with monkeypatch.context() as m:
                for name, value in constants.items():
                    m.setattr(_scans if hasattr(_scans, name) else _dispatch, name, value)
                return gae(*s, gamma=gamma, lam=lam)
        return run

    def kernel(*s, gamma, lam):
        kernels = pytest.importorskip("coursekit._kernels", exc_type=ImportError)
        return kernels.gae(*s, gamma, gamma * lam)

    return {"blocks": forced(WIDE=10**9), "one block": forced(WIDE=10**9, BLOCK=10**9), "steps": forced(WIDE=1),
            "transposed": forced(WIDE=10**9, TRANSPOSE_STEP=1, TRANSPOSE_ROW=1),
            "transposed in parts": forced(WIDE=10**9, TRANSPOSE_STEP=1, TRANSPOSE_ROW=1, COMPILED=1, OUTSIDE=1,
                                          _kernel=lambda: None),
            "by size": forced(), "parts": lambda *s, gamma, lam: _scans.gae_by_parts(*s, gamma, gamma * lam),
            "kernel": kernel,
            "torch": lambda *s, **d: gae(*map(torch.as_tensor, s), **d).numpy(),
            "torch with gradients": lambda *s, **d: gae(
                torch.as_tensor(s[0]).requires_grad_(), *map(torch.as_tensor, s[1:]), **d).detach().numpy()}


each_way = pytest.mark.parametrize("way", ways(pytest.MonkeyPatch()))


@each_way
@each_order
@each_dtype
@each_discount
def test_every_way_is_the_double_sum(small, way, order, dtype, gamma, lam):
    for s, truth in summed(order, dtype, gamma, lam):
        result = ways(small)[way](*s, gamma=gamma, lam=lam)
        assert scaled_error(result, truth) <= BAR[dtype] and result.dtype == dtype


@each_way
@each_order
def test_the_callers_arrays_and_memory_order_are_kept(small, way, order):
    for step in (1, -1, 2):
        s = [x[::, ::, ::step] for x in in_order(np.random.default_rng(1), order, 3, 5, 60)]
        copies = [x.copy() for x in s]
        given = [x.copy() for x in s] if step < 0 and "torch" in way else s  # torch has no negative strides
        result = ways(small)[way](*given, gamma=0.99, lam=0.95)
        for x, copy in zip(given, copies):
            assert_array_equal(x, copy)
            assert not np.shares_memory(x, result)
        if step == 1:
            assert result.strides == s[0].strides


@each_way
@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_what_lies_after_an_end_may_be_anything(small, way, hole):
    s = random_steps(np.random.default_rng(2), 4, 3, 300, ends=0.0)
    s[3][..., 250] = s[4][..., 100] = True
    clean = ways(small)[way](*s, gamma=0.99, lam=0.95)
    s[0][1:, :, 101:200], s[0][2:, :, 280:] = hole, -hole
    result = ways(small)[way](*s, gamma=0.99, lam=0.95)
    assert_array_equal(np.isfinite(result[0]), True)
    assert scaled_error(result[:, :, :101], clean[:, :, :101]) <= 1e-12
    assert scaled_error(result[:, :, 200:251], clean[:, :, 200:251]) <= 1e-12
    assert not np.isfinite(result[1:, :, 101:200]).any()


@pytest.mark.parametrize("step", [2, -1])
def test_sums_in_place_of_numbers_that_lie_apart(step):
    x, never = np.random.default_rng(6).normal(size=(3, 50))[:, ::step], np.zeros((3, 50), bool)[:, ::step]
    truth = _scans.discounted_sums(x.copy(), never.copy(), 0.9)
    assert_array_equal(_scans.discounted_sums(x, never, 0.9), truth)


@each_way
def test_orders_may_be_mixed(small, way):
    rng = np.random.default_rng(3)
    s = [lying(x, order) for x, order in zip(random_steps(rng, 3, 5, 60), [*ORDERS.values(), (2, 1, 0)])]
    assert scaled_error(ways(small)[way](*s, gamma=0.99, lam=0.95), double_sum(*s, 0.99, 0.95)) <= 1e-12


@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("shape", [(4096, 60), (4096, 300), (64, 2048), (1, 140_000), (70, 15_001)])
def test_large_arrays_as_they_come(monkeypatch, dtype, shape):
    """By size, with numba and without: against the recursion in double precision."""
    kernels = _dispatch._kernel, lambda: None
    for order in ((0, 1), (1, 0)):
        s = in_order(np.random.default_rng(4), order, *shape, dtype=dtype, ends=0.005)
        double = [x.astype(float) if x.dtype == dtype else x for x in s]
        truth = gae_by_recursion(*double, gamma=0.99, lam=0.95)
        for kernel in kernels:
            monkeypatch.setattr(_dispatch, "_kernel", kernel)
            assert scaled_error(gae(*s, gamma=0.99, lam=0.95), truth) <= BAR[dtype]


def test_the_kernel_serves_large_arrays_of_its_types_only(monkeypatch):
    monkeypatch.setattr(_dispatch, "_kernel", lambda: "kernel")
    assert _dispatch.fused_gae(np.zeros(2**17)) == "kernel" == _dispatch.fused_gae(np.zeros(2**17, np.float32))
    for other in (np.zeros(2**17 - 1), np.zeros(2**17, np.float16), np.zeros(2**17, ">f8"), torch.zeros(2**17)):
        assert _dispatch.fused_gae(other) is None


def test_numba_is_imported_for_large_arrays_only():
    code = ("import sys, numpy as np; from coursekit.advantages import gae; x = np.zeros((2, 60000)); "
            "gae(x, x, x, x > 1, x > 1, gamma=0.9, lam=0.9); sys.exit('numba' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_sum_stops_early_only_where_the_weight_is_below_eps_squared():
    for dtype in BAR:
        eps = np.finfo(dtype).eps
        for factor in (0.5, 0.9405, 0.9999, 1.0):
            *_, (shift, _) = _scans._rounds(10**6, factor, eps)
            assert 2 * shift >= 10**6 or factor ** (2 * shift) <= eps**2


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, on its first jvp
@pytest.mark.parametrize("estimate", [
    lambda r, *rest: gae(r, *rest, gamma=0.9, lam=0.8),
    lambda r, v, *rest: lambda_returns(r, *rest, gamma=0.9, lam=0.8),
    lambda r, v, *rest: mc_returns(r, *rest, gamma=0.9)], ids=["gae", "lambda_returns", "mc_returns"])
def test_derivatives_in_every_direction(estimate):
    """Backward twice, forward, and under vmap: no path hands memory to numpy where somebody differentiates."""
    r, *rest = [torch.as_tensor(x) for x in random_steps(np.random.default_rng(5), 3, 9)]
    tangent = torch.randn(3, 9, dtype=r.dtype)
    change = estimate(r + tangent, *rest) - estimate(r, *rest)  # linear in the rewards
    assert torch.autograd.gradgradcheck(lambda x: estimate(x, *rest), r.clone().requires_grad_())
    assert torch.allclose(torch.func.jvp(lambda x: estimate(x, *rest), (r,), (tangent,))[1], change)
    with torch.autograd.forward_ad.dual_level():
        dual = estimate(torch.autograd.forward_ad.make_dual(r, tangent), *rest)
        assert torch.allclose(torch.autograd.forward_ad.unpack_dual(dual).tangent, change)
    each = torch.func.vmap(estimate)(r, *rest)
    assert torch.allclose(each, estimate(r, *rest))


def test_the_torch_scan_has_no_loop_over_time():
    """On a GPU every operation is a launch: 13 rounds, not 8192 steps."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            Count.calls += 1
            return function(*args, **(kwargs or {}))

    x, never = torch.randn(2, 8192), torch.zeros(2, 8192, dtype=torch.bool)
    with Count():
        _scans._doubling(x.movedim(-1, 0), never.movedim(-1, 0), 1.0)
    assert Count.calls <= 13 * 12


def test_where_numba_finds_no_place_for_its_cache_numpy_does_the_work(monkeypatch):
    """As where the package and HOME are read-only: numba then raises as soon as a function is decorated."""
    pytest.importorskip("numba")

    def njit(**_):
        raise RuntimeError("cannot cache function '_times': no locator available")
    for name in ("coursekit._kernels", "numba"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(coursekit, "_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "numba", types.SimpleNamespace(njit=njit))
    _dispatch._kernel.cache_clear()
    try:
        s = random_steps(np.random.default_rng(0), 2, 2**16, ends=0.01)
        assert_allclose(gae(*s, gamma=0.99, lam=0.95), gae_by_recursion(*s, gamma=0.99, lam=0.95), atol=1e-6)
        assert _dispatch.fused_gae(s[0]) is None
    finally:
        _dispatch._kernel.cache_clear()
