// The panel "Attention": the model and its encoding, what is asked, how the answer is shown, its numbers.
#pragma once

#include "app/viewer/explore/explorer.h"
#include "app/viewer/workspace.h"

namespace fovea::explore {

class AttentionPanel {
 public:
  AttentionPanel(Workspace& workspace, const Session& session, Explorer& explorer)
      : workspace_(workspace), session_(session), explorer_(explorer) {}
  void show();

 private:
  void show_encoding();
  void show_question();
  void show_heads();
  void show_display();
  void show_outliers(const Reply& norms);
  void show_totals(const Reply& reply);
  void show_numbers();
  void show_preparing();

  Workspace& workspace_;
  const Session& session_;
  Explorer& explorer_;
};

}  // namespace fovea::explore
