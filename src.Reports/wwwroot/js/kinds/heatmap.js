// spec: { x: [label], y: [label], values: [row][column], xName, yName, low, high, unit, square, hrefs }
"use strict";
(() => {
  const { NARROW, table, tooltip, nameInTheMiddle } = dq.kindParts;

  // cells up to which each says its value
  const MOST_SAID = 121;

  const shades = (look) =>
    look.dark ? ["#161b24", "#23406e", "#2f7fa8", "#69c3a9", "#f2f0a1"] : ["#f6f8fc", "#c9d9f2", "#7fb0dc", "#2f74b5", "#12305e"];

  // of a value written on its own shade
  const textColor = (value, spec, look) => {
    const share = (value - spec.low) / (spec.high - spec.low || 1);
    if (look.dark) return share > 0.6 ? "#10131a" : "#e8ebf1";
    return share > 0.55 ? "#ffffff" : "#1a1f29";
  };

  // few names of classes all have to be read
  const slanted = (spec) => spec.x.length <= 24 && spec.x.some((name) => String(name).length > 3);

  const xAxis = (spec, look) =>
    dq.axis(look, {
      type: "category",
      data: spec.x,
      ...nameInTheMiddle(spec.xName, slanted(spec) ? 52 : 24),
      splitLine: { show: false },
      axisLine: { show: false },
      ...(slanted(spec) ? { axisLabel: { color: look.muted, fontSize: 11, interval: 0, rotate: 40 } } : {}),
    });

  const yAxis = (spec, look) =>
    dq.axis(look, { type: "category", data: spec.y, inverse: true, splitLine: { show: false }, axisLine: { show: false } });

  const scale = (spec, look, narrow) => ({
    min: spec.low,
    max: spec.high,
    calculable: false,
    ...(narrow
      ? { orient: "horizontal", right: "center", top: undefined, bottom: 0 }
      : { orient: "vertical", right: 0, top: "middle", bottom: undefined }),
    itemHeight: 110,
    itemWidth: 10,
    text: [dq.number(spec.high), dq.number(spec.low)],
    inRange: { color: shades(look) },
    textStyle: { color: look.muted, fontSize: 11 },
  });

  const reading = (spec) => (point) => {
    const [x, y, value] = point.value;
    const where = `${spec.yName ?? "row"} ${spec.y[y]}, ${spec.xName ?? "column"} ${spec.x[x]}`;
    return table([[where, `${dq.number(value)} ${spec.unit ?? ""}`]]);
  };

  const series = (spec, look, narrow) => {
    const count = spec.x.length * spec.y.length;
    const cells = spec.values.flatMap((row, y) => row.map((value, x) => ({ value: [x, y, value], href: spec.hrefs?.[y]?.[x] })));
    const said = (cell) => ({ ...cell, label: { color: textColor(cell.value[2], spec, look) } });
    return {
      type: "heatmap",
      data: count <= MOST_SAID ? cells.map(said) : cells,
      cursor: spec.hrefs ? "pointer" : "default",
      label: {
        show: count <= MOST_SAID && !narrow,
        fontSize: 10,
        formatter: (point) => dq.number(point.value[2]).replace(/(\.\d\d)\d+$/, "$1"),
        color: "inherit",
        textBorderWidth: 0,
      },
      itemStyle: { borderColor: look.surface, borderWidth: count > 400 ? 0 : 1 },
    };
  };

  dq.kinds.heatmap = (spec, look, width) => {
    const narrow = width < NARROW;
    const below = slanted(spec) ? 30 : 24;
    return {
      option: {
        grid: { left: 8, right: narrow ? 8 : 70, top: 8, bottom: narrow ? 44 : below, containLabel: true },
        xAxis: xAxis(spec, look),
        yAxis: yAxis(spec, look),
        visualMap: scale(spec, look, narrow),
        tooltip: tooltip(look, { formatter: reading(spec) }),
        series: [series(spec, look, narrow)],
      },
      rows: () => [["", ...spec.x], ...spec.y.map((at, y) => [at, ...spec.values[y]])],
      summary: `${spec.y.length} by ${spec.x.length} values from ${dq.number(spec.low)} to ${dq.number(spec.high)} ${spec.unit ?? ""}.`,
    };
  };
})();
