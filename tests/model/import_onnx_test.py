#!/usr/bin/env python3
"""scripts/import_onnx.py: a Dinov2Model stored the way torch's ONNX export stores one must come out as it went in.

    import_onnx_test.py SCRIPT DATA_FOLDER      # needs the packages of scripts/requirements/onnx.txt
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy
import onnx
from onnx import helper, numpy_helper

SCRIPT, DATA = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def read_safetensors(path):
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:start])
    return {name: numpy.frombuffer(content[start + row['data_offsets'][0]:start + row['data_offsets'][1]], '<f4').reshape(row['shape'])
            for name, row in header.items() if name != '__metadata__'}


def exported(tensors, prefix='backbone.'):
    """The tensors as an ONNX model: linear weights transposed and anonymous, told by the node that reads them; positions in two parts."""
    initializers, nodes = [], []

    def anonymous(array, operator, path, inputs):
        name = f'onnx::{operator}_{len(nodes) + 1957}'
        initializers.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        nodes.append(helper.make_node(operator, [name if i is None else i for i in inputs], [f'out_{len(nodes)}'], name=path))

    folder = '/' + prefix.replace('.', '/')
    for name, array in tensors.items():
        is_linear = name.endswith('.weight') and array.ndim == 2
        if name == 'embeddings.position_embeddings':
            anonymous(array[:, 1:], 'Reshape', f'{folder}embeddings/Reshape_1', [None, 'shape'])
            anonymous(array[:, :1], 'Concat', f'{folder}embeddings/Concat_6', [None, 'grid'])
        elif is_linear:
            path = name.removesuffix('.weight').replace('.', '/').replace('layer/', 'layer.')
            anonymous(array.T, 'MatMul', f'{folder}{path}/MatMul', ['x', None])
        else:
            initializers.append(numpy_helper.from_array(array, prefix + name))
    initializers.append(numpy_helper.from_array(numpy.ones((3, 3), numpy.float32), 'decoder.final_conv.weight'))
    anonymous(numpy.ones((3, 3), numpy.float32), 'MatMul', '/decoder/head/MatMul', ['x', None])
    return helper.make_model(helper.make_graph(nodes, 'model', [], [], initializers))


class ImportOnnx(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.tensors = read_safetensors(DATA / 'dinov2_tiny.safetensors')

    def run_script(self, model):
        onnx.save(model, self.folder / 'model.onnx')
        return self.run_on(self.folder / 'model.onnx')

    def run_on(self, source):
        command = [sys.executable, SCRIPT, source, '-o', self.folder / 'out.safetensors']
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def assert_refused(self, result, complaint):
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f'{self.folder / "model.onnx"}: {complaint}\n')
        self.assertFalse((self.folder / 'out.safetensors').exists())

    def test_comes_out_as_it_went_in(self):
        for prefix in ('backbone.', ''):
            result = self.run_script(exported(self.tensors, prefix))
            self.assertEqual(result.returncode, 0, result.stderr)
            found = read_safetensors(self.folder / 'out.safetensors')
            self.assertEqual(set(found), set(self.tensors))
            for name, array in self.tensors.items():
                numpy.testing.assert_array_equal(found[name], array, err_msg=name)

    def test_other_models_are_refused(self):
        self.assert_refused(self.run_script(exported({})), 'no DINOv2 backbone in it: 0 tensors are named embeddings.cls_token, expected 1')
        del self.tensors['embeddings.position_embeddings']
        self.assert_refused(self.run_script(exported(self.tensors)),
                            '0 positions of the class token and 0 of the grid, expected one of each')

    def test_other_files_are_refused(self):
        (self.folder / 'model.onnx').write_text('no model')
        self.assert_refused(self.run_on(self.folder / 'model.onnx'), 'is not an ONNX model')
        (self.folder / 'model.onnx').unlink()
        self.assert_refused(self.run_on(self.folder / 'model.onnx'), 'No such file or directory')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
