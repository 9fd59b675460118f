// The lines of a run's log that a chart is of, before they are smoothed.
"use strict";
(() => {
  // what the chart shows of a split of the log: columns of a name, or of all that begin so
  const columnsOf = (means, wanted) => {
    const ofCodebooks = wanted.key.endsWith(".");
    const keys = Object.keys(means).filter((name) => (ofCodebooks ? name.startsWith(wanted.key) : name === wanted.key));
    return keys.map((key) => {
      const short = key.split(".").pop();
      return { key, y: means[key], short, label: ofCodebooks ? `codebook ${short}` : wanted.label };
    });
  };

  const meanOfAll = (columns) => ({
    y: dq.curves.meanOf(columns.map((column) => column.y)),
    label: `mean of ${columns.length} codebooks`,
  });

  const scaled = (values, scale) => (scale ? values?.map((value) => (value === null ? null : value * scale)) : values);

  // runs are told apart by colour and name; what of a run a line is, is said on hover
  const namesOf = (column, wanted, split, several, run) => {
    const label = split === "validation" ? "validation" : column.label || "training";
    if (several) return { name: run, reading: label ? `${run} · ${label}` : run };
    return { name: wanted.key.endsWith(".") ? column.short : label, reading: label };
  };

  const linesOfSplit = (split, log, wanted, chart) => {
    const means = log?.mean ?? {};
    const columns = columnsOf(means, wanted);
    return (chart.several && columns.length > 1 ? [meanOfAll(columns)] : columns)
      .filter(({ y }) => means[chart.x] && !y.every((value) => value === null))
      .map((column) => ({
        ...namesOf(column, wanted, split, chart.several, chart.run),
        href: chart.href,
        split,
        what: `${split} ${wanted.key}`,
        raw: wanted.raw,
        // beyond the number of colours, dotted
        again: chart.several && chart.index >= chart.colors.length,
        x: means[chart.x],
        y: scaled(column.y, wanted.scale),
        low: scaled(log.low?.[column.key], wanted.scale),
        high: scaled(log.high?.[column.key], wanted.scale),
      }));
  };

  // where steps were left out: [{ at, count }]; a row is the mean of its lines
  dq.curves.skippedOf = (data, x) => {
    const { skipped_steps: means, [x]: at } = data?.train?.mean ?? {};
    const count = (mean) => Math.round(mean * (data.train.lines_per_row ?? 1));
    return (means ?? [])
      .map((mean, i) => ({ at: at?.[i], count: count(mean ?? 0) }))
      .filter((one) => one.count > 0 && typeof one.at === "number");
  };

  // chart: { x, keys, colors, several: runs in it, run: the name of this one, href: of its page, index: its place among them }
  dq.curves.linesOf = (data, chart) => {
    const found = ["train", "validation"].flatMap((split) =>
      chart.keys.flatMap((wanted) => linesOfSplit(split, data[split], wanted, chart)),
    );
    const color = (place) => chart.colors[(chart.several ? chart.index : place) % chart.colors.length];
    return found.map((line, place) => ({ ...line, color: color(place) }));
  };
})();
