// What the library of charts is told of curves.
"use strict";
(() => {
  // an end as far as the curves go, as Charts/CurveSettings.cs has it
  const OPEN = 1e12;

  const units = { step: "step", images_seen: "images", seconds: "time" };

  const isSmoothed = (line, weight) => weight > 0 && line.split !== "validation" && !line.raw;

  // lines with what is drawn of them, of values an axis can show
  const drawable = (lines, weight, usable) =>
    lines.map((line) => {
      if (line.members) return dq.curves.averaged(line, isSmoothed(line, weight) ? weight : 0, usable);
      const y = line.y.map(usable);
      const drawn = isSmoothed(line, weight) ? dq.curves.smooth(y, weight) : y;
      return { ...line, y, low: line.low?.map(usable), high: line.high?.map(usable), drawn };
    });

  const common = (line) => ({
    type: "line",
    name: line.name,
    color: line.color,
    // a line needs two points
    symbol: line.split === "validation" || line.y.filter((value) => value !== null).length === 1 ? "circle" : "none",
    symbolSize: 5,
    sampling: "lttb",
    connectNulls: true,
  });

  // under the line and not read out: the raw one, or the spikes that means over many lines hide
  const faint = (line, values, width, opacity, what) => ({
    ...common(line),
    id: `${line.reading}\u0000${what}`,
    symbol: "none",
    silent: true,
    data: line.x.map((at, i) => [at, values[i]]),
    lineStyle: { color: line.color, width, opacity },
  });

  const dashes = (line) => {
    if (line.split === "validation") return "dashed";
    return line.again ? "dotted" : "solid";
  };

  const clear = (line) => ({
    ...common(line),
    id: line.reading,
    data: line.x.map((at, i) => [at, line.drawn[i]]),
    lineStyle: { color: line.color, width: 2, type: dashes(line) },
    itemStyle: { color: line.color },
    // made thick by what is nearest to the pointer (curves.js), and not by what happens to lie under it
    silent: true,
    emphasis: { lineStyle: { width: 4.5 } },
  });

  // where the log says that steps were left out, for a loss or a gradient that was no number or exploded
  const LABELLED = 6;
  const skippedMarks = (skipped, look) => ({
    silent: true,
    symbol: "none",
    lineStyle: { color: look.warning, type: [2, 3], width: 1, opacity: 0.8 },
    label: { show: skipped.length <= LABELLED, position: "insideEndTop", color: look.muted, fontSize: 10, formatter: (mark) => mark.name },
    data: skipped.map(({ at, count }) => ({ xAxis: at, name: `${count.toLocaleString("en-US")} skipped` })),
  });

  // parts of a band without gaps, as lists of rows
  const stretches = ({ low, high }) => {
    const parts = [];
    low.forEach((value, i) => {
      if (value === null || high[i] === null) return;
      if (parts.at(-1)?.at(-1) === i - 1) parts.at(-1).push(i);
      else parts.push([i]);
    });
    return parts.filter((part) => part.length > 1);
  };

  // one sample deviation to both sides of a mean
  const band = (line) => {
    const parts = stretches(line.band);
    const at = (api, values) => (i) => api.coord([line.x[i], values[i]]);
    const outline = (api, part) => [...part.map(at(api, line.band.high)), ...part.toReversed().map(at(api, line.band.low))];
    return {
      type: "custom",
      id: `${line.reading}\u0000band`,
      name: line.name,
      color: line.color,
      silent: true,
      clip: true,
      data: [[line.x[0], line.drawn.find((value) => value !== null)]],
      renderItem: (_, api) => ({
        type: "group",
        children: parts.map((part) => ({
          type: "polygon",
          shape: { points: outline(api, part) },
          style: { fill: line.color, opacity: 0.2 },
        })),
      }),
    };
  };

  const series = (line, weight) => {
    const smoothed = isSmoothed(line, weight);
    const spikes = line.high ? [faint(line, line.low, 0.7, 0.22, "low"), faint(line, line.high, 0.7, 0.22, "high")] : [];
    const raw = smoothed ? [faint(line, line.y, 1, 0.28, "raw")] : [];
    return [...(line.band ? [band(line)] : []), ...spikes, ...raw, clear(line)];
  };

  const legend = (names, hidden, look) =>
    dq.longLegend(look, {
      icon: "roundRect",
      itemWidth: 12,
      itemHeight: 4,
      pageTextStyle: { color: look.muted },
      pageIconColor: look.text,
      data: names,
      selected: Object.fromEntries(names.map((name) => [name, !hidden.has(name)])),
    });

  const xAxis = (x, zoom, look) =>
    dq.axis(look, {
      type: "value",
      // not by the library's zoom, which knows no part beyond a chart's own lines
      min: zoom ? zoom[0] : "dataMin",
      max: zoom && zoom[1] < OPEN ? zoom[1] : "dataMax",
      splitLine: { show: false },
      axisLabel: { color: look.muted, fontSize: 11, hideOverlap: true, formatter: x === "seconds" ? dq.duration : dq.tick },
      axisPointer: { label: { show: false } },
    });

  const yAxis = (seen, log, look) => {
    const { axisLabel, splitLine, axisTick, ...ends } = dq.curves.vertical(seen, log);
    return dq.axis(look, {
      type: "value",
      ...ends,
      axisLine: { show: false },
      axisTick: { show: false, ...axisTick },
      splitLine: { lineStyle: { color: look.line }, ...splitLine },
      axisLabel: { color: look.muted, fontSize: 11, formatter: dq.tick, hideOverlap: true, ...axisLabel },
    });
  };

  const dragging = (still) => ({
    dataZoom: [
      {
        type: "inside",
        xAxisIndex: 0,
        filterMode: "none",
        zoomOnMouseWheel: false,
        moveOnMouseWheel: false,
        moveOnMouseMove: false,
        disabled: still,
      },
    ],
    toolbox: { show: true, left: -100, feature: { dataZoom: { yAxisIndex: "none", filterMode: "none" } } },
  });

  dq.curves.place = (x) => (x === "seconds" ? dq.duration : (at) => `${units[x]} ${Math.round(at).toLocaleString("en-US")}`);

  // view: { x, log, weight: of the moving average, zoom: [from, to] or null, still: not dragged, isOff: whether a line of a name is,
  // skipped: [{ at, count }] of steps left out }. Gives the option, and the lines that are shown with what is drawn of them.
  dq.curves.optionOf = (lines, view, look) => {
    const names = [...new Set(lines.map((line) => line.name))];
    const several = lines.length > 1;
    const hidden = new Set(several ? names.filter(view.isOff) : []);
    const positive = view.log ? drawable(lines, view.weight, (value) => (value > 0 ? value : null)) : [];
    // where all is zero there is no logarithm to show
    const log = dq.curves.extent(positive, view.zoom, hidden) !== null;
    const seen = log ? positive : drawable(lines, view.weight, (value) => value);
    const drawn = seen.flatMap((line) => series(line, view.weight));
    if (view.skipped.length && drawn.length) drawn[0] = { ...drawn[0], markLine: skippedMarks(view.skipped, look) };
    const option = {
      legend: several ? legend(names, hidden, look) : undefined,
      grid: { left: 8, right: 18, top: several ? 32 : 12, bottom: 8, containLabel: true },
      xAxis: xAxis(view.x, view.zoom, look),
      yAxis: yAxis(dq.curves.extent(seen, view.zoom, hidden), log, look),
      ...dragging(view.still),
      // of the legend's long names; what stands at a place is said in a box of its own (hover.js)
      tooltip: { ...dq.tooltip(look), trigger: "none" },
      series: drawn,
    };
    return { option, shown: seen.filter((line) => !hidden.has(line.name)) };
  };
})();
