// Reads our documents as other people's tools do: node documents.mjs FOLDER asyncapi FILE | schema FILE VALUE...
// FOLDER is where npm put @asyncapi/parser, ajv and ajv-formats. Prints what is wrong, a line each.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, kind, file, ...values] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const text = readFileSync(file, "utf8");

if (kind === "asyncapi") {
  const { Parser } = require("@asyncapi/parser");
  const { document, diagnostics } = await new Parser().parse(text);
  for (const { code, path, message } of diagnostics) console.log(`${code} ${path.join(".")}: ${message}`);
  if (document) console.log(`read ${document.channels().length} channels, ${document.operations().length} operations`);
} else {
  const { default: Ajv } = require("ajv/dist/2020");
  const { default: addFormats } = require("ajv-formats");
  const ajv = new Ajv({ strict: true, strictTypes: false });
  addFormats(ajv);
  const validate = ajv.compile(JSON.parse(text));
  for (const value of values) console.log(validate(JSON.parse(value)) ? "valid" : `invalid ${validate.errors[0].instancePath}`);
}
