// spec: { xName, yName, x: [label] or null, series: [{ name, dashed, plain, color, points: [[x, y, deviation?]] }],
// marks: [{ x, name }], logX, logY }
"use strict";
(() => {
  const { table, tooltip, nameInTheMiddle, nothing } = dq.kindParts;

  // ends of the vertical axis; bars of deviation belong to what is seen
  const ends = (spec, points) => {
    if (spec.logY) return {};
    const heights = points.flatMap(([, y, deviation]) => (y === null ? [] : [y - (deviation ?? 0), y + (deviation ?? 0)]));
    const [low, high] = [Math.min(...heights), Math.max(...heights)];
    const margin = (high - low) * 0.06 || Math.abs(heights[0]) * 0.05 || 1;
    return { min: low - margin, max: high + margin };
  };

  // references have the colour of what they are beside, and no entry of their own
  const legendNames = (spec) => {
    const beside = (one) => spec.series.some((other) => !other.dashed && other.color === one.color);
    return spec.series.filter((one) => !one.dashed || one.color === undefined || !beside(one)).map((one) => one.name);
  };

  const xAxisType = (spec) => {
    if (spec.x) return "category";
    return spec.logX ? "log" : "value";
  };

  const xAxis = (spec, look, points) => {
    const marked = spec.marks?.length;
    const beyond = points.length <= 200 ? ["4%", "4%"] : [0, 0];
    return dq.axis(look, {
      type: xAxisType(spec),
      data: spec.x ?? undefined,
      scale: true,
      ...(marked ? { min: 0, max: "dataMax" } : {}),
      boundaryGap: spec.x ? true : beyond,
      ...nameInTheMiddle(spec.xName, 26),
      splitLine: { show: false },
      axisLabel: { color: look.muted, formatter: spec.x ? undefined : dq.tick, showMaxLabel: marked ? false : undefined },
    });
  };

  const yAxis = (spec, look, points) =>
    dq.axis(look, {
      type: spec.logY ? "log" : "value",
      scale: true,
      ...ends(spec, points),
      axisLine: { show: false },
      axisLabel: { color: look.muted, formatter: dq.tick, showMinLabel: false, showMaxLabel: false },
    });

  const reading = (spec) => (point) => {
    const [x, y, deviation] = point.value;
    const place = spec.x ? (spec.x[x] ?? point.name) : dq.number(x);
    const value = dq.number(y) + (deviation ? ` ± ${dq.number(deviation)}` : "");
    return `<strong>${dq.escape(point.seriesName)}</strong>${table([
      [spec.xName, place],
      [spec.yName, value],
    ])}`;
  };

  const markLine = (spec, look) => ({
    silent: true,
    symbol: "none",
    lineStyle: { color: look.muted, type: [4, 4] },
    label: {
      color: look.text,
      fontSize: 11,
      formatter: (mark) => mark.name,
      position: "end",
      distance: 4,
      offset: [20, 0],
    },
    data: spec.marks.map((mark) => ({ xAxis: mark.x, name: mark.name })),
  });

  const line = (one, color) => ({
    type: "line",
    name: one.name,
    data: one.points,
    symbol: one.dashed ? "emptyDiamond" : "circle",
    symbolSize: one.plain ? 0 : 8,
    showSymbol: !one.plain,
    color,
    connectNulls: true,
    lineStyle: { color, width: 2, type: one.dashed ? "dashed" : "solid" },
  });

  const deviationBar = (color) => (_, api) => {
    const [x, top] = api.coord([api.value(0), api.value(1) + api.value(2)]);
    const [, bottom] = api.coord([api.value(0), api.value(1) - api.value(2)]);
    const stroke = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1.5 } });
    return {
      type: "group",
      children: [stroke(x, top, x, bottom), stroke(x - 4, top, x + 4, top), stroke(x - 4, bottom, x + 4, bottom)],
    };
  };

  const deviations = (one, color) => ({
    type: "custom",
    name: one.name,
    silent: true,
    tooltip: { show: false },
    data: one.points.filter((point) => point[2]),
    renderItem: deviationBar(color),
  });

  const series = (spec, look) =>
    spec.series.flatMap((one, index) => {
      const color = look.colors[(one.color ?? index) % look.colors.length];
      const marks = index === 0 && spec.marks?.length ? markLine(spec, look) : undefined;
      const drawn = { ...line(one, color), markLine: marks };
      return one.points.some((point) => point[2]) ? [drawn, deviations(one, color)] : [drawn];
    });

  const rows = (spec) => [
    ["series", spec.xName, spec.yName, "deviation"],
    ...spec.series.flatMap((one) => one.points.map(([x, y, deviation]) => [one.name, spec.x ? (spec.x[x] ?? x) : x, y, deviation])),
  ];

  const summaryOf = (one) => {
    const values = one.points.map((point) => dq.number(point[1])).slice(0, 12);
    return `${one.name}: ${values.join(", ")}.`;
  };

  dq.kinds.lines = (spec, look) => {
    const points = spec.series.flatMap((one) => one.points);
    if (points.length === 0) return nothing("Nothing to draw yet");
    return {
      option: {
        legend: dq.longLegend(look, { icon: "roundRect", itemWidth: 12, itemHeight: 4, data: legendNames(spec) }),
        grid: { left: 12, right: 24, top: spec.marks?.length ? 52 : 34, bottom: 26, containLabel: true },
        xAxis: xAxis(spec, look, points),
        yAxis: yAxis(spec, look, points),
        tooltip: tooltip(look, { trigger: "item", formatter: reading(spec) }),
        series: series(spec, look),
      },
      rows: () => rows(spec),
      summary: spec.series.map(summaryOf).join(" "),
    };
  };
})();
