"""The operator from Python: loaded with torch.ops.load_library, checked with torch.library.opcheck and gradcheck.

Usage: test_operator.py LIBRARY   (build/release/libfovea_ops.so)
"""

import sys
import unittest

import torch

if len(sys.argv) != 2:
    sys.exit("usage: test_operator.py LIBRARY")
torch.ops.load_library(sys.argv[1])
attention = torch.ops.fovea.local_global_attention.default

GRID, GLOBALS, WINDOW, DILATION = (5, 6), 3, (3, 5), (1, 2)


def inputs(dtype, requires_grad=False, heads=2, head_dim=8):
    torch.manual_seed(1)
    tokens = GLOBALS + GRID[0] * GRID[1]
    return tuple(
        torch.randn(2, tokens, heads, head_dim, dtype=torch.float64).to(dtype).requires_grad_(requires_grad) for _ in range(3)
    )


def visible(head):
    """The definition: [N, N], true where a query sees a key."""
    tokens = GLOBALS + GRID[0] * GRID[1]
    mask = torch.ones(tokens, tokens, dtype=torch.bool)
    step = DILATION[head]
    for q in range(GLOBALS, tokens):
        for k in range(GLOBALS, tokens):
            dy = abs((q - GLOBALS) // GRID[1] - (k - GLOBALS) // GRID[1])
            dx = abs((q - GLOBALS) % GRID[1] - (k - GLOBALS) % GRID[1])
            mask[q, k] = dy % step == 0 and dx % step == 0 and dy // step <= WINDOW[0] // 2 and dx // step <= WINDOW[1] // 2
    return mask


class OperatorTest(unittest.TestCase):
    def test_matches_torch_with_a_mask(self):
        query, key, value = inputs(torch.float64)
        output, lse = attention(query, key, value, GRID, GLOBALS, WINDOW, DILATION)
        mask = torch.stack([visible(0), visible(1)])
        expected = torch.nn.functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask
        )
        torch.testing.assert_close(output, expected.transpose(1, 2))
        self.assertEqual(tuple(lse.shape), (2, 2, query.shape[1]))

    def test_opcheck(self):
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            with self.subTest(dtype=dtype):
                torch.library.opcheck(attention, (*inputs(dtype, requires_grad=True), GRID, GLOBALS, WINDOW, DILATION))

    def test_opcheck_with_scale(self):
        torch.library.opcheck(attention, (*inputs(torch.float32), GRID, GLOBALS, WINDOW, DILATION, 0.3))

    def test_gradcheck(self):
        def function(query, key, value):
            return attention(query, key, value, GRID, GLOBALS, WINDOW, DILATION)

        self.assertTrue(torch.autograd.gradcheck(function, inputs(torch.float64, requires_grad=True, head_dim=3), fast_mode=True))

    def test_compiled_function_gives_the_same(self):
        query, key, value = inputs(torch.float32)

        def function(query, key, value):
            return attention(query * 2, key, value, GRID, GLOBALS, WINDOW, DILATION)[0] + 1

        compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(query, key, value), function(query, key, value), rtol=0, atol=0)

    def test_bad_arguments_raise_one_sentence(self):
        query, key, value = inputs(torch.float32)
        with self.assertRaisesRegex(RuntimeError, r"window is 4 x 3, expected two odd numbers of at least 1"):
            attention(query, key, value, GRID, GLOBALS, (4, 3), DILATION)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
