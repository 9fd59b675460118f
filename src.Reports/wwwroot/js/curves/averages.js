// Runs drawn as one line: their mean, and a band of one sample deviation.
"use strict";
(() => {
  // between the two rows around a place; null outside of what a line covers
  const valueAt = (x, y, at) => {
    let [low, high] = [0, x.length - 1];
    if (high < 0 || at < x[0] || at > x[high]) return null;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (x[middle] <= at) low = middle;
      else high = middle;
    }
    if (x[low] === at) return y[low];
    if (x[high] === at) return y[high];
    if (y[low] === null || y[high] === null) return null;
    return y[low] + ((y[high] - y[low]) * (at - x[low])) / (x[high] - x[low]);
  };

  const atPlacesOf = (x, line, y) => (line.x === x ? y : x.map((at) => valueAt(line.x, y, at)));

  // { mean, deviation, count } of a row
  const rowOf = (columns, i) => {
    const values = columns.map((column) => column[i]).filter((value) => value !== null && value !== undefined);
    const count = values.length;
    if (count === 0) return { mean: null, deviation: null, count };
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    if (count === 1) return { mean, deviation: null, count };
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / (count - 1)), count };
  };

  // Lines of an average's runs, as one each: the places are those of the run with most of them, between which the others are read.
  const averageOf = (lines) => {
    const byWhat = Map.groupBy(lines, (line) => line.what);
    return [...byWhat.values()].map((members) => {
      const longest = members.reduce((best, line) => (line.x.length > best.x.length ? line : best));
      const columns = members.map((line) => atPlacesOf(longest.x, line, line.y));
      return { ...longest, low: undefined, high: undefined, y: dq.curves.meanOf(columns), members };
    });
  };

  // each run is smoothed by itself, so that the band says how far apart the smoothed curves are
  const averaged = (line, weight, usable) => {
    const raw = line.members.map((member) => member.y.map(usable));
    const smooth = weight > 0 ? raw.map((y) => dq.curves.smooth(y, weight)) : raw;
    const columns = (ys) => ys.map((y, i) => atPlacesOf(line.x, line.members[i], y));
    const drawn = columns(smooth);
    const rows = line.x.map((_, i) => rowOf(drawn, i));
    const edge = (sign) => rows.map(({ mean, deviation }) => (deviation === null ? null : usable(mean + sign * deviation)));
    return {
      ...line,
      y: dq.curves.meanOf(columns(raw)),
      drawn: rows.map((row) => row.mean),
      rows,
      band: line.members.length > 1 ? { low: edge(-1), high: edge(1) } : undefined,
    };
  };

  Object.assign(dq.curves, { valueAt, averageOf, averaged });
})();
