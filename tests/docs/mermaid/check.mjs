// Parses every Mermaid diagram of the given Markdown files; prints the type of each.
import fs from "node:fs";

import DOMPurify from "dompurify";
import mermaid from "mermaid";

// Labels are cleaned with a browser's DOM, which is not there: what they contain is not looked at.
DOMPurify.addHook = () => {};
DOMPurify.sanitize = (text) => text;

for (const file of process.argv.slice(2)) {
  const text = fs.readFileSync(file, "utf8");
  for (const [, diagram] of text.matchAll(/^```mermaid\n([\s\S]*?)^```$/gm)) {
    const { diagramType } = await mermaid.parse(diagram);
    console.log(`${file}: ${diagramType}`);
  }
}
