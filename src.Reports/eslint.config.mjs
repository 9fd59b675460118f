// Scripts of the pages: no modules, because a report carries them inside one file.
import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    files: ["wwwroot/js/**/*.js"],
    languageOptions: {
      sourceType: "script",
      globals: { ...globals.browser, Blazor: "readonly", dq: "writable", echarts: "readonly" },
    },
    rules: {
      eqeqeq: "error",
      "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 40, skipBlankLines: true, skipComments: true }],
      "no-var": "error",
      "prefer-const": "error",
      strict: ["error", "global"],
    },
  },
];
