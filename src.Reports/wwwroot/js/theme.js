// Loaded before the first paint: the colours the browser asks for, until others are chosen.
"use strict";
globalThis.dq = globalThis.dq ?? {};
dq.setTheme = (name) => {
  document.cookie = `dq-theme=${name}; path=/; max-age=31536000; samesite=strict`;
  document.documentElement.dataset.theme = name;
};
// browsers that send no hint would show a first page in light colours
if (!/dq-theme=/.test(document.cookie)) {
  const wanted = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const shown = document.documentElement.dataset.theme;
  if (wanted !== shown && navigator.cookieEnabled) {
    dq.setTheme(wanted);
    location.reload();
  }
}

// Blazor takes links within the site for itself, and scrolls; a skip link moves the focus too.
document.addEventListener(
  "click",
  (event) => {
    if (!event.target.closest?.("a.skip")) return;
    event.preventDefault();
    event.stopPropagation();
    document.getElementById("main")?.focus();
  },
  { capture: true },
);
