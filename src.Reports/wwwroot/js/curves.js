// <dq-curves>: a metric of one or several runs along training. Attributes:
// data-sources  [{ "name", "src", "href", "group" }], where src gives Metrics/MetricsJson.cs, href is opened by a click on the line, and
//               sources of one group are drawn as their mean and a band of one deviation
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

  // pixels between a click and the line it means
  const NEAR = 24;

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
      const { option, shown } = this.option(lines, look, this.runs ? [] : dq.curves.skippedOf(data[0], this.axis));
      this.shown = shown;
      return {
        option,
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
      const of = (source, place, index) =>
        dq.curves.linesOf(data[place] ?? {}, { ...chart, run: source.name, href: source.href, index: index ?? place });
      const groups = Map.groupBy(sources.keys(), (place) => sources[place].group ?? -1 - place);
      return [...groups].flatMap(([group, places]) => {
        if (group < 0) return of(sources[places[0]], places[0]);
        return dq.curves.averageOf(places.flatMap((place) => of(sources[place], place, group)));
      });
    }

    open() {
      super.open();
      const screen = this.chart.getZr();
      screen.on("mousemove", (event) => this.hover(event));
      screen.on("globalout", () => this.leave());
      screen.on("click", (event) => this.openNearest(event));
      this.chart.on("legendselectchanged", () => this.leave());
    }

    // what stands where the pointer is; null outside of the axes
    found(event) {
      const at = [event.offsetX, event.offsetY];
      if (!this.shown?.length || !this.chart.containPixel({ gridIndex: 0 }, at)) return null;
      const x = this.chart.convertFromPixel({ xAxisIndex: 0 }, at[0]);
      const toHeight = (value) => this.chart.convertToPixel({ yAxisIndex: 0 }, value);
      return dq.curves.readAt(this.shown, { x, height: at[1] }, toHeight);
    }

    hover(event) {
      const found = this.found(event);
      if (!found) return this.leave();
      if (!this.box) [this.box, this.pointer] = ["reading", "pointer"].map((name) => this.mark(name));
      this.box.hidden = false;
      this.point(found.at);
      const smoothed = found.readings.some((one) => one.line.drawn !== one.line.y && !one.line.rows);
      dq.curves.fillBox(this.box, found, this.axis, smoothed);
      dq.curves.placeBox(this.box, this.canvas, event.event);
      this.thicken(found.nearest.reading);
      this.canvas.classList.toggle("leads", this.leadsTo(found) !== null);
    }

    // not to be read by those who hear the page: the summary is theirs
    mark(name) {
      const made = document.createElement("div");
      made.className = name;
      made.setAttribute("aria-hidden", "true");
      this.append(made);
      return made;
    }

    // an upright line at a place
    point(at) {
      const axes = this.chart.getModel().getComponent("grid").coordinateSystem.getRect();
      const left = this.chart.convertToPixel({ xAxisIndex: 0 }, at);
      const seen = left >= axes.x - 1 && left <= axes.x + axes.width + 1;
      this.pointer.hidden = !seen;
      this.pointer.style.left = `${this.canvas.offsetLeft + left}px`;
      this.pointer.style.top = `${this.canvas.offsetTop + axes.y}px`;
      this.pointer.style.height = `${axes.height}px`;
    }

    leave() {
      if (this.box) this.box.hidden = this.pointer.hidden = true;
      this.thicken(null);
      this.canvas.classList.remove("leads");
    }

    // a line by what it is read out as
    thicken(reading) {
      if (this.thick === reading) return;
      if (this.thick) this.chart?.dispatchAction({ type: "downplay", seriesId: this.thick });
      if (reading) this.chart?.dispatchAction({ type: "highlight", seriesId: reading });
      this.thick = reading;
    }

    // an address where the pointer is near a line of several; a report has no pages
    leadsTo(found) {
      return this.runs && globalThis.Blazor && found.distance <= NEAR && found.nearest.href ? found.nearest.href : null;
    }

    // two clicks show all of it again
    openNearest(event) {
      const found = this.found(event);
      const href = found && this.leadsTo(found);
      if (!href) return;
      clearTimeout(this.opening);
      this.opening = setTimeout(() => this.isConnected && this.follow({ data: { href } }), 300);
    }

    unzoom() {
      clearTimeout(this.opening);
      super.unzoom();
    }

    paint(content, look) {
      this.thick = null;
      super.paint(content, look);
    }

    say(text) {
      this.leave();
      super.say(text);
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
