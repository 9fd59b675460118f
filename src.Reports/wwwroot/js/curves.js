// <dq-curves>: a metric of one or several runs along training. Attributes:
// data-sources  [{ "name", "src" }], where src gives Metrics/MetricsJson.cs
// data-keys     [{ "key", "label" }], names of series; "perplexity.0." stands for all that begin so
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

  // a constant is a level line and not the noise of its last digits
  const flat = (lines) => {
    let [low, high] = [Infinity, -Infinity];
    for (const line of lines) for (const value of line.y) if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (high - low > 1e-4 * Math.abs(high)) return {};
    return low === 0 ? { min: 0, max: 1 } : { min: Math.min(0, 2 * low), max: Math.max(0, 2 * high), interval: Math.abs(high) };
  };

  // several codebooks of several runs are too many lines: the mean over a run's codebooks
  const meanOf = (columns) =>
    columns[0].map((_, row) => {
      const values = columns.map((column) => column[row]).filter((value) => value !== null);
      return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
    });

  const units = { step: "step", images_seen: "images", seconds: "time" };

  class Curves extends dq.Chart {
    static observedAttributes = ["data-sources", "data-keys", "data-x", "data-log", "data-smooth", "data-zoom"];

    async content(look) {
      const sources = JSON.parse(this.dataset.sources ?? "[]");
      const inner = this.querySelector(':scope > script[type="application/json"]');
      const data = inner ? JSON.parse(inner.textContent) : await Promise.all(sources.map((source) => fetchSeries(source.src)));
      const lines = sources.flatMap((source, index) => this.lines(source, data[index] ?? {}, index, sources.length > 1, look));
      if (lines.length === 0) return { empty: "No numbers yet", rows: () => [], summary: "No numbers yet." };
      return { option: this.option(lines, look), zooms: true, rows: () => this.table(lines), summary: this.describe(lines) };
    }

    // on the site the part shown is the page's and in its address: all of its charts follow; a file has no address to keep it in
    zoomWanted() {
      if (!globalThis.Blazor) return super.zoomWanted();
      return this.dataset.zoom?.split(",").map(Number) ?? null;
    }

    zoomChanged(zoom) {
      super.zoomChanged(zoom);
      if (!globalThis.Blazor) return;
      const there = this.zoomWanted();
      const near = zoom && there && zoom.every((value, end) => Math.abs(value - there[end]) < 1e-3 * (there[1] - there[0]));
      if (near || (!zoom && !there)) return;
      const address = new URL(location.href);
      if (zoom) address.searchParams.set("zoom", [this.dataset.x ?? "step", ...zoom.map((value) => +value.toPrecision(6))].join(","));
      else address.searchParams.delete("zoom");
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
          for (const { key, y, short, label: part } of shown) {
            if (!means[x] || y.every((value) => value === null)) continue;
            const label = split === "validation" ? "validation" : part || "training";
            found.push({
              // runs are told apart by colour and name; what of a run it is, is said on hover
              name: several ? source.name : ofCodebooks ? short : label,
              reading: several ? `${source.name}${label ? ` · ${label}` : ""}` : label,
              split,
              x: means[x],
              y,
              low: data[split].low?.[key],
              high: data[split].high?.[key],
            });
          }
        }
      }
      return found.map((line, place) => ({ ...line, color: look.colors[(several ? index : place) % look.colors.length] }));
    }

    option(lines, look) {
      const log = this.hasAttribute("data-log");
      const weight = Math.min(0.99, Math.max(0, parseFloat(this.dataset.smooth ?? "0") || 0));
      const x = this.dataset.x ?? "step";
      const usable = (value) => (log && !(value > 0) ? null : value);
      const series = lines.flatMap((line) => {
        const raw = line.y.map(usable);
        const rare = line.split === "validation";
        const style = { color: line.color, width: 2, type: rare ? "dashed" : "solid" };
        const common = { type: "line", symbol: rare ? "circle" : "none", symbolSize: 5, sampling: "lttb", connectNulls: true };
        const pair = (values) => line.x.map((at, i) => [at, values[i]]);
        const smoothed = weight > 0 && !rare;
        const drawn = [
          {
            ...common,
            name: line.name,
            id: line.reading,
            color: line.color,
            data: pair(smoothed ? smooth(raw, weight) : raw),
            lineStyle: style,
            itemStyle: { color: line.color },
            emphasis: { disabled: true },
          },
        ];
        // the spikes that means over many lines hide, or the raw line under the smooth one
        if (smoothed)
          drawn.unshift({ ...common, name: "", silent: true, data: pair(raw), lineStyle: { color: line.color, width: 1, opacity: 0.28 }, tooltip: { show: false } });
        if (line.high)
          for (const edge of [line.low, line.high])
            drawn.unshift({ ...common, name: "", silent: true, data: pair(edge.map(usable)), lineStyle: { color: line.color, width: 0.7, opacity: 0.22 }, tooltip: { show: false } });
        return drawn;
      });
      const named = series.filter((one) => one.name);
      const time = x === "seconds";
      const names = [...new Set(named.map((one) => one.name))];
      const legend = named.length > 1;
      return {
        legend: legend
          ? { type: "scroll", top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 4, itemGap: 20, textStyle: { color: look.text, fontSize: 11 }, pageTextStyle: { color: look.muted }, pageIconColor: look.text, formatter: dq.short, tooltip: { show: true }, data: names }
          : undefined,
        grid: { left: 8, right: 18, top: legend ? 32 : 12, bottom: 8, containLabel: true },
        xAxis: dq.axis(look, {
          type: "value",
          min: "dataMin",
          max: "dataMax",
          splitLine: { show: false },
          axisLabel: { color: look.muted, fontSize: 11, hideOverlap: true, formatter: time ? dq.duration : dq.tick },
          axisPointer: { label: { show: false } },
        }),
        yAxis: dq.axis(look, { type: log ? "log" : "value", scale: true, ...(log ? {} : flat(lines)), axisLine: { show: false }, axisLabel: { color: look.muted, fontSize: 11, formatter: dq.tick } }),
        dataZoom: [{ type: "inside", xAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: false, moveOnMouseWheel: false, moveOnMouseMove: false }],
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
      const seen = points.filter((point) => point.seriesName && point.value[1] !== null);
      if (seen.length === 0) return "";
      const rows = seen
        .slice(0, 16)
        .map((point) => `<tr><td>${point.marker}${dq.escape(point.seriesId.split("\u0000")[0])}</td><td style="text-align:right;padding-left:16px;font-variant-numeric:tabular-nums;font-weight:600">${dq.number(point.value[1])}</td></tr>`)
        .join("");
      return `<div style="margin-bottom:4px">${dq.escape(place(seen[0].value[0]))}</div><table>${rows}</table>`;
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
          return `${line.reading}: from ${dq.number(values[0])} to ${dq.number(values[values.length - 1])}, lowest ${dq.number(Math.min(...values))}, highest ${dq.number(Math.max(...values))}.`;
        })
        .join(" ");
    }
  }

  customElements.define("dq-curves", Curves);
})();
