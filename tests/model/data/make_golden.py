#!/usr/bin/env python3
"""Computes the small golden data of tests/model with independent implementations.

    python3 make_golden.py          # needs torch, timm 1.0.29, transformers, safetensors; writes beside itself

timm_tiny.safetensors      a random timm VisionTransformer: width 24, 2 layers, 2 heads, patch 6, 5x5 positions
dinov2_tiny.safetensors    the same weights under the names of transformers' Dinov2Model
registers_tiny.safetensors a random timm VisionTransformer with 2 register tokens, whose class token has no position (DINOv2 with registers)
golden.safetensors         images, and what timm, transformers and the formulas of docs/model-format.md make of them
"""
import functools
import pathlib
import tempfile

import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from transformers import Dinov2Config, Dinov2Model

HERE = pathlib.Path(__file__).parent
WIDTH, DEPTH, HEADS, PATCH, GRID, EPS = 24, 2, 2, 6, 5, 1e-6
ROPE_BASE, WINDOW, GLOBAL_TOKENS = 100.0, (3, 5), 1


def timm_model(**extra):
    return timm.models.vision_transformer.VisionTransformer(
        img_size=GRID * PATCH, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, mlp_ratio=2, init_values=0.5,
        num_classes=0, global_pool='token', dynamic_img_size=True,
        norm_layer=functools.partial(torch.nn.LayerNorm, eps=EPS), **extra).eval()


def randomise(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_matrix = parameter.dim() > 1 and name not in ('cls_token', 'pos_embed', 'reg_token')
            deviation = parameter[0].numel() ** -0.5 if is_matrix else 0.3
            parameter.normal_(0, deviation)
            if 'norm' in name and name.endswith('weight') or 'gamma' in name:
                parameter.add_(1)


def to_dinov2(state):
    names = {'cls_token': 'embeddings.cls_token', 'pos_embed': 'embeddings.position_embeddings',
             'patch_embed.proj.weight': 'embeddings.patch_embeddings.projection.weight',
             'patch_embed.proj.bias': 'embeddings.patch_embeddings.projection.bias',
             'norm.weight': 'layernorm.weight', 'norm.bias': 'layernorm.bias'}
    parts = {'norm1': 'norm1', 'norm2': 'norm2', 'attn.proj': 'attention.output.dense', 'mlp.fc1': 'mlp.fc1', 'mlp.fc2': 'mlp.fc2'}
    result = {theirs: state[ours] for ours, theirs in names.items()}
    result['embeddings.mask_token'] = torch.zeros(1, WIDTH)
    for i in range(DEPTH):
        ours, theirs = f'blocks.{i}.', f'encoder.layer.{i}.'
        for kind in ('weight', 'bias'):
            for a, b in parts.items():
                result[f'{theirs}{b}.{kind}'] = state[f'{ours}{a}.{kind}']
            for name, part in zip(('query', 'key', 'value'), state[f'{ours}attn.qkv.{kind}'].chunk(3)):
                result[f'{theirs}attention.attention.{name}.{kind}'] = part.clone()
        for k in (1, 2):
            result[f'{theirs}layer_scale{k}.lambda1'] = state[f'{ours}ls{k}.gamma']
    return result


def class_rows(model, images, layer):
    """Attention of the class token in one layer: [B, heads, N]."""
    seen = {}
    hook = model.blocks[layer].attn.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0]))
    model.forward_features(images)
    hook.remove()
    attention = model.blocks[layer].attn
    batch, count, _ = seen['x'].shape
    query, key, _ = attention.qkv(seen['x']).view(batch, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    return (query[:, :, :1] @ key.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5).softmax(-1)[:, :, 0]


def rope(x, rows, columns, base):
    """x [B, N, heads, D] with one global token first. Written out pair by pair, from the formula in docs/model-format.md."""
    quarter = x.shape[-1] // 4
    out = x.clone()
    for token in range(rows * columns):
        y, column = divmod(token, columns)
        for pair in range(2 * quarter):
            place, k = (y, pair) if pair < quarter else (column, pair - quarter)
            angle = torch.tensor(place * base ** (-k / quarter), dtype=x.dtype)
            real, imaginary = x[:, GLOBAL_TOKENS + token, :, 2 * pair], x[:, GLOBAL_TOKENS + token, :, 2 * pair + 1]
            out[:, GLOBAL_TOKENS + token, :, 2 * pair] = real * angle.cos() - imaginary * angle.sin()
            out[:, GLOBAL_TOKENS + token, :, 2 * pair + 1] = real * angle.sin() + imaginary * angle.cos()
    return out


def window_mask(rows, columns):
    y, x = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    near = ((y[:, None] - y).abs() <= WINDOW[0] // 2) & ((x[:, None] - x).abs() <= WINDOW[1] // 2)
    mask = torch.ones(GLOBAL_TOKENS + rows * columns, GLOBAL_TOKENS + rows * columns, dtype=torch.bool)
    mask[GLOBAL_TOKENS:, GLOBAL_TOKENS:] = near
    return mask


def windowed_rope_tokens(model, images):
    """The same weights with mean positions, rotary embedding and windows, in float64."""
    rows, columns = images.shape[2] // PATCH, images.shape[3] // PATCH
    x = model.patch_embed.proj(images).flatten(2).transpose(1, 2) + model.pos_embed[:, 1:].mean(1, keepdim=True)
    x = torch.cat([(model.cls_token + model.pos_embed[:, :1]).expand(len(x), -1, -1), x], 1)
    for block in model.blocks:
        packed = block.attn.qkv(block.norm1(x)).view(len(x), x.shape[1], 3, HEADS, -1)
        query, key = (rope(packed[:, :, i], rows, columns, ROPE_BASE).transpose(1, 2) for i in (0, 1))
        scores = query @ key.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        weights = scores.masked_fill(~window_mask(rows, columns), -torch.inf).softmax(-1)
        attended = (weights @ packed[:, :, 2].transpose(1, 2)).transpose(1, 2).flatten(2)
        x = x + block.ls1(block.attn.proj(attended))
        x = x + block.ls2(block.mlp(block.norm2(x)))
    return model.norm(x)


def resampled_kernels(kernels, size):
    """Least squares, kernel by kernel: the kernel whose answers to resized patches are nearest to the old one's to the patches."""
    old = kernels.shape[-1]
    basis = torch.eye(old * old, dtype=torch.float64).view(-1, 1, old, old)
    resized = torch.nn.functional.interpolate(basis, size=(size, size), mode='bilinear', antialias=True).flatten(1)
    answers = kernels.double().flatten(2).flatten(0, 1).T
    return torch.linalg.lstsq(resized, answers, driver='gels').solution.T.view(*kernels.shape[:2], size, size)


@torch.no_grad()
def main():
    torch.manual_seed(20)
    model, registers = timm_model(), timm_model(reg_tokens=2, no_embed_class=True)
    randomise(model)
    randomise(registers)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    dinov2_state = to_dinov2(state)
    config = Dinov2Config(hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_ratio=2, patch_size=PATCH,
                          image_size=GRID * PATCH, layer_norm_eps=EPS, hidden_act='gelu', use_swiglu_ffn=False)
    with tempfile.TemporaryDirectory() as folder:   # through files, because published names are translated on loading
        config.save_pretrained(folder)
        save_file(dinov2_state, f'{folder}/model.safetensors', metadata={'format': 'pt'})
        dinov2 = Dinov2Model.from_pretrained(folder).eval()

    square, wide = torch.randn(1, 3, GRID * PATCH, GRID * PATCH), torch.randn(1, 3, 4 * PATCH, 9 * PATCH)
    golden = {'square': square, 'wide': wide}
    timm_square, transformers_square = model.forward_features(square), dinov2(square).last_hidden_state
    assert (timm_square - transformers_square).abs().max() < 1e-5
    for name, images in (('square', square), ('wide', wide)):
        golden[f'{name}.tokens'] = model.double().forward_features(images.double())
        for layer in range(DEPTH):
            golden[f'{name}.class_row.{layer}'] = class_rows(model, images.double(), layer)
        golden[f'{name}.registers.tokens'] = registers.double().forward_features(images.double())
        golden[f'{name}.windowed_rope.tokens'] = windowed_rope_tokens(model, images.double())
    positions = resample_abs_pos_embed(state['pos_embed'], new_size=[4, 9], num_prefix_tokens=1)
    golden['wide.positions'] = positions[0, 1:]
    for size in (4, 8):
        golden[f'kernels.{size}'] = resampled_kernels(state['patch_embed.proj.weight'], size).float()

    save_file(state, HERE / 'timm_tiny.safetensors')
    save_file(dinov2_state, HERE / 'dinov2_tiny.safetensors')
    save_file({name: tensor.float().contiguous() for name, tensor in registers.state_dict().items()}, HERE / 'registers_tiny.safetensors')
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, HERE / 'golden.safetensors')


main()
