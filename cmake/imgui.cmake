# Dear ImGui (docking), ImPlot, the command palette and the file dialogs, from the sources that scripts/setup.sh view unpacks.
#
#   fovea_imgui_headers what the viewer's sources are compiled with
#   fovea_imgui         what the shipped program links
#   fovea_imgui_tested  the same with the test engine's hooks; for tests only, because the test engine's licence is not MIT

set(_external "${PROJECT_SOURCE_DIR}/.deps/imgui/external")
set(_imgui "${_external}/imgui/imgui")
set(_implot "${_external}/implot/implot")
set(_palette "${_external}/imgui-command-palette/imgui-command-palette")
set(_test_engine "${_external}/imgui_test_engine/imgui_test_engine")

# What the test engine's hooks are in, and what is the same with and without them.
set(_hooked_sources ${_imgui}/imgui.cpp ${_imgui}/imgui_tables.cpp ${_imgui}/imgui_widgets.cpp)
set(_common_sources
  ${_imgui}/imgui_draw.cpp ${_imgui}/imgui_stacklayout.cpp   # this fork's imgui.cpp calls into it
  ${_imgui}/misc/cpp/imgui_stdlib.cpp ${_imgui}/backends/imgui_impl_glfw.cpp ${_imgui}/backends/imgui_impl_opengl3.cpp
  ${_implot}/implot.cpp ${_implot}/implot_items.cpp
  ${_palette}/imcmd_command_palette.cpp ${_palette}/imcmd_fuzzy_search.cpp)
set(_test_engine_sources)
foreach(_unit context coroutine engine exporters perftool ui utils)
  list(APPEND _test_engine_sources ${_test_engine}/imgui_test_engine/imgui_te_${_unit}.cpp)
endforeach()
list(APPEND _test_engine_sources ${_test_engine}/imgui_test_engine/imgui_capture_tool.cpp)

# The hooks change functions of ImGui, no type and nothing inline: objects compiled with these headers link with both libraries.
add_library(fovea_imgui_headers INTERFACE)
target_include_directories(fovea_imgui_headers INTERFACE "${PROJECT_SOURCE_DIR}/app/viewer/imgui")
target_include_directories(fovea_imgui_headers SYSTEM INTERFACE ${_imgui} ${_imgui}/backends ${_imgui}/misc/cpp ${_implot} ${_palette}
  ${_external}/portable_file_dialogs/portable_file_dialogs ${_external}/glfw/glfw/deps)
target_compile_definitions(fovea_imgui_headers INTERFACE IMGUI_USER_CONFIG="viewer_imconfig.h" GLFW_INCLUDE_NONE)

set(CMAKE_UNITY_BUILD OFF)   # these sources define macros
add_library(fovea_imgui_common OBJECT ${_common_sources})
target_compile_definitions(fovea_imgui_common PRIVATE "IMPLOT_CUSTOM_NUMERIC_TYPES=(float)(double)")   # ImPlot's ten default types cost 70 s of compiling
set_source_files_properties(${_implot}/implot_items.cpp PROPERTIES COMPILE_OPTIONS "-O1")   # templates by the thousand; a plot has few points
target_link_libraries(fovea_imgui_common PRIVATE fovea_imgui_headers glfw)

function(_fovea_imgui_library name)
  add_library(${name} STATIC ${_hooked_sources} $<TARGET_OBJECTS:fovea_imgui_common> ${ARGN})
  target_link_libraries(${name} PUBLIC fovea_imgui_headers glfw Threads::Threads ${CMAKE_DL_LIBS})
endfunction()

_fovea_imgui_library(fovea_imgui)
_fovea_imgui_library(fovea_imgui_tested ${_test_engine_sources})
set_target_properties(fovea_imgui_tested PROPERTIES EXCLUDE_FROM_ALL ON)
target_compile_options(fovea_imgui_tested PRIVATE $<$<CONFIG:Release>:-O1>)
target_compile_definitions(fovea_imgui_tested PUBLIC FOVEA_VIEWER_TESTED)
target_include_directories(fovea_imgui_tested SYSTEM PUBLIC ${_test_engine} ${_test_engine}/imgui_test_engine)
set(CMAKE_UNITY_BUILD ${FOVEA_UNITY})
