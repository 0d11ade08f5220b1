#include "core/segment/inputs.h"

#include <glob.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <system_error>

#include "core/image/image_source.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

fs::path real_path(const fs::path& path) {
  std::error_code code;
  const fs::path canonical = fs::weakly_canonical(path, code);
  return code ? fs::absolute(path).lexically_normal() : canonical;
}

class Expander {
 public:
  explicit Expander(const fs::path& skip) : skip_(real_path(skip)) {}

  void add(const std::string& input) {
    std::error_code code;
    const fs::file_status status = fs::status(input, code);
    if (fs::exists(status)) return add_existing(input, status);
    if (status.type() == fs::file_type::none) return list_.failures.push_back(input + ": " + code.message()), void();
    add_glob(input);
  }

  InputList take() { return std::move(list_); }

 private:
  void add_existing(const fs::path& path, const fs::file_status& status) {
    if (fs::is_directory(status)) return add_folder(path);
    if (fs::is_regular_file(status)) return add_file(path);
    list_.failures.push_back(path.string() + ": not a regular file");   // a pipe would be waited for
  }

  void add_file(const fs::path& file) {
    if (seen_.insert(real_path(file)).second) list_.files.push_back(file);
  }

  void add_folder(const fs::path& folder) {
    const std::size_t failures = list_.failures.size();
    if (real_path(folder) == skip_) {
      return list_.failures.push_back(folder.string() + ": is the output folder, where no images are looked for"), void();
    }
    if (walk(folder) == 0 && list_.failures.size() == failures) list_.failures.push_back(folder.string() + ": no images in this folder");
  }

  // Returns how many images are there, whether or not an earlier input named them already.
  std::size_t walk(const fs::path& folder) {
    if (real_path(folder) == skip_) return 0;
    std::error_code code;
    std::vector<fs::path> entries;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) entries.push_back(it->path());
    if (code) list_.failures.push_back(folder.string() + ": " + code.message());
    std::sort(entries.begin(), entries.end());
    std::size_t images = 0;
    for (const fs::path& entry : entries) {
      if (entry.filename().string().starts_with('.')) continue;
      if (fs::is_directory(fs::symlink_status(entry, code))) {
        images += walk(entry);
      } else if (has_image_extension(entry)) {
        const fs::file_status status = fs::status(entry, code);
        if (!fs::exists(status)) add_missing(entry, code);
        if (!fs::is_regular_file(status)) continue;
        add_file(entry);
        ++images;
      }
    }
    return images;
  }

  void add_glob(const std::string& pattern) {
    glob_t matches{};
    const std::unique_ptr<glob_t, decltype(&globfree)> owner(&matches, globfree);
    if (glob(pattern.c_str(), 0, nullptr, &matches) != 0 || matches.gl_pathc == 0) {
      const bool is_pattern = pattern.find_first_of("*?[") != std::string::npos;
      return list_.failures.push_back(pattern + (is_pattern ? ": no file matches" : ": no such file or folder")), void();
    }
    for (std::size_t i = 0; i < matches.gl_pathc; ++i) add_match(matches.gl_pathv[i]);   // sorted by glob itself
  }

  // glob() also finds links to nowhere, and a file may go between its look and ours.
  void add_match(const fs::path& path) {
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (fs::exists(status)) return add_existing(path, status);
    add_missing(path, code);
  }

  void add_missing(const fs::path& path, const std::error_code& reason) {
    std::error_code code;
    const bool link = fs::is_symlink(fs::symlink_status(path, code)) && reason == std::errc::no_such_file_or_directory;
    list_.failures.push_back(path.string() + ": " + (link ? "a link to a file that does not exist" : reason.message()));
  }

  fs::path skip_;
  std::set<fs::path> seen_;
  InputList list_;
};

fs::path common_folder(const std::vector<fs::path>& paths) {
  fs::path common = paths.front().parent_path();
  for (const fs::path& path : paths) {
    const fs::path folder = path.parent_path();
    const auto [end, ignored] = std::mismatch(common.begin(), common.end(), folder.begin(), folder.end());
    fs::path shared;
    for (auto part = common.begin(); part != end; ++part) shared /= *part;
    common = shared;
  }
  return common;
}

using Groups = std::map<fs::path, std::vector<std::size_t>>;
Groups group_by_name(const std::vector<fs::path>& names) {
  Groups groups;
  for (std::size_t i = 0; i < names.size(); ++i) groups[names[i]].push_back(i);
  return groups;
}

}  // namespace

InputList expand_inputs(std::span<const std::string> inputs, const fs::path& skip) {
  Expander expander(skip);
  for (const std::string& input : inputs) expander.add(input);
  return expander.take();
}

std::size_t leave_out_results(InputList& list, const fs::path& folder, const std::function<std::set<fs::path>()>& results) {
  const fs::path root = real_path(folder);
  const auto inside = [&](const fs::path& file) {
    const fs::path below = real_path(file).lexically_relative(root);
    return !below.empty() && *below.begin() != "..";
  };
  if (std::none_of(list.files.begin(), list.files.end(), inside)) return 0;   // long journals are parsed for whom it concerns
  const std::set<fs::path> written = results();
  return std::erase_if(list.files, [&](const fs::path& file) { return written.contains(real_path(file).lexically_relative(root)); });
}

std::vector<fs::path> name_outputs(std::span<const fs::path> files) {
  std::vector<fs::path> whole, names;
  for (const fs::path& file : files) {
    whole.push_back(fs::absolute(file).lexically_normal());
    names.push_back(file.stem());
  }
  for (const auto& [name, members] : group_by_name(names)) {
    if (members.size() == 1) continue;
    std::vector<fs::path> paths;
    for (const std::size_t i : members) paths.push_back(whole[i]);
    const fs::path common = common_folder(paths);
    for (const std::size_t i : members) names[i] = (whole[i].parent_path().lexically_relative(common) / name).lexically_normal();
  }
  for (const auto& [name, members] : group_by_name(names)) {
    if (members.size() == 1) continue;
    for (const std::size_t i : members) {
      const std::string extension = whole[i].extension().string();
      names[i] += extension.empty() ? "" : "_" + extension.substr(1);
    }
  }
  return names;
}

}  // namespace fovea
