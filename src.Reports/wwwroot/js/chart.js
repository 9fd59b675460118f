// <dq-chart data-spec="{…}">: a chart with its tools. What it draws is given by its kind (kinds/); here is what all share: the library,
// sizes, when to draw, exports, and a summary for those who don't see it.
"use strict";
(() => {
  let library;
  const loadLibrary = () =>
    (library ??= globalThis.echarts
      ? Promise.resolve()
      : new Promise((resolve, reject) => {
          const script = document.createElement("script");
          script.src = document.querySelector("link[rel=prefetch][as=script]").href;
          script.onload = () => resolve();
          script.onerror = () => reject(new Error("the library of charts could not be loaded"));
          document.head.append(script);
        }));

  // charts of the page with newer numbers than they show
  const waiting = new Set();
  let rested = 0;
  let round;

  const wait = (chart) => {
    waiting.add(chart);
    round ??= setTimeout(drawAll, rested - performance.now());
  };

  const LONGEST_REST = 10_000;
  const pause = (time) => new Promise((over) => setTimeout(over, time));
  const painted = () => (document.hidden ? undefined : new Promise((done) => requestAnimationFrame(() => setTimeout(done))));

  // Together, and then a rest of twenty times what that took, which on a busy machine is long: as many pages as share it leave it time
  // for what their readers ask for. Neither an answer that does not come nor a page that is hidden meanwhile holds up what follows.
  const drawAll = async () => {
    const began = performance.now();
    const turn = [...waiting];
    if (document.hidden) for (const chart of turn) chart.request();
    else await Promise.race([Promise.all(turn.map((chart) => chart.draw())).then(painted), pause(LONGEST_REST)]);
    const took = performance.now() - began;
    rested = performance.now() + Math.min(20 * took, LONGEST_REST);
    round = waiting.size > 0 ? setTimeout(drawAll, rested - performance.now()) : undefined;
  };

  // of newer numbers of the same runs nobody asked for
  const runsOf = (sources) => JSON.stringify(JSON.parse(sources ?? "[]").map((source) => source.src.split("?")[0]));

  class Chart extends HTMLElement {
    static observedAttributes = ["data-spec"];

    connectedCallback() {
      if (!this.canvas) this.build();
      this.watch = new ResizeObserver(() => this.chart?.resize());
      this.watch.observe(this.canvas);
      this.colors = new MutationObserver(() => this.request());
      this.colors.observe(document.documentElement, { attributeFilter: ["data-theme"] });
      // a page of many charts that follows a run draws those that can be seen
      this.seen = new IntersectionObserver((entries) => this.show(entries.at(-1).isIntersecting), { rootMargin: "200px" });
      this.seen.observe(this);
      document.addEventListener("visibilitychange", this.wake);
      this.due = true;
    }

    show(visible) {
      this.visible = visible;
      if (visible && this.due) this.request();
    }

    wake = () => this.show(this.visible);

    // newer numbers of a run that trains wait their turn; what the reader asked for does not
    request(unasked = false) {
      this.due = !this.visible || document.hidden;
      if (this.due) waiting.delete(this);
      else if (unasked) wait(this);
      else this.draw();
    }

    disconnectedCallback() {
      this.watch?.disconnect();
      this.colors?.disconnect();
      this.seen?.disconnect();
      document.removeEventListener("visibilitychange", this.wake);
      waiting.delete(this);
      this.visible = false;
      this.chart?.dispose();
      this.chart = undefined;
    }

    attributeChangedCallback(name, before, now) {
      if (this.isConnected && this.canvas) this.request(name === "data-sources" && runsOf(before) === runsOf(now));
    }

    get spec() {
      // a report carries the data inside the element
      const inner = this.querySelector(':scope > script[type="application/json"]');
      return JSON.parse(inner?.textContent ?? this.dataset.spec ?? "{}");
    }

    build() {
      this.canvas = document.createElement("div");
      this.canvas.className = "canvas";
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", this.title_);
      this.tools = document.createElement("div");
      this.tools.className = "tools";
      this.reset = this.button("Reset zoom", "Show all of it", () => this.unzoom());
      this.reset.hidden = true;
      // of a chart just scrolled to, or still loading, as of any other
      const save = (how) => async () => {
        if (!this.drawn) await this.draw();
        how.call(this);
      };
      this.button("Full", "Full screen; Escape leaves it", () => this.requestFullscreen());
      this.button("CSV", "Save the numbers", save(this.saveNumbers));
      this.button("PNG", "Save as a picture", save(this.savePicture));
      this.button("SVG", "Save as a drawing", save(this.saveDrawing));
      this.append(this.tools, this.canvas);
    }

    button(label, title, act) {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = label;
      made.title = title;
      made.setAttribute("aria-label", `${label}: ${this.title_}`);
      made.addEventListener("click", act);
      this.tools.append(made);
      return made;
    }

    get title_() {
      return this.getAttribute("data-title") ?? this.spec.title ?? "chart";
    }

    get file() {
      return this.title_.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
    }

    // what to draw: { option, rows, summary, zooms, zoomed }
    async content(look) {
      const spec = this.spec;
      return dq.kinds[spec.kind](spec, look, this.canvas.clientWidth);
    }

    async draw() {
      const turn = (this.turn = (this.turn ?? 0) + 1);
      waiting.delete(this);
      try {
        // text is measured before it is drawn
        await Promise.all([loadLibrary(), document.fonts.load("11px Inter")]);
        const look = dq.theme();
        const content = await this.content(look);
        if (turn !== this.turn || !this.isConnected) return;
        this.drawn = content;
        this.canvas.setAttribute("aria-label", `${this.title_}. ${content.summary}`);
        this.classList.toggle("empty", !!content.empty);
        this.dataset.drawn = String(turn);
        if (content.empty) this.say(content.empty);
        else this.paint(content, look);
      } catch (error) {
        if (turn !== this.turn) return;
        this.canvas.textContent = `This chart can't be drawn: ${error.message}`;
        this.classList.add("empty");
      }
    }

    // in place of a drawing
    say(text) {
      this.chart?.dispose();
      this.chart = undefined;
      this.canvas.textContent = text;
    }

    paint(content, look) {
      if (!this.chart) this.open();
      this.chart.setOption({ ...dq.base(look), ...content.option }, { notMerge: true });
      this.reset.hidden = !content.zoomed;
      if (content.zooms) this.chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
    }

    open() {
      this.canvas.textContent = "";
      this.chart = echarts.init(this.canvas, undefined, { renderer: "canvas" });
      this.chart.on("click", (event) => this.follow(event));
      this.chart.on("datazoom", () => this.zoomChanged(this.zoomed()));
      this.chart.on("legendselectchanged", (event) => this.legendChanged(event.selected));
      this.chart.getZr().on("dblclick", () => this.unzoom());
    }

    // the part of the x axis shown; null for all
    zoomed() {
      const zoom = this.chart?.getOption()?.dataZoom?.[0];
      return zoom && (zoom.start > 0.01 || zoom.end < 99.99) ? [zoom.startValue, zoom.endValue] : null;
    }

    zoomChanged() {}

    legendChanged() {}

    unzoom() {
      const zooms = this.chart?.getOption()?.dataZoom?.length ?? 0;
      for (let i = 0; i < zooms; i++) this.chart.dispatchAction({ type: "dataZoom", dataZoomIndex: i, start: 0, end: 100 });
    }

    follow(event) {
      const href = event.data?.href;
      if (!href) return;
      const link = document.createElement("a");
      link.href = href;
      this.append(link);
      link.click();
      link.remove();
    }

    saveNumbers() {
      dq.saveText(`${this.file}.csv`, "text/csv", dq.csv(this.drawn?.rows() ?? []));
    }

    savePicture() {
      if (this.chart)
        dq.save(`${this.file}.png`, this.chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: dq.theme().surface }));
    }

    saveDrawing() {
      if (!this.chart) return;
      const drawing = echarts.init(null, undefined, {
        renderer: "svg",
        ssr: true,
        width: this.canvas.clientWidth,
        height: this.canvas.clientHeight,
      });
      drawing.setOption({ ...dq.base(dq.theme()), ...this.drawn.option, backgroundColor: dq.theme().surface });
      dq.saveText(`${this.file}.svg`, "image/svg+xml", drawing.renderToSVGString());
      drawing.dispose();
    }
  }

  dq.Chart = Chart;
})();
