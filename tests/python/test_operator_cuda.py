"""The operator on a GPU from Python: opcheck, gradients, CUDA graphs, autocast, and that two runs give the same bits.

Usage: test_operator_cuda.py LIBRARY   (build/release/libfovea_ops.so; needs an NVIDIA GPU and Python's torch with CUDA)
"""

import os
import sys
import unittest

import torch

if len(sys.argv) != 2:
    sys.exit("usage: test_operator_cuda.py LIBRARY")
if not torch.cuda.is_available():
    print("SKIPPED: no CUDA device: the operator on a GPU is NOT TESTED", file=sys.stderr)
    sys.exit(77)
torch.ops.load_library(sys.argv[1])
attention = torch.ops.fovea.local_global_attention.default
backward = torch.ops.fovea.local_global_attention_backward.default

GRID, GLOBALS, WINDOW, DILATION = (13, 18), 3, (5, 7), (1, 2)
PATTERN = (GRID, GLOBALS, WINDOW, DILATION)


def inputs(dtype, requires_grad=False, batch=2, heads=2, head_dim=64):
    torch.manual_seed(1)
    tokens = GLOBALS + GRID[0] * GRID[1]
    return tuple(
        torch.randn(batch, tokens, heads, head_dim, dtype=torch.float64, device="cuda").to(dtype).requires_grad_(requires_grad)
        for _ in range(3)
    )


def relative_error(actual, expected):
    return float((actual.double() - expected).norm() / expected.norm())


class CudaOperatorTest(unittest.TestCase):
    def test_opcheck(self):
        for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
            with self.subTest(dtype=dtype):
                torch.library.opcheck(attention, (*inputs(dtype, requires_grad=True), *PATTERN))

    def test_gradcheck(self):
        def function(query, key, value):
            return attention(query, key, value, *PATTERN)

        small = inputs(torch.float64, requires_grad=True, batch=1, head_dim=3)
        # cuBLAS may divide the reference's products differently from run to run.
        self.assertTrue(torch.autograd.gradcheck(function, small, fast_mode=True, nondet_tol=1e-10))

    def test_results_and_gradients_against_float64(self):
        bounds = {torch.float32: 2e-6, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}
        for dtype, bound in bounds.items():
            with self.subTest(dtype=dtype):
                narrow = inputs(dtype, requires_grad=True)
                wide = tuple(tensor.detach().double().requires_grad_(True) for tensor in narrow)
                output, expected = attention(*narrow, *PATTERN)[0], attention(*wide, *PATTERN)[0]
                self.assertLess(relative_error(output.detach(), expected.detach()), bound)
                weights = torch.randn(output.shape, device="cuda", dtype=torch.float64)
                gradients = torch.autograd.grad(output, narrow, weights.to(dtype))
                expected_gradients = torch.autograd.grad(expected, wide, weights.to(dtype).double())
                for gradient, wanted in zip(gradients, expected_gradients):
                    self.assertLess(relative_error(gradient, wanted), 2 * bound)

    def test_two_runs_give_the_same_bits(self):
        for dtype in (torch.float32, torch.bfloat16):
            runs = []
            for _ in range(2):
                narrow = inputs(dtype, requires_grad=True)
                output, lse = attention(*narrow, *PATTERN)
                runs.append((output, lse, *torch.autograd.grad(output.float().square().sum(), narrow)))
            for first, second in zip(*runs):
                self.assertTrue(torch.equal(first, second))

    def test_cuda_graph(self):
        query, key, value = inputs(torch.bfloat16)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            attention(query, key, value, *PATTERN)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            output, lse = attention(query, key, value, *PATTERN)
        query.copy_(torch.randn_like(query))
        graph.replay()
        torch.cuda.synchronize()
        expected = attention(query, key, value, *PATTERN)
        self.assertTrue(torch.equal(output, expected[0]) and torch.equal(lse, expected[1]))

    def test_autocast(self):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            output, lse = attention(*inputs(torch.float32), *PATTERN)
        self.assertEqual((output.dtype, lse.dtype), (torch.bfloat16, torch.float32))

    def test_compiled_function_gives_the_same(self):
        query, key, value = inputs(torch.bfloat16)

        def function(query, key, value):
            return attention(query * 2, key, value, *PATTERN)[0] + 1

        compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(query, key, value), function(query, key, value), rtol=0, atol=0)

    def test_slices_of_a_packed_projection(self):
        query, key, value = inputs(torch.bfloat16)
        packed = torch.stack((query, key, value), dim=2)
        views = packed.unbind(2)
        self.assertFalse(views[0].is_contiguous())
        self.assertTrue(torch.equal(attention(*views, *PATTERN)[0], attention(query, key, value, *PATTERN)[0]))

    def test_tensors_that_start_anywhere(self):
        for dtype in (torch.float32, torch.bfloat16):
            with self.subTest(dtype=dtype):
                aligned = inputs(dtype, requires_grad=True)
                moved = tuple(
                    torch.empty(t.numel() + 1, dtype=dtype, device="cuda")[1:].view(t.shape).copy_(t.detach()).requires_grad_(True)
                    for t in aligned
                )
                results = [attention(*given, *PATTERN)[0] for given in (aligned, moved)]
                bound = {torch.float32: 2e-6, torch.bfloat16: 1.6e-2}[dtype]
                self.assertLess(relative_error(results[1].detach(), results[0].detach().double()), bound)
                gradients = [torch.autograd.grad(r.float().sum(), g) for r, g in zip(results, (aligned, moved))]
                for got, wanted in zip(gradients[1], gradients[0]):
                    self.assertLess(relative_error(got, wanted.double()), 2 * bound)

    def test_mixed_devices_raise_one_sentence(self):
        query, key, value = inputs(torch.bfloat16)
        with self.assertRaisesRegex(RuntimeError, r"key is on cpu, expected cuda:0 like query"):
            attention(query, key.cpu(), value, *PATTERN)


if __name__ == "__main__":
    print("back end:", os.environ.get("FOVEA_ATTENTION", "chosen by the operator"), "on", torch.cuda.get_device_name(), file=sys.stderr)
    unittest.main(argv=sys.argv[:1])
