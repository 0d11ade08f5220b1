// From what a person names on a command line to a list of image files and the names of their outputs. No torch.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace fovea {

struct InputList {
  std::vector<std::filesystem::path> files;   // in the order named; within a folder or glob sorted by name; each file once
  std::vector<std::string> failures;          // "NAME: what was wrong", one for each input that yielded nothing
};

// Each input is a file (taken as it is), a folder (searched with its subfolders for image extensions; hidden entries and links to
// folders are passed over) or a glob. The folder skip, where the outputs go, is never searched.
InputList expand_inputs(std::span<const std::string> inputs, const std::filesystem::path& skip);

// Takes out of the list what is among results, paths below the folder: a glob finds masks, too, where they lie beside their images.
// Returns how many.
std::size_t leave_out_results(InputList& list, const std::filesystem::path& folder,
                              const std::function<std::set<std::filesystem::path>()>& results);

// One relative path without extension for each file: "b" for "a/b.tif". Files that would share it keep their folders below the folder
// that they have in common ("x/b", "y/b"), and their extensions if that is not enough ("b_tif", "b_jpg").
std::vector<std::filesystem::path> name_outputs(std::span<const std::filesystem::path> files);

}  // namespace fovea
