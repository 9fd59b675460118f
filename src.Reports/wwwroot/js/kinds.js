// What a <dq-chart> draws, by the kind in its spec (Charts/ChartSpec.cs).
"use strict";
(() => {
  const NARROW = 480;

  const labelled = (rows) =>
    `<table>${rows.map(([name, value]) => `<tr><td>${dq.escape(name)}</td><td style="text-align:right;padding-left:16px;font-weight:600">${dq.escape(value)}</td></tr>`).join("")}</table>`;

  // spec: { x: [label], series: [{ name, values }], xName, yName }
  dq.kinds.bars = (spec, look) => ({
    option: {
      legend: spec.series.length > 1 ? { top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: { color: look.text, fontSize: 11 } } : undefined,
      grid: { left: 8, right: 16, top: spec.series.length > 1 ? 30 : 12, bottom: spec.xName ? 24 : 8, containLabel: true },
      xAxis: dq.axis(look, { type: "category", data: spec.x, name: spec.xName, nameLocation: "middle", nameGap: 26, splitLine: { show: false } }),
      yAxis: dq.axis(look, { type: spec.log ? "log" : "value", axisLine: { show: false }, axisLabel: { color: look.muted, fontSize: 11, formatter: dq.tick } }),
      tooltip: {
        ...tooltip(look),
        trigger: "axis",
        axisPointer: { type: "shadow" },
        formatter: (points) => `${dq.escape(spec.xName ?? "")} ${dq.escape(points[0].name)}${labelled(points.map((point) => [point.seriesName, dq.number(point.data?.value ?? point.data)]))}`,
      },
      series: spec.series.map((one) => ({
        type: "bar",
        name: one.name,
        barCategoryGap: "8%",
        barGap: "0%",
        large: spec.x.length > 2000,
        data: one.values.map((value, i) => ({ value, href: spec.hrefs?.[i] })),
        cursor: spec.hrefs ? "pointer" : "default",
      })),
    },
    rows: () => [[spec.xName ?? "", ...spec.series.map((one) => one.name)], ...spec.x.map((at, i) => [at, ...spec.series.map((one) => one.values[i])])],
    summary: spec.series.map((one) => `${one.name}: ${one.values.length} bars, highest ${dq.number(Math.max(...one.values))}.`).join(" "),
  });

  // spec: { x: [label], y: [label], values: [row][column], low, high, unit, square, hrefs }
  dq.kinds.heatmap = (spec, look, width) => {
    const narrow = width < NARROW;
    const flat = spec.values.flatMap((row, y) => row.map((value, x) => ({ value: [x, y, value], href: spec.hrefs?.[y]?.[x] })));
    const shades = look.dark ? ["#161b24", "#23406e", "#2f7fa8", "#69c3a9", "#f2f0a1"] : ["#f6f8fc", "#c9d9f2", "#7fb0dc", "#2f74b5", "#12305e"];
    const cells = spec.x.length * spec.y.length;
    // few names of classes all have to be read
    const slanted = spec.x.length <= 24 && spec.x.some((name) => String(name).length > 3);
    return {
      option: {
        grid: { left: 8, right: narrow ? 8 : 70, top: 8, bottom: narrow ? 44 : slanted ? 30 : 24, containLabel: true },
        xAxis: dq.axis(look, { type: "category", data: spec.x, name: spec.xName, nameLocation: "middle", nameGap: slanted ? 52 : 24, splitLine: { show: false }, axisLine: { show: false }, ...(slanted ? { axisLabel: { color: look.muted, fontSize: 11, interval: 0, rotate: 40 } } : {}) }),
        yAxis: dq.axis(look, { type: "category", data: spec.y, inverse: true, splitLine: { show: false }, axisLine: { show: false } }),
        visualMap: { min: spec.low, max: spec.high, calculable: false, orient: narrow ? "horizontal" : "vertical", right: narrow ? "center" : 0, top: narrow ? undefined : "middle", bottom: narrow ? 0 : undefined, itemHeight: 110, itemWidth: 10, text: [dq.number(spec.high), dq.number(spec.low)], inRange: { color: shades }, textStyle: { color: look.muted, fontSize: 11 } },
        tooltip: {
          ...tooltip(look),
          formatter: (point) => labelled([[`${spec.yName ?? "row"} ${spec.y[point.value[1]]}, ${spec.xName ?? "column"} ${spec.x[point.value[0]]}`, `${dq.number(point.value[2])} ${spec.unit ?? ""}`]]),
        },
        series: [
          {
            type: "heatmap",
            data: flat,
            cursor: spec.hrefs ? "pointer" : "default",
            label: { show: cells <= 121 && !narrow, fontSize: 10, formatter: (point) => dq.number(point.value[2]).replace(/(\.\d\d)\d+$/, "$1"), color: "inherit", textBorderWidth: 0 },
            itemStyle: { borderColor: look.surface, borderWidth: cells > 400 ? 0 : 1 },
          },
        ].map((one) => (cells <= 121 ? { ...one, data: flat.map((cell) => ({ ...cell, label: { color: shadeText(cell.value[2], spec, look) } })) } : one)),
      },
      rows: () => [["", ...spec.x], ...spec.y.map((at, y) => [at, ...spec.values[y]])],
      summary: `${spec.y.length} by ${spec.x.length} values from ${dq.number(spec.low)} to ${dq.number(spec.high)} ${spec.unit ?? ""}.`,
    };
  };

  const shadeText = (value, spec, look) => {
    const share = (value - spec.low) / (spec.high - spec.low || 1);
    return look.dark ? (share > 0.6 ? "#10131a" : "#e8ebf1") : share > 0.55 ? "#ffffff" : "#1a1f29";
  };

  const tooltip = (look) => ({
    confine: true,
    backgroundColor: look.surface,
    borderColor: look.line,
    textStyle: { color: look.text, fontSize: 12 },
    extraCssText: "box-shadow: 0 4px 16px rgb(0 0 0 / 18%); border-radius: 6px; padding: 8px 10px; max-width: 420px; white-space: normal;",
  });

  // spec: { xName, yName, groups: [{ name, hollow, points: [{ x, y, name, detail, href }] }], diagonals: true for lines of equal x + y, levels: [{ y, name }] }
  dq.kinds.plane = (spec, look, width) => {
    const narrow = width < NARROW;
    const points = spec.groups.flatMap((group) => group.points);
    if (points.length === 0) return { empty: spec.emptyText ?? "Nothing to place here yet", rows: () => [], summary: "No points." };
    const [xs, ys] = [points.map((point) => point.x), [...points, ...(spec.levels ?? [])].map((point) => point.y)];
    const pad = (values) => Math.max((Math.max(...values) - Math.min(...values)) * 0.12, 0.1);
    const range = { x: [Math.max(0, Math.min(...xs) - pad(xs)), Math.max(...xs) + pad(xs)], y: [Math.min(...ys) - pad(ys), Math.max(...ys) + pad(ys)] };
    const [least, most] = [range.x[0] + range.y[0], range.x[1] + range.y[1]];
    const stride = niceStride((most - least) / 6);
    const diagonals = [];
    if (spec.diagonals)
      for (let total = Math.ceil(least / stride) * stride; total <= most; total += stride) {
        // where the line x + y = total meets the frame
        const left = Math.max(range.x[0], total - range.y[1]);
        const right = Math.min(range.x[1], total - range.y[0]);
        if (right > left) diagonals.push([{ coord: [left, total - left], name: `${spec.totalName ?? "total"} ${+total.toFixed(4)}` }, { coord: [right, total - right] }]);
      }
    const levels = (spec.levels ?? []).map((level) => ({ yAxis: level.y, name: `${level.name} ${dq.number(level.y)}`, label: { position: "insideEndTop", color: look.muted, fontSize: 11, formatter: (mark) => mark.name } }));
    const marks = [...diagonals, ...levels];
    return {
      option: {
        legend: { type: "scroll", top: 0, left: 0, formatter: dq.short, tooltip: { show: true }, textStyle: { color: look.text, fontSize: 11 }, itemWidth: 10, itemHeight: 10, itemGap: 20 },
        grid: { left: narrow ? 12 : 34, right: 24, top: 34, bottom: 26, containLabel: true },
        xAxis: dq.axis(look, { type: "value", min: range.x[0], max: range.x[1], name: spec.xName, nameLocation: "middle", nameGap: 26, axisLabel: { color: look.muted, formatter: dq.tick, showMinLabel: false, showMaxLabel: false } }),
        yAxis: dq.axis(look, { type: "value", min: range.y[0], max: range.y[1], name: narrow ? "" : spec.yName, nameLocation: "middle", nameGap: 46, axisLabel: { color: look.muted, formatter: dq.tick, showMinLabel: false, showMaxLabel: false } }),
        tooltip: {
          ...tooltip(look),
          trigger: "item",
          formatter: (point) =>
            `<strong>${dq.escape(point.data.name)}</strong>${labelled([[spec.xName, dq.number(point.value[0])], [spec.yName, dq.number(point.value[1])], ...(spec.diagonals ? [["total", dq.number(point.value[0] + point.value[1])]] : [])])}${point.data.detail ? `<div>${dq.escape(point.data.detail)}</div>` : ""}`,
        },
        series: spec.groups.map((group, index) => ({
          type: "scatter",
          name: group.name,
          symbol: group.hollow ? "diamond" : "circle",
          symbolSize: 13,
          cursor: group.points.some((point) => point.href) ? "pointer" : "default",
          data: group.points.map((point) => ({ value: [point.x, point.y], name: point.name, detail: point.detail, href: point.href })),
          itemStyle: { color: group.hollow ? look.surface : look.colors[index % look.colors.length], borderColor: look.colors[index % look.colors.length], borderWidth: group.hollow ? 2 : 0 },
          label: { show: (points.length <= 14 || !group.hollow) && group.points.length <= 14 && !narrow, position: "right", formatter: (point) => dq.short(point.data.name), color: look.text, fontSize: 11 },
          // a name that would leave the frame stands left of its point
          labelLayout: (at) => (at.labelRect.x + at.labelRect.width > width - 24 ? { x: at.rect.x - 6, align: "right", hideOverlap: true } : { hideOverlap: true }),
          markLine:
            index === 0 && marks.length
              ? { silent: true, symbol: "none", data: marks, lineStyle: { color: look.muted, type: "dashed", opacity: 0.5, width: 1 }, label: { position: "insideStartTop", color: look.muted, fontSize: 10, formatter: (mark) => mark.name } }
              : undefined,
        })),
      },
      rows: () => [["group", "name", spec.xName, spec.yName], ...(spec.levels ?? []).map((level) => ["", level.name, null, level.y]), ...spec.groups.flatMap((group) => group.points.map((point) => [group.name, point.name, point.x, point.y]))],
      summary: points.slice(0, 12).map((point) => `${point.name}: ${dq.number(point.x)}, ${dq.number(point.y)}.`).join(" "),
    };
  };

  const niceStride = (rough) => {
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((stride) => stride >= rough);
  };

  // spec: { xName, yName, x: [label] or null, series: [{ name, dashed, points: [[x, y, deviation?]] }], marks: [{ x, name }], logX, logY }
  dq.kinds.lines = (spec, look) => {
    const points = spec.series.flatMap((one) => one.points);
    if (points.length === 0) return { empty: "Nothing to draw yet", rows: () => [], summary: "No points." };
    const category = !!spec.x;
    // bars of deviation belong to what is seen
    const heights = points.flatMap(([, y, deviation]) => (y === null ? [] : [y - (deviation ?? 0), y + (deviation ?? 0)]));
    const margin = (Math.max(...heights) - Math.min(...heights)) * 0.06 || Math.abs(heights[0]) * 0.05 || 1;
    const ends = spec.logY ? {} : { min: Math.min(...heights) - margin, max: Math.max(...heights) + margin };
    const few = points.length <= 200;
    return {
      option: {
        // references have the colour of what they are beside
        legend: { type: "scroll", top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 4, itemGap: 20, formatter: dq.short, tooltip: { show: true }, textStyle: { color: look.text, fontSize: 11 }, data: spec.series.filter((one) => !one.dashed || one.color === undefined || !spec.series.some((other) => !other.dashed && other.color === one.color)).map((one) => one.name) },
        grid: { left: 12, right: 24, top: spec.marks?.length ? 52 : 34, bottom: 26, containLabel: true },
        xAxis: dq.axis(look, { type: category ? "category" : spec.logX ? "log" : "value", data: spec.x ?? undefined, scale: true, ...(spec.marks?.length ? { min: 0, max: "dataMax" } : {}), boundaryGap: category ? true : few ? ["4%", "4%"] : [0, 0], name: spec.xName, nameLocation: "middle", nameGap: 26, splitLine: { show: false }, axisLabel: { color: look.muted, formatter: category ? undefined : dq.tick, showMaxLabel: spec.marks?.length ? false : undefined } }),
        yAxis: dq.axis(look, { type: spec.logY ? "log" : "value", scale: true, ...ends, axisLine: { show: false }, axisLabel: { color: look.muted, formatter: dq.tick, showMinLabel: false, showMaxLabel: false } }),
        tooltip: { ...tooltip(look), trigger: "item", formatter: (point) => `<strong>${dq.escape(point.seriesName)}</strong>${labelled([[spec.xName, category ? spec.x[point.value[0]] ?? point.name : dq.number(point.value[0])], [spec.yName, dq.number(point.value[1]) + (point.value[2] ? ` ± ${dq.number(point.value[2])}` : "")]])}` },
        series: spec.series.flatMap((one, index) => {
          const color = look.colors[(one.color ?? index) % look.colors.length];
          const drawn = [
            {
              type: "line",
              name: one.name,
              data: one.points,
              symbol: one.dashed ? "emptyDiamond" : "circle",
              symbolSize: one.plain ? 0 : 8,
              showSymbol: !one.plain,
              color,
              connectNulls: true,
              lineStyle: { color, width: 2, type: one.dashed ? "dashed" : "solid" },
              markLine:
                index === 0 && spec.marks?.length
                  ? { silent: true, symbol: "none", lineStyle: { color: look.muted, type: [4, 4] }, label: { color: look.text, fontSize: 11, formatter: (mark) => mark.name, position: "end", distance: 4, offset: [20, 0] }, data: spec.marks.map((mark) => ({ xAxis: mark.x, name: mark.name })) }
                  : undefined,
            },
          ];
          if (one.points.some((point) => point[2]))
            drawn.push({
              type: "custom",
              name: one.name,
              silent: true,
              tooltip: { show: false },
              data: one.points.filter((point) => point[2]),
              renderItem: (_, api) => {
                const top = api.coord([api.value(0), api.value(1) + api.value(2)]);
                const bottom = api.coord([api.value(0), api.value(1) - api.value(2)]);
                const bar = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1.5 } });
                return { type: "group", children: [bar(top[0], top[1], bottom[0], bottom[1]), bar(top[0] - 4, top[1], top[0] + 4, top[1]), bar(bottom[0] - 4, bottom[1], bottom[0] + 4, bottom[1])] };
              },
            });
          return drawn;
        }),
      },
      rows: () => [["series", spec.xName, spec.yName, "deviation"], ...spec.series.flatMap((one) => one.points.map((point) => [one.name, category ? spec.x[point[0]] ?? point[0] : point[0], point[1], point[2]]))],
      summary: spec.series.map((one) => `${one.name}: ${one.points.map((point) => dq.number(point[1])).slice(0, 12).join(", ")}.`).join(" "),
    };
  };

  // not before all kinds are known: elements that are there already draw themselves at once
  customElements.define("dq-chart", dq.Chart);
})();
