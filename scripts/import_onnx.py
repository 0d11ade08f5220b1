#!/usr/bin/env python3
"""Takes the DINOv2 backbone out of an ONNX file.

    import_onnx.py MODEL.onnx -o BACKBONE.safetensors

The output names its tensors as transformers' Dinov2Model does; `fovea import BACKBONE.safetensors -o FOLDER` makes a model folder of it.

torch's ONNX export keeps the names of biases, norms and embeddings. Weights of linear layers become anonymous and are stored transposed:
the MatMul node that reads one tells the layer by its own name. So do the nodes that read the two parts of the position embedding.

Needs the packages of scripts/requirements/onnx.txt (`scripts/setup.sh onnx` puts them into .deps/onnx).
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

import numpy
import onnx
from onnx import numpy_helper

CLASS_TOKEN = 'embeddings.cls_token'


class ImportFailure(Exception):
    """A message of one line, without its subject."""


def read_graph(path):
    try:
        return onnx.load(path, load_external_data=False).graph
    except OSError as error:
        raise ImportFailure(error.strerror) from error
    except Exception as error:   # protobuf's own errors have no common, public type
        raise ImportFailure('is not an ONNX model') from error


def backbone_prefix(names):
    found = [name for name in names if name == CLASS_TOKEN or name.endswith('.' + CLASS_TOKEN)]
    if len(found) != 1:
        raise ImportFailure(f'no DINOv2 backbone in it: {len(found)} tensors are named {CLASS_TOKEN}, expected 1')
    return found[0][:-len(CLASS_TOKEN)]


def layer_of(node):
    """'/backbone/encoder/layer.0/mlp/fc1/MatMul' -> 'backbone.encoder.layer.0.mlp.fc1'."""
    return '.'.join(node.name.strip('/').split('/')[:-1])


def collect(graph):
    """The backbone's tensors by the names of Dinov2Model."""
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    prefix = backbone_prefix(initializers)
    tensors, class_position, grid_positions = {}, [], []
    for name, tensor in initializers.items():
        if name.startswith(prefix) and name[len(prefix):].startswith(('embeddings.', 'encoder.', 'layernorm.')):
            tensors[name[len(prefix):]] = numpy_helper.to_array(tensor)
    for node in graph.node:
        layer = layer_of(node) + '.'
        anonymous = [name for name in node.input if name in initializers and name.startswith('onnx::')]
        if layer.startswith(f'{prefix}encoder.') and node.op_type == 'MatMul' and node.input[1] in anonymous:
            tensors[f'{layer[len(prefix):]}weight'] = numpy_helper.to_array(initializers[node.input[1]]).T
        elif layer == f'{prefix}embeddings.' and node.op_type in ('Concat', 'Reshape'):
            for array in (numpy_helper.to_array(initializers[name]) for name in anonymous):
                if array.dtype.kind == 'f' and array.ndim == 3:
                    (class_position if array.shape[1] == 1 else grid_positions).append(array)
    if len(class_position) != 1 or len(grid_positions) != 1:
        found = f'{len(class_position)} positions of the class token and {len(grid_positions)} of the grid'
        raise ImportFailure(f'{found}, expected one of each')
    tensors['embeddings.position_embeddings'] = numpy.concatenate([class_position[0], grid_positions[0]], axis=1)
    return {name: numpy.ascontiguousarray(array, dtype=numpy.float32) for name, array in sorted(tensors.items())}


def write_safetensors(path, tensors):
    """Whole or not at all."""
    header, offset = {}, 0
    for name, array in tensors.items():
        header[name] = {'dtype': 'F32', 'shape': list(array.shape), 'data_offsets': [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f'.{path.name}.', suffix='.partial', delete=False) as file:
        try:
            file.write(len(text).to_bytes(8, 'little') + text)
            for array in tensors.values():
                file.write(array.astype('<f4').tobytes())
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=pathlib.Path, metavar='MODEL.onnx')
    parser.add_argument('-o', '--output', type=pathlib.Path, required=True, metavar='BACKBONE.safetensors')
    arguments = parser.parse_args()
    try:
        tensors = collect(read_graph(arguments.model))
    except ImportFailure as error:
        sys.exit(f'{arguments.model}: {error}')
    try:
        write_safetensors(arguments.output, tensors)
    except OSError as error:
        sys.exit(f'{arguments.output}: cannot write: {error.strerror}')
    print(f'{arguments.output}: {len(tensors)} tensors, {sum(array.size for array in tensors.values()):,} parameters')


if __name__ == '__main__':
    main()
