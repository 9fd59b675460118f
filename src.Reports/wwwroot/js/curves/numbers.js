// Numbers of curves before they are drawn: averages, what is seen of them, and the ends and marks of their axis.
"use strict";
(() => {
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
      for (const values of [line.y, line.drawn, line.low, line.high, line.band?.low, line.band?.high])
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
    // differences of the largest numbers there are would be none
    const bounded = (end) => (log ? Math.min(1e100, Math.max(1e-100, end)) : Math.min(1e300, Math.max(-1e300, end)));
    const [low, high] = seen.map(bounded);
    if (log) {
      const [from, to] = high / low < 1.02 ? [low / 1.5, high * 1.5] : [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
      const customValues = marksBetween(from, to);
      return { type: "log", min: from, max: to, axisLabel: { customValues }, splitLine: { customValues }, axisTick: { customValues } };
    }
    // a constant is a level line and not the noise of its last digits
    if (high - low <= 1e-4 * Math.abs(high))
      return low === 0 ? { min: 0, max: 1 } : { min: Math.min(0, 2 * low), max: Math.max(0, 2 * high), interval: Math.abs(high) };
    return { scale: true, min: nice(low, high, low, Math.floor), max: nice(low, high, high, Math.ceil) };
  };

  const nice = (low, high, end, round) => {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const stride = [1, 2, 3, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999);
    return +(round(end / stride + (round === Math.floor ? 1e-9 : -1e-9)) * stride).toPrecision(12);
  };

  dq.curves = { smooth, meanOf, extent, vertical };
})();
