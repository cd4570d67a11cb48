// Light and dark: follows the system until a person chooses. Runs before the page is painted.
(() => {
  "use strict";
  const KEY = "llm4top-theme";
  const CHOICES = ["system", "light", "dark"];
  const NAMES = { system: "as the system", light: "light", dark: "dark" };
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
    }
  }

  document.documentElement.lang = "en";
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  // The framework draws the page after this script has run, and sets its own colours once.
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector("[data-l4-theme]") || !window.Quasar) return;
      observer.disconnect();
      apply();
    }).observe(document.body, { childList: true, subtree: true });
    apply();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-l4-theme]")) return;
    keep(CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length]);
    apply();
  });
})();
