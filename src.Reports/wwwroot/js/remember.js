// What a reader chose last: columns, order, groups and averages of the table of runs; axis, scale and smoothing of curves. Kept by this
// browser. It is applied to the bare address of the table, and to links within the site that say nothing of it; an address that comes
// from elsewhere always shows the same page. Loaded before the first paint.
"use strict";
(() => {
  const KEY = "dq-chosen";
  const names = { runs: ["cols", "sort", "group", "avg"], curves: ["x", "log", "smooth"] };
  const base = () => new URL(document.baseURI).pathname;

  const kindOf = (address) => {
    if (address.origin !== location.origin || !address.pathname.startsWith(base())) return null;
    const path = address.pathname.slice(base().length);
    if (path === "") return "runs";
    return /^(compare|runs\/[^/]+)$/.test(path) ? "curves" : null;
  };

  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {};
    }
  };

  const keep = (address) => {
    const kind = kindOf(address);
    if (!kind) return;
    const chosen = names[kind].flatMap((name) => address.searchParams.getAll(name).map((value) => [name, value]));
    try {
      localStorage.setItem(KEY, JSON.stringify({ ...read(), [kind]: chosen }));
    } catch {
      // a browser that keeps nothing remembers nothing
    }
  };

  // the address with what was chosen; null where it is as it should be
  const withChosen = (address) => {
    const kind = kindOf(address);
    const chosen = kind ? read()[kind] : null;
    if (!Array.isArray(chosen) || chosen.length === 0) return null;
    if (kind === "runs" ? address.search !== "" : names[kind].some((name) => address.searchParams.has(name))) return null;
    const wanted = new URL(address);
    for (const [name, value] of chosen) if (names[kind].includes(name)) wanted.searchParams.append(name, String(value));
    return wanted;
  };

  // a change within a page is a choice; coming to a page is none
  for (const method of ["pushState", "replaceState"]) {
    const change = history[method].bind(history);
    history[method] = (state, title, href) => {
      const [path, search] = [location.pathname, location.search];
      change(state, title, href);
      if (location.pathname === path && location.search !== search) keep(new URL(location.href));
    };
  }

  document.addEventListener(
    "click",
    (event) => {
      const link = event.target.closest?.("a[href]");
      const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
      if (!link || !plain || link.target || link.hasAttribute("download") || !globalThis.Blazor) return;
      const wanted = withChosen(new URL(link.href));
      if (!wanted) return;
      event.preventDefault();
      event.stopPropagation();
      Blazor.navigateTo(wanted.href);
    },
    { capture: true },
  );

  const wanted = withChosen(new URL(location.href));
  if (wanted && kindOf(wanted) === "runs") location.replace(wanted);
})();
