// What panels have in common.
#pragma once

#include <string>

#include "app/viewer/actions/action_table.h"
#include "app/viewer/background_job.h"
#include "app/viewer/layers/colour_table.h"

namespace fovea {

// Explanations: wrapped, quieter than the rest.
void muted_text(const std::string& text);

// True if another table was chosen.
bool colour_combo(const char* label, ColourTable& table);

// A button of the action, greyed out where that is not possible; its tip and key are shown by the mouse. True if it was pressed (and run).
bool action_button(const ActionTable& actions, const char* id, const char* label);

// An eye, open or closed. True if it was pressed (and changed visible).
bool eye_button(const char* id, bool& visible);

// A bar with what is done of it, Cancel beside it, the stage and the time below. True if Cancel was pressed.
bool show_progress(const JobState& state);

}  // namespace fovea
