// ONNX files for `fovea import`: read by Python's onnx, since protobuf graphs are outside what Fovea exists for.
#pragma once

#include <filesystem>

namespace fovea::cli {

// Runs scripts/import_onnx.py of the source tree that this program was built in, with the Python of .deps/onnx, and owns the safetensors
// file it writes.
// Errors: Error{kEnvironment} "MODEL.onnx: ..." where that Python or script is missing (the message names the command that installs it) or
// cannot be started; Error{kModel} with the script's own line, "MODEL.onnx: is not an ONNX model".
class OnnxBackbone {
 public:
  explicit OnnxBackbone(const std::filesystem::path& onnx_file);
  ~OnnxBackbone();
  OnnxBackbone(const OnnxBackbone&) = delete;
  OnnxBackbone& operator=(const OnnxBackbone&) = delete;

  // Tensors named as in transformers' Dinov2Model; removed with this object.
  std::filesystem::path safetensors() const { return folder_ / "backbone.safetensors"; }

 private:
  std::filesystem::path folder_;
};

}  // namespace fovea::cli
