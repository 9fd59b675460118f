// spec: { xName, yName, groups: [{ name, hollow, points: [{ x, y, name, detail, href }] }], diagonals: true for lines of equal x + y,
// totalName, levels: [{ y, name }], emptyText }
"use strict";
(() => {
  const { NARROW, table, tooltip, nameInTheMiddle, nothing } = dq.kindParts;

  // of each axis, [from, to]
  const rangeOf = (points, levels) => {
    const xs = points.map((point) => point.x);
    const ys = [...points, ...levels].map((point) => point.y);
    const pad = (values) => Math.max((Math.max(...values) - Math.min(...values)) * 0.12, 0.1);
    return {
      x: [Math.max(0, Math.min(...xs) - pad(xs)), Math.max(...xs) + pad(xs)],
      y: [Math.min(...ys) - pad(ys), Math.max(...ys) + pad(ys)],
    };
  };

  const strideOf = (rough) => {
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((stride) => stride >= rough);
  };

  const diagonals = (spec, range) => {
    const [least, most] = [range.x[0] + range.y[0], range.x[1] + range.y[1]];
    const stride = strideOf((most - least) / 6);
    const lines = [];
    for (let total = Math.ceil(least / stride) * stride; total <= most; total += stride) {
      // where the line x + y = total meets the frame
      const left = Math.max(range.x[0], total - range.y[1]);
      const right = Math.min(range.x[1], total - range.y[0]);
      const name = `${spec.totalName ?? "total"} ${+total.toFixed(4)}`;
      if (right > left) lines.push([{ coord: [left, total - left], name }, { coord: [right, total - right] }]);
    }
    return lines;
  };

  const levelLine = (look) => (level) => ({
    yAxis: level.y,
    name: `${level.name} ${dq.number(level.y)}`,
    label: { position: "insideEndTop", color: look.muted, fontSize: 11, formatter: (mark) => mark.name },
  });

  const markLine = (look, marks) => ({
    silent: true,
    symbol: "none",
    data: marks,
    lineStyle: { color: look.muted, type: "dashed", opacity: 0.5, width: 1 },
    label: { position: "insideStartTop", color: look.muted, fontSize: 10, formatter: (mark) => mark.name },
  });

  const axis = (look, [min, max], name) =>
    dq.axis(look, {
      type: "value",
      min,
      max,
      ...name,
      axisLabel: { color: look.muted, formatter: dq.tick, showMinLabel: false, showMaxLabel: false },
    });

  const reading = (spec) => (point) => {
    const [x, y] = point.value;
    const values = [
      [spec.xName, dq.number(x)],
      [spec.yName, dq.number(y)],
    ];
    if (spec.diagonals) values.push(["total", dq.number(x + y)]);
    const detail = point.data.detail ? `<div>${dq.escape(point.data.detail)}</div>` : "";
    return `<strong>${dq.escape(point.data.name)}</strong>${table(values)}${detail}`;
  };

  // a name that would leave the frame stands left of its point
  const labelLayout = (width) => (at) =>
    at.labelRect.x + at.labelRect.width > width - 24 ? { x: at.rect.x - 6, align: "right", hideOverlap: true } : { hideOverlap: true };

  const itemStyle = (group, look, color) => ({
    color: group.hollow ? look.surface : color,
    borderColor: color,
    borderWidth: group.hollow ? 2 : 0,
  });

  const series = (group, look, color, labelled, width) => ({
    type: "scatter",
    name: group.name,
    symbol: group.hollow ? "diamond" : "circle",
    symbolSize: 13,
    cursor: group.points.some((point) => point.href) ? "pointer" : "default",
    data: group.points.map(({ x, y, name, detail, href }) => ({ value: [x, y], name, detail, href })),
    itemStyle: itemStyle(group, look, color),
    label: {
      show: labelled,
      position: "right",
      formatter: (point) => dq.short(point.data.name),
      color: look.text,
      fontSize: 11,
    },
    labelLayout: labelLayout(width),
  });

  const allSeries = (spec, look, width, marks) => {
    const count = spec.groups.reduce((sum, group) => sum + group.points.length, 0);
    const labelled = (group) => (count <= 14 || !group.hollow) && group.points.length <= 14 && width >= NARROW;
    return spec.groups.map((group, index) => ({
      ...series(group, look, look.colors[index % look.colors.length], labelled(group), width),
      markLine: index === 0 && marks.length ? markLine(look, marks) : undefined,
    }));
  };

  const option = (spec, look, width, points) => {
    const narrow = width < NARROW;
    const levels = spec.levels ?? [];
    const range = rangeOf(points, levels);
    const marks = [...(spec.diagonals ? diagonals(spec, range) : []), ...levels.map(levelLine(look))];
    return {
      legend: dq.longLegend(look, { itemWidth: 10, itemHeight: 10 }),
      grid: { left: narrow ? 12 : 34, right: 24, top: 34, bottom: 26, containLabel: true },
      xAxis: axis(look, range.x, nameInTheMiddle(spec.xName, 26)),
      yAxis: axis(look, range.y, nameInTheMiddle(narrow ? "" : spec.yName, 46)),
      tooltip: tooltip(look, { trigger: "item", formatter: reading(spec) }),
      series: allSeries(spec, look, width, marks),
    };
  };

  const rows = (spec) => [
    ["group", "name", spec.xName, spec.yName],
    ...(spec.levels ?? []).map((level) => ["", level.name, null, level.y]),
    ...spec.groups.flatMap((group) => group.points.map((point) => [group.name, point.name, point.x, point.y])),
  ];

  dq.kinds.plane = (spec, look, width) => {
    const points = spec.groups.flatMap((group) => group.points);
    if (points.length === 0) return nothing(spec.emptyText ?? "Nothing to place here yet");
    return {
      option: option(spec, look, width, points),
      rows: () => rows(spec),
      summary: points
        .slice(0, 12)
        .map((point) => `${point.name}: ${dq.number(point.x)}, ${dq.number(point.y)}.`)
        .join(" "),
    };
  };
})();
