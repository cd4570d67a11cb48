// Light and dark: follows the system until a person chooses. Runs before the page is painted.
(() => {
  "use strict";
  const KEY = "llm4top-theme";
  const CHOICES = ["system", "light", "dark"];
  const NAMES = { system: "as the system", light: "light", dark: "dark" };
  const SHORT = { system: "System", light: "Light", dark: "Dark" };
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      const kept = window.localStorage.getItem(KEY);
      return CHOICES.includes(kept) ? kept : "system";
    } catch {
      return "system";
    }
  }

  function keep(next) {
    try {
      window.localStorage.setItem(KEY, next);
    } catch {
      document.documentElement.dataset.themeChoice = next;
    }
  }

  function chosen() {
    return document.documentElement.dataset.themeChoice ?? choice();
  }

  function apply() {
    const now = chosen();
    const dark = now === "dark" || (now === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const meta = document.getElementById("nicegui-color-scheme");
    if (meta) meta.setAttribute("content", dark ? "dark" : "light");
    if (window.Quasar && document.body) window.Quasar.Dark.set(dark);
    for (const button of document.querySelectorAll("[data-l4-theme]")) {
      button.setAttribute("aria-label", `Colours: ${NAMES[now]}. Change`);
      button.setAttribute("title", `Colours: ${NAMES[now]}`);
      const name = button.querySelector("[data-l4-theme-name]");
      if (name) name.textContent = SHORT[now];
    }
    for (const button of document.querySelectorAll("[data-l4-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.l4ThemeChoice === now));
    }
  }

  document.documentElement.lang = "en";
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  // The framework draws the page after this script has run, and sets its own colours once.
  document.addEventListener("DOMContentLoaded", () => {
    let drawn = false;
    new MutationObserver(() => {
      if (!document.querySelector("[data-l4-theme]") || !window.Quasar) return;
      const asked = document.querySelector("[data-l4-theme-choice]:not([aria-pressed])");
      if (drawn && !asked) return;
      drawn = true;
      apply();
    }).observe(document.body, { childList: true, subtree: true });
    apply();
  });
  // From the system's colours the first click goes to the other ones, so that it shows.
  function next() {
    const order = system.matches ? ["system", "light", "dark"] : ["system", "dark", "light"];
    return order[(order.indexOf(chosen()) + 1) % order.length];
  }

  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-l4-theme-choice]");
    if (!choice && !event.target.closest("[data-l4-theme]")) return;
    keep(choice ? choice.dataset.l4ThemeChoice : next());
    apply();
  });
})();

// Ctrl+Z and Cmd+Z press the page's button for undo, with Shift (or Ctrl+Y) the one for redo.
// In a text field they are the browser's own.
(() => {
  "use strict";
  const TEXT = "textarea:not([readonly]), input:not([readonly]), [contenteditable=true]";

  function meant(event) {
    const key = event.key.toLowerCase();
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    return key === "y" && !event.shiftKey ? "redo" : null;
  }

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest?.(TEXT)) return;
    const name = meant(event);
    const button = name && document.querySelector(`[data-l4-key="${name}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });
})();
