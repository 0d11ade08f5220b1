// One case against the oracle: values, both guards of every buffer, every element written, the same bits from a second run.
#include <algorithm>
#include <cfloat>

#include "oracle.cuh"
#include "tensors.cuh"

namespace fovea::check {
namespace {

// Sums over the rows of global tokens [0] and of the grid [1].
struct Errors {
  double squared[2], plain_squared[2], truth_squared[2];
  double largest[2], plain_largest[2], truth_largest;
  unsigned long long not_finite;
};

__device__ void raise(double* to, double value) {                // of numbers >= 0 the bits are ordered as the numbers
  atomicMax(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(__double_as_longlong(value)));
}

template <class Element>
__global__ void compare_rows(Geometry g, int dim, kernels::ConstView result, const double* truth, const float* plain, Errors* errors) {
  const Row r(g);
  const int group = r.token >= g.global_tokens;
  double error = 0, plain_error = 0, expected = 0, not_finite = 0;
  if (int(threadIdx.x) < dim) {
    const double value = float(row<Element>(result, r.batch, r.head, r.token)[threadIdx.x]);
    expected = truth[r.index * dim + threadIdx.x];
    not_finite = isfinite(value) ? 0 : 1;
    error = not_finite ? 0 : value - expected;
    plain_error = plain[r.index * dim + threadIdx.x] - expected;
  }
  const double sums[3] = {block_reduce(error * error, false), block_reduce(plain_error * plain_error, false),
                          block_reduce(expected * expected, false)};
  const double largest[3] = {block_reduce(fabs(error), true), block_reduce(fabs(plain_error), true), block_reduce(fabs(expected), true)};
  not_finite = block_reduce(not_finite, false);
  if (threadIdx.x != 0) return;
  atomicAdd(&errors->squared[group], sums[0]);
  atomicAdd(&errors->plain_squared[group], sums[1]);
  atomicAdd(&errors->truth_squared[group], sums[2]);
  raise(&errors->largest[group], largest[0]);
  raise(&errors->plain_largest[group], largest[1]);
  raise(&errors->truth_largest, largest[2]);
  atomicAdd(&errors->not_finite, static_cast<unsigned long long>(not_finite));
}

// Truth and yardstick of one tensor.
struct Expected {
  DeviceBuffer truth, plain;
  explicit Expected(std::int64_t numbers) : truth(std::size_t(numbers) * 8), plain(std::size_t(numbers) * 4) {}
};

template <class Element>
Errors errors_of(const Geometry& g, int dim, const kernels::ConstView& result, const Expected& expected) {
  DeviceBuffer device(sizeof(Errors));
  require_cuda(cudaMemset(device.data(), 0, sizeof(Errors)), "cudaMemset");
  compare_rows<Element><<<unsigned(g.batch * g.heads * g.tokens()), kThreads>>>(g, dim, result, expected.truth.data<double>(),
                                                                                expected.plain.data<float>(), device.data<Errors>());
  Errors errors;
  require_cuda(cudaMemcpy(&errors, device.data(), sizeof(Errors), cudaMemcpyDeviceToHost), "comparison");
  return errors;
}

// Bound: twice the error of plain arithmetic in the same type, plus what float32 sums of this depth and logits of this size may lose.
// The largest error of many roundings varies more than their mean square: there three times the largest of several ways to round.
std::string judge(const char* name, const Errors& e, const double (&rows)[2], double magnitude, double slack) {
  if (e.not_finite > 0) return std::string(name) + ": " + std::to_string(e.not_finite) + " elements not written or not finite; ";
  std::string wrong;
  for (int group = 0; group < 2; ++group) {
    if (rows[group] == 0) continue;
    const double rms = std::sqrt(e.squared[group] / rows[group]), plain = std::sqrt(e.plain_squared[group] / rows[group]);
    const double bound = 2 * plain + slack * magnitude;
    const double largest_bound = 3 * e.plain_largest[group] + slack * std::max(magnitude, e.truth_largest);
    if (rms <= bound && e.largest[group] <= largest_bound) continue;
    char line[256];
    std::snprintf(line, sizeof line, "%s of %s: rms error %.3g (bound %.3g), largest %.3g (bound %.3g), rms value %.3g; ", name,
                  group == 0 ? "global tokens" : "grid", rms, bound, e.largest[group], largest_bound,
                  std::sqrt(e.truth_squared[group] / rows[group]));
    wrong += line;
  }
  return wrong;
}

double rms_value(const Errors& e, const double (&rows)[2]) {
  return std::sqrt((e.truth_squared[0] + e.truth_squared[1]) / (rows[0] + rows[1]));
}

template <class Element>
class Check {
 public:
  Check(const Case& c, const Backend& backend, int compute_capability)
      : c_(c), backend_(backend), capability_(compute_capability), in_(c), dim_(c.shape.head_dim), output_(rows() * dim_), lse_(rows()),
        gradients_{Expected(rows() * dim_), Expected(rows() * dim_), Expected(rows() * dim_)} {
    const kernels::AttentionShape& s = c.shape;
    g_ = {int(s.batch), s.heads, int(s.grid_height), int(s.grid_width), s.global_tokens, s.window_height / 2, s.window_width / 2, {}};
    std::copy(c.dilation.begin(), c.dilation.end(), g_.dilation);
    blocks_ = unsigned(rows());
    elements_[0] = double(s.batch) * s.heads * s.global_tokens * dim_;
    elements_[1] = double(rows()) * dim_ - elements_[0];
  }

  std::string run() {
    Outputs first(c_), second(c_);
    const char* reason = backend_.forward_unsupported(forward_of(c_, in_, first), capability_);
    if (reason) return std::string("skipped: ") + reason;
    run_backend(first);
    run_backend(second);
    std::string wrong = check_values(first) + check_guards(first);
    const unsigned long long different = different_bytes(first.output.buffer(), second.output.buffer()) +
                                         different_bytes(first.lse, second.lse) +
                                         different_bytes(first.gradients.buffer(), second.gradients.buffer());
    if (different > 0) wrong += std::to_string(different) + " bytes differ in a second run; ";
    return wrong;
  }

 private:
  std::int64_t rows() const { return c_.shape.batch * c_.shape.heads * c_.shape.tokens(); }

  void run_backend(Outputs& out) {
    const kernels::AttentionForward forward = forward_of(c_, in_, out);
    out.workspace = DeviceBuffer(backend_.forward_workspace_bytes(forward));
    require_cuda(backend_.forward(forward, out.workspace.data(), nullptr), "forward");
    require_cuda(cudaDeviceSynchronize(), "forward");
    guard_changes_ += changed_guard_bytes(out.workspace);
    const kernels::AttentionBackward backward = backward_of(c_, in_, out);
    backward_ran_ = backend_.backward_unsupported(backward, capability_) == nullptr;
    if (!backward_ran_) return;
    out.workspace = DeviceBuffer(backend_.backward_workspace_bytes(backward));
    require_cuda(backend_.backward(backward, out.workspace.data(), nullptr), "backward");
    require_cuda(cudaDeviceSynchronize(), "backward");
    guard_changes_ += changed_guard_bytes(out.workspace);
  }

  std::string check_guards(const Outputs& out) {
    guard_changes_ += changed_guard_bytes(out.output.buffer()) + changed_guard_bytes(out.lse) + changed_guard_bytes(out.gradients.buffer());
    return guard_changes_ == 0 ? "" : std::to_string(guard_changes_) + " bytes written past the ends of a buffer; ";
  }

  // Truth once, then the yardstick for one unit of weights after the other until all is within bounds: mean squares of the first two, the
  // largest error of all of them, because the largest of many roundings is a matter of chance.
  std::string check_values(const Outputs& out) {
    const kernels::ConstView q = in_.qkv[0].as_const(), k = in_.qkv[1].as_const(), v = in_.qkv[2].as_const();
    const BackwardInputs in{q, k, v, in_.grad_output[0].as_const(), c_.with_grad_lse ? in_.grad_lse.template data<float>() : nullptr};
    run_oracle<double, false>(1, in, &Expected::truth);
    Errors lse{}, output{}, gradients[3]{};
    std::string wrong;
    for (const float unit : {1.f, kFirstKeyUnit, 1.19f, 1.41f, 1.68f}) {
      run_oracle<float, true>(unit, in, &Expected::plain);
      const bool squares = unit == kFirstKeyUnit;
      measure(lse, errors_of<float>(g_, 1, {out.lse.data(), g_.heads * g_.tokens(), 1, g_.tokens()}, lse_), squares);
      measure(output, errors_of<Element>(g_, dim_, out.output[0].as_const(), output_), squares);
      for (int i = 0; backward_ran_ && i < 3; ++i)
        measure(gradients[i], errors_of<Element>(g_, dim_, out.gradients[i].as_const(), gradients_[i]), squares);
      wrong = judge_all(lse, output, gradients);
      if (wrong.empty()) break;
    }
    return wrong;
  }

  std::string judge_all(const Errors& lse, const Errors& output, const Errors (&gradients)[3]) const {
    const double window = std::min<double>(c_.shape.window_height, g_.height) * std::min<double>(c_.shape.window_width, g_.width);
    const double depth = g_.global_tokens > 0 ? double(g_.tokens()) : window;
    // A score is a sum of D products; float32 loses up to D * eps of its size, and that much relative error goes to a weight.
    const double slack = FLT_EPSILON * (depth + dim_ * (1 + lse.truth_largest));
    const double lse_rows[2] = {elements_[0] / dim_, elements_[1] / dim_};
    std::string wrong = judge("lse", lse, lse_rows, 1 + lse.truth_largest, FLT_EPSILON * (std::sqrt(depth) + dim_)) +
                        judge("output", output, elements_, rms_value(output, elements_), slack);
    double magnitude = 0;                        // a gradient may vanish by cancellation of terms as large as the others
    for (const Errors& e : gradients) magnitude = std::max(magnitude, rms_value(e, elements_));
    const char* const names[3] = {"grad_query", "grad_key", "grad_value"};
    for (int i = 0; backward_ran_ && i < 3; ++i) wrong += judge(names[i], gradients[i], elements_, magnitude, slack);
    return wrong;
  }

  static void measure(Errors& all, const Errors& now, bool squares) {
    const bool first = all.truth_largest == 0;
    const Errors before = all;
    if (first) all = now;
    for (int group = 0; group < 2; ++group) {
      all.plain_largest[group] = std::max(before.plain_largest[group], now.plain_largest[group]);
      if (squares) all.plain_squared[group] = std::max(before.plain_squared[group], now.plain_squared[group]);
    }
  }

  // Forward and, if the back end has one, backward, into the truth or the yardstick.
  template <class Real, bool kRounded>
  void run_oracle(float unit, const BackwardInputs& in, DeviceBuffer Expected::*to) {
    const auto at = [&](Expected& e) { return (e.*to).template data<Real>(); };
    oracle_forward<Element, Real, kRounded><<<blocks_, kThreads>>>(g_, dim_, c_.scale, unit, in.query, in.key, in.value, at(output_),
                                                                   at(lse_));
    if (unit == kFirstKeyUnit) unit = 1;         // the backward shifts by the log-sum-exp
    if (backward_ran_) {
      DeviceBuffer delta(std::size_t(rows()) * sizeof(Real));
      oracle_delta<Element, Real><<<blocks_, kThreads>>>(g_, dim_, in, at(output_), delta.data<Real>());
      oracle_grad_query<Element, Real, kRounded><<<blocks_, kThreads>>>(g_, dim_, c_.scale, unit, in, at(lse_), delta.data<Real>(),
                                                                        at(gradients_[0]));
      oracle_grad_key_value<Element, Real, kRounded><<<blocks_, kThreads>>>(g_, dim_, c_.scale, unit, in, at(lse_), delta.data<Real>(),
                                                                            at(gradients_[1]), at(gradients_[2]));
      require_cuda(cudaDeviceSynchronize(), "oracle");
    }
  }

  const Case& c_;
  const Backend& backend_;
  int capability_;
  Inputs<Element> in_;
  int dim_;
  Expected output_, lse_, gradients_[3];
  Geometry g_{};
  unsigned blocks_ = 0;
  double elements_[2];
  bool backward_ran_ = false;
  unsigned long long guard_changes_ = 0;
};

}  // namespace

const char* refused(const Case& c, const Backend& backend, int compute_capability) {
  kernels::AttentionForward p;
  p.shape = c.shape;
  p.shape.dilation = c.dilation.data();
  p.dtype = c.dtype;
  p.scale = c.scale;
  return backend.forward_unsupported(p, compute_capability);
}

std::string check_case(const Case& c, const Backend& backend, int compute_capability) {
  switch (c.dtype) {
    case kernels::DataType::kBFloat16: return Check<__nv_bfloat16>(c, backend, compute_capability).run();
    case kernels::DataType::kFloat16: return Check<__half>(c, backend, compute_capability).run();
    case kernels::DataType::kFloat32: break;
  }
  return Check<float>(c, backend, compute_capability).run();
}

}  // namespace fovea::check
