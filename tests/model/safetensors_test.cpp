// Each rule of the format's reference reader has one file that breaks it, and one message that names what was wrong.
#include "core/model/safetensors.h"

#include <gtest/gtest.h>


#include <array>
#include <cstring>
#include <fstream>
#include <string>
#include <tuple>

#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

class SafetensorsTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "weights.safetensors"; }

  void write_raw(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
  void write_with_header(const std::string& header, std::size_t data_bytes) const {
    const std::uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    write_raw(bytes + header + std::string(data_bytes, 'x'));
  }
  // The message of the error that opening the file gives; "" if it opens.
  std::string complaint() const {
    try {
      SafetensorsFile file(path());
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      const std::string message = error.what(), start = path().string() + ": ";
      EXPECT_TRUE(message.starts_with(start)) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      return message.substr(start.size());
    }
  }

 private:
  const test::TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

TEST_F(SafetensorsTest, ReadsWhatTheFormatAllows) {
  write_with_header(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I8","shape":[0,7],"data_offsets":[4,4]},)"
                    R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"unknown":1}}   )", 4);
  const SafetensorsFile file(path());
  ASSERT_EQ(file.entries().size(), 2u);
  EXPECT_EQ(file.entries()[0].name, "a");
  EXPECT_TRUE(file.entries()[0].shape.empty());
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.find("nothing"), nullptr);
  std::array<std::byte, 4> bytes{};
  file.read(*file.find("a"), bytes);
  EXPECT_EQ(bytes[3], std::byte{'x'});
}

TEST_F(SafetensorsTest, ComplainsAboutFilesThatAreNone) {
  EXPECT_EQ(complaint(), "No such file or directory");
  std::filesystem::create_directory(path());
  EXPECT_EQ(complaint(), "is not a regular file");
  std::filesystem::remove(path());
  write_raw("1234567");
  EXPECT_EQ(complaint(), "7 bytes are too few for a safetensors file");
}

TEST_F(SafetensorsTest, ComplainsAboutHeaderLength) {
  write_raw(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8) + "{}");
  EXPECT_EQ(complaint(), "header of 100000001 bytes, at most 100000000 are allowed");
  write_raw(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}");
  EXPECT_EQ(complaint(), "header of 18446744073709551615 bytes, at most 100000000 are allowed");
  write_raw(std::string("\x03\0\0\0\0\0\0\0", 8) + "{}");
  EXPECT_EQ(complaint(), "header of 3 bytes reaches beyond the end of the file");
}

TEST_F(SafetensorsTest, ComplainsAboutHeadersThatCostTooMuch) {
  std::string list(4'000'002, ',');   // 2,000,001 values in 4 MB; a header may have 100 MB
  for (std::size_t i = 0; i < list.size(); i += 2) list[i] = '0';
  write_with_header("{\"a\":[" + list + "0]}", 0);
  EXPECT_EQ(complaint(), "JSON has more than 2000000 keys and values");
}

struct BadHeader {
  std::string rule, header;
  std::size_t data_bytes;
  std::string complaint;
  friend void PrintTo(const BadHeader& bad, std::ostream* stream) { *stream << bad.rule; }
};

class SafetensorsHeaderTest : public SafetensorsTest, public testing::WithParamInterface<BadHeader> {};

TEST_P(SafetensorsHeaderTest, IsRefusedAndNamed) {
  write_with_header(GetParam().header, GetParam().data_bytes);
  const auto message = complaint();
  EXPECT_TRUE(message.starts_with(GetParam().complaint)) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, SafetensorsHeaderTest,
    testing::Values(
        BadHeader{"Empty", "", 0, "header does not begin with '{'"},
        BadHeader{"LeadingSpace", " {}", 0, "header does not begin with '{'"},
        BadHeader{"Json", "{\"a\":", 0, "not valid JSON: "},
        BadHeader{"TrailingText", "{} x", 0, "not valid JSON: "},
        BadHeader{"Utf8", "{\"\xff\":1}", 0, "not valid JSON: "},
        BadHeader{"Depth", R"({"a":[[[[[[1]]]]]]})", 0, "JSON is nested deeper than 4 levels"},
        BadHeader{"DuplicateTensor", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                     R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2,
                  "a: key appears twice"},
        BadHeader{"DuplicateField", R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1, "dtype: key appears twice"},
        BadHeader{"MetadataObject", R"({"__metadata__":[]})", 0, "__metadata__: must be an object"},
        BadHeader{"MetadataString", R"({"__metadata__":{"epoch":3}})", 0, "__metadata__: epoch: must be a string"},
        BadHeader{"EntryObject", R"({"a":3})", 0, "a: must be an object"},
        BadHeader{"FieldMissing", R"({"a":{"dtype":"U8","shape":[1]}})", 1, "a: data_offsets is missing"},
        BadHeader{"UnknownType", R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4, "a: unknown dtype \"F31\""},
        BadHeader{"TypeNotText", R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4, "a: unknown dtype 7"},
        BadHeader{"ShapeList", R"({"a":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", 4, "a: shape must be a list"},
        BadHeader{"ShapeNegative", R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", 4, "a: shape must hold integers"},
        BadHeader{"ShapeFraction", R"({"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}})", 4, "a: shape must hold integers"},
        BadHeader{"ShapeBeyond64Bits", R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]}})", 4,
                  "a: shape must hold integers"},
        BadHeader{"ShapeBeyondSigned", R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]}})", 4,
                  "a: shape overflows"},
        BadHeader{"ElementsOverflow", R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                  "a: shape overflows"},
        BadHeader{"BytesOverflow", R"({"a":{"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0, "a: shape overflows"},
        BadHeader{"OffsetsCount", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "a: data_offsets must be two integers"},
        BadHeader{"OffsetsNegative", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1,
                  "a: data_offsets must be two integers"},
        BadHeader{"OffsetsBackwards", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1,
                  "a: data_offsets end before they begin"},
        BadHeader{"SizeOfShape", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "a: data of 4 bytes, expected 8"},
        BadHeader{"Overlap", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5,
                  "b: data overlap"},
        BadHeader{"Hole", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})", 6,
                  "b: a hole before"},
        BadHeader{"HoleInFront", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5, "a: a hole before"},
        BadHeader{"BeyondTheEnd", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3, "a: data reach beyond the end"},
        BadHeader{"FarBeyondTheEnd", R"({"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}})", 3,
                  "a: data reach beyond"},
        BadHeader{"BytesAfterwards", R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6, "2 bytes follow the last tensor"},
        BadHeader{"NameWithNewline", R"({"a\nb":3})", 0, "a?b: must be an object"}),
    [](const auto& test) { return test.param.rule; });

TEST_F(SafetensorsTest, WriterIsDeterministicAlignedAndReadBack) {
  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  const std::array<double, 2> doubles{4.5, -0.0};
  const std::array<float, 1> floats{6.25f};
  const auto write = [&](const std::filesystem::path& target, auto... order) {
    const std::array<TensorToWrite, 3> tensors{{
        {.name = "bytes", .type = ElementType::kU8, .shape = {3}, .data = std::as_bytes(std::span(bytes))},
        {.name = "doubles", .type = ElementType::kF64, .shape = {2, 1}, .data = std::as_bytes(std::span(doubles))},
        {.name = "floats", .type = ElementType::kF32, .shape = {}, .data = std::as_bytes(std::span(floats))},
    }};
    write_safetensors(target, {tensors[order]...}, {{"made", "here"}});
  };
  write(path(), 0u, 1u, 2u);
  const auto other = path().parent_path() / "other.safetensors";
  write(other, 2u, 0u, 1u);
  EXPECT_EQ(read_text_file(path()), read_text_file(other));

  const SafetensorsFile file(path());
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"made", "here"}}));
  ASSERT_EQ(file.entries().size(), 3u);
  const auto data_start = std::filesystem::file_size(path()) - 16 - 4 - 3;
  for (const auto& entry : file.entries()) {
    EXPECT_EQ((data_start + entry.offset_bytes) % static_cast<std::uint64_t>(element_size_bytes(entry.type)), 0u) << entry.name;
  }
  std::array<double, 2> read_back{};
  file.read(*file.find("doubles"), std::as_writable_bytes(std::span(read_back)));
  EXPECT_EQ(std::memcmp(read_back.data(), doubles.data(), sizeof doubles), 0);
  EXPECT_EQ(file.find("doubles")->shape, (std::vector<std::int64_t>{2, 1}));
}

TEST_F(SafetensorsTest, WriterNamesAFolderThatIsNotThere) {
  try {
    write_safetensors(path().parent_path() / "absent" / "weights.safetensors", {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_TRUE(std::string(error.what()).ends_with("absent/weights.safetensors: cannot write: No such file or directory")) << error.what();
  }
}

}  // namespace
}  // namespace fovea
