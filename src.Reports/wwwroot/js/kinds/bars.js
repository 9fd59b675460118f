// spec: { x: [label], series: [{ name, values }], xName, yName, log, hrefs }
"use strict";
(() => {
  const { table, tooltip, nameInTheMiddle } = dq.kindParts;

  const reading = (spec) => (points) => {
    const values = points.map((point) => [point.seriesName, dq.number(point.data?.value ?? point.data)]);
    return `${dq.escape(spec.xName ?? "")} ${dq.escape(points[0].name)}${table(values)}`;
  };

  const series = (spec) => (one) => ({
    type: "bar",
    name: one.name,
    barCategoryGap: "8%",
    barGap: "0%",
    large: spec.x.length > 2000,
    data: one.values.map((value, i) => ({ value, href: spec.hrefs?.[i] })),
    cursor: spec.hrefs ? "pointer" : "default",
  });

  const option = (spec, look) => {
    const several = spec.series.length > 1;
    return {
      legend: several ? dq.legend(look, { icon: "roundRect", itemWidth: 12, itemHeight: 8 }) : undefined,
      grid: { left: 8, right: 16, top: several ? 30 : 12, bottom: spec.xName ? 24 : 8, containLabel: true },
      xAxis: dq.axis(look, { type: "category", data: spec.x, ...nameInTheMiddle(spec.xName, 26), splitLine: { show: false } }),
      yAxis: dq.axis(look, {
        type: spec.log ? "log" : "value",
        axisLine: { show: false },
        axisLabel: { color: look.muted, fontSize: 11, formatter: dq.tick },
      }),
      tooltip: tooltip(look, { trigger: "axis", axisPointer: { type: "shadow" }, formatter: reading(spec) }),
      series: spec.series.map(series(spec)),
    };
  };

  dq.kinds.bars = (spec, look) => ({
    option: option(spec, look),
    rows: () => [
      [spec.xName ?? "", ...spec.series.map((one) => one.name)],
      ...spec.x.map((at, i) => [at, ...spec.series.map((one) => one.values[i])]),
    ],
    summary: spec.series.map((one) => `${one.name}: ${one.values.length} bars, highest ${dq.number(Math.max(...one.values))}.`).join(" "),
  });
})();
