"""Keys for a panel in JupyterLab: ipywidgets has none, so this one widget brings the few lines of JavaScript."""

from __future__ import annotations

import anywidget
import traitlets


class Keys(anywidget.AnyWidget):
    """Sends what is typed within the element of class `tlkit-rating` around it, and keeps it from JupyterLab.

    A key comes as the message {"key", "item"} with the item on the screen; {"item"} alone says that it now is there.
    JupyterLab takes its shortcuts at the document, where events arrive last (since 4.1), so a key stopped on its way in
    never becomes one of them; keys with Ctrl, Alt or Cmd pass. `r` goes to the remark of the framed heat map, in whose
    field letters and digits are text, and Enter or Esc leads back.
    """

    item = traitlets.Unicode().tag(sync=True)
    _esm = """
    function render({ model, el }) {
      let root, stopped = false;
      const focus = () => root.focus({ preventScroll: true });
      const shown = () => model.send({ item: model.get("item") });
      const changed = () => { shown(); focus(); };
      const typed = (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
        const on = event.target.tagName;
        if (on === "INPUT") {  // its keys are text; leaving the field saves the remark
          if (event.key === "Enter" || event.key === "Escape") focus();
          return;
        }
        event.stopPropagation();
        if (on !== "BUTTON" || (event.key !== "Enter" && event.key !== " ")) {
          event.preventDefault();
          if (event.key === "r") root.querySelector(".tlkit-framed input")?.focus();
          else if (!event.repeat) model.send({ key: event.key, item: model.get("item") });
        }
      };
      const clicked = (event) => {  // with the mouse: what is typed next is for the panel, not for that button
        if (event.detail > 0 && event.target.closest("button")) focus();
      };
      const attach = () => {
        if (stopped) return;
        root = el.closest(".tlkit-rating");
        if (!root) { requestAnimationFrame(attach); return; }  // not yet in the page
        root.tabIndex = 0;
        root.addEventListener("keydown", typed, true);
        root.addEventListener("click", clicked);
        model.on("change:item", changed);
        shown();
      };
      attach();
      return () => {
        stopped = true;
        model.off("change:item", changed);
        root?.removeEventListener("keydown", typed, true);
        root?.removeEventListener("click", clicked);
      };
    }
    export default { render };
    """
    _css = """
    .tlkit-rating { padding: 4px; border: 3px solid var(--jp-border-color2, #ddd); }
    .tlkit-rating:focus, .tlkit-rating:focus-within { border-color: #0072b2; outline: none; }
    .tlkit-rating .tlkit-help { line-height: 1.4; }
    .tlkit-rating img { width: 100%; height: auto; }
    .tlkit-map { border: 3px solid transparent; padding: 2px; }
    .tlkit-framed { border-color: #e69f00; }
    .tlkit-map button { min-width: 0; flex: 1 1 0; padding: 0; }
    """
