// How charts look: colours of the page's theme, and what axes, legends and tooltips have in common.
"use strict";
(() => {
  // told apart also by those who see red and green alike; light and dark versions of the same eight
  const palettes = {
    light: ["#3b4fd1", "#d9480f", "#0b7285", "#a61e9a", "#2b7a3d", "#8a5a00", "#c2255c", "#4a5568"],
    dark: ["#9db0ff", "#ff9d66", "#4fd1e0", "#ef9be6", "#7ddb97", "#f0c35c", "#ff8fb3", "#b6c0d0"],
  };

  const theme = () => {
    const dark = document.documentElement.dataset.theme === "dark";
    return {
      dark,
      colors: dark ? palettes.dark : palettes.light,
      text: dark ? "#e8ebf1" : "#1a1f29",
      muted: dark ? "#a3adbd" : "#545d6e",
      line: dark ? "#2a313d" : "#e2e5ea",
      warning: dark ? "#f0c35c" : "#8a5a00",
      surface: dark ? "#161b24" : "#ffffff",
    };
  };

  const base = (look) => ({
    animation: false,
    color: look.colors,
    textStyle: { fontFamily: "Inter, system-ui, sans-serif", fontSize: 11, color: look.muted },
  });

  const axis = (look, more) => ({
    axisLine: { lineStyle: { color: look.line } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: look.line } },
    axisLabel: { color: look.muted, fontSize: 11, hideOverlap: true },
    nameTextStyle: { color: look.muted, fontSize: 11 },
    ...more,
  });

  const tooltip = (look, css = "") => ({
    confine: true,
    backgroundColor: look.surface,
    borderColor: look.line,
    textStyle: { color: look.text, fontSize: 12 },
    extraCssText: `box-shadow: 0 4px 16px rgb(0 0 0 / 18%); border-radius: 6px; padding: 8px 10px;${css}`,
  });

  const legend = (look, more) => ({ top: 0, left: 0, textStyle: { color: look.text, fontSize: 11 }, ...more });

  // of names of any length: the whole one is said on hover
  const longLegend = (look, more) => legend(look, { type: "scroll", itemGap: 20, formatter: dq.short, tooltip: { show: true }, ...more });

  Object.assign(globalThis.dq, { theme, base, axis, tooltip, legend, longLegend });
})();
