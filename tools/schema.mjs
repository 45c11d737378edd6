// `node tools/schema.mjs` writes sluice.schema.json from the grammar of sluice.yaml, so that editors complete and check it.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ConfigFile } from '../src/core/config-schema.ts';

const file = fileURLToPath(new URL('../sluice.schema.json', import.meta.url));

/** The text of sluice.schema.json: what may be written, before defaults and units are worked out. */
export function renderSchema() {
  const schema = z.toJSONSchema(ConfigFile, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ title: 'sluice.yaml', ...schema }, null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(file, renderSchema());
