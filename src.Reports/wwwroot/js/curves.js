// <dq-curves>: a metric of one or several runs along training. Attributes:
// data-sources  [{ "name", "src" }], where src gives Metrics/MetricsJson.cs
// data-keys     [{ "key", "label", "scale", "raw" }], names of series; "perplexity.0." stands for all that begin so. Values are shown times
//               scale; what is raw is never smoothed
// data-x        step, images_seen or seconds
// data-log      set for a logarithmic axis
// data-zoom     "from,to" on that axis; without it all is shown
// data-smooth   0 … 0.99: weight of what came before in the moving average drawn over the raw line
"use strict";
(() => {
  // a run without a log has no series
  const ask = async (src) => {
    const answer = await fetch(src);
    if (answer.status === 404) return {};
    if (!answer.ok) throw new Error(`the site answered ${answer.status}`);
    return answer.json();
  };

  // one fetch for all charts of a page; by address, which changes with the run
  const fetched = new Map();
  const fetchSeries = (src) => {
    const run = src.split("?")[0];
    for (const old of fetched.keys()) if (old !== src && old.split("?")[0] === run) fetched.delete(old);
    if (!fetched.has(src))
      fetched.set(
        src,
        ask(src).catch((error) => {
          fetched.delete(src);
          throw error;
        }),
      );
    return fetched.get(src);
  };

  // What was switched off in legends: a run in all charts that show several, a line of one run in its chart. On the site it is in the
  // address too, and read from it where the reader comes to a page.
  let switchedOff = new Set();
  let readFor;
  const off = () => {
    if (globalThis.Blazor && readFor !== location.pathname)
      [readFor, switchedOff] = [location.pathname, new Set(new URLSearchParams(location.search).getAll("off"))];
    return switchedOff;
  };
  addEventListener("popstate", () => (readFor = undefined));

  // a finger scrolls the page; the part shown can be typed
  const coarse = matchMedia("(pointer: coarse)");

  class Curves extends dq.Chart {
    static observedAttributes = ["data-sources", "data-keys", "data-x", "data-log", "data-smooth", "data-zoom"];

    async content(look) {
      const sources = JSON.parse(this.dataset.sources ?? "[]");
      const inner = this.querySelector(':scope > script[type="application/json"]');
      const data = inner ? JSON.parse(inner.textContent) : await Promise.all(sources.map((source) => fetchSeries(source.src)));
      const lines = this.lines(data, sources, look);
      const idOf = (source) => source.src?.split("?")[0].split("/").pop();
      this.runs = sources.length > 1 ? new Map(sources.map((source) => [source.name, idOf(source)])) : null;
      if (lines.length === 0) return { empty: "No numbers yet", rows: () => [], summary: "No numbers yet." };
      return {
        option: this.option(lines, look, this.runs ? [] : dq.curves.skippedOf(data[0], this.axis)),
        zooms: !coarse.matches,
        zoomed: !globalThis.Blazor && !!this.zoomKept,
        rows: () => this.table(lines),
        summary: this.describe(lines),
      };
    }

    get axis() {
      return this.dataset.x ?? "step";
    }

    // on the site the part shown is the page's and in its address: all of its charts follow; a file has no address to keep it in
    zoomWanted() {
      return globalThis.Blazor ? (this.dataset.zoom?.split(",").map(Number) ?? null) : (this.zoomKept ?? null);
    }

    zoomChanged(zoom) {
      // to a thousandth of its length
      const digits = zoom ? 10 ** Math.floor(Math.log10(zoom[1] - zoom[0]) - 3) : 1;
      const part = zoom?.map((value) => +(Math.round(value / digits) * digits).toPrecision(15));
      // a click is no part
      if (zoom && !(zoom[1] > zoom[0])) this.request();
      else if (!globalThis.Blazor) {
        this.zoomKept = part;
        this.request();
      } else {
        const address = new URL(location.href);
        if (part) address.searchParams.set("zoom", [this.axis, ...part].join(","));
        else address.searchParams.delete("zoom");
        Blazor.navigateTo(address.href, { replaceHistoryEntry: true });
      }
    }

    // of a line among those switched off; a run is called differently in different company
    key(name) {
      return this.runs ? this.runs.get(name) || name : `${this.title_}: ${name}`;
    }

    legendChanged(selected) {
      for (const [name, shown] of Object.entries(selected))
        if (shown) off().delete(this.key(name));
        else off().add(this.key(name));
      for (const chart of this.runs ? document.querySelectorAll("dq-curves") : [this]) chart.request();
      if (!globalThis.Blazor) return;
      const address = new URL(location.href);
      address.searchParams.delete("off");
      for (const key of off()) address.searchParams.append("off", key);
      Blazor.navigateTo(address.href, { replaceHistoryEntry: true });
    }

    lines(data, sources, look) {
      const keys = JSON.parse(this.dataset.keys ?? "[]");
      const chart = { x: this.axis, keys, colors: look.colors, several: sources.length > 1 };
      return sources.flatMap((source, index) => dq.curves.linesOf(data[index] ?? {}, { ...chart, run: source.name, index }));
    }

    option(lines, look, skipped) {
      const view = {
        skipped,
        x: this.axis,
        log: this.hasAttribute("data-log"),
        weight: Math.min(0.99, Math.max(0, parseFloat(this.dataset.smooth ?? "0") || 0)),
        zoom: this.zoomWanted(),
        still: coarse.matches,
        isOff: (name) => off().has(this.key(name)),
      };
      return dq.curves.optionOf(lines, view, look);
    }

    table(lines) {
      const head = ["series", this.axis, this.title_, "lowest", "highest"];
      const rows = (line) => line.x.map((at, i) => [line.reading, at, line.y[i], line.low?.[i], line.high?.[i]]);
      return [head, ...lines.flatMap(rows).filter((row) => row[2] !== null)];
    }

    describe(lines) {
      const sentence = (line) => {
        const values = line.y.filter((value) => value !== null);
        const [low, high] = dq.curves.extent([{ x: line.x, y: line.y }], null);
        const ends = `from ${dq.number(values[0])} to ${dq.number(values[values.length - 1])}`;
        return `${line.reading}: ${ends}, lowest ${dq.number(low)}, highest ${dq.number(high)}.`;
      };
      return lines.slice(0, 6).map(sentence).join(" ");
    }
  }

  dq.Curves = Curves;
})();
