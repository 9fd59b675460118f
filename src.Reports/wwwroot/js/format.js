// Numbers as the pages write them (Text/Show.cs), and small helpers of the charts.
"use strict";
(() => {
  const number = (value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toLocaleString("en-US");
    if (size >= 10) return value.toFixed(2);
    if (size >= 0.01) return value.toFixed(4);
    if (size >= 1e-4) return `${+value.toPrecision(3)}`;
    return value.toExponential(2);
  };

  // ticks need fewer digits than readings
  const tick = (value) => {
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)} M`;
    if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)} k`;
    if (size !== 0 && size < 1e-4) return value.toExponential(0);
    return `${+value.toPrecision(4)}`;
  };

  const duration = (seconds) => {
    if (seconds < 60) return `${+seconds.toFixed(1)} s`;
    const parts = (large, unit, small, part) => (small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${part}`);
    const whole = Math.round(seconds);
    if (whole < 3600) return parts(Math.floor(whole / 60), "min", whole % 60, "s");
    return parts(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  };

  // names of any length beside a chart; its end tells most of them apart
  const short = (name) => (name.length > 36 ? `${name.slice(0, 12)}…${name.slice(-22)}` : name);

  const escape = (text) =>
    String(text).replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

  const csvCell = (value) => {
    if (value === null || value === undefined) return "";
    const text = typeof value === "string" && /^[=+@\t]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  const csv = (rows) => rows.map((row) => row.map(csvCell).join(",") + "\n").join("");

  const save = (name, href) => {
    const link = document.createElement("a");
    link.href = href;
    link.download = name;
    link.click();
  };

  const saveText = (name, type, text) => {
    const href = URL.createObjectURL(new Blob([text], { type }));
    save(name, href);
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  };

  globalThis.dq = Object.assign(globalThis.dq ?? {}, { number, tick, duration, short, escape, csv, save, saveText });
})();
