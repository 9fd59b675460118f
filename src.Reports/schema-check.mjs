// What an editor says of the configurations: the language service of VS Code, which takes comments in .json files for errors unless
// the schema allows them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import jsonService from "vscode-json-languageservice"; // CommonJS

const { getLanguageService, TextDocument } = jsonService;

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const configs = join(root, "configs");
const schemaFile = join(configs, "dq.schema.json");
const service = getLanguageService({ schemaRequestService: async () => readFileSync(schemaFile, "utf8") });
// as VS Code's extension sets it for documents of the language json
const strict = { comments: "error", trailingCommas: "error" };

async function problems(name, text) {
  const document = TextDocument.create(pathToFileURL(name).href, "json", 1, text);
  const parsed = service.parseJSONDocument(document);
  const schema = JSON.parse(readFileSync(schemaFile, "utf8"));
  return (await service.doValidation(document, parsed, strict, schema)).map(
    (one) => `${relative(root, name)}:${one.range.start.line + 1}: ${one.message}`,
  );
}

const files = readdirSync(configs, { recursive: true })
  .filter((name) => name.endsWith(".json") && !name.endsWith("dq.schema.json") && !name.endsWith("published.json"))
  .map((name) => join(configs, name));
const wrong = (await Promise.all(files.map((file) => problems(file, readFileSync(file, "utf8"))))).flat();

// and it sees what is wrong
const bad = [
  '{ "training": { "steps": -5 } }',
  '{ "training": { "learning_rate": 0 } }',
  '{ "model": { "codes": [0] } }',
  '{ "training": { "stepps": 5 } }',
];
for (const text of bad) {
  const found = await problems(join(configs, "bad.json"), text);
  if (found.length !== 1) wrong.push(`expected one problem, got ${found.length}: ${text}`);
}
const fine = await problems(join(configs, "fine.json"), '{ // a comment\n "training": { "steps": 5, }, }');
wrong.push(...fine);

wrong.forEach((line) => console.error(line));
console.log(`${files.length} configurations, ${wrong.length} problems in an editor`);
process.exitCode = wrong.length > 0 ? 1 : 0;
