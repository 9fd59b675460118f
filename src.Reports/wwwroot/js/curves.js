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
  // one fetch for all charts of a page; by address, which changes with the run
  const fetched = new Map();
  const fetchSeries = (src) => {
    const run = src.split("?")[0];
    for (const old of fetched.keys()) if (old !== src && old.split("?")[0] === run) fetched.delete(old);
    if (!fetched.has(src))
      fetched.set(
        src,
        fetch(src).then((answer) => {
          if (answer.status === 404) return {};
          if (!answer.ok) throw new Error(`the site answered ${answer.status}`);
          return answer.json();
        }).catch((error) => {
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

  // exponential moving average without the pull of its start (Kingma & Ba 2015, section 3)
  const smooth = (values, weight) => {
    let sum = 0;
    let total = 0;
    return values.map((value) => {
      if (value === null) return null;
      sum = sum * weight + value * (1 - weight);
      total = total * weight + (1 - weight);
      return sum / total;
    });
  };

  // several codebooks of several runs are too many lines: the mean over a run's codebooks
  const meanOf = (columns) =>
    columns[0].map((_, row) => {
      const values = columns.map((column) => column[row]).filter((value) => value !== null);
      return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
    });

  // lowest and highest of what is seen: of lines not hidden, in the part of the axis that is shown
  const extent = (lines, zoom, hidden) => {
    let [low, high] = [Infinity, -Infinity];
    for (const line of lines.filter((one) => !hidden?.has(one.name)))
      for (const values of [line.y, line.drawn, line.low, line.high])
        values?.forEach((value, i) => {
          if (value === null || (zoom && (line.x[i] < zoom[0] || line.x[i] > zoom[1]))) return;
          [low, high] = [Math.min(low, value), Math.max(high, value)];
        });
    return low <= high ? [low, high] : null;
  };

  // 1, 2, 5, 10 … for the most, four or so within one decade
  const marksBetween = (low, high) => {
    const decades = Math.log10(high / low);
    if (decades < 1) {
      const rough = (high - low) / 5;
      const power = 10 ** Math.floor(Math.log10(rough));
      const stride = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
      const marks = [];
      for (let at = Math.ceil(low / stride) * stride; at <= high * (1 + 1e-9); at += stride) marks.push(+at.toPrecision(10));
      return marks;
    }
    const marks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const factor of decades < 3 ? [1, 2, 5] : [1]) {
        const at = factor * 10 ** power;
        if (at >= low && at <= high) marks.push(+at.toPrecision(6));
      }
    return marks;
  };

  // ends of the vertical axis
  const vertical = (seen, log) => {
    if (!seen) return {};
    const [low, high] = log ? seen.map((end) => Math.min(1e100, Math.max(1e-100, end))) : seen;
    if (log) {
      const [from, to] = high / low < 1.02 ? [low / 1.5, high * 1.5] : [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
      const customValues = marksBetween(from, to);
      return { type: "log", min: from, max: to, axisLabel: { customValues }, splitLine: { customValues }, axisTick: { customValues } };
    }
    // a constant is a level line and not the noise of its last digits
    if (high - low <= 1e-4 * Math.abs(high)) return low === 0 ? { min: 0, max: 1 } : { min: Math.min(0, 2 * low), max: Math.max(0, 2 * high), interval: Math.abs(high) };
    return { scale: true, min: nice(low, high, low, Math.floor), max: nice(low, high, high, Math.ceil) };
  };

  const nice = (low, high, end, round) => {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const stride = [1, 2, 3, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999);
    return +(round(end / stride + (round === Math.floor ? 1e-9 : -1e-9)) * stride).toPrecision(12);
  };

  // a finger scrolls the page; the part shown can be typed
  const coarse = matchMedia("(pointer: coarse)");

  // an end as far as the curves go, as Charts/CurveSettings.cs has it
  const OPEN = 1e12;

  const units = { step: "step", images_seen: "images", seconds: "time" };

  class Curves extends dq.Chart {
    static observedAttributes = ["data-sources", "data-keys", "data-x", "data-log", "data-smooth", "data-zoom"];

    async content(look) {
      const sources = JSON.parse(this.dataset.sources ?? "[]");
      const inner = this.querySelector(':scope > script[type="application/json"]');
      const data = inner ? JSON.parse(inner.textContent) : await Promise.all(sources.map((source) => fetchSeries(source.src)));
      const lines = sources.flatMap((source, index) => this.lines(source, data[index] ?? {}, index, sources.length > 1, look));
      const several = sources.length > 1;
      this.runs = several ? new Map(sources.map((source) => [source.name, source.src?.split("?")[0].split("/").pop()])) : null;
      if (lines.length === 0) return { empty: "No numbers yet", rows: () => [], summary: "No numbers yet." };
      return { option: this.option(lines, look), zooms: !coarse.matches, zoomed: !globalThis.Blazor && !!this.part, rows: () => this.table(lines), summary: this.describe(lines) };
    }

    // on the site the part shown is the page's and in its address: all of its charts follow; a file has no address to keep it in
    zoomWanted() {
      return globalThis.Blazor ? this.dataset.zoom?.split(",").map(Number) ?? null : this.part ?? null;
    }

    zoomChanged(zoom) {
      // to a thousandth of its length
      const digits = zoom ? 10 ** Math.floor(Math.log10(zoom[1] - zoom[0]) - 3) : 1;
      const part = zoom?.map((value) => +(Math.round(value / digits) * digits).toPrecision(15));
      // a click is no part
      if (zoom && !(zoom[1] > zoom[0])) this.request();
      else if (!globalThis.Blazor) {
        this.part = part;
        this.request();
      } else {
        const address = new URL(location.href);
        if (part) address.searchParams.set("zoom", [this.dataset.x ?? "step", ...part].join(","));
        else address.searchParams.delete("zoom");
        Blazor.navigateTo(address.href, { replaceHistoryEntry: true });
      }
    }

    // of a line among those switched off; a run is called differently in different company
    key(name) {
      return this.runs ? this.runs.get(name) || name : `${this.title_}: ${name}`;
    }

    legendChanged(selected) {
      for (const [name, shown] of Object.entries(selected)) if (shown) off().delete(this.key(name));
        else off().add(this.key(name));
      for (const chart of this.runs ? document.querySelectorAll("dq-curves") : [this]) chart.request();
      if (!globalThis.Blazor) return;
      const address = new URL(location.href);
      address.searchParams.delete("off");
      for (const key of off()) address.searchParams.append("off", key);
      Blazor.navigateTo(address.href, { replaceHistoryEntry: true });
    }

    lines(source, data, index, several, look) {
      const x = this.dataset.x ?? "step";
      const found = [];
      for (const split of ["train", "validation"]) {
        const means = data[split]?.mean ?? {};
        for (const wanted of JSON.parse(this.dataset.keys ?? "[]")) {
          const ofCodebooks = wanted.key.endsWith(".");
          const keys = Object.keys(means).filter((name) => (ofCodebooks ? name.startsWith(wanted.key) : name === wanted.key));
          const columns = keys.map((key) => ({ key, y: means[key], short: key.split(".").pop(), label: ofCodebooks ? `codebook ${key.split(".").pop()}` : wanted.label }));
          const shown = several && columns.length > 1 ? [{ y: meanOf(columns.map((column) => column.y)), label: `mean of ${columns.length} codebooks` }] : columns;
          const scaled = (values) => (wanted.scale ? values?.map((value) => (value === null ? null : value * wanted.scale)) : values);
          for (const { key, y, short, label: part } of shown) {
            if (!means[x] || y.every((value) => value === null)) continue;
            const label = split === "validation" ? "validation" : part || "training";
            found.push({
              // runs are told apart by colour and name; what of a run it is, is said on hover
              name: several ? source.name : ofCodebooks ? short : label,
              reading: several ? `${source.name}${label ? ` · ${label}` : ""}` : label,
              split,
              raw: wanted.raw,
              // beyond the number of colours, dotted
              again: several && index >= look.colors.length,
              x: means[x],
              y: scaled(y),
              low: scaled(data[split].low?.[key]),
              high: scaled(data[split].high?.[key]),
            });
          }
        }
      }
      return found.map((line, place) => ({ ...line, color: look.colors[(several ? index : place) % look.colors.length] }));
    }

    option(lines, look) {
      const weight = Math.min(0.99, Math.max(0, parseFloat(this.dataset.smooth ?? "0") || 0));
      const x = this.dataset.x ?? "step";
      const zoom = this.zoomWanted();
      const names = [...new Set(lines.map((line) => line.name))];
      const legend = lines.length > 1;
      const hidden = new Set(legend ? names.filter((name) => off().has(this.key(name))) : []);
      const smoothed = (line) => weight > 0 && line.split !== "validation" && !line.raw;
      const of = (usable) => lines.map((line) => ({ ...line, y: line.y.map(usable), low: line.low?.map(usable), high: line.high?.map(usable) })).map((line) => ({ ...line, drawn: smoothed(line) ? smooth(line.y, weight) : line.y }));
      const positive = this.hasAttribute("data-log") ? of((value) => (value > 0 ? value : null)) : [];
      // where all is zero there is no logarithm to show
      const log = extent(positive, zoom, hidden) !== null;
      const seen = log ? positive : of((value) => value);
      const series = seen.flatMap((line) => {
        const rare = line.split === "validation";
        const common = { type: "line", name: line.name, color: line.color, symbol: rare ? "circle" : "none", symbolSize: 5, sampling: "lttb", connectNulls: true };
        // under the line and not read out: the raw one, or the spikes that means over many lines hide
        const faint = (values, width, opacity, what) => ({
          ...common,
          id: `${line.reading}\u0000${what}`,
          symbol: "none",
          silent: true,
          data: line.x.map((at, i) => [at, values[i]]),
          lineStyle: { color: line.color, width, opacity },
        });
        return [
          ...(line.high ? [faint(line.low, 0.7, 0.22, "low"), faint(line.high, 0.7, 0.22, "high")] : []),
          ...(smoothed(line) ? [faint(line.y, 1, 0.28, "raw")] : []),
          {
            ...common,
            id: line.reading,
            // the third is read out beside the smoothed
            data: line.x.map((at, i) => [at, line.drawn[i], smoothed(line) ? line.y[i] : null]),
            lineStyle: { color: line.color, width: 2, type: rare ? "dashed" : line.again ? "dotted" : "solid" },
            itemStyle: { color: line.color },
            emphasis: { disabled: true },
          },
        ];
      });
      const time = x === "seconds";
      const { axisLabel, splitLine, axisTick, ...ends } = vertical(extent(seen, zoom, hidden), log);
      return {
        legend: legend
          ? { type: "scroll", top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 4, itemGap: 20, textStyle: { color: look.text, fontSize: 11 }, pageTextStyle: { color: look.muted }, pageIconColor: look.text, formatter: dq.short, tooltip: { show: true }, data: names, selected: Object.fromEntries(names.map((name) => [name, !hidden.has(name)])) }
          : undefined,
        grid: { left: 8, right: 18, top: legend ? 32 : 12, bottom: 8, containLabel: true },
        xAxis: dq.axis(look, {
          type: "value",
          // not by the library's zoom, which knows no part beyond a chart's own lines
          min: zoom ? zoom[0] : "dataMin",
          max: zoom && zoom[1] < OPEN ? zoom[1] : "dataMax",
          splitLine: { show: false },
          axisLabel: { color: look.muted, fontSize: 11, hideOverlap: true, formatter: time ? dq.duration : dq.tick },
          axisPointer: { label: { show: false } },
        }),
        yAxis: dq.axis(look, {
          type: "value",
          ...ends,
          axisLine: { show: false },
          axisTick: { show: false, ...axisTick },
          splitLine: { lineStyle: { color: look.line }, ...splitLine },
          axisLabel: { color: look.muted, fontSize: 11, formatter: dq.tick, hideOverlap: true, ...axisLabel },
        }),
        dataZoom: [
          { type: "inside", xAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: false, moveOnMouseWheel: false, moveOnMouseMove: false, disabled: coarse.matches },
        ],
        toolbox: { show: true, left: -100, feature: { dataZoom: { yAxisIndex: "none", filterMode: "none" } } },
        tooltip: {
          confine: true,
          trigger: "axis",
          axisPointer: { type: "line", lineStyle: { color: look.muted, type: "dashed" } },
          backgroundColor: look.surface,
          borderColor: look.line,
          textStyle: { color: look.text, fontSize: 12 },
          extraCssText: "box-shadow: 0 4px 16px rgb(0 0 0 / 18%); border-radius: 6px; padding: 8px 10px;",
          formatter: (points) => this.reading(points, time ? dq.duration : (at) => `${units[x]} ${Math.round(at).toLocaleString("en-US")}`),
        },
        series,
      };
    }

    reading(points, place) {
      const seen = points.filter((point) => !point.seriesId.includes("\u0000") && point.value[1] !== null);
      if (seen.length === 0) return "";
      const smoothed = seen.some((point) => typeof point.value[2] === "number");
      const cell = (text, weight) => `<td style="text-align:right;padding-left:16px;font-variant-numeric:tabular-nums;font-weight:${weight}">${text}</td>`;
      const rows = seen
        .slice(0, 16)
        .map(
          (point) =>
            `<tr><td>${point.marker}${dq.escape(point.seriesId)}</td>${cell(dq.number(point.value[1]), 600)}${smoothed ? cell(typeof point.value[2] === "number" ? dq.number(point.value[2]) : "", 400) : ""}</tr>`,
        )
        .join("");
      const head = smoothed ? `<tr><td></td>${cell("smoothed", 400)}${cell("as logged", 400)}</tr>` : "";
      return `<div style="margin-bottom:4px">${dq.escape(place(seen[0].value[0]))}</div><table>${head}${rows}</table>`;
    }

    table(lines) {
      const x = this.dataset.x ?? "step";
      const head = ["series", x, this.title_, "lowest", "highest"];
      return [head, ...lines.flatMap((line) => line.x.map((at, i) => [line.reading, at, line.y[i], line.low?.[i], line.high?.[i]]).filter((row) => row[2] !== null))];
    }

    describe(lines) {
      return lines
        .slice(0, 6)
        .map((line) => {
          const values = line.y.filter((value) => value !== null);
          const [low, high] = extent([{ ...line, name: undefined, drawn: undefined, low: undefined, high: undefined }], null);
          return `${line.reading}: from ${dq.number(values[0])} to ${dq.number(values[values.length - 1])}, lowest ${dq.number(low)}, highest ${dq.number(high)}.`;
        })
        .join(" ");
    }
  }

  customElements.define("dq-curves", Curves);
})();
