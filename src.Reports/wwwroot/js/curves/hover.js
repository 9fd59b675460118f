// What stands at the reader's place of a chart of curves: every line, by value, in a box beside the chart.
"use strict";
(() => {
  const GAP = 8;
  const MOST = 24;

  // the row of a line that is nearest to a place
  const nearestRow = (line, at) => {
    let best = -1;
    line.x.forEach((x, i) => {
      if (line.drawn[i] === null || line.drawn[i] === undefined) return;
      if (best < 0 || Math.abs(x - at) < Math.abs(line.x[best] - at)) best = i;
    });
    return best;
  };

  // a line at a place: as logged there, else between its neighbours
  const readingOf = (line, at) => {
    const value = dq.curves.valueAt(line.x, line.drawn, at);
    if (value === null || value === undefined) return null;
    const row = line.x.indexOf(at);
    return { line, value, logged: line.y[row] ?? null, spread: line.rows?.[row] ?? null, between: row < 0 };
  };

  // the nearest line by height on the screen decides the place: that of its nearest row
  // toHeight: pixels of a value; where: { x, height }
  dq.curves.readAt = (lines, where, toHeight) => {
    const here = lines.map((line) => readingOf(line, where.x)).filter((one) => one !== null);
    // single points, and places beyond the ends of all lines
    const candidates = here.length ? here.map((one) => one.line) : lines;
    let [nearest, distance] = [null, Infinity];
    for (const line of candidates) {
      const row = nearestRow(line, where.x);
      if (row < 0) continue;
      const value = dq.curves.valueAt(line.x, line.drawn, where.x) ?? line.drawn[row];
      const away = Math.abs(toHeight(value) - where.height);
      if (away < distance) [nearest, distance] = [{ line, at: line.x[row] }, away];
    }
    if (!nearest) return null;
    const readings = lines.map((line) => readingOf(line, nearest.at)).filter((one) => one !== null);
    readings.sort((one, other) => other.value - one.value);
    return { at: nearest.at, nearest: nearest.line, distance, readings };
  };

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const rowOf = (one, isNearest, smoothed) => {
    const row = element("tr", isNearest ? "nearest" : "");
    const name = element("td");
    const swatch = element("span", "swatch");
    swatch.style.background = one.line.color;
    name.append(swatch, one.line.reading);
    const spread = one.spread?.deviation === null || !one.spread ? "" : ` ± ${dq.number(one.spread.deviation)} (${one.spread.count})`;
    row.append(name, element("td", "", `${one.between ? "≈ " : ""}${dq.number(one.value)}${spread}`));
    if (smoothed) row.append(element("td", "logged", one.logged === null ? "" : dq.number(one.logged)));
    return row;
  };

  // those around the nearest where there are more than fit
  const visible = (found) => {
    const at = found.readings.findIndex((one) => one.line === found.nearest);
    const from = Math.max(0, Math.min(at - MOST / 2, found.readings.length - MOST));
    return found.readings.slice(from, from + MOST);
  };

  dq.curves.fillBox = (box, found, axis, smoothed) => {
    const table = element("table");
    if (smoothed) {
      const head = element("tr");
      head.append(element("td"), element("td", "logged", "smoothed"), element("td", "logged", "as logged"));
      table.append(head);
    }
    const rows = visible(found);
    table.append(...rows.map((one) => rowOf(one, one.line === found.nearest, smoothed)));
    box.replaceChildren(element("p", "", dq.curves.place(axis)(found.at)), table);
    const more = found.readings.length - rows.length;
    if (more > 0) box.append(element("p", "", `and ${more} more`));
  };

  // beside the chart, else below or above it: never on it
  dq.curves.placeBox = (box, canvas, pointer) => {
    box.style.maxHeight = "";
    const chart = canvas.getBoundingClientRect();
    const { width, height } = box.getBoundingClientRect();
    const within = (value, size, limit) => Math.max(GAP, Math.min(value, limit - size - GAP));
    let left = chart.right + GAP;
    let top = within(pointer.clientY - height / 2, height, innerHeight);
    if (left + width > innerWidth) left = chart.left - GAP - width;
    if (left < 0) {
      left = within(pointer.clientX - width / 2, width, innerWidth);
      const below = innerHeight - chart.bottom - 2 * GAP;
      const above = chart.top - 2 * GAP;
      const room = Math.max(below, above);
      box.style.maxHeight = `${Math.max(room, 60)}px`;
      top = below >= height || below >= above ? chart.bottom + GAP : chart.top - GAP - Math.min(height, room);
    }
    box.style.left = `${left}px`;
    box.style.top = `${top}px`;
  };
})();
